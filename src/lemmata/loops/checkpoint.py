"""A training as a file: step, parameters, optimiser, history; whole or not at all.

A file is written beside its place, forced to the disk and then renamed, so that a kill or a crash at any moment leaves
either the checkpoint before or the one after. What is kept is plain: tensors, numbers, strings, lists and dictionaries,
which is also all that :func:`load` will read back.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def save(path: Path, state: Mapping[str, Any]) -> None:
    """Write a checkpoint in the place of the one before.

    Args:
        path: the file; its folder is made if it is not there.
        state: tensors, numbers, strings, lists, dictionaries.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as file:
        torch.save(dict(state), file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename itself
    finally:
        os.close(folder)


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """The checkpoint at a place, its tensors on ``device``; None where there is none.

    Raises:
        ValueError: the file is no checkpoint; the message says what to do.
    """
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        return None
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ValueError(f"{path} cannot be read as a checkpoint ({reason}); remove it to begin again") from error
