"""AutoAttack, by the package ``pyautoattack``: two Auto-PGDs, FAB and Square, each on what the others left right.

Croce, Hein 2020, arXiv 2003.01690. The package is the authors' code with an installer; it draws from torch's global
generators, whose state is put back here.
"""

import torch
from torch import Tensor, nn

from lemmata.robust.modes import in_eval_mode

VERSIONS = ("standard", "plus", "rand")
_NORMS = {"linf": "Linf", "l2": "L2"}


def load() -> type:
    """The package's class.

    Raises:
        ModuleNotFoundError: it is not installed; the message names the extra that brings it.
    """
    try:
        from pyautoattack import AutoAttack
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "AutoAttack was asked for, which comes with pyautoattack; run pip install 'lemmata[robust]'."
        ) from None
    return AutoAttack


def autoattack(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    norm: str = "linf",
    version: str = "standard",
    seed: int = 0,
) -> Tensor:
    """Images ``(n, C, H, W)`` in [0, 1] within eps of x, wrong ones where AutoAttack found some.

    Args:
        model, x, y, eps, norm, seed: as for :func:`~lemmata.robust.pgd`; the model runs in eval mode, which is
            restored, and images have four dimensions.
        version: ``standard``, ``plus`` or ``rand``.

    Raises:
        ModuleNotFoundError: without ``pyautoattack``.
        ValueError: fewer than 4 classes, images not of shape ``(n, C, H, W)``, or an unknown version.
    """
    if version not in VERSIONS:
        raise ValueError(f"AutoAttack's version {version!r} was asked for; there are {', '.join(VERSIONS)}.")
    if x.ndim != 4:
        raise ValueError(f"AutoAttack was asked for on images of shape {tuple(x.shape)}; it needs (n, C, H, W).")
    make = load()
    devices = [x.device] if x.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.inference_mode(False), in_eval_mode(model):
        with torch.no_grad():
            classes = model(x[:1]).shape[1]
        if classes < 4:
            raise ValueError(f"AutoAttack was asked for with {classes} classes; its targeted DLR loss needs 4.")
        attack = make(model, eps=eps, norm=_NORMS[norm], version=version, device=x.device, seed=seed)
        attack.verbose = False
        for part in (attack.apgd_targeted, attack.fab):
            part.n_target_classes = min(part.n_target_classes, classes - 1)
        found, _ = attack.run_standard_evaluation(x, y, batch_size=len(x))
    return found.detach()
