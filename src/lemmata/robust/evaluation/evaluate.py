"""A network under several attacks, sample by sample: accuracies, their worst class, and the union of the attacks."""

import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lemmata.robust.attacks.apgd import apgd
from lemmata.robust.attacks.fgsm import fgsm
from lemmata.robust.attacks.losses import errs
from lemmata.robust.attacks.pgd import pgd
from lemmata.robust.checks import (
    NORMS,
    check_choice,
    check_extremes,
    check_logits,
    check_number,
    check_shapes,
    extremes,
)
from lemmata.robust.evaluation import autoattack as auto
from lemmata.robust.evaluation.report import RobustReport
from lemmata.robust.modes import in_eval_mode

Attack = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""(model, x, y) → images within eps of x."""

_NAME = re.compile(r"(pgd|margin|dlr|apgd|apgd-dlr|apgd-margin)-(\d+)")
TOLERANCE = 1e-5
"""How far outside eps an attack's rounding may lead, relative to 1."""


def attack_of(name: str, eps: float, norm: str = "linf", seed: int = 0) -> Attack:
    """The attack of a name: ``fgsm``, ``pgd-50``, ``margin-50``, ``dlr-50``, ``apgd-100``, ``apgd-dlr-100``.

    The number counts steps; ``pgd`` ascends cross-entropy with steps of eps/4 from a random start, ``margin`` and
    ``dlr`` ascend these losses likewise.

    Raises:
        ValueError: no such attack.
    """
    if name == "fgsm":
        return partial(fgsm, eps=eps, norm=norm)
    found = _NAME.fullmatch(name)
    if not found or not int(found[2]):
        raise ValueError(
            f"the attack {name!r} was asked for; there are fgsm, pgd-N, margin-N, dlr-N, apgd-N, apgd-dlr-N and "
            f"apgd-margin-N with a number of steps N from 1, or give a function (model, x, y) -> images."
        )
    kind, _, loss = found[1].partition("-")
    if kind == "apgd":
        return partial(apgd, eps=eps, norm=norm, steps=int(found[2]), loss=loss or "ce", seed=seed)
    return partial(pgd, eps=eps, norm=norm, steps=int(found[2]), loss={"pgd": "ce"}.get(kind, kind), seed=seed)


def evaluate_robust(
    model: nn.Module,
    loader: Iterable[Sequence[Tensor]],
    attacks: Sequence[str] | Mapping[str, Attack] = ("pgd-50", "margin-50"),
    *,
    eps: float = 8 / 255,
    norm: str = "linf",
    per_class: bool = True,
    autoattack: bool | str = False,
    device: torch.device | str | None = None,
    seed: int = 0,
) -> RobustReport:
    """Accuracy clean, under each attack and under all of them, over the classes too.

    The model runs in eval mode; every module's own mode is restored, no gradient of a parameter is touched and no
    global random generator moved. Images are checked to lie in [0, 1], and attacks to stay within eps and [0, 1].
    Cross-entropy alone overstates networks trained with relaxed labels; keep a margin attack or AutoAttack beside it.

    Args:
        model: images ``(n, ...)`` in [0, 1] → logits ``(n, K)``.
        loader: batches ``(x, y, ...)``, what follows y is left alone.
        attacks: names as in :func:`attack_of`, or name → function.
        eps, norm: the ball.
        per_class: accuracies of every class too.
        autoattack: add AutoAttack, True for its version "standard", or "plus" or "rand".
        device: where to; that of the model's first parameter by default.
        seed: of the attacks.

    Raises:
        ValueError: bad arguments, no samples, images outside [0, 1], or an attack that left the ball.
        ModuleNotFoundError: AutoAttack without the extra ``robust``.
    """
    chosen = _chosen(attacks, eps, norm, autoattack, seed)
    device = next((p.device for p in model.parameters()), torch.device("cpu")) if device is None else device
    hits: dict[str, list[Tensor]] = defaultdict(list)
    seconds: dict[str, float] = defaultdict(float)
    labels, classes = [], 0
    for batch in loader:
        x, y = batch[0].to(device), batch[1].to(device)
        right, classes = _judge(model, x, y, chosen, (eps, norm), seconds)
        for name, hit in {**right, "union": torch.stack(list(right.values())).all(0)}.items():
            hits[name].append(hit)
        labels.append(y.cpu())
    if not labels:
        raise ValueError("the loader gave no batch to evaluate on; give one that holds samples.")
    settings = {"eps": round(eps, 6), "norm": norm, "mode": "eval", "seed": seed}
    found = {name: torch.cat(parts) for name, parts in hits.items()}
    return _report(found, torch.cat(labels), classes, per_class, dict(seconds), settings)


def _judge(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    attacks: Mapping[str, Attack],
    ball: tuple[float, str],
    seconds: dict[str, float],
) -> tuple[dict[str, Tensor], int]:
    """Which samples of a batch are right clean and under each attack ``(n,)``, and how many classes there are."""
    check_shapes(x, y)
    check_extremes(extremes(x, y), None)
    right, classes = {}, 0
    for name, attack in {"clean": None, **attacks}.items():
        started = time.perf_counter()
        images = x if attack is None else attack(model, x, y)
        _stays_inside(name, images, x, *ball)
        with torch.no_grad(), in_eval_mode(model):
            logits = check_logits(model(images), len(x), None)
        classes = logits.shape[1]
        check_extremes(extremes(x, y), classes)
        right[name] = (~errs(logits, y)).cpu()  # waits for the device, so that the time is the attack's
        seconds[name] += time.perf_counter() - started
    return right, classes


def _chosen(
    attacks: Sequence[str] | Mapping[str, Attack], eps: float, norm: str, autoattack: bool | str, seed: int
) -> dict[str, Attack]:
    check_number("eps", eps, above=0)
    check_choice("norm", norm, NORMS)
    if isinstance(attacks, str):
        raise ValueError(f"attacks = {attacks!r} was given; give a list of names, [{attacks!r}].")
    if isinstance(attacks, Mapping):
        chosen = dict(attacks)
    else:
        chosen = {name: attack_of(name, eps, norm, seed) for name in attacks}
    if {"clean", "union"} & set(chosen):
        raise ValueError("an attack is called clean or union, names which the report uses itself; call it otherwise.")
    if autoattack:
        auto.load()
        version = "standard" if autoattack is True else autoattack
        chosen["autoattack"] = partial(auto.autoattack, eps=eps, norm=norm, version=version, seed=seed)
    return chosen


def _stays_inside(name: str, images: Tensor, x: Tensor, eps: float, norm: str) -> None:
    apart = (images - x).flatten(1).float()
    length = apart.abs().amax() if norm == "linf" else torch.linalg.vector_norm(apart, dim=1).amax()
    if not float(length) <= eps + TOLERANCE or float(images.amin()) < 0 or float(images.amax()) > 1:
        raise ValueError(
            f"the attack {name!r} went {float(length):.6g} away, to pixels from {float(images.amin()):.6g} to "
            f"{float(images.amax()):.6g}; it must stay within eps = {eps:.6g} ({norm}) and [0, 1]."
        )


def _report(
    right: dict[str, Tensor],
    y: Tensor,
    classes: int,
    per_class: bool,
    seconds: dict[str, float],
    settings: dict[str, Any],
) -> RobustReport:
    accuracy = {name: float(hits.double().mean()) for name, hits in right.items()}
    count = torch.bincount(y, minlength=classes)
    by_class = {name: torch.bincount(y, hits.double(), classes) / count for name, hits in right.items()}
    return RobustReport(
        samples=len(y),
        clean=accuracy["clean"],
        attacks={name: value for name, value in accuracy.items() if name not in ("clean", "union")},
        union=accuracy["union"],
        class_count=count if per_class else None,
        per_class=by_class if per_class else {},
        seconds=seconds,
        settings=settings,
    )
