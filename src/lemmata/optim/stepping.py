"""Which parameters step together, with which scalars, and by which of the three kernels."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lemmata.optim.batch import Coefficients, Slots, high_precision
from lemmata.optim.fused import update_fused
from lemmata.optim.kernels import update_foreach, update_loop

Group = dict[str, Any]
Owned = list[tuple[Tensor, dict[str, Any]]]  # parameters, each with its state
MakeCoefficients = Callable[[Group, Any, Any, Any], Coefficients]  # of group, step, lr, eta


def batches(group: Group, owned: Owned, make: MakeCoefficients) -> list[tuple[Owned, Coefficients]]:
    """Count one step of some parameters, and split them into those that share device, dtype and scalars.

    On the CPU the scalars are floats, which cost nothing to read there. Elsewhere ``eta`` stays a device tensor, and
    only what the host knows anyway (``lr``, the step number) is computed on the host. A capturable group counts its
    steps on the device too, and every tensor is its own batch: the graph, not this code, removes that overhead.
    """
    lr, alone = group["lr"], group["distance"] == "tensor"
    if group["capturable"] and owned:
        for _, own in owned:
            own["step"].view(-1).add_(1)  # through a view: torch.compile drops writes into 0-d float64 tensors
        steps = torch.stack([own["step"] for _, own in owned])
        scale = torch.stack([own["eta"] for _, own in owned]) if alone else group["eta"]
        scalars = make(group, steps, lr, scale)
        each = [scalars.select(i).to(p.device, high_precision(p.dtype)) for i, (p, _) in enumerate(owned)]
        return [([pair], own_scalars) for pair, own_scalars in zip(owned, each)]
    found = defaultdict(list)
    for p, own in owned:
        own["step"] += 1
        apart = id(p) if alone or p.grad.is_sparse or is_dtensor(p) else 0  # type: ignore[union-attr]
        found[p.device, p.dtype, own["step"], apart].append((p, own))
    ready = []
    for (device, dtype, step, _), batch in found.items():
        scale = batch[0][1]["eta"] if alone else group["eta"]
        if host_readable(device) and host_readable(scale.device) and not group["differentiable"]:
            scalars = make(group, step, float(lr), float(scale))
        else:
            scalars = make(group, step, lr, scale).to(device, high_precision(dtype))
        ready.append((batch, scalars))
    return ready


def kernel(group: Group, p: Tensor) -> Callable[[Slots, Coefficients], list[Tensor]]:
    """The update that the options of the group ask for. Lists are the default; on the CPU they are the faster too."""
    if group["differentiable"]:
        return lambda slots, c: update_loop(slots, c, differentiable=True)
    if group["capturable"] or (group["foreach"] is False and not group["fused"]) or is_dtensor(p):
        return update_loop
    return update_fused if group["fused"] else update_foreach


def host_readable(device: torch.device) -> bool:
    """Whether reading a tensor's value there is free; elsewhere it would wait for the device."""
    return device.type == "cpu"


def is_dtensor(p: Tensor) -> bool:
    """Whether ``p`` is sharded or replicated over a device mesh."""
    return hasattr(p, "full_tensor")


def real(tensor: Tensor) -> Tensor:
    """A complex tensor as pairs of reals: AdaGrad and Adam treat the two parts as coordinates."""
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor
