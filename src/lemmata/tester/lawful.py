"""Judging a law in logarithms: exponents against what is expected, its form, where it drifts, where it fails.

One fit per seed (``lemmata.claims.fit``); intervals of all expected parameters and of the form hold together. The
exponent of a range is effective: :func:`judge_law` also says how the local exponent drifts over the range.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from scipy import special

from lemmata.claims import Estimate, local_exponents
from lemmata.claims.band import Band
from lemmata.claims.fit import Fit, drift_columns, fit, inverse_variances
from lemmata.tester.conjecture import Judgement, Row, Setting, row_of, said
from lemmata.tester.expression import Expression
from lemmata.tester.law import Law, check_apart

OFF = ("off", "off_low", "off_high")
WORST = 3
"""Counter-examples that a report names."""


def check_law(
    law: str,
    expect: Mapping[str, float],
    tolerance: float | Mapping[str, float],
    correction: str | None,
    shapes: Sequence[Mapping[str, Any]],
    setting: Setting,
) -> None:
    """Refuse a law that the points cannot decide, and expectations that it does not have.

    Raises:
        ValueError: naming the parameter or axis.
    """
    parsed = Law.parse(law, setting.names)
    if not expect:
        raise ValueError(f"nothing is expected of {', '.join(parsed.free)} in {law!r}; give expect={{...}}")
    for name in expect:
        if name not in parsed.names:
            raise ValueError(
                f"{name!r} is expected and the law {law!r} does not estimate it; it has {', '.join(parsed.names)}"
            )
        if isinstance(tolerance, Mapping) and name not in tolerance:
            raise ValueError(f"no tolerance is given for {name!r}; give one for each of {', '.join(expect)}")
        given = tolerance[name] if isinstance(tolerance, Mapping) else tolerance
        if not 0 <= given < np.inf:
            raise ValueError(f"tolerance = {given} was asked for {name!r}; give a number from 0")
    check_apart(parsed, [setting.known(shape) for shape in shapes])
    if correction is not None:
        for name in Expression(correction).names:
            if name not in setting.names:
                known = ", ".join(setting.names)
                raise ValueError(f"the correction {correction!r} has {name!r}, which is no axis; there are {known}")


def judge_law(
    law: Law,
    what: str,
    expect: Mapping[str, float],
    tolerance: Mapping[str, float],
    form_tolerance: float,
    shapes: Sequence[Mapping[str, Any]],
    known: Sequence[Mapping[str, Any]],
    y: np.ndarray,
    alpha: float,
    extra: tuple[str, np.ndarray] | None = None,
) -> Judgement:
    """Rows, counter-examples and drifts of a law.

    Args:
        what: what follows the law, in words, for counter-examples.
        expect, tolerance: parameter → number.
        form_tolerance: largest relative distance from the law that its form may have.
        shapes, known: the points ``(point,)``, as they are said and with abbreviations.
        y: logarithms ``(point, seed)``, see ``claims.threshold``.
        alpha: probability with which any interval may be wrong.
        extra: a stated correction, its name and its column ``(point,)``.
    """
    design, offset = law.design(known)
    names = law.names
    if extra is not None:
        design, names = np.c_[design, extra[1]], (*names, extra[0])
    weights = inverse_variances(y)
    fitted = fit(names, design, y - offset[:, None], weights)
    family = len(expect) + 1
    rows = [_row(law, fitted, name, expect, tolerance, alpha, family) for name in law.names]
    form = _form(fitted, form_tolerance, alpha, family)
    judged = (*rows, form)
    refuted = any(row.holds is False for row in judged)
    off = _off_expected(law, expect, known, y, alpha)
    examples = _counterexamples(off, what, shapes) if refuted else ()
    labelled = _labelled(shapes, y, {"residual": fitted.residuals.mean(1), **dict(zip(OFF, off))})
    labelled.attrs = {"quantity": what, "tolerances": _tolerances(law, tolerance)}
    notes = [*_drifts(law, design, y - offset[:, None], weights), *_locals(labelled, alpha)]
    if np.isfinite(fitted.form):
        notes.insert(0, f"form of the law: p = {fitted.form:.3g}")
    if extra is not None:
        notes.append(f"assumed correction: a term in {extra[0]}; exponents are those of the law with this term")
    return Judgement(judged, examples, tuple(notes), labelled)


def _row(
    law: Law,
    fitted: Fit,
    name: str,
    expect: Mapping[str, float],
    tolerance: Mapping[str, float],
    alpha: float,
    family: int,
) -> Row:
    estimate = fitted.estimate(name, 1 - alpha, family)
    if name == law.constant:
        return _constant(estimate, name, expect, tolerance)
    if name in expect:
        return row_of(name, estimate, expect[name], tolerance[name])
    return Row(name, float(estimate.value), float(estimate.low), float(estimate.high), counts=False)


def _constant(estimate: Estimate, name: str, expect: Mapping[str, float], tolerance: Mapping[str, float]) -> Row:
    """The constant, whose tolerance is relative."""
    value, low, high = (float(np.exp(part)) for part in (estimate.value, estimate.low, estimate.high))
    if name not in expect:
        return Row(name, value, low, high, counts=False)
    band = Band(1 - tolerance[name], 1 + tolerance[name], unit="×")
    holds, *_ = band.judge(Estimate(estimate.each - np.log(expect[name]), True, estimate.level, estimate.family))
    return Row(name, value, low, high, f"{expect[name]:.4g}, {band}", holds)


def _form(fitted: Fit, tolerance: float, alpha: float, family: int) -> Row:
    """The point that is farthest from the fitted law; it may only refute."""
    misfit = fitted.misfit(1 - alpha, family)
    logarithm = Estimate(misfit.each, True, misfit.level, misfit.family)
    band = Band(1 / (1 + tolerance), 1 + tolerance, unit="×")
    holds, place, low, high = band.judge(logarithm)
    ends = (place.value - 1, low.value - 1, high.value - 1)
    return Row("form", *ends, f"0 ± {tolerance:g}", None if holds is None else holds, counts=False)


def _off_expected(
    law: Law, expect: Mapping[str, float], known: Sequence[Mapping[str, Any]], y: np.ndarray, alpha: float
) -> np.ndarray:
    """Logarithms of measured over expected ``(3, point)``: value and simultaneous ends, the rest of the law fitted."""
    expected = law.expected(expect)
    design, offset = expected.design(known)
    misfit = fit(expected.names, design, y - offset[:, None]).misfit(1 - alpha)
    return np.stack([misfit.value.values, misfit.low.values, misfit.high.values])


def _counterexamples(off: np.ndarray, what: str, shapes: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Points that are farthest from the law with its expected exponents and the best constant."""
    value, low, high = off
    surely = np.where(low > 0, low, np.where(high < 0, -high, -np.inf))
    order = [i for i in np.argsort(-surely) if surely[i] > 0][:WORST]
    least = np.where(low > 0, low, high)  # the end nearer to the law
    return tuple(
        f"{said(shapes[i])}: {what} is {np.expm1(value[i]):+.1%} off the law (surely {np.expm1(least[i]):+.1%})"
        for i in order
    )


def _drifts(law: Law, design: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> list[str]:
    """How each exponent changes over the range of what it stands above, where that has three values."""
    found = []
    for number, name in enumerate(law.free, start=1):
        x = design[:, number]
        if len(np.unique(x.round(12))) < 3:
            continue
        full = np.c_[design, drift_columns(x)]
        if np.linalg.matrix_rank(full) < full.shape[1] or len(full) <= full.shape[1]:
            continue
        each = fit((*map(str, range(design.shape[1])), "drift"), full, y, weights).parameters[-1]
        t = each.mean() / max(each.std(ddof=1) / len(each) ** 0.5, 1e-300)
        p = 2 * special.stdtr(len(each) - 1, -abs(t))
        half = special.stdtrit(len(each) - 1, 0.975) * each.std(ddof=1) / len(each) ** 0.5
        found.append(f"{name} drifts by {each.mean():+.3f} ± {half:.3f} over the range (p {p:.2g})")
    return found


def _tolerances(law: Law, tolerance: Mapping[str, float]) -> dict[str, float]:
    """Axis → tolerance of its exponent, where it has one of its own."""
    alone = {name: parts[0][0][0] for name, parts in law.free.items() if len(parts) == 1 and parts[0][0][1]}
    return {axis: tolerance[name] for name, axis in alone.items() if name in tolerance}


def _labelled(shapes: Sequence[Mapping[str, Any]], y: np.ndarray, further: Mapping[str, np.ndarray]) -> xr.Dataset:
    """The measurements on the product of the shapes' values; missing where there is none."""
    names = list(shapes[0])
    axes = {name: list(dict.fromkeys(shape[name] for shape in shapes)) for name in names}
    index = tuple(np.array([axes[name].index(shape[name]) for shape in shapes]) for name in names)
    logarithm = np.full((*map(len, axes.values()), y.shape[1]), np.nan)
    logarithm[index] = y
    found = {"logarithm": ((*names, "seed"), logarithm)}
    for name, values in further.items():
        whole = np.full(logarithm.shape[:-1], np.nan)
        whole[index] = values
        found[name] = (tuple(names), whole)
    return xr.Dataset(found, {**axes, "seed": np.arange(y.shape[1])})


def _locals(labelled: xr.Dataset, alpha: float) -> list[str]:
    """Local exponents along every numeric axis of three values or more, mean over the other axes."""
    found, y = [], labelled.logarithm
    for name in map(str, labelled.residual.dims):
        values = y[name].values
        if len(values) < 3 or values.dtype.kind not in "if" or not (values > 0).all():
            continue
        each = local_exponents(Estimate(y, log=True), name).each
        each = each.mean([dim for dim in each.dims if dim not in (name, "seed")])
        local = Estimate(each, level=1 - alpha)
        half = ((local.high - local.low) / 2).values
        texts = ", ".join(f"{value:+.3f} ± {width:.3f}" for value, width in zip(local.value.values, half))
        found.append(f"local exponents of {name} from {values[0]:g} to {values[-1]:g}: {texts}")
    return found
