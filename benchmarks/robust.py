"""One step of adversarial training, method beside method: ``python -m benchmarks.robust``.

Two settings: the small CNN on 8 x 8 digits with batches of 128, and a ResNet-18 on 32 x 32 images with batches of 32.
All methods take one step in turn in every round, so that a busy machine slows all alike; a row shows the least CPU time
of a step (attack, loss, backward, optimiser) and its ratio to FGSM-RS and to PGD-AT with ten steps. Beside it stand the
passes through the network, counted by hooks: forward, backward inside the attack, and backward of the loss (counted
once per forward pass that it goes through). An estimate from passes alone takes a backward pass to the images for one
forward pass and one to the parameters for two. Passes inside the attack go to the images alone, but for FGSM-RS as it
is usually written, which computes all gradients twice and throws one of them away.

``--ensemble`` compares seeds trained one by one with all of them at once under ``torch.func.vmap``.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lemmata.modules.normed_cnn import NormedCNN
from lemmata.modules.resnet import ResNet
from lemmata.robust import FGSMPGI, FGSMRS, NFGSM, PGDAT, TDAT, TRADES, AdvStep, Method, SelfKnowledge
from lemmata.robust.methods.single_step import stepped
from lemmata.robust.modes import Passes


class UsualFGSMRS(FGSMRS):
    """FGSM-RS as it is usually written: the attack's backward pass computes gradients of all parameters too."""

    def _loss(self, net: Passes, x: Tensor, y: Tensor, index: Tensor | None) -> AdvStep:
        start = self.start.draw(x, index, self._noise(x)).requires_grad_()
        nn.functional.cross_entropy(net.attack(x + start), y).backward()
        assert start.grad is not None
        delta = stepped(x, start, start.grad, self.alpha, self.eps, self.norm)
        logits = net((x + delta).clamp(0, 1))
        return AdvStep(nn.functional.cross_entropy(logits, y), logits, None, delta)


METHODS: dict[str, Callable[[float], Method]] = {
    "FGSM-RS as usually written": lambda eps: UsualFGSMRS(10, eps=eps),
    "FGSM-RS": lambda eps: FGSMRS(10, eps=eps),
    "N-FGSM": lambda eps: NFGSM(10, eps=eps),
    "FGSM-PGI": lambda eps: FGSMPGI(10, eps=eps),
    "TDAT": lambda eps: TDAT(10, eps=eps, epochs=100),
    "SKG-FAT": lambda eps: SelfKnowledge(10, eps=eps, lam=0.3),
    "SKG-FAT, released labels": lambda eps: SelfKnowledge(10, eps=eps, relaxation="released"),
    "PGD-AT": lambda eps: PGDAT(10, eps=eps),
    "TRADES": lambda eps: TRADES(10, eps=eps),
}
SETTINGS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], float]] = {
    "small CNN, 8 x 8, batch 128": (NormedCNN, (128, 1, 8, 8), 0.2),
    "ResNet-18, 32 x 32, batch 32": (lambda: ResNet("resnet18"), (32, 3, 32, 32), 8 / 255),
}


@dataclass
class Trained:
    """One network, its method and its optimiser; a step, and the passes it took."""

    method: Method
    model: nn.Module
    x: Tensor
    y: Tensor
    times: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)

    def step(self) -> None:
        """One step as a user's loop takes it."""
        step = self.method.loss(self.model, self.x, self.y)
        self.optimizer.zero_grad()
        step.loss.backward()
        self.optimizer.step()

    def passes(self) -> tuple[int, int, int]:
        """Forward passes, backward ones to the images, and forward passes that backward goes through to parameters."""
        forward, images, parameters = [], [], []
        training = [False]
        hooks = [
            self.model.register_forward_hook(lambda *_: forward.append(1)),
            _head(self.model).register_full_backward_hook(
                lambda *_: (parameters if training[0] else images).append(1) and None
            ),
        ]
        step = self.method.loss(self.model, self.x, self.y)
        training[0] = True
        step.loss.backward()
        for hook in hooks:
            hook.remove()
        return len(forward), len(images), len(parameters)


def _head(model: nn.Module) -> nn.Module:
    return model.head  # type: ignore[return-value]


def prepare(name: str, setting: str) -> Trained:
    """Network, method and data, past the epoch in which SKG-FAT only warms up."""
    make, shape, eps = SETTINGS[setting]
    torch.manual_seed(0)
    model = make()
    x, y = torch.rand(shape), torch.arange(shape[0]) % 10
    trained = Trained(METHODS[name](eps), model.train(), x, y)
    trained.step()
    trained.method.epoch_end()
    trained.step()
    return trained


def measure(setting: str, rounds: int, names: Sequence[str] = tuple(METHODS)) -> dict[str, Trained]:
    """All methods, a step each in turn, ``rounds`` times."""
    all_trained = {name: prepare(name, setting) for name in names}
    for _ in range(rounds):
        for trained in all_trained.values():
            started = time.process_time()
            trained.step()
            trained.times.append(time.process_time() - started)
    return all_trained


def table(setting: str, rounds: int) -> None:
    """Print one setting's table."""
    found = measure(setting, rounds)
    least = {name: min(trained.times) for name, trained in found.items()}
    print(f"\n{setting}, {rounds} rounds\n")
    print("| method | ms | of FGSM-RS | of PGD-AT | forward | to images | to parameters | by passes, of FGSM-RS |")
    print("|---|---|---|---|---|---|---|---|")
    cost = {name: _cost(name, *trained.passes()) for name, trained in found.items()}
    for name, trained in found.items():
        passes = " | ".join(map(str, trained.passes()))
        ratios = f"{least[name] / least['FGSM-RS']:.2f} | {least[name] / least['PGD-AT']:.2f}"
        print(f"| {name} | {1e3 * least[name]:.1f} | {ratios} | {passes} | {cost[name] / cost['FGSM-RS']:.2f} |")


def _cost(name: str, forward: int, images: int, parameters: int) -> float:
    return forward + (2 if "usually" in name else 1) * images + 2 * parameters


def ensemble(cells: int, rounds: int) -> None:
    """Gradient of FGSM's loss for several seeds of the small CNN: one by one, and under vmap; batch norm in train mode.

    Both take a gradient to the images and one to the parameters on the same batch; the vmapped networks hold no running
    statistics, which spares them work.
    """
    from torch.func import functional_call, grad, stack_module_state, vmap

    models = [NormedCNN() for _ in range(cells)]
    for model in models:
        for norm in model.norms:
            norm.track_running_stats, norm.running_mean, norm.running_var = False, None, None
    x, y = torch.rand(cells, 128, 1, 8, 8), torch.arange(128) % 10
    stacked, _ = stack_module_state(models)

    def loss(parameters: dict[str, Tensor], images: Tensor) -> Tensor:
        return nn.functional.cross_entropy(functional_call(models[0], parameters, (images,)), y)

    def one_step(parameters: dict[str, Tensor], images: Tensor) -> dict[str, Tensor]:
        moved = (images + 0.2 * grad(loss, 1)(parameters, images).sign()).clamp(0, 1)
        return grad(loss, 0)(parameters, moved)

    def one_by_one() -> None:
        for model, images in zip(models, x):
            (slope,) = torch.autograd.grad(nn.functional.cross_entropy(model(images.requires_grad_()), y), images)
            moved = (images.detach() + 0.2 * slope.sign()).clamp(0, 1)
            torch.autograd.grad(nn.functional.cross_entropy(model(moved), y), list(model.parameters()))

    together = vmap(one_step, randomness="error")
    ways = {"one by one": one_by_one, f"{cells} at once, vmap": lambda: together(stacked, x.detach())}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.process_time()
            way()
            times[name].append(time.process_time() - started)
    print(f"\n{cells} small CNNs, one FGSM gradient each, batch 128\n\n| way | ms | of one by one |\n|---|---|---|")
    for name, each in times.items():
        print(f"| {name} | {1e3 * min(each):.1f} | {min(each) / min(times['one by one']):.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--setting", choices=tuple(SETTINGS), help="one of them alone")
    parser.add_argument("--ensemble", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, CPU time, {options.threads} thread(s)")
    if options.ensemble:
        for cells in (2, 6, 12):
            ensemble(cells, options.rounds)
        return
    for setting in SETTINGS if options.setting is None else (options.setting,):
        table(setting, options.rounds)


if __name__ == "__main__":
    main()
