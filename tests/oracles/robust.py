"""Slow twins of the room ``robust``: published recursions with loops over classes, samples and coordinates."""

import math

import torch
import torch.nn.functional as F


def smooth(y, q, classes):
    """Relaxed labels (n, K), entry by entry."""
    rows = torch.full((len(y), classes), 0.0)
    for i, c in enumerate(y.tolist()):
        confidence = float(q[i]) if isinstance(q, torch.Tensor) else q
        for k in range(classes):
            rows[i, k] = confidence if k == c else (1 - confidence) / (classes - 1)
    return rows


def soft_ce(logits, targets):
    return -(targets * F.log_softmax(logits, 1)).sum(1).mean()


def class_wise(clean, robust, y, weight):
    """The class-wise regulariser, class by class."""
    total = 0.0
    for c in range(len(weight)):
        rows = [i for i, label in enumerate(y.tolist()) if label == c]
        if rows:
            total = total + weight[c] * F.mse_loss(clean[rows], robust[rows])
    return total


def group_wise(clean, robust, y, groups):
    total = 0.0
    for g in range(4):
        rows = [i for i, label in enumerate(y.tolist()) if int(groups[label]) == g]
        if rows:
            total = total + F.mse_loss(clean[rows], robust[rows])
    return total


def skg_fat(model, optimizer, epochs, memory, eps, lam, reg, relaxation, low=0.3, high=0.9):
    """SKG-FAT as released, but for class counts instead of N/K: losses of all steps and accuracies of all epochs.

    epochs: lists of batches (x, y) of equal size; memory: the first perturbation, like x.
    """
    delta, losses, history, classes = memory.clone(), [], [], None
    for number, batches in enumerate(epochs):
        hits = {}
        factors = None
        if number:
            factors = [history[-1][0][c] for c in range(classes)]
            if relaxation != "released":
                factors = [min(max(abs(math.log(a)), low), high) for a in factors]
        for x, y in batches:
            delta.requires_grad_()
            first = model(x + delta)
            classes = first.shape[1]
            if number and relaxation == "released":
                factors = [min(max(abs(math.log(a)), low), high) for a in factors]
            q = torch.tensor([factors[c] for c in y.tolist()]) if number and relaxation != "fixed" else high
            targets = smooth(y, q, classes)
            (gradient,) = torch.autograd.grad(soft_ce(first, targets), delta, retain_graph=True)
            delta = (delta.detach() + eps * gradient.sign()).clamp(-eps, eps)
            delta = torch.max(torch.min(delta, 1 - x), -x)
            robust, clean = model(x + delta), model(x)
            loss = soft_ce(robust, targets)
            if not number or reg == "pgi":
                loss = loss + lam * (first - robust).square().sum(1).mean()
            elif reg == "class":
                loss = loss + lam * class_wise(clean, robust, y, factors)
            elif reg == "group":
                loss = loss + lam * group_wise(clean, robust, y, history[-1][2])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
            for c, a, b in zip(y.tolist(), clean.argmax(1).tolist(), robust.argmax(1).tolist()):
                seen = hits.setdefault(c, [0, 0, 0])
                seen[0] += 1
                seen[1] += a == c
                seen[2] += b == c
        a = [min(max(hits[c][1] / hits[c][0], 1e-3), 1) for c in range(classes)]
        b = [min(max(hits[c][2] / hits[c][0], 1e-3), 1) for c in range(classes)]
        history.append((a, b, _groups(a, b)))
    return losses, history


def _groups(a, b):
    found = []
    for clean, robust in zip(a, b):
        high, low = clean - sum(a) / len(a), robust - sum(b) / len(b)
        found.append(-1 if high == 0 or low == 0 else 2 * (high < 0) + (low < 0))
    return found


def pgd(model, x, y, start, steps, step_size, eps, loss):
    """Projected ascent, one image at a time, stopping at the first wrong point."""
    found = []
    for i in range(len(x)):
        here, label = x[i : i + 1], y[i : i + 1]
        point = (here + start[i : i + 1]).clamp(0, 1)
        for _ in range(steps):
            point = point.detach().requires_grad_()
            logits = model(point)
            if int(logits.argmax()) != int(label):
                break
            (gradient,) = torch.autograd.grad(loss(logits, label).sum(), point)
            moved = (point.detach() - here + step_size * gradient.sign()).clamp(-eps, eps)
            point = (here + moved).clamp(0, 1)
        found.append(point.detach())
    return torch.cat(found)
