"""Multinomial logistic regression on scikit-learn's data sets: the convex problems of this room's tests."""

import functools
from dataclasses import dataclass

import torch
from sklearn import datasets
from torch import Tensor
from torch.nn.functional import cross_entropy


@dataclass(frozen=True)
class Logistic:
    """f(x) = mean cross-entropy of (W, b) = x + l2 / 2 ||x||^2; features ``(n, d)`` standardised, then scaled."""

    features: Tensor
    labels: Tensor  # (n,)
    classes: int
    l2: float

    @classmethod
    @functools.cache
    def load(cls, name: str, scale: float = 1.0, dtype: torch.dtype = torch.float64) -> "Logistic":
        """``breast_cancer`` (569 x 30, 2 classes) or ``digits`` (1797 x 64, 10), with l2 = 1e-3 scale^2."""
        raw, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
        spread = raw.std(0)
        spread[spread == 0] = 1
        features = torch.tensor((raw - raw.mean(0)) / spread * scale, dtype=dtype)
        return cls(features, torch.tensor(labels), int(labels.max()) + 1, 1e-3 * scale**2)

    @property
    def dimension(self) -> int:
        return (self.features.shape[1] + 1) * self.classes

    def loss(self, x: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
        weights = x.view(-1, self.classes)
        logits = self.features[rows] @ weights[:-1] + weights[-1]
        return cross_entropy(logits, self.labels[rows]) + self.l2 / 2 * x.square().sum()

    @functools.cache  # noqa: B019  the problems themselves are cached
    def minimum(self) -> tuple[float, "object"]:
        """f(x*) and x* ``(d,)`` as numpy, by LBFGS to a gradient of 1e-9."""
        x = torch.zeros(self.dimension, dtype=torch.float64, requires_grad=True)
        solver = torch.optim.LBFGS(
            [x], max_iter=3000, tolerance_grad=1e-9, tolerance_change=0, line_search_fn="strong_wolfe"
        )

        def closure():
            solver.zero_grad()
            loss = self.loss(x)
            loss.backward()
            return loss

        solver.step(closure)
        assert x.grad.abs().max() < 1e-7
        return self.loss(x).item(), x.detach().numpy()

    def minibatch_run(self, optimizer_of, steps=1000, batch=32, seed=0):
        """The last iterate and its optimiser after ``steps`` minibatch steps from 0 (full batches with batch=None)."""
        x = torch.zeros(self.dimension, dtype=self.features.dtype, requires_grad=True)
        optimizer, generator = optimizer_of([x]), torch.Generator().manual_seed(seed)
        for _ in range(steps):
            rows = slice(None) if batch is None else torch.randint(len(self.labels), (batch,), generator=generator)
            optimizer.zero_grad()
            self.loss(x, rows).backward()
            optimizer.step()
        return x.detach(), optimizer
