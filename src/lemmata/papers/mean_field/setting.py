"""What the experiments on particle flows share: the network, its start, its prompts, and how its flow is followed.

Everything a user may set stands here once. Widths and depths are shapes and split tiles; decay, steps and seeds are
numbers, and cells of one tile differ in them. Reference: Gao et al. 2024, arXiv 2410.23610.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lemmata.claims import NotMeasurable
from lemmata.draws import cell_seeds
from lemmata.loops import flow_probes
from lemmata.loops.flow import EnergyTest, FixedStep, FlowState, flow
from lemmata.loops.particle_energy import ParticleEnergy
from lemmata.modules.attention_particle import Attention
from lemmata.modules.feed_forward_particle import FeedForward
from lemmata.modules.particle_start import ParticleStart
from lemmata.modules.particle_transformer import ParticleTransformer
from lemmata.modules.particles import Particle
from lemmata.papers.mean_field import task
from lemmata.parameters import Parameter, check, parameter
from lemmata.sweep import Body, Variable

THEOREM_31 = "Gao et al. 2024, theorem 3.1"
THEOREM_41 = "Gao et al. 2024, theorem 4.1"
DERIVED = "derived here"
_PARTS: dict[str, tuple[str, ...]] = {"both": ("f", "h"), "attention": ("f",), "feed-forward": ("h",)}


@dataclass(frozen=True)
class Network(Body):
    """A network of particles, its prompts and its flow; what is measured along it is a subclass's."""

    layers: int = parameter("layers L", int, least=1, most=4096, scale="log", default=8)
    particles: int = parameter("particles per layer M", int, least=1, most=65536, scale="log", default=16)
    prompts: int = parameter("prompts S", int, units="prompts", least=1, default=32)
    tokens: int = parameter("tokens of a prompt n", int, units="tokens", least=2, default=6)
    features: int = parameter("features of a token", int, least=1, default=2)
    variance: float = parameter("variance of a feature", above=0, default=0.7)
    targets: str = parameter("targets of the prompts", str, choices=("nearest", "noise"), default="nearest")
    ones: bool = parameter("a row of ones for biases", bool, default=False)
    half_step: float = parameter("half step η", above=0, most=1, default=0.5)
    parametrisation: str = parameter(
        "weight of a half step", str, choices=("mean-field", "lazy", "standard"), default="mean-field"
    )
    parts: str = parameter("half steps of a layer", str, choices=tuple(_PARTS), default="both")
    law: str = parameter("law of a particle's start", str, choices=("gaussian", "ball"), default="gaussian")
    mode: str = parameter("draws over layers", str, choices=("iid", "path"), default="iid")
    radius: float = parameter("radius R of a start in a ball", above=0, default=4.0)
    decay: float = parameter("weight decay λ", least=0, scale="log", per_cell=True, default=1e-3)
    step: float = parameter("step of the flow Δs", above=0, scale="log", per_cell=True, default=0.25)
    adaptive: bool = parameter("steps by the energy test", bool, default=False)
    evaluations: int = parameter("most gradients of an adaptive flow", int, least=1, default=2500)
    device: str = parameter("device", str, default="cpu", axis=False)
    times: tuple[float, ...] = (0.0, 5.0, 10.0)

    def __post_init__(self) -> None:
        check(self)

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """Training times at which it is recorded."""
        return {"time": np.asarray(self.times, dtype=float)}

    def labels(self) -> dict[str, Parameter]:
        """Of the recorded times, depths and particles."""
        return {
            "time": Parameter("training time s"),
            "depth": Parameter("depth t = l/L"),
            "particle": Parameter("index of a particle", int),
        }

    def at(self, changes: Mapping[str, Any]) -> "Network":
        """The body with parameters, or its recorded ``times``, changed."""
        own = {name: value for name, value in changes.items() if name != "times"}
        made = super().at(own)
        assert isinstance(made, Network)
        return replace(made, times=tuple(changes["times"])) if "times" in changes else made

    @property
    def width(self) -> int:
        """Numbers of a token d."""
        return self.features + 2 + self.ones

    @property
    def transformer(self) -> ParticleTransformer:
        """Attention and tanh neurons, which read their bias from the row of ones where there is one."""
        made: dict[str, Particle] = {"f": Attention(), "h": FeedForward(bias=not self.ones)}
        particles = tuple(made[part] for part in _PARTS[self.parts])
        return ParticleTransformer(particles, self.half_step, self.parametrisation)

    def own(self, points: Sequence[Mapping[str, Any]]) -> "Network":
        """The body with the shapes that all points of a tile share."""
        names = {name for name in points[0] if name not in ("seed", "decay", "step", "block")}
        return replace(self, **{name: points[0][name] for name in names})

    def seeds(self, points: Sequence[Mapping[str, Any]]) -> Tensor:
        """Keys of the cells' draws ``(c,)``: prompts and particles of one seed are the same at all shapes."""
        return cell_seeds(0, [int(point["seed"]) for point in points], self.device)

    def energy(self, seeds: Tensor, decay: np.ndarray | float) -> ParticleEnergy:
        """The energy on the prompts of these seeds."""
        given = self.prompts, self.tokens, self.features, self.variance, self.targets, self.ones
        tokens, targets = task.prompts(seeds, *given)
        readout = task.readout(self.tokens, self.width).to(self.device)
        return ParticleEnergy(
            self.transformer, tokens, targets, readout, torch.as_tensor(decay, dtype=torch.float64, device=self.device)
        )

    def start(self, seeds: Tensor, layers: int, particles: int, first: Tensor | int = 0) -> Tensor:
        """Particles at s = 0, ``(c, L, M, P)`` float64."""
        law = ParticleStart(self.law, self.mode, self.radius)
        return law.draw(self.transformer, seeds, self.width, layers, particles, first, torch.float64)

    def flow(self, energy: ParticleEnergy, theta: Tensor, steps: np.ndarray) -> Iterator[FlowState]:
        """The flow at the recorded times; ``steps`` ``(c,)``."""
        step = torch.as_tensor(steps, dtype=torch.float64, device=self.device)
        rule = EnergyTest(step, evaluations=self.evaluations) if self.adaptive else FixedStep(step)
        return flow(energy, theta, self.times, rule)

    def bytes_per_cell(self, point: Mapping[str, Any]) -> int:
        """Particles with their gradient and candidates, and one layer's attention over all prompts; 8-byte numbers."""
        here = self.own([point])
        of_layer = here.prompts * here.particles * here.tokens * (here.tokens + 3 * here.width)
        return 64 * here.layers * here.particles * here.transformer.size(here.width) + 16 * of_layer


def stacked(rows: list[dict[str, Tensor]]) -> dict[str, np.ndarray]:
    """Measurements at each time as arrays ``(c, time)``."""
    return {name: torch.stack([row[name] for row in rows], 1).double().cpu().numpy() for name in rows[0]}


_SEEN = {
    "output_size": "root mean square output",
    "risk": "risk R",
    "energy": "energy Q",
    "second_moment": "mean ‖β‖²",
    "largest_norm": "largest ‖β‖",
    "movement": "mean movement ‖β − β(0)‖",
    "time_reached": "training time reached",
    "squared_slope": "g² = −dQ/ds",
    "dissipation_residual": "energy not accounted for |ΔQ + ΣΔs g²| / |ΔQ|",
    "gradients": "gradients computed",
    "refused": "refused steps",
}
_ADJOINT = {
    "adjoint_ratio": "smallest ‖p(t)‖ / ‖p(1)‖ over depth",
    "stationarity_gap": "largest |E⟨p, f(T, β)⟩| / ‖β_h‖ over probes",
}


@dataclass(frozen=True)
class Flowing(Network):
    """One network's flow, and everything that is seen along it."""

    probes: int = parameter("probes of stationarity; 0 leaves the adjoint's probes out", int, least=0, default=16)

    @property
    def variables(self) -> Mapping[str, Variable]:
        """All over training time."""
        seen = {**_SEEN, **(_ADJOINT if self.probes else {})}
        return {name: Variable(("time",), "1", label) for name, label in seen.items()}

    def run(self, points: Sequence[dict[str, Any]]) -> Mapping[str, np.ndarray]:
        """Flows of one shape."""
        here = self.own(points)
        assert isinstance(here, Flowing)
        seeds = here.seeds(points)
        energy = here.energy(seeds, here.column(points, "decay"))
        first = here.start(seeds, here.layers, here.particles)
        flows = here.flow(energy, first, here.column(points, "step"))
        return stacked([here._seen(energy, state, first, seeds) for state in flows])

    def _seen(self, energy: ParticleEnergy, state: FlowState, first: Tensor, seeds: Tensor) -> dict[str, Tensor]:
        theta, speed = state.theta, energy.transformer.speed(self.layers, self.particles)
        seen = {
            "output_size": state.outputs.double().square().mean(1).sqrt(),
            "risk": state.risk.clone(),
            "energy": state.energy.clone(),
            "second_moment": flow_probes.second_moment(theta),
            "largest_norm": flow_probes.largest_norm(theta),
            "movement": flow_probes.movement(theta, first),
            "time_reached": state.time.clone(),
            "squared_slope": speed * state.gradient.double().square().sum((1, 2, 3)),
            "dissipation_residual": flow_probes.dissipation_residual(state),
            "gradients": state.evaluations.clone(),
            "refused": state.refused.clone(),
        }
        if self.probes:
            seen["adjoint_ratio"] = flow_probes.adjoint_ratio(energy, theta)
            seen["stationarity_gap"] = flow_probes.stationarity_gap(energy, theta, seeds, self.probes)
        return seen


def no_value(which: str) -> NotMeasurable:
    """What a claim raises where the grid lacks a value."""
    return NotMeasurable(f"needs {which}, which is not among the values run")
