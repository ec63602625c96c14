"""``lemmata new``: an experiment file of the user's own, which runs as it is."""

import keyword
import re
from pathlib import Path

import click

from lemmata.commands.refusing import Refused

_TEMPLATE = Path(__file__).parent.parent / "lab" / "template.py"


@click.command("new")
@click.argument("name")
def command(name: str) -> int:
    """Write NAME.py: the smallest whole experiment, to be changed line by line."""
    stem = name.removesuffix(".py").replace("-", "_")
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", Path(stem).name) or keyword.iskeyword(stem):
        raise Refused(f"{name!r} was asked for; a file's name is lower case letters, digits and _, like my_experiment")
    path = Path(f"{stem}.py")
    try:
        with path.open("x") as file:
            file.write(_TEMPLATE.read_text())
    except FileExistsError:
        raise Refused(f"{path} is already there; choose another name, or remove it") from None
    except OSError as error:
        raise Refused(f"cannot write {path} ({error.strerror}); choose a folder that can be written") from error
    print(f"{path}: try `lemmata run ./{path} --size smoke`, then change it")
    return 0
