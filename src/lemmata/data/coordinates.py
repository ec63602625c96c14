"""Coordinates of Gaussian vectors: explicit in R^d, or compressed to the few numbers that a training run can see.

Every gradient of a rotation-equivariant training run lies in the span of the data vectors and the initial filters, and
Gaussian vectors have a rotation-invariant law. So N Gaussian rows in R^d may be replaced by rows with the same joint
Gram matrix in far fewer dimensions,

    row_i = scale_i * [ z_i (frame) | L_i ],   L L^T ~ Wishart(d - frame, I_N),
    L_ii = sqrt(chi^2_{d - frame - i}),  L_ij ~ N(0, 1) for j < i,          i = 0 .. N-1,

where the first ``frame`` axes carry fixed vectors (signals, images) in whose directions the rows are plain Gaussians,
and ``L`` is the Bartlett factor of the rest (Bartlett 1933; Muirhead 1982, "Aspects of Multivariate Statistical
Theory", theorem 3.2.14). The dimension enters through chi-square degrees of freedom only: d = 10^9 costs what
d = 10^3 costs.
"""

import torch
from torch import Tensor

from lemmata.draws import chi_square, normal


def compresses(rows: int, frame: int, d: int) -> bool:
    """Whether ``rows`` Gaussians in R^d beside ``frame`` fixed axes have a Bartlett factor: ``d >= frame + rows``.

    In fewer dimensions the rows are linearly dependent and explicit coordinates are the smaller ones anyway.
    """
    return d - frame >= rows


def gaussian_rows(
    seeds: Tensor, name: str, rows: int, frame: int, d: int | Tensor, *, coordinates: str = "compressed"
) -> Tensor:
    """Standard Gaussian vectors of R^d, seen by each other and by ``frame`` fixed axes.

    Args:
        seeds: ``(c,)``.
        name: the random stream.
        rows: how many vectors, N.
        frame: how many leading axes carry fixed vectors.
        d: ambient dimension, one number or ``(c,)`` (compressed only).
        coordinates: ``"compressed"`` or ``"explicit"``. Compressed falls back to explicit where :func:`compresses`
            says no, so the law of the joint Gram matrix is exact for every d.

    Returns:
        ``(c, rows, D)`` float64 with ``D = frame + rows`` compressed and ``D = d`` explicit.
    """
    cells = seeds.shape[0]
    smallest = int(torch.as_tensor(d).min())
    if coordinates == "explicit" or not compresses(rows, frame, smallest):
        if isinstance(d, Tensor) and d.ndim and int(d.max()) != smallest:
            raise ValueError(
                f"explicit coordinates were asked for cells of several dimensions d ({smallest} to {int(d.max())}), "
                "which do not fit one tile; make d a shape axis, or raise every d above the number of vectors"
            )
        return normal(seeds, name, (rows, smallest))
    along_frame = normal(seeds, name + "/frame", (rows, frame))
    degrees = torch.as_tensor(d, dtype=torch.float64, device=seeds.device).reshape(-1, 1) - frame
    degrees = (degrees - torch.arange(rows, dtype=torch.float64, device=seeds.device)).expand(cells, rows)
    diagonal = chi_square(seeds, name + "/diagonal", degrees).sqrt()
    below = normal(seeds, name + "/below", (rows, rows)).tril(-1)
    return torch.cat([along_frame, below + torch.diag_embed(diagonal)], dim=2)


def rows_beside(seeds: Tensor, held: Tensor, drawn: int, kept: int, d: int | Tensor) -> Tensor:
    """The first ``kept`` of ``drawn`` standard Gaussian vectors that see ``held`` ``(c, r, D)`` as fixed.

    Returns:
        ``(c, kept, D')`` in coordinates of which the first D are those of ``held``.

    Raises:
        ValueError: if D is above d.
    """
    frame, smallest = held.shape[-1], int(torch.as_tensor(d).min())
    if frame > smallest:
        raise ValueError(f"vectors in R^{frame} were given to data in R^{smallest}; take d = {frame} or more")
    rows = gaussian_rows(seeds, "beside", drawn, frame, d)
    # Row i of a Bartlett factor ends at column i: the first rows need no further columns.
    return rows[:, :kept, : frame + kept] if rows.shape[-1] == frame + drawn else rows[:, :kept]


def pad_to(vectors: Tensor, like: Tensor) -> Tensor:
    """``vectors`` ``(c, k, d)`` with zeros added up to the coordinates of ``like``."""
    return torch.nn.functional.pad(vectors, (0, like.shape[-1] - vectors.shape[-1]))
