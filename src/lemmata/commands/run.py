"""``lemmata run NAME``: the options of an experiment are its parameters."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from lemmata.commands.loading import loading
from lemmata.commands.outcome import draw, print_claims
from lemmata.commands.refusing import flag_of, refusing
from lemmata.commands.variadic import Variadic
from lemmata.lab.card import SIZES
from lemmata.lab.cards import card, cards
from lemmata.parameters import OutOfRange, Parameter
from lemmata.sweep.values import parse_values

_OWN = ("size", "out", "seeds", "executor", "repair", "mix_versions")


class _Experiments(click.Group):
    """One subcommand per experiment, made when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(cards())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        with refusing():
            found = card(cmd_name)
        return _command_of(found.name if found.path is None else str(found.path))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Experiments (or the path of a file of your own)"):
            formatter.write_dl([(name, found.sentence) for name, found in cards().items()])


@click.group("run", cls=_Experiments, subcommand_metavar="NAME [OPTIONS]")
def command() -> None:
    """Run an experiment, or go on with one that was interrupted; figures and claims at the end."""


def _command_of(name: str) -> click.Command:
    """The subcommand of one experiment: our own options, then its parameters with the values in force at each size."""
    from lemmata.lab.experiment import Experiment
    from lemmata.lab.find import find

    with refusing(), loading():
        experiment: Experiment = find(name)
    known = experiment.parameters()
    own = [
        click.Option(["--size"], default="laptop", show_default=True, metavar="|".join(SIZES), help="how much of it"),
        click.Option(["--out"], metavar="DIR", help=f"folder of the run  [default: results/{experiment.name}]"),
        click.Option(["--seeds"], metavar="K", help="number of seeds" + _in_force(experiment, "seeds")),
        click.Option(
            ["--executor"],
            default="serial",
            show_default=True,
            metavar="serial|processes|tcp://HOST:PORT",
            help="where tiles run: here, one process per core, or a Dask scheduler (start one with `dask scheduler`)",
        ),
        click.Option(["--repair"], is_flag=True, help="compute tiles again whose stored data are damaged"),
        click.Option(["--mix-versions"], is_flag=True, help="go on with a run begun under another version of Lemmata"),
    ]
    theirs = [
        click.Option([flag_of(name)], multiple=says.axis, metavar=_metavar(says), help=_help(experiment, name, says))
        for name, says in known.items()
        if name not in _OWN
    ]

    def run(**given: Any) -> int:
        return _run(experiment, given)

    found = experiment.card
    text = f"{found.sentence} ({found.paper})" if found and found.paper else (found.sentence if found else "")
    return Variadic(experiment.name, params=[*own, *theirs], callback=run, help=text)


def _run(experiment: Any, given: Mapping[str, Any]) -> int:
    from lemmata.lab.run_folder import DATA, conclude
    from lemmata.sweep import SweepError, explain, sweep

    folder = Path(given["out"] or Path("results") / experiment.name)
    console = Console()
    with refusing(ValueError, TypeError, OSError, ImportError, SweepError):
        known = experiment.parameters()
        changes = {name: _values(name, known[name], given[name]) for name in known if given.get(name)}
        seeds = None if given["seeds"] is None else _SEEDS.parse("--seeds", given["seeds"])
        body, grid = experiment.configure(given["size"], changes, seeds)
        workers = (os.cpu_count() or 1) if given["executor"] == "processes" else 1
        planned = explain(body, grid, workers=workers)
        console.print(planned)
        flags = {name: given[name] for name in ("repair", "mix_versions")}
        sweep(planned, store=folder / DATA, executor=given["executor"], **flags)
    console.print("[dim]predictions, claims and figures ...[/dim]", highlight=False)
    with refusing(OSError):
        dataset, verdicts = conclude(experiment, given["size"], folder)
    print_claims(verdicts)
    draw(experiment, dataset, folder)
    return 0


_SEEDS = Parameter("number of seeds", int, least=1, most=10**6)


def _values(name: str, says: Parameter, texts: Any) -> Any:
    """What the user gave for a parameter, of its own kind; for an axis a tuple."""
    if isinstance(texts, str):
        return says.parse(flag_of(name), texts)
    values = parse_values(texts, says, flag_of(name))
    if len(values) > 1 and len(set(values)) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise OutOfRange(name, twice, "given once for each value")
    return values


def _metavar(says: Parameter) -> str:
    word = {int: "INT", float: "FLOAT", bool: "true|false", str: "|".join(says.choices) or "TEXT"}[says.kind]
    return f"{word} ..." if says.axis else word


def _help(experiment: Any, name: str, says: Parameter) -> str:
    return f"{says.label}; {says.range}{_in_force(experiment, name)}"


def _in_force(experiment: Any, name: str) -> str:
    """``[smoke 10 20; laptop 10 20 … 100]``: the values of a parameter at each size."""
    said = {size: _brief(_value_at(experiment, size, name)) for size in SIZES}
    if len(set(said.values())) == 1:
        return f"  [{said[SIZES[0]]}]"
    return "  [" + "; ".join(f"{size} {text}" for size, text in said.items()) + "]"


def _value_at(experiment: Any, size: str, name: str) -> Any:
    chosen = experiment.sizes[size]
    if name == "seeds":
        return chosen.seeds
    if name in chosen.values:
        return chosen.values[name]
    return None if name in experiment.options else experiment.plain.value(name)


def _brief(value: Any) -> str:
    values = list(value) if isinstance(value, tuple) else [value]
    texts = [f"{v:g}" if isinstance(v, float) else str(v) for v in values]
    return " ".join(texts if len(texts) < 6 else [*texts[:2], "…", texts[-1]])
