"""Parquet files of a data set on disk, as Hugging Face publishes them, read with ``datasets`` without the network.

A data set is a folder; the files of a split carry its name, e.g. ``train-00000-of-00002.parquet``, at any depth.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any


def find_files(folder: str | Path, split: str, *, name: str, source: str) -> tuple[Path, ...]:
    """The files of a split, sorted.

    Args:
        name, source: of the data set, e.g. ``CIFAR-10``, ``uoft-cs/cifar10``, for the message.

    Raises:
        ValueError: there are none; the message says what to download and where to put it.
    """
    found = tuple(sorted(path for path in Path(folder).rglob("*.parquet") if path.name.startswith(split)))
    if not found:
        raise ValueError(
            f"{name} was looked for in {folder}, which holds no {split}*.parquet; download it with "
            f"'hf download {source} --repo-type dataset --local-dir DIR' and give --data DIR"
        )
    return found


def rows(files: tuple[Path, ...]) -> Any:
    """The rows of the files as an iterable data set: read as they are needed, nothing is copied to a cache.

    Raises:
        ValueError: ``datasets`` is not installed.
    """
    try:
        from datasets import load_dataset
    except ModuleNotFoundError:
        raise ValueError(
            "parquet files are read with datasets, which is not installed; run pip install 'lemmata[train]'"
        ) from None
    paths = [str(path) for path in files]
    return load_dataset("parquet", data_files={"all": paths}, split="all", streaming=True)


def column(files: tuple[Path, ...], names: tuple[str, ...], size: int = 1000) -> Iterator[list[Any]]:
    """Values of one column in lists of at most ``size``; the first of ``names`` that the files have.

    Raises:
        ValueError: they have none of them.
    """
    data = rows(files)
    name = which(data, names, files)
    for batch in data.select_columns([name]).iter(batch_size=size):
        yield batch[name]


def which(data: Any, names: tuple[str, ...], files: tuple[Path, ...]) -> str:
    """The first of ``names`` among the columns (``ValueError`` if there is none)."""
    columns = tuple(data.features or ())
    for name in names:
        if name in columns:
            return name
    raise ValueError(f"{files[0]} has the columns {', '.join(columns)}; one called {' or '.join(names)} is needed")


def fingerprint(files: tuple[Path, ...]) -> dict[str, int]:
    """File name → bytes: what a stored result says of its data."""
    return {path.name: path.stat().st_size for path in files}
