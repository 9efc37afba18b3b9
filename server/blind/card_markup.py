"""A frozen card as it goes to a browser: token spans, display strings, and its exact size.

Bodies of cards differ in length, and lengths would be told apart on the wire even where contents
are not; so each is filled up to the length of the study's longest, and sent uncompressed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from markupsafe import Markup

from server.blind.cards import bytes_of
from server.pages.studies import SnippetView
from server.site import Site
from server.token_text import spans_of, token_string
from store import studies

#: Shade → level of the site's activation colours.
LEVEL_OF_SHADE = (0, 2, 4, 7)

#: Sent with each card: no proxy may compress or keep it.
HEADERS = {"Cache-Control": "no-store, no-transform", "Content-Encoding": "identity"}


@dataclass(frozen=True)
class Longest:
    """The longest card of a study, in bytes as HTML and as JSON."""

    html: int
    json: int


def views(card: Mapping[str, Any]) -> tuple[SnippetView, ...]:
    """The snippets of a frozen card for JSON."""
    return tuple(
        SnippetView(
            tokens=tuple(token_string(bytes_of(token)) for token in snippet["tokens"]),
            shades=tuple(snippet["shades"]),
            focus=snippet["focus"],
            silent=snippet["silent"],
        )
        for snippet in card["snippets"]
    )


def markup(card: Mapping[str, Any]) -> Markup:
    """The lists of a card's snippets, firing and silent ones; cells without text are left out.

    All of the page that depends on the card stands in here, so that its length can be made up for.
    """
    firing = _listed(card, silent=False)
    silent = _listed(card, silent=True)
    if silent:
        silent = (
            '<h2>Silent <span class="dim">on the framed token</span></h2>\n'
            f'<ol class="silent">{silent}</ol>\n'
        )
    return Markup(f"<ol>{firing}</ol>\n{silent}")


def _listed(card: Mapping[str, Any], silent: bool) -> str:
    shown = [snippet for snippet in card["snippets"] if bool(snippet["silent"]) is silent]
    return "".join(f'<li class="tokens">{_spans(snippet)}</li>\n' for snippet in shown)


def _spans(snippet: Mapping[str, Any]) -> Markup:
    filled = [place for place, token in enumerate(snippet["tokens"]) if token]
    return spans_of(
        [bytes_of(snippet["tokens"][place]) for place in filled],
        [LEVEL_OF_SHADE[snippet["shades"][place]] for place in filled],
        None,
        focus=filled.index(snippet["focus"]),
    )


def html_bytes(card: Mapping[str, Any]) -> int:
    """Bytes of a card as HTML."""
    return len(markup(card).encode())


def json_bytes(card: Mapping[str, Any]) -> int:
    """Bytes of a card's snippets as JSON."""
    return len(as_json([asdict(view) for view in views(card)]))


def as_json(values: object) -> bytes:
    """JSON as it is sent."""
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"), default=str).encode()


def longest(site: Site, slug: str, frozen_sha256: str) -> Longest:
    """The longest card of a study, measured once by each process."""

    def measured() -> Longest:
        cards = [item.card for item in studies.items(site.engine, slug)]
        return Longest(max(map(html_bytes, cards)), max(map(json_bytes, cards)))

    found: Longest = site.kept.get(("cards", slug, frozen_sha256), measured, lambda _: 100)
    return found


def filled_up(body: bytes, fill: int) -> bytes:
    """The body with spaces at its end, as many as its card is shorter than the longest."""
    return body + b" " * fill
