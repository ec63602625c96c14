"""Plain functions of points whose truth is known, one per kind of conjecture."""

import numpy as np


def scaling(points, a=-0.5, b=1.0, bend=0.0, spread=0.2):
    """Q = n^a d^b (1 + bend log²(n/20)) with lognormal noise shared by all points of a seed, and noise of its own."""
    out = np.empty(len(points))
    for i, point in enumerate(points):
        common = np.random.default_rng([1, point["seed"]]).standard_normal()
        own = np.random.default_rng([2, point["seed"], int(point["n"]), int(point["d"])]).standard_normal()
        curve = a * np.log(point["n"]) + b * np.log(point["d"]) + bend * np.log(point["n"] / 20) ** 2
        out[i] = np.exp(curve + spread * (common + 0.5 * own))
    return out


def training(points, steps, rate=-1 / 3, early=0.0):
    """A loss recorded along one training per seed, ``(c, steps)``: k^rate (1 + early/k)."""
    k = np.asarray(steps, float)
    rows = []
    for point in points:
        rng = np.random.default_rng([3, point["seed"]])
        rows.append(
            k**rate * (1 + early / k) * np.exp(0.1 * rng.standard_normal() + 0.02 * rng.standard_normal(len(k)))
        )
    return np.stack(rows)


def two_methods(points):
    """Error of methods a and b: a is better by 30 % but at n = 80."""
    out = np.empty(len(points))
    for i, point in enumerate(points):
        common = np.random.default_rng([4, point["seed"], int(point["n"])]).standard_normal()
        own = np.random.default_rng([5, point["seed"], int(point["n"]), point["method"] == "a"]).standard_normal()
        better = 0.7 if point["n"] < 80 else 1.2
        out[i] = 0.1 * (better if point["method"] == "a" else 1.0) * np.exp(0.3 * common + 0.05 * own)
    return out
