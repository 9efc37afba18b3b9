"""A rendered page as one file that asks no host for anything: what `download.html` is made of.

    content = detached(html)        what stands in <main>, without links that lead elsewhere
    style = inlined_styles(html)    the text of every style sheet that the page names

It works on the markup of the page itself, so that the file shows what the page shows, however the
page's templates change. Left out are forms, scripts, navigation and whatever is marked with
`data-live`, which means: of use only where a server answers. A link to another page loses its
address, one within the page keeps it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from html import escape
from html.parser import HTMLParser

from markupsafe import Markup

from server.site import STATIC

#: Elements that load something, send something or lead elsewhere; dropped with all they hold.
DROPPED = frozenset(
    {
        *("script", "form", "nav", "link", "iframe", "object", "embed", "img", "picture", "video"),
        *("audio", "source", "track", "base", "meta", "dialog", "template", "noscript", "image"),
    }
)
_ADDRESSES = frozenset(
    {"href", "xlink:href", "src", "srcset", "action", "formaction", "poster", "ping", "background"}
)
_VOID = frozenset(
    {
        *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source"),
        *("track", "wbr"),
    }
)
_STYLE_LINK = re.compile(r'<link rel="stylesheet" href="/static/([\w.-]+)(?:\?[^"]*)?">')


class _Detached(HTMLParser):
    """Copies markup as it stands, except for what a file without a server cannot have."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.parts: list[str] = []
        self._within: str | None = None
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._within is not None:
            self._depth += tag == self._within and tag not in _VOID
            return
        if tag in DROPPED or any(name == "data-live" for name, _ in attrs):
            if tag not in _VOID:
                self._within, self._depth = tag, 1
            return
        self.parts.append(self._kept(tag, attrs))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._within is None and tag not in DROPPED:
            self.parts.append(self._kept(tag, attrs))

    def handle_endtag(self, tag: str) -> None:
        if self._within is None:
            self.parts.append(f"</{tag}>")
        elif tag == self._within:
            self._depth -= 1
            if self._depth == 0:
                self._within = None

    def handle_data(self, data: str) -> None:
        if self._within is None:
            self.parts.append(data)

    def handle_entityref(self, name: str) -> None:
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.handle_data(f"&#{name};")

    def _kept(self, tag: str, attrs: list[tuple[str, str | None]]) -> str:
        """The tag as it was written, unless an attribute leads out of the file."""
        written = self.get_starttag_text() or ""
        if not any(_leads_out(name, value) for name, value in attrs):
            return written
        kept = "".join(
            f" {name}" if value is None else f' {name}="{escape(value)}"'
            for name, value in attrs
            if not _leads_out(name, value)
        )
        return f"<{tag}{kept}{'/' if written.endswith('/>') else ''}>"


def _leads_out(name: str, value: str | None) -> bool:
    if name in _ADDRESSES:
        return not (value or "").startswith("#")
    return name.startswith("on") or name == "style"


def detached(html: str) -> Markup:
    """What stands in the page's <main>, with nothing that loads, sends or leads out of the file."""
    start = html.index(">", html.index("<main ")) + 1
    parser = _Detached()
    parser.feed(html[start : html.rindex("</main>")])
    parser.close()
    return Markup("".join(parser.parts))


def inlined_styles(html: str, further: Sequence[str] = ()) -> str:
    """The text of the style sheets that the page links to, in their order, then of `further`."""
    names = [*_STYLE_LINK.findall(html), *further]
    return "\n".join((STATIC / name).read_text("utf-8") for name in names)


def inlined_script(name: str) -> str:
    """The text of a module that needs no other one."""
    return (STATIC / name).read_text("utf-8")


def policy_hash(text: str) -> str:
    """`'sha256-…'`: how a Content-Security-Policy names an inlined style or script."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
