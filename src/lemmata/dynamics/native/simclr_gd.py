"""SimCLR of a linear encoder, dot products, negatives the first views of the other pairs."""

from pathlib import Path

import torch
from torch import Tensor

from lemmata.data.pairs import PairSample, SignalNoisePairs
from lemmata.data.sample import Sample
from lemmata.dynamics.engine import Point
from lemmata.dynamics.gram import GramEngine
from lemmata.dynamics.native.kernel import Call, Kernel
from lemmata.dynamics.rules import GD
from lemmata.dynamics.run import Run
from lemmata.nets.linear_encoder import LinearEncoder
from lemmata.objectives.simclr import SimCLR


class SimCLRGD(Kernel):
    """``simclr_gd.c``: filters move along the views alone, so coefficients are counted on these and handed back."""

    source = Path(__file__).with_name("simclr_gd.c")

    def fits_run(self, run: Run) -> bool:
        """Similarities as they are; every first view is an anchor once."""
        objective = run.objective
        return (
            type(objective) is SimCLR
            and objective.similarity == "dot"
            and objective.negatives == "first"
            and type(run.net) is LinearEncoder
        )

    def fits_sample(self, sample: Sample) -> bool:
        """Any pairs: views are sums of vectors."""
        return isinstance(sample, PairSample)

    def call(self, engine: GramEngine, rule: GD, point: Point, eta: Tensor) -> Call:
        """M, H, coefficients on the views from here on, temperature."""
        sample, objective = engine.sample, engine.objective
        assert isinstance(sample, PairSample)
        assert isinstance(objective, SimCLR)
        H = torch.cat(sample.views(engine.inner_products(point)), -1)
        M = torch.cat(sample.views(torch.cat(sample.views(engine.G), -1).mT), -1)
        B = torch.zeros_like(H)
        tau = torch.as_tensor(objective.temperature, dtype=eta.dtype).expand(len(eta)).contiguous()
        n = sample.labels.shape[1]

        def hand_back() -> None:
            first, second = B.chunk(2, -1)
            sample.write_views(first, second, point["coefficients"])

        sizes = (n, H.shape[1], int(objective.stop_gradient))
        return Call(sizes, (M, H, B, tau), H.shape[1], 2 * n, hand_back)

    def example(self) -> Run:
        """Pre-training of about the size of the experiments."""
        return Run(SignalNoisePairs(pairs=30, d=2000, signal=5.0), LinearEncoder(10), SimCLR(), GD(c=0.2))
