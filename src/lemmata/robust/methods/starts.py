"""Where a single-step attack starts: at the image, at noise, or where an earlier step ended.

    zero            0                                        FGSM
    uniform         U(ball of eps)                           FGSM-RS: Wong, Rice, Kolter 2020, arXiv 2001.03994
    noise           U(ball of 2 eps), not projected after    N-FGSM: de Jorge et al. 2022, arXiv 2202.01181
    batch memory    row i of the last batch's perturbation   FGSM-BP: Jia et al. 2022, arXiv 2207.08859; TDAT; SKG-FAT
    sample memory   the sample's own last perturbation       FGSM-EP: Jia et al. 2022

A batch memory is one tensor for rows, whatever samples stand in them: row i of a batch inherits row i of the last one.
A short batch reads and writes the first rows; the released code skips it. A sample memory costs as much memory as the
data, needs the samples' numbers, and expects a sample to come back in the same geometry: without random crops and
flips, or with the sample's perturbation cropped and flipped by the loop.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor

from lemmata.robust.attacks.norms import inside, on_the_edge
from lemmata.robust.checks import check_whole

STARTS = ("zero", "uniform", "noise", "batch_memory", "sample_memory")


class Start(ABC):
    """First perturbations of radius ``eps``."""

    projects: ClassVar[bool] = True
    """Whether the step from here is brought back within eps."""

    def __init__(self, eps: float, norm: str) -> None:
        self.eps, self.norm = eps, norm

    @abstractmethod
    def draw(self, x: Tensor, index: Tensor | None, source: torch.Generator) -> Tensor:
        """A perturbation, shape of x, which the caller leaves as it is."""

    def keep(self, delta: Tensor, index: Tensor | None) -> None:
        """Remember where the step ended."""
        return None

    def state(self) -> dict[str, Any]:
        """What is remembered."""
        return {}

    def load(self, state: dict[str, Any]) -> None:
        """Take back what was remembered."""
        return None


class Zero(Start):
    """At the image."""

    def draw(self, x: Tensor, index: Tensor | None, source: torch.Generator) -> Tensor:
        return torch.zeros_like(x)


class Uniform(Start):
    """Uniformly in the ball."""

    def draw(self, x: Tensor, index: Tensor | None, source: torch.Generator) -> Tensor:
        return inside(x, self.eps, self.norm, source).to(x.dtype)


class Noise(Start):
    """Uniformly in the ball of ``scale`` eps; the step from there is not projected, so it may end outside eps."""

    projects = False

    def __init__(self, eps: float, norm: str, scale: float = 2.0) -> None:
        super().__init__(eps, norm)
        self.scale = scale

    def draw(self, x: Tensor, index: Tensor | None, source: torch.Generator) -> Tensor:
        return inside(x, self.scale * self.eps, self.norm, source).to(x.dtype)


class BatchMemory(Start):
    """Row i of the last batch's perturbation; random corners of the cube (l_inf) for rows not seen before."""

    def __init__(self, eps: float, norm: str) -> None:
        super().__init__(eps, norm)
        self.memory: Tensor | None = None

    def draw(self, x: Tensor, index: Tensor | None, source: torch.Generator) -> Tensor:
        rows = 0 if self.memory is None else len(self.memory)
        if self.memory is not None and self.memory.shape[1:] != x.shape[1:]:
            raise ValueError(
                f"images of shape {tuple(x.shape[1:])} were given after {tuple(self.memory.shape[1:])}; a batch memory "
                f"holds one shape, make a new method for another."
            )
        if rows < len(x):
            fresh = on_the_edge(x, self.eps, self.norm, source).to(x.dtype)
            self.memory = fresh if self.memory is None else torch.cat([self.memory.to(x), fresh[rows:]])
        assert self.memory is not None
        self.memory = self.memory.to(device=x.device, dtype=x.dtype)
        return self.memory[: len(x)]

    def keep(self, delta: Tensor, index: Tensor | None) -> None:
        assert self.memory is not None
        self.memory = delta if len(delta) == len(self.memory) else torch.cat([delta, self.memory[len(delta) :]])

    def state(self) -> dict[str, Any]:
        return {"memory": None if self.memory is None else self.memory.clone()}

    def load(self, state: dict[str, Any]) -> None:
        self.memory = None if state["memory"] is None else state["memory"].clone()


class SampleMemory(Start):
    """The sample's own last perturbation; random corners of the cube (l_inf) at first.

    Args:
        samples: number of samples in the data set.
    """

    def __init__(self, eps: float, norm: str, samples: int | None) -> None:
        super().__init__(eps, norm)
        if samples is None:
            raise ValueError("a memory of every sample was asked for without samples=; give their number.")
        check_whole("samples", samples, 1)
        self.samples = samples
        self.memory: Tensor | None = None

    def draw(self, x: Tensor, index: Tensor | None, source: torch.Generator) -> Tensor:
        index = self.check(x, index)
        if self.memory is None:
            like = x[:1].expand(self.samples, *x.shape[1:])
            self.memory = on_the_edge(like, self.eps, self.norm, source).to(x.dtype)
        self.memory = self.memory.to(x.device)
        return self.memory[index]

    def keep(self, delta: Tensor, index: Tensor | None) -> None:
        assert self.memory is not None
        assert index is not None
        self.memory[index.to(self.memory.device)] = delta.to(self.memory.dtype)

    def check(self, x: Tensor, index: Tensor | None) -> Tensor:
        """The samples' numbers on the device of x.

        Raises:
            ValueError: there are none, or they do not fit the images or the memory.
        """
        if index is None or index.shape != x.shape[:1]:
            found = "none" if index is None else f"shape {tuple(index.shape)}"
            raise ValueError(f"the samples' numbers are needed as index=(n,), n = {len(x)}, and {found} was given.")
        if index.device.type == "cpu" and (int(index.max()) >= self.samples or int(index.min()) < 0):
            raise ValueError(
                f"samples {int(index.min())} to {int(index.max())} were given, but there are {self.samples}."
            )
        if self.memory is not None and self.memory.shape[1:] != x.shape[1:]:
            raise ValueError(
                f"images of shape {tuple(x.shape[1:])} were given after {tuple(self.memory.shape[1:])}; a "
                f"sample memory holds one shape, make a new method for another."
            )
        return index.to(x.device)

    def state(self) -> dict[str, Any]:
        return {"memory": None if self.memory is None else self.memory.clone()}

    def load(self, state: dict[str, Any]) -> None:
        memory = state["memory"]
        if memory is not None and len(memory) != self.samples:
            raise ValueError(f"the state remembers {len(memory)} samples, this method {self.samples}.")
        self.memory = None if memory is None else memory.clone()


def start_of(name: str, eps: float, norm: str, samples: int | None = None) -> Start:
    """The start of this name."""
    if name == "sample_memory":
        return SampleMemory(eps, norm, samples)
    kinds: dict[str, Callable[[float, str], Start]] = {
        "zero": Zero,
        "uniform": Uniform,
        "noise": Noise,
        "batch_memory": BatchMemory,
    }
    return kinds[name](eps, norm)
