"""States that come from elsewhere: from a checkpoint, or from a hand that cut the parameters. Do they fit?"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lemmata.optim.scale import Group, State, scalar_options

MOMENTS_OF = {torch.float16: torch.float32, torch.complex32: torch.complex64}
"""dtype of moments where the parameter's own lacks the range: a gradient of 1e-4 squared is 0 in float16."""
_NUMBERS = ("step", "distance", "coordinates")


def check_state(
    name: str,
    state_dict: Mapping[str, Any],
    groups: Sequence[Group],
    slots: Callable[[Group], list[str]],
) -> None:
    """Refuse a state that does not belong to these parameters or to this optimiser.

    Args:
        slots: function from a saved group to the names of the tensors that each parameter keeps.

    Raises:
        ValueError: naming the group or parameter that does not fit.
    """
    saved_groups, saved_state = state_dict["param_groups"], state_dict["state"]
    sizes, saved_sizes = [len(g["params"]) for g in groups], [len(g["params"]) for g in saved_groups]
    if sizes != saved_sizes:
        raise ValueError(f"{name}: the state has parameter groups of sizes {saved_sizes}, the optimiser {sizes}.")
    for number, (group, saved) in enumerate(zip(groups, saved_groups)):
        missing = [key for key in ("distance", "started") if key not in saved]
        if missing:
            raise ValueError(f"{name}: group {number} of the state lacks {missing}; another optimiser wrote it.")
        if saved["distance"] != group["distance"]:
            raise ValueError(
                f"{name}: the state was written with distance={saved['distance']!r}, the optimiser has "
                f"{group['distance']!r}; build it with the former."
            )
        if group["distance"] == "global":
            first, here = saved_groups[0]["eta"], saved["eta"]
            if not torch.equal(here.cpu().nan_to_num(), first.cpu().nan_to_num()):
                raise ValueError(f"{name}: groups share one eta, but the state has {float(first)} and {float(here)}.")
        for index, p in zip(saved["params"], group["params"]):
            own = saved_state.get(index)
            if not own or ("origin" not in own and set(own) <= {"eta"}):
                continue
            names = slots({**group, **saved})
            shapes = {key: tuple(v.shape) for key, v in own.items() if isinstance(v, Tensor) and key not in _SCALARS}
            if shapes != dict.fromkeys(names, tuple(p.shape)) or not set(_NUMBERS) <= set(own):
                raise ValueError(
                    f"{name}: parameter {index} (group {number}) has shape {tuple(p.shape)}, its state {shapes}; the "
                    f"state is of another parameter set or optimiser."
                )


_SCALARS = ("step", "distance", "eta")


def check_shapes(name: str, slots: list[str], own: Mapping[str, Any], p: Tensor, place: int, group: int) -> None:
    """Refuse a parameter that was pruned or extended without everything that is kept for it.

    Raises:
        RuntimeError: naming what kept its old shape, and what to put there.
    """
    left = [key for key in slots if own[key].shape != p.shape]
    if left:
        shapes = ", ".join(f"{key!r} of shape {tuple(own[key].shape)}" for key in left)
        raise RuntimeError(
            f"{name}: parameter {place} of group {group} now has shape {tuple(p.shape)}, and its state still holds "
            f"{shapes}; cut or extend these in optimizer.state[parameter] as the parameter was (new entries: zeros, "
            f"and in 'origin' the parameter's own values)."
        )


def restore_exactly(groups: Sequence[Group], state: State, state_dict: Mapping[str, Any]) -> None:
    """After torch has loaded a state, undo its casts to the parameter's dtype, and share what groups share."""
    for group, saved in zip(groups, state_dict["param_groups"]):
        for index, p in zip(saved["params"], group["params"]):
            if index in state_dict["state"]:
                _restore(group, p, state[p], state_dict["state"][index])
        if "eta" in group:
            group["eta"] = group["eta"].to(**scalar_options(group["params"]), copy=True)
        if group["distance"] == "global":
            group["eta"] = groups[0]["eta"]


def _restore(group: Group, p: Tensor, own: dict[str, Any], saved: Mapping[str, Any]) -> None:
    scalar = scalar_options([p])
    for key, value in saved.items():
        if key == "step":
            own[key] = torch.full((), float(value), **scalar) if group["capturable"] else int(value)
        elif key == "eta":
            own[key] = value.to(**scalar, copy=True)
        elif key == "distance":
            own[key] = value.to(device=p.device, copy=True)
        elif isinstance(value, Tensor):
            kept = group["x0_dtype"] if key == "origin" else MOMENTS_OF.get(p.dtype)
            if own[key].dtype != (kept or p.dtype):
                own[key] = value.to(device=p.device, dtype=kept or p.dtype)
