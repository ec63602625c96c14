"""At the same ratio of signal to noise, more samples learn the signal better.

Run it with `lemmata run ./THIS_FILE.py --size smoke`, see `--help` for what can be set, then change it line by line:
what is trained (RUN), over what (SIZES), what you claim (@claim), what theory says (predict), what is drawn (figures).
"""

import xarray as xr
from matplotlib.figure import Figure

from lemmata import GD, Run, SignalNoise, TwoLayerCNN
from lemmata.claims import Finding, above, claim, need, usable
from lemmata.lab import ALL, Experiment, Size
from lemmata.report.curves import curves
from lemmata.report.style import new_figure
from lemmata.theory.signal_noise import kappa

RUN = Run(
    SignalNoise(n=20, d=1000, signal=3.0), TwoLayerCNN(m=10), rule=GD(), steps=300, probes=("test_error", "train_loss")
)
SIZES = {
    "smoke": Size(n=(10, 40), signal=(2.0, 4.0), seeds=3),
    "laptop": Size(n=(10, 20, 40, 80), signal=(1.0, 2.0, 3.0, 4.0), seeds=10),
    "paper": Size(n=(10, 20, 40, 80, 160), signal=(0.5, 1.0, 2.0, 3.0, 4.0, 6.0), seeds=50),
}


@claim("with more samples the test error is smaller", "a guess of mine", sizes=ALL)
def more_samples_help(data: xr.Dataset) -> Finding:
    """Mean test error of the smallest over that of the largest sample size, at every signal strength."""
    need(data, n=2)
    error = usable(data).test_error.mean("seed")
    return above(1, error.isel(n=0) / error.isel(n=-1), where="at every ‖μ‖", expected="falls with n")


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """κ, which decides the test error (Kou, Chen, Chen, Gu 2023, arXiv 2303.04145)."""
    return {"kappa": kappa(data.n, data.signal, data.d, data.sigma_p).assign_attrs(long_name="κ", units="1")}


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Test error against the signal, a curve for each sample size."""
    figure, axes = new_figure(title="More samples, fewer errors")
    curves(axes[0, 0], data.test_error, "signal", "n" if "n" in data.dims else None, log="y")
    return {"test_error": figure}


EXPERIMENT = Experiment(RUN, SIZES, claims=(more_samples_help,), predict=predict, figures=figures)
