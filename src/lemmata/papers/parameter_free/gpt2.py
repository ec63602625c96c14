"""GPT-2 on OpenWebText with nanoGPT's recipe: AdamW++ as it comes against AdamW at its learning rate, small and medium.

50,000 steps of 480 windows of 1024 tokens, warm-up over 2000 steps and a cosine down to a tenth, betas (0.9, 0.95),
weight decay 0.1 on matrices, gradients clipped at norm 1: nanoGPT's settings (Karpathy 2022), taken over by the
paper for its own optimiser. Tao, Yuan, Zhou, Cao, Gu 2024, arXiv 2412.19444, on language models. At ``laptop`` the
network has 4 layers of 128, windows of 128 and 500 steps; at ``smoke`` 2 layers of 32 and 12 steps. ``--data`` names a
folder with the parquet files of ``Skylion007/openwebtext`` and ``tokenizer.json`` of ``openai-community/gpt2``.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr
from matplotlib import rc_context
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.optim import Optimizer

from lemmata.claims import Finding, NotMeasurable, at, at_most, claim, count_at_most
from lemmata.data.files.parquet import fingerprint
from lemmata.data.files.text_tokens import NAME, SOURCE, load_tokens, text_files, vocabulary
from lemmata.draws import cell_seeds, uniform
from lemmata.lab import ALL, Experiment, Size
from lemmata.modules.gpt2 import GPT2
from lemmata.papers.parameter_free.compared_networks import ComparedNetworks, ComparedTask
from lemmata.papers.parameter_free.figures import look
from lemmata.papers.parameter_free.methods import METHODS, Knobs
from lemmata.parameters import parameter
from lemmata.report.style import RC, new_figure
from lemmata.status import Status
from lemmata.sweep import Grid

LANGUAGE = "Tao et al. 2024, language models"
SHAPES = {
    "small": {"width": 768, "depth": 12, "heads": 12},
    "medium": {"width": 1024, "depth": 24, "heads": 16},
}
KNOBS: Knobs = (
    *((name, (1e-6, 1e-4)) for name in ("adam++", "adam++sum", "adam++max", "prodigy", "dadapt-adam")),
    ("adam", (3e-4, 6e-4)),
    ("schedule-free", (6e-4, 2.5e-3)),
)
"""Adam's two are nanoGPT's for medium and for small."""
_PAIR: dict[str, Any] = {"schedule": ("cosine",), "optimiser": ("adam++", "adam")}
SIZES = {
    "smoke": Size(
        net=("small",),
        **_PAIR,
        tuning=(1,),
        steps=12,
        micro_batch=4,
        changes={"shape": (32, 2, 2), "context": 32, "batch_size": 8, "warm_up": 2, "records": 3,
                 "validation_windows": 16, "validation_share": 0.2, "checkpoint_every": 5},
    ),
    "laptop": Size(
        net=("small",),
        **_PAIR,
        tuning=(0, 1),
        steps=500,
        micro_batch=16,
        changes={"shape": (128, 4, 4), "context": 128, "batch_size": 16, "warm_up": 20, "records": 10,
                 "validation_windows": 64, "checkpoint_every": 100},
    ),
    "paper": Size(net=tuple(SHAPES), **_PAIR, tuning=(0, 1), seeds=2),
}  # fmt: skip


SCORES = {"loss": "validation loss (nats per token)"}


@dataclass(frozen=True, kw_only=True)
class GPT2Body(ComparedNetworks):
    """Trains one network a cell.

    Args:
        shape: width, depth and heads of the network, None for those of :data:`SHAPES`.
        context: tokens of a window. batch_size: windows a step. warm_up: steps; at most a fifth of all.
        validation_share: of the documents, kept for validation. validation_windows: of it that are scored.
    """

    scores_of: ClassVar[Mapping[str, str]] = SCORES

    data: str | None = parameter(
        "folder with OpenWebText's parquet files and tokenizer.json", str, optional=True, default=None, axis=False
    )
    net: str = parameter("network", str, choices=tuple(SHAPES), default="small")
    shape: tuple[int, int, int] | None = None
    context: int = 1024
    steps: int = parameter("steps t", int, units="steps", least=1, default=50000, axis=False)
    batch_size: int = 480
    micro_batch: int | None = parameter("windows a device takes at once", int, least=1, default=12, axis=False)
    warm_up: int = 2000
    validation_share: float = 0.0005
    validation_windows: int = 960
    records: int = 50
    knobs: Knobs = KNOBS
    optimiser_options: tuple[tuple[str, Any], ...] = (
        ("betas", (0.9, 0.95)),
        ("weight_decay", 0.1),
        ("decoupled", True),
    )
    clip: float | None = 1.0

    @property
    def batch(self) -> int:
        """Windows of a step."""
        return self.batch_size

    def configuration(self) -> dict[str, Any]:
        """All of it, with the files' names and sizes instead of their place."""
        return {**super().configuration(), "data": fingerprint(text_files(self.data or ""))}

    def check(self, grid: Grid) -> None:
        """Refuses to begin without the data."""
        super().check(grid)
        if self.data is None:
            raise ValueError(
                f"parameter-free-gpt2 needs {NAME}; download it with 'hf download {SOURCE} --repo-type dataset "
                "--local-dir DIR' and give --data DIR"
            )
        text_files(self.data)

    def task(self, seed: int, device: torch.device) -> "GPT2Training":
        """The network, with weights and windows of the seed."""
        return GPT2Training(self, seed, device)


class GPT2Training(ComparedTask):
    """One network on its device; tokens stay on disk."""

    scores_of = SCORES
    body: GPT2Body

    def __init__(self, body: GPT2Body, seed: int, device: torch.device) -> None:
        self.body, self.seed, self.device, self.batch = body, seed, device, body.batch_size
        folder = body.data or ""
        splits = {name: load_tokens(folder, name, body.validation_share) for name in ("train", "validation")}
        for name, tokens in splits.items():
            if len(tokens) <= body.context:
                raise ValueError(
                    f"the {name} split of {folder} has {len(tokens)} tokens; windows of {body.context} need more"
                )
        self.train, self.validation = splits["train"], splits["validation"]
        shape = SHAPES[body.net] if body.shape is None else dict(zip(("width", "depth", "heads"), body.shape))
        model = GPT2(vocabulary(folder), body.context, **shape)
        model.reset_parameters(seed)
        self.model: nn.Module = model.to(device)
        self.schedule = schedule(body.schedule, body.steps, min(body.warm_up, body.steps // 5))

    def optimiser(self) -> Optimizer:
        """Weight decay on matrices only."""
        decay = dict(self.body.optimiser_options)["weight_decay"]
        parameters = list(self.model.parameters())
        return self.body.built(
            [
                {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": decay},
                {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
            ]
        )

    def loss(self, model: nn.Module, step: int, rows: slice) -> Tensor:
        """Cross entropy of the next token, on windows drawn for the step."""
        draw = uniform(cell_seeds(0, [self.seed]), f"windows of step {step}", (self.batch,))[0]
        starts = (draw[rows] * (len(self.train) - self.body.context)).long().tolist()
        return _next_token_loss(model, *self._windows(self.train, starts))

    def scores(self, model: nn.Module, share: int, of: int) -> Tensor:
        """The same on windows spread evenly over the validation text."""
        last = len(self.validation) - self.body.context - 1
        count = min(self.body.validation_windows, last + 1)
        starts = np.linspace(0, last, count).astype(int)[share::of].tolist()
        sums, size = torch.zeros(1, 2, device=self.device), self.body.micro_batch or len(starts)
        for a in range(0, len(starts), size):
            piece = starts[a : a + size]
            loss = _next_token_loss(model, *self._windows(self.validation, piece)).float()
            sums += torch.stack([loss * len(piece), torch.ones_like(loss) * len(piece)])
        return sums

    def _windows(self, tokens: np.ndarray, starts: list[int]) -> tuple[Tensor, Tensor]:
        """Windows ``(rows, context)`` and the same one token on."""
        length = self.body.context + 1
        found = torch.from_numpy(np.stack([tokens[at : at + length] for at in starts]).astype(np.int64))
        found = found.to(self.device)
        return found[:, :-1], found[:, 1:]


def _next_token_loss(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(model(x).flatten(0, 1), y.flatten())


def schedule(name: str, steps: int, warm_up: int) -> Callable[[int], float]:
    """Multiplier of the learning rate: linear warm-up, then 1, or a cosine from 1 down to 0.1 at the last step."""

    def multiplier(step: int) -> float:
        if step < warm_up:
            return (step + 1) / (warm_up + 1)
        if name == "constant":
            return 1.0
        done = min(1.0, (step - warm_up) / max(1, steps - warm_up))
        return 0.1 + 0.45 * (1 + math.cos(math.pi * done))

    return multiplier


@claim("every run ends", LANGUAGE, ALL)
def all_end(data: xr.Dataset) -> Finding:
    """No run may diverge."""
    worst = float(data.loss.isel(step=-1).max())
    bad = data.status == Status.DIVERGED
    return count_at_most(0, bad, "runs", expected="none diverges", detail=f"losses up to {worst:.3f}")


@claim("AdamW++ as it comes matches tuned AdamW", LANGUAGE, ("paper",))
def matches_adamw(data: xr.Dataset) -> Finding:
    """The last validation loss, worst over η₀, against AdamW's best."""
    last = data.loss.isel(step=-1).where(data.status == Status.ALL_STEPS, np.inf).mean("seed")
    if not {"adam", "adam++"} <= set(last.optimiser.values):
        raise NotMeasurable("needs optimisers 'adam' and 'adam++'")
    above = at(last, optimiser="adam++") - at(last, optimiser="adam").min("tuning")
    return at_most(0.03, above, expected="-0.02", where="above AdamW's best, every η₀", format="{:+.3f}")


def figures(data: xr.Dataset) -> dict[str, Figure]:
    """Validation loss along training, a panel a network."""
    chosen = data.loss.isel(schedule=0).mean("seed")
    with rc_context(RC):
        shape = (1, chosen.sizes["net"])
        figure, axes = new_figure(*shape, title="GPT-2 on OpenWebText: AdamW++ against AdamW", sharey=True)
        for ax, net in zip(axes[0], chosen.net.values):
            for name in map(str, chosen.optimiser.values):
                for place, dash in zip(range(chosen.sizes["tuning"]), ("-", "--", "-.", ":")):
                    one = chosen.sel(net=net, optimiser=name).isel(tuning=place)
                    knob = data.knob.sel(net=net, optimiser=name).isel(tuning=place, schedule=0, seed=0)
                    label = f"{METHODS[name].label.replace('Adam', 'AdamW')}, {float(knob):.0e}"
                    ax.plot(one.step, one, label=label, ls=dash, markevery=0.1, **look(name))
            ax.set_xlabel("steps")
            ax.set_title(f"{net}")
        axes[0, 0].set_ylabel("validation loss (nats per token)")
        axes[0, -1].legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, title="η₀ or learning rate")
    return {"gpt2": figure}


EXPERIMENT = Experiment(GPT2Body(), SIZES, claims=(all_end, matches_adamw), figures=figures)
