"""How well filters point along the signal, whatever they are used for.

*Alignment* is the share of their squared length that lies along the signal,

    cos^2 = sum_r <w_r, mu>^2 / (|mu|^2 sum_r |w_r|^2),

1 for filters that see nothing else and about 1/d for random ones. The eigenvalue problem behind pre-training predicts
it (:func:`lemmata.papers.simclr.theory.top_alignment`). It needs one signal vector shared by all samples.
"""

import torch
from torch import Tensor

from lemmata.data.patches import Shared
from lemmata.probes.probe import Probe
from lemmata.probes.snapshot import Snapshot


def signal_alignment(snapshot: Snapshot) -> Tensor:
    """cos^2 ``(c,)``, in [0, 1].

    Raises:
        ValueError: if the samples do not share one signal vector.
    """
    p = snapshot.products
    signal = getattr(p.sample, "signal", None)
    if not isinstance(signal, Shared):
        raise ValueError(
            "the alignment with the signal was asked for, and these data have no one signal vector; leave it out"
        )
    squared = p.Q.diagonal(dim1=1, dim2=2).sum(1) * p.sample.vectors[:, signal.vector].square().sum(1)
    along = p.A[..., signal.vector]
    return along.square().sum(1) / squared.clamp_min(torch.finfo(squared.dtype).tiny)


PROBES = (Probe("signal_alignment", signal_alignment, "alignment of the filters with the signal, cos²"),)
