"""A one-layer encoder of patches: the features that contrastive learning trains.

    h_r(x) = sum_s act(<w_r, x_s>),   r = 1 .. m,   s = patches,   w_r(0) ~ N(0, init^2 I),

in every modality with filters of its own. This is the encoder of Huang, Han, Chen, Cao, Xu, Suzuki 2024
(arXiv 2411.02837), with act the ReLU. Our names: ``m`` is m, ``init`` is sigma_0.
"""

from dataclasses import dataclass, field

from torch import Tensor

from lemmata.nets.activations import Activation, ReLU
from lemmata.nets.filters import Filters
from lemmata.parameters import check, parameter


@dataclass(frozen=True)
class PatchEncoder(Filters):
    """``m`` features of samples of two patches.

    Args:
        m: features, at least 1.
        init: standard deviation of the coordinates of the filters at the start, above 0: from exactly zero the
            features never move.
        activation: of every patch.

    Raises:
        ValueError: for a value outside its range.

    ``init`` may be a ``(c,)`` tensor, one value per cell.
    """

    m: int = parameter("features m", int, units="filters", least=1)
    init: float | Tensor = parameter("filter scale at the start σ₀", above=0, scale="log", per_cell=True, default=1e-3)
    activation: Activation = field(default_factory=ReLU)

    def __post_init__(self) -> None:
        check(self)

    def features(self, signal: Tensor, noise: Tensor) -> Tensor:
        """h ``(..., r, n)`` from the pre-activations ``(..., r, n)`` of both patches."""
        return self.activation(signal) + self.activation(noise)

    def stable_step(self, curvature: Tensor) -> Tensor:
        """The step size 1 / (4 S^2) with S^2 = ``curvature`` ``(c,)``.

        Features grow at rate S^2 / tau while they are small and stop where similarities are a few tau, so a fixed
        fraction of tau times this is stable (our rule, measured; the paper leaves the step free).
        """
        return 0.25 / curvature
