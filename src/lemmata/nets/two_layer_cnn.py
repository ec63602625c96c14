"""A two-layer CNN on patches whose hidden filters and output weights are both trained.

    f(x) = scale * sum_r sum_s v_{r,s} act(<w_r, x_s>),   r = 1 .. 2m,   s = patches,

with signs in two blocks: v_r(0) = +v0 for the first m filters, -v0 for the last m, and w_r(0) ~ N(0, init^2 I). This is
the network of Shang, Meng, Cao, Zou 2024 (arXiv 2410.19139), and with ``train_output=False, v0=1/m`` that of Kou, Chen,
Chen, Gu 2023 (arXiv 2303.04145). Our names: ``m`` is m, ``v0`` the scale of the output weights, ``init`` is sigma_0.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.draws import normal
from lemmata.nets.activations import Activation, ReLU
from lemmata.nets.filters import Filters
from lemmata.parameters import check, parameter


@dataclass(frozen=True)
class TwoLayerCNN(Filters):
    """``m`` filters of either sign on two patches, read through their inner products with the data.

    Args:
        m: filters per sign, at least 1; the network has r = 2m.
        v0: scale of the output weights at the start, above 0.
        init: standard deviation of the coordinates of the filters at the start, at least 0.
        activation: of the hidden layer.
        train_output: whether the output weights move.
        per_patch_output: every filter has one output weight per patch position instead of one.
        output_init: ``"signs"`` starts at exactly ±v0, ``"normal"`` at N(0, v0^2).
        divide_by_m: the output is divided by m.

    Raises:
        ValueError: for a value outside its range.

    ``v0`` and ``init`` may be ``(c,)`` tensors, one value per cell.
    """

    m: int = parameter("filters m of either sign", int, units="filters", least=1)
    v0: float | Tensor = parameter("output scale at the start v₀", above=0, scale="log", per_cell=True, default=0.5)
    init: float | Tensor = parameter("filter scale at the start σ₀", least=0, scale="log", per_cell=True, default=1e-3)
    activation: Activation = field(default_factory=ReLU)
    train_output: bool = parameter("output weights move", bool, default=True)
    per_patch_output: bool = parameter("output weights for each patch", bool, default=False)
    output_init: Literal["signs", "normal"] = parameter(
        "output weights at the start", str, choices=("signs", "normal"), default="signs"
    )
    divide_by_m: bool = parameter("output divided by m", bool, default=False)

    def __post_init__(self) -> None:
        check(self)

    @property
    def filters(self) -> int:
        """Number of filters, r = 2m."""
        return 2 * self.m

    @property
    def moving_head(self) -> tuple[str, ...]:
        """Names of the head's parameters that are trained."""
        return ("output",) if self.train_output else ()

    def signs(self, like: Tensor) -> Tensor:
        """Sign ``(r,)`` of every filter's block."""
        return torch.cat([torch.ones_like(like[:1]).expand(self.m), -torch.ones_like(like[:1]).expand(self.m)])

    def initial_head(self, seeds: Tensor) -> dict[str, Tensor]:
        """Output weights at the start, ``{"output": (c, r)}``, or ``(c, r, 2)`` with one weight per patch."""
        shape = (self.filters, 2) if self.per_patch_output else (self.filters,)
        if self.output_init == "normal":
            start = normal(seeds, "output", shape)
        else:
            signs = self.signs(torch.ones(1, dtype=torch.float64, device=seeds.device))
            start = signs.reshape(-1, *[1] * (len(shape) - 1)).expand(seeds.shape[0], *shape)
        return {"output": start * per_cell(self.v0, start)}

    def patch_weights(self, head: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Output weights ``(c, r)`` on the first and on the second patch, the scale of the output included."""
        output = head["output"] / self.m if self.divide_by_m else head["output"]
        return (output[..., 0], output[..., 1]) if self.per_patch_output else (output, output)

    def output(self, signal: Tensor, noise: Tensor, head: dict[str, Tensor], position: Tensor) -> Tensor:
        """f ``(c, n)`` from the pre-activations of both patches.

        Args:
            signal: ``(c, r, n)``; noise: ``(c, r, n)``.
            head: the output weights, see :meth:`initial_head`.
            position: ``(c, n)``, 0 where the signal patch comes first.
        """
        first, second = self.patch_weights(head)
        if not self.per_patch_output:
            hidden = self.activation(signal) + self.activation(noise)
            return (first.unsqueeze(1) @ hidden).squeeze(1)
        swapped = position.bool().unsqueeze(1)
        on_signal = torch.where(swapped, second.unsqueeze(2), first.unsqueeze(2))
        on_noise = torch.where(swapped, first.unsqueeze(2), second.unsqueeze(2))
        return (on_signal * self.activation(signal) + on_noise * self.activation(noise)).sum(1)

    def pullback(
        self, slope: Tensor, signal: Tensor, noise: Tensor, head: dict[str, Tensor], position: Tensor
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Gradients of ``sum_i slope_i f_i`` with respect to both patches' pre-activations and the output weights.

        The hand-written twin of autograd through :meth:`output`; ``slope`` is ``(c, n)``.
        """
        first, second = self.patch_weights(head)
        hidden = self.activation(signal), self.activation(noise)
        slopes = slope.unsqueeze(1)
        scale = 1 / self.m if self.divide_by_m else 1.0
        if not self.per_patch_output:
            weighted = first.unsqueeze(2) * slopes
            output = ((hidden[0] + hidden[1]) @ (scale * slope).unsqueeze(2)).squeeze(2)
            on_signal = on_noise = weighted
        else:
            swapped = position.bool().unsqueeze(1)
            on_signal = torch.where(swapped, second.unsqueeze(2), first.unsqueeze(2)) * slopes
            on_noise = torch.where(swapped, first.unsqueeze(2), second.unsqueeze(2)) * slopes
            in_place = torch.where(swapped, hidden[1], hidden[0]), torch.where(swapped, hidden[0], hidden[1])
            output = torch.stack([(h @ (scale * slope).unsqueeze(2)).squeeze(2) for h in in_place], dim=-1)
        gradient = {"output": output}
        return (
            on_signal * self.activation.derivative(signal),
            on_noise * self.activation.derivative(noise),
            gradient,
        )

    def stable_step(self, curvature: Tensor) -> Tensor:
        """The step size 1 / (m max(v0, v*)^2 S^2) with S^2 = ``curvature`` ``(c,)`` and v* = (m S)^(-1/2).

        v* is the size the output weights reach from a small start, so a fixed fraction of this is stable for every
        combination of sample size, signal and v0 (our rule, measured; the paper leaves the step size free). With the
        output divided by m it is m / (max(v0, v*)^2 S^2) and v* = S^(-1/2).
        """
        v0 = torch.as_tensor(self.v0, dtype=curvature.dtype, device=curvature.device)
        gain = 1.0 if self.divide_by_m else float(self.m)
        reached = (gain * curvature.sqrt()) ** -0.5
        return self.m / (gain**2 * torch.maximum(v0, reached) ** 2 * curvature)
