"""train(): runs the cells of one description side by side, and says of each why it ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from lemmata.data.sample import Sample, to_dtype
from lemmata.draws import cell_seeds, split
from lemmata.dynamics import native
from lemmata.dynamics.direct import DirectEngine
from lemmata.dynamics.engine import Engine
from lemmata.dynamics.fresh_noise import FreshNoiseEngine
from lemmata.dynamics.gram import GramEngine
from lemmata.dynamics.rules import GD
from lemmata.dynamics.run import Run
from lemmata.dynamics.stopping import Ends
from lemmata.objectives.objective import per_cell_loss
from lemmata.probes.probe import measured
from lemmata.probes.shipped import named
from lemmata.probes.snapshot import Snapshot
from lemmata.threads import MANY_PRODUCTS, one_for_torch

_LOOK_UP = 256
"""Steps between two looks at whether any cell still runs, each of which waits for the device."""


@dataclass(frozen=True)
class Training:
    """What came of ``c`` cells.

    Attributes:
        steps: the ``t`` steps recorded.
        records: ``(c, t)`` per probe, in the order asked for.
        status: ``(c,)``, a :class:`~lemmata.dynamics.stopping.Status` each.
        status_step: ``(c,)``, the step at which that was known.
        final: the last snapshot.
        filters: ``(c, r, d)``, the filters at the end, in the sample's coordinates.
    """

    run: Run
    steps: tuple[int, ...]
    records: dict[str, Tensor]
    status: Tensor
    status_step: Tensor
    final: Snapshot
    filters: Tensor


def train(run: Run, seeds: Sequence[int] | Tensor = (0,), *, sample: Sample | None = None) -> Training:
    """Trains one cell per seed.

    Args:
        run: the description; its value fields may hold ``(c,)`` tensors.
        seeds: ``(c,)``, each cell's index along the seed axis. Cells of one index share all their draws.
        sample: data and initial filters to use instead of drawing them.

    Raises:
        ValueError: by the run's own checks, or if ``sample`` holds another number of cells than ``seeds``.
    """
    if not isinstance(run, Run):
        raise TypeError(f"train takes a lemmata.Run and was given {run!r}; write train(Run(data, net, ...), seeds)")
    _check_seeds(seeds)
    keys = cell_seeds(run.seed_root, seeds, run.device)
    sample = draw(run, keys) if sample is None else to_dtype(sample, run.torch_dtype)
    _check_sample(run, sample, keys)
    products = sample.filters.shape[:-1].numel() * sample.vectors.shape[-2]
    with torch.no_grad(), one_for_torch(run.engine_used != "direct" and products < MANY_PRODUCTS):
        return _Trainer(run, keys, sample).train()


def _check_seeds(seeds: Any) -> None:
    if isinstance(seeds, int) or not len(seeds):
        raise ValueError(f"seeds = {seeds!r} was asked for; give one seed per cell, e.g. seeds=range(8)")
    for seed in seeds.tolist() if isinstance(seeds, Tensor) else seeds:
        if not isinstance(seed, Integral) or isinstance(seed, bool) or not 0 <= int(seed) < 2**63:
            raise ValueError(f"seed = {seed!r} was asked for; seeds are whole numbers from 0, e.g. seeds=range(8)")


def _check_sample(run: Run, sample: Sample, keys: Tensor) -> None:
    if sample.labels.shape[0] != keys.shape[0]:
        raise ValueError(
            f"a sample of {sample.labels.shape[0]} cells was given for {keys.shape[0]} seeds; give one seed per cell"
        )
    if not isinstance(sample, run.objective.reads):
        raise TypeError(
            f"{type(run.objective).__name__} was asked for on {type(sample).__name__}, the sample of "
            f"{type(run.data).__name__}; it reads {run.objective.reads.__name__}"
        )


def draw(run: Run, keys: Tensor) -> Sample:
    """Data and initial filters of every cell, in the coordinates of the run's engine."""
    with one_for_torch(run.coordinates == "compressed"):
        sample = run.data.sample(keys, run.net.initial_scale(keys), coordinates=run.coordinates)
    return to_dtype(sample, run.torch_dtype)


class _Trainer:
    """State of one call of train()."""

    def __init__(self, run: Run, keys: Tensor, sample: Sample):
        self.run, self.keys, self.sample = run, keys, sample
        self.engine = make_engine(run, sample)
        head = {name: value.to(run.torch_dtype) for name, value in run.net.initial_head(keys).items()}
        self.point = self.engine.start(head, run.net.moving_head)
        self.eta = run.rule.step_sizes(self.engine).to(run.torch_dtype)
        self.memory = run.rule.start(self.point, self.eta)
        self.ends = Ends.begin(self.eta, run.steps, run.stop_loss, run.stop_gradient)
        self.kernel = native.kernel(run, sample)
        self.step = 0

    def train(self) -> Training:
        probes = named(self.run.probes)
        taken: dict[str, list[Tensor]] = {probe.name: [] for probe in probes}
        steps = self.run.record_steps
        for step in steps:
            self._advance(step)
            snapshot = self._look()
            for probe in probes:
                taken[probe.name].append(measured(probe, snapshot, last=step == steps[-1]).to(torch.float64))
        self._advance(self.run.steps)
        final = self._look()
        self._judge(final.loss)
        records = {name: torch.stack(values, dim=1) for name, values in taken.items()}
        filters = self.engine.filters(self.point)
        return Training(self.run, steps, records, self.ends.status, self.ends.status_step, final, filters)

    def _advance(self, until: int) -> None:
        rule, engine = self.run.rule, self.engine
        if self.kernel is not None:
            assert isinstance(rule, GD)
            self.kernel.advance(engine, rule, self.point, self.eta, self.ends, (self.step, until))
            self.step = until
        while self.step < until:
            if self.step % _LOOK_UP == 0 and not bool(self.ends.running.any()):
                self.step = until  # nothing moves any more
                break
            view = rule.view(self.keys, self.step, self.sample.labels)
            if self.run.objective.draws:
                engine.refresh(split(self.keys, self.step))
            loss, gradient = engine.gradient(self.point, *view)
            self.point, loss, gradient = rule.revise(self.point, loss, gradient, self.memory)
            length = engine.squared_norm(gradient).sqrt() if self.run.stop_gradient is not None else None
            self._judge(loss, length)
            eta = self.eta * self.ends.running
            self.point, self.memory = rule.move(engine, self.point, gradient, self.memory, view, eta)
            self.step += 1
        if rule.retracts:  # the last step may have to be taken back
            found = engine.gradient(self.point, *rule.view(self.keys, self.step, self.sample.labels))
            self.point, _, _ = rule.revise(self.point, *found, self.memory)

    def _judge(self, loss: Tensor, gradient_norm: Tensor | None = None) -> None:
        until = self.run.until
        reached = until.reached(self._look(loss)) if until is not None else None
        self.ends.judge(loss, self.step, gradient_norm, reached)

    def _look(self, loss: Tensor | None = None) -> Snapshot:
        engine, labels = self.engine, self.sample.labels
        if self.run.objective.draws:
            engine.refresh(split(self.keys, self.step))
        products = engine.full_products(self.point, labels)
        loss = self.run.objective.loss(products) if loss is None else loss
        if not isinstance(loss, Tensor) or loss.shape != self.eta.shape:
            per_cell_loss(self.run.objective, loss, len(self.eta))
        witnesses = engine.witness_products(self.point)
        return Snapshot(self.step, self.run.objective, products, loss, witnesses, self.keys, self._gradient_norm)

    def _gradient_norm(self) -> Tensor:
        labels = self.sample.labels
        weights = torch.full_like(labels, 1 / labels.shape[1])
        _, gradient = self.engine.expected_gradient(self.point, labels, weights)
        return self.engine.squared_norm(gradient).clamp_min(0).sqrt()


def make_engine(run: Run, sample: Sample) -> Engine:
    """The engine that the run asks for."""
    if run.objective.fresh_vectors(sample):
        return FreshNoiseEngine(sample, run.net, run.objective)
    if run.engine_used == "gram":
        return GramEngine(sample, run.net, run.objective, run.rule.decays)
    return DirectEngine(sample, run.net, run.objective)
