"""Page objects of `/{pair}/search` and of `/search`, which asks every pair."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from server.pages.evidence import SideName
from server.pages.fields import HTML_ONLY, Link
from server.pages.labels import VerdictName
from server.pages.pair_links import PairLinks

Found = Literal["tokens", "labels"]
By = Literal["mean", "max"]


@dataclass(frozen=True)
class TokenChoice:
    """A token of the vocabulary that the query may mean.

    `n` is how many tokens of the run's token sample it is, None for a run without an index.
    """

    token: int
    text: str
    n: int | None
    href: str
    current: bool


@dataclass(frozen=True)
class TokenHit:
    """A version that is high on the token: `rank` among those of its side that are shown.

    `mean` and `max` are its activation at the display site over the sample's tokens of this id;
    `…_sd` are these less its mean over the sample, in its standard deviations. `twin_sd` is what
    the other version of the same index has by the same order, None where it is not in the index.
    """

    rank: int
    side: SideName
    layer: int
    neuron: int
    name: str
    href: str
    mean: float
    mean_sd: float
    max: float
    max_sd: float
    twin_sd: float | None


@dataclass(frozen=True)
class SideHits:
    """Versions of one model; `total` counts those of all pages."""

    side: SideName
    act_fn: str
    name: str
    total: int
    rows: tuple[TokenHit, ...]


@dataclass(frozen=True)
class HitVersions:
    """None for a side that is not there or was not asked for."""

    left: SideHits | None
    right: SideHits | None


@dataclass(frozen=True)
class TokenHits:
    """The versions that are highest on one token, ordered `by` mean or maximum.

    `n` tokens of the sample's `n_sample` are this one; `seen` says so in a sentence, and what
    follows when they are few. Of each layer and side `kept` versions are listed at most.
    """

    token: int
    text: str
    n: int
    n_sample: int
    kept: int
    seen: str
    by: By
    by_links: tuple[Link, ...]
    versions: HitVersions


@dataclass(frozen=True)
class LabelHitView:
    """An annotator's latest label; `name` is a neuron's (L0N17) or a candidate's (L0C3)."""

    side: SideName
    layer: int
    neuron: int | None
    k: int | None
    name: str
    href: str
    act_fn: str
    annotator: str
    verdict: VerdictName
    description: str
    confidence: int | None
    created_at: datetime


@dataclass(frozen=True)
class SearchPage:
    """`/{pair}/search`. `found` says what is listed: versions by token, or labels by their text.

    `exact` are the tokens whose text the query is, `containing` the most frequent of the
    `n_containing` others that it is a part of. `hits` is None until a token is chosen. `total`
    counts what is listed, on all pages (with tokens: of the longer column); `page` starts at 1.
    `has_index` is False for runs that were published before there was one.
    """

    pair: str
    pair_name: str
    run: str
    pinned: bool
    permalink: str
    left_act_fn: str
    right_act_fn: str | None
    query: str
    has_index: bool
    found: Found
    found_links: tuple[Link, ...]
    exact: tuple[TokenChoice, ...]
    containing: tuple[TokenChoice, ...]
    n_containing: int
    hits: TokenHits | None
    labels: tuple[LabelHitView, ...]
    n_labels: int
    layer: int | None
    side: SideName | None
    layer_links: tuple[Link, ...]
    side_links: tuple[Link, ...]
    page: int
    size: int
    total: int
    n_pages: int
    first_href: str | None
    previous_href: str | None
    next_href: str | None
    last_href: str | None
    suggestions: Annotated[tuple[Link, ...], HTML_ONLY]
    links: PairLinks
    json_href: str


@dataclass(frozen=True)
class PairHits:
    """What one pair's newest run has for a query. `neuron` leads to the neuron that it names."""

    pair: str
    pair_name: str
    run: str
    href: str
    neuron: Link | None
    exact: tuple[TokenChoice, ...]
    n_containing: int
    n_labels: int
    labels_href: str


@dataclass(frozen=True)
class SearchEverywherePage:
    """`/search`: each pair, and how much it has."""

    query: str
    pairs: tuple[PairHits, ...]
    json_href: str
