"""What a link preview shows of a neuron page, as plain values: `server.card` draws them.

A `CardContent` is hashable, so that a picture that was drawn just now is not drawn again.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

from server.activation_names import activation_name
from server.neuron_words import hidden_method, responds
from server.number_text import number, share
from server.pages.examples import ExampleView
from server.pages.neuron import NeuronPage, VersionView
from server.sameness_words import sameness
from server.token_text import levels, snippet_markup


@dataclass(frozen=True)
class CardToken:
    """A token of the snippet: its text, its level of activation (−8 … 8), is it in focus?"""

    text: str
    level: int
    focus: bool = False


@dataclass(frozen=True)
class CardColumn:
    """One version: `counts` are the display site's histogram, `snippet` its top example."""

    side: str
    heading: str
    model: str
    said: str
    site: str
    std: float | None
    counts: Sequence[int]
    top: str
    snippet: tuple[CardToken, ...]


@dataclass(frozen=True)
class CardContent:
    """Everything on the card; a single-sided run has one column."""

    name: str
    pair: str
    answer: str
    footer: str
    columns: tuple[CardColumn, ...]


def card_content(page: NeuronPage) -> CardContent:
    """The card of a page, whatever site or sense the page itself shows."""
    versions = [one for one in (page.versions.left, page.versions.right) if one is not None]
    answer = f"The same thing? {sameness(page)[0]}"
    return CardContent(
        name=page.name,
        pair=page.pair,
        answer="One version only, so nothing to compare." if len(versions) == 1 else answer,
        footer=f"run {page.run}",
        columns=tuple(_column(version) for version in versions),
    )


def _column(version: VersionView) -> CardColumn:
    site = version.sites[version.display_site]
    act = activation_name(version.act_fn)
    top = next((version.examples[n] for n in version.examples.of_band("top")), None)
    return CardColumn(
        side=version.side,
        heading=f"{act} {version.name}",
        model=version.model if version.model != act else "",
        said=_said(version),
        site=version.display_site,
        std=site.std,
        counts=site.histogram.counts,
        top="" if top is None else number(top.activation),
        snippet=() if top is None else _snippet(version, top),
    )


def _said(version: VersionView) -> str:
    """How much is hidden, where that is known; else what the version responds to."""
    hidden = None if version.evidence is None else version.evidence.hidden
    if hidden is None or hidden.share is None:
        return responds(version)
    method = "exact" if hidden.method == "exact" else hidden_method(hidden)
    return f"{share(hidden.share)} of its effect is hidden ({method})"


def _snippet(version: VersionView, example: ExampleView) -> tuple[CardToken, ...]:
    site = version.sites[version.display_site]
    scale = max(abs(site.min or 0.0), abs(site.max or 0.0)) if site.std else None
    found = levels(example.values[version.display_site], scale)
    if example.position == example.focus:
        found[0] = 0  # BOS is part of no statistic
    texts = (_plain(markup) for markup in snippet_markup(example.pieces))
    return tuple(
        CardToken(text, level, n == example.focus)
        for n, (text, level) in enumerate(zip(texts, found, strict=True))
    )


def _plain(markup: str) -> str:
    """The text of a token's markup, in which every character of the corpus is escaped."""
    return html.unescape(re.sub(r"<[^>]*>", "", markup))
