"""What the optimisers of this room refuse, and what they warn of: one sentence each, before anything is changed."""

import math
import warnings
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor

DISTANCES = ("global", "group", "tensor")
VARIANTS = ("ema", "ema_max", "sum")
_SWITCHES = ("decoupled_weight_decay", "maximize", "capturable", "differentiable", "bias_correction")
_PREFERENCES = ("foreach", "fused")
_SHARED_BY_GLOBAL = ("eta0", "max_eta", "growth_rate", "x0_dtype")
_SHARED_ALWAYS = ("distance", "capturable", "differentiable")


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Refuse options out of range: a group's options, with the defaults filled in.

    Raises:
        ValueError: naming the option, its value and its range.
    """

    def require(holds: bool, option: str, wanted: str) -> None:
        if not holds:
            raise ValueError(f"{name}: {option} must be {wanted}, got {options[option]!r}.")

    require(_is_rate(options["lr"]), "lr", "a finite number of at least 0 (it multiplies eta; 1.0 is the paper's)")
    require(_within(options["eps"], above=0), "eps", "finite and positive, or a zero gradient divides zero by zero")
    require(_within(options["weight_decay"], least=0), "weight_decay", "finite and at least 0")
    require(_one_of(options["distance"], DISTANCES), "distance", f"one of {', '.join(DISTANCES)}")
    eta0, max_eta = options["eta0"], options["max_eta"]
    auto = isinstance(eta0, str) and eta0 == "auto"
    require(auto or _within(eta0, above=0), "eta0", 'a finite positive number or "auto"')
    floor = 0.0 if auto else eta0
    require(max_eta is None or _within(max_eta, least=floor), "max_eta", f"None or finite and at least eta0 = {eta0}")
    growth = options["growth_rate"]
    require(_within(growth, above=1) or growth == math.inf, "growth_rate", "above 1 (inf switches it off)")
    dtype = options["x0_dtype"]
    floating = isinstance(dtype, torch.dtype) and dtype.is_floating_point
    require(dtype is None or floating, "x0_dtype", "None or a floating-point torch.dtype")
    if "betas" in options:
        betas = options["betas"]
        pair = isinstance(betas, tuple | list) and len(betas) == 2 and all(_within(b, least=0) and b < 1 for b in betas)
        require(pair, "betas", "two numbers in [0, 1)")
        require(_one_of(options["variant"], VARIANTS), "variant", f"one of {', '.join(VARIANTS)}")
        decay = options["momentum_decay"]
        require(_within(decay, above=0) and decay <= 1, "momentum_decay", "in (0, 1]")
    for option in (*_SWITCHES, *_PREFERENCES):
        value, free = options.get(option, False), option in _PREFERENCES
        require(
            isinstance(value, bool) or (free and value is None),
            option,
            "True, False or None" if free else "True or False",
        )
    asked = [option for option in ("foreach", "fused", "capturable", "differentiable") if options[option]]
    if len(asked) > 1:
        raise ValueError(
            f"{name}: {' and '.join(asked)} cannot be asked for together; under torch.compile, capturable alone fuses."
        )


def _within(value: Any, *, least: float = -math.inf, above: float = -math.inf) -> bool:
    """Whether it is a finite number, and a truth value is none."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    return number and math.isfinite(value) and value >= least and value > above


def _is_rate(lr: Any) -> bool:
    if not isinstance(lr, Tensor):
        return _within(lr, least=0)
    return lr.numel() == 1 and (lr.device.type == "meta" or bool((lr >= 0) & lr.isfinite()))


def _one_of(value: Any, known: Sequence[str]) -> bool:
    return isinstance(value, str) and value in known


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
    """Refuse parameters that cannot be stepped, and warn where rounding drowns the start.

    Two things can drown it. Parameters in bfloat16 or float16 do not move at all by steps far below their spacing; and
    an x_0 kept in fewer bits than the parameters lies off them by a phantom distance, below which eta cannot start.

    Raises:
        ValueError: for complex parameters with ``x0_dtype``, and where no parameter can have a gradient. (Whole numbers
            beside others are left alone: the frozen weights of a quantised model.)
    """
    if params and not any(p.is_floating_point() or p.is_complex() for p in params):
        raise ValueError(
            f"{name}: all parameters of this group are {params[0].dtype}, and only floating-point or complex ones can "
            f"have a gradient; convert them, or leave the group out."
        )
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


def rms(tensors: Sequence[Tensor]) -> float:
    """Root mean square of all entries together. Reads it on the host."""
    count = sum(t.numel() for t in tensors)
    return math.sqrt(sum(float(torch.linalg.vector_norm(t, dtype=torch.float32)) ** 2 for t in tensors) / max(count, 1))
