"""The queue: which version comes next for an annotator, how far they are, what they can undo."""

from __future__ import annotations

import re
import secrets

from server import urls
from server.access import Person
from server.compose.labels import model_of
from server.compose.neuron import View, neuron_page
from server.compose.pair_links import version_names
from server.compose.selection import check_neuron
from server.errors import BadParameter
from server.filters import Selection
from server.pages.labels import LastLabel, QueuePage
from server.site import Site
from store import label_queue
from store.label_queue import Place
from store.records import VERDICTS, RunRecord, Side

_PLACE = re.compile(r"(left|right):L(\d{1,4})N(\d{1,9})")


def read_place(run: RunRecord, text: str) -> Place:
    """`left:L0N17` as (side, layer, neuron).

    Errors: BadParameter, NeuronNotFound, VersionMissing.
    """
    found = _PLACE.fullmatch(text)
    if found is None:
        raise BadParameter(f"“{text[:40]}” names no version; “left:L0N17” does.")
    side: Side = "left" if found[1] == "left" else "right"
    model_of(run, side)
    layer, neuron = int(found[2]), int(found[3])
    check_neuron(run, layer, neuron)
    return side, layer, neuron


def place_name(place: Place) -> str:
    """(side, layer, neuron) as `read_place` reads it."""
    side, layer, neuron = place
    return f"{side}:{urls.neuron_name(layer, neuron)}"


def queue_page(
    site: Site,
    person: Person,
    run: RunRecord,
    selection: Selection,
    pinned: bool,
    at: Place | None,
    but: Place | None,
) -> QueuePage:
    """The version `at`, else the next one that is not `but`, claimed for this person."""
    filters, sort = selection.for_store(), selection.sort or None
    name, shared = person.name, False
    if at is not None:
        shared = not label_queue.claim(site.engine, run.id, name, at)
    else:
        others = () if but is None else (but,)
        at = label_queue.next_version(site.engine, run.id, name, filters, sort, others)
        if at is not None:
            shared = not label_queue.claim(site.engine, run.id, name, at)
    progress = label_queue.progress(site.engine, run.id, name, filters)
    slug, run_id = run.pair.slug, run.id if pinned else None
    state = {**selection.plotted(None).parameters(paged=False), "size": None}
    queue = {"pair": slug, **state, "run": run_id}
    here = urls.label_queue({**queue, "at": None if at is None else place_name(at)})
    page = None
    if at is not None:
        page = neuron_page(site, run, at[1], at[2], View(), pinned, only=at[0])
    version = None
    if page is not None and at is not None:
        version = page.versions.left if at[0] == "left" else page.versions.right
    names = version_names(run)
    return QueuePage(
        pair=slug,
        run=run.id,
        pinned=pinned,
        annotator=name,
        filters=tuple(one.sentence for one in selection.filters),
        sort=selection.sort,
        labelled=progress.labelled,
        total=progress.total,
        side=None if at is None else at[0],
        layer=None if at is None else at[1],
        neuron=None if at is None else at[2],
        name=None if at is None else urls.neuron_name(at[1], at[2]),
        shared=shared,
        version=version,
        verdicts=VERDICTS,
        last=_last(site, person, run, queue, names),
        key=secrets.token_urlsafe(12),
        action="" if at is None else urls.labels(slug, at[1], at[2]),
        skip_href="/labels/skip",
        queue_href=urls.label_queue(queue),
        here_href=here,
        next_href=urls.label_queue({**queue, "but": None if at is None else place_name(at)}),
        explorer_href=urls.explorer(slug, state, run_id),
        neuron_href=None if at is None else urls.neuron(slug, at[1], at[2], run=run_id),
        json_href=urls.json_twin(here),
        drawn_from=page,
    )


def _last(
    site: Site,
    person: Person,
    run: RunRecord,
    queue: dict[str, str | int | None],
    names: dict[str, str],
) -> LastLabel | None:
    found = label_queue.last_label(site.engine, run.id, person.name)
    if found is None:
        return None
    place = (found.side, found.layer, found.neuron)
    return LastLabel(
        id=found.id,
        name=urls.neuron_name(found.layer, found.neuron),
        side=found.side,
        act_fn=names[found.side],
        verdict=found.verdict,  # type: ignore[arg-type]
        undo_href=urls.withdraw_label(found.id),
        back=urls.label_queue({**queue, "at": place_name(place)}),
    )
