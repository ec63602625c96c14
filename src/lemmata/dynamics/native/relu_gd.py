"""The commonest case: a two-layer ReLU network on signal-noise data, logistic loss, one or both layers trained."""

from pathlib import Path

import torch
from torch import Tensor

from lemmata.data.patches import Own, Shared
from lemmata.data.sample import Sample, TwoPatchSample
from lemmata.data.signal_noise import SignalNoise
from lemmata.dynamics.engine import Point
from lemmata.dynamics.gram import GramEngine
from lemmata.dynamics.native.kernel import Call, Kernel, are_signs
from lemmata.dynamics.rules import GD
from lemmata.dynamics.run import Run
from lemmata.nets.activations import ReLU
from lemmata.nets.two_layer_cnn import TwoLayerCNN
from lemmata.objectives.margin import Logistic


class ReluGD(Kernel):
    """``relu_gd.c``: one signal vector shared by all samples, and one noise vector each."""

    source = Path(__file__).with_name("relu_gd.c")

    def fits_run(self, run: Run) -> bool:
        """Logistic loss, ReLU, one output weight per filter."""
        net = run.net
        return (
            type(run.objective) is Logistic
            and type(net) is TwoLayerCNN
            and net.activation == ReLU()
            and not (net.per_patch_output or net.divide_by_m)
        )

    def fits_sample(self, sample: Sample) -> bool:
        """Vectors are the signal, then the noises; samples differ by the sign of the signal, not by its length."""
        return (
            isinstance(sample, TwoPatchSample)
            and sample.vectors.shape[1] == 1 + sample.labels.shape[1]
            and isinstance(sample.signal, Shared)
            and sample.signal.vector == 0
            and isinstance(sample.noise, Own)
            and sample.noise.start == 1
            and are_signs(sample.signal.sign, sample.labels)
        )

    def call(self, engine: GramEngine, rule: GD, point: Point, eta: Tensor) -> Call:
        """G, A_0, B, v, labels observed and true, step sizes of v."""
        sample, head = engine.sample, engine.head(point)
        assert isinstance(sample, TwoPatchSample)
        assert isinstance(sample.signal, Shared)
        _, r, k = point["coefficients"].shape
        # Output weights that do not move are stepped by zero, on a copy.
        output = head["output"] if "output" in point else head["output"].clone()
        eta_head = eta * torch.as_tensor(rule.head_ratio if "output" in point else 0.0, dtype=eta.dtype)
        held = (engine.G, engine.A_start, point["coefficients"], output, sample.labels, sample.signal.sign, eta_head)
        return Call((k - 1, r), held, r, k)

    def example(self) -> Run:
        """A cell in the middle of a phase diagram."""
        return Run(SignalNoise(n=50, d=2000, signal=5.0), TwoLayerCNN(10, v0=0.5), rule=GD(0.01))
