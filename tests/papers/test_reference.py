"""Numbers measured once by other code (explicit scripts, five or six seeds), met within their seed noise."""

import numpy as np
import pytest

import lemmata as lm
from lemmata.sweep import sweep

SIGNALS = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
# Mean test error over five seeds at d = 2000, m = 10, 600 steps; rows n, columns signal.
TABLES = {
    0.5: {
        10: (0.44, 0.30, 0.15, 0.056, 0.010, 4.7e-4),
        20: (0.41, 0.23, 0.080, 0.0135, 3.1e-4, 6.1e-6),
        40: (0.38, 0.16, 0.033, 1.5e-3, 9.4e-6, 7.8e-11),
        60: (0.36, 0.14, 0.017, 2.3e-4, 3.0e-8, 2e-14),
        80: (0.34, 0.12, 7.8e-3, 2.8e-5, 5.7e-10, 9e-18),
    },
    0.005: {
        10: (0.40, 0.32, 0.21, 0.10, 0.042, 5.1e-3),
        20: (0.40, 0.26, 0.12, 0.036, 1.8e-3, 1.7e-4),
        40: (0.38, 0.18, 0.053, 3.9e-3, 7.6e-5, 1.9e-8),
        60: (0.36, 0.16, 0.029, 6.7e-4, 3.1e-7, 9e-12),
        80: (0.33, 0.13, 0.013, 9.6e-5, 1.0e-8, 9e-16),
    },
}


@pytest.fixture(scope="module")
def dataset():
    run = lm.Run(lm.SignalNoise(40, 2000, 5.0), lm.TwoLayerCNN(10), probes=("test_error",))
    grid = lm.Grid.of(v0=tuple(TABLES), n=tuple(TABLES[0.5]), signal=SIGNALS, seed=range(24))
    return sweep(lm.TrainingBody(run), grid, progress=False)


@pytest.mark.parametrize("v0", TABLES)
@pytest.mark.parametrize("n", TABLES[0.5])
def test_test_errors_of_the_phase_diagram(dataset, v0, n):
    """Each reference is a mean of five draws from the law whose sample of 24 we have: by resampling, no outlier of it.

    The mean of so heavy-tailed a thing is ruled by its largest draw, so a mean of five may also lie well below any of
    ours; the bounds are those of resampled means of five, widened by the spread of log errors over root five.
    """
    resample = np.random.default_rng(0).integers(24, size=(4000, 5))
    for signal, reference in zip(SIGNALS, TABLES[v0][n]):
        errors = dataset["test_error"].sel(v0=v0, n=n, signal=signal).values
        means = np.log(errors[resample].mean(1))
        low, high = np.quantile(means, [0.001, 0.999])
        margin = 0.05 + 2 * np.log(errors).std() / 5**0.5
        assert low - margin < np.log(reference) < high + margin, (signal, reference, errors.mean())


def test_growth_of_the_output_layer_at_two_scales():
    """|v|_F from 2.236 to 2.289 and from .022 to 1.258, |W|_F to .528 and 1.275, at n = 40, signal 5."""
    probes = ("norm_output", "norm_hidden")
    for v0, output, hidden in ((0.5, 2.289, 0.528), (0.005, 1.258, 1.275)):
        run = lm.Run(lm.SignalNoise(40, 2000, 5.0), lm.TwoLayerCNN(10, v0=v0), probes=probes)
        found = lm.train(run, range(16)).records
        for name, reference in zip(probes, (output, hidden)):
            values = found[name][:, 0]
            assert abs(values.mean() - reference) < 4 * values.std() / 5**0.5 + 0.002
