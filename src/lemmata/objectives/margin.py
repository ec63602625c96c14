"""Losses of the margin: logistic and whatever else a user writes in one line.

    L = sum_i weight_i phi(y_i f(x_i)),

with y_i = ±1 the labels, f the network's output and weights 1/n. The gradient is hand-written around phi: only the
elementwise slope phi' may need autograd, and the logistic loss has its own.
"""

from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor

from lemmata.data.sample import Sample, TwoPatchSample
from lemmata.nets.net import Classifier
from lemmata.objectives.objective import Gradient, Objective, Products


class MarginObjective(Objective):
    """Base of losses of the margin. A subclass writes :meth:`of_margin`, and may write :meth:`slope`."""

    trains: ClassVar[type] = Classifier
    reads: ClassVar[type[Sample]] = TwoPatchSample

    def of_margin(self, margin: Tensor) -> Tensor:
        """phi, elementwise."""
        raise TypeError(f"{type(self).__name__} has no phi; write of_margin(self, margin)")

    def slope(self, margin: Tensor) -> Tensor:
        """phi', elementwise; by autograd unless a subclass writes it."""
        with torch.enable_grad():
            leaf = margin.detach().requires_grad_()
            return torch.autograd.grad(self.of_margin(leaf).sum(), leaf)[0]

    def margins(self, products: Products) -> Tensor:
        """y_i f(x_i), ``(c, n)``."""
        p, net, sample = products, cast(Classifier, products.net), cast(TwoPatchSample, products.sample)
        signal, noise = sample.signal.read(p.A), sample.noise.read(p.A)
        return p.labels * net.output(signal, noise, p.head, sample.position)

    def loss(self, products: Products) -> Tensor:
        """``(c,)``, see the module's formula."""
        return (products.weights * self.of_margin(self.margins(products))).sum(1)

    def gradient(self, products: Products) -> tuple[Tensor, Gradient]:
        """The loss and its gradients through the network's hand-written pullback."""
        p, net, sample = products, cast(Classifier, products.net), cast(TwoPatchSample, products.sample)
        signal, noise = sample.signal.read(p.A), sample.noise.read(p.A)
        margin = p.labels * net.output(signal, noise, p.head, sample.position)
        slope = p.weights * p.labels * self.slope(margin)
        on_signal, on_noise, head = net.pullback(slope, signal, noise, p.head, sample.position)
        gradient = torch.zeros_like(p.A)
        sample.signal.write(on_signal, gradient)
        sample.noise.write(on_noise, gradient)
        return (p.weights * self.of_margin(margin)).sum(1), Gradient(gradient, None, head)


@dataclass(frozen=True)
class Logistic(MarginObjective):
    """The logistic loss phi(z) = log(1 + exp(-z))."""

    def of_margin(self, margin: Tensor) -> Tensor:
        """log(1 + exp(-z)), without overflow."""
        return torch.nn.functional.softplus(-margin)

    def slope(self, margin: Tensor) -> Tensor:
        """-1 / (1 + exp(z))."""
        return -torch.sigmoid(-margin)
