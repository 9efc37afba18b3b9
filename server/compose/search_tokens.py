"""The half of a search that is about tokens: which the query means, and what is high on one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from server import urls
from server.compose.labels import model_of
from server.compose.pair_links import version_names
from server.errors import BadParameter
from server.pages.evidence import SideName
from server.pages.fields import Link
from server.pages.search import By, HitVersions, SideHits, TokenChoice, TokenHit, TokenHits
from server.search_address import Asked
from server.search_words import seen_text
from server.site import Site
from server.token_search import folded, matches
from server.token_text import token_string
from store import search as search_store
from store.records import RunRecord, Side
from store.token_records import TokenCountsRecord, TokenNeuronsRecord

#: Tokens that contain the query and are offered as choices.
LISTED = 60
#: Frequent words that an empty search offers.
SUGGESTED = 6

_ORDERS: tuple[tuple[By, str, str], ...] = (
    ("mean", "mean", "the highest mean over the sample's tokens first"),
    ("max", "maximum", "the highest single token first"),
)


@dataclass(frozen=True)
class TokenAnswer:
    """`places` counts the versions listed for the chosen token by side and layer."""

    has_index: bool
    exact: tuple[TokenChoice, ...]
    containing: tuple[TokenChoice, ...]
    n_containing: int
    hits: TokenHits | None
    places: dict[tuple[Side, int], int]


def token_answer(
    site: Site,
    run: RunRecord,
    asked: Asked,
    address: Callable[[Asked], str],
    run_id: str | None,
) -> TokenAnswer:
    """What the query means among the tokens, and the versions that are high on the chosen one.

    BadParameter for a token that the vocabulary does not have.
    """
    vocabulary = site.vocabulary(run.id)
    if asked.token is not None and not 0 <= asked.token < len(vocabulary):
        raise BadParameter(
            f"Tokens are numbered 0–{len(vocabulary) - 1} here; {asked.token} is none.",
            urls.search(run.pair.slug, {"q": asked.query}),
        )
    index = search_store.token_counts(site.engine, run.id)
    count_of = _count_of(index)
    texts = site.kept.get(("token texts", run.id), lambda: folded(vocabulary), _bytes_of)
    found = matches(vocabulary, texts, asked.query)
    containing = sorted(found.containing, key=lambda i: (-count_of.get(i, 0), i))
    shown = _chosen(found.exact, containing, asked, count_of) if index is not None else None

    def choice(token: int) -> TokenChoice:
        picked = replace(asked, found="tokens", token=token, page=1)
        return TokenChoice(
            token=token,
            text=token_string(vocabulary[token]),
            n=None if index is None else count_of.get(token, 0),
            href=address(picked),
            current=token == shown,
        )

    hits, places = None, {}
    if index is not None and shown is not None:
        of_token = search_store.neurons_of_token(site.engine, run.id, shown)
        by_place = {(one.side, one.layer): _ordered(one, asked.by, index.kept) for one in of_token}
        places = {place: len(order) for place, order in by_place.items()}
        hits = TokenHits(
            token=shown,
            text=token_string(vocabulary[shown]),
            n=count_of.get(shown, 0),
            n_sample=index.n,
            kept=index.kept,
            seen=seen_text(count_of.get(shown, 0), index.n),
            by=asked.by,
            by_links=tuple(
                Link(address(replace(asked, by=by, page=1)), text, title, by == asked.by)
                for by, text, title in _ORDERS
            ),
            versions=_versions(run, of_token, by_place, asked, run_id),
        )
    return TokenAnswer(
        has_index=index is not None,
        exact=tuple(choice(token) for token in found.exact),
        containing=tuple(choice(token) for token in containing[:LISTED]),
        n_containing=len(containing),
        hits=hits,
        places=places,
    )


def suggestions(site: Site, run: RunRecord, run_id: str | None) -> tuple[Link, ...]:
    """Searches to begin with: frequent words of the run's own text."""
    index = search_store.token_counts(site.engine, run.id)
    if index is None:
        return ()
    vocabulary = site.vocabulary(run.id)
    links: list[Link] = []
    for i in np.argsort(-index.counts, kind="stable").tolist():
        text = token_string(vocabulary[index.tokens[i]])
        word = text.strip()
        if len(word) > 2 and word.isalpha() and word not in (link.text for link in links):
            parameters: dict[str, str | int | None] = {"q": word, "token": int(index.tokens[i])}
            links.append(Link(urls.search(run.pair.slug, parameters, run_id), word))
        if len(links) == SUGGESTED:
            break
    return tuple(links)


def _bytes_of(texts: Sequence[str]) -> int:
    """About what strings take in memory."""
    return sum(map(len, texts)) + 64 * len(texts)


def _count_of(index: TokenCountsRecord | None) -> dict[int, int]:
    if index is None:
        return {}
    return dict(zip(index.tokens.tolist(), index.counts.tolist(), strict=True))


def _chosen(
    exact: Sequence[int], containing: Sequence[int], asked: Asked, count_of: Mapping[int, int]
) -> int | None:
    """The token that is shown: the one asked for; with a space typed in front the exact one; else
    the more frequent of the exact ones; else the only one there is."""
    if asked.token is not None:
        return asked.token
    if exact:
        if asked.query.startswith(" "):
            return exact[0]
        return max(exact, key=lambda token: count_of.get(token, 0))
    return containing[0] if len(containing) == 1 else None


def _ordered(one: TokenNeuronsRecord, by: By, kept: int) -> list[int]:
    """Indices of the highest versions of a record."""
    if by == "mean":
        return list(range(min(kept, len(one.neurons))))
    order = np.lexsort((one.neurons, -one.max_sd.astype(np.float64)))
    chosen: list[int] = order[:kept].tolist()
    return chosen


def _versions(
    run: RunRecord,
    of_token: Sequence[TokenNeuronsRecord],
    by_place: Mapping[tuple[Side, int], list[int]],
    asked: Asked,
    run_id: str | None,
) -> HitVersions:
    known = {
        (one.side, one.layer, neuron): value
        for one in of_token
        for neuron, value in zip(one.neurons.tolist(), _values(one, asked.by).tolist(), strict=True)
    }
    names = version_names(run)
    made: dict[str, SideHits] = {}
    for side in ("left", "right"):
        if side not in names or asked.side not in (None, side):
            continue
        rows = [
            (one, i)
            for one in of_token
            if one.side == side and asked.layer in (None, one.layer)
            for i in by_place[one.side, one.layer]
        ]
        rows.sort(key=lambda row: _place(row[0], row[1], asked.by))
        first = (asked.page - 1) * asked.size
        made[side] = SideHits(
            side=side,
            act_fn=model_of(run, side).act_fn,
            name=names[side],
            total=len(rows),
            rows=tuple(
                _hit(rank, one, i, known, run.pair.slug, run_id)
                for rank, (one, i) in enumerate(rows[first : first + asked.size], first + 1)
            ),
        )
    return HitVersions(made.get("left"), made.get("right"))


def _place(one: TokenNeuronsRecord, i: int, by: By) -> tuple[float, int, int]:
    """What versions of one side are ordered by: the value, the highest first, then their names."""
    return -float(_values(one, by)[i]), one.layer, int(one.neurons[i])


def _values(one: TokenNeuronsRecord, by: By) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return one.mean_sd if by == "mean" else one.max_sd


def _hit(
    rank: int,
    one: TokenNeuronsRecord,
    i: int,
    known: Mapping[tuple[Side, int, int], float],
    slug: str,
    run_id: str | None,
) -> TokenHit:
    neuron = int(one.neurons[i])
    other: SideName = "right" if one.side == "left" else "left"
    return TokenHit(
        rank=rank,
        side=one.side,
        layer=one.layer,
        neuron=neuron,
        name=urls.neuron_name(one.layer, neuron),
        href=urls.neuron(slug, one.layer, neuron, run=run_id),
        mean=float(one.mean[i]),
        mean_sd=float(one.mean_sd[i]),
        max=float(one.max[i]),
        max_sd=float(one.max_sd[i]),
        twin_sd=known.get((other, one.layer, neuron)),
    )
