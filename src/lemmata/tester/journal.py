"""The record of a study in its folder: every cell that ran, line by line, so that a killed study goes on where it was.

``study.jsonl`` has one JSON object a line: ``design`` (conjectures, run, axes, seeds), ``cells`` (points and values of
a batch), ``layout`` (looks and α, written before the first look), ``report``. A line is on disk before the next batch
starts; one torn by a kill is cut off when the study goes on. Numbers are written in full: replayed, they are the same.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

NAME = "study.jsonl"


class Journal:
    """Appends to and reads from ``folder/study.jsonl``; with no folder it keeps nothing.

    Args:
        folder: of the study; made when the first line is written.
    """

    def __init__(self, folder: str | Path | None):
        self.path = None if folder is None else Path(folder) / NAME
        self.lines: list[dict[str, Any]] = list(self._read())

    def write(self, kind: str, content: Any) -> None:
        """One line, on disk when this returns."""
        self.lines.append({kind: content})
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps({kind: content}, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def last(self, kind: str) -> Any:
        """The latest content of this kind, or None."""
        return next((line[kind] for line in reversed(self.lines) if kind in line), None)

    def cells(self) -> Iterator[tuple[dict[str, Any], dict[str, Any], str]]:
        """Every cell that ran: its point, its values by name, and the stage it ran in."""
        for line in self.lines:
            if "cells" not in line:
                continue
            batch = line["cells"]
            names, values = list(batch["points"]), list(batch["values"])
            for row, given in enumerate(zip(*batch["points"].values())):
                point = dict(zip(names, given))
                yield point, {name: np.asarray(batch["values"][name][row]) for name in values}, batch["stage"]

    def write_cells(
        self, stage: str, points: Sequence[Mapping[str, Any]], values: Mapping[str, np.ndarray], seconds: float
    ) -> None:
        """A batch, column by column."""
        names = list(points[0])
        self.write(
            "cells",
            {
                "stage": stage,
                "seconds": seconds,
                "points": {name: [_plain(point[name]) for point in points] for name in names},
                "values": {name: np.asarray(array, float).tolist() for name, array in values.items()},
            },
        )

    def _read(self) -> Iterator[dict[str, Any]]:
        if self.path is None or not self.path.exists():
            return
        raw = self.path.read_bytes()
        whole = raw[: raw.rfind(b"\n") + 1]
        if len(whole) < len(raw):  # torn by a kill
            with open(self.path, "r+b") as file:
                file.truncate(len(whole))
        for number, line in enumerate(whole.decode("utf-8").splitlines()):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ValueError(f"line {number + 1} of {self.path} is damaged; take another folder") from error


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
