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
