"""Slow twins of the denoising losses and of training on fresh noises: as the formulas read, in R^d, no reductions."""

import math

import torch


def denoiser(W, x, act):
    """f(x) for one patch ``x`` ``(d,)`` and filters ``(m, d)``."""
    f = torch.zeros_like(x)
    for w in W:
        f = f + act(w @ x) * w / math.sqrt(len(W))
    return f


def sampled_loss(W, patches, noises, t, act):
    """1/(2n) sum over samples and patches of the mean over noises of |f(x_t) - eps|^2; patches ``(n, 2, d)``, noises
    ``(n, 2, N, d)``."""
    alpha, beta = math.exp(-t), math.sqrt(1 - math.exp(-2 * t))
    total = 0.0
    for sample, its_noises in zip(patches, noises):
        for x0, epsilons in zip(sample, its_noises):
            for eps in epsilons:
                error = denoiser(W, alpha * x0 + beta * eps, act) - eps
                total = total + error @ error / len(epsilons)
    return total / (2 * len(patches))


def fresh_noise_training(W, patches, t, act, noises, step_size, steps, generator):
    """Filters after gradient steps on fresh noises, many replicates at once: W ``(R, m, d)``, patches ``(n, 2, d)``."""
    alpha, beta = math.exp(-t), math.sqrt(1 - math.exp(-2 * t))
    n, _, d = patches.shape
    for _ in range(steps):
        W = W.detach().requires_grad_()
        eps = torch.randn(len(W), n * 2 * noises, d, dtype=W.dtype, generator=generator)
        x_t = alpha * patches.reshape(-1, d).repeat_interleave(noises, 0) + beta * eps
        f = act(x_t @ W.mT) @ W / math.sqrt(W.shape[1])
        loss = (f - eps).square().sum() / (2 * n * noises)
        W = W - step_size * torch.autograd.grad(loss, W)[0]
    return W.detach()
