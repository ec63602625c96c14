"""What all networks here share: filters that start as Gaussian vectors, and no head unless one is written."""

import torch
from torch import Tensor

from lemmata.cells import per_cell


class Filters:
    """Base of the networks, each a frozen dataclass with fields ``m`` and ``init``.

    Filters start at w_r(0) ~ N(0, init^2 I). A network with further parameters overrides :meth:`initial_head`
    and :attr:`moving_head`.
    """

    m: int
    init: float | Tensor

    @property
    def moving_head(self) -> tuple[str, ...]:
        """Names of the head's parameters that are trained."""
        return ()

    @property
    def filters(self) -> int:
        """Number of filters r."""
        return self.m

    def initial_scale(self, seeds: Tensor) -> Tensor:
        """Standard deviation ``(c, r)`` of the coordinates of the filters at the start."""
        ones = torch.ones(seeds.shape[0], self.filters, dtype=torch.float64, device=seeds.device)
        return ones * per_cell(self.init, ones)

    def initial_head(self, seeds: Tensor) -> dict[str, Tensor]:
        """Parameters beside the filters at the start, by name, cells first."""
        return {}
