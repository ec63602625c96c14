"""Rows of the nearest-neighbour network: ``python -m benchmarks.ensembles nearest quadrature``."""

import functools
import itertools

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.side_by_side import Variant, ensemble, show
from lemmata.draws import cell_seeds
from lemmata.loops.rules import SGD
from lemmata.loops.task import Task
from lemmata.papers.nearest_neighbour import network, reduced, theory
from lemmata.papers.nearest_neighbour.population import population
from lemmata.prompts.cosines import cosines
from lemmata.prompts.sphere import SpherePrompts


class OneLayer(nn.Module):
    """The nearest-neighbour network as people write it."""

    def __init__(self, d: int) -> None:
        super().__init__()
        W = torch.zeros(d + 2, d + 2)
        W[-1, -1] = -3
        self.W = nn.Parameter(W)

    def forward(self, h: Tensor) -> Tensor:
        """(b, n + 1, d + 2) → (b,)."""
        p = torch.softmax((h @ self.W @ h[:, -1:].transpose(1, 2)).squeeze(-1), -1)
        return (p * h[:, :, -2]).sum(-1)


class Matrix(Task):
    """The full matrix with its gradient by hand, on given prompts."""

    def __init__(self, tokens: Tensor, targets: Tensor) -> None:
        self.tokens, self.targets = tokens, targets

    def start(self, seeds: Tensor) -> dict[str, Tensor]:
        """The sparse start."""
        W = torch.zeros(len(seeds), self.tokens.shape[-1], self.tokens.shape[-1])
        W[:, -1, -1] = -3
        return {"W": W}

    def loss(self, parameters: dict[str, Tensor], step: int) -> Tensor:
        """(c,)."""
        return network.loss(parameters["W"], self.tokens, self.targets, self.tokens.shape[-1] - 2)


_STEPS = itertools.count()


def fresh_points(law: SpherePrompts, seeds: Tensor, prompts: int) -> None:
    """Prompts of a step of their own."""
    law.draw(seeds, f"prompts/{next(_STEPS)}", prompts)


def fresh_cosines(seeds: Tensor, shape: tuple[int, ...], d: int) -> None:
    """Cosines of a step of their own."""
    cosines(seeds, f"cosines/{next(_STEPS)}", shape, d)


def nearest(rounds: int) -> None:
    """One merged matrix, n = 16, d = 8, 256 prompts a step."""
    n, d, b = 16, 8, 256
    for cells in (1, 16):
        seeds, few = cell_seeds(0, range(cells)), min(cells, 8)
        law = SpherePrompts(n, d)
        prompts = law.draw(seeds, "x", b)
        tokens, targets = prompts.tokens, prompts.targets
        modules = [OneLayer(d) for _ in range(few)]
        optimisers = [torch.optim.SGD(m.parameters(), lr=1.0) for m in modules]

        def loop(draw: bool, modules: list = modules, optimisers: list = optimisers, tokens: Tensor = tokens,
                 targets: Tensor = targets) -> None:  # fmt: skip
            for cell, (module, optimiser) in enumerate(zip(modules, optimisers)):
                h, y = tokens[cell], targets[cell]
                if draw:
                    x = torch.randn(b, n + 1, d)
                    x = x / x.norm(dim=-1, keepdim=True)
                    label = torch.randint(0, 2, (b, n)).float() * 2 - 1
                    y = label.gather(1, (x[:, :-1] @ x[:, -1:].transpose(1, 2)).argmax(1)).squeeze(1)
                    h = torch.cat([x, nn.functional.pad(label, (0, 1)).unsqueeze(2), torch.zeros(b, n + 1, 1)], 2)
                    h[:, -1, -1] = 1
                optimiser.zero_grad(set_to_none=True)
                (0.5 * (module(h) - y).square().mean()).backward()
                optimiser.step()

        W = Matrix(tokens, targets).start(seeds)["W"]
        u = {dtype: prompts.inner_products.to(dtype) for dtype in (torch.float32, torch.float64)}
        best = prompts.nearest.unsqueeze(2)
        xi = {dtype: torch.tensor([[5.0, 5.0]], dtype=dtype).repeat(cells, 1) for dtype in u}
        times = max(1, 64 // cells)

        def by_hand(W: Tensor = W, tokens: Tensor = tokens, targets: Tensor = targets, times: int = times) -> None:
            for _ in range(times):
                W.sub_(network.gradient(W, tokens, targets, d)[1])

        def two(dtype: torch.dtype, xi: dict = xi, u: dict = u, best: Tensor = best, times: int = times) -> None:
            for _ in range(times):
                xi[dtype].sub_(0.1 * reduced.sampled_gradient(xi[dtype], u[dtype], best)[1])

        variants: dict[str, Variant] = {
            "modules one by one, prompts given": (lambda: loop(False), few),
            "modules one by one, torch.randn prompts": (lambda: loop(True), few),
            "full matrix by hand": (by_hand, cells * times),
            "full matrix by hand, the house's loop": ensemble(Matrix(tokens, targets), cells, 100, SGD(), 1.0),
            "two parameters, float32": (lambda: two(torch.float32), cells * times),
            "two parameters, float64": (lambda: two(torch.float64), cells * times),
            "drawing prompts from counters": (functools.partial(fresh_points, law, seeds, b), cells),
            "drawing cosines from counters": (functools.partial(fresh_cosines, seeds, (b, n), d), cells),
        }
        show(f"Nearest neighbour: C = {cells}", variants, "modules one by one, prompts given", rounds)


CELLS = np.array([
    (4, 4, 0, 3), (4, 4, 24.9, 37.8), (16, 8, 2, 3), (16, 8, 8, 6), (16, 8, 40.7, 36.4), (64, 16, 52.4, 38.0),
    (64, 16, 20, 18), (8, 3, 30, 30), (1024, 64, 20, 12),
]).T  # fmt: skip


def quadrature(rounds: int) -> None:
    """Exact population loss and gradient against one step of the loop on 256 prompts."""
    n, d, xi1, xi2 = CELLS
    prompts = SpherePrompts(16, 8).draw(cell_seeds(0, [0]), "x", 256)
    module = OneLayer(8)
    optimiser = torch.optim.SGD(module.parameters(), lr=1.0)

    def step() -> None:
        for _ in range(4):
            optimiser.zero_grad(set_to_none=True)
            (0.5 * (module(prompts.tokens[0]) - prompts.targets[0]).square().mean()).backward()
            optimiser.step()

    show(
        "Nearest neighbour: exact population loss and gradient, nine cells to n = 1024, d = 64, ξ1 = 52",
        {
            "a step of the loop on 256 given prompts": (step, 4),
            "quadrature, numpy": (lambda: theory.population(xi1, xi2, n, d), len(n)),
            "quadrature, compiled": (lambda: population(xi1, xi2, n, d), len(n)),
        },
        "a step of the loop on 256 given prompts",
        rounds,
    )
