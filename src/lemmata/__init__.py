"""Lemmata: a laboratory for deep-learning theory.

This is the table of contents. A name is imported when it is first used, so that ``from lemmata.optim import AdamPP``
loads the optimisers alone and the command line answers at once.
"""

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

_CONTENTS = {
    # what is sampled
    "SignalNoise": "lemmata.data.signal_noise",
    "PairedSignalNoise": "lemmata.data.paired",
    "SignalNoisePairs": "lemmata.data.pairs",
    "ImageNoise": "lemmata.data.image_noise",
    "ImagePairs": "lemmata.data.image_pairs",
    "ImageSignals": "lemmata.data.image_signals",
    "TwoSignals": "lemmata.data.two_signals",
    "load_digits": "lemmata.data.files.images",
    "load_images": "lemmata.data.files.image_files",
    # what is trained
    "TwoLayerCNN": "lemmata.nets.two_layer_cnn",
    "PatchEncoder": "lemmata.nets.patch_encoder",
    "LinearEncoder": "lemmata.nets.linear_encoder",
    "TiedDenoiser": "lemmata.nets.denoiser",
    "ReLU": "lemmata.nets.activations",
    "LeakyReLU": "lemmata.nets.activations",
    "Softplus": "lemmata.nets.activations",
    "GELU": "lemmata.nets.activations",
    "Power": "lemmata.nets.activations",
    # what is minimised
    "Objective": "lemmata.objectives.objective",
    "MarginObjective": "lemmata.objectives.margin",
    "Logistic": "lemmata.objectives.margin",
    "InfoNCE": "lemmata.objectives.info_nce",
    "SimCLR": "lemmata.objectives.simclr",
    "Denoising": "lemmata.objectives.denoising",
    "FixedNoiseDenoising": "lemmata.objectives.denoising",
    "FreshNoiseDenoising": "lemmata.objectives.denoising",
    # how it moves
    "Run": "lemmata.dynamics.run",
    "GD": "lemmata.dynamics.rules",
    "TorchRule": "lemmata.dynamics.rules",
    "ParameterFree": "lemmata.dynamics.parameter_free",
    "train": "lemmata.dynamics.train",
    "Status": "lemmata.dynamics.stopping",
    "Until": "lemmata.dynamics.stopping",
    # what is seen
    "Probe": "lemmata.probes.probe",
    "PROBES": "lemmata.probes.shipped",
    # grid to dataset; the verb itself is lemmata.sweep.sweep
    "Axis": "lemmata.sweep.grid",
    "Grid": "lemmata.sweep.grid",
    "TrainingBody": "lemmata.sweep.bodies.of_run",
    # a conjecture in, a verdict out
    "test": "lemmata.tester.verbs",
    "explain": "lemmata.tester.verbs",
    "collapse": "lemmata.tester.verbs",
    "Threshold": "lemmata.tester.threshold",
    "Scaling": "lemmata.tester.scaling",
    "Collapse": "lemmata.tester.collapse",
    "Bound": "lemmata.tester.bound",
    "Invariance": "lemmata.tester.invariance",
    "Order": "lemmata.tester.order",
}

__all__ = ["__version__", *_CONTENTS]

RENAMED: dict[str, tuple[str, str]] = {}
"""Old name: its successor, and the release in which the old one goes."""

if TYPE_CHECKING:
    from lemmata.data.files.image_files import load_images as load_images
    from lemmata.data.files.images import load_digits as load_digits
    from lemmata.data.image_noise import ImageNoise as ImageNoise
    from lemmata.data.image_pairs import ImagePairs as ImagePairs
    from lemmata.data.image_signals import ImageSignals as ImageSignals
    from lemmata.data.paired import PairedSignalNoise as PairedSignalNoise
    from lemmata.data.pairs import SignalNoisePairs as SignalNoisePairs
    from lemmata.data.signal_noise import SignalNoise as SignalNoise
    from lemmata.data.two_signals import TwoSignals as TwoSignals
    from lemmata.dynamics.parameter_free import ParameterFree as ParameterFree
    from lemmata.dynamics.rules import GD as GD
    from lemmata.dynamics.rules import TorchRule as TorchRule
    from lemmata.dynamics.run import Run as Run
    from lemmata.dynamics.stopping import Until as Until
    from lemmata.dynamics.train import train as train
    from lemmata.nets.activations import GELU as GELU
    from lemmata.nets.activations import LeakyReLU as LeakyReLU
    from lemmata.nets.activations import Power as Power
    from lemmata.nets.activations import ReLU as ReLU
    from lemmata.nets.activations import Softplus as Softplus
    from lemmata.nets.denoiser import TiedDenoiser as TiedDenoiser
    from lemmata.nets.linear_encoder import LinearEncoder as LinearEncoder
    from lemmata.nets.patch_encoder import PatchEncoder as PatchEncoder
    from lemmata.nets.two_layer_cnn import TwoLayerCNN as TwoLayerCNN
    from lemmata.objectives.denoising import Denoising as Denoising
    from lemmata.objectives.denoising import FixedNoiseDenoising as FixedNoiseDenoising
    from lemmata.objectives.denoising import FreshNoiseDenoising as FreshNoiseDenoising
    from lemmata.objectives.info_nce import InfoNCE as InfoNCE
    from lemmata.objectives.margin import Logistic as Logistic
    from lemmata.objectives.margin import MarginObjective as MarginObjective
    from lemmata.objectives.objective import Objective as Objective
    from lemmata.objectives.simclr import SimCLR as SimCLR
    from lemmata.probes.probe import Probe as Probe
    from lemmata.probes.shipped import PROBES as PROBES
    from lemmata.status import Status as Status
    from lemmata.sweep.bodies.of_run import TrainingBody as TrainingBody
    from lemmata.sweep.grid import Axis as Axis
    from lemmata.sweep.grid import Grid as Grid
    from lemmata.tester.bound import Bound as Bound
    from lemmata.tester.collapse import Collapse as Collapse
    from lemmata.tester.invariance import Invariance as Invariance
    from lemmata.tester.order import Order as Order
    from lemmata.tester.scaling import Scaling as Scaling
    from lemmata.tester.threshold import Threshold as Threshold
    from lemmata.tester.verbs import collapse as collapse
    from lemmata.tester.verbs import explain as explain
    from lemmata.tester.verbs import test as test


def __getattr__(name: str) -> Any:
    if name in RENAMED:
        new, until = RENAMED[name]
        told = f"lemmata.{name} is called lemmata.{new} and goes in {until}; write {new}"
        warnings.warn(told, DeprecationWarning, stacklevel=2)
        name = new
    if name not in _CONTENTS:
        raise AttributeError(f"lemmata has no {name!r}; its names are {', '.join(_CONTENTS)}")
    return getattr(import_module(_CONTENTS[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
