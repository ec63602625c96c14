"""``lemmata list``: what there is, by paper."""

import itertools

import click
from rich.console import Console
from rich.padding import Padding

from lemmata.commands.refusing import refusing
from lemmata.lab.card import Card
from lemmata.lab.cards import cards


@click.command("list")
def command() -> None:
    """What there is, by paper, with about how long each size takes on one thread. Loads no experiment."""
    console = Console()
    with refusing():
        found = list(cards().values())
    for paper, members in itertools.groupby(found, key=lambda card: card.paper):
        console.print(f"[bold]{paper or 'Other packages'}[/bold]", highlight=False)
        for card in members:
            console.print(f"  [bold]{card.name}[/bold]  [dim]{_times(card)}[/dim]", highlight=False)
            console.print(Padding(card.sentence, (0, 0, 0, 6)), highlight=False)
        console.print()


def _times(card: Card) -> str:
    return ", ".join(f"{size} {_duration(seconds)}" for size, seconds in card.seconds.items())


def _duration(seconds: float) -> str:
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * unit:
            return f"≈ {seconds / unit:.0f} {name}"
    return f"≈ {max(1, round(seconds))} s"
