"""What the experiments on benign overfitting share: the training, the predictions, the claim that networks fit.

    d = 2000, m = 10, σp = 1, σ0 = 1e-3, balanced labels, noise orthogonal to the signal, full-batch gradient descent of
    both layers with one step size η = 0.5/(m·max(v0, v*)²·(‖μ‖² + σp²d/n)), 600 steps

Settings are ours: the paper's own step sizes and grids are not public.
"""

from typing import Any

import numpy as np
import xarray as xr

from lemmata import GD, Run, SignalNoise, TwoLayerCNN
from lemmata.claims import Finding, below, claim, share_at_most, usable
from lemmata.lab import ALL
from lemmata.papers.benign_overfitting import theory

ABSTRACT = "Shang et al. 2024, abstract"
KOU = "Kou et al. 2023, up to constants; fixed output layer"

LARGE, SMALL = 0.5, 0.005
"""Output scales of about five and a twentieth of the boundary between the regimes."""
PROBES = (
    *("test_error", "test_error_se", "train_loss", "signal_learning", "noise_memorisation"),
    *("norm_hidden", "norm_output", "active_fraction"),
)
RUN = Run(SignalNoise(n=40, d=2000, signal=5.0), TwoLayerCNN(m=10), rule=GD(), steps=600, probes=PROBES)
LONG: dict[str, Any] = {"m": 20, "steps": 2000}
"""What size ``paper`` changes."""

FITTED = 0.02
"""Training loss below which a network counts as fitted."""
MAY_FAIL = 0.05
"""Share of data sets on which it may not: what "with high probability" is held to."""


def kappa(data: xr.Dataset) -> xr.DataArray:
    """κ of every cell."""
    value = theory.kappa(data.n, data.signal, data.d, data.sigma_p)
    return value.rename("kappa").assign_attrs(long_name="κ = n‖μ‖⁴/(σp⁴d)", units="1", symbol="κ")


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """``kappa``, ``test_error_predicted``, ``norm_output_predicted`` and the boundary ``v0c`` of the regimes."""

    def path(v0: Any, n: Any, signal: Any, d: Any, m: Any, init: Any, sigma_p: Any, steps: Any) -> tuple[Any, ...]:
        v0, n, signal, d, m, init, sigma_p = np.broadcast_arrays(v0, n, signal, d, m, init, sigma_p)
        end = theory.training_path(v0, n, signal, d, m, sigma_p=sigma_p, steps=int(steps))
        error = theory.predicted_error(v0, n, signal, d, m, init, sigma_p=sigma_p, steps=int(steps))
        return error, np.sqrt(2 * m) * end.output, theory.v0c(n, signal, d, m, sigma_p, margin=end.margin)

    names = ("v0", "n", "signal", "d", "m", "init", "sigma_p", "steps")
    parts = xr.apply_ufunc(path, *(data[name] for name in names), output_core_dims=[[], [], []])
    labels = ("predicted test error", "predicted norm of the output layer ‖v‖", "predicted boundary of the regimes v₀c")
    error, norm, boundary = (part.assign_attrs(long_name=label, units="1") for part, label in zip(parts, labels))
    return {"kappa": kappa(data), "test_error_predicted": error, "norm_output_predicted": norm, "v0c": boundary}


@claim("every network fits its training data, noise included, with high probability over the data", ABSTRACT, sizes=ALL)
def fits_training_data(data: xr.Dataset) -> Finding:
    """The largest training loss; if networks stay above, the share of data sets that have one. Lost ones do not fit."""
    loss = usable(data).train_loss
    above = ~(loss < FITTED)
    largest = f"largest training loss {float(loss.max()):.4f}"
    if not above.any():
        return below(FITTED, loss, where="in every network", format=largest, expected="→ 0")
    # Networks of one seed and shape share their data along the other axes, and fail together.
    drawn = [name for name in ("n", "d", "seed") if name in above.dims]
    where = f"of data sets have a network above {FITTED:g}"
    return share_at_most(MAY_FAIL, above, per=drawn, where=where, detail=largest)
