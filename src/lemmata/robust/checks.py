"""What this room refuses: one sentence each, before a network sees anything.

A check of tensors' values reads them on the host, which costs nothing on a CPU and stalls an accelerator; so methods
of training check every batch on a CPU, and on an accelerator the first of an epoch at once and the others when it ends.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

NORMS = ("linf", "l2")


def check_number(name: str, value: Any, *, above: float | None = None, least: float | None = None) -> None:
    """Refuse what is no finite number in range.

    Raises:
        ValueError: naming the argument, its value and its range.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    wanted = f"above {above:g}" if above is not None else f"at least {least:g}"
    if not number or (above is not None and not value > above) or (least is not None and not value >= least):
        raise ValueError(f"{name} = {value!r} was asked for; {name} must be a finite number {wanted}.")


def check_share(name: str, value: Any) -> None:
    """Refuse what does not lie in [0, 1]."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ValueError(f"{name} = {value!r} was asked for; {name} must lie in [0, 1].")


def check_whole(name: str, value: Any, least: int) -> None:
    """Refuse what is no whole number of at least ``least``."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} = {value!r} was asked for; {name} must be a whole number of at least {least}.")


def check_confidence(name: str, value: Any, num_classes: int) -> None:
    """Refuse a confidence at which relaxed labels would favour the wrong classes: it must lie in (1/K, 1]."""
    check_share(name, value)
    if value * num_classes <= 1:
        raise ValueError(
            f"{name} = {value!r} was asked for with {num_classes} classes, which gives the true class no more weight "
            f"than another; take more than 1/{num_classes}."
        )


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Refuse what is not among ``choices``."""
    if value not in choices:
        raise ValueError(f"{name} = {value!r} was asked for; {name} is one of {', '.join(choices)}.")


def check_shapes(x: Tensor, y: Tensor) -> None:
    """Refuse images and labels that do not fit together; reads shapes and dtypes only.

    Args:
        x: images ``(n, ...)``, floating point.
        y: labels ``(n,)``, int64.

    Raises:
        ValueError: naming both shapes.
    """
    if x.ndim < 2 or y.shape != x.shape[:1] or not len(x):
        raise ValueError(f"x has shape {tuple(x.shape)} and y {tuple(y.shape)}; give x (n, ...) and y (n,), n above 0.")
    if not x.is_floating_point() or y.dtype != torch.int64:
        raise ValueError(f"x is {x.dtype} and y {y.dtype}; give x in floating point and y in torch.int64.")


def extremes(x: Tensor, y: Tensor) -> Tensor:
    """``(4,)`` on the device of x: -min x, max x, -min y, max y, of which batches keep the largest."""
    return torch.stack([-x.amin().float(), x.amax().float(), -y.amin().float(), y.amax().float()]).detach()


def check_extremes(found: Tensor, num_classes: int | None) -> None:
    """Refuse pixels outside [0, 1] and labels outside the classes. Reads ``found`` on the host.

    Args:
        found: ``(4,)``, of :func:`extremes`.

    Raises:
        ValueError: naming what was found.
    """
    low, high, first, last = found.tolist()
    if not (-low >= 0 and high <= 1):
        raise ValueError(
            f"pixels from {-low:.4g} to {high:.4g} were given, but eps is measured in [0, 1]; scale the images to "
            f"[0, 1] and put the normalisation into the model: NormalizedModel(model, mean, std)."
        )
    if -first < 0 or (num_classes is not None and last >= num_classes):
        wanted = f"0 to {num_classes - 1}" if num_classes is not None else "0 and above"
        raise ValueError(f"labels from {-first:.0f} to {last:.0f} were given, but the classes are {wanted}.")


def check_logits(logits: Any, n: int, num_classes: int | None) -> Tensor:
    """The logits ``(n, K)`` as they are, or a refusal of what a model must not return.

    Raises:
        ValueError: a tuple, another shape, or another number of classes.
    """
    if not isinstance(logits, Tensor):
        raise ValueError(
            f"the model returned a {type(logits).__name__}; wrap it so that it returns the logits alone, as one tensor "
            f"(n, classes)."
        )
    if logits.ndim != 2 or len(logits) != n or (num_classes is not None and logits.shape[1] != num_classes):
        wanted = f"({n}, {'classes' if num_classes is None else num_classes})"
        raise ValueError(f"the model returned logits of shape {tuple(logits.shape)}; {wanted} are needed.")
    return logits


def check_labels(y: Tensor, logits: Tensor) -> bool:
    """True, or a refusal of labels that the model has no logit for. Reads the largest label on the host."""
    if int(y.max()) >= logits.shape[1]:
        raise ValueError(f"a label of {int(y.max())} was given, but the model has {logits.shape[1]} classes, from 0.")
    return True


def check_batch_norm(model: nn.Module, n: int) -> None:
    """Refuse a batch of one in a network whose batch norm is in train mode."""
    if n > 1:
        return
    norms = (m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm))
    if any(norm.training for norm in norms):
        raise ValueError(
            "a batch of one image was given to a model with batch norm in train mode, which has no batch to take "
            "statistics of; use drop_last=True in the loader, or a batch size that leaves no single image."
        )
