"""Slow twins of contrastive learning: one cell, one sample and one negative at a time, in the space of the vectors."""

import torch


def info_nce(weights, first, second, negatives_from, mask, tau, detach=True, cosine=False, patchwise=True):
    """-mean_i log share of the positive, of queries (n patches-lists) ``first`` with keys ``second``.

    weights: (query filters, positive-key filters, negative-key filters), (m, d) each.
    first, second, negatives_from: lists of samples, each a list of patches (d,). mask (n, n) bool.
    """

    def features(w, patches):
        of_patches = [torch.relu(w @ patch) for patch in patches]
        h = torch.cat(of_patches) if patchwise else sum(of_patches)
        return h / h.norm() if cosine else h

    def key(w, patches):
        return features(w, patches).detach() if detach else features(w, patches)

    total = 0.0
    for i, sample in enumerate(first):
        query = features(weights[0], sample)
        own = torch.exp(query @ key(weights[1], second[i]) / tau)
        others = sum(
            torch.exp(query @ key(weights[2], negatives_from[j]) / tau) for j in range(len(first)) if mask[i, j]
        )
        total = total - torch.log(own / (own + others)) / len(first)
    return total


def samples(sample, cell, modality, augmented=False):
    """Both patches of every sample of one modality, or of its augmented view, read off the vectors by index."""
    n, vectors = sample.labels.shape[1], sample.vectors[cell, modality]
    start = 1 + n if augmented else 1
    return [[sample.labels[cell, i] * vectors[0], vectors[start + i]] for i in range(n)]


def contrastive_training(sample, cell, steps, eta, tau=1.0, detach=True, cosine=False, patchwise=True):
    """Filters (g, m, d) and the losses of all steps, by autograd and plain gradient descent."""
    weights = [w.clone().requires_grad_() for w in sample.filters[cell]]
    mask, losses = sample.negatives[cell], []
    views = [samples(sample, cell, g) for g in range(len(weights))]
    for _ in range(steps):
        if len(weights) == 1:
            w, augmented = weights[0], samples(sample, cell, 0, augmented=True)
            loss = info_nce((w, w, w), views[0], augmented, views[0], mask, tau, detach, cosine, patchwise)
        else:
            loss = sum(
                info_nce(
                    (weights[g], weights[1 - g], weights[1 - g]),
                    views[g], views[1 - g], views[1 - g], mask, tau, detach, cosine, patchwise,
                )
                for g in range(2)
            )  # fmt: skip
        gradients = torch.autograd.grad(loss, weights)
        weights = [(w - eta * g).detach().requires_grad_() for w, g in zip(weights, gradients)]
        losses.append(loss.item())
    return torch.stack([w.detach() for w in weights]), torch.tensor(losses, dtype=torch.float64)


def simulate(setting, modality, seed, stop=0.01, steps=1500):
    """One training as anyone would write it: vectors of R^d, autograd, negatives of the other label, patch by patch.

    Returns signal and noise of the first encoder, and the error of a linear discriminant on features of fresh points.
    """
    n, d, m, n_snr2, ratio, sigma_aug, tau, init, _ = setting
    generator = torch.Generator().manual_seed(seed)
    normal = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    length = (n_snr2 * d / n) ** 0.5
    y = torch.where(torch.randperm(n, generator=generator) < n // 2, 1.0, -1.0)
    mask = y.unsqueeze(1) != y.unsqueeze(0)
    modalities = 2 if modality == "multi" else 1
    mu = [length * (ratio if g else 1.0) * torch.eye(1, d)[0] for g in range(modalities)]
    xi = [normal(n, d) for _ in mu]
    view = xi[0] + sigma_aug * normal(n, d)
    filters = [(init * normal(m, d)).requires_grad_() for _ in mu]
    optimiser = torch.optim.SGD(filters, lr=plain_step(setting, modality))

    def features(g, noise):
        return [torch.relu(torch.outer(y, filters[g] @ mu[g])), torch.relu(noise @ filters[g].T)]

    def similarity(query, key):
        return sum(q @ k.detach().T for q, k in zip(query, key)) / tau

    def direction(query, positive, key):
        own = similarity(query, positive).diagonal()
        others = similarity(query, key).masked_fill(~mask, -torch.inf)
        return (torch.logsumexp(torch.cat([own.unsqueeze(1), others], 1), 1) - own).mean()

    for _ in range(steps):
        h = [features(g, xi[g]) for g in range(modalities)]
        loss = (
            direction(h[0], h[1], h[1]) + direction(h[1], h[0], h[0])
            if modality == "multi"
            else direction(h[0], features(0, view), h[0])
        )
        if loss <= stop * modalities:
            break
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        W = filters[0]
        return (W @ mu[0]).abs().max(), (xi[0] @ W.T).amax(1).mean(), discriminant_error(W, mu[0], normal)


def plain_step(setting, modality):
    """A step size that is stable: tau / 4 over the geometric mean of the modalities' scales."""
    n, d, _, n_snr2, ratio, _, tau, _, _ = setting
    scales = [d / n * (1 + n_snr2 * gain**2) for gain in (1.0, ratio)]
    return 0.25 * tau / (scales[0] if modality == "single" else (scales[0] * scales[1]) ** 0.5)


def discriminant_error(W, mu, normal, fit=4000, test=8000):
    """Share of fresh points that a linear discriminant gets wrong, fitted and tested on points of R^d."""
    y = torch.ones(fit + test)
    y[::2] = -1
    z = torch.cat([normal(1000, W.shape[1]) @ W.T for _ in range((fit + test) // 1000)])
    h = torch.relu(torch.outer(y, W @ mu)) + torch.relu(z)
    h = h.double()
    plus, minus = (h[:fit][y[:fit] == sign].mean(0) for sign in (1, -1))
    centred = h[:fit] - torch.where((y[:fit] > 0).unsqueeze(1), plus, minus)
    covariance = centred.T @ centred / fit
    covariance += 1e-6 * covariance.diagonal().mean() * torch.eye(len(covariance))
    w = torch.linalg.solve(covariance, plus - minus)
    return ((h[fit:] - (plus + minus) / 2) @ w * y[fit:] <= 0).double().mean()
