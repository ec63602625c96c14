"""GPT-2 on OpenWebText with nanoGPT's recipe: AdamW++ as it comes against AdamW at its learning rate, small and medium.

50,000 steps of 480 windows of 1024 tokens, warm-up over 2000 steps and a cosine down to a tenth, betas (0.9, 0.95),
weight decay 0.1 on matrices, gradients clipped at norm 1: nanoGPT's settings (Karpathy 2022), taken over by the
paper for its own optimiser. Tao, Yuan, Zhou, Cao, Gu 2024, arXiv 2412.19444, on language models. At ``laptop`` the
network has 4 layers of 128, windows of 128 and 500 steps; at ``smoke`` 2 layers of 32 and 12 steps. ``--data`` names a
folder with the parquet files of ``Skylion007/openwebtext`` and ``tokenizer.json`` of ``openai-community/gpt2``.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lemmata.lab.claims import Claim, Finding, NotMeasurable, converged
from lemmata.lab.old_experiment import SIZES, Experiment, Option
from lemmata.papers.parameter_free.checkpointed_body import CheckpointedBody
from lemmata.papers.parameter_free.checkpointed_training import Recipe
from lemmata.papers.parameter_free.methods import METHODS, PAPER, Knobs

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure
    from torch import Tensor, nn

    from lemmata.sweep import Grid

SOURCE = "Tao et al. 2024, language models"
SHAPES = {
    "paper": {"small": {"width": 768, "depth": 12, "heads": 12}, "medium": {"width": 1024, "depth": 24, "heads": 16}},
    "laptop": {"small": {"width": 128, "depth": 4, "heads": 4}},
    "smoke": {"small": {"width": 32, "depth": 2, "heads": 2}},
}

KNOBS: Knobs = (
    *((name, (1e-6, 1e-4)) for name in ("adam++", "adam++sum", "adam++max", "prodigy", "dadapt-adam")),
    ("adam", (3e-4, 6e-4)),
    ("schedule-free", (6e-4, 2.5e-3)),
)
"""Adam's two are nanoGPT's for medium and for small."""


def grid(size: str) -> "Grid":
    """The points at each size."""
    from lemmata.sweep import Axis, Grid

    nets, tunings, seeds = {
        "smoke": (("small",), (1,), 1),
        "laptop": (("small",), (0, 1), 1),
        "paper": (("small", "medium"), (0, 1), 2),
    }[size]
    return Grid(
        (
            Axis("net", nets, long_name="network"),
            Axis("schedule", ("cosine",), long_name="schedule"),
            Axis("optimiser", ("adam++", "adam"), long_name="optimiser"),
            Axis("tuning", tunings, long_name="place in the method's grid of knob values"),
            Axis("seed", tuple(range(seeds)), long_name="seed"),
        )
    )


@dataclass(frozen=True, kw_only=True)
class GPT2Recipe(Recipe):
    """What is trained, for how long and on how many windows."""

    size: str = "paper"
    knobs: Knobs = KNOBS
    context: int = 1024
    steps: int = 50000
    batch: int = 480
    micro_batch: int = 12
    warm_up: int = 2000
    validation_share: float = 0.0005
    validation_windows: int = 960
    records: int = 50
    optimiser_options: tuple[tuple[str, Any], ...] = (
        ("betas", (0.9, 0.95)),
        ("weight_decay", 0.1),
        ("decoupled", True),
    )
    nets: tuple[str, ...] = tuple(SHAPES["paper"])
    clip: float = 1.0

    @property
    def scores(self) -> Mapping[str, str]:
        return {"loss": "validation loss (nats per token)"}

    def describe(self) -> dict[str, Any]:
        """All of it, with the files' names and sizes instead of their place."""
        from lemmata.data.files.parquet import fingerprint
        from lemmata.data.files.text_tokens import text_files

        shapes = SHAPES[self.size]
        return {"kind": "GPT-2", **asdict(self), "shapes": shapes, "data": fingerprint(text_files(self.data))}

    def start(self, point: Mapping[str, Any], device: Any) -> "GPT2Training":
        return GPT2Training(self, point, device)


class GPT2Training:
    """One network on its device; tokens stay on disk."""

    def __init__(self, recipe: GPT2Recipe, point: Mapping[str, Any], device: Any) -> None:
        from lemmata.data.files.text_tokens import load_tokens, vocabulary
        from lemmata.modules.gpt2 import GPT2

        self.recipe, self.seed, self.device = recipe, point["seed"], device
        splits = {name: load_tokens(recipe.data, name, recipe.validation_share) for name in ("train", "validation")}
        for name, tokens in splits.items():
            if len(tokens) <= recipe.context:
                raise ValueError(
                    f"the {name} split of {recipe.data} has {len(tokens)} tokens; windows of {recipe.context} need more"
                )
        self.train, self.validation = splits["train"], splits["validation"]
        model = GPT2(vocabulary(recipe.data), recipe.context, **SHAPES[recipe.size][point["net"]])
        model.reset_parameters(self.seed)
        self.model: nn.Module = model.to(device)
        decay = dict(recipe.optimiser_options)["weight_decay"]
        parameters = list(self.model.parameters())
        self.groups = [
            {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": decay},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        self.multiplier = schedule(point["schedule"], recipe.steps, recipe.warm_up)

    def loss(self, model: "nn.Module", step: int, rows: slice) -> "Tensor":
        from lemmata.draws import cell_seeds, uniform

        draw = uniform(cell_seeds(0, [self.seed]), f"windows of step {step}", (self.recipe.batch,))[0]
        starts = (draw[rows] * (len(self.train) - self.recipe.context)).long().tolist()
        return _next_token_loss(model, *self._windows(self.train, starts))

    def scores(self, model: "nn.Module", share: int, of: int) -> "Tensor":
        import torch

        last = len(self.validation) - self.recipe.context - 1
        starts = np.linspace(0, last, min(self.recipe.validation_windows, last + 1)).astype(int)[share::of].tolist()
        sums = torch.zeros(2, device=self.device)
        for a in range(0, len(starts), self.recipe.micro_batch):
            piece = starts[a : a + self.recipe.micro_batch]
            loss = _next_token_loss(model, *self._windows(self.validation, piece)).float()
            sums += torch.stack([loss * len(piece), torch.ones_like(loss) * len(piece)])
        return sums

    def _windows(self, tokens: np.ndarray, starts: list[int]) -> "tuple[Tensor, Tensor]":
        """Windows ``(rows, context)`` and the same one token on."""
        import torch

        length = self.recipe.context + 1
        found = torch.from_numpy(np.stack([tokens[at : at + length] for at in starts]).astype(np.int64))
        found = found.to(self.device)
        return found[:, :-1], found[:, 1:]


def _next_token_loss(model: "nn.Module", x: "Tensor", y: "Tensor") -> "Tensor":
    import torch.nn.functional as F

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


def body(
    size: str,
    *,
    data: str | None = None,
    processes: int = 1,
    precision: str = "no",
    micro_batch: int | None = None,
    steps: int | None = None,
) -> CheckpointedBody:
    """Trainings at a size (``ValueError`` without the data)."""
    from lemmata.data.files.text_tokens import NAME, SOURCE, text_files

    if data is None:
        raise ValueError(
            f"parameter-free-gpt2 needs {NAME}; download it with 'hf download {SOURCE} --repo-type dataset "
            "--local-dir DIR' and give --data DIR"
        )
    text_files(data)
    recipe = GPT2Recipe(data=str(data), size=size, nets=tuple(SHAPES[size]))
    if size == "laptop":
        recipe = replace(recipe, context=128, steps=500, batch=16, micro_batch=16, warm_up=20, records=10)
        recipe = replace(recipe, validation_windows=64)
    if size == "smoke":
        recipe = replace(recipe, context=32, steps=12, batch=8, micro_batch=4, warm_up=2, records=3)
        recipe = replace(recipe, validation_windows=16, validation_share=0.2)
    if micro_batch is not None:
        recipe = replace(recipe, micro_batch=micro_batch)
    if steps is not None:
        recipe = replace(recipe, steps=steps, warm_up=min(recipe.warm_up, steps // 10), records=min(50, steps))
    return CheckpointedBody(recipe, processes, precision, {"smoke": 5, "laptop": 100, "paper": 500}[size])


# -- claims ----------------------------------------------------------------------------------------------------------


def all_end(dataset: "xr.Dataset") -> Finding:
    """No run may diverge."""
    kept = converged(dataset)
    last = kept.dataset["loss"].isel(step=-1)
    return Finding(
        holds=not kept.left_out,
        measured=f"{sum(kept.left_out.values())} of {kept.usable.size} diverged, losses up to {float(last.max()):.3f}",
        predicted="none diverges",
    )


def matches_adamw(dataset: "xr.Dataset") -> Finding:
    """The last validation loss, worst over η₀, against AdamW's best."""
    last = dataset["loss"].isel(step=-1).where(dataset["status"] == 0, np.inf).mean("seed")
    if not {"adam", "adam++"} <= set(last["optimiser"].values):
        raise NotMeasurable("needs optimisers 'adam' and 'adam++'")
    own, best = last.sel(optimiser="adam++"), last.sel(optimiser="adam").min("tuning")
    above = (own - best).max(["schedule", "tuning"])
    return Finding(
        holds=bool((above <= 0.03).all()),
        measured=", ".join(f"{float(above.sel(net=name)):+.3f} ({name})" for name in above["net"].values),
        predicted="-0.02",
        tolerance="at most 0.03 above AdamW's best, every η₀",
    )


CLAIMS = (
    Claim("all-end", "every run ends", SOURCE, all_end, SIZES),
    Claim("matches-adamw", "AdamW++ as it comes matches tuned AdamW", SOURCE, matches_adamw, ("paper",)),
)


def figures(dataset: "xr.Dataset") -> "dict[str, Figure]":
    """Validation loss along training, a panel a network."""
    from matplotlib import rc_context

    from lemmata.papers.parameter_free.figures import look
    from lemmata.report.style import RC, new_figure

    chosen = dataset["loss"].isel(schedule=0).mean("seed")
    with rc_context(RC):
        shape = (1, chosen.sizes["net"])
        figure, axes = new_figure(*shape, title="GPT-2 on OpenWebText: AdamW++ against AdamW", sharey=True)
        for ax, net in zip(axes[0], chosen["net"].values):
            for name in map(str, chosen["optimiser"].values):
                for place, dash in zip(range(chosen.sizes["tuning"]), ("-", "--", "-.", ":")):
                    one = chosen.sel(net=net, optimiser=name).isel(tuning=place)
                    knob = dataset["knob"].sel(net=net, optimiser=name).isel(tuning=place, schedule=0, seed=0)
                    label = f"{METHODS[name].label.replace('Adam', 'AdamW')}, {float(knob):.0e}"
                    ax.plot(one["step"], one, label=label, ls=dash, markevery=0.1, **look(name))
            ax.set_xlabel("steps")
            ax.set_title(f"{net}")
        axes[0, 0].set_ylabel("validation loss (nats per token)")
        axes[0, -1].legend(loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0, title="η₀ or learning rate")
    return {"gpt2": figure}


def predict(dataset: "xr.Dataset") -> "xr.Dataset":
    """Nothing: no prediction is made without running."""
    import xarray as xr

    return xr.Dataset()


EXPERIMENT = Experiment(
    name="parameter-free-gpt2",
    paper=PAPER,
    shows="GPT-2 small and medium on OpenWebText: AdamW++ as it comes against tuned AdamW; takes --data.",
    grid=grid,
    body=body,
    claims=CLAIMS,
    predict=predict,
    figures=figures,
    options=(
        Option("data", str, "folder with OpenWebText's parquet files and tokenizer.json", axis=False),
        Option("processes", int, "processes of accelerate launch, one per GPU", axis=False),
        Option("precision", str, "no or bf16", axis=False),
        Option("micro_batch", int, "windows a device takes at once", axis=False),
        Option("steps", int, "steps, from 1", axis=False),
        Option("net", str, "small or medium"),
        Option("schedule", str, "constant or cosine"),
        Option("optimiser", str, "optimisers to compare"),
        Option("tuning", int, "places in each method's grid of knob values, from 0"),
    ),
    seconds={"smoke": 5, "laptop": 600, "paper": 2400000},  # paper: estimated for one GPU
)
