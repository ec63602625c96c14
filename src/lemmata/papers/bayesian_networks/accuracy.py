"""The constructed network against the in-context MLE over random graphs: its error law in λ, and the norms it needs.

Each seed is a random graph with its own contexts; λ runs from soft to hard attention, in both precisions. "Lean" is the
construction with μ = λ = log((n + 1)/ε), the least that suffices for an error ε. Theorem 4.1 of Cao et al. (2025),
arXiv 2501.02547, promises norms of keys and queries of at most 3 log(Mdn/ε); the law ((n - k)/k) e^(-λ) is ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, ClassVar

import numpy as np
import torch
import xarray as xr
from matplotlib.figure import Figure

from lemmata.claims import Finding, NotMeasurable, all_of, at_most, between, claim, mean, need, usable
from lemmata.draws import cell_seeds, uniform
from lemmata.lab import ALL, Experiment, Size
from lemmata.modules.attention import apply
from lemmata.papers.bayesian_networks import baselines, construction, theory
from lemmata.parameters import check, parameter
from lemmata.prompts.bayesian_networks import NetworkPrompts
from lemmata.prompts.dags import Dag, random_dag
from lemmata.report.curves import curves
from lemmata.report.style import new_figure
from lemmata.sweep import Body, Variable

THEOREM = "Cao et al. 2025, theorem 4.1"
DERIVED = "derived here"
_DTYPES = {"float32": torch.float32, "float64": torch.float64}
_SAFE_MU = 80.0


@dataclass(frozen=True)
class ConstructionBody(Body):
    """Builds the network for a random graph and asks it."""

    lam: float = parameter("sharpness λ", above=0, per_cell=True, default=20.0)
    n: int = parameter(
        "samples in the context n", int, units="samples", least=1, scale="log", per_cell=True, default=50
    )
    precision: str = parameter("precision", str, choices=tuple(_DTYPES), default="float64")
    most_variables: int = parameter("most variables M", int, least=2, most=7, default=6)
    prompts: int = parameter("contexts of a graph", int, least=1, default=200)
    seed_root: int = parameter("root of all random draws", int, least=0, default=0, axis=False)

    variables: ClassVar[Mapping[str, Variable]] = {
        "error": Variable((), "1", "largest total variation to the MLE"),
        "scaled_error": Variable((), "1", "largest error over (n − k)/k"),
        "excess": Variable((), "1", "largest error minus its bound"),
        "laplace_error": Variable((), "1", "largest total variation to Laplace's rule, with dummies"),
        "lean_error": Variable((), "1", "largest error, μ = λ"),
        "lean_allowed": Variable((), "1", "error that λ = μ = log((n + 1)/ε) is for"),
        "lean_norm": Variable((), "1", "norm of the key-query matrix, μ = λ"),
        "norm_bound": Variable((), "1", "3 log(Mdn/ε)"),
        "other_norms": Variable((), "1", "largest norm of any other matrix"),
    }

    def __post_init__(self) -> None:
        check(self)

    def run(self, points: Sequence[dict[str, Any]]) -> Mapping[str, np.ndarray]:
        """One tile: contexts of one seed and length are asked of the networks of all its λ side by side."""
        order = sorted(range(len(points)), key=lambda i: self._context(points[i]))
        found = {name: np.empty(len(points)) for name in self.variables}
        for (seed, n, precision), group in groupby(order, key=lambda i: self._context(points[i])):
            at = list(group)
            lam = torch.tensor([float(points[i].get("lam", self.lam)) for i in at], dtype=torch.float64)
            for name, values in self.measured(seed, n, _DTYPES[precision], lam).items():
                found[name][at] = values
        return found

    def _context(self, point: dict[str, Any]) -> tuple[int, int, str]:
        return int(point.get("seed", 0)), int(point.get("n", self.n)), str(point.get("precision", self.precision))

    def graph(self, seed: torch.Tensor) -> Dag:
        """2 to ``most_variables`` variables of 2 to 4 values, at most three parents each."""
        size, values, edge = uniform(seed, "graph", (3,))[0].tolist()
        M = 2 + int(size * (self.most_variables - 1))
        return random_dag(seed, M, 2 + int(values * (3 if M < 6 else 2)), 0.2 + 0.7 * edge, 3)

    def measured(self, index: int, n: int, dtype: torch.dtype, lam: torch.Tensor) -> dict[str, Any]:
        """Each variable for each λ ``(c,)``."""
        seed = cell_seeds(self.seed_root, [index])
        dag = self.graph(seed)
        prompts = NetworkPrompts(dag, n, "mixed-dirichlet").draw(seed, f"prompts/{n}", self.prompts, torch.float64)
        k, exact = prompts.table_counts().sum(-1)[0], baselines.mle(prompts)[0]
        seen = k > 0
        tokens = prompts.tokens.to(dtype).expand(len(lam), -1, -1, -1)
        net, safe = construction.network(dag), lam * dag.in_degree + _SAFE_MU

        def distance(mu: torch.Tensor) -> torch.Tensor:
            out = apply(net, construction.parameters(dag, lam, mu, dtype=dtype), tokens)
            return baselines.total_variation(out.double(), exact)[:, seen]

        error, lean = distance(safe), distance(lam)
        per_unit = ((n - k) / k)[seen]
        bound = per_unit * (-lam.unsqueeze(1)).exp()
        norms = construction.spectral_norms(construction.parameters(dag, lam, lam))
        allowed = theory.error_of(n, lam.numpy())
        dummies = construction.with_dummies(tokens, dag, dag.d)
        weights = construction.parameters(dag, lam, safe, smoothing=True, dtype=dtype)
        smooth = apply(construction.network(dag, smoothing=True), weights, dummies)
        laplace = baselines.total_variation(smooth.double(), baselines.smoothed(prompts, dag.d)[0])
        return {
            "error": _largest(error),
            "scaled_error": _largest((error / per_unit).where(per_unit > 0, 0)),
            "excess": _largest(error - bound),
            "laplace_error": _largest(laplace),
            "lean_error": _largest(lean),
            "lean_allowed": allowed,
            "lean_norm": norms.pop("1.kq").numpy(),
            "norm_bound": theory.norm_bound(dag.M, dag.d, n, allowed),
            "other_norms": torch.stack(list(norms.values())).amax(0).numpy(),
        }


def _largest(values: torch.Tensor) -> np.ndarray:
    return values.amax(1).numpy() if values.shape[1] else np.full(len(values), np.nan)


SIZES = {
    "smoke": Size(lam=(5.0, 20.0), n=20, prompts=40, seeds=4),
    "laptop": Size(
        lam=(2.0, 5.0, 10.0, 15.0, 20.0, 40.0), n=(5, 20, 100, 400), precision=("float64", "float32"), seeds=24
    ),
    "paper": Size(
        lam=(2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0),
        n=(5, 20, 100, 400),
        precision=("float64", "float32"),
        prompts=1000,
        seeds=200,
    ),
}


def in_precision(data: xr.Dataset, precision: str) -> xr.Dataset:
    """The cells of one precision."""
    found = data.sel(precision=precision) if "precision" in data.dims else data
    if str(found.precision.values) != precision:
        raise NotMeasurable(f"needs {precision}")
    return usable(found)


def at_sharpness(data: xr.Dataset, lam: float) -> xr.Dataset:
    """The cells of one λ."""
    if "lam" not in data.dims or lam not in data.lam:
        raise NotMeasurable(f"needs λ = {lam:g}")
    return data.sel(lam=lam)


@claim("the constructed network is the in-context MLE", THEOREM)
def is_maximum_likelihood(data: xr.Dataset) -> Finding:
    """Largest error over graphs, contexts and variables at λ = 40, in double precision."""
    error = at_sharpness(in_precision(data, "float64"), 40).error
    return at_most(1e-12, error, format="at most {most:.1e}", expected="0", where="at λ = 40")


@claim("its error is at most ((n − k)/k) e^(−λ)", DERIVED, sizes=ALL)
def within_its_law(data: xr.Dataset) -> Finding:
    """Largest excess of the error over its bound, in double precision; what is allowed is rounding."""
    excess = in_precision(data, "float64").excess
    return at_most(1e-12, excess, format="excess at most {most:.1e}", expected="none")


@claim("the error falls as e^(−λ)", DERIVED)
def falls_exponentially(data: xr.Dataset) -> Finding:
    """Slope of the logarithm of the error over (n − k)/k against λ up to 20, graph by graph."""
    part = in_precision(data, "float64").scaled_error
    need(part, lam=3)
    part = part.sel(lam=part.lam <= 20)
    if "n" in part.dims:
        part = part.sel(n=part.n.max())
    slopes = np.log(part.where(part > 0)).polyfit("lam", 1).polyfit_coefficients.sel(degree=1, drop=True)
    return between(-1.1, -0.9, mean(slopes), format="slope {:.3f}", expected="-1")


@claim("λ = 10 and λ = 20 are soft and hard enough", DERIVED)
def known_accuracies(data: xr.Dataset) -> Finding:
    """Largest errors at both, in double precision."""
    part = in_precision(data, "float64").error
    low, high = (at_sharpness(part.to_dataset(name="error"), lam).error for lam in (10.0, 20.0))
    said = f"{float(low.max()):.1e} at λ = 10, {float(high.max()):.1e} at λ = 20"
    return all_of(at_most(2e-2, low), at_most(1e-6, high), measured=said, expected="falling by e^(-10)")


@claim("in single precision λ = 20 leaves rounding alone", DERIVED)
def single_precision(data: xr.Dataset) -> Finding:
    """Largest error in float32 at λ = 20."""
    error = at_sharpness(in_precision(data, "float32"), 20).error
    return at_most(1e-5, error, format="at most {most:.1e}", expected="≈ 1e-06")


@claim("an error ε needs norms of keys and queries of at most 3 log(Mdn/ε)", THEOREM, sizes=ALL)
def norms_as_promised(data: xr.Dataset) -> Finding:
    """Error over ε and norm over its bound at λ = μ = log((n + 1)/ε), in double precision."""
    part = in_precision(data, "float64")
    ratio, error = part.lean_norm / part.norm_bound, (part.lean_error - 1e-13) / part.lean_allowed
    said = f"norms at most ×{float(ratio.max()):.2f} of the bound, errors at most ×{float(error.max()):.2f} of ε"
    return all_of(at_most(1.0, ratio), at_most(1.0, error), measured=said, expected="at most ×1")


@claim("no other matrix grows with λ", THEOREM)
def others_do_not_grow(data: xr.Dataset) -> Finding:
    """Largest over smallest norm along λ, graph by graph."""
    norms = usable(data).other_norms
    need(norms, lam=2)
    growth = norms.max("lam") / norms.min("lam")
    said = f"×{{most:.6f}} along λ; the largest norm of all is {float(norms.max()):.1f}"
    return at_most(1 + 1e-9, growth, format=said, expected="bounded by constants")


@claim("with d dummy tokens it is Laplace's rule", DERIVED)
def is_laplace(data: xr.Dataset) -> Finding:
    """Largest distance at λ = 40, unseen configurations included."""
    error = at_sharpness(in_precision(data, "float64"), 40).laplace_error
    return at_most(1e-12, error, format="at most {most:.1e}", expected="0", where="at λ = 40")


CLAIMS = (
    is_maximum_likelihood,
    within_its_law,
    falls_exponentially,
    known_accuracies,
    single_precision,
    norms_as_promised,
    others_do_not_grow,
    is_laplace,
)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Error against λ for each n with its law, and norms beside what the theorem allows."""
    precise = data.sel(precision="float64") if "precision" in data.dims else data
    n = precise.n.max() if "n" in precise.dims else precise.n
    title = "The constructed network reaches the in-context MLE exponentially fast in λ"
    figure, (axes,) = new_figure(1, 2, title=title, width=5.4)
    if "lam" not in data.dims:
        return {"construction": figure}
    worst = precise.error.max("seed") if "seed" in precise.dims else precise.error
    worst = worst.clip(1e-17).assign_attrs(long_name="largest error over all graphs", units="1")
    law = np.exp(-precise.lam) * (n - 1)
    hue = "n" if "n" in worst.dims else None
    curves(axes[0], worst, "lam", hue, log="y", band=False, theory=law, theory_label="(n − 1) e^(−λ), largest n",
           title="total variation to the MLE, float64", legend=False)  # fmt: skip
    axes[0].axhline(1e-14, color="0.5", ls=":", label="rounding")
    axes[0].legend()
    part = precise.sel(n=n) if "n" in precise.dims else precise
    bound = part.norm_bound.mean("seed") if "seed" in part.dims else part.norm_bound
    title = f"norm of keys times queries, n = {int(n)}"
    curves(axes[1], part.lean_norm, "lam", theory=bound, theory_label="3 log(Mdn/ε), mean", title=title)
    return {"construction": figure}


EXPERIMENT = Experiment(ConstructionBody(), SIZES, claims=CLAIMS, figures=figures)
