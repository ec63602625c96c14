"""Datasets in the form an experiment stores, made from tables of measured trainings (d=2000, m=10, σp=1, σ0=1e-3).

Only fixtures: the tables hold means over 5 seeds, the seeds here are drawn around them.
"""

import numpy as np
import xarray as xr

N = np.array([10, 20, 40, 60, 80, 100])
SIGNAL = np.arange(1.0, 9.0)
LARGE = np.array(
    [
        [0.44, 0.30, 0.15, 0.056, 0.010, 4.7e-4, 3.4e-6, 7.7e-8],
        [0.41, 0.23, 0.080, 0.0135, 3.1e-4, 6.1e-6, 5.7e-10, 7e-16],
        [0.38, 0.16, 0.033, 1.5e-3, 9.4e-6, 7.8e-11, 1e-15, 6e-26],
        [0.36, 0.14, 0.017, 2.3e-4, 3.0e-8, 2e-14, 1e-21, 1e-30],
        [0.34, 0.12, 7.8e-3, 2.8e-5, 5.7e-10, 9e-18, 1e-26, 1e-36],
        [0.33, 0.089, 4.9e-3, 3.3e-6, 1.5e-11, 1e-21, 1e-31, 1e-42],
    ]
)
SMALL = np.array(
    [
        [0.40, 0.32, 0.21, 0.10, 0.042, 5.1e-3, 2.1e-4, 4.8e-5],
        [0.40, 0.26, 0.12, 0.036, 1.8e-3, 1.7e-4, 6.0e-7, 6e-11],
        [0.38, 0.18, 0.053, 3.9e-3, 7.6e-5, 1.9e-8, 1e-12, 3e-21],
        [0.36, 0.16, 0.029, 6.7e-4, 3.1e-7, 9e-12, 1e-18, 1e-27],
        [0.33, 0.13, 0.013, 9.6e-5, 1.0e-8, 9e-16, 1e-23, 1e-33],
        [0.33, 0.10, 7.7e-3, 1.1e-5, 3.5e-10, 9e-19, 1e-28, 1e-38],
    ]
)
V0 = np.array([0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0])
INIT = np.array([1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1])
ERROR_OF_INIT = np.array(
    [
        [1.9e-4, 2.2e-4, 1.4e-4, 2.8e-4, 1.2e-4, 3.0e-5, 8.7e-6],
        [7e-5, 6e-5, 3e-5, 3e-5, 9e-6, 3e-6, 5e-4],
        [3e-5, 2e-5, 1e-5, 6e-6, 3e-6, 5e-4, 0.11],
        [1.4e-4, 1.1e-4, 9e-5, 4e-5, 6e-4, 0.14, 0.37],
        [0.03, 0.03, 0.03, 0.03, 0.11, 0.37, 0.44],
        [0.25, 0.26, 0.26, 0.26, 0.33, 0.44, 0.46],
    ]
).T
GROWTH = np.array([94, 28, 9.5, 2.9, 1.15, 1.0, 1.0])
DIMENSION = np.array([1e3, 1e5, 1e7, 1e9])
KAPPA = np.array([0.5, 1.0, 2.0, 4.0, 8.0, 16.0])
ERROR_OF_DIMENSION = np.array(
    [
        [0.168, 0.112, 0.060, 0.018, 1.4e-3, 8e-5],
        [0.158, 0.101, 0.049, 0.0145, 8.8e-4, 6e-5],
        [0.145, 0.085, 0.039, 9.9e-3, 4.6e-4, 2e-5],
        [0.124, 0.069, 0.028, 5.7e-3, 1.8e-4, 4e-6],
    ]
)


def stored(dims: dict[str, np.ndarray], seeds: int = 5, **means: np.ndarray) -> xr.Dataset:
    """Variables scattered over ``seed`` by 20 % (test error) or 1 % around their means, with status and names."""
    rng = np.random.default_rng(0)
    shape = (*(len(values) for values in dims.values()), seeds)
    coords = {**dims, "seed": np.arange(seeds)}
    defaults = {"train_loss": 0.005, "test_error_se": 0.0, "active_fraction": 0.67}
    variables = {}
    for name, mean in {**defaults, **means}.items():
        scatter = np.exp((0.2 if name == "test_error" else 0.01) * rng.standard_normal(shape))
        scatter /= scatter.mean(-1, keepdims=True)
        variables[name] = (tuple(coords), np.asarray(mean)[..., None] * scatter if np.ndim(mean) else mean * scatter)
    variables["status"] = (tuple(coords), np.ones(shape, dtype=int))
    variables["status_step"] = (tuple(coords), np.full(shape, 600))
    dataset = xr.Dataset(variables, coords)
    names = {
        "n": "training samples n",
        "signal": "signal strength ‖μ‖",
        "v0": "output scale v₀",
        "init": "init scale σ₀",
    }
    for name, text in names.items():
        if name in dataset.coords:
            dataset[name].attrs.update(long_name=text)
    dataset["test_error"].attrs.update(long_name="test error", units="probability") if "test_error" in dataset else None
    return dataset


def phase_diagram() -> xr.Dataset:
    error = np.stack([SMALL, LARGE])
    return stored({"v0": np.array([0.005, 0.5]), "n": N, "signal": SIGNAL}, test_error=error)


def init_map() -> xr.Dataset:
    growth = np.repeat(GROWTH[:, None], INIT.size, axis=1)
    norm = growth * V0[:, None] * np.sqrt(20)
    return stored({"v0": V0, "init": INIT}, test_error=ERROR_OF_INIT, norm_output=norm, norm_hidden=norm)


def dimension_sweep() -> xr.Dataset:
    dims = {"relative_v0": np.array([5.0]), "d": DIMENSION.astype(int), "kappa": KAPPA}
    return stored(dims, test_error=ERROR_OF_DIMENSION[None])


def configured(dataset: xr.Dataset, **changes: float) -> xr.Dataset:
    """The dataset with the coordinates that a sweep of trainings gives all its parameters."""
    shared = {"n": 40, "d": 2000, "signal": 5.0, "sigma_p": 1.0, "m": 10, "v0": 0.5, "init": 1e-3, "steps": 600}
    return dataset.assign_coords({k: v for k, v in {**shared, **changes}.items() if k not in dataset.coords})
