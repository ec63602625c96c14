"""A linear encoder for pre-training: its filters are later the hidden layer of a two-layer network.

    h_r(x) = sum_s <w_r, x_s>,   r = 1 .. 2m,   s = patches,   w_r(0) ~ N(0, init^2 I)

It has no other parameters; the projection head is the identity. This is the encoder of Zhang, Cao 2024 (arXiv
2409.18685). Our names: ``m`` filters go to either branch of the network that is fine-tuned, ``init`` is sigma_0.
"""

from dataclasses import dataclass

from torch import Tensor

from lemmata.nets.filters import Filters
from lemmata.parameters import check, parameter


@dataclass(frozen=True)
class LinearEncoder(Filters):
    """``2 m`` linear filters.

    Args:
        m: half the number of filters, at least 1.
        init: standard deviation of the coordinates of the filters at the start, above 0.

    Raises:
        ValueError: for a value outside its range.

    ``init`` may be a ``(c,)`` tensor, one value per cell.
    """

    m: int = parameter("half the number of filters m", int, units="filters", least=1)
    init: float | Tensor = parameter("filter scale at the start σ₀", above=0, scale="log", per_cell=True, default=1e-4)

    def __post_init__(self) -> None:
        check(self)

    @property
    def filters(self) -> int:
        """Number of filters, r = 2m."""
        return 2 * self.m

    def stable_step(self, curvature: Tensor) -> Tensor:
        """The step size 1 / S^2 with S^2 = ``curvature`` ``(c,)``, under which filters at most double in a step.

        S^2 is the largest eigenvalue of the matrix whose power method early training is
        (:func:`lemmata.papers.simclr.theory.power_matrix`).
        """
        return 1 / curvature
