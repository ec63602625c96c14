"""Cheap bodies, importable by the workers that run them."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from lemmata.sweep import Body, Variable


@dataclass(frozen=True)
class Toy(Body):
    """A number, a path of it, a count and a truth value per cell. ``log`` is a folder that gets a file per tile run."""

    scale: float = 2.0
    log: str | None = None
    seconds: float = 0.0
    variables: ClassVar = {
        "value": Variable(units="m", long_name="the value"),
        "path": Variable(("step",), dtype="float32"),
        "status": Variable(dtype="int8"),
        "large": Variable(dtype="bool"),
    }
    coordinates: ClassVar = {"step": np.array([0, 5, 10])}

    def parameters(self):
        return {}  # any axis will do

    def check(self, grid):
        pass

    def configuration(self):
        return {"scale": self.scale, "device": "cpu", "rule": {"lr": 0.1, "betas": (0.9, 0.99)}}

    def shape_axes(self, grid):
        return tuple(name for name in ("n", "m") if name in grid.names)

    def bytes_per_cell(self, point):
        return 1000 * point.get("n", 1)

    def estimate_seconds(self, points):
        return 0.001 * len(points) * points[0].get("n", 1)

    def run(self, points):
        if self.log is not None:
            Path(self.log, f"{os.getpid()}-{time.monotonic_ns()}").touch()
        time.sleep(self.seconds)
        rows = [self.cell(**point) for point in points]
        return {name: np.stack([row[name] for row in rows]) for name in self.variables}

    def cell(self, n=1, m=1, signal=1.0, seed=0, **_):
        """The slow twin: one cell, by its point alone."""
        value = self.scale * n * signal**2 + np.sin(seed) / m
        return {
            "value": np.float64(value),
            "path": np.float32(value) * self.coordinates["step"].astype("float32"),
            "status": np.int8(seed),
            "large": np.bool_(value > 10),
        }


@dataclass(frozen=True)
class Value(Toy):
    """The value alone, which costs nothing to load."""

    variables: ClassVar = {"value": Variable()}
    coordinates: ClassVar = {}

    def run(self, points):
        return {"value": np.array([self.scale * p["n"] * (1 + 0.1 * np.sin(p["seed"] * p["n"])) for p in points])}


@dataclass(frozen=True)
class Random(Toy):
    """Per-cell draws from counters, as trainings make them."""

    variables: ClassVar = {"value": Variable()}
    coordinates: ClassVar = {}

    def run(self, points):
        from lemmata.draws import cell_seeds, normal

        seeds = cell_seeds(7, [point["seed"] for point in points])
        signal = np.array([point["signal"] for point in points])
        return {"value": normal(seeds, "draw", (4,)).numpy().max(axis=1) * signal}


@dataclass(frozen=True)
class Trap(Toy):
    """Does ``what`` at the cells with seed ``at``, as long as the file ``armed`` exists (always, if none is named)."""

    what: str = "raise"
    at: int = 2
    armed: str | None = None

    def run(self, points):
        if any(point["seed"] == self.at for point in points) and (self.armed is None or Path(self.armed).exists()):
            if self.what == "raise":
                raise ArithmeticError("no such luck")
            if self.what == "die":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.what == "die once":
                Path(self.armed).unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            if self.what == "interrupt":
                raise KeyboardInterrupt
            time.sleep(60)
        return super().run(points)


@dataclass(frozen=True)
class Wrong(Toy):
    """Returns ``given`` instead of what it promised."""

    given: str = "missing"

    def run(self, points):
        right = super().run(points)
        return {
            "missing": {"value": right["value"]},
            "shape": {**right, "path": right["path"][:, :2]},
            "dtype": {**right, "status": right["value"]},
        }[self.given]


@dataclass(frozen=True)
class Checkpointed(Toy):
    """A loop of three steps that leaves a checkpoint after each and fails once, at ``fail_at``."""

    fail_at: int = -1
    variables: ClassVar = {"value": Variable(), "first_step": Variable(dtype="int64")}
    coordinates: ClassVar = {}

    def configuration(self):
        return {"scale": self.scale}

    def run(self, points, scratch: Path | None = None):
        (point,) = points
        kept = scratch / "checkpoint" if scratch is not None else None
        first, value = 0, float(point["seed"])
        if kept is not None and kept.exists():
            first, value = int(kept.read_text().split()[0]), float(kept.read_text().split()[1])
        for step in range(first, 3):
            if step == self.fail_at:
                raise ArithmeticError("out of luck")
            value = value * self.scale + 1
            if kept is not None:
                kept.write_text(f"{step + 1} {value!r}")
        return {"value": np.array([value]), "first_step": np.array([first])}


@dataclass(frozen=True)
class Threads(Random):
    """The draws, and how many threads torch has where the tile runs."""

    variables: ClassVar = {**Random.variables, "threads": Variable(dtype="int64")}

    def run(self, points):
        import torch

        return {**super().run(points), "threads": np.full(len(points), torch.get_num_threads())}
