"""A sum or a maximum over the processes, whose handle outlives the call.

A gloo thread that is the last to let go of a collective frees its tensor, for which it needs the interpreter; where
that is closing down, the process aborts ("terminate called without an active exception"). Kept until the next one, the
handle is let go by the thread that asked.
"""

from typing import Literal

import torch.distributed as dist
from torch import Tensor

_last: list[object] = []


def all_reduce(values: Tensor, op: Literal["SUM", "MAX"], group: "dist.ProcessGroup | None") -> None:
    """Reduce ``values`` in place over the processes of ``group``; nothing where there is one process."""
    if dist.is_available() and dist.is_initialized():
        work = dist.all_reduce(values, op=getattr(dist.ReduceOp, op), group=group, async_op=True)
        if work is not None:  # None where this process is not of the group
            work.wait()
        _last[:] = [work]
