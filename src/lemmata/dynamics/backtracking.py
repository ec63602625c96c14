"""A guard against steps that are too long: a step that raises the loss is taken back and the step size halved.

Losses of high degree in the weights (the denoising loss has degree six) leave every region of fast descent for a
steeper one sooner or later. Each cell keeps the last point it accepted,

    L(theta_new) > L(theta) or not finite:   theta <- theta_accepted,  eta <- eta / 2,

and goes on; a step taken back counts as a step. No waiting for the device.
"""

import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.dynamics.engine import Point


class Backtracking:
    """The last accepted point of every cell, and by how much its step size has shrunk."""

    def __init__(self, like: Tensor):
        self.factor = torch.ones_like(like)  # (c,)
        self.accepted: tuple[Point, Tensor, Point] | None = None

    def revise(self, point: Point, loss: Tensor, gradient: Point) -> tuple[Point, Tensor, Point]:
        """The point to go on from, with its loss ``(c,)`` and gradient: ``point``, or the one accepted before."""
        if self.accepted is not None:
            held_point, held_loss, held_gradient = self.accepted
            worse = ~(loss <= held_loss + 1e-12 * held_loss.abs())
            self.factor = torch.where(worse, self.factor / 2, self.factor)
            loss = torch.where(worse, held_loss, loss)
            point = {name: _choose(worse, held_point[name], value) for name, value in point.items()}
            gradient = {name: _choose(worse, held_gradient[name], value) for name, value in gradient.items()}
        self.accepted = (point, loss, gradient)
        return self.accepted


def _choose(first: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return torch.where(per_cell(first.to(torch.uint8), a).bool(), a, b)
