"""``lemmata show``: the figures of a finished run, drawn again from its stored data. The store is only read."""

from pathlib import Path

import click

from lemmata.commands.outcome import draw, folder_of, print_claims
from lemmata.commands.refusing import refusing
from lemmata.lab.run_folder import conclusions, finished


@click.command("show")
@click.argument("name_or_dir")
@click.option("--out", metavar="DIR", help="folder for the figures  [default: that of the run]")
def command(name_or_dir: str, out: str | None) -> int:
    """Claims and figures of a finished run, from its stored data."""
    with refusing():
        folder = folder_of(name_or_dir)
        experiment, size, dataset = finished(folder)
    dataset, verdicts = conclusions(experiment, dataset, size)
    print_claims(verdicts)
    draw(experiment, dataset, Path(out) if out else folder)
    return 0
