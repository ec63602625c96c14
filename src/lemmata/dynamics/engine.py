"""What an engine is: linear coordinates of the trained parameters, and the gradient of the loss in them.

A rule (gradient descent with momentum, decay, ...) sees a *point*, a dictionary of tensors whose first axis is the
cells, and never asks what the coordinates mean. So one rule runs on every engine.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from lemmata.data.sample import Sample
from lemmata.nets.net import Net
from lemmata.objectives.objective import Objective, Products

Point = dict[str, Tensor]


class Engine(ABC):
    """Base of the engines: the part that concerns the head, which every engine holds as it is."""

    def __init__(self, sample: Sample, net: Net, objective: Objective):
        self.sample, self.net, self.objective = sample, net, objective
        self.still_head: Point = {}
        self.moving_head: tuple[str, ...] = ()
        self.seeds: Tensor | None = None

    def start(self, head: dict[str, Tensor], moving: tuple[str, ...]) -> Point:
        """The point at step 0. Parameters of the head outside ``moving`` stay as they are for ever."""
        self.moving_head = moving
        self.still_head = {name: value for name, value in head.items() if name not in moving}
        return {**self.initial_filters(), **{name: head[name].clone() for name in moving}}

    def head(self, point: Point) -> dict[str, Tensor]:
        """All parameters of the head, by name."""
        return {**self.still_head, **{name: point[name] for name in self.moving_head}}

    def products(self, point: Point, labels: Tensor, weights: Tensor) -> Products:
        """What the objective reads; Q only if it says so."""
        A = self.inner_products(point)
        Q = self.filter_gram(point, A) if self.objective.reads_filter_gram else None
        return Products(A, Q, self.head(point), self.net, self.sample, labels, weights, self.seeds)

    def full_products(self, point: Point, labels: Tensor) -> Products:
        """Inner products for the probes: Q always, labels and weights of the full batch."""
        A, weights = self.inner_products(point), torch.full_like(labels, 1 / labels.shape[1])
        Q = self.filter_gram(point, A)
        return Products(A, Q, self.head(point), self.net, self.sample, labels, weights, self.seeds)

    def refresh(self, seeds: Tensor) -> None:
        """New randomness for the next gradient, from this step's seeds ``(c,)``, where the objective draws."""
        self.seeds = seeds

    def expected_gradient(self, point: Point, labels: Tensor, weights: Tensor) -> tuple[Tensor, Point]:
        """The loss ``(c,)`` and its gradient without the randomness of the steps."""
        return self.gradient(point, labels, weights)

    def squared_norm(self, direction: Point) -> Tensor:
        """Squared length ``(c,)`` of a direction in parameter space, filters and moving head together."""
        head = [direction[name].flatten(1).square().sum(1) for name in self.moving_head]
        return torch.stack([self.filters_squared_norm(direction), *head]).sum(0)

    @abstractmethod
    def initial_filters(self) -> Point:
        """The coordinates of the filters at step 0."""

    @abstractmethod
    def inner_products(self, point: Point) -> Tensor:
        """A = W X^T, ``(c, r, k)``."""

    @abstractmethod
    def filter_gram(self, point: Point, A: Tensor) -> Tensor:
        """Q = W W^T, ``(c, r, r)``, where A is known."""

    @abstractmethod
    def witness_products(self, point: Point) -> Tensor | None:
        """Inner products ``(c, r, j)`` of the filters with the sample's witnesses, None if it has none."""

    @abstractmethod
    def gradient(self, point: Point, labels: Tensor, weights: Tensor) -> tuple[Tensor, Point]:
        """The loss ``(c,)`` at ``point`` and its gradient in the point's coordinates."""

    @abstractmethod
    def filters_squared_norm(self, direction: Point) -> Tensor:
        """Squared length ``(c,)`` of the filters' part of a direction."""

    @abstractmethod
    def filters(self, point: Point) -> Tensor:
        """W ``(c, r, d)`` in the sample's coordinates."""
