"""Activations, each with the three facts the other rooms need: its value, its derivative, its scaling.

An activation is *positively homogeneous* of degree q when act(a z) = a^q act(z) for every a > 0, and *piecewise linear*
when it is straight on either side of zero. Exact tail methods for the test error read these two facts from ``degree``
and ``slopes``; hand-written gradients read ``derivative``.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Activation(Protocol):
    """What a network, a hand-written gradient and a tail estimate ask of an activation."""

    @property
    def degree(self) -> float | None:
        """q with act(a z) = a^q act(z) for all a > 0, or None."""

    @property
    def slopes(self) -> tuple[float, float] | None:
        """Slopes left and right of zero of a piecewise linear activation with act(0) = 0, or None."""

    def __call__(self, z: Tensor) -> Tensor:
        """act(z), elementwise."""

    def derivative(self, z: Tensor) -> Tensor:
        """act'(z), elementwise; at a kink the value PyTorch's autograd gives."""


@dataclass(frozen=True)
class ReLU:
    """act(z) = max(z, 0)^power, homogeneous of degree ``power``.

    Args:
        power: q >= 1. One is the usual ReLU; q > 2 is the activation of Cao, Chen, Belkin, Gu (2022, arXiv 2202.06526).

    Raises:
        ValueError: power below one or not finite.
    """

    power: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.power) and self.power >= 1):
            raise ValueError(
                f"ReLU power must be a finite number of at least 1, got {self.power}: use ReLU(power=1.0)."
            )

    @property
    def degree(self) -> float:
        return self.power

    @property
    def slopes(self) -> tuple[float, float] | None:
        return (0.0, 1.0) if self.power == 1 else None

    def __call__(self, z: Tensor) -> Tensor:
        return torch.relu(z) if self.power == 1 else torch.relu(z) ** self.power

    def derivative(self, z: Tensor) -> Tensor:
        """power * max(z, 0)^(power - 1), and 0 at z = 0."""
        if self.power == 1:
            return (z > 0).to(z.dtype)
        return self.power * torch.relu(z) ** (self.power - 1)


@dataclass(frozen=True)
class LeakyReLU:
    """act(z) = z for z > 0 and slope * z otherwise, homogeneous of degree one.

    Args:
        slope: slope on the negative side, any finite number.

    Raises:
        ValueError: slope not finite.
    """

    slope: float = 0.01

    def __post_init__(self) -> None:
        if not math.isfinite(self.slope):
            raise ValueError(f"LeakyReLU slope must be finite, got {self.slope}: the usual choice is 0.01.")

    @property
    def degree(self) -> float:
        return 1.0

    @property
    def slopes(self) -> tuple[float, float]:
        return (self.slope, 1.0)

    def __call__(self, z: Tensor) -> Tensor:
        return torch.where(z > 0, z, self.slope * z)

    def derivative(self, z: Tensor) -> Tensor:
        """1 for z > 0, else ``slope``."""
        return torch.where(z > 0, torch.ones_like(z), self.slope)


@dataclass(frozen=True)
class Power:
    """act(z) = z^power, a polynomial, so that its Gaussian moments have closed forms.

    Args:
        power: 2 (quadratic), 3 (cubic) or any larger whole number.

    Raises:
        ValueError: power not a whole number of at least two.
    """

    power: int = 2

    def __post_init__(self) -> None:
        if not isinstance(self.power, int) or isinstance(self.power, bool) or self.power < 2:
            raise ValueError(
                f"Power must be a whole number of at least 2, got {self.power!r}: use Power(2) or Power(3)."
            )

    @property
    def degree(self) -> float:
        return float(self.power)

    @property
    def slopes(self) -> None:
        return None

    def __call__(self, z: Tensor) -> Tensor:
        return z**self.power

    def derivative(self, z: Tensor) -> Tensor:
        """power * z^(power - 1)."""
        return self.power * z ** (self.power - 1)

    def gaussian_moments(self, mean: Tensor, variance: Tensor) -> list[Tensor]:
        """E act^(j)(z), z ~ N(mean, variance), of all derivatives j = 0 .. power - 1; that of j = power is power!.

        By E z^(i+1) = mean E z^i + i variance E z^(i-1); the shapes of both arguments broadcast.
        """
        raw = [mean, mean * mean + variance]
        for i in range(2, self.power):
            raw.append(mean * raw[-1] + (i * variance) * raw[-2])
        found = [math.perm(self.power, j) * raw[self.power - j - 1] for j in range(1, self.power)]
        return [raw[self.power - 1], *found]


@dataclass(frozen=True)
class Softplus:
    """act(z) = log(1 + exp(z)), smooth and not homogeneous."""

    @property
    def degree(self) -> None:
        return None

    @property
    def slopes(self) -> None:
        return None

    def __call__(self, z: Tensor) -> Tensor:
        return torch.nn.functional.softplus(z)

    def derivative(self, z: Tensor) -> Tensor:
        """1 / (1 + exp(-z))."""
        return torch.sigmoid(z)


@dataclass(frozen=True)
class GELU:
    """act(z) = z Phi(z), Phi the standard normal distribution function (Hendrycks, Gimpel 2016, arXiv 1606.08415)."""

    @property
    def degree(self) -> None:
        return None

    @property
    def slopes(self) -> None:
        return None

    def __call__(self, z: Tensor) -> Tensor:
        return torch.nn.functional.gelu(z)

    def derivative(self, z: Tensor) -> Tensor:
        """Phi(z) + z phi(z), phi the standard normal density."""
        return torch.special.ndtr(z) + z * torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
