"""Pre-training and then fine-tuning, as the body of a sweep: one pre-training serves all numbers of labels.

Two trainings in a row in the same coordinates. The first ends in filters; they are shuffled, so that either branch of
the second network starts from a random half of them, and labelled data are drawn beside them: independent of them, with
the joint law of R^d. Sets of labels are nested, which makes comparisons along their number paired. (Zhang, Cao 2024,
arXiv 2409.18685; with ``start="direct"`` the network starts from the random filters themselves.)
"""

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from lemmata.cells import per_cell
from lemmata.draws import cell_seeds, permutation
from lemmata.dynamics.run import Run
from lemmata.dynamics.train import draw, train
from lemmata.papers.simclr import theory
from lemmata.parameters import Parameter
from lemmata.probes.shipped import named
from lemmata.sweep import Body, Grid, Variable
from lemmata.sweep.bodies.of_run import TrainingBody

STARTS = ("simclr", "direct", "spectral", "oracle", "made")
_LATER = ("steps", "stop_loss", "c", "step_size")
"""Names that both runs have and that mean fine-tuning."""
_HERE = ("start", "seed")
_FIXED = ("n", "record")
_NAMES = {"direct_init": "init"}
"""What a parameter is called in its run."""
DIRECT_INIT = "filter scale at the start of direct training"
LEVEL = "signal mean |⟨w, μ⟩| at which pre-training ends, a"


@dataclass(frozen=True)
class FineTuning(Body):
    """Sweeps over both runs; the axes are their fields.

    Args:
        pretraining: data of pairs, a linear encoder, a contrastive loss; ``until`` a level of ``filter_signal``.
        finetuning: data that can be drawn ``beside`` filters, a network with as many filters, a loss of the margin. Its
            ``init`` is that of the direct start, its ``record`` where the best test loss is looked for.
        label_counts: numbers of labels, even, at least 2; a dimension of the results.
        start: where fine-tuning begins. ``"simclr"``: the pre-trained filters. ``"direct"``: the random filters.
            ``"spectral"``: their projection on the top eigenvector of the power matrix, to which pre-training tends.
            ``"oracle"``: their projection on the signal. ``"made"``: never trained, but with the coefficients that
            pre-training gives, the random filters with their part off the signal scaled to the predicted alignment.
            Projections and made filters are scaled to the level.

    Raises:
        ValueError: for an unknown start, labels fewer than the classes or not balanced, or networks that do not fit.

    A name that both runs have goes to both, but for ``steps``, ``stop_loss``, ``c`` and ``step_size``, which mean
    fine-tuning, and ``init``, which means pre-training.
    """

    pretraining: Run
    finetuning: Run
    label_counts: tuple[int, ...]
    start: str = "simclr"

    def __post_init__(self) -> None:
        if self.start not in STARTS:
            raise ValueError(f"start = {self.start!r} was asked for; it is one of {', '.join(STARTS)}")
        for n in self.label_counts:
            if n < 2:
                raise ValueError(f"{n} labels were asked for; two classes need at least 2")
            if n % 2:
                raise ValueError(f"{n} labels were asked for; balanced classes need an even number")
        if not self.label_counts or list(self.label_counts) != sorted(set(self.label_counts)):
            raise ValueError(f"labels = {self.label_counts} was asked for; give one or more numbers, increasing")
        if self.pretraining.net.filters != self.finetuning.net.filters:
            raise ValueError(
                f"{self.pretraining.net.filters} filters are pre-trained and {self.finetuning.net.filters} fine-tuned; "
                "give both networks the same m"
            )
        if self.pretraining.until is None:
            raise ValueError("pre-training has no end; give it until=Until('filter_signal', level)")

    @property
    def variables(self) -> Mapping[str, Variable]:
        """Probes of both runs, those of pre-training named ``pretrained_...``, and why both ended."""

        describe = lambda probe, dims, text: Variable(dims, probe.units, text + probe.long_name)  # noqa: E731
        found = {f"pretrained_{p.name}": describe(p, (), "pre-trained: ") for p in named(self.pretraining.probes)}
        found |= {p.name: describe(p, ("labels",), "") for p in named(self.finetuning.probes)}
        found["test_loss_best"] = Variable(("labels",), "1", "test loss of the best iterate")
        for prefix, dims in (("", ("labels",)), ("pretrained_", ())):
            found[f"{prefix}status"] = Variable(dims, "", "why the cell ended, as Status says", "int8")
            found[f"{prefix}status_step"] = Variable(dims, "steps", "step at which the cell ended", "int64")
        return found

    @property
    def coordinates(self) -> Mapping[str, np.ndarray]:
        """The numbers of labels."""

        return {"labels": np.asarray(self.label_counts)}

    def configuration(self) -> dict[str, Any]:
        """Every field of both runs."""
        runs = {"pretraining": self.pretraining.describe(), "finetuning": self.finetuning.describe()}
        return {**runs, "labels": list(self.label_counts), "start": self.start}

    def parameters(self) -> dict[str, Parameter]:
        """Those of both runs, by what they mean here, and the start."""
        first, second = self._runs()
        start = Parameter("start of fine-tuning", str, choices=STARTS)
        found = {"start": start, "direct_init": dataclasses.replace(second["init"], label=DIRECT_INIT)}
        found |= {name: says for name, says in first.items() if name not in _LATER}
        # Pre-training ends at a level of a mean of absolute values.
        found["level"] = dataclasses.replace(first["level"], label=LEVEL, above=0, scale="log")
        return found | {name: says for name, says in second.items() if name not in found and name not in _FIXED}

    def value(self, name: str) -> Any:
        """What a parameter is set to."""
        if name in _HERE:
            return self.start if name == "start" else None
        if name == "direct_init":
            return self.finetuning.value("init")
        run = self._goes_to(name)[0]
        return TrainingBody(getattr(self, run)).value(name)

    def check(self, grid: Grid) -> None:
        """Refuse axes that neither run has, and values outside their ranges."""
        for axis in grid.axes:
            for value in axis.values:
                self.at({axis.name: value})

    def shape_axes(self, grid: Grid) -> tuple[str, ...]:
        """All axes but those that change numbers only."""
        return tuple(name for name in grid.names if not self._is_value(name))

    def bytes_per_cell(self, point: dict[str, Any]) -> int:
        """Working memory of one cell."""
        body, r = self.at(point), self.pretraining.net.filters
        pre, most = body.pretraining.data, self.label_counts[-1]
        held = pre.numbers_per_cell(r, body.pretraining.coordinates)
        matrix = 3 * int(body.pretraining.value("d")) ** 2 if body.start == "spectral" and not pre.compresses(r) else 0
        return 8 * (held + matrix + 8 * most * (most + 2 * body.pretraining.value("pairs") + 2 * r) + 2048 * r) + 2**18

    def estimate_seconds(self, points: Sequence[dict[str, Any]]) -> float:
        """Expected time of one tile, from two of its cells trained for few steps and for twice as many."""
        piece, share = points[:2], 0.04
        self._time(piece, share / 10)  # the first run also loads code
        once, twice = self._time(piece, share), self._time(piece, 2 * share)
        return (once + max(0.0, twice - once) * (1 / share - 1)) * len(points) / len(piece)

    def _time(self, points: Sequence[dict[str, Any]], share: float) -> float:
        """Seconds for ``share`` of the steps of both trainings."""
        runs = {"pretraining": self.pretraining, "finetuning": self.finetuning}
        few = {name: max(1, round(share * run.steps)) for name, run in runs.items()}
        short = {name: dataclasses.replace(run, steps=few[name], record=None) for name, run in runs.items()}
        body = FineTuning(short["pretraining"], short["finetuning"], self.label_counts, self.start)
        started = time.perf_counter()
        body.run([{name: value for name, value in point.items() if name != "steps"} for point in points])
        return time.perf_counter() - started

    def _runs(self) -> tuple[dict[str, Parameter], dict[str, Parameter]]:
        return TrainingBody(self.pretraining).parameters(), TrainingBody(self.finetuning).parameters()

    def _goes_to(self, name: str) -> tuple[str, ...]:
        """Which of the runs a parameter belongs to; none for those of the body itself."""
        if name in _HERE:
            return ()
        if name == "direct_init":
            return ("finetuning",)
        first, second = self._runs()
        found = [run for run, known in (("pretraining", first), ("finetuning", second)) if name in known]
        if name in _FIXED or not found:
            names = ", ".join(sorted(self.parameters()))
            raise ValueError(f"{name!r} was asked for; pre-training and fine-tuning have {names}")
        if len(found) == 2 and name in _LATER:
            return ("finetuning",)
        return ("pretraining",) if name == "init" else tuple(found)

    def _is_value(self, name: str) -> bool:
        if name in _HERE:
            return name == "seed"
        return name != "d" and all(getattr(self, run).is_value(_NAMES.get(name, name)) for run in self._goes_to(name))

    def at(self, changes: Mapping[str, Any]) -> "FineTuning":
        """The body with some of its parameters changed.

        Raises:
            ValueError: for a name that is none, or a value outside its range.
        """
        own: dict[str, dict[str, Any]] = {"pretraining": {}, "finetuning": {}}
        for name, value in changes.items():
            for run in self._goes_to(name):
                own[run][_NAMES.get(name, name)] = value
        runs = {run: getattr(self, run).at(fields) for run, fields in own.items()}
        return dataclasses.replace(self, **runs, start=changes.get("start", self.start))

    def _batch(self, points: Sequence[Mapping[str, Any]], run: str) -> tuple[Run, Tensor]:
        """One of the runs, holding all points side by side, and their seeds."""
        own = [
            {_NAMES.get(k, k): value for k, value in point.items() if k == "seed" or run in self._goes_to(k)}
            for point in points
        ]
        return getattr(self, run).batch(own)

    def run(self, points: Sequence[dict[str, Any]]) -> dict[str, np.ndarray]:
        """One tile."""

        body = dataclasses.replace(self, start=points[0].get("start", self.start))
        pre, seeds = body._batch(points, "pretraining")
        tune, _ = body._batch(points, "finetuning")
        filters, found = body._pretrained(pre, seeds)
        order = permutation(cell_seeds(pre.seed_root, seeds, pre.device), "branches", filters.shape[1])
        filters = filters.gather(1, order.unsqueeze(2).expand_as(filters))
        by_labels = [self._fine_tuned(tune, seeds, filters, n) for n in self.label_counts]
        found |= {name: np.stack([part[name] for part in by_labels], axis=1) for name in by_labels[0]}
        return found

    def _pretrained(self, pre: Run, seeds: Tensor) -> tuple[Tensor, dict[str, np.ndarray]]:
        """The filters that fine-tuning starts from ``(c, r, D)``, and what the probes say of them."""

        sample = draw(pre, cell_seeds(pre.seed_root, seeds, pre.device))
        if self.start == "simclr":
            trained = train(pre, seeds, sample=sample)
            filters, status, status_step = trained.filters, trained.status, trained.status_step
        else:
            filters = self._without_training(pre, sample)
            status = status_step = torch.full_like(seeds, -1)
            # One look at filters that no longer move.
            still = dataclasses.replace(pre, steps=1, until=None, record=(0,))
            trained = train(still, seeds, sample=dataclasses.replace(sample, filters=filters))
        found = {f"pretrained_{name}": values[:, 0].cpu().numpy() for name, values in trained.records.items()}
        found["pretrained_status"] = status.cpu().numpy().astype(np.int8)
        found["pretrained_status_step"] = status_step.cpu().numpy()
        return filters, found

    def _without_training(self, pre: Run, sample: Any) -> Tensor:
        """The filters of the other starts, made from the same random ones."""

        random = sample.filters / per_cell(pre.value("init"), sample.filters)
        if self.start == "direct":
            return random * self.finetuning.value("init")
        if self.start == "spectral":
            first, second = (side.cpu().numpy() for side in sample.view_vectors())
            matrix = theory.power_matrix(first, second, negatives=getattr(pre.objective, "negatives", "first"))
            direction = torch.as_tensor(theory.top_direction(matrix)).to(random)
        else:
            read = sample.signal.read(sample.vectors.mT)  # (c, d, n), the signal patches themselves
            direction = (read * sample.true_labels.unsqueeze(1)).mean(2)
        direction = direction / direction.norm(dim=1, keepdim=True)
        filters = (random @ direction.unsqueeze(2)) * direction.unsqueeze(1)
        if self.start == "made":
            off = random - filters
            snr = pre.value("signal") / (pre.value("sigma_p") * torch.as_tensor(pre.value("d")) ** 0.5)
            cos2 = theory.top_alignment(pre.value("pairs"), snr, pre.value("correlation"))
            share = filters.square().sum((1, 2)) / off.square().sum((1, 2)) * (1 - cos2) / cos2
            filters = filters + off * per_cell(share.sqrt(), off)
        size = sample.signal.read(filters @ sample.vectors.mT).abs().mean((1, 2))
        assert pre.until is not None
        return filters * per_cell(pre.until.level / size, filters)

    def _fine_tuned(self, tune: Run, seeds: Tensor, filters: Tensor, n: int) -> dict[str, np.ndarray]:
        """Fine-tuning with ``n`` labels from filters ``(c, r, D)``."""

        run = tune.at({"n": n})
        keys = cell_seeds(tune.seed_root, seeds, tune.device)
        sample = cast(Any, run.data).beside(keys, filters, drawn=self.label_counts[-1])
        trained = train(dataclasses.replace(run, probes=("test_loss",)), seeds, sample=sample)
        found = {probe.name: probe.measure(trained.final).cpu().numpy() for probe in named(tune.probes)}
        last = named(("test_loss",))[0].measure(trained.final)
        best = trained.records["test_loss"].amin(1).minimum(last)
        found["test_loss_best"] = best.cpu().numpy()
        found["status"] = trained.status.cpu().numpy().astype(np.int8)
        found["status_step"] = trained.status_step.cpu().numpy()
        return found
