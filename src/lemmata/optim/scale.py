"""The arithmetic of eta: which parameters share one, where it starts, how it grows.

    r = sqrt(sum_j ||x_j - x_0j||^2 / sum_j d_j),    eta <- max(eta, r),

the sums over the tensors j of a scope (all parameters, a group, or one tensor) and over the ranks of a process group.
Reference: Tao, Yuan, Zhou, Cao, Gu (2024), arXiv 2412.19444 (one scope). Everything here stays on the device.

What belongs to a parameter lives in its own state, found by the parameter and never by a position: ``distance`` (norm
of x - x_0), ``coordinates`` (how many real numbers that norm went over; 0 times in d before the first gradient) and,
where every tensor has a scale of its own, ``eta``. Scales that are shared are in the parameter groups.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lemmata.optim.batch import norm
from lemmata.optim.stepping import Group, Owned, real

State = Mapping[Tensor, dict[str, Any]]
Measured = tuple[Tensor, list[int]] | None  # norms and numbers of coordinates ``(parameters of the group,)``
_last: list[Any] = []  # the last all-reduce: let go by gloo's own thread, it may abort a process that closes down


def scopes(groups: list[Group]) -> list[list[Group]]:
    """The groups that share what they know of eta: all of them, or each alone."""
    return [groups] if groups[0]["distance"] == "global" else [[group] for group in groups]


def current_eta(groups: list[Group], state: State) -> list[Tensor]:
    """eta of each scope as it stands, 0-d; ``(parameters of the group,)`` where every tensor has its own."""
    if groups[0]["distance"] != "tensor":
        return [scope[0]["eta"] for scope in scopes(groups)]
    known = [[state[p]["eta"] if p in state and "eta" in state[p] else None for p in g["params"]] for g in groups]
    if any(eta is None for column in known for eta in column):  # not begun: the value it would begin with
        known = [
            [first if eta is None else eta for eta, first in zip(column, new.unbind())]
            for column, new in zip(known, initial_eta(groups))
        ]
    return [_stacked(column, group["params"]) for group, column in zip(groups, known)]


def set_eta(scope: list[Group], state: State, eta: Tensor) -> None:
    """Write eta in place, where captured graphs look for it; autograd wants a new tensor instead."""
    first = scope[0]
    if first["distance"] == "tensor":
        for p, value in zip(first["params"], eta.unbind()):
            if first["capturable"] and "eta" in state[p]:
                _write(state[p]["eta"], value)
            else:
                state[p]["eta"] = value.clone() if first["capturable"] else value
    elif first["differentiable"]:
        for group in scope:
            group["eta"] = eta
    else:
        _write(first["eta"], eta)


def set_distances(owned: Owned, norms: Sequence[Tensor], group: Group) -> None:
    """Note how far each parameter is from its x_0, a 0-d tensor each."""
    for (_, own), value in zip(owned, norms):
        if group["capturable"]:
            _write(own["distance"], value)
        else:
            own["distance"] = value


def moved_distance(
    groups: list[Group], state: State, process_group: Any = None, measured: Sequence[Measured] = ()
) -> list[Tensor]:
    """RMS displacement per coordinate of each scope, shaped as :func:`current_eta`.

    Args:
        measured: what a step has just measured of each group, or None; what is missing comes from the state.
    """
    columns = []
    for group, known in itertools.zip_longest(groups, measured):
        if known is None:
            nothing = {"distance": torch.zeros((), **scalar_options(group["params"])), "coordinates": 0}
            owned = [(p, state[p] if has_started(state, p) else nothing) for p in group["params"]]
            known = _stacked([own["distance"] for _, own in owned], group["params"]), coordinates_of(owned)
        columns.append(known)
    return _rms(groups, columns, process_group)


def grown_eta(groups: list[Group], state: State, process_group: Any, measured: Sequence[Measured]) -> list[Tensor]:
    """max(eta, r) of each scope, held under growth_rate * eta and max_eta where these are set. NaN passes through."""
    etas, distances = current_eta(groups, state), moved_distance(groups, state, process_group, measured)
    grown = []
    for scope, eta, distance in zip(scopes(groups), etas, distances):
        options = scope[0]
        new = torch.maximum(eta, distance)
        if options["growth_rate"] < math.inf:
            new = torch.minimum(new, eta * options["growth_rate"])
        grown.append(new if options["max_eta"] is None else new.clamp(max=options["max_eta"]))
    return grown


def initial_eta(groups: list[Group], process_group: Any = None) -> list[Tensor]:
    """eta0 of each scope for the parameters as they are, and at least the phantom distance of a rounded x_0."""
    parts = scopes(groups)
    etas = [_first_value(scope[0]) for scope in parts]
    if any(scope[0]["eta0"] == "auto" for scope in parts):
        sizes = _rms(groups, [_norms(group, lambda p, g: p) for group in groups], process_group)
        etas = [eta * size.clamp(min=1) if s[0]["eta0"] == "auto" else eta for s, eta, size in zip(parts, etas, sizes)]
    if any(group["x0_dtype"] is not None for group in groups):
        columns = [_norms(group, lambda p, g: p - p.to(g["x0_dtype"])) for group in groups]
        etas = [torch.maximum(eta, phantom) for eta, phantom in zip(etas, _rms(groups, columns, process_group))]
    return etas


def scalar_options(params: list[Tensor]) -> dict[str, Any]:
    """Scales are kept in float64, where the device has it, next to the first parameter."""
    device = params[0].device if params else torch.device("cpu")
    return {"device": device, "dtype": torch.float32 if device.type == "mps" else torch.float64}


def has_started(state: State, p: Tensor) -> bool:
    """Whether a parameter has ever had a gradient."""
    return p in state and "origin" in state[p]


def coordinates_of(owned: Owned) -> list[int]:
    """Real numbers in each of some parameters that have had a gradient: what they add to d."""
    return [2 * own["coordinates"] if p.is_complex() else own["coordinates"] for p, own in owned]


def _first_value(group: Group) -> Tensor:
    shape = (len(group["params"]),) if group["distance"] == "tensor" else ()
    return torch.full(shape, 1e-6 if group["eta0"] == "auto" else group["eta0"], **scalar_options(group["params"]))


def _rms(groups: list[Group], columns: list[tuple[Tensor, list[int]]], process_group: Any) -> list[Tensor]:
    """Root mean square per coordinate over each scope, from each tensor's norm and its number of coordinates.

    With a process group the sums of squares and the counts of all scopes go through one all-reduce, which every rank
    joins, whatever gradients it has.
    """
    squares: list[Tensor] = []
    counts: list[Any] = []
    remaining = iter(columns)
    for scope in scopes(groups):
        parts = list(itertools.islice(remaining, len(scope)))
        device = parts[0][0].device
        norms = parts[0][0] if len(parts) == 1 else torch.cat([part.to(device) for part, _ in parts])
        each, many = norms.square(), [count for _, numbers in parts for count in numbers]
        alone = scope[0]["distance"] == "tensor"
        squares.append(each if alone else each.sum())
        counts.append(_on(device, many, each.dtype) if alone else sum(many))
    if process_group is not None:
        squares, counts = _summed_over(process_group, squares, counts)
    roots = []
    for scope, square, count in zip(scopes(groups), squares, counts):
        mean = square / (count.clamp(min=1) if isinstance(count, Tensor) else max(count, 1))
        # The root has no derivative at 0, and a NaN must stay one: hence "!= 0", which holds for NaN.
        root = torch.where(mean != 0, mean, 1.0).sqrt() * (mean != 0) if scope[0]["differentiable"] else mean.sqrt()
        roots.append(root)
    return roots


def _summed_over(process_group: Any, squares: list[Tensor], counts: list[Any]) -> tuple[list[Tensor], list[Tensor]]:
    device, sizes = squares[0].device, [square.numel() for square in squares]
    flat = [torch.cat([part.reshape(-1).to(device) for part in squares])]
    flat.append(torch.cat([c.to(device) if isinstance(c, Tensor) else _on(device, [c], flat[0].dtype) for c in counts]))
    together = torch.stack(flat)
    work = torch.distributed.all_reduce(together, group=process_group, async_op=True)
    if work is not None:  # None where this process is not of the group
        work.wait()
    _last[:] = [work]
    summed = [
        [part.reshape(square.shape).to(square.device) for part, square in zip(row.split(sizes), squares)]
        for row in together
    ]
    return summed[0], summed[1]


def _on(device: torch.device, numbers: list[int], dtype: torch.dtype) -> Tensor:
    return torch.tensor(numbers, dtype=dtype, device="cpu").to(device, non_blocking=True)


def _norms(group: Group, displacement: Callable[[Tensor, Group], Tensor]) -> tuple[Tensor, list[int]]:
    """Norms of something of each trainable parameter, and their numbers of coordinates."""
    trained = [p.requires_grad for p in group["params"]]
    zero = torch.zeros((), **scalar_options(group["params"]))
    values = [
        norm(displacement(real(p.detach()), group)).to(zero) if on else zero for p, on in zip(group["params"], trained)
    ]
    return _stacked(values, group["params"]), [real(p).numel() if on else 0 for p, on in zip(group["params"], trained)]


def _stacked(values: list[Any], params: list[Tensor]) -> Tensor:
    options = scalar_options(params)
    return torch.stack([value.to(**options) for value in values]) if values else torch.zeros(0, **options)


def _write(scalar: Tensor, value: Tensor) -> None:
    # Through a view: torch.compile drops writes into 0-d float64 tensors of the CPU (seen in torch 2.13).
    scalar.view(-1).copy_(value.view(-1))
