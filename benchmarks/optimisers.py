"""Time and memory of one optimiser step, side by side: ``python -m benchmarks.optimisers``.

All methods are timed in turn within every round, so that a busy machine slows all of them alike; a row shows the
median, and the ratio of medians and of minima to torch's fused AdamW. "words" is what the optimiser holds per
parameter, in units of the parameter's own size, measured on its state after a step (AdamW: m and v). The traffic floor
is the number of words that one pass must move: AdamW 7 (x, g, m, v in; x, m, v out), Adam++ reads x_0 too, 8.
The peers come with the extra ``bench``.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer

from lemmata.optim import AdaGradPP, AdamPP

SHAPES = {
    "10 M in 28 tensors": [(512, 768)] * 24 + [(1000, 256)] * 4,
    "1 M in 148 tensors": [(64, 192)] * 74 + [(1348,)] * 74,
}
FLOOR = 8 / 7


def methods() -> dict[str, Callable[[list[Tensor]], Optimizer]]:
    """Name -> constructor. Weight decay off throughout; every method at settings that keep its full state at work."""
    import dadaptation
    import prodigyopt
    import schedulefree

    return {
        "AdamW fused": lambda p: AdamW(p, weight_decay=0, fused=True),
        "AdamW foreach": lambda p: AdamW(p, weight_decay=0, foreach=True),
        "AdamW loop": lambda p: AdamW(p, weight_decay=0, foreach=False),
        "AdamPP fused": lambda p: AdamPP(p, fused=True),
        "AdamPP foreach": lambda p: AdamPP(p, foreach=True),
        "AdamPP loop": lambda p: AdamPP(p, foreach=False),
        "AdaGradPP fused": lambda p: AdaGradPP(p, fused=True),
        "AdaGradPP foreach": lambda p: AdaGradPP(p),
        "Prodigy": lambda p: prodigyopt.Prodigy(p),
        "D-Adapt Adam": lambda p: dadaptation.DAdaptAdam(p),
        "SF-AdamW foreach": lambda p: schedulefree.AdamWScheduleFree(p, foreach=True),
    }


def prepare(make: Callable[[list[Tensor]], Optimizer], shapes: list[tuple[int, ...]], device: str) -> Optimizer:
    """The optimiser on fresh parameters with fixed gradients, after two steps: state allocated, kernels compiled."""
    generator = torch.Generator().manual_seed(0)
    params = [torch.nn.Parameter((0.02 * torch.randn(s, generator=generator)).to(device)) for s in shapes]
    optimizer = make(params)
    if hasattr(optimizer, "train"):
        optimizer.train()
    for p in params:
        p.grad = torch.randn(p.shape, generator=generator).to(device)
    for _ in range(2):
        optimizer.step()
    return optimizer


def words_per_parameter(optimizer: Optimizer) -> float:
    """Memory of all tensors the optimiser keeps, over that of the parameters."""
    params = [p for group in optimizer.param_groups for p in group["params"]]
    kept = {id(t): t for t in _tensors([dict(optimizer.state), optimizer.param_groups]) if not _in(t, params)}
    size = lambda tensors: sum(t.numel() * t.element_size() for t in tensors)  # noqa: E731
    return size(kept.values()) / size(params)


def _in(tensor: Tensor, params: list[Tensor]) -> bool:
    return any(tensor is p for p in params)


def _tensors(node: object) -> Iterator[Tensor]:
    if isinstance(node, Tensor):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from _tensors(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _tensors(value)


def measure(optimizers: dict[str, Optimizer], rounds: int, device: str) -> dict[str, list[float]]:
    """Milliseconds per step of each method in each round."""
    times: dict[str, list[float]] = {name: [] for name in optimizers}
    for _ in range(rounds):
        for name, optimizer in optimizers.items():
            start = time.perf_counter()
            optimizer.step()
            if device != "cpu":
                torch.accelerator.synchronize()
            times[name].append(1e3 * (time.perf_counter() - start))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.filterwarnings("ignore", module="(prodigyopt|dadaptation|schedulefree|torch)")
    print(f"torch {torch.__version__}, {options.device}, {options.threads} thread(s), {options.rounds} rounds")
    for title, shapes in SHAPES.items():
        optimizers = {name: prepare(make, shapes, options.device) for name, make in methods().items()}
        times = measure(optimizers, options.rounds, options.device)
        base = times["AdamW fused"]
        print(f"\n{title} ({sum(torch.Size(s).numel() for s in shapes):,} parameters)")
        print(f"{'':20}{'ms/step':>9}{'ratio':>8}{'ratio of min':>14}{'words':>8}")
        for name, each in times.items():
            ratio, floor = statistics.median(each) / statistics.median(base), min(each) / min(base)
            words = words_per_parameter(optimizers[name])
            print(f"{name:20}{statistics.median(each):9.2f}{ratio:8.2f}{floor:14.2f}{words:8.2f}")
        print(f"{'traffic floor of Adam++':20}{'':6}{FLOOR:8.2f}")


if __name__ == "__main__":
    main()
