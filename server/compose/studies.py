"""Studies: the list, one study, and what its owner does to it."""

from __future__ import annotations

from server import urls
from server.access import Person
from server.blind import protocol as protocols
from server.blind.freezing import drawn, eligible, freeze
from server.compose.study_sizes import power_view, sizes_view
from server.errors import StudyConflict, StudyOpen
from server.pages.studies import (
    EligibleView,
    ProtocolView,
    RaterLine,
    StudiesPage,
    StudyCreated,
    StudyLine,
    StudyPage,
)
from server.site import Site
from store import raters, studies
from store.errors import InvalidStudy, RunNotFound
from store.runs import get_run
from store.study_records import StudyRecord


def studies_page(site: Site, person: Person | None) -> StudiesPage:
    """`/studies`, as whoever asks sees it: drafts are their owners' alone."""
    owner = person is not None and person.may("owner")
    return StudiesPage(
        studies=tuple(
            _line(site, record, person)
            for record in studies.list_studies(site.engine)
            if record.state != "draft" or owner
        ),
        may_create=owner,
    )


def _line(site: Site, record: StudyRecord, person: Person | None) -> StudyLine:
    own = _own(site, record, person)
    may_rate = record.state == "running" and person is not None and person.may("annotator")
    return StudyLine(
        slug=record.slug,
        title=record.title,
        state=record.state,
        created_by=record.created_by,
        created_at=record.created_at,
        href=urls.study(record.slug),
        rate_href=urls.study_rate(record.slug) if may_rate else None,
        rated=None if own is None else own.rated,
        cards=None if own is None else own.cards,
    )


def shown_study(site: Site, slug: str, person: Person | None) -> StudyRecord:
    """The study of this name; a draft is there for owners alone. Errors: `StudyNotFound`."""
    record = studies.get(site.engine, slug)
    if record.state == "draft" and (person is None or not person.may("owner")):
        raise studies.not_found(slug)
    return record


def is_whole(site: Site, record: StudyRecord, person: Person | None) -> bool:
    """Whether whoever asks may read what raters may not: the owner who does not rate, and
    everybody once the study is closed."""
    if record.state == "closed":
        return True
    owner = person is not None and person.may("owner")
    return owner and _own(site, record, person) is None


def protocol_of(site: Site, slug: str, person: Person | None) -> ProtocolView:
    """The protocol as whoever asks may read it."""
    record = shown_study(site, slug, person)
    return protocols.protocol(record, whole=is_whole(site, record, person))


def frozen_file(site: Site, slug: str, person: Person | None) -> bytes:
    """All that was frozen, as the very bytes that the digest is of. Errors: `StudyOpen`."""
    record = shown_study(site, slug, person)
    if record.state != "closed":
        raise StudyOpen(
            f"The cards of “{record.title}” are shown once it is closed.", urls.study(slug)
        )
    items, orders = studies.items(site.engine, slug), studies.expected_orders(site.engine, record)
    return studies.canonical(studies.frozen(record, items, orders))


def study_page(site: Site, slug: str, person: Person | None) -> StudyPage:
    """`/studies/{slug}`, as whoever asks sees it."""
    record = shown_study(site, slug, person)
    whole = is_whole(site, record, person)
    owner = person is not None and person.may("owner")
    closed = record.state == "closed"
    found: tuple[EligibleView, ...] = ()
    problem = None
    if record.state == "draft":
        found, problem = _could_start(site, record)
    href = urls.study(slug)
    return StudyPage(
        protocol=protocols.protocol(record, whole=whole),
        sizes=sizes_view(record.design, _sides(record)),
        power=power_view(record.design),
        raters=tuple(
            RaterLine(f"R{number}", rated, cards)
            for number, rated, cards in (
                studies.progress(site.engine, slug) if whole and record.state != "draft" else ()
            )
        ),
        own=_own(site, record, person),
        eligible=found,
        problem=problem,
        may_own=owner,
        may_rate=record.state == "running" and person is not None and person.may("annotator"),
        pair_href=urls.explorer(record.pair, run=record.run_id) if whole else None,
        again_href=urls.study_new(like=slug) if owner and whole else None,
        href=href,
        rate_href=urls.study_rate(slug),
        results_href=urls.study_results(slug) if closed else None,
        frozen_href=f"{href}/frozen.json" if closed else None,
        protocol_href=f"{href}/protocol.json",
        text_href=f"{href}/protocol.txt",
        json_href=urls.json_twin(href),
    )


def start(site: Site, slug: str) -> StudyCreated:
    """Draw, freeze and start a draft. Errors: `StudyFrozen`, `InvalidStudy`, `RunNotFound`."""
    record = studies.get(site.engine, slug)
    if record.state != "draft":
        raise StudyConflict(
            f"“{record.title}” has been started: nothing of it changes.", urls.study(slug)
        )
    items, orders = freeze(site, record)
    return created(studies.start(site.engine, slug, items, orders))


def created(record: StudyRecord) -> StudyCreated:
    """The answer to whoever changed a study."""
    return StudyCreated(record.slug, record.state, urls.study(record.slug), record.frozen_sha256)


def _own(site: Site, record: StudyRecord, person: Person | None) -> RaterLine | None:
    if person is None or record.state == "draft":
        return None
    rater = raters.place(site.engine, record.slug, person.name)
    if rater is None:
        return None
    return RaterLine("you", len(rater.rated), len(rater.cards))


def _could_start(site: Site, record: StudyRecord) -> tuple[tuple[EligibleView, ...], str | None]:
    """How many versions there are to draw from, and why they do not do."""
    try:
        run = get_run(site.engine, record.run_id, record.pair)
    except RunNotFound as error:
        return (), error.message
    found = tuple(
        EligibleView(side, layer, len(versions))
        for (side, layer), versions in eligible(site, run, record.design).items()
    )
    try:
        drawn(site, run, record.design, record.seed)
    except InvalidStudy as error:
        return found, str(error)
    return found, None


def _sides(record: StudyRecord) -> int:
    return 1 if record.weights[1] is None else 2
