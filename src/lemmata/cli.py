"""The command line: list | run | check | test | show | report | explore | new.

It knows experiments by their cards and what each says.

Exit codes: 0, 1 where ``check`` found a claim that fails, 2 for a request that was refused (one sentence on the error
stream), 130 for Ctrl-C. Subcommands are loaded when they are called, so that ``--help`` answers at once.
"""

import difflib
import importlib
import os
import sys
import warnings
from collections.abc import Sequence

import click

import lemmata
from lemmata.commands.loading import loading

_COMMANDS = {
    "list": ("lemmata.commands.list", "What there is, by paper, with the time each takes."),
    "run": ("lemmata.commands.run", "Run an experiment, or go on with one that was interrupted."),
    "check": ("lemmata.commands.check", "Claims of a finished run, measured beside predicted."),
    "test": ("lemmata.commands.test", "Test a conjecture of your own on cells that are run for it."),
    "show": ("lemmata.commands.show", "Draw the figures of a finished run from its stored data."),
    "report": ("lemmata.commands.report", "One HTML file of a finished run, to be sent and opened offline."),
    "explore": ("lemmata.commands.explore", "A live map of an experiment, or a stored run, in the browser."),
    "new": ("lemmata.commands.new", "Write an experiment file of your own that runs as it is."),
}


class _Commands(click.Group):
    """Subcommands by name; each lives in a module that is loaded when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            near = difflib.get_close_matches(cmd_name, _COMMANDS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(_COMMANDS)}"
            raise click.UsageError(f"no such command {cmd_name!r}; {hint}", ctx)
        with loading():
            return importlib.import_module(_COMMANDS[cmd_name][0]).command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help) for name, (_, help) in _COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
@click.version_option(lemmata.__version__, prog_name="lemmata")
def _lemmata() -> None:
    """A laboratory for deep-learning theory: claims about training, tested on thousands of exact small trainings."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (the console script exits with it)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    shown = warnings.formatwarning
    warnings.formatwarning = _one_line  # type: ignore[assignment]
    try:
        return _lemmata.main(given, prog_name="lemmata", standalone_mode=False) or 0
    except click.ClickException as refusal:
        print(f"lemmata: {_sentence(refusal)}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, click.Abort) as interrupt:
        print(f"\nlemmata: {str(interrupt) or 'interrupted; the same command goes on where it was'}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, e.g. `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    finally:
        warnings.formatwarning = shown


def _one_line(message: Warning | str, *where: object) -> str:
    """A warning as a sentence, without the line of code that it came from."""
    return f"lemmata: {' '.join(str(message).split())}\n"


def _sentence(refusal: click.ClickException) -> str:
    """What was wrong, in one line, and where help is."""
    said = " ".join(refusal.format_message().split()).rstrip(".")
    if not isinstance(refusal, click.UsageError):
        return said
    context = refusal.ctx.command_path if refusal.ctx is not None else "lemmata"
    return f"{said[:1].lower()}{said[1:]}; see `{context} --help`"
