"""Gradient flow of particles by explicit Euler steps: dβ/ds = −speed · ∂Q/∂β, each cell at its own pace.

    β ← β − Δs · speed · ∂Q/∂β,         accepted if  Q_new ≤ Q − ½ Δs g²,   g² = speed · Σ‖∂Q/∂β‖² = −dQ/ds

A refused step is halved, an accepted one lets the next grow; a fixed step is always accepted. Cells share nothing but
the times at which they are recorded, where each step is cut to land: those of one tile may take different Δs. The flow
is the Wasserstein gradient flow of the particles' measure (Gao et al. 2024, arXiv 2410.23610, equation (3.5)); an
optimiser of torch in its place is not, and says so.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.loops.particle_energy import ParticleEnergy
from lemmata.parameters import check, parameter

_ARRIVED = 1e-9  # relative to a step: closer to a recorded time than this, a cell is there


@dataclass(frozen=True)
class FixedStep:
    """Δs, for all steps of a cell; ``(c,)`` for one per cell."""

    step: float | Tensor = parameter("step of the flow Δs", default=0.5, above=0, scale="log", per_cell=True)

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class EnergyTest:
    """Steps that must lower the energy: refused and halved, or accepted and grown.

    Args:
        step: the first Δs, one or per cell.
        growth: what an accepted step is multiplied by, up to ``longest``.
        share: of the first-order decrease Δs g² that a step must reach.
        evaluations: most gradients of one cell; it stops where it is when they are spent.
    """

    step: float | Tensor = parameter("first step of the flow Δs", default=0.5, above=0, scale="log", per_cell=True)
    growth: float = parameter("growth of an accepted step", default=1.1, least=1)
    longest: float = parameter("longest step", default=4.0, above=0)
    share: float = parameter("share of the first-order decrease", default=0.5, above=0, below=1)
    evaluations: int = parameter("most gradients of one cell", int, units="gradients", default=10**9, least=1)

    def __post_init__(self) -> None:
        check(self)


@dataclass
class FlowState:
    """Where c flows are; everything per cell ``(c,)`` but particles and gradient ``(c, L, M, P)``, outputs ``(c, s)``.

    Attributes:
        time: s reached; step: the next Δs; dissipated: Σ Δs g² over accepted steps; evaluations, refused: counts.
        outside_theory: whether something other than the flow moved the particles.
    """

    theta: Tensor
    gradient: Tensor
    outputs: Tensor
    risk: Tensor
    energy: Tensor
    first_energy: Tensor
    time: Tensor
    step: Tensor
    dissipated: Tensor
    evaluations: Tensor
    refused: Tensor
    outside_theory: bool = False


def start(energy: ParticleEnergy, theta: Tensor, step: float | Tensor = 0.5) -> FlowState:
    """A flow at s = 0.

    Raises:
        ValueError: particles that do not fit the tokens.
    """
    energy.transformer.check_against(energy.tokens, theta)
    value = energy.at(theta)
    zero = torch.zeros_like(value.risk)
    steps = torch.as_tensor(step, dtype=zero.dtype, device=zero.device).expand(zero.shape).clone()
    count = torch.zeros(zero.shape, dtype=torch.int64, device=zero.device)
    return FlowState(
        *(theta.clone(), value.gradient, value.outputs, value.risk, value.energy, value.energy.clone()),
        *(zero, steps, zero.clone(), count + 1, count),
    )


def flow(
    energy: ParticleEnergy, theta: Tensor, times: Sequence[float], rule: FixedStep | EnergyTest
) -> Iterator[FlowState]:
    """The flow at each of ``times``, which increase from 0 or later; one state, handed out whenever they are reached.

    A cell whose evaluations are spent, or whose energy is no longer finite, stays where it is: its ``time`` says where.

    Args:
        theta: particles at s = 0, ``(c, L, M, P)``.

    Raises:
        ValueError: times that do not increase, or particles that do not fit.
    """
    if not times or min(times) < 0 or any(b <= a for a, b in pairwise(times)):
        raise ValueError(f"recorded times {tuple(times)} were asked for; give increasing times from 0 on")
    state = start(energy, theta, rule.step)
    for target in times:
        _advance(energy, state, float(target), rule)
        yield state


def _advance(energy: ParticleEnergy, state: FlowState, target: float, rule: FixedStep | EnergyTest) -> None:
    """Every cell to ``target``, or to where its evaluations end."""
    budget = rule.evaluations if isinstance(rule, EnergyTest) else None
    while True:
        moves = (state.time < target - _ARRIVED * state.step) & state.energy.isfinite()
        if budget is not None:
            moves &= state.evaluations < budget
        cells = moves.nonzero().squeeze(1)
        if not len(cells):
            return
        everyone = len(cells) == len(moves)
        _one_step(energy if everyone else energy.of(cells), state, cells, target, rule)


def _one_step(
    energy: ParticleEnergy, state: FlowState, cells: Tensor, target: float, rule: FixedStep | EnergyTest
) -> None:
    theta, gradient, old = state.theta[cells], state.gradient[cells], state.energy[cells]
    speed = energy.transformer.speed(*theta.shape[1:3])
    left = target - state.time[cells]
    step = torch.minimum(state.step[cells], left)
    slope = speed * gradient.double().square().sum((1, 2, 3))  # g² = −dQ/ds
    moved = theta - per_cell(step * speed, theta) * gradient
    value = energy.at(moved)
    if isinstance(rule, EnergyTest):
        accepted = value.energy <= old - rule.share * step * slope  # False where the new energy is not finite
        full = step == state.step[cells]  # a step cut to land says nothing about how long steps may be
        grown = (state.step[cells] * rule.growth).clamp_max(rule.longest)
        state.step[cells] = torch.where(accepted, torch.where(full, grown, state.step[cells]), step / 2)
    else:
        accepted = torch.ones_like(step, dtype=torch.bool)
    pick = per_cell(accepted, theta).bool()
    state.theta[cells] = torch.where(pick, moved, theta)
    state.gradient[cells] = torch.where(pick, value.gradient, gradient)
    state.outputs[cells] = torch.where(accepted.unsqueeze(1), value.outputs, state.outputs[cells])
    state.risk[cells] = torch.where(accepted, value.risk, state.risk[cells])
    state.energy[cells] = torch.where(accepted, value.energy, old)
    state.time[cells] += torch.where(accepted, step, torch.zeros_like(step))
    state.dissipated[cells] += torch.where(accepted, step * slope, torch.zeros_like(step))
    state.evaluations[cells] += 1
    state.refused[cells] += (~accepted).long()


def optimise(
    energy: ParticleEnergy,
    theta: Tensor,
    records: Sequence[int],
    optimiser: Callable[[list[dict]], torch.optim.Optimizer],
    rates: float | Tensor,
) -> Iterator[FlowState]:
    """The same particles moved by an optimiser of torch; every state says ``outside_theory``, as no theorem covers it.

    Args:
        records: increasing numbers of steps at which states are handed out.
        optimiser: from parameter groups, one per cell, each with its ``lr``; e.g. ``torch.optim.Adam``. With
            ``torch.optim.SGD`` and rates Δs · speed it is the flow with fixed steps.
        rates: learning rates, one or ``(c,)``.
    """
    if not records or min(records) < 0 or any(b <= a for a, b in pairwise(records)):
        raise ValueError(f"records {tuple(records)} were asked for; give increasing numbers of steps from 0 on")
    state = start(energy, theta)
    state.outside_theory = True
    own = [torch.nn.Parameter(cell.clone()) for cell in state.theta.unbind(0)]
    lr = torch.as_tensor(rates, dtype=torch.float64).expand(len(own)).tolist()
    method = optimiser([{"params": [cell], "lr": rate} for cell, rate in zip(own, lr)])
    done = 0
    for target in records:
        for _ in range(target - done):
            for cell, gradient in zip(own, state.gradient.unbind(0)):
                cell.grad = gradient
            method.step()
            state.theta = torch.stack([cell.detach() for cell in own])
            value = energy.at(state.theta)
            state.gradient, state.outputs = value.gradient, value.outputs
            state.risk, state.energy = value.risk, value.energy
            state.evaluations = state.evaluations + 1
        done = target
        yield state
