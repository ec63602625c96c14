"""Slow twins of the optimisers: the papers' recursions on one flat float64 vector, transcribed line by line."""

import torch


class Oracle:
    """x_{t+1} = x_t - c eta_t direction_t / (s_t + eps), eta_t computed at the start of step t as in the paper."""

    def __init__(
        self, x, lr=1.0, eta0=1e-6, eps=1e-8, weight_decay=0.0, decoupled=False, max_eta=None, growth_rate=None
    ):
        self.x, self.x0 = x.clone(), x.clone()
        self.lr, self.eta, self.eps, self.t = lr, eta0, eps, 0
        self.weight_decay, self.decoupled, self.max_eta, self.growth_rate = (
            weight_decay,
            decoupled,
            max_eta,
            growth_rate,
        )

    def step(self, g):
        r = float((self.x - self.x0).norm()) / self.x.numel() ** 0.5
        new = max(self.eta, r)
        if self.growth_rate is not None and self.t > 0:
            new = min(new, self.growth_rate * self.eta)
        self.eta = new if self.max_eta is None else min(new, self.max_eta)
        if self.weight_decay and not self.decoupled:
            g = g + self.weight_decay * self.x
        direction, s, lr_t = self.direction_and_scale(g)
        if self.decoupled:
            self.x = self.x * (1 - self.weight_decay * lr_t)
        self.x = self.x - self.lr * self.eta * direction / (s + self.eps)
        self.t += 1
        return self.x


class AdaGradPPOracle(Oracle):
    sum = 0.0

    def direction_and_scale(self, g):
        self.sum = self.sum + g**2
        return g, self.sum**0.5, self.lr * self.eta


class AdamPPOracle(Oracle):
    m, v, v_max, sum, beta1_product = 0.0, 0.0, 0.0, 0.0, 1.0

    def __init__(self, x, betas=(0.9, 0.999), variant="ema", momentum_decay=1.0, bias_correction=True, **options):
        super().__init__(x, **options)
        self.betas, self.variant, self.momentum_decay, self.correct = betas, variant, momentum_decay, bias_correction

    def direction_and_scale(self, g):
        beta1, beta2 = self.betas
        beta1_t = beta1 * self.momentum_decay**self.t
        self.beta1_product *= beta1_t
        self.m = beta1_t * self.m + (1 - beta1_t) * g
        self.v = beta2 * self.v + (1 - beta2) * g**2
        self.v_max = torch.maximum(self.v_max, self.v) if self.t else self.v
        self.sum = self.sum + g**2
        m, corrected = self.m, 1.0
        if self.correct:
            m, corrected = self.m / (1 - self.beta1_product), 1 - beta2 ** (self.t + 1)
        s = {
            "sum": self.sum**0.5,
            "ema": ((self.t + 1) * self.v / corrected) ** 0.5,
            "ema_max": ((self.t + 1) * self.v_max / corrected) ** 0.5,
        }[self.variant]
        return m, s, self.lr * self.eta / (self.t + 1) ** 0.5
