"""Trainings that run in C, where that was measured to be faster than PyTorch: one case per file, tested against it."""

import torch

from lemmata import compiled
from lemmata.data.sample import Sample
from lemmata.draws import cell_seeds
from lemmata.dynamics.native.denoising_gd import DenoisingGD
from lemmata.dynamics.native.info_nce_gd import InfoNCEGD
from lemmata.dynamics.native.kernel import Kernel
from lemmata.dynamics.native.relu_gd import ReluGD
from lemmata.dynamics.native.simclr_gd import SimCLRGD
from lemmata.dynamics.run import Run

KERNELS: tuple[Kernel, ...] = (ReluGD(), DenoisingGD(), InfoNCEGD(), SimCLRGD())
"""All there are."""


def kernel(run: Run, sample: Sample) -> Kernel | None:
    """The compiled code that does exactly what ``run`` describes and is the fastest way here; None is PyTorch."""
    fitting = (kernel for kernel in KERNELS if kernel.fits(run, sample))
    return next((kernel for kernel in fitting if kernel.is_fastest(run.torch_dtype)), None)


def in_use(run: Run) -> str:
    """What the steps of ``run`` are taken by on this machine, in a line; its value fields hold numbers, not tensors."""
    where = "" if torch.device(run.device).type == "cpu" else f" on {run.device}"
    if any(kernel.fits_run(run) for kernel in KERNELS):
        keys = cell_seeds(run.seed_root, [0], run.device)
        sample = run.data.sample(keys, run.net.initial_scale(keys), coordinates=run.coordinates)
        found = kernel(run, sample)
        if found is not None:
            return f"{run.engine_used} engine in C, {found.way(run.torch_dtype)}, {compiled.machine().compiler}"
    return f"{run.engine_used} engine in PyTorch {torch.__version__}{where}"
