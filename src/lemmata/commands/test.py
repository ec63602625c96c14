"""``lemmata test "STATEMENT"``: a conjecture about an experiment's runs, tested on cells that are run for it."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from lemmata.commands.outcome import save_figures
from lemmata.commands.refusing import Refused, flag_of, refusing
from lemmata.commands.variadic import Variadic
from lemmata.lab.card import SIZES
from lemmata.lab.find import find
from lemmata.tester.expression import Expression
from lemmata.tester.journal import Journal
from lemmata.tester.statement import names_of, parse
from lemmata.tester.study import Study
from lemmata.tester.verbs import explain
from lemmata.tester.verbs import test as study

EXITS = {True: 0, False: 1, None: 3}
_NUMBERS = {"tolerance": float, "form_tolerance": float, "share": float, "start": float, "positions": int}
_TEXTS = ("statistic", "correction")


class _Test(Variadic):
    """The parameters of the experiment become options once it is known which one it is."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Add the experiment's parameters, then parse."""
        if named := re.findall(r"(?<=\x00)--experiment[=\x00]([^\x00]+)", "\x00" + "\x00".join(args)):
            with refusing():
                experiment = find(named[0])
            taken = {flag for param in self.params for flag in param.opts}
            self.params = [
                *self.params,
                *(
                    click.Option(
                        [flag_of(name)], multiple=True, metavar="VALUE ...", help=f"{says.label}; {says.range}"
                    )
                    for name, says in experiment.parameters().items()
                    if flag_of(name) not in taken
                ),
            ]
        return super().parse_args(ctx, args)


@click.command(
    "test",
    cls=_Test,
    epilog="Exit code 0: consistent, 1: refuted, 2: a request that was refused, 3: undecided with this budget.",
)
@click.argument("statement", required=False)
@click.option("--experiment", metavar="NAME|FILE", help="whose runs; its parameters are options: --n 10 20 40")
@click.option("--expect", multiple=True, metavar="NAME=VALUE ...", help="exponents of a law, e.g. a=-0.25 b=1/4")
@click.option("--tolerance", help="how far they may be from that; for other kinds the largest change or misfit")
@click.option("--form-tolerance", help="how far points may be from a law of this form, relative")
@click.option("--statistic", metavar="mean|each", help="threshold of the mean curve, or mean of each seed's own")
@click.option("--correction", metavar="FORMULA", help="a further term of the law's logarithm, e.g. 1/n")
@click.option("--share", help="for a bound: share of data sets that may exceed it")
@click.option("--between", multiple=True, metavar="LOW HIGH", help="where to look for a crossing")
@click.option("--start", help="where to look first")
@click.option("--levels", multiple=True, metavar="LEVEL ...", help="for a collapse: where curves are read")
@click.option("--let", multiple=True, metavar="NAME=FORMULA ...", help="abbreviations, e.g. kappa='n*signal**4/d'")
@click.option("--size", default="laptop", show_default=True, metavar="|".join(SIZES), help="settings of the runs")
@click.option("--budget", default="60 s", show_default=True, metavar="'60 s'|CELLS", help="how much may run")
@click.option("--precision", help="go on until intervals are at most this wide")
@click.option("--level", default="0.95", show_default=True, help="probability that all verdicts are right")
@click.option("--found-on", multiple=True, metavar="DIR ...", help="runs the conjecture was found on: other seeds")
@click.option("--reuse-seeds", is_flag=True, help="take their seeds all the same; not confirmatory")
@click.option("--out", metavar="DIR", help="folder of the study; a killed one goes on from there")
@click.option("--resume", metavar="DIR", help="go on with a study, perhaps with another --budget")
@click.option("--explain", "plan_only", is_flag=True, help="say what it would take, and run nothing")
def command(statement: str | None, **given: Any) -> int:
    """Test a conjecture, e.g. "test_error = 0.1 at signal = C * n**a * d**b"."""
    if given["resume"]:
        statement, given = _resumed(statement, given)
    if not statement or not given["experiment"]:
        raise click.UsageError('give a conjecture and --experiment, or --resume; e.g. "test_error = C * n**a"')
    with refusing():
        return _test(statement, given)


def _test(statement: str, given: dict[str, Any]) -> int:
    experiment = find(given["experiment"])
    known = experiment.parameters()
    conjecture = parse(statement, _options(given))
    changes = {name: _values(name, known[name], given[name]) for name in known if given.get(name)}
    let = dict(_pairs("--let", given["let"]))
    body, grid = experiment.configure(given["size"], changes)
    needed = set(names_of(conjecture, [*known, *let, *body.coordinates]))
    needed |= {name for formula in let.values() for name in Expression(formula).names if name in known}
    along = getattr(conjecture, "along", None)
    axes = {axis.name: axis.values for axis in grid.axes if axis.name != "seed"}
    over = {name: values for name, values in axes.items() if len(changes.get(name, ())) > 1 or name in needed}
    over = {name: values for name, values in over.items() if name != along or name in needed}
    body = body.at({name: changes[name][0] for name in axes if name not in over and len(changes.get(name, ())) == 1})
    common = {"budget": given["budget"], "level": _number("--level", given["level"]), "let": let}
    console = Console()
    if given["plan_only"]:
        console.print(str(explain(conjecture, body, over, **common)), highlight=False, markup=False, soft_wrap=True)
        return 0
    folder = Path(given["out"]) if given["out"] else None
    with _Progress(console) as progress:
        report = study(
            conjecture,
            body,
            over,
            **common,
            precision=None if given["precision"] is None else _number("--precision", given["precision"]),
            folder=folder,
            found_on=list(given["found_on"]),
            reuse_seeds=given["reuse_seeds"],
            origin={"statement": statement, "options": _plain(given)},
            heard=progress.hear,
        )
    console.print(str(report), highlight=False, markup=False, soft_wrap=True)
    if folder is not None:
        save_figures(report.plot(), folder)
    return EXITS[report.holds]


class _Progress:
    """The table as it stands while a study runs on a terminal; elsewhere a line for every look."""

    def __init__(self, console: Console):
        self.console, self.said = console, 0
        self.live = Live(console=console, transient=True, refresh_per_second=4) if console.is_terminal else None

    def __enter__(self) -> "_Progress":
        if self.live is not None:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live is not None:
            self.live.stop()

    def hear(self, study: Study) -> None:
        """After every batch and look."""
        cells = f"{study.cells.count} cells, {study.cells.seconds:.0f} s"
        if self.live is not None:
            table = str(study.report()) if study.layout is not None else f"exploring {study.conjectures[0].statement}"
            self.live.update(Text(f"{table}\n{cells} ..."))
            return
        looks = max((len(thread.looks) for thread in study.threads), default=0)
        if looks > self.said:
            self.said = looks
            said = "; ".join(f"{seeds} seeds: {word}" for thread in study.threads for seeds, word in thread.looks[-1:])
            self.console.print(f"{said} ({cells})", highlight=False)


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of the conjecture that were given."""
    found: dict[str, Any] = {name: given[name] for name in _TEXTS if given[name]}
    for name, kind in _NUMBERS.items():
        if given.get(name) is not None:
            found[name] = kind(_number(flag_of(name), given[name]))
    if given["expect"]:
        found["expect"] = {name: _number("--expect", text) for name, text in _pairs("--expect", given["expect"])}
    if given["between"]:
        if len(given["between"]) != 2:
            raise ValueError(f"--between was given {len(given['between'])} values; give the lowest and the highest")
        found["between"] = tuple(_number("--between", text) for text in given["between"])
    if given["levels"]:
        found["levels"] = tuple(_number("--levels", text) for text in given["levels"])
    return found


def _pairs(flag: str, texts: Sequence[str]) -> list[tuple[str, str]]:
    for text in texts:
        if "=" not in text:
            raise ValueError(f"{flag} {text} was given; write {flag} NAME=VALUE")
    return [(text.split("=", 1)[0].strip(), text.split("=", 1)[1]) for text in texts]


def _number(flag: str, text: str) -> float:
    """A number, or a fraction such as ``-1/4``."""
    try:
        return float(Expression(text)({}))
    except ValueError:
        raise ValueError(f"{flag} {text} was given; give a number, e.g. 0.25 or 1/4") from None


def _values(name: str, says: Any, texts: Sequence[str]) -> tuple[Any, ...]:
    values = []
    for text in texts:
        whole = says.kind is int and "e" in text.lower()
        values.append(says.parse(flag_of(name), f"{float(text):.0f}" if whole else text))
    return tuple(values)


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}


def _resumed(statement: str | None, given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The request that a study's folder holds, with the budget and precision given now."""
    if statement:
        raise click.UsageError("--resume goes on with the conjecture of its folder; give no other")
    with refusing():
        origin = Journal(given["resume"]).last("origin")
    if origin is None:
        raise Refused(f"{given['resume']} holds no study that was begun on the command line; give its folder")
    context = click.get_current_context()
    changed = {
        name: given[name]
        for name in ("budget", "precision", "plan_only")
        if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
    }
    return origin["statement"], {**origin["options"], **changed, "out": given["resume"], "resume": None}
