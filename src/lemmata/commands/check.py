"""``lemmata check``: the claims of a finished run, or the verdicts of a study. It reads, and writes nothing."""

import click
import xarray as xr

from lemmata.commands.outcome import folder_of, print_claims
from lemmata.commands.refusing import refusing
from lemmata.lab.run_folder import conclusions, finished
from lemmata.report.tables import markdown_table
from lemmata.tester.journal import Journal
from lemmata.tester.report import Report


@click.command("check")
@click.argument("name_or_dir")
@click.option("--markdown", is_flag=True, help="print the table as Markdown")
def command(name_or_dir: str, markdown: bool) -> int:
    """Claims of a finished run, measured beside predicted; exit code 1 if one fails."""
    folder = folder_of(name_or_dir)
    with refusing():
        stored = Journal(folder).last("report")
    if stored is not None:
        report = Report.from_json(stored)
        print(report) if not markdown else print(markdown_table([report.as_claim("conjecture").check(xr.Dataset())]))
        return int(report.holds is False)
    with refusing():
        experiment, size, dataset = finished(folder)
    _, verdicts = conclusions(experiment, dataset, size)
    if markdown:
        print(markdown_table(verdicts))
    else:
        print_claims(verdicts)
    return int(any(verdict.holds is False for verdict in verdicts))
