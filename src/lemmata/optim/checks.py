"""What the optimisers of this room refuse, and what they warn of: one sentence each, before anything is changed."""

import itertools
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

DISTANCES = ("global", "group", "tensor")
VARIANTS = ("ema", "ema_max", "sum")
_SHARED_BY_GLOBAL = ("eta0", "max_eta", "growth_rate", "x0_dtype")
_SHARED_ALWAYS = ("distance", "capturable", "differentiable")
_PER_PARAMETER = ("distances", "coordinates", "steps")


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Refuse options out of range: a group's options, with the defaults filled in.

    Raises:
        ValueError: naming the option, its value and its range.
    """

    def require(holds: bool, option: str, wanted: str) -> None:
        if not holds:
            raise ValueError(f"{name}: {option} must be {wanted}, got {options[option]!r}.")

    require(bool(options["lr"] > 0), "lr", "positive (it multiplies eta; 1.0 is the paper's)")
    require(options["eps"] > 0, "eps", "positive, or a zero gradient divides zero by zero")
    require(0 <= options["weight_decay"] < math.inf, "weight_decay", "finite and at least 0")
    require(options["distance"] in DISTANCES, "distance", f"one of {', '.join(DISTANCES)}")
    eta0 = options["eta0"]
    require(eta0 == "auto" or (isinstance(eta0, int | float) and 0 < eta0 < math.inf), "eta0", 'positive or "auto"')
    floor = 0.0 if eta0 == "auto" else eta0
    require(options["max_eta"] is None or options["max_eta"] >= floor, "max_eta", f"None or at least eta0 = {eta0}")
    require(options["growth_rate"] > 1, "growth_rate", "above 1 (inf switches it off)")
    dtype = options["x0_dtype"]
    require(dtype is None or dtype.is_floating_point, "x0_dtype", "None or a floating-point dtype")
    if "betas" in options:
        betas = options["betas"]
        require(len(betas) == 2 and all(0 <= beta < 1 for beta in betas), "betas", "two numbers in [0, 1)")
        require(options["variant"] in VARIANTS, "variant", f"one of {', '.join(VARIANTS)}")
        require(0 < options["momentum_decay"] <= 1, "momentum_decay", "in (0, 1]")
    asked = [option for option in ("foreach", "fused", "capturable", "differentiable") if options[option]]
    if len(asked) > 1:
        raise ValueError(
            f"{name}: {' and '.join(asked)} cannot be asked for together; under torch.compile, capturable alone fuses."
        )


def check_shared(name: str, options: Mapping[str, Any], first: Mapping[str, Any]) -> None:
    """Refuse a group whose options differ from the first group's where all groups share one value.

    Raises:
        ValueError: naming the option and both values.
    """
    shared = _SHARED_ALWAYS + (_SHARED_BY_GLOBAL if options["distance"] == "global" else ())
    for option in shared:
        if options[option] != first[option]:
            raise ValueError(
                f"{name}: {option} is {first[option]!r} in the first parameter group and {options[option]!r} in a "
                f"later one, but they share it; give it once (eta0, max_eta, growth_rate and x0_dtype are free with "
                f'distance="group").'
            )


def check_params(name: str, params: Sequence[Tensor], options: Mapping[str, Any]) -> None:
    """Refuse an x0_dtype for complex parameters, and warn where rounding drowns the start.

    Two things can drown it. Parameters in bfloat16 or float16 do not move at all by steps far below their spacing; and
    an x_0 kept in fewer bits than the parameters lies off them by a phantom distance, below which eta cannot start.

    Raises:
        ValueError: for complex parameters with ``x0_dtype``.
    """
    x0_dtype, eta0 = options["x0_dtype"], options["eta0"]
    if x0_dtype is not None and any(p.is_complex() for p in params):
        raise ValueError(f"{name}: x0_dtype={x0_dtype} was asked for complex parameters; leave it out for these.")
    readable = [p.detach() for p in params if p.is_floating_point() and p.device.type != "meta"]
    low = [p for p in readable if p.dtype in (torch.bfloat16, torch.float16)]
    if low:
        spacing, size = torch.finfo(low[0].dtype).eps, rms(low)
        floor = 1e-6 * max(1.0, size) if eta0 == "auto" else eta0
        if floor < spacing * size:
            warnings.warn(
                f"{name}: parameters in {low[0].dtype} with RMS {size:.1e} are spaced by about {spacing * size:.1e}, "
                f"and first steps of eta0 = {floor:.1e} may round to nothing; keep them in float32 under autocast, or "
                f"raise eta0 (1e-4 is a good start).",
                stacklevel=5,
            )
    if x0_dtype is None:
        return
    narrow = [p for p in readable if torch.finfo(p.dtype).eps < torch.finfo(x0_dtype).eps]
    if narrow:
        phantom = rms([p - p.to(x0_dtype) for p in narrow])
        if eta0 == "auto" or eta0 < phantom:
            warnings.warn(
                f"{name}: x_0 in {x0_dtype} is off the {narrow[0].dtype} parameters by {phantom:.1e} per coordinate "
                f"(RMS), so eta starts from at least there instead of eta0 = {eta0}.",
                stacklevel=5,
            )


def check_state(name: str, state_dict: Mapping[str, Any], groups: Sequence[Mapping[str, Any]], slots: Any) -> None:
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
        missing = [key for key in ("eta", "distance", *_PER_PARAMETER) if key not in saved]
        if missing:
            raise ValueError(f"{name}: group {number} of the state lacks {missing}; another optimiser wrote it.")
        if saved["distance"] != group["distance"]:
            raise ValueError(
                f"{name}: the state was written with distance={saved['distance']!r}, the optimiser has "
                f"{group['distance']!r}; build it with the former."
            )
        first = saved_groups[0]["eta"]
        same = torch.equal(saved["eta"].cpu().nan_to_num(), first.cpu().nan_to_num())
        if group["distance"] == "global" and not same:
            raise ValueError(
                f"{name}: groups share one eta, but the state has {float(first)} and {float(saved['eta'])}."
            )
        for index, p in zip(saved["params"], group["params"]):
            entry = saved_state.get(index)
            if not entry:
                continue
            shapes = {key: tuple(value.shape) for key, value in entry.items() if isinstance(value, Tensor)}
            if shapes != dict.fromkeys(slots({**group, **saved}), tuple(p.shape)):
                raise ValueError(
                    f"{name}: parameter {index} (group {number}) has shape {tuple(p.shape)}, its state {shapes}; the "
                    f"state is of another parameter set or optimiser."
                )


def rms(tensors: Sequence[Tensor]) -> float:
    """Root mean square of all entries together. Reads it on the host."""
    count = sum(t.numel() for t in tensors)
    squares = (torch.linalg.vector_norm(t, dtype=torch.float32).double() ** 2 for t in tensors)
    return math.sqrt(float(sum(itertools.chain([torch.zeros((), dtype=torch.float64)], squares))) / max(count, 1))
