"""Small networks side by side against the loop people write: ``python -m benchmarks.ensembles [ROW ...]``.

Processor time of one thread per cell and training step (forward, backward, optimiser), all variants of a row in turn
within every round, so that a busy machine slows all alike; a row shows the least and the median over rounds, and the
ratio of the loop to it, least over least. The opponents are the same network as an ``nn.Module`` with fused AdamW (or
SGD), one after another, and ``torch.func`` over stacked modules. Prompts are given, but in the rows that draw them.
"""

import argparse
import copy
import functools
import itertools
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from lemmata.draws import cell_seeds
from lemmata.loops.descent import Descent
from lemmata.loops.ensemble import train
from lemmata.loops.rules import SGD, Adam, AdamW, Rule
from lemmata.loops.task import Task
from lemmata.modules.attention import AttentionNetwork, apply, to_module
from lemmata.papers.nearest_neighbour import network, reduced, theory
from lemmata.papers.nearest_neighbour.population import population
from lemmata.prompts.cosines import cosines
from lemmata.prompts.prompt import Multiset
from lemmata.prompts.sphere import SpherePrompts

Variant = tuple[Callable[[], object], int]  # a call, and how many cell-steps it takes


def interleaved(variants: dict[str, Variant], rounds: int) -> dict[str, tuple[float, float]]:
    """Least and median seconds of processor time per cell-step."""
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(rounds + 1):
        for name, (call, steps) in variants.items():
            before = time.thread_time()
            call()
            if turn:
                taken[name].append((time.thread_time() - before) / steps)
    return {name: (min(each), statistics.median(each)) for name, each in taken.items()}


def show(title: str, variants: dict[str, Variant], against: str, rounds: int) -> None:
    """One row of the table."""
    found = interleaved(variants, rounds)
    print(f"\n{title}")
    print(f"  {'variant':44} {'least':>10} {'median':>10}   ratio of least, of median")
    for name, (least, median) in found.items():
        ratios = found[against][0] / least, found[against][1] / median
        print(
            f"  {name:44} {1e6 * least:8.1f}µs {1e6 * median:8.1f}µs   {ratios[0]:6.2f}  {ratios[1]:6.2f}", flush=True
        )


class Given(Task):
    """A network on given prompts; ``cost`` of outputs is minimised."""

    def __init__(self, net: AttentionNetwork, prompts: object, cost: Callable[[Tensor], Tensor], form: str) -> None:
        self.net, self.prompts, self.cost, self.form = net, prompts, cost, form

    def start(self, seeds: Tensor) -> dict[str, Tensor]:
        """First weights."""
        return self.net.start(seeds)

    def loss(self, parameters: dict[str, Tensor], step: int) -> Tensor:
        """(c,)."""
        return self.cost(apply(self.net, parameters, self.prompts, form=self.form))  # type: ignore[arg-type]


def ensemble(task: Task, cells: int, steps: int, rule: Rule, rate: float = 1e-3) -> Variant:
    """``steps`` steps by the house's loop, everything included."""
    seeds = cell_seeds(0, range(cells))
    return (lambda: train(task, seeds, Descent(steps, rule, rate=rate))), cells * steps


def one_by_one(
    net: AttentionNetwork, tokens: Tensor, cost: Callable[[Tensor, int], Tensor], cells: int, fused: bool = True
) -> Variant:
    """The same networks as ordinary modules, one after another."""
    parameters = net.start(cell_seeds(0, range(cells)))
    modules = [to_module(net, parameters, cell) for cell in range(cells)]
    optimisers = [torch.optim.AdamW(m.parameters(), lr=1e-3, weight_decay=0, fused=fused) for m in modules]

    def step() -> None:
        for cell, (module, optimiser) in enumerate(zip(modules, optimisers)):
            optimiser.zero_grad(set_to_none=True)
            cost(module(tokens[cell]), cell).backward()
            optimiser.step()

    return step, cells


def stacked(
    net: AttentionNetwork, tokens: Tensor, cost: Callable[[Tensor, Tensor], Tensor], targets: Tensor
) -> Variant:
    """The same networks by ``torch.func``: parameters stacked, the module mapped over them."""
    cells = len(tokens)
    parameters = net.start(cell_seeds(0, range(cells)))
    modules = [to_module(net, parameters, cell) for cell in range(cells)]
    weights, _ = stack_module_state(modules)  # type: ignore[arg-type]
    base = copy.deepcopy(modules[0]).to("meta")

    def loss(own: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return cost(functional_call(base, own, (x,)), y)

    gradient = vmap(grad_and_value(loss))
    held = {name: nn.Parameter(w.detach()) for name, w in weights.items()}
    optimiser = torch.optim.AdamW(held.values(), lr=1e-3, weight_decay=0, fused=True)

    def step() -> None:
        slopes, _ = gradient({name: w.detach() for name, w in held.items()}, tokens, targets)
        for name, w in held.items():
            w.grad = slopes[name]
        optimiser.step()

    return step, cells


def of_cell(cost: Callable[[Tensor, Tensor], Tensor], targets: Tensor, out: Tensor, cell: int) -> Tensor:
    """The cost of one cell's outputs."""
    return cost(out, targets[cell])


def counted_prompts(cells: int, n: int, kinds: int = 32, queries: int = 31, width: int = 15) -> tuple[Multiset, Tensor]:
    """Prompts of n samples out of 32 states, as counts and written out; the shape of a network of five bits."""
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(kinds + queries, width, generator=generator)
    drawn = torch.randint(kinds, (cells, 64, n), generator=generator)
    counts = torch.zeros(cells, 64, kinds).scatter_add_(2, drawn, torch.ones(()).expand(drawn.shape))
    query = torch.randint(queries, (cells, 64), generator=generator)
    tokens = table[torch.cat([drawn, kinds + query.unsqueeze(2)], 2)]
    return Multiset(table, counts, query), tokens


def bayesian(rounds: int) -> None:
    """Two layers, width 64, four heads, 64 prompts a step."""
    for n, cells in ((50, 1), (50, 4), (200, 1)):
        net = AttentionNetwork.uniform(15, 2, layers=2, width=64, heads=4)
        prompts, tokens = counted_prompts(cells, n)
        targets = torch.full((cells, 64, 2), 0.5)

        def cost(out: Tensor, targets: Tensor = targets) -> Tensor:
            return -(targets * out.log_softmax(-1)).sum(-1).mean(-1)

        variants: dict[str, Variant] = {
            "modules one by one, fused AdamW": one_by_one(net, tokens, functools.partial(of_cell, cost, targets), cells)
        }
        if n == 50:
            variants["torch.func over stacked modules"] = stacked(net, tokens, cost, targets)
        for form in ("dense", "query", "counts"):
            given = prompts if form == "counts" else tokens
            variants[f"ensemble, {form} form"] = ensemble(Given(net, given, cost, form), cells, 10, AdamW())
        show(f"Bayesian networks: n = {n}, C = {cells}", variants, "modules one by one, fused AdamW", rounds)


def spectral(rounds: int) -> None:
    """Three layers of ReLU attention, width 64, all tokens read out."""
    for readout in ("flatten", "first"):
        for cells in (1, 4):
            tokens = 20 if readout == "flatten" else 0
            net = AttentionNetwork.uniform(
                5, 10, layers=3, width=64, heads=4, kind="relu", readout=readout, tokens=tokens
            )
            x = torch.randn(cells, 64, 20, 5, generator=torch.Generator().manual_seed(0))

            def cost(out: Tensor) -> Tensor:
                return (1 - out.view(*out.shape[:-1], 2, 5)[..., 0].abs()).mean((-1, -2))

            show(
                f"Spectral: read-out {readout}, C = {cells}",
                {
                    "modules one by one, fused AdamW": one_by_one(net, x, lambda out, cell: cost(out), cells),
                    "ensemble": ensemble(Given(net, x, cost, "auto"), cells, 30, Adam()),
                },
                "modules one by one, fused AdamW",
                rounds,
            )


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


ROWS = {"nearest": nearest, "quadrature": quadrature, "bayesian": bayesian, "spectral": spectral}


def main() -> None:
    """Print the rows asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--rounds", type=int, default=7)
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.rows:
        ROWS[name](given.rounds)


if __name__ == "__main__":
    main()
