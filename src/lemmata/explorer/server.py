"""Bokeh's server, for this machine alone: 127.0.0.1, our own origin, and a key that only the printed address holds.

Whoever comes with the key is given a cookie of this start, so that the key need not stay there. Sessions are signed.
"""

import asyncio
import hmac
import logging
import secrets
import socket
import webbrowser
from collections.abc import Callable
from typing import Any

import xarray as xr
from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.core.validation import silence
from bokeh.core.validation.warnings import EMPTY_LAYOUT
from bokeh.document import Document
from bokeh.server.auth_provider import AuthProvider
from bokeh.server.server import Server
from tornado.web import HTTPError, RequestHandler
from tornado.websocket import WebSocketHandler

from lemmata.explorer.downloads import KINDS
from lemmata.lab.experiment import Experiment

ADDRESS = "127.0.0.1"
MOST_PAGES = 8
"""Pages open at once."""
MOST_MESSAGE = 64 * 1024
"""Bytes of one message from a page."""
_HEADERS = {
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' ws://{host}; frame-ancestors 'none'"
    ),
}

Slots = dict[str, tuple[Callable[[], xr.Dataset], Experiment | None]]
"""What each page shows, by a name that nobody guesses."""


class Gate(AuthProvider):
    """Lets in who comes to our own name with the key of this start, and says why nobody else is."""

    login_url = "/"  # Bokeh asks for one; nobody is ever sent there

    def __init__(self, key: str, port: int) -> None:
        self.key, self.port = key, port
        super().__init__()

    @property
    def get_user(self) -> Callable[[RequestHandler], str]:
        return self.admit

    def admit(self, handler: RequestHandler) -> str:
        """Raises ``HTTPError`` 400 for a foreign host, 403 for a missing or wrong key."""
        if handler.request.host not in (f"{ADDRESS}:{self.port}", f"localhost:{self.port}"):
            raise HTTPError(400, "this server answers to 127.0.0.1 and localhost alone")
        name = f"lemmata-{self.port}"
        given, kept = handler.get_argument("key", ""), handler.get_cookie(name) or ""
        if not any(hmac.compare_digest(text.encode(), self.key.encode()) for text in (given, kept)):
            raise HTTPError(403, "open the address that was printed, with its key")
        if not isinstance(handler, WebSocketHandler):  # whose answer has gone already
            for header, value in _HEADERS.items():
                handler.set_header(header, value.format(host=handler.request.host))
            handler.set_cookie(name, self.key, httponly=True, samesite="Strict", path="/")
        return "user"


class Download(RequestHandler):
    """``/download/SLOT/KIND``: a file made of what a page shows."""

    def initialize(self, gate: Gate, slots: Slots) -> None:
        """What it needs of the server."""
        self.gate, self.slots = gate, slots

    def prepare(self) -> None:
        """Like every page."""
        self.gate.admit(self)

    async def get(self, slot: str, kind: str) -> None:
        """Made on a thread of its own, so that the pages go on."""
        if slot not in self.slots or kind not in KINDS:
            raise HTTPError(404, "this page is closed, or there is no such file")
        dataset, experiment = self.slots[slot]
        _, name, make = KINDS[kind]
        content = await asyncio.get_running_loop().run_in_executor(None, lambda: make(dataset(), experiment))
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        self.finish(content)


class Explorer:
    """A server around one page.

    Args:
        page: fills a document; it is called for every tab, with the slots that downloads are made from.
        port: 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, page: Callable[[Document, Slots], None], port: int = 0):
        self.key, self.slots = secrets.token_urlsafe(24), Slots()
        self.port = port or _free_port()
        gate = Gate(self.key, self.port)
        self.server = Server(
            Application(FunctionHandler(lambda document: self._page(page, document))),
            address=ADDRESS,
            port=self.port,
            auth_provider=gate,
            sign_sessions=True,
            secret_key=secrets.token_bytes(32),
            allow_websocket_origin=[f"{name}:{self.port}" for name in (ADDRESS, "localhost")],
            extra_patterns=[(r"/download/([\w-]+)/(\w+)", Download, {"gate": gate, "slots": self.slots})],
            websocket_max_message_size=MOST_MESSAGE,
            unused_session_lifetime_milliseconds=5000,
            check_unused_sessions_milliseconds=2000,
        )

    @property
    def url(self) -> str:
        """The address that opens it."""
        return f"http://{ADDRESS}:{self.port}/?key={self.key}"

    def run(self, browser: bool) -> None:
        """Serve until Ctrl-C."""
        silence(EMPTY_LAYOUT, True)  # the place of the second map stays empty until it is asked for
        logging.getLogger("bokeh.server").setLevel(logging.ERROR)  # a page that closes is nothing to tell
        self.server.start()
        print(f"{self.url}\nCtrl-C ends it.", flush=True)
        if browser:
            self.server.io_loop.add_callback(webbrowser.open, self.url)
        try:
            self.server.io_loop.start()
        except KeyboardInterrupt:
            self.server.stop()

    def _page(self, page: Callable[[Document, Slots], None], document: Document) -> None:
        if len(self.slots) >= 2 * MOST_PAGES:
            from bokeh.models.widgets import Div

            document.add_root(Div(text=f"{MOST_PAGES} pages are open, which is as many as there may be; close one."))
            return
        page(document, self.slots)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((ADDRESS, 0))
        return int(found.getsockname()[1])


def held(document: Document, slots: Slots, dataset: Callable[[], xr.Dataset], experiment: Any) -> str:
    """A slot for downloads, freed with its page; its name."""
    name = secrets.token_urlsafe(12)
    slots[name] = (dataset, experiment)
    document.on_session_destroyed(lambda session_context: slots.pop(name, None) and None)
    return name
