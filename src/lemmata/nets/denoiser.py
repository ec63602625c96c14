"""A two-layer denoiser with tied weights: the filters that read a noisy patch also write its noise.

    f(x_t) = 1/sqrt(m) sum_r act(<w_r, x_t>) w_r,     applied to every patch,     w_r(0) ~ N(0, init^2 I),

the network of Han, Huang, Cao, Zou 2024 (arXiv 2412.01021). Our names: ``m`` is m, ``init`` is sigma_0, ``activation``
is quadratic in the paper. It has no head: the filters are all there is.
"""

from dataclasses import dataclass, field

from torch import Tensor

from lemmata.nets.activations import Activation, Power
from lemmata.nets.filters import Filters
from lemmata.parameters import check, parameter


@dataclass(frozen=True)
class TiedDenoiser(Filters):
    """``m`` filters, shared by both patches and by both layers.

    Args:
        m: number of filters, at least 1.
        init: standard deviation of the coordinates of the filters at the start, at least 0.
        activation: of the hidden layer. The closed forms over the noise need a :class:`~lemmata.Power`.

    Raises:
        ValueError: for a value outside its range.

    ``init`` may be a ``(c,)`` tensor, one value per cell.
    """

    m: int = parameter("filters m", int, units="filters", least=1)
    init: float | Tensor = parameter("filter scale at the start σ₀", least=0, scale="log", per_cell=True, default=1e-3)
    activation: Activation = field(default_factory=Power)

    def __post_init__(self) -> None:
        check(self)

    def stable_step(self, curvature: Tensor) -> Tensor:
        """The step size 2 / S^2 with S^2 = ``curvature`` ``(c,)``.

        The steepest directions of the denoising loss near its stationary points are the data vectors, with curvature
        proportional to their squared length times their share of the samples (our rule, measured).
        """
        return 2 / curvature
