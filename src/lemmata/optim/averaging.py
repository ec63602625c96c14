"""The average of iterates that the theorems are about, kept beside a training run.

    xbar_T = sum_{t<T} w_t x_t / sum_{t<T} w_t,    w_t = eta_t  or  w_t = 1,

updated as ``xbar <- xbar + (w_t / W_t) (x_t - xbar)``, ``W_t`` the running sum of weights. Reference: Tao, Yuan, Zhou,
Cao, Gu (2024), arXiv 2412.19444; the weights are those of DoG (Ivgi, Hinder, Carmon 2023, arXiv 2302.12022). In
practice the last iterate is used; the growth phase hardly counts here, because its weights are tiny.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor

from lemmata.optim.distance import DistanceOptimizer
from lemmata.optim.scale import scalar_options


class AveragedIterate:
    """Average of the iterates of one optimiser: one more tensor per parameter.

    Call :meth:`update` once before each ``optimizer.step()``, so that x_0 counts too, and read the average inside
    ``with average.applied(): ...``, where the parameters hold it.

    Args:
        optimizer: an optimiser of this room; its parameters at this moment are averaged, in float32 at least.
        weight: "eta" as in the theorem, or "uniform".

    Raises:
        ValueError: unknown weight, or ``weight="eta"`` with parameter groups or tensors that do not share one eta.
    """

    def __init__(self, optimizer: DistanceOptimizer, weight: Literal["eta", "uniform"] = "eta") -> None:
        if weight not in ("eta", "uniform"):
            raise ValueError(f'AveragedIterate: weight must be "eta" or "uniform", got {weight!r}.')
        if weight == "eta" and optimizer.param_groups[0]["distance"] != "global":
            raise ValueError(
                f'AveragedIterate: weight="eta" needs one eta, but the optimiser has distance='
                f'{optimizer.param_groups[0]["distance"]!r}; use weight="uniform".'
            )
        self.optimizer, self.weight = optimizer, weight
        self._params = [p for group in optimizer.param_groups for p in group["params"]]
        wide = (torch.promote_types(p.dtype, torch.float32) for p in self._params)
        self.averages = [torch.zeros_like(p, dtype=dtype) for p, dtype in zip(self._params, wide)]
        self.total = torch.zeros((), **scalar_options(self._params))

    @torch.no_grad()
    def update(self) -> None:
        """Take in the parameters as they are now."""
        weight = self.optimizer.eta if self.weight == "eta" else torch.ones_like(self.total)
        self.total += weight
        share = weight / self.total
        for average, p in zip(self.averages, self._params):
            average += (p - average) * share.to(average.device)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within it the parameters hold the average; afterwards, what they held before. Take no step inside.

        Raises:
            RuntimeError: nothing has been averaged yet.
        """
        if not bool(self.total > 0):
            raise RuntimeError("AveragedIterate: nothing has been averaged; call update() before each step.")
        kept = [p.detach().clone() for p in self._params]
        self._write(self.averages)
        try:
            yield
        finally:
            self._write(kept)

    def state_dict(self) -> dict[str, Any]:
        """The averages in the order of the optimiser's parameters, and the sum of weights."""
        return {"weight": self.weight, "total": self.total, "averages": self.averages}

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`.

        Raises:
            ValueError: the state is of other parameters or another weight.
        """
        shapes, saved = [a.shape for a in self.averages], [a.shape for a in state_dict["averages"]]
        if shapes != saved or state_dict["weight"] != self.weight:
            raise ValueError(
                f"AveragedIterate: the state holds weight {state_dict['weight']!r} and shapes {saved}, "
                f"but here are {self.weight!r} and {shapes}."
            )
        self.total.copy_(state_dict["total"])
        for average, value in zip(self.averages, state_dict["averages"]):
            average.copy_(value)

    @torch.no_grad()
    def _write(self, values: list[Tensor]) -> None:
        for p, value in zip(self._params, values):
            p.copy_(value)
