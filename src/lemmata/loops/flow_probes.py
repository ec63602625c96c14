"""What is seen of particles along a flow: how far they moved, whether the energy law holds, how near a minimum is.

All are functions of particles ``(c, L, M, P)`` and give one number per cell. Against a reference network: the output's
root mean square distance over prompts, and the distance of coupled particles, which bounds the Wasserstein distance of
the two measures. Reference: Gao et al. 2024, arXiv 2410.23610, section 4 and appendices C and D.
"""

import torch
from torch import Tensor

from lemmata.draws import normal
from lemmata.loops.flow import FlowState
from lemmata.loops.particle_energy import ParticleEnergy


def movement(theta: Tensor, first: Tensor) -> Tensor:
    """Mean over particles of ‖β − β(0)‖, ``(c,)``: of order one where features are learned, else falling with M."""
    return (theta - first).double().norm(dim=-1).mean((1, 2))


def coupled_distance(theta: Tensor, reference: Tensor) -> Tensor:
    """Root mean square over particles of ‖β − β_reference‖ for particles that started equal, ``(c,)``."""
    return (theta - reference).double().square().sum(-1).mean((1, 2)).sqrt()


def output_distance(outputs: Tensor, reference: Tensor) -> Tensor:
    """Root mean square over prompts of the outputs' difference: ``(c, s)`` twice → ``(c,)``."""
    return (outputs - reference).double().square().mean(1).sqrt()


def second_moment(theta: Tensor) -> Tensor:
    """Mean over particles of ‖β‖², ``(c,)``."""
    return theta.double().square().sum(-1).mean((1, 2))


def largest_norm(theta: Tensor) -> Tensor:
    """Largest ‖β‖, ``(c,)``: the support's radius, finite at every time."""
    return theta.double().norm(dim=-1).amax((1, 2))


def dissipation_residual(state: FlowState) -> Tensor:
    """|ΔQ + Σ Δs g²| / |ΔQ|, ``(c,)``: zero for the continuous flow, of order Δs for Euler steps."""
    change = state.energy - state.first_energy
    return (change + state.dissipated).abs() / change.abs()


def adjoint_ratio(energy: ParticleEnergy, theta: Tensor) -> Tensor:
    """min over depth of ‖p(t)‖ / ‖p(1)‖, ``(c,)``: away from zero, p(t) ≈ 0 anywhere forces the residual to zero."""
    norms = torch.stack([p.double().square().sum((1, 2, 3)).sqrt() for p in energy.adjoint(theta)[1]], 1)
    return norms.amin(1) / norms[:, -1]


def stationarity_gap(energy: ParticleEnergy, theta: Tensor, seeds: Tensor, probes: int = 64) -> Tensor:
    """Largest |E⟨p(t), f(T(t), β)⟩| / ‖β_h‖ over depth and random directions β, ``(c,)``.

    β_h are the homogeneous numbers. Where the support of the measure covers all directions it is O(λ‖β_h‖²) at a
    stationary point, and universality of f then makes p(t) and the residual vanish with λ. Probes are Gaussian with the
    particles' own spreads.
    """
    transformer, width = energy.transformer, energy.tokens.shape[-1]
    states, adjoints = energy.adjoint(theta)
    largest, halves = torch.zeros(theta.shape[0], dtype=torch.float64, device=theta.device), len(transformer.particles)
    for half, particle in enumerate(transformer.particles):
        drawn = normal(seeds, f"probes/{half}", (probes, particle.size(width)))
        beta = (drawn * particle.spread(width).to(drawn.device)).to(theta.dtype)
        size = beta[..., particle.homogeneous(width)].double().norm(dim=-1)  # (c, probes)
        for index in range(half, len(states) - 1, halves):
            for k in range(probes):
                out = particle.act(states[index], beta[:, k : k + 1])
                paired = (out * adjoints[index + 1]).double().sum((2, 3)).mean(1).abs()
                largest = torch.maximum(largest, paired / size[:, k])
    return largest
