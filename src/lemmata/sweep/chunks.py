"""Are the chunks of a store whole? Each file ends in a sum (CRC-32C) over what stands before it, looked at undecoded.

That takes microseconds each. A chunk that is lost, empty, cut or changed would read as NaN, as nonsense, or not at all.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import zarr

from lemmata.sweep.sums import chunk_file, read_sums, sum_of
from lemmata.sweep.tile import Cells, Tile


@dataclass(frozen=True)
class Bad:
    """A chunk that is not whole.

    Args:
        file: below the store.
        tile: the cells it holds, for messages and to be marked as not done; of points, several tiles.
        what: what is wrong with it.
    """

    file: Path
    tile: Tile
    what: str

    def __str__(self) -> str:
        return f"{self.file} of {self.tile} {self.what}"


def bad_chunks(path: Path, grid: Cells, record: dict[str, Any]) -> Iterator[Bad]:
    """Chunks of ``done``, and of variables where any cell is done, that are not whole.

    Args:
        path: the store.
        grid: its cells.
        record: the attribute ``sweep``.
    """
    done: Any = zarr.open_array(path / "done", mode="r")
    if "chunk" not in record:
        raise ValueError(f"{path} was written by an unfinished version of Lemmata; remove it and run again")
    shape, known = record["chunk"], read_sums(path)
    sides = [
        [range(start, min(start + step, size)) for start in range(0, size, step)]
        for size, step in zip(grid.shape, shape)
    ]
    for index, region in enumerate(itertools.product(*sides)):
        tile = Tile(grid, index, region)
        place = tuple(side[0] // step for side, step in zip(region, shape))
        mark = chunk_file("done", place, 0)
        if (path / mark).exists():
            if wrong := _wrong(path / mark):
                yield Bad(mark, tile, wrong)
            elif np.any(done[tile.region]):
                noted = known.get(place) or [""] * len(record["variables"])
                for (name, (dims, _)), noted_sum in zip(record["variables"].items(), noted):
                    chunk = chunk_file(name, place, len(dims))
                    if wrong := _wrong(path / chunk, noted_sum):
                        yield Bad(chunk, tile, wrong)


def _wrong(file: Path, noted: str = "") -> str:
    """What is wrong with a chunk's file, or nothing; ``noted`` is the sum it had when it was written."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not content:
        return "is empty"
    sound = len(content) > 4 and google_crc32c.value(content[:-4]) == int.from_bytes(content[-4:], "little")
    if not sound:
        return "fails its checksum"
    return "is another chunk than was written there" if noted and sum_of(content) != noted else ""


def read_sound(path: Path, name: str) -> np.ndarray:
    """A small array, read whole.

    Raises:
        ValueError: it cannot be read as it was written.
    """
    try:
        return np.asarray(zarr.open_array(path / name, mode="r")[...])
    except Exception as error:  # whatever a broken file makes zarr raise, the remedy is the same
        raise ValueError(f"{name} cannot be read ({type(error).__name__}: {' '.join(str(error).split())})") from error
