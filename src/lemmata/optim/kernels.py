"""One update for the whole room, three ways to run it: tensor by tensor, on lists, and in one compiled pass.

With scalars prepared by the optimiser (:class:`Coefficients`), every method here is the same five lines,

    m <- m + w1 (g - m),   v <- b2 v + w2 g^2,   s <- v or max(s, v),
    x <- (1 - decay) x - rate * m / (sqrt(s) + eps),   return ||x - x0||,

elementwise; AdaGrad++ keeps no ``m`` and moves along ``g``. Adam++ (Tao, Yuan, Zhou, Cao, Gu 2024, arXiv 2412.19444)
is Adam with the rate ``c * eta / sqrt(t + 1)``, which is why this form, and torch's own fused Adam for small tensors,
serve. The norm is taken while the new ``x`` is still in cache or register: a second sweep over the parameters would
cost as much as a third of the step. The lists are cut to cache size on the CPU for the same reason.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Scalar = Any  # a float, or a 0-d tensor

CACHE_ELEMENTS = 1 << 15  # five fp32 arrays of this length fit a 1 MiB second-level cache
COMPILED_FROM = {"cpu": 1 << 15}  # below this many elements the call costs more than the pass
COMPILED_FROM_ELSEWHERE = 1 << 20


@dataclass(frozen=True, slots=True)
class Coefficients:
    """The scalars of one step, shared by a batch; floats, or 0-d tensors where the host must not look."""

    momentum_weight: Scalar  # w1: weight of the new gradient in m
    square_decay: Scalar  # b2
    square_weight: Scalar  # w2
    rate: Scalar  # multiplies m / (sqrt(s) + eps)
    eps: Scalar
    decay: Scalar  # decoupled weight decay: the share of x taken away
    coupled_decay: float  # coupled weight decay: adds coupled_decay * x to g
    maximize: bool

    def select(self, index: int) -> "Coefficients":
        """The scalars of tensor ``index`` where they were computed as vectors ``(tensors,)``."""
        pick = (v[index] if isinstance(v, Tensor) and v.ndim else v for v in map(self.__getattribute__, self.__slots__))
        return Coefficients(*pick)  # type: ignore[arg-type]

    def to(self, device: torch.device, dtype: torch.dtype) -> "Coefficients":
        """The same with its tensors on ``device`` and in ``dtype``, as in-place operations ask for."""
        moved = (
            v.to(device, dtype) if isinstance(v, Tensor) else v for v in map(self.__getattribute__, self.__slots__)
        )
        return Coefficients(*moved)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Slots:
    """The tensors of a batch, side by side: entry ``i`` of every list has the shape of parameter ``i``."""

    params: list[Tensor]
    grads: list[Tensor]
    exp_avgs: list[Tensor]  # empty without momentum
    squares: list[Tensor]
    max_squares: list[Tensor]  # empty without the running maximum
    origins: list[Tensor]

    def rows(self) -> Iterator[tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor | None, Tensor]]:
        none = [None] * len(self.params)
        exp_avgs, max_squares = self.exp_avgs or none, self.max_squares or none
        return zip(self.params, self.grads, exp_avgs, self.squares, max_squares, self.origins)

    @classmethod
    def of(cls, rows: Iterable[tuple[Tensor | None, ...]]) -> "Slots":
        columns = [list(column) for column in zip(*rows)]
        return cls(*([] if column[0] is None else column for column in columns))


def update_loop(slots: Slots, c: Coefficients, differentiable: bool = False) -> list[Tensor]:
    """Tensor by tensor, with plain operations that autograd can follow. Returns ``||x - x0||`` of each."""
    high = high_precision(slots.params[0].dtype)
    if isinstance(c.rate, Tensor) and slots.params[0].dtype != high:
        return _in_precision(high, slots, c)
    norms = []
    for p, g, m, v, s, x0 in slots.rows():
        if c.maximize:
            g = -g
        if c.coupled_decay:
            g = g.add(p, alpha=c.coupled_decay)
        direction = g if m is None else m.lerp_(g, c.momentum_weight)
        v.mul_(c.square_decay).add_(g * g * c.square_weight)
        if s is not None:
            # Autograd keeps the operands of the maximum, which the next step overwrites: hence the copies.
            s.copy_(torch.maximum(s.clone(), v.clone()) if differentiable else torch.maximum(s, v))
        if differentiable:
            direction, v = direction.clone(), v.clone()
        denominator = (v if s is None else s).sqrt().add_(c.eps)
        if isinstance(c.decay, Tensor) or c.decay:
            p.mul_(1 - c.decay)
        p.sub_(direction / denominator * c.rate)
        norms.append(norm(p - x0))
    return norms


def update_foreach(slots: Slots, c: Coefficients) -> list[Tensor]:
    """The same on lists; on the CPU on cache-sized batches of pieces, so that only the first touch of each is slow."""
    if slots.params[0].device.type != "cpu":
        return _foreach(slots, c)
    norms: list[Tensor] = []
    owners, batch, size = [], [], 0
    for owner, row in enumerate(slots.rows()):
        for piece in _pieces(row):
            batch.append(piece)
            owners.append(owner)
            size += piece[3].numel()  # type: ignore[union-attr]
            if size >= CACHE_ELEMENTS:
                norms += _foreach(Slots.of(batch), c)
                batch, size = [], 0
    if batch:
        norms += _foreach(Slots.of(batch), c)
    if len(norms) == len(slots.params):
        return norms
    squares = torch.stack(norms).square()
    totals = squares.new_zeros(len(slots.params)).index_add_(0, torch.tensor(owners), squares)
    return list(totals.sqrt_().unbind())


def update_fused(slots: Slots, c: Coefficients) -> list[Tensor]:
    """Large tensors in one compiled pass each, the small ones together in torch's fused Adam.

    A compiled pass reads x, g, m, v, x0 and writes x, m, v: 8 words a parameter where AdamW moves 7. Calling it costs
    some twenty microseconds, so tensors that take less than that share one call of the kernel that torch ships.
    """
    norms: list[Tensor | None] = []
    small: list[tuple[Tensor | None, ...]] = []
    device, dtype = slots.params[0].device, slots.params[0].dtype
    threshold = COMPILED_FROM.get(device.type, COMPILED_FROM_ELSEWHERE)
    scalars = None
    for row in slots.rows():
        flat = _flat(row) if row[0].numel() >= threshold else None
        if flat is None:
            small.append(row)
            norms.append(None)
            continue
        if scalars is None:
            scalars = _as_tensors(c, torch.float64 if dtype == torch.float64 else torch.float32)
        norms.append(_compiled(c.maximize, c.coupled_decay != 0)(*flat, *scalars).sqrt())
    if small:
        rest = iter(_fused_small(Slots.of(small), c))
        return [next(rest) if norm is None else norm for norm in norms]
    return norms  # type: ignore[return-value]


def _in_precision(dtype: torch.dtype, slots: Slots, c: Coefficients) -> list[Tensor]:
    """The loop on wider copies: a tensor scalar would be rounded to bfloat16, where 0.999 is 1."""
    norms = []
    for row in slots.rows():
        wide = tuple(None if t is None else t.to(dtype) for t in row)
        norms += update_loop(Slots.of([wide]), c)
        for narrow, result in zip(row[:-1], wide[:-1]):
            if narrow is not None and result is not None and narrow is not row[1]:
                narrow.copy_(result)
    return norms


def norm(difference: Tensor) -> Tensor:
    """Euclidean norm as a 0-d tensor, accumulated in float32 at least; of a DTensor, over its whole mesh."""
    length = torch.linalg.vector_norm(difference, dtype=high_precision(difference.dtype))
    return length.full_tensor() if hasattr(length, "full_tensor") else length


def high_precision(dtype: torch.dtype) -> torch.dtype:
    """What a scalar that multiplies this dtype, or a sum of its squares, is held in."""
    return torch.float64 if dtype in (torch.float64, torch.complex128) else torch.float32


def _foreach(slots: Slots, c: Coefficients) -> list[Tensor]:
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
    return _foreach_distance(slots)


def _foreach_distance(slots: Slots) -> list[Tensor]:
    differences = torch._foreach_sub(slots.params, slots.origins)
    return list(torch._foreach_norm(differences, 2, dtype=high_precision(differences[0].dtype)))


def _fused_small(slots: Slots, c: Coefficients) -> list[Tensor]:
    """torch's fused Adam, told that it is at a late step, where its bias corrections are 1: ours are in ``c``."""
    if not slots.exp_avgs:
        return _foreach(slots, c)
    rate = c.rate if isinstance(c.rate, Tensor) else torch.tensor(c.rate, dtype=torch.float64)
    if slots.params[0].device.type != "cpu":
        rate = rate.to(torch.float32)
    late = torch.full((), 1e30, device=slots.params[0].device)
    decoupled = isinstance(c.decay, Tensor) or bool(c.decay)
    if decoupled:
        # Its decoupled decay is lr * weight_decay with its lr, which here holds the bias corrections: do it first.
        torch._foreach_mul_(slots.params, 1 - c.decay)
    torch._fused_adam_(
        slots.params, slots.grads, slots.exp_avgs, slots.squares, slots.max_squares, [late] * len(slots.params),
        lr=rate, beta1=1 - c.momentum_weight, beta2=c.square_decay, weight_decay=c.coupled_decay, eps=c.eps,
        amsgrad=bool(slots.max_squares), maximize=c.maximize,
    )  # fmt: skip
    return _foreach_distance(slots)


def _one_pass(
    maximize: bool, coupled: bool, p: Tensor, g: Tensor, m: Tensor | None, v: Tensor, s: Tensor | None, x0: Tensor,
    w1: Tensor, b2: Tensor, w2: Tensor, rate: Tensor, eps: Tensor, keep: Tensor, l2: Tensor,
) -> Tensor:  # fmt: skip
    """The update of one flat tensor, out of place up to the last lines so that it compiles to a single loop."""
    high = torch.float64 if p.dtype == torch.float64 else torch.float32
    g = g.to(high)
    if maximize:
        g = -g
    if coupled:
        g = g + l2 * p.to(high)
    direction = g
    if m is not None:
        direction = m.to(high) + w1 * (g - m.to(high))
        m.copy_(direction)
    square = b2 * v.to(high) + w2 * g * g
    v.copy_(square)
    if s is not None:
        square = torch.maximum(s.to(high), square)
        s.copy_(square)
    new = (keep * p.to(high) - rate * (direction / (square.sqrt() + eps))).to(p.dtype)
    p.copy_(new)
    difference = new.to(high) - x0.to(high)
    return (difference * difference).sum()


@functools.cache
def _compiled(maximize: bool, coupled: bool) -> Callable[..., Tensor]:
    return torch.compile(functools.partial(_one_pass, maximize, coupled), dynamic=True, fullgraph=True)


def _as_tensors(c: Coefficients, dtype: torch.dtype) -> list[Tensor]:
    """0-d tensors: floats would be compiled in and recompiled at each step. Host values stay on the host."""
    values = (c.momentum_weight, c.square_decay, c.square_weight, c.rate, c.eps, 1 - c.decay, c.coupled_decay)
    return [v.to(dtype) if isinstance(v, Tensor) else torch.tensor(v, dtype=dtype) for v in values]


def _flat(row: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...] | None:
    """One-dimensional views in memory order of tensors laid out alike; None where there are no such views."""
    if all(t is None or t.is_contiguous() for t in row):
        return tuple(None if t is None else t.view(-1) for t in row)
    first = row[0]
    assert first is not None
    order = sorted(range(first.ndim), key=first.stride, reverse=True)
    row = tuple(None if t is None else t.permute(order) for t in row)
    if all(t is None or t.is_contiguous() for t in row):
        return tuple(None if t is None else t.view(-1) for t in row)
    return None


def _pieces(row: tuple[Tensor | None, ...]) -> Iterable[tuple[Tensor | None, ...]]:
    """A tensor and its state, cut into cache-sized pieces where it is longer than one."""
    first = row[0]
    assert first is not None
    flat = _flat(row) if first.numel() > CACHE_ELEMENTS else None
    if flat is None:
        return [row]
    count = -(-first.numel() // CACHE_ELEMENTS)
    return zip(*([None] * count if t is None else t.split(CACHE_ELEMENTS) for t in flat))
