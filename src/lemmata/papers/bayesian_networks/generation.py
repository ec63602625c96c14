"""Sequences generated one variable after another, by the constructed network, from one context.

The network is asked for every variable under every beginning, which gives the law of what it generates as a product;
and sequences are drawn from it. Errors of single answers add up: with k' of n samples in least disagreement with a
beginning

    TV(generated, MLE network) ≤ M max ((n - k')/k') e^(-λ)        over all beginnings.

Reference: Cao, He, Wu, Chen, Fan, Liu (2025), arXiv 2501.02547, for generation by the in-context MLE; the bound on the
joint law is derived here. The MLE network answers configurations that do not occur by back-off, as the constructed one
does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from lemmata.claims import Finding, NotMeasurable, above, at_most, below, claim, mean, need, usable
from lemmata.draws import cell_seeds, uniform
from lemmata.lab import ALL, Experiment, Size
from lemmata.modules.attention import apply
from lemmata.papers.bayesian_networks import baselines, construction
from lemmata.parameters import Parameter, check, parameter
from lemmata.prompts.bayesian_networks import NetworkPrompts, NetworkSamples, joint
from lemmata.prompts.dags import GRAPHS
from lemmata.report.curves import curves
from lemmata.report.style import new_figure, styled
from lemmata.sweep import Body, Variable

ABSTRACT = "Cao et al. 2025, abstract"
DERIVED = "derived here"
Answers = Callable[[NetworkSamples], Tensor]
_DRAWS = 20
_GRAPHS = tuple(name for name in GRAPHS if name != "sachs")


def laws_of_steps(answers: Answers, prompts: NetworkSamples) -> list[Tensor]:
    """What is answered after every beginning: for each m the laws ``(d^m, d)`` of variable m.

    Args:
        answers: prompts to probabilities ``(1, b, d)``.
        prompts: one context, ``(1, 1, ...)``.
    """
    return [answers(beginnings(prompts, m))[0] for m in range(prompts.dag.M)]


def beginnings(prompts: NetworkSamples, m: int) -> NetworkSamples:
    """The same context asked for variable m after each of the d^m beginnings."""
    dag, b = prompts.dag, prompts.dag.d**m
    query = torch.arange(b).unsqueeze(0) * dag.d ** (dag.M - m)
    samples, tables = prompts.samples.expand(1, b, -1), prompts.tables.expand(1, b, -1, -1)
    return NetworkSamples(samples, query, torch.full((1, b), m), tables, dag)


def law_of_sequences(steps: list[Tensor]) -> Tensor:
    """Probability of every state, ``(states,)``: products of answers."""
    law = torch.ones(1, dtype=steps[0].dtype)
    for answers in steps:
        law = (law.unsqueeze(1) * answers).flatten()
    return law


def generate(steps: list[Tensor], seed: Tensor, name: str, sequences: int) -> Tensor:
    """States of sequences drawn variable by variable, ``(sequences,)`` int64."""
    state = torch.zeros(sequences, dtype=torch.int64)
    for m, answers in enumerate(steps):
        u = uniform(seed, f"{name}/{m}", (sequences, 1))[0]
        reach = answers[state].cumsum(1)
        state = state * answers.shape[1] + (u * reach[:, -1:] > reach[:, :-1]).sum(1)
    return state


@dataclass(frozen=True)
class GenerationBody(Body):
    """One context for each cell, and all that is generated from it."""

    graph: str = parameter("graph", str, choices=_GRAPHS, default="general")
    n: int = parameter(
        "samples in the context n", int, units="samples", least=1, scale="log", per_cell=True, default=50
    )
    lam: float = parameter("sharpness λ", above=0, per_cell=True, default=20.0)
    sequences: int = parameter("sequences drawn", int, units="sequences", least=1, default=2000)
    seed_root: int = parameter("root of all random draws", int, least=0, default=0, axis=False)

    def __post_init__(self) -> None:
        check(self)

    variables: ClassVar[Mapping[str, Variable]] = {
        "to_mle": Variable((), "1", "total variation of the generated law to the MLE network"),
        "bound": Variable((), "1", "bound on it"),
        "total": Variable((), "1", "sum of the generated law"),
        "to_truth": Variable((), "1", "total variation of the generated law to the true one"),
        "mle_to_truth": Variable((), "1", "total variation of the MLE network to the true one"),
        "naive_to_truth": Variable((), "1", "total variation of the samples' frequencies to the true law"),
        "drawn_to_mle": Variable((), "1", "total variation of drawn sequences to the MLE network"),
        "exact_to_mle": Variable((), "1", "the same of as many drawn from the MLE network"),
        "generated": Variable(("state",), "1", "probability of a sequence, generated"),
        "true": Variable(("state",), "1", "probability of a sequence, true"),
    }

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """States of the graph."""
        return {"state": np.arange(GRAPHS[self.graph].states)}

    def labels(self) -> dict[str, Parameter]:
        """Of the states."""
        return {"state": Parameter("number of the sequence", int)}

    def run(self, points: Sequence[dict[str, Any]]) -> Mapping[str, np.ndarray]:
        """One tile, a context at a time."""
        columns = [self.column(points, name) for name in ("n", "lam")]
        index = [int(point.get("seed", 0)) for point in points]
        rows = [self.measured(i, int(n), float(lam)) for i, n, lam in zip(index, *columns)]
        return {name: np.stack([row[name] for row in rows]) for name in self.variables}

    def measured(self, index: int, n: int, lam: float) -> dict[str, Any]:
        """Each variable."""
        seed, dag = cell_seeds(self.seed_root, [index]), GRAPHS[self.graph]
        prompts = NetworkPrompts(dag, n).draw(seed, f"context/{n}", 1, torch.float64)
        net, weights = construction.network(dag), construction.parameters(dag, torch.tensor([lam]))
        mine = laws_of_steps(lambda asked: apply(net, weights, asked.tokens), prompts)
        exact = laws_of_steps(lambda asked: baselines.mle(asked, unseen="backoff"), prompts)
        generated, best, true = law_of_sequences(mine), law_of_sequences(exact), joint(dag, prompts.tables)[0, 0]
        worst = max(float(unlike(beginnings(prompts, m)).max()) for m in range(dag.M))

        def drawn(steps: list[Tensor], name: str) -> float:
            """Mean distance of the frequencies in several draws: its noise is to be small beside itself."""
            draws = [generate(steps, seed, f"{name}/{i}", self.sequences) for i in range(_DRAWS)]
            shares = [torch.bincount(states, minlength=dag.states).double() / self.sequences for states in draws]
            return sum(distance(share, best) for share in shares) / _DRAWS

        return {
            "to_mle": distance(generated, best),
            "bound": dag.M * worst * np.exp(-lam),
            "total": float(generated.sum()),
            "to_truth": distance(generated, true),
            "mle_to_truth": distance(best, true),
            "naive_to_truth": distance(prompts.counts[0, 0] / n, true),
            "drawn_to_mle": drawn(mine, "mine"),
            "exact_to_mle": drawn(exact, "exact"),
            "generated": generated.numpy(),
            "true": true.numpy(),
        }


def unlike(prompts: NetworkSamples) -> Tensor:
    """(n - k')/k' with k' samples in least disagreement with the query, ``(c, b)``."""
    h = prompts.mismatches()
    nearest = (h == h.amin(2, keepdim=True)).sum(2)
    return (h.shape[2] - nearest) / nearest


def distance(p: Tensor, q: Tensor) -> float:
    """Total variation of two laws over states."""
    return float(0.5 * (p - q).abs().sum())


SIZES = {
    "smoke": Size(graph="wet-grass", lam=(5.0, 20.0), n=20, sequences=200, seeds=3),
    "laptop": Size(lam=(3.0, 5.0, 10.0, 20.0), n=(10, 50, 200, 1000), seeds=24),
    "paper": Size(graph=_GRAPHS, lam=(3.0, 5.0, 10.0, 20.0, 30.0), n=(10, 50, 200, 1000), sequences=20_000, seeds=100),
}


def sharpest(data: xr.Dataset) -> xr.Dataset:
    """The cells of λ = 20."""
    if "lam" not in data.dims or 20.0 not in data.lam:
        raise NotMeasurable("needs λ = 20")
    return usable(data).sel(lam=20.0)


@claim("the generated law is within M max((n − k)/k) e^(−λ) of the MLE network's", DERIVED, sizes=ALL)
def within_the_bound(data: xr.Dataset) -> Finding:
    """Largest excess over the bound; what is allowed is rounding."""
    used = usable(data)
    return at_most(1e-12, used.to_mle - used.bound, format="excess at most {most:.1e}", expected="none")


@claim("at λ = 20 it generates from the MLE network", ABSTRACT)
def is_the_mle_network(data: xr.Dataset) -> Finding:
    """Largest total variation of the joint laws."""
    return at_most(1e-5, sharpest(data).to_mle, format="at most {most:.1e}", expected="0")


@claim("sequences drawn from it are as near to the MLE network's law as sequences drawn from that", ABSTRACT)
def drawn_as_exact(data: xr.Dataset) -> Finding:
    """Ratio of the two distances, which are sampling noise."""
    used = sharpest(data)
    need(used, seed=3)
    ratio = used.drawn_to_mle / used.exact_to_mle
    return below(1.1, mean(ratio.mean([dim for dim in ratio.dims if dim != "seed"])), format="×{:.3f}", expected="×1")


@claim("it is nearer to the true law than the samples it was shown", DERIVED)
def nearer_than_the_samples(data: xr.Dataset) -> Finding:
    """Distance of the samples' frequencies to the true joint law over that of the generated law."""
    used = sharpest(data)
    return above(1.0, mean(used.naive_to_truth / used.to_truth), format="×{:.2f}", expected="above ×1")


CLAIMS = (within_the_bound, is_the_mle_network, drawn_as_exact, nearer_than_the_samples)


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Distance to the truth over n, and one generated law beside the true one."""
    used = data.sel(lam=data.lam.max()) if "lam" in data.dims else data
    used = used.isel(graph=0) if "graph" in used.dims else used
    figure, (axes,) = new_figure(1, 2, title="The joint law that is generated, beside the true one", width=5.6)
    if "n" in used.dims:
        both = xr.concat(
            [used.to_truth, used.naive_to_truth], xr.DataArray(["generated", "frequencies of the samples"], dims="of")
        )
        both = both.assign_attrs(long_name="total variation to the true joint law", units="1")
        curves(axes[0], both, "n", "of", log="xy", title="distance to the truth")
    one = used.isel({name: -1 for name in ("n", "seed") if name in used.dims})
    beside(axes[1], one)
    return {"generation": figure}


@styled
def beside(ax: Axes, one: xr.Dataset) -> None:
    """Probabilities of sequences, generated against true."""
    ax.plot(one.true, one.generated, ls="", marker="o", color="#0072b2", ms=4, label="a sequence")
    top = float(one.true.max()) * 1.1
    ax.plot([0, top], [0, top], color="0.3", ls=(0, (5, 2.5)), label="equal")
    ax.set_xlabel("true probability")
    ax.set_ylabel("probability that it is generated")
    ax.set_title(f"one context of n = {int(one.n)}")
    ax.legend()


EXPERIMENT = Experiment(GenerationBody(), SIZES, claims=CLAIMS, figures=figures)
