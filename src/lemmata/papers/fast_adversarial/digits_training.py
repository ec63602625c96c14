"""Adversarial training of a small CNN on handwritten digits, one network a cell, and all that is looked at.

scikit-learn's 1797 digits of 8 x 8 pixels in [0, 1]; of every class 30 % are for testing, drawn anew from the seed. A
:class:`~lemmata.modules.normed_cnn.NormedCNN` takes ``epochs`` passes in batches of 128 (a last short batch is left
out), SGD with learning rate 0.1, momentum 0.9 and decay 5e-4, the rate times 0.1 after 100/110 and 105/110 of the
training, as the SKG-FAT release does; no augmentation. Several networks at once under ``torch.func.vmap`` took 1.2 to
1.7 times longer than one by one on a CPU (``python -m benchmarks.robust --ensemble``), so cells run singly.
"""

import functools
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lemmata.data.files.images import load_digits
from lemmata.draws import cell_seeds, permutation
from lemmata.modules.normed_cnn import NormedCNN
from lemmata.papers.fast_adversarial.setting import CLASSES, METHODS, method_of
from lemmata.parameters import check, parameter
from lemmata.robust import CollapseWarning, Monitor, evaluate_robust
from lemmata.sweep import Body, Variable

SHARE = 0.3
"""Of every class, for testing."""
LOOK = ("fgsm", "pgd-10")
"""Attacks at every look along training."""


@dataclass(frozen=True)
class DigitsTraining(Body):
    """Trains one network a cell in float32 and attacks it.

    The method is called ``defence``, as ``method`` is a word of xarray's own.
    """

    defence: str = parameter("defence", str, choices=METHODS, default="skg")
    eps: float = parameter("radius ε", units="pixel values", above=0, most=1, default=0.2)
    lam: float | None = parameter("strength λ of the regulariser", least=0, optional=True, scale="log", default=None)
    epochs: int = parameter("epochs", int, units="epochs", least=1, axis=False, default=60)
    batch: int = parameter("batch size", int, units="samples", least=2, default=128)
    looks: int = parameter("looks along training", int, least=1, axis=False, default=1)
    attack_steps: int = parameter("steps of the last attacks", int, units="steps", least=1, axis=False, default=50)

    def __post_init__(self) -> None:
        check(self)

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Accuracies on the test images; the last entry along ``epoch`` is the trained network's."""
        last = f"{self.attack_steps} steps"
        return {
            "clean": Variable(long_name="clean accuracy"),
            "pgd": Variable(long_name=f"accuracy under PGD, {last}"),
            "union": Variable(long_name=f"accuracy under PGD and margin attack, {last}"),
            "worst_class": Variable(long_name="lowest accuracy of a class under PGD"),
            "gap": Variable(long_name="highest minus lowest accuracy of a class under PGD"),
            "class_clean": Variable(("class",), long_name="clean accuracy of the class"),
            "class_pgd": Variable(("class",), long_name="accuracy of the class under PGD"),
            "look_clean": Variable(("epoch", "class"), long_name="clean accuracy of the class"),
            "look_fgsm": Variable(("epoch", "class"), long_name="accuracy of the class under FGSM"),
            "look_pgd": Variable(("epoch", "class"), long_name="accuracy of the class under PGD, 10 steps"),
            "train_robust": Variable(("epoch",), long_name="training accuracy under the method's own attack"),
            "entropy": Variable(("epoch",), units="nats", long_name="entropy of the predicted classes"),
            "warned_overfitting": Variable(long_name="step of the warning of overfitting, -1 without", dtype="int32"),
            "warned_constant": Variable(long_name="step of the warning of constancy, -1 without", dtype="int32"),
            "cpu_seconds": Variable(units="s", long_name="CPU time of training in this run"),
            "status": Variable(long_name="why the cell ended: 0 took all steps, 2 diverged", dtype="int8"),
        }

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """Classes, and the epochs after which the network is looked at, evenly spaced."""
        looks = np.unique(np.linspace(0, self.epochs, min(self.looks, self.epochs) + 1).round().astype(int))[1:]
        return {"class": np.arange(CLASSES), "epoch": looks}

    def estimate_seconds(self, points: Sequence[dict[str, Any]]) -> float:
        """From a few steps of FGSM-RS, a step of PGD-AT being 4.5 times one of them."""
        slow = [self._set_to(point).defence in ("pgd-at", "trades") for point in points]
        return self.epochs * _seconds_of_an_epoch(self.batch) * sum(4.5 if one else 1.5 for one in slow)

    def run(self, points: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
        """One tile, cell by cell."""
        rows = [self._set_to(point)._cell(point["seed"]) for point in points]
        return {name: np.array([row[name] for row in rows]) for name in self.variables}

    def _set_to(self, point: Mapping[str, Any]) -> "DigitsTraining":
        return self.at({name: value for name, value in point.items() if name != "seed"})  # type: ignore[return-value]

    def _cell(self, seed: int) -> dict[str, Any]:
        (x, y), test = split(seed)
        model = NormedCNN()
        model.reset_parameters(seed)
        method = method_of(self.defence, self.eps, self.lam, self.epochs, len(x), seed)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
        steps = self.epochs * max(1, len(x) // self.batch)
        marks = [steps * 100 // 110, steps * 105 // 110]
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, marks, gamma=0.1)
        monitor, looks, cpu = Monitor(self.eps), _Looks(self.eps), 0.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CollapseWarning)  # what it fired is a variable
            for epoch in range(1, self.epochs + 1):
                started = time.process_time()
                order = permutation(cell_seeds(0, [seed]), f"order of epoch {epoch}", len(x))[0]
                for rows in order[: steps // self.epochs * self.batch].split(self.batch):
                    step = method.loss(model, x[rows], y[rows], rows)
                    optimizer.zero_grad()
                    step.loss.backward()
                    optimizer.step()
                    schedule.step()
                    monitor.watch(step)
                cpu += time.process_time() - started
                robust, entropy = method.epoch_end().robust_average, monitor.epoch_end()
                if epoch in self.coordinates["epoch"]:
                    looks.add(model, test, robust, float(entropy or 0))
                    monitor.check(model, *test)
        fired = {f"warned_{what}": monitor.fired.get(what, -1) for what in ("overfitting", "constant")}
        return {**self._end(model, test), **looks.arrays(), **fired, "cpu_seconds": cpu}

    def _end(self, model: NormedCNN, test: tuple[Tensor, Tensor]) -> dict[str, Any]:
        sound = all(bool(torch.isfinite(p).all()) for p in model.parameters())
        names = [f"pgd-{self.attack_steps}", f"margin-{self.attack_steps}"]
        report = evaluate_robust(model, [test], names, eps=self.eps)
        return {
            "clean": report.clean,
            "pgd": report.attacks[names[0]],
            "union": report.union,
            "worst_class": report.worst_class(names[0])[1],
            "gap": report.gap(names[0]),
            "class_clean": report.per_class["clean"].numpy(),
            "class_pgd": report.per_class[names[0]].numpy(),
            "status": np.int8(0 if sound else 2),
        }


class _Looks:
    """What is seen along training, look by look."""

    def __init__(self, eps: float) -> None:
        self.eps = eps
        self.rows: dict[str, list[Any]] = {name: [] for name in _LOOKED}

    def add(self, model: NormedCNN, test: tuple[Tensor, Tensor], robust: float, entropy: float) -> None:
        found = evaluate_robust(model, [test], LOOK, eps=self.eps).per_class
        seen = [found["clean"].numpy(), found["fgsm"].numpy(), found["pgd-10"].numpy(), robust, entropy]
        for name, value in zip(_LOOKED, seen):
            self.rows[name].append(value)

    def arrays(self) -> dict[str, np.ndarray]:
        return {name: np.array(values) for name, values in self.rows.items()}


_LOOKED = ("look_clean", "look_fgsm", "look_pgd", "train_robust", "entropy")


@functools.lru_cache(maxsize=8)
def _seconds_of_an_epoch(batch: int) -> float:
    (x, y), _ = split(0)
    model, method = NormedCNN(), method_of("fgsm-rs", eps=0.2, lam=0.0, epochs=1, samples=len(x), seed=0)
    seconds = []
    for _ in range(4):  # the first also loads code
        started = time.perf_counter()
        method.loss(model, x[:batch], y[:batch]).loss.backward()
        seconds.append(time.perf_counter() - started)
    return sum(seconds[1:]) / 3 * max(1, len(x) // batch)


@functools.lru_cache(maxsize=64)
def split(seed: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Images ``(n, 1, 8, 8)`` float32 and classes ``(n,)`` to train on, and those to test on: 30 % of every class."""
    images = load_digits()
    x, y = torch.from_numpy(images.x).float().view(-1, 1, 8, 8), torch.from_numpy(images.y)
    tested = torch.zeros(len(y), dtype=torch.bool)
    for label in range(CLASSES):
        members = torch.nonzero(y == label)[:, 0]
        order = permutation(cell_seeds(0, [seed]), f"split of class {label}", len(members))[0]
        tested[members[order[: round(SHARE * len(members))]]] = True
    return (x[~tested], y[~tested]), (x[tested], y[tested])
