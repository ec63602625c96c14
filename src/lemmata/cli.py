"""The command line: list | run | check | show. It knows experiments by name and what each says of itself, no more.

Exit codes: 0, 1 where ``check`` found a claim that fails, 2 for a request that was refused (one sentence on the error
stream), 130 for Ctrl-C.
"""

import contextlib
import dataclasses
import functools
import io
import operator
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console

from lemmata.lab.experiment import SIZES, Experiment, Option, experiments, find

if TYPE_CHECKING:
    import xarray as xr

    from lemmata.lab.claims import Verdict


class Refused(Exception):
    """A request that cannot be met; the message is one sentence."""


@dataclasses.dataclass(frozen=True)
class List:
    """Name, paper, what it shows, cells and time per size of every experiment."""


@dataclasses.dataclass(frozen=True)
class Check:
    """Claims of a finished run, measured beside predicted; exit code 1 if one fails."""

    run: Annotated[
        str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME_OR_DIR", help="experiment, or folder of a run")
    ]
    markdown: bool = False
    """print the table as Markdown"""


@dataclasses.dataclass(frozen=True)
class Show:
    """Draw the figures of a finished run again from its stored data."""

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DIR", help="folder of a run, or an experiment")]


@dataclasses.dataclass(frozen=True)
class Run:
    """Run an experiment, or go on with one that was interrupted."""

    of: Any


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (the console script exits with it)."""
    try:
        command = _parse(list(sys.argv[1:] if arguments is None else arguments))
        actions: dict[type, Callable[[Any], int]] = {List: _list, Run: _run, Check: _check, Show: _show}
        return next(act(command) for kind, act in actions.items() if isinstance(command, kind))
    except Refused as refusal:
        print(f"lemmata: {refusal}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        print(f"\nlemmata: {str(interrupt) or 'interrupted; the same command goes on where it was'}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, e.g. `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


# -- commands --------------------------------------------------------------------------------------------------------


def _list(_: List) -> int:
    from rich.padding import Padding

    console = Console()
    for name, experiment in experiments().items():
        sizes = ", ".join(f"{size} {_cost(experiment, size)}" for size in SIZES)
        console.print(f"[bold]{name}[/bold]  {sizes}", highlight=False)
        console.print(Padding(f"{experiment.shows} [dim]{experiment.paper}[/dim]", (0, 0, 1, 4)), highlight=False)
    return 0


def _cost(experiment: Experiment, size: str) -> str:
    from lemmata.sweep.progress import duration

    seconds = experiment.seconds.get(size)
    time = "" if seconds is None else f" ≈ {duration(seconds)}"
    return f"{experiment.grid(size).cells:,} cells{time}"


def _run(command: Run) -> int:
    from lemmata.lab.run_folder import DATA, conclude
    from lemmata.sweep import explain, sweep

    asked = command.of
    experiment: Experiment = asked.experiment
    folder = asked.out or Path("results") / experiment.name
    with _refusing():
        changes = {option.name: given for option in experiment.options if (given := _given(option, asked)) is not None}
        body, grid = experiment.configure(asked.size, changes, asked.seeds)
        workers = (os.cpu_count() or 1) if asked.executor == "processes" else 1
        plan = explain(body, grid, workers=workers)
        Console().print(plan)
        sweep(body, grid, folder / DATA, executor=asked.executor)
    with _refusing(OSError):
        dataset, verdicts = conclude(experiment, asked.size, folder)
    _report(experiment, dataset, verdicts, folder)
    return 0


def _check(command: Check) -> int:
    from lemmata.lab.run_folder import conclude, finished
    from lemmata.report.tables import markdown_table

    with _refusing():
        folder = _folder(command.run)
        experiment, size = finished(folder)
    with _refusing(OSError):
        _, verdicts = conclude(experiment, size, folder)
    if command.markdown:
        print(markdown_table(verdicts))
    else:
        _print_claims(verdicts)
    return int(any(verdict.holds is False for verdict in verdicts))


def _show(command: Show) -> int:
    from lemmata.lab.run_folder import conclude, finished

    with _refusing():
        folder = _folder(command.run)
        experiment, size = finished(folder)
    with _refusing(OSError):
        dataset, _ = conclude(experiment, size, folder)
    _draw(experiment, dataset, folder)
    return 0


def _report(experiment: Experiment, dataset: "xr.Dataset", verdicts: "list[Verdict]", folder: Path) -> None:
    _print_claims(verdicts)
    _draw(experiment, dataset, folder)


def _print_claims(verdicts: "list[Verdict]") -> None:
    from lemmata.report.tables import console_table

    Console().print(console_table(verdicts))


def _draw(experiment: Experiment, dataset: "xr.Dataset", folder: Path) -> None:
    from lemmata.report.style import save

    for name, figure in experiment.figures(dataset).items():
        try:
            print(save(figure, folder / f"{name}.png"))
        except OSError as error:
            raise Refused(
                f"cannot write {folder / name}.png ({error.strerror}); make room or fix its rights"
            ) from error


def _folder(name: str) -> Path:
    """A folder as given, or that in which an experiment's run is by default."""
    path = Path(name)
    return path if path.is_dir() or name not in experiments() else Path("results") / name


@contextlib.contextmanager
def _refusing(*only: type[Exception]) -> Iterator[None]:
    """What the rooms below raise for a request they cannot meet, as a refusal; with ``only``, nothing but these.

    A fault in a claim or a prediction is no refusal: it keeps its traceback.
    """
    from lemmata.sweep import SweepError

    kinds = only or (ValueError, TypeError, OSError, ImportError, SweepError)
    try:
        yield
    except kinds as error:
        raise Refused(" ".join(str(error).split())) from error


# -- arguments -------------------------------------------------------------------------------------------------------


def _parse(arguments: list[str]) -> Any:
    if arguments[:1] == ["run"] and arguments[1:] and not arguments[1].startswith("-"):
        with _refusing():
            find(arguments[1])
    commands = _either({"list": List, "run": _run_command(), "check": Check, "show": Show})
    flat = (tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes)
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            command, unknown = tyro.cli(commands, prog="lemmata", args=arguments, config=flat, return_unknown_args=True)
    except SystemExit as end:
        if not end.code:
            raise
        raise Refused(_sentence(errors.getvalue())) from None
    if unknown:
        raise Refused(_unknown(command, unknown))
    return command


def _either(kinds: dict[str, type]) -> Any:
    """The union of several dataclasses, each a subcommand."""
    named = [Annotated[kind, tyro.conf.subcommand(name)] for name, kind in kinds.items()]
    return functools.reduce(operator.or_, named)


def _run_command() -> type:
    """``run`` with one subcommand for each experiment, whose options are those that the experiment names."""
    choices = _either({name: _arguments(experiment) for name, experiment in experiments().items()})
    return dataclasses.make_dataclass(
        "Run", [("of", choices)], bases=(Run,), frozen=True, namespace={"__doc__": Run.__doc__}
    )


def _arguments(experiment: Experiment) -> type:
    """A dataclass named like the experiment, a field for each thing that can be set."""

    def argument(kind: Any, help: str, metavar: str) -> Any:
        return Annotated[kind, tyro.conf.arg(help=help, metavar=metavar)]

    default = dataclasses.field
    fields: list[tuple[str, Any, Any]] = [
        ("size", argument(str, "how much of it", "|".join(SIZES)), default(default="laptop")),
        ("out", argument(Path | None, f"folder, results/{experiment.name} if not given", "DIR"), default(default=None)),
        ("seeds", argument(int | None, "number of seeds", "K"), default(default=None)),
        ("executor", argument(str, "where tiles run", "serial|processes|tcp://HOST:PORT"), default(default="serial")),
    ]
    for option in experiment.options:
        metavar = option.kind.__name__.upper()
        if option.axis:
            fields.append((option.name, argument(tuple[str, ...], option.help, f"{metavar} ..."), default(default=())))
        else:
            fields.append((option.name, argument(str | None, option.help, metavar), default(default=None)))
    namespace = {"__doc__": f"{experiment.shows} ({experiment.paper})", "experiment": experiment}
    return dataclasses.make_dataclass(experiment.name, fields, frozen=True, namespace=namespace)


def _given(option: Option, asked: Any) -> Any:
    """What the user gave for an option, of its own kind; None if nothing."""
    texts = getattr(asked, option.name)
    if not texts:
        return None
    return tuple(map(option.parse, texts)) if option.axis else option.parse(texts)


def _unknown(command: Any, unknown: Sequence[str]) -> str:
    known = [field.name for field in dataclasses.fields(command.of if isinstance(command, Run) else command)]
    what = command.of.experiment.name if isinstance(command, Run) else "this command"
    options = ", ".join("--" + name.replace("_", "-") for name in known if name != "run")
    return f"{' '.join(unknown)!r} was not understood; {what} takes {options or 'no options'}"


def _sentence(box: str) -> str:
    """What tyro says in a box of several lines, in one."""
    lines = [re.sub(r"^[│╭╰─|+\- ]+ |[│╮╯─|+\- ]+$", "", line) for line in box.splitlines()]
    title, *text = [line for line in lines if line] or ["wrong arguments"]
    end = next((k for k, line in enumerate(text) if line.startswith("For full helptext")), len(text))
    said = " ".join(text[:end]).rstrip(".") or title
    return f"{said[0].lower()}{said[1:]}; see `lemmata --help`"
