"""The slow twin of particle Transformers: columns are tokens, one prompt, one head or neuron at a time."""

import math

import torch


def attention(T, theta, causal=False):
    """f(T; V, A) = V T softmax_col(Tᵀ A T), T ``(d, n)``."""
    d, n = T.shape
    V, A = theta[: d * d].reshape(d, d), theta[d * d :].reshape(d, d)
    scores = T.T @ A @ T
    if causal:
        scores = scores.masked_fill(torch.ones(n, n, dtype=torch.bool).tril(-1), -math.inf)
    return V @ T @ scores.softmax(0)


def neuron(T, theta, activation=torch.tanh, bias=True):
    """h(T; a, b, β) = a σ(bᵀ T + β), T ``(d, n)``."""
    d = len(T)
    a, b, beta = theta[:d], theta[d : 2 * d], theta[2 * d] if bias else 0.0
    return torch.outer(a, activation(b @ T + beta))


def output(theta, T, readout, eta=0.5):
    """One network ``(L, M, P)`` on one prompt ``(d, n)``, attention then neurons; readout ``(d, n)``."""
    layers, particles, _ = theta.shape
    cut = 2 * len(T) ** 2
    for layer in theta:
        T = T + eta / (layers * particles) * sum(attention(T, beta[:cut]) for beta in layer)
        T = T + eta / (layers * particles) * sum(neuron(T, beta[cut:]) for beta in layer)
    return (readout * T).sum()


def energy(theta, prompts, targets, readout, decay, eta=0.5):
    """Risk and Q of one network on prompts ``(s, d, n)``."""
    layers, particles, _ = theta.shape
    outputs = torch.stack([output(theta, T, readout, eta) for T in prompts])
    risk = 0.5 * (outputs - targets).square().mean()
    return risk, risk + decay / (2 * layers * particles) * theta.square().sum()
