"""A tied denoiser with a power as its activation, its expected loss over the noise."""

from pathlib import Path

import torch
from torch import Tensor

from lemmata.data.sample import DiffusionSample, Sample
from lemmata.data.two_signals import TwoSignals
from lemmata.dynamics.engine import Point
from lemmata.dynamics.gram import GramEngine
from lemmata.dynamics.native.kernel import Call, Kernel
from lemmata.dynamics.rules import GD
from lemmata.dynamics.run import Run
from lemmata.nets.activations import Power
from lemmata.nets.denoiser import TiedDenoiser
from lemmata.objectives.denoising import Denoising

_POWERS = range(2, 7)  # MOST in the C code


class DenoisingGD(Kernel):
    """``denoising_gd.c``: moves the coefficients of the filters on their start and on the data."""

    source = Path(__file__).with_name("denoising_gd.c")

    def fits_run(self, run: Run) -> bool:
        """The exact loss, and a power from 2 to 6."""
        net = run.net
        return (
            type(run.objective) is Denoising
            and type(net) is TiedDenoiser
            and type(net.activation) is Power
            and net.activation.power in _POWERS
        )

    def fits_sample(self, sample: Sample) -> bool:
        """Vectors that patches read, and no others."""
        return isinstance(sample, DiffusionSample) and sample.diffusion_noises == 0

    def call(self, engine: GramEngine, rule: GD, point: Point, eta: Tensor) -> Call:
        """G, A_0, Q_0, B, C, weights of the vectors, alpha, beta, dimension."""
        sample, net, objective = engine.sample, engine.net, engine.objective
        assert isinstance(sample, DiffusionSample)
        assert isinstance(objective, Denoising)
        assert isinstance(net, TiedDenoiser)
        assert isinstance(net.activation, Power)
        B = point["coefficients"]
        cells, r, k = B.shape
        weights = torch.full_like(sample.labels, 1 / sample.labels.shape[1]).unsqueeze(1) @ sample.reads
        schedule = (
            torch.as_tensor(value, dtype=eta.dtype).expand(cells).contiguous() for value in objective.schedule(eta)
        )
        held = (engine.G, engine.A_start, engine.Q_start, B, point["carry"], weights, *schedule, sample.dimension)
        return Call((r, k, net.activation.power), tuple(item.to(eta.dtype) for item in held), r, k)

    def example(self) -> Run:
        """A quadratic denoiser of the size of the paper's figures."""
        return Run(TwoSignals(n=30, d=1000, signal=5.0), TiedDenoiser(m=20), Denoising(0.2), GD(1e-3))
