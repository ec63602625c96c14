"""What is measured of growth along the first steps of contrastive training, beside what the proofs say of it.

Huang, Han, Chen, Cao, Xu, Suzuki 2024, arXiv 2411.02837: lemmas of theorems 4.2 and 4.3.
"""

from typing import Any

import numpy as np
import xarray as xr

from lemmata.papers.multimodal import setting, theory

EARLY = (0, 20, 40, 60, 80, 100)
"""Steps of the first stage; growth is the fastest between two of them, after filters of both modalities agree."""


def predict(data: xr.Dataset) -> dict[str, xr.DataArray]:
    """Growth per step measured and bounded by the proofs, signal over noise, lengths at the end of training."""
    found: dict[str, Any] = {}
    for name in ("signal", "noise"):
        early = data[f"encoder_{name}"].sel(step=data.step <= EARLY[-1])
        logarithm: Any = np.log(early.where(early > 0))
        if early.sizes["step"] > 1:
            grown = (logarithm.diff("step") / early.step.diff("step")).max("step")
        else:
            grown = early.isel(step=0, drop=True) * np.nan
        found[f"growth_{name}"] = grown.assign_attrs(long_name=f"growth of the {name} per step", units="1")
    ratio = (data.encoder_signal / data.encoder_noise).isel(step=-1)
    found["signal_over_noise"] = ratio.assign_attrs(long_name="signal over noise learnt", units="1")
    # The step that c = 0.5 of the stable one is: a quarter of the inverse scale of either modality's vectors.
    scales = [(data.signal * gain) ** 2 + data.sigma_p**2 * data.d / data.n for gain in (1, data.signal_ratio)]
    scale = xr.where(data.modality == "single", scales[0], (scales[0] * scales[1]) ** 0.5)
    step = theory.steps(data.c / (4 * scale), data.n, data.signal, data.d, 1.0, data.sigma_p)
    found["steps_signal"] = step.signal
    bounds = [theory.proof_growth(step, name, data.signal_ratio) for name in setting.MODALITIES]
    for name in ("signal", "noise"):
        one, two = (getattr(bound, name) for bound in bounds)
        found[f"bound_{name}"] = xr.where(data.modality == "single", one, two)
    length = theory.saturated_length(data.loss, data.n / 2, 1.0, data.signal_ratio)
    found["length_predicted"] = xr.DataArray(length).assign_attrs(long_name="predicted length of the signal's features")
    return found
