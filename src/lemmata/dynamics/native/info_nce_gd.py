"""Contrast of paired samples patch by patch, keys held fixed, between two modalities or with one augmented view."""

from pathlib import Path

import torch
from torch import Tensor

from lemmata.data.paired import PairedSample, PairedSignalNoise
from lemmata.data.sample import Sample
from lemmata.dynamics.engine import Point
from lemmata.dynamics.gram import GramEngine
from lemmata.dynamics.native.kernel import Call, Kernel, are_signs
from lemmata.dynamics.rules import GD
from lemmata.dynamics.run import Run
from lemmata.nets.activations import ReLU
from lemmata.nets.patch_encoder import PatchEncoder
from lemmata.objectives.info_nce import InfoNCE


class InfoNCEGD(Kernel):
    """``info_nce_gd.c``: the signal patch of a sample has two values, so what it adds to similarities is a table."""

    source = Path(__file__).with_name("info_nce_gd.c")

    def fits_run(self, run: Run) -> bool:
        """Similarities as they are, patch by patch, of ReLU features; augmentations drawn once."""
        objective, net = run.objective, run.net
        return (
            type(objective) is InfoNCE
            and objective.similarity == "patchwise"
            and objective.stop_gradient
            and not (objective.normalise or objective.draws)
            and type(net) is PatchEncoder
            and net.activation == ReLU()
        )

    def fits_sample(self, sample: Sample) -> bool:
        """Vectors are the signal, the noises, and the augmented ones of a single modality."""
        return (
            isinstance(sample, PairedSample)
            and sample.signal.vector == 0
            and are_signs(sample.signal.sign)
            and sample.noise.start == 1
            and (sample.augmented is None) == (sample.modalities == 2)
            and (sample.augmented is None or sample.augmented.start == 1 + sample.noise.n)
            and sample.vectors.shape[-2] == 1 + sample.noise.n * (1 if sample.augmented is None else 2)
        )

    def call(self, engine: GramEngine, rule: GD, point: Point, eta: Tensor) -> Call:
        """G, A_0, B, labels, which samples are negatives, temperature."""
        sample, objective = engine.sample, engine.objective
        assert isinstance(sample, PairedSample)
        assert isinstance(objective, InfoNCE)
        cells, modalities, r, k = engine.A_start.shape
        n = sample.noise.n
        tau = torch.as_tensor(objective.step_scale(engine.net), dtype=eta.dtype).expand(cells).contiguous()
        held = (engine.G, engine.A_start, point["coefficients"], sample.signal.sign, sample.negatives, tau)
        return Call((n, r, modalities, k), tuple(item.to(eta.dtype) for item in held), modalities * r, max(k, n))

    def example(self) -> Run:
        """Two modalities, at about half of the size of the paper's figures."""
        data = PairedSignalNoise(n=30, d=2000, signal=5.0, modality="multi")
        return Run(data, PatchEncoder(30), InfoNCE(), GD(1e-3))
