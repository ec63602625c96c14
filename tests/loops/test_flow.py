"""The energy, its gradient by every engine, and the laws of the flow."""

import itertools
import math
import os
from dataclasses import replace

import pytest
import torch

from lemmata import compiled
from lemmata.draws import cell_seeds, normal
from lemmata.loops import flow_probes, particle_kernel
from lemmata.loops.flow import EnergyTest, FixedStep, flow, optimise
from lemmata.loops.particle_energy import ParticleEnergy
from lemmata.modules.attention_particle import Attention
from lemmata.modules.feed_forward_particle import FeedForward
from lemmata.modules.particle_start import ParticleStart
from lemmata.modules.particle_transformer import ParticleTransformer
from tests.members.particles import MEMBERS, Gate
from tests.oracles import particles as slow

C, L, M, S, N, D = 3, 3, 4, 7, 5, 3
PAPERS = ParticleTransformer()
TRANSFORMERS = {
    "the paper's": PAPERS,
    "whole steps": ParticleTransformer(half_step=1.0),
    "neurons without bias": ParticleTransformer((Attention(), FeedForward(bias=False))),
    "attention alone": ParticleTransformer((Attention(),)),
    "neurons alone": ParticleTransformer((FeedForward(),)),
    "lazy": ParticleTransformer(parametrisation="lazy"),
    "standard": ParticleTransformer(parametrisation="standard"),
    "three half steps": ParticleTransformer((Attention(rank=2, causal=True), Gate(), FeedForward("huber", bias=False))),
    **{f"{name} alone": ParticleTransformer((member,)) for name, member in MEMBERS.items() if "normed" in name},
}
every = pytest.mark.parametrize("transformer", TRANSFORMERS.values(), ids=TRANSFORMERS.keys())
needs_compiler = pytest.mark.skipif(not compiled.widths(), reason="no C compiler")


def per_cell(*values):
    return torch.tensor(values, dtype=torch.float64)


def problem(transformer, c=C, layers=L, particles=M, prompts=S, dtype=torch.float64, **changes):
    seeds = cell_seeds(5, range(c))
    tokens = normal(seeds, "tokens", (prompts, N, D), dtype)
    targets = normal(seeds, "targets", (prompts,), dtype)
    readout = torch.zeros(N, D, dtype=dtype)
    readout[-1, -1], readout[0, 1] = 1.0, 0.3
    decay = per_cell(0.0, 0.01, 0.1)[:c]
    energy = ParticleEnergy(transformer, tokens, targets, readout, **{"decay": decay, **changes})
    return energy, ParticleStart().draw(transformer, seeds, D, layers, particles, dtype=dtype)


def by_autograd(energy, theta):
    """Q of every cell and its gradient, by one graph."""
    theta = theta.clone().requires_grad_()
    outputs = (energy.transformer.forward(theta, energy.tokens) * energy.readout).sum((-2, -1))
    speed = energy.transformer.speed(*theta.shape[1:3])
    q = 0.5 * (outputs - energy.targets).square().mean(1) + energy.decay / (2 * speed) * theta.square().sum((1, 2, 3))
    return q.detach(), torch.autograd.grad(q.sum(), theta)[0]


def relative(a, b):
    return float((a - b).norm() / b.norm())


@every
@pytest.mark.parametrize("memory", [2**30, 30_000, 100], ids=["kept", "computed again", "and in chunks"])
def test_gradient_by_hand_is_autograds(transformer, memory):
    energy, theta = problem(transformer, engine="torch", memory=memory)
    value, (q, gradient) = energy.at(theta), by_autograd(energy, theta)
    assert relative(value.energy, q) < 1e-14
    assert relative(value.gradient, gradient) < 2e-14


@needs_compiler
@pytest.mark.parametrize("name", ["the paper's", "whole steps", "neurons without bias", "lazy", "standard"])
@pytest.mark.parametrize("prompts", [1, 7, 16, 35])
def test_kernel_is_autograds(name, prompts):
    energy, theta = problem(TRANSFORMERS[name], prompts=prompts, engine="kernel")
    value, (q, gradient) = energy.at(theta), by_autograd(energy, theta)
    assert relative(value.energy, q) < 1e-14
    assert relative(value.gradient, gradient) < 1e-14
    if energy.transformer.parametrisation == "mean-field":  # the standard one is worse conditioned
        single = {name: getattr(energy, name).float() for name in ("tokens", "targets", "readout")}
        assert relative(replace(energy, **single).at(theta.float()).gradient.double(), gradient) < 1e-6


@needs_compiler
@pytest.mark.parametrize("width", [16, 32, 64])
def test_kernel_at_every_vector_width_the_processor_has(width, monkeypatch):
    if width > compiled.widths()[0]:
        pytest.skip(f"this processor has no {width}-byte vectors")
    monkeypatch.setitem(os.environ, "LEMMATA_VECTOR_BYTES", str(width))
    energy, theta = problem(TRANSFORMERS["the paper's"], prompts=33, engine="kernel")
    assert relative(energy.at(theta).gradient, by_autograd(energy, theta)[1]) < 1e-14


@needs_compiler
def test_kernel_takes_large_scores_and_keeps_a_nan_home():
    energy, theta = problem(TRANSFORMERS["the paper's"], engine="kernel")
    loud = theta.clone()
    loud[..., D * D : 2 * D * D] *= 300  # scores of several hundred: the softmax must not overflow
    assert relative(energy.at(loud).gradient, by_autograd(energy, loud)[1]) < 1e-12
    torch.set_num_threads(2)
    try:
        spread = energy.at(theta).gradient
        theta[0] = math.nan
        assert torch.equal(energy.at(theta).gradient[1:], spread[1:])
    finally:
        torch.set_num_threads(1)
    alone = energy.of(torch.tensor([2])).at(theta[2:])
    assert torch.equal(alone.gradient[0], spread[2])


def test_kernel_takes_what_it_computes_and_nothing_else():
    tokens = torch.zeros(1, 2, N, D)
    taken = {name for name, transformer in TRANSFORMERS.items() if particle_kernel.takes(transformer, tokens)}
    wanted = {"the paper's", "whole steps", "neurons without bias", "lazy", "standard"}
    assert taken == (wanted if compiled.widths() else set())
    with pytest.raises(ValueError, match="engine='kernel'"):
        problem(TRANSFORMERS["attention alone"], engine="kernel")


def test_energy_is_the_papers_one_prompt_and_one_particle_at_a_time():
    for eta in (0.5, 1.0):
        energy, theta = problem(ParticleTransformer(half_step=eta))
        value = energy.at(theta)
        for c in range(C):
            prompts = energy.tokens[c].transpose(1, 2)
            risk, q = slow.energy(theta[c], prompts, energy.targets[c], energy.readout.T, float(energy.decay[c]), eta)
            assert float(value.risk[c]) == pytest.approx(float(risk), rel=1e-13)
            assert float(value.energy[c]) == pytest.approx(float(q), rel=1e-13)


@every
def test_adjoint_is_the_derivative_by_the_tokens(transformer):
    energy, theta = problem(transformer)
    states, adjoints = energy.adjoint(theta)
    leaves = [x.clone().requires_grad_() for x in states]
    weight, halves = transformer.weight(L, M), len(transformer.particles)
    for index in range(len(states)):  # the rest of the network from this half step on
        tokens = leaves[index]
        for later in range(index, len(states) - 1):
            layer, half = divmod(later, halves)
            own = transformer.parts(theta[:, layer], D)[half]
            tokens = tokens + weight * transformer.particles[half].act(tokens, own)
        loss = 0.5 * ((tokens * energy.readout).sum((-2, -1)) - energy.targets).square()
        wanted = torch.autograd.grad(loss.sum(), leaves[index])[0]
        assert relative(adjoints[index], wanted) < 1e-13


def test_force_is_the_pairing_of_adjoint_and_particle():
    transformer = TRANSFORMERS["the paper's"]
    energy, theta = problem(transformer)
    states, adjoints = energy.adjoint(theta)
    force, cut = energy.force(theta), Attention().size(D)
    for layer, half, part in ((0, 0, slice(0, cut)), (2, 1, slice(cut, None))):
        index, own = 2 * layer + half, theta[:, layer, :1, part].clone().requires_grad_()
        paired = (transformer.particles[half].act(states[index], own) * adjoints[index + 1]).sum((2, 3)).mean(1)
        wanted = -0.5 * torch.autograd.grad(paired.sum(), own)[0] - energy.decay[:, None, None] * own
        assert relative(force[:, layer, :1, part], wanted.detach()) < 1e-12


@every
def test_energy_never_rises_over_an_accepted_step(transformer):
    energy, theta = problem(transformer)
    rule = EnergyTest(step=per_cell(0.01, 2.0, 50.0), longest=100.0, evaluations=120)
    before, refused = energy.at(theta).energy, 0
    for state in flow(energy, theta, [0.3, 0.6, 5.0, 60.0], rule):
        assert bool((state.energy <= before).all())
        assert bool((state.energy <= state.first_energy - 0.5 * state.dissipated + 1e-15).all())
        assert torch.equal(state.energy, energy.at(state.theta).energy)
        before, refused = state.energy.clone(), int(state.refused.sum())
    assert refused > 0 or transformer.parametrisation == "lazy"


def test_fixed_steps_are_eulers_and_cells_go_at_their_own():
    transformer = TRANSFORMERS["the paper's"]
    energy, theta = problem(transformer)
    steps = per_cell(0.5, 0.25, 0.4)  # the last lands on 1 with a step of 0.2
    state = list(flow(energy, theta, [1.0], FixedStep(steps)))[-1]
    for c, own in enumerate(([0.5, 0.5], [0.25] * 4, [0.4, 0.4, 0.2])):
        alone, here = energy.of(torch.tensor([c])), theta[c : c + 1].clone()
        for step in own:
            here -= step * L * M * by_autograd(replace(alone, decay=energy.decay[c : c + 1]), here)[1]
        assert relative(state.theta[c : c + 1], here) < 1e-12
    assert state.evaluations.tolist() == [3, 5, 4]
    assert state.time.tolist() == pytest.approx([1, 1, 1])


@pytest.mark.parametrize("engine", ["torch", pytest.param("kernel", marks=needs_compiler)])
def test_a_flow_does_not_know_its_tile(engine):
    energy, theta = problem(TRANSFORMERS["the paper's"], engine=engine)
    rule = EnergyTest(step=per_cell(0.5, 1.0, 8.0))
    together = list(flow(energy, theta, [1.0], rule))[-1]
    for c in range(C):
        one = torch.tensor([c])
        alone = list(flow(energy.of(one), theta[one], [1.0], EnergyTest(step=rule.step[one])))[-1]
        if engine == "kernel":
            assert torch.equal(alone.theta[0], together.theta[c])
        else:  # products of libraries round by where a cell lies in memory
            assert relative(alone.theta[0], together.theta[c]) < 1e-12


def test_dissipation_accounts_for_the_energy_as_steps_shrink():
    energy, theta = problem(TRANSFORMERS["the paper's"])
    residuals = []
    for step in (0.02, 0.01, 0.005):
        state = list(flow(energy, theta, [2.0], FixedStep(step)))[-1]
        residuals.append(flow_probes.dissipation_residual(state))
    for coarse, fine in itertools.pairwise(residuals):
        assert float(((coarse / fine) / 2 - 1).abs().max()) < 0.1  # first order in the step


def test_torch_sgd_is_the_flow_and_says_that_it_is_outside():
    energy, theta = problem(TRANSFORMERS["the paper's"])
    rates = per_cell(0.5, 0.25, 0.1) * L * M
    by_torch = list(optimise(energy, theta, [2], torch.optim.SGD, rates))[-1]
    by_flow = [list(flow(energy, theta, [2 * s], FixedStep(s)))[-1].theta[c] for c, s in enumerate((0.5, 0.25, 0.1))]
    assert relative(by_torch.theta, torch.stack(by_flow)) < 1e-14
    assert by_torch.outside_theory
    adam = list(optimise(energy, theta, [0, 30], torch.optim.Adam, 0.05))[-1]
    assert bool((adam.energy < adam.first_energy).all())


def test_stationarity_and_adjoint_probes_are_their_definitions():
    energy, theta = problem(TRANSFORMERS["attention alone"], c=1, layers=1, particles=2, decay=0.0)
    seeds = cell_seeds(9, [0])
    states, adjoints = energy.adjoint(theta)
    norms = [float(p.norm()) for p in adjoints]
    assert float(flow_probes.adjoint_ratio(energy, theta)) == pytest.approx(min(norms) / norms[-1])
    beta = normal(seeds, "probes/0", (3, Attention().size(D))) * D**-0.5
    wanted = 0.0
    for probe in beta[0]:
        paired = [(slow.attention(T.T, probe).T * p).sum() for T, p in zip(states[0][0], adjoints[1][0])]
        wanted = max(wanted, abs(float(sum(paired))) / S / float(probe[: D * D].norm()))
    assert float(flow_probes.stationarity_gap(energy, theta, seeds, 3)) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: FixedStep(0.0), "step = 0.0"),
        (lambda: FixedStep(torch.tensor([0.5, -1.0])), "step = -1.0"),
        (lambda: EnergyTest(share=1.0), "share = 1.0"),
        (lambda: problem(PAPERS, decay=-0.1), "decay = -0.1"),
        (lambda: list(flow(*problem(PAPERS), [2.0, 1.0], FixedStep(1.0))), "increasing times"),
        (lambda: list(optimise(*problem(PAPERS), [], torch.optim.Adam, 1.0)), "increasing numbers"),
        (
            lambda: ParticleEnergy(PAPERS, torch.zeros(1, 2, 3, 1), torch.zeros(1, 2), torch.zeros(3, 1)),
            "width of at least 2",
        ),
        (
            lambda: ParticleEnergy(PAPERS, torch.zeros(1, 2, 3, 2), torch.zeros(1, 3), torch.zeros(3, 2)),
            "targets",
        ),
        (
            lambda: list(flow(problem(PAPERS)[0], torch.zeros(C, 1, 1, 2), [1.0], FixedStep(1.0))),
            "particles of shape",
        ),
    ],
)
def test_bad_input_is_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()
