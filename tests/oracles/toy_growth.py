"""A number grows like the square root of n.

An experiment of a user's own, with a body of three members, that runs in milliseconds.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lemmata.claims import claim, usable, within
from lemmata.lab import ALL, Experiment, Size
from lemmata.parameters import parameter
from lemmata.report.curves import curves
from lemmata.report.style import new_figure
from lemmata.sweep import Body, Variable


@dataclass(frozen=True)
class Toy(Body):
    """Measures n^power with a little noise that depends on the seed alone."""

    n: int = parameter("samples", int, units="samples", least=1, default=4)
    power: float = parameter("exponent", least=-10, most=10, per_cell=True, default=0.5)
    fail: str = parameter("break with this message", str, axis=False, optional=True, default=None)

    variables: ClassVar = {"growth": Variable(long_name="growth"), "status": Variable(dtype="int64")}

    def run(self, points):
        if self.fail == "interrupt":
            raise KeyboardInterrupt
        if self.fail:
            raise RuntimeError(self.fail)
        noise = np.array([1 + 0.01 * point["seed"] for point in points])
        growth = self.column(points, "n") ** self.column(points, "power") * noise
        return {"growth": growth, "status": np.zeros(len(points), int)}


@claim("growth has exponent one half", "derived here", sizes=ALL)
def square_root(data):
    mean = usable(data).growth.mean("seed").isel(n=[0, -1])
    slope = np.log(mean).diff("n") / float(np.log(data.n[-1] / data.n[0]))
    return within(0.05, slope, of=0.5, format=f"{float(slope.max()):.3f}")


@claim("it goes on for n up to 100", "derived here", sizes=("paper",))
def large_n(data):
    return square_root(data)


def figures(data):
    figure, axes = new_figure()
    first = data if "power" not in data.dims else data.isel(power=0)
    curves(axes[0, 0], first.growth, "n", theory=first.growth_predicted, title="growth is a square root")
    return {"growth": figure}


EXPERIMENT = Experiment(
    Toy(),
    {
        "smoke": Size(n=(4, 9), seeds=2),
        "laptop": Size(n=(4, 9, 16), seeds=2),
        "paper": Size(n=tuple(range(4, 99)), seeds=2),
    },
    claims=(square_root, large_n),
    predict=lambda data: {"growth_predicted": data.n**0.5},
    figures=figures,
)
