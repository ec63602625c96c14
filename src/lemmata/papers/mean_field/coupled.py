"""A network beside the large one it is a block of: how far apart they are along training.

The reference has more layers or more particles and the same prompts; the member starts as particles
``block · M, …, block · M + M − 1`` of its layers. What the reference says at the recorded times is computed once per
seed and shared by all members in the process, which changes nothing but time. Distances of particles are between equal
indices at equal depth t = l/L, where the reference's layers are a multiple of the member's. Reference: Gao et al. 2024,
arXiv 2410.23610, theorem 3.1 and appendix D.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lemmata.loops import flow_probes
from lemmata.papers.mean_field.setting import Network, stacked
from lemmata.parameters import check, parameter
from lemmata.sweep import Variable

_SEEN = {
    "output_error": "distance of outputs from the reference",
    "risk_error": "distance of risks |R − R_ref|",
    "energy_error": "distance of energies |Q − Q_ref|",
    "coupled_distance": "distance of coupled particles",
    "movement": "mean movement ‖β − β(0)‖",
    "risk": "risk R",
    "reference_risk": "risk of the reference",
}


@dataclass(frozen=True)
class Coupled(Network):
    """Members of one reference."""

    reference_layers: int = parameter("layers of the reference", int, least=1, scale="log", default=8)
    reference_particles: int = parameter("particles per layer of the reference", int, least=1, scale="log", default=512)
    block: int = parameter("block of the reference's particles", int, least=0, per_cell=True, default=0)

    def __post_init__(self) -> None:
        check(self)

    @property
    def variables(self) -> Mapping[str, Variable]:
        """All over training time."""
        return {name: Variable(("time",), "1", label) for name, label in _SEEN.items()}

    def run(self, points: Sequence[dict[str, Any]]) -> Mapping[str, np.ndarray]:
        """Members of one shape, each beside the reference of its seed.

        Raises:
            ValueError: a member larger than its reference, or a block that reaches beyond it.
        """
        here = self.own(points)
        assert isinstance(here, Coupled)
        blocks = here.column(points, "block").astype(int)
        here._check_blocks(int(blocks.max()))
        decays, steps = here.column(points, "decay"), here.column(points, "step")
        references = [here._reference(point, decay, step) for point, decay, step in zip(points, decays, steps)]
        seeds = here.seeds(points)
        energy = here.energy(seeds, decays)
        first = here.start(seeds, here.layers, here.particles, torch.as_tensor(blocks * here.particles))
        rows = []
        for index, state in enumerate(here.flow(energy, first, steps)):
            outputs, risk, q = (
                torch.stack([getattr(r, name)[index] for r in references]) for name in ("outputs", "risk", "energy")
            )
            theta = torch.stack([here._counterpart(r.theta[index], int(block)) for r, block in zip(references, blocks)])
            rows.append(
                {
                    "output_error": flow_probes.output_distance(state.outputs, outputs),
                    "risk_error": (state.risk - risk).abs(),
                    "energy_error": (state.energy - q).abs(),
                    "coupled_distance": flow_probes.coupled_distance(state.theta, theta),
                    "movement": flow_probes.movement(state.theta, first),
                    "risk": state.risk.clone(),
                    "reference_risk": risk,
                }
            )
        return stacked(rows)

    def _check_blocks(self, last: int) -> None:
        if self.layers > self.reference_layers or self.particles > self.reference_particles:
            raise ValueError(
                f"a network of {self.layers} layers of {self.particles} particles was asked for beside a reference of "
                f"{self.reference_layers} layers of {self.reference_particles}; a reference is at least as large"
            )
        if (last + 1) * self.particles > self.reference_particles:
            raise ValueError(
                f"block = {last} of {self.particles} particles was asked for; the {self.reference_particles} of the "
                f"reference hold blocks 0 to {self.reference_particles // self.particles - 1}"
            )
        if self.reference_layers % self.layers:
            raise ValueError(
                f"layers = {self.layers} was asked for beside {self.reference_layers} layers of the reference; take a "
                "divisor, so that layers meet at equal depth"
            )

    def _reference(self, point: Mapping[str, Any], decay: float, step: float) -> "Reference":
        shape: dict[str, Any] = {"layers": self.reference_layers, "particles": self.reference_particles, "block": 0}
        return reference(replace(self, **shape, decay=float(decay), step=float(step)), int(point["seed"]))

    def _counterpart(self, theta: Tensor, block: int) -> Tensor:
        """The reference's particles that a member's are coupled to, ``(L, M, P)``."""
        every = self.reference_layers // self.layers
        return theta[::every, block * self.particles : (block + 1) * self.particles]


@dataclass(frozen=True)
class Reference:
    """What members are compared with at the recorded times; lists over time."""

    outputs: list[Tensor]
    risk: list[Tensor]
    energy: list[Tensor]
    theta: list[Tensor]


@lru_cache(maxsize=64)
def reference(body: Coupled, seed: int) -> Reference:
    """The flow of the reference of a seed: a pure function of its arguments, remembered."""
    seeds = body.seeds([{"seed": seed}])
    energy = body.energy(seeds, body.decay)
    found = Reference([], [], [], [])
    for state in body.flow(energy, body.start(seeds, body.layers, body.particles), np.asarray([body.step])):
        found.outputs.append(state.outputs[0].clone())
        found.risk.append(state.risk[0].clone())
        found.energy.append(state.energy[0].clone())
        found.theta.append(state.theta[0].clone())
    return found
