"""What the network is measured against: estimates from the same context, vectorised over all prompts.

    mle          counts on the true graph                         k_v / k
    naive        the same on the complete graph: conditions on *all* variables before the asked one
    marginal     the same on the empty graph
    laplace      (k_v + 1) / (k + d) on the true graph
    posterior    the mean of the table's row given the counts, under the law it is drawn from (two values, "uniform")
    truth        the law that the value is drawn from

"Bayesian inference" in the figures of Cao et al. (2025), arXiv 2501.02547, is ``mle``, and "naive Bayes" is ``naive``.
For a configuration that does not occur k = 0; the published baselines count that as a failure, ``unseen="fail"``.
"""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lemmata.prompts.bayesian_networks import NetworkSamples
from lemmata.prompts.dags import Dag

Unseen = Literal["backoff", "uniform", "fail", "error"]
NAMES = ("mle", "naive", "marginal", "laplace", "posterior")
UNSEEN = ("backoff", "uniform", "fail", "error")


def mle(prompts: NetworkSamples, dag: Dag | None = None, unseen: Unseen = "uniform") -> Tensor:
    """In-context maximum likelihood ``(c, b, d)``.

    Args:
        dag: the graph that is assumed; by default the true one.
        unseen: for a configuration that does not occur: the samples that differ in the fewest parents ("backoff"),
            "uniform", NaN ("fail"), or "error".

    Raises:
        ValueError: an unknown word, or a configuration that does not occur where that is an error.
    """
    if unseen not in UNSEEN:
        raise ValueError(f"unseen = {unseen!r} was asked for; there are {', '.join(UNSEEN)}")
    if unseen == "backoff":
        h = prompts.mismatches(dag)
        nearest = h == h.amin(2, keepdim=True)
        counts = (prompts.values_of_asked() * nearest.unsqueeze(3)).sum(2)
    else:
        counts = prompts.table_counts(dag)
    total = counts.sum(-1, keepdim=True)
    missing = total == 0
    if unseen == "error" and bool(missing.any()):
        raise ValueError(
            f"{int(missing.sum())} of {missing.numel()} contexts do not show the query's configuration; "
            "say unseen='backoff', 'uniform' or 'fail'"
        )
    instead = np.nan if unseen == "fail" else 1 / counts.shape[-1]
    return torch.where(missing, instead, counts / total.clamp_min(1))


def smoothed(prompts: NetworkSamples, dummies: float, dag: Dag | None = None) -> Tensor:
    """(k_v + r/d) / (k + r) with r ``dummies``: Laplace's rule for r = d, Jeffreys' for r = d/2."""
    counts = prompts.table_counts(dag)
    return (counts + dummies / counts.shape[-1]) / (counts.sum(-1, keepdim=True) + dummies)


def posterior_mean(prompts: NetworkSamples, low: float = 0.1, high: float = 0.9, nodes: int = 256) -> Tensor:
    """E[row | counts] for P(X = 0) ~ U(low, high), by Gauss-Legendre: what cross-entropy on labels descends to.

    Raises:
        ValueError: more than two values.
    """
    counts = prompts.table_counts()
    if counts.shape[-1] != 2:
        raise ValueError(f"the posterior mean was asked for with {counts.shape[-1]} values; it is for two")
    x, w = np.polynomial.legendre.leggauss(nodes)
    p = torch.tensor(low + (high - low) * (x + 1) / 2, dtype=torch.float64)
    log = counts[..., :1].double() * p.log() + counts[..., 1:].double() * (1 - p).log()
    weight = (log - log.amax(-1, keepdim=True)).exp() * torch.tensor(w)
    mean = (weight * p).sum(-1, keepdim=True) / weight.sum(-1, keepdim=True)
    return torch.cat([mean, 1 - mean], -1).to(counts.dtype)


def estimates(prompts: NetworkSamples, low: float, high: float) -> dict[str, Tensor]:
    """All of :data:`NAMES`, each ``(c, b, d)``; unseen configurations are answered with the uniform law."""
    return {
        "mle": mle(prompts),
        "naive": mle(prompts, prompts.dag.complete),
        "marginal": mle(prompts, prompts.dag.empty),
        "laplace": smoothed(prompts, prompts.dag.d),
        "posterior": posterior_mean(prompts, low, high),
    }


def total_variation(p: Tensor, q: Tensor) -> Tensor:
    """½ Σ|p_v - q_v|, ``(..., d)`` → ``(...)``; 1 where ``p`` has failed (NaN), as the published code scores it."""
    return torch.nan_to_num(0.5 * (p - q).abs().sum(-1), nan=1.0)
