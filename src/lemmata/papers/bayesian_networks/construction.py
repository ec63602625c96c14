"""A transformer of two layers whose weights are written down, and which answers with the in-context MLE.

Tokens as in :mod:`lemmata.prompts.bayesian_networks` enter a width of Md + M + d (one-hot blocks, position, output):

    layer 1   no attention; ReLU(x_m,v + Σ_j B_m,j p_j - 1) is taken off, B_m,j = 1 where m is no parent of j: the query
              keeps the blocks of the asked variable's parents, samples keep all
    layer 2   scores λ <x_i, x_q> - μ <p_i, p_q>: λ times the number of parents that agree, and μ off for the query
              itself; the blocks are averaged, and ReLU(h_m,v + 2 p_m - 2) puts block m0 into the output rows

Read out is a probability vector. Its distance from the MLE is at most ((n - k)/k) e^(-λ) where k of n samples agree
with the query on the parents, once μ is so large that the query does not read itself. Where none agrees the MLE is 0/0,
and the network answers with the samples that disagree in the fewest parents.

After Theorem 4.1 of Cao, He, Wu, Chen, Fan, Liu (2025), arXiv 2501.02547, whose read-out depends on m0; weights, one
read-out for all m0 and the error law are ours. With ``smoothing``, tokens have one more coordinate, a flag; r dummy
tokens whose blocks are all 1/d and whose flag is 1 count as r agreeing samples of no opinion: Laplace's rule for r = d.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from lemmata.modules.attention import AttentionNetwork, Block
from lemmata.prompts.dags import Dag


def network(dag: Dag, *, smoothing: bool = False, causal: bool = False) -> AttentionNetwork:
    """The architecture; the weights are :func:`parameters`."""
    M, d = dag.M, dag.d
    blocks = (
        Block(0, hidden=M * d, activation="relu", norm="none"),
        Block(1, "softmax", "merged", M * d, "relu", "none"),
    )
    entering = M * d + M + smoothing
    return AttentionNetwork(entering, blocks, width=entering + d, outputs=d, causal=causal)


def parameters(
    dag: Dag,
    lam: Tensor,
    mu: Tensor | None = None,
    *,
    smoothing: bool = False,
    dtype: torch.dtype = torch.float64,
) -> dict[str, Tensor]:
    """Weights of c networks that differ in λ and μ.

    Args:
        lam: λ ``(c,)``, above 0.
        mu: μ ``(c,)``; by default λ times the most parents, and 40.
        smoothing: read the flag of dummies; then μ should be larger than λ times the most parents by 40 or more.

    Raises:
        ValueError: a λ that is not above 0.
    """
    if not bool((lam > 0).all()):
        raise ValueError(f"λ = {float(lam.min()):g} was asked for; scores must grow with agreement, take λ above 0")
    M, d, c = dag.M, dag.d, len(lam)
    mu = lam * dag.in_degree + 40 if mu is None else mu
    lam, mu = lam.to(dtype), mu.to(dtype)
    data, at, out = slice(0, M * d), M * d, M * d + M + smoothing
    positions = slice(at, at + M)
    found = network(dag, smoothing=smoothing).zeros(c, dtype)
    found["read.w"][:] = torch.eye(out, out + d, dtype=dtype)

    keeps = dag.is_parent.to(dtype).repeat_interleave(d, 1)  # (M, M d): position j, coordinate (m, v)
    found["0.up.w"][:, data] = torch.eye(M * d, dtype=dtype)
    found["0.up.w"][:, positions] = 1 - keeps
    found["0.up.b"][:] = -1
    found["0.down.w"][:, :, data] = -torch.eye(M * d, dtype=dtype)

    found["1.kq"][:, 0, data, data] = lam.view(c, 1, 1) * torch.eye(M * d, dtype=dtype)
    found["1.kq"][:, 0, positions, positions] = -mu.view(c, 1, 1) * torch.eye(M, dtype=dtype)
    if smoothing:
        parents = dag.is_parent.sum(1).to(dtype)
        found["1.kq"][:, 0, at + M, positions] = lam.view(c, 1) * (1 - 1 / d) * parents
    found["1.value"][:, 0, data, data] = torch.eye(M * d, dtype=dtype)
    found["1.up.w"][:, data] = torch.eye(M * d, dtype=dtype)
    found["1.up.w"][:, positions] = 2 * torch.eye(M, dtype=dtype).repeat_interleave(d, 1)
    found["1.up.b"][:] = -2
    found["1.down.w"][:, :, out:] = torch.eye(d, dtype=dtype).repeat(M, 1)
    found["head.w"][:, out:] = torch.eye(d, dtype=dtype)
    return found


def with_dummies(tokens: Tensor, dag: Dag, dummies: int) -> Tensor:
    """Tokens ``(c, b, n + 1, Md + M)`` with a flag, and ``dummies`` before them; width Md + M + 1."""
    dummy = torch.zeros(dag.M * dag.d + dag.M + 1, dtype=tokens.dtype, device=tokens.device)
    dummy[: dag.M * dag.d] = 1 / dag.d
    dummy[-1] = 1
    return torch.cat([dummy.expand(*tokens.shape[:2], dummies, -1), F.pad(tokens, (0, 1))], 2)


def spectral_norms(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Largest singular value of every matrix, each ``(c,)``."""
    matrices = {name: value for name, value in weights.items() if value.ndim > 2}
    return {name: torch.linalg.matrix_norm(value, 2).view(len(value), -1).amax(1) for name, value in matrices.items()}
