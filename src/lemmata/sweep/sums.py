"""Which chunk lies where: the checksums of a store's chunks in a list, so that one put in another's place is seen.

A line of ``sums`` for each place written, with the sum of each variable's chunk; the last line of a place counts. A
place whose chunks are about to be replaced has a line without sums first, so that a kill in between is no damage.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

FILE = "sums"
Place = tuple[int, ...]


def places(sides: Sequence[Sequence[int]], chunk: Sequence[int]) -> list[Place]:
    """The chunks that hold the cells of a region."""
    return list(itertools.product(*(sorted({k // step for k in side}) for side, step in zip(sides, chunk))))


def chunk_file(name: str, place: Place, further: int) -> Path:
    """A variable's chunk, below the store; ``further`` is the number of its dimensions beyond the grid's."""
    return Path(name, "c", *map(str, place), *["0"] * further)


def note_begin(path: Path, at: Iterable[Place]) -> None:
    """Note that chunks are about to be replaced."""
    _append(path, [_line(place, []) for place in at])


def note_end(path: Path, at: Iterable[Place], variables: Mapping[str, int]) -> None:
    """Note the sums of chunks that were written; of each variable its number of further dimensions."""
    lines = []
    for place in at:
        files = [path / chunk_file(name, place, further) for name, further in variables.items()]
        lines.append(_line(place, [sum_of(file.read_bytes()) for file in files]))
    _append(path, lines)


def read_sums(path: Path) -> dict[Place, list[str]]:
    """The sums of every place, none where they are not known."""
    try:
        lines = (path / FILE).read_text().splitlines()
    except OSError:
        return {}
    return dict(_parsed(lines))


def sum_of(content: bytes) -> str:
    """The checksum that a chunk's file ends in."""
    return content[-4:].hex()


def _parsed(lines: Iterable[str]) -> Iterator[tuple[Place, list[str]]]:
    for line in lines:
        place, *sums = line.split()[:-1] if line.endswith(" .") else ["x"]  # a line that was cut says nothing
        if place.replace(",", "").isdigit():
            yield tuple(map(int, place.split(","))), sums


def _line(place: Place, sums: Sequence[str]) -> str:
    return " ".join([",".join(map(str, place)), *sums, "."])


def _append(path: Path, lines: Sequence[str]) -> None:
    if lines:
        with open(path / FILE, "a") as file:
            file.write("".join(f"\n{line}" for line in lines))
