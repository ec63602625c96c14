"""A training shared by several processes: ``accelerate launch`` runs this file in each of them.

Settings of ``accelerate config`` (machines, GPUs) apply. The job goes there as a pickle, the history comes back as
JSON; both stand beside the checkpoint.
"""

import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from lemmata.loops.loop import History, Plan, train
from lemmata.loops.task import NetworkTask

CHECKPOINT, JOB, RESULT = "checkpoint.pt", "job.pickle", "result.json"


def launched(
    make: Callable[[torch.device], NetworkTask], plan: Plan, processes: int, folder: Path | None = None
) -> History:
    """Train one network by so many processes of this machine; with one, in this process.

    Args:
        make: device → task; can be pickled.
        folder: where the checkpoint is, from which a training that was killed goes on.

    Raises:
        RuntimeError: a process ended with an error; the message has its last line.
    """
    if processes == 1:
        return train(make, plan, folder and folder / CHECKPOINT)
    with tempfile.TemporaryDirectory() as temporary:
        place = folder if folder is not None else Path(temporary)
        (place / JOB).write_bytes(pickle.dumps((make, plan, processes)))
        command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", str(processes)]
        command += ["-m", __name__, str(place)]
        ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if ended.returncode:
            said = ended.stderr.strip().splitlines()[-1:] or ["nothing"]
            raise RuntimeError(f"accelerate launch ended with {ended.returncode} and said: {said[0]}")
        return json.loads((place / RESULT).read_text())


def main(folder: Path) -> None:
    """What every process of a launch runs: the job in ``folder``; the first one leaves the result there."""
    make, plan, processes = pickle.loads((folder / JOB).read_bytes())
    found = train(make, plan, folder / CHECKPOINT, processes)
    if int(os.environ.get("RANK", "0")) == 0:
        (folder / RESULT).write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
