"""A stand-in for the laboratory with known exponents: unequal spread, correlated points, skewed seeds."""

import numpy as np
from scipy.special import erfc

Z = 1.2815515655446004


class SyntheticLab:
    """Points with n, d, signal and seed → a test error that falls through 0.1 at a threshold of known law.

    log threshold of a seed = log C + a log n + b log d + correction n^-omega + spread sqrt(20/n) (skewed noise).

    Args:
        shared: share of the variance that all points of a seed have in common.
        steeper: exponent of n in the slope of the curve, for collapses that fail by their shape.
        most: seeds there are.
    """

    def __init__(
        self, a=-0.25, b=0.25, c=1.0, spread=0.08, shared=0.3, correction=0.0, omega=1.0, steeper=0.0, root=0, most=4096
    ):
        self.a, self.b, self.c, self.spread, self.shared = a, b, c, spread, shared
        self.correction, self.omega, self.steeper, self.most = correction, omega, steeper, most
        self.root, self.own = root, {}
        self.common = self._draw(0)

    def _draw(self, *where):
        """A skewed number of unit variance for every seed, the same whenever it is asked for."""
        rng = np.random.default_rng([self.root, *where])
        return (rng.gumbel(size=self.most) - np.euler_gamma) / (np.pi / 6**0.5)

    def centre(self, n, d):
        """Log threshold of the mean seed."""
        return np.log(self.c) + self.a * np.log(n) + self.b * np.log(d) + self.correction * n**-self.omega

    def __call__(self, points):
        out = np.empty(len(points))
        groups = {}
        for i, point in enumerate(points):
            groups.setdefault((point["n"], point["d"]), []).append(i)
        for (n, d), here in groups.items():
            seeds = np.array([points[i]["seed"] for i in here])
            signal = np.array([points[i]["signal"] for i in here])
            if (n, d) not in self.own:
                self.own[n, d] = self._draw(1, int(n), int(d))
            mixed = self.shared**0.5 * self.common[seeds] + (1 - self.shared) ** 0.5 * self.own[n, d][seeds]
            threshold = self.centre(n, d) + self.spread * (20 / n) ** 0.5 * mixed
            x = (np.log(signal) - threshold) * (n / 20) ** self.steeper
            out[here] = 0.5 * erfc(Z * np.exp(2 * x) / 2**0.5)
        return {"test_error": out}
