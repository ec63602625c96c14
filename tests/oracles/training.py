"""Slow twins: what the fast paths compute, written as anyone would, one cell and one sample at a time."""

import torch


def plain_training(images, labels, filters, output, activation, optimizer, steps, lr):
    """Trains f(x) = sum_r v_r sum_s act(<w_r, x_s>) in R^d by autograd and an optimiser of torch.

    images (n, 2, d): both patches of every sample. Returns filters (r, d), output (r,) and the losses of all steps.
    """
    filters, output = filters.clone().requires_grad_(), output.clone().requires_grad_()
    opt, losses = optimizer([filters, output], lr=lr), []
    for _ in range(steps):
        loss = 0.0
        for x, y in zip(images, labels):
            f = sum((output * activation(filters @ patch)).sum() for patch in x)
            loss = loss + torch.log1p(torch.exp(-y * f)) / len(labels)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    return filters.detach(), output.detach(), torch.tensor(losses, dtype=torch.float64)


def gram_step(A, Q, G, dA, dQ, eta):
    """One gradient step of the inner products A = W X^T and Q = W W^T of one cell, given dL/dA and dL/dQ."""
    M, N = torch.eye(len(Q), dtype=Q.dtype) - 2 * eta * dQ, -eta * dA
    cross = M @ A @ N.T
    return M @ A + N @ G, M @ Q @ M.T + cross + cross.T + N @ G @ N.T


def patches(sample, cell):
    """Both patches of every sample of one cell, (n, 2, d), read off the vectors by index."""
    signal, noise = sample.signal, sample.noise
    first = [sample.vectors[cell, signal.vector] * sign for sign in signal.sign[cell]]
    second = [sample.vectors[cell, noise.start + i] for i in range(noise.n)]
    return torch.stack([torch.stack(pair) for pair in zip(first, second)])


def explicit_signal_noise(n, d, signal, sigma_p, orthogonal, generator):
    """mu (d,) and noise vectors (n, d) of signal-noise data, drawn in R^d along a random direction."""
    direction = torch.randn(d, generator=generator, dtype=torch.float64)
    mu = signal * direction / direction.norm()
    noise = sigma_p * torch.randn(n, d, generator=generator, dtype=torch.float64)
    if orthogonal:
        noise = noise - torch.outer(noise @ mu, mu) / signal**2
    return mu, noise
