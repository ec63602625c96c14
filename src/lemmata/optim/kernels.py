"""One update for the whole room: tensor by tensor, or on lists; :mod:`lemmata.optim.fused` runs it in one pass.

With scalars prepared by the optimiser (:class:`Coefficients`), every method of the room is the same few lines,

    m <- m + w1 (g - m),   v <- b2 v + w2 g^2,   s <- v or max(s, v),
    x <- (1 - decay) x - rate * m / (sqrt(s) + eps),   return ||x - x0||,

elementwise; AdaGrad++ keeps no ``m`` and moves along ``g``. Adam++ (Tao, Yuan, Zhou, Cao, Gu 2024, arXiv 2412.19444)
is Adam with the rate ``c * eta / sqrt(t + 1)``, which is why this form, and torch's own fused Adam for small tensors,
serve. The norm is taken while the new ``x`` is still in cache or register: a second sweep over the parameters would
cost as much as a third of the step. The lists are cut to cache size on the CPU for the same reason.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from lemmata.optim.batch import Coefficients, Row, Slots, flatten, foreach_distance, high_precision, norm

CACHE_ELEMENTS = 1 << 17  # pieces whose arrays stay in cache between the operations on them; found by timing
WIDENED_ELEMENTS = 1 << 24  # float16 and bfloat16 elsewhere: pieces whose copies in float32 do not fill the memory


def update_loop(slots: Slots, c: Coefficients, differentiable: bool = False) -> list[Tensor]:
    """Tensor by tensor, with plain operations that autograd can follow. Returns each ``||x - x0||``."""
    high = high_precision(slots.params[0].dtype)
    if slots.params[0].dtype != high:
        return _in_precision(high, slots, lambda wide: update_loop(wide, c, differentiable))
    norms = []
    for p, g, m, v, s, x0 in slots.rows():
        if c.maximize:
            g = -g
        if c.coupled_decay:
            g = g.add(p, alpha=c.coupled_decay)
        direction = g if m is None else m.lerp_(g, c.momentum_weight)
        v.mul_(c.square_decay).add_(g * g * c.square_weight)
        if s is not None:
            # Autograd keeps operands that the next step would overwrite: hence the copies, here and below.
            s.copy_(torch.maximum(s.clone(), v.clone()) if differentiable else torch.maximum(s, v))
        if differentiable:
            direction, v = direction.clone(), v.clone()
        step = direction / ((v if s is None else s).sqrt() + c.eps) * c.rate
        if differentiable:
            p.copy_(p.clone() * (1 - c.decay) - step)
        else:
            if isinstance(c.decay, Tensor) or c.decay:
                p.mul_(1 - c.decay)
            p.sub_(step)
        norms.append(norm(p - x0))
    return norms


def update_foreach(slots: Slots, c: Coefficients) -> list[Tensor]:
    """The same on lists; on the CPU on cache-sized batches of pieces, so that only the first touch of each is slow."""
    device, dtype = slots.params[0].device, slots.params[0].dtype
    narrow = dtype != high_precision(dtype)
    if device.type != "cpu" and not narrow:
        return foreach_batch(slots, c)
    limit = CACHE_ELEMENTS if device.type == "cpu" else WIDENED_ELEMENTS
    norms: list[Tensor] = []
    owners, batch, size = [], [], 0
    for owner, row in enumerate(slots.rows()):
        for piece in _pieces(row, limit):
            batch.append(piece)
            owners.append(owner)
            size += piece[3].numel()  # type: ignore[union-attr]
            if size >= limit:
                norms += foreach_batch(Slots.of(batch), c)
                batch, size = [], 0
    if batch:
        norms += foreach_batch(Slots.of(batch), c)
    if len(norms) == len(slots.params):
        return norms
    squares, index = torch.stack(norms).square(), torch.tensor(owners, device=device)
    return list(squares.new_zeros(len(slots.params)).index_add_(0, index, squares).sqrt_().unbind())


def _in_precision(dtype: torch.dtype, slots: Slots, update: Callable[[Slots], Any]) -> list[Tensor]:
    """An update on wider copies; each ``||x - x0||`` is that of the parameters as they are after rounding.

    In bfloat16 a factor of 0.999 is 1, in float16 an eps of 1e-8 is 0, and so is the square of a gradient of 1e-4.
    """
    rows = list(slots.rows())
    wide: list[Row] = [tuple(None if t is None else t.to(dtype) for t in row) for row in rows]
    update(Slots.of(wide))
    for row, results in zip(rows, wide):
        p, _, m, v, s, _ = row
        for kept, result in zip((p, m, v, s), (results[0], *results[2:5])):
            if kept is not None and result is not kept and result is not None:
                kept.copy_(result)
    return [norm(row[0].to(dtype) - row[5].to(dtype)) for row in rows]


def foreach_batch(slots: Slots, c: Coefficients) -> list[Tensor]:
    """The update on lists as they come; returns each ``||x - x0||``."""
    high = high_precision(slots.params[0].dtype)
    if slots.params[0].dtype != high:
        return _in_precision(high, slots, lambda wide: foreach_batch(wide, c))
    params: Any = slots.params
    grads: Any = slots.grads
    if c.maximize:
        grads = torch._foreach_neg(grads)
    if c.coupled_decay:
        grads = torch._foreach_add(grads, params, alpha=c.coupled_decay)
    if slots.exp_avgs:
        torch._foreach_lerp_(slots.exp_avgs, grads, c.momentum_weight)
    if c.square_decay != 1:
        torch._foreach_mul_(slots.squares, c.square_decay)
    torch._foreach_addcmul_(slots.squares, grads, grads, c.square_weight)
    if slots.max_squares:
        torch._foreach_maximum_(slots.max_squares, slots.squares)
    denominators: Any = torch._foreach_sqrt(slots.max_squares or slots.squares)
    torch._foreach_add_(denominators, c.eps)
    if isinstance(c.decay, Tensor) or c.decay:
        torch._foreach_mul_(params, 1 - c.decay)
    directions = slots.exp_avgs or grads
    if isinstance(c.rate, Tensor):
        # No list operation takes a device scalar as the factor of addcdiv; dividing the denominator by it is the same,
        # and a rate of zero makes the step 0 as it should, because the denominator is at least eps > 0.
        torch._foreach_div_(denominators, -c.rate.to(denominators[0].dtype))
        torch._foreach_addcdiv_(params, directions, denominators)
    else:
        torch._foreach_addcdiv_(params, directions, denominators, -c.rate)
    return foreach_distance(slots)


def _pieces(row: Row, limit: int) -> Iterable[Row]:
    """A tensor and its state, cut into pieces where it is longer than ``limit``."""
    first = row[0]
    assert first is not None
    flat = flatten(row) if first.numel() > limit else None
    if flat is None:
        return [row]
    count = -(-first.numel() // limit)
    return zip(*([None] * count if t is None else t.split(limit) for t in flat))
