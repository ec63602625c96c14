"""``lemmata explore``: an experiment trained while one looks, or a stored run, in the browser of this machine."""

from importlib.util import find_spec
from pathlib import Path

import click

from lemmata.commands.refusing import Refused, refusing
from lemmata.parameters import Parameter

_PORT = Parameter("port", int, least=0, most=65535)


@click.command("explore")
@click.argument("name_or_dir")
@click.option("--size", default="laptop", show_default=True, help="whose axes a live map has")
@click.option("--port", default="0", help="of 127.0.0.1; 0 takes a free one", show_default=True)
@click.option("--no-browser", is_flag=True, help="print the address, and open nothing")
def command(name_or_dir: str, size: str, port: str, no_browser: bool) -> int:
    """A page in the browser: a live map of an experiment by its NAME, or a stored run by its DIR (only read)."""
    if find_spec("bokeh") is None:
        raise Refused("the explorer needs Bokeh, which is not installed; run pip install 'lemmata[explore]'")
    from lemmata.explorer.live import Live
    from lemmata.explorer.server import Explorer
    from lemmata.explorer.stored import Stored

    with refusing():
        number = _PORT.parse("--port", port)
        stored = Path(name_or_dir).is_dir()
        pages = Stored(name_or_dir) if stored else Live(name_or_dir, size)
        explorer = Explorer(pages.page, number)
    try:
        explorer.run(browser=not no_browser)
    finally:
        if isinstance(pages, Live):
            pages.close()
    return 0
