"""A training that also keeps what can be looked at: filters, and what the network makes of some training images."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from lemmata import TrainingBody, train
from lemmata.draws import normal
from lemmata.dynamics.train import Training
from lemmata.sweep import Variable
from lemmata.sweep.around import Around

SHOWN = 6
"""Filters and images that are kept to be drawn."""
KINDS = ("clean", "noisy", "output")


class WithPictures(Around):
    """A training with more variables: ``filters``, their mean and then the longest, and ``pictures``.

    Pictures are clean, noisy at the diffusion time, and the output: the denoised image for a denoiser, the gradient of
    the class score for a classifier. The time is the denoiser's own, 0.2 for a classifier.
    """

    body: TrainingBody

    @property
    def variables(self) -> Mapping[str, Variable]:
        """The training's, and the pictures."""
        return {
            **self.body.variables,
            "filters": Variable(("filter", "pixel"), long_name="filter"),
            "pictures": Variable(("kind", "picture", "pixel"), long_name="image"),
        }

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """The training's, and the numbers of filters, pictures and pixels."""
        shown, pixels = np.arange(SHOWN), np.arange(cast(Any, self.body.cell.data).d)
        more = {"filter": shown, "picture": shown, "kind": np.asarray(KINDS), "pixel": pixels}
        return {**self.body.coordinates, **more}

    def run(self, points: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:  # type: ignore[override]
        """One tile."""
        batched, seeds = self.body.cell.batch(points)
        trained = train(batched, seeds)
        W = trained.filters
        longest = W.square().sum(2).argsort(1, descending=True)[:, : SHOWN - 1]
        kept = W.gather(1, longest.unsqueeze(2).expand(-1, -1, W.shape[2]))
        return {
            **self.body.measured(trained),
            "filters": _padded(torch.cat([W.mean(1, keepdim=True), kept], dim=1), 1),
            "pictures": _padded(_pictures(trained, getattr(batched.objective, "t", 0.2)), 2),
        }


def _pictures(trained: Training, t: float) -> Tensor:
    """Some training images by kind ``(c, kind, picture, pixel)``."""
    W, sample, net = trained.filters, trained.final.products.sample, cast(Any, trained.run.net)
    half = sample.labels.shape[1] // 2  # the classes stand one after the other
    chosen = [i for pair in zip(range(half), range(half, 2 * half)) for i in pair][:SHOWN]
    clean = sample.vectors[:, chosen]
    time = torch.as_tensor(t, dtype=W.dtype)
    alpha, beta = torch.exp(-time), torch.sqrt(-torch.expm1(-2 * time))
    noisy = alpha * clean + beta * normal(trained.final.seeds, "pictures", clean.shape[1:]).to(W)
    if trained.final.products.head:
        weights, _ = net.patch_weights(trained.final.products.head)
        output = (weights.unsqueeze(1) * net.activation.derivative(clean @ W.mT)) @ W
        output = output * sample.labels[:, chosen].unsqueeze(2)
    else:
        predicted = net.activation(noisy @ W.mT) @ W / W.shape[1] ** 0.5
        output = (noisy - beta * predicted) / alpha
    return torch.stack([clean, noisy, output], dim=1)


def _padded(images: Tensor, axis: int) -> np.ndarray:
    """As many images as are kept, NaN where there are fewer."""
    values = images.to("cpu").double().numpy()
    widths = [(0, SHOWN - values.shape[axis] if i == axis else 0) for i in range(values.ndim)]
    return np.pad(values, widths, constant_values=np.nan)
