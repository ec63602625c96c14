"""The update in one pass over memory: large tensors compiled, small ones together in the kernel that torch ships.

It is the update of :mod:`lemmata.optim.kernels`. ``torch.compile`` turns :func:`_one_pass` into one loop on the CPU and
one Triton kernel on a GPU, with the squared distance summed in it.
"""

import functools
import types
from collections import defaultdict
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from lemmata.optim.batch import Coefficients, Row, Slots, all_contiguous, flatten, foreach_distance, high_precision
from lemmata.optim.kernels import update_foreach, update_loop

COMPILED_FROM = {"cpu": 1 << 15}  # below this many elements the call costs more than the pass
COMPILED_FROM_ELSEWHERE = 1 << 20


def update_fused(slots: Slots, c: Coefficients) -> list[Tensor]:
    """Large tensors in one compiled pass each, the small ones together in torch's fused Adam.

    A compiled pass reads x, g, m, v, x0 and writes x, m, v: 8 words a parameter where AdamW moves 7. Calling one costs
    some forty microseconds. So tensors of one length go four to a call (more would compile for long), and those that
    take less than a call share one of the kernel that torch ships.
    """
    device, dtype = slots.params[0].device, slots.params[0].dtype
    threshold = COMPILED_FROM.get(device.type, COMPILED_FROM_ELSEWHERE)
    large: dict[int, list[tuple[int, Row]]] = defaultdict(list)  # by length
    small: list[tuple[int, Row]] = []
    odd: list[tuple[int, Row]] = []  # not laid out alike: no pass in memory order
    for i, row in enumerate(slots.rows()):
        size = row[0].numel()
        flat = row if size < threshold and all_contiguous(row) else flatten(row)
        (odd if flat is None else small if size < threshold else large[size]).append((i, flat or row))
    order: list[int] = []
    norms: list[Tensor] = []
    if odd:
        order += [i for i, _ in odd]
        norms += update_loop(Slots.of(row for _, row in odd), c)
    if large:
        scalars = _packed(c, device, high_precision(dtype))
        signs = (c.maximize, c.coupled_decay != 0)
        dtypes = (dtype, slots.squares[0].dtype, slots.origins[0].dtype)
        kind = (device.type, *dtypes, bool(slots.exp_avgs), bool(slots.max_squares))
        passes = _compiled(*signs, *kind)
        for alike in large.values():
            for part in _in_fours(alike):
                order += [i for i, _ in part]
                norms += passes(*signs, [row for _, row in part], scalars).unbind()
    if small:
        order += [i for i, _ in small]
        together = Slots.of(row for _, row in small)
        one_dtype = together.squares[0].dtype == dtype  # which torch's kernel asks for
        norms += _native(together, c) if together.exp_avgs and one_dtype else update_foreach(together, c)
    if order == sorted(order):
        return norms
    return [norm for _, norm in sorted(zip(order, norms), key=lambda pair: pair[0])]


def _in_fours(rows: list[tuple[int, Row]]) -> Iterator[list[tuple[int, Row]]]:
    """Fours, then ones: two lengths of list, so two compilations."""
    whole = len(rows) - len(rows) % 4
    yield from (rows[i : i + 4] for i in range(0, whole, 4))
    yield from ([row] for row in rows[whole:])


def _native(slots: Slots, c: Coefficients) -> list[Tensor]:
    """torch's fused Adam, told that it is at a late step, where its bias corrections are 1: ours are in ``c``."""
    rate = c.rate if isinstance(c.rate, Tensor) else torch.tensor(c.rate, dtype=torch.float64, device="cpu")
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
    return foreach_distance(slots)


def _passes(maximize: bool, coupled: bool, rows: list[Row], c: Tensor) -> Tensor:
    """One pass over each flat tensor; returns each ``||x - x0||``."""
    return torch.stack([_one_pass(maximize, coupled, *row, c) for row in rows]).sqrt()  # type: ignore[call-arg,arg-type]


def _one_pass(
    maximize: bool, coupled: bool,
    p: Tensor, g: Tensor, m: Tensor | None, v: Tensor, s: Tensor | None, x0: Tensor, c: Tensor,
) -> Tensor:  # fmt: skip
    """The update of one flat tensor, written so that it compiles to a single loop; returns ``||x - x0||^2``.

    ``c`` ``(7,)`` packs the scalars: one argument, since every argument of a compiled function costs time at each call.
    """
    w1, b2, w2, rate, eps, decay, l2 = c.unbind()
    high = c.dtype
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
    new = (p.to(high) * (1 - decay) - rate * (direction / (square.sqrt() + eps))).to(p.dtype)
    p.copy_(new)
    difference = new.to(high) - x0.to(high)
    return (difference * difference).sum()


@functools.cache
def _compiled(*kind: object) -> Callable[..., Tensor]:
    """:func:`_passes` compiled; ``kind`` names what the program is specialised to.

    The compiler gives up on a code object that it has compiled eight times, so each kind gets a copy of the code.
    """
    code = _passes.__code__.replace(co_name=f"passes_{'_'.join(map(str, kind))}")
    return torch.compile(types.FunctionType(code, globals()), dynamic=True, fullgraph=True)


def _packed(c: Coefficients, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The scalars as a tensor ``(7,)`` on the device: floats would be compiled in, and compiled again at each step."""
    values = (c.momentum_weight, c.square_decay, c.square_weight, c.rate, c.eps, c.decay, c.coupled_decay)
    packed = torch.tensor([0.0 if isinstance(v, Tensor) else v for v in values], dtype=dtype, device="cpu")
    packed = packed.to(device, non_blocking=True)
    for i, value in enumerate(values):
        if isinstance(value, Tensor):
            packed[i].copy_(value)
    return packed
