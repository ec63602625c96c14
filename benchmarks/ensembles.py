"""Small networks side by side against the loop people write: ``python -m benchmarks.ensembles [ROW ...]``.

Processor time of one thread per cell and training step (forward, backward, optimiser), all variants of a row in turn
within every round, so that a busy machine slows all alike; a row shows the least and the median over rounds, and the
ratio of the loop to it, least over least. The opponents are the same network as an ``nn.Module`` with fused AdamW (or
SGD), one after another, and ``torch.func`` over stacked modules. Prompts are given, but in the rows that draw them.
"""

import argparse
import copy
import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap

from benchmarks.rows_nearest import nearest, quadrature
from benchmarks.side_by_side import Variant, ensemble, show
from lemmata.draws import cell_seeds
from lemmata.loops.rules import Adam, AdamW
from lemmata.loops.task import Task
from lemmata.modules.attention import AttentionNetwork, apply, to_module
from lemmata.prompts.prompt import Multiset


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
