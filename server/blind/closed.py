"""What is closed to whoever rates a study, until it is closed: one guard before all routes.

    app.include_router(router, dependencies=[Depends(guard)])

    @router.get("/{pair}/…")
    @in_own_thread              # an endpoint that is asked often: the guard waits for its thread
    def endpoint(request: Request, …)

Closed are, of the neurons on the cards of the studies that a person rates (of either version):

- every address with {pair}, {layer} and {neuron}: the page, its JSON, labels, frame, preview, file,
  and whatever is added there later; a page of another index that shows one as a best match, too;
- of the pairs of these studies: texts of one's own, search and candidate features, which find a
  neuron by what a card shows; the explorer's rows by labels, and its files, which hold all labels;
- lists of labels, but those of another pair alone.

The explorer itself stays open, without the labels of closed rows (`without_labels`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from server import access, urls
from server.compose.selection import shown_run
from server.errors import StudyOpen
from server.pages.explorer import ExplorerPage, IndexRow, PairLabels, VersionRow
from server.pages.labels import CountsView
from server.site import Site, site_of
from store import closed_versions, neurons, runs
from store.closed_versions import NOTHING_CLOSED, ClosedVersions
from store.records import Side

#: Beneath a pair: what finds neurons by a text, or holds all labels.
_FINDING = re.compile(r"/[^/]+/(live|search|explorer\.[a-z]+|\d+/invisible(/.*)?)(\.json)?")
_EVERYWHERE = re.compile(r"/search(\.json)?|/labels([/.].*)?")
#: Of these, what tells a rater nothing but what is theirs.
_OWN = re.compile(r"/labels/(\d+/withdraw|skip)")

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_REFUSES = "refuses_what_is_closed"


def in_own_thread(endpoint: Endpoint) -> Endpoint:
    """An endpoint that is no coroutine and takes `request`, with the guard's look at the database
    before it in the same thread: a request that goes to a thread twice waits twice for others."""

    @wraps(endpoint)
    def refusing(*, request: Request, **given: Any) -> Any:
        if access.person(request) is not None:
            _refuse_closed(request)
        return endpoint(request=request, **given)

    setattr(refusing, _REFUSES, True)
    return refusing  # type: ignore[return-value]


async def guard(request: Request) -> None:
    """Refuse what is closed to whoever asks. Errors: StudyOpen (403).

    A thread is asked for, since the database is, where something may be closed to somebody and the
    endpoint does not refuse it itself.
    """
    if getattr(request.scope.get("endpoint"), _REFUSES, False):
        return
    of_a_pair = "pair" in request.path_params
    path = request.url.path
    if not of_a_pair and (not _EVERYWHERE.fullmatch(path) or _OWN.fullmatch(path)):
        return
    if access.person(request) is not None:
        await run_in_threadpool(_refuse_closed, request)


def _refuse_closed(request: Request) -> None:
    path, parameters = request.url.path, request.path_params
    closed = closed_to(request)
    if not closed:
        return
    site = site_of(request)
    if "pair" not in parameters:
        asked = request.query_params.get("pair") if path.startswith("/labels") else None
        if asked and not _closed_in(site, asked, closed):
            return
        raise _refused(closed, next(iter(closed.titles)), "This list")
    pair = parameters["pair"]
    places = _closed_in(site, pair, closed)
    if not places:
        return
    slug = next(iter(places.values()))
    if _FINDING.fullmatch(path) is not None:
        raise _refused(closed, slug, "This page of the pair")
    if _asks_for_labels(request):
        raise _refused(closed, slug, "Sorting and filtering by labels")
    place = _place(parameters.get("layer"), parameters.get("neuron"))
    if place is None:
        return
    for shown in (place, _best_match(request, site, pair, place)):
        if shown in places:
            raise _refused(closed, places[shown], "This neuron’s page")


def closed_to(request: Request) -> ClosedVersions:
    """What is closed to whoever asks; asked of the database once a request."""
    known: ClosedVersions | None = getattr(request.state, "closed_versions", None)
    if known is None:
        person = access.person(request)
        known = (
            NOTHING_CLOSED
            if person is None
            else closed_versions.closed_to(site_of(request).engine, person.name)
        )
        request.state.closed_versions = known
    return known


def without_labels(request: Request, page: ExplorerPage) -> ExplorerPage:
    """The explorer as whoever asks may read it: no labels in closed rows, nor their sums."""
    closed = closed_to(request)
    places = _closed_in(site_of(request), page.pair, closed) if closed else {}
    if not places:
        return page
    rows = tuple(
        _unlabelled(row) if (row.layer, row.neuron) in places else row for row in page.rows
    )
    facets = tuple(facet for facet in page.facets if "label" not in facet.key)
    return replace(page, rows=rows, facets=facets)


def _unlabelled(row: VersionRow | IndexRow) -> VersionRow | IndexRow:
    values = {key: None if "label" in key else value for key, value in row.values.items()}
    if isinstance(row, VersionRow):
        return replace(row, values=values, labels=CountsView())
    return replace(row, values=values, labels=PairLabels(CountsView(), CountsView()))


def _closed_in(site: Site, pair: str, closed: ClosedVersions) -> dict[tuple[int, int], str]:
    """(layer, neuron) → study, of what is closed in any run of the pair."""
    found: dict[tuple[int, int], str] = {}
    weights = {
        model.weights_sha256
        for run in runs.list_runs(site.engine, pair)
        for model in (run.pair.left, run.pair.right)
        if model is not None
    }
    for (model_weights, layer, neuron), slug in closed.studies.items():
        if model_weights in weights:
            found.setdefault((layer, neuron), slug)
    return found


def _asks_for_labels(request: Request) -> bool:
    return any(
        "label" in name or (name in ("sort", "x", "y", "added_key", "column") and "label" in value)
        for name, value in request.query_params.multi_items()
    )


def _place(layer: object, neuron: object) -> tuple[int, int] | None:
    try:
        return int(str(layer)), int(str(neuron))
    except ValueError:
        return None


def _best_match(
    request: Request, site: Site, pair: str, place: tuple[int, int]
) -> tuple[int, int] | None:
    """The index that stands in the other column of a page by best match. Raises what the page
    would for a run that is not there."""
    if request.query_params.get("pairing") != "match":
        return None
    anchor: Side = "right" if request.query_params.get("anchor") == "right" else "left"
    run = shown_run(site, pair, request.query_params.get("run"))  # as the page finds it
    record = neurons.get(site.engine, run.id, anchor, *place)
    best = None if record is None else record.correspondence.best_neuron
    return None if best is None else (place[0], best)


def _refused(closed: ClosedVersions, slug: str, what: str) -> StudyOpen:
    return StudyOpen(
        f"{what} is closed to you while you rate “{closed.titles[slug]}”: it could tell what the "
        "study’s cards keep from you. It opens when the owner closes the study.",
        urls.study(slug),
    )
