"""Where a store may lie: a folder of a file system, and the folder beside it in which tiles keep their checkpoints."""

import hashlib
import json
import re
from pathlib import Path

from lemmata.sweep.tile import Tile


def local_folder(path: str | Path) -> Path:
    """A path as it is; an address of an object store is refused.

    Raises:
        ValueError: the text is a URL.
    """
    if (found := re.match(r"([A-Za-z][A-Za-z0-9+.-]+):/+", str(path))) is not None:
        raise ValueError(
            f"{str(path)!r} is an address of {found[1]}, and a sweep writes into a folder, as it needs locks and "
            "renames to survive a kill; sweep into a folder and copy it when it is done, or mount the bucket"
        )
    return Path(path)


def scratch_folder(path: str | Path, tile: Tile | None = None) -> Path:
    """Where the tiles of a store (or one tile, known by its points) keep what they need until they are done."""
    folder = Path(path).resolve()
    folder = folder.with_name(folder.name + ".scratch")
    if tile is None:
        return folder
    return folder / hashlib.sha256(json.dumps(tile.points).encode()).hexdigest()[:16]
