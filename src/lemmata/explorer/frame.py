"""What all pages share: their frame, links to downloads, and settings that stand in the address."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from bokeh.document import Document
from bokeh.models.callbacks import CustomJS
from bokeh.models.widgets import Div, TextInput

from lemmata.explorer.downloads import KINDS
from lemmata.report.page import STYLE

WIDTH = 280
"""Of a column of controls, in pixels."""
TEMPLATE = (
    "{% block postamble %}<meta name='viewport' content='width=device-width, initial-scale=1'><style>"
    + STYLE
    + "body { max-width: none; } .bk-root { color-scheme: light; }"
    "@media (prefers-reduced-motion: reduce) { * { transition: none !important; animation: none !important; } }"
    "</style>{% endblock %}"
    "{% block contents %}<main><h1>{{ title }}</h1><div class='bokeh'>{{ super() }}</div></main>{% endblock %}"
)
SHEET = STYLE.replace("color-scheme: light dark;", "").split("@media")[0] + "\n".join(
    line for line in STYLE.split("\n") if line.startswith(("th,", "table", ".scroll", ".holds", ".open", "td.", "pre"))
)
"""For what stands inside a Bokeh element, which the page's own style does not reach."""


def framed(document: Document, title: str) -> None:
    """Title, language and look of a page."""
    document.title, document.template = title, TEMPLATE


def html(text: str = "", **more: Any) -> Any:
    """A piece of HTML; whoever makes the text escapes what is data."""
    return Div(text=text, stylesheets=[SHEET.replace(":root", ":host")], **more)


def downloads(slot: str, figures: bool) -> str:
    """Links to what a page hands out."""
    kinds = [kind for kind in KINDS if figures or kind not in ("png", "svg")]
    return "Download: " + ", ".join(
        f'<a href="/download/{slot}/{kind}" download>{KINDS[kind][0]}</a>' for kind in kinds
    )


class Settings:
    """The settings of a page, kept in its address without the key: a reload or a bookmark restores them."""

    def __init__(self, document: Document):
        context = document.session_context
        arguments = context.request.arguments if context is not None and context.request is not None else {}
        self.given = {name: values[-1].decode() for name, values in arguments.items() if name != "key"}
        self.field = TextInput(visible=False)
        code = "window.history.replaceState(null, '', '?' + cb_obj.value)"
        self.field.js_on_change("value", CustomJS(code=code))

    def keep(self, settings: Mapping[str, Any]) -> None:
        """Write them into the address."""
        self.field.value = urlencode({name: value for name, value in settings.items() if value not in (None, "")})
