"""The arithmetic of eta: which groups share one, where it starts, how it grows.

    r = sqrt(sum_j ||x_j - x_0j||^2 / sum_j d_j),    eta <- max(eta, r),

the sums over the tensors j of a scope (all parameters, a group, or one tensor) and over the ranks of a process group.
Reference: Tao, Yuan, Zhou, Cao, Gu (2024), arXiv 2412.19444 (one scope). Everything here stays on the device.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lemmata.optim.batch import norm
from lemmata.optim.stepping import real

Group = dict[str, Any]
Column = Callable[[Group], Tensor]  # ``(parameters of the group,)``


def scopes(groups: list[Group]) -> list[list[Group]]:
    """The groups that share one ``eta`` tensor."""
    return [groups] if groups[0]["distance"] == "global" else [[group] for group in groups]


def moved_distance(groups: list[Group], process_group: Any = None) -> list[Tensor]:
    """RMS displacement per coordinate of each scope, as last measured."""
    return _rms(groups, lambda g: g["distances"], lambda g: g["coordinates"], process_group)


def grown_eta(groups: list[Group], process_group: Any = None) -> list[Tensor]:
    """max(eta, r) of each scope, held under growth_rate * eta and max_eta where these are set. NaN passes through."""
    etas = []
    for scope, distance in zip(scopes(groups), moved_distance(groups, process_group)):
        eta, options = scope[0]["eta"], scope[0]
        grown = torch.maximum(eta, distance)
        if options["growth_rate"] < math.inf:
            grown = torch.minimum(grown, eta * options["growth_rate"])
        if options["max_eta"] is not None:
            grown = grown.clamp(max=options["max_eta"])
        etas.append(grown)
    return etas


def initial_eta(groups: list[Group], process_group: Any = None) -> list[Tensor]:
    """eta0 of each scope for the parameters as they are, and at least the phantom distance of a rounded x_0."""
    parts = scopes(groups)
    etas = [torch.full_like(s[0]["eta"], 1e-6 if s[0]["eta0"] == "auto" else s[0]["eta0"]) for s in parts]
    if any(scope[0]["eta0"] == "auto" for scope in parts):
        sizes = _rms(groups, lambda g: _norms(g, lambda p: p), _sizes, process_group)
        etas = [eta * size.clamp(min=1) if s[0]["eta0"] == "auto" else eta for s, eta, size in zip(parts, etas, sizes)]
    if any(group["x0_dtype"] is not None for group in groups):
        phantoms = _rms(groups, lambda g: _norms(g, lambda p: p - p.to(g["x0_dtype"])), _sizes, process_group)
        etas = [torch.maximum(eta, phantom) for eta, phantom in zip(etas, phantoms)]
    return etas


def scalar_options(params: list[Tensor]) -> dict[str, Any]:
    """Scales are kept in float64, where the device has it, next to the first parameter."""
    device = params[0].device if params else torch.device("cpu")
    return {"device": device, "dtype": torch.float32 if device.type == "mps" else torch.float64}


def _rms(groups: list[Group], norms: Column, counts: Column, process_group: Any) -> list[Tensor]:
    """Root mean square per coordinate over each scope, from each tensor's norm and its number of coordinates.

    With a process group the sums of squares and the counts of all scopes go through one all-reduce, which every rank
    joins, whatever gradients it has.
    """
    pairs = []
    for scope in scopes(groups):
        device = scope[0]["eta"].device
        columns = [torch.stack([norms(g).square(), counts(g)]).to(device) for g in scope]
        pair = columns[0] if len(columns) == 1 else torch.cat(columns, dim=1)
        pairs.append(pair if scope[0]["distance"] == "tensor" else pair.sum(1, keepdim=True))
    if process_group is not None:
        together = torch.cat([pair.to(pairs[0].device) for pair in pairs], dim=1)
        torch.distributed.all_reduce(together, group=process_group)
        pairs = [part.to(pair.device) for pair, part in zip(pairs, together.split([p.shape[1] for p in pairs], dim=1))]
    roots = []
    for scope, (squares, count) in zip(scopes(groups), pairs):
        mean = squares / count.clamp(min=1)
        # The root has no derivative at 0, and a NaN must stay one: hence "!= 0", which holds for NaN.
        root = torch.where(mean != 0, mean, 1.0).sqrt() * (mean != 0) if scope[0]["differentiable"] else mean.sqrt()
        roots.append(root.reshape(scope[0]["eta"].shape))
    return roots


def _norms(group: Group, displacement: Callable[[Tensor], Tensor]) -> Tensor:
    """``(parameters of the group,)``: norms of something of each trainable parameter."""
    zero = torch.zeros_like(group["eta"]).sum()
    column = [norm(displacement(real(p.detach()))).to(zero) if p.requires_grad else zero for p in group["params"]]
    return torch.stack(column) if column else zero.new_zeros(0)


def _sizes(group: Group) -> Tensor:
    sizes = [float(real(p).numel()) if p.requires_grad else 0.0 for p in group["params"]]
    scalar = scalar_options(group["params"])
    return torch.tensor(sizes, dtype=scalar["dtype"]).to(scalar["device"], non_blocking=True)
