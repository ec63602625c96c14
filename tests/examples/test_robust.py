"""The examples of adversarial training run as they stand, at their toy size, and learn to resist."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "examples" / "robust"
COMMANDS = {
    "plain_loop": (),
    "lightning_module": (),
    "accelerate_loop": (),
    "torchrun_loop": ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"),
}
NEEDS = {"lightning_module": "lightning", "accelerate_loop": "accelerate"}


def run(name):
    package = NEEDS.get(name)
    if package and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    command = [sys.executable, *COMMANDS[name], FOLDER / f"{name}.py"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_example_is_tested():
    assert {path.stem for path in FOLDER.glob("*.py")} == set(COMMANDS)


def test_the_plain_loop_is_short_and_ends_with_a_report():
    text = (FOLDER / "plain_loop.py").read_text().split('"""', 2)[2]
    body = [line for line in text.splitlines() if line.strip() and "import" not in line]
    assert len(body) <= 20
    out = run("plain_loop")
    assert "| union |" in out
    assert float(re.findall(r"\| pgd-50 \| (0\.\d+|1\.0+)", out)[0]) > 0.8


@pytest.mark.parametrize("name", ["lightning_module", "accelerate_loop", "torchrun_loop"])
def test_it_learns_to_resist_in_its_framework(name):
    out = run(name)
    assert float(re.findall(r"robust accuracy (\d\.\d+)", out)[-1]) > 0.9
    if name == "torchrun_loop":
        assert out.count("512 images") == 5  # of both processes, said by one
