"""A rater's page: which card is before them, what it shows, what they said of it.

Nothing here tells what a card is of: `store.StudyItem` stays behind, and only its frozen snippets,
under a name of the rater's own, go on.
"""

from __future__ import annotations

from dataclasses import dataclass

from server import urls
from server.access import Person
from server.blind import card_markup, names
from server.blind.order import cards_of
from server.errors import StudyConflict
from server.pages.studies import CardView, GivenView, Rated, RatePage
from server.site import Site
from store import raters, studies
from store.study_records import GivenRating, RaterRecord, StudyRecord


@dataclass(frozen=True)
class Shown:
    """A rater's page with the sizes that its body is filled up by (0 without a card)."""

    page: RatePage
    html_fill: int = 0
    json_fill: int = 0


def rate_page(site: Site, slug: str, person: Person, wanted: str | None) -> Shown:
    """The page of whoever asks; the clock of the card that it shows runs from now.

    `wanted` names a card that was rated before, to be corrected; anything else gives the card that
    comes next. Errors: `StudyNotFound`; StudyConflict unless the study is running.
    """
    record = running(site, slug)
    rater = raters.place(site.engine, slug, person.name)
    if rater is None:
        return Shown(_page(record, "begin", None))
    secret = raters.secret(site.engine, slug)
    item = _wanted(secret, rater, wanted)
    if item is None:
        item = rater.next_card
    if item is None:
        return Shown(_page(record, "done", rater, back=_name(secret, rater, rater.cards[-1])))
    if rater.paused and rater.item == item:
        return Shown(_page(record, "paused", rater))
    raters.show(site.engine, slug, person.name, item)
    return _with_card(site, record, rater, secret, item)


def running(site: Site, slug: str) -> StudyRecord:
    """The study, if it is running. Errors: `StudyNotFound`, StudyConflict."""
    record = studies.get(site.engine, slug)
    if record.state == "draft":
        raise studies.not_found(slug)
    if record.state == "closed":
        raise StudyConflict(
            f"“{record.title}” is closed: nothing is rated there any more.", urls.study(slug)
        )
    return record


def join(site: Site, slug: str, person: Person) -> None:
    """Have a person begin. Errors: `StudyNotFound`, StudyConflict."""
    record = running(site, slug)

    def further(number: int) -> list[int]:
        return cards_of(studies.items(site.engine, slug), record.design, record.seed, number)

    raters.join(site.engine, slug, person.name, further)


def rate(site: Site, slug: str, person: Person, card: str, given: GivenRating) -> Rated:
    """Keep a rating of the card of this name. Errors: `StudyNotFound`, StudyConflict when the
    person has no such card, or the card has not come yet."""
    rater = raters.place(site.engine, slug, person.name)
    if rater is None:
        raise StudyConflict("You have not begun to rate this study.", urls.study_rate(slug))
    secret = raters.secret(site.engine, slug)
    item = names.named(secret, rater.number, rater.cards, card)
    if item is None or not (item in rater.rated or item == rater.next_card):
        raise StudyConflict("There is no such card before you.", urls.study_rate(slug))
    kept = raters.rate(site.engine, slug, person.name, item, given)
    n_rated = len({*rater.rated, item})
    return Rated(kept, n_rated, len(rater.cards), urls.study_rate(slug))


def _wanted(secret: bytes, rater: RaterRecord, wanted: str | None) -> int | None:
    """The card of this name, if it was rated before."""
    if not wanted:
        return None
    return names.named(secret, rater.number, rater.rated, wanted)


def _name(secret: bytes, rater: RaterRecord, item: int) -> str:
    return names.name(secret, rater.number, item)


def _page(
    record: StudyRecord,
    state: str,
    rater: RaterRecord | None,
    card: CardView | None = None,
    back: str | None = None,
) -> RatePage:
    href = urls.study_rate(record.slug)
    return RatePage(
        slug=record.slug,
        title=record.title,
        question=record.question,
        rule=record.rule,
        state=state,  # type: ignore[arg-type]
        rated=0 if rater is None else len(rater.rated),
        cards=0 if rater is None else len(rater.cards),
        card=card,
        href=href,
        study_href=urls.study(record.slug),
        back_href=None if back is None else urls.study_rate(record.slug, back),
        json_href=urls.json_twin(href),
    )


def _with_card(
    site: Site, record: StudyRecord, rater: RaterRecord, secret: bytes, item: int
) -> Shown:
    found = studies.item(site.engine, record.slug, item)
    assert found is not None
    place = rater.cards.index(item)
    before = rater.cards[place - 1] if place else None
    back = _name(secret, rater, before) if before in rater.rated and before is not None else None
    given = rater.rated.get(item)
    card = CardView(
        name=_name(secret, rater, item),
        place=place + 1,
        snippets=card_markup.views(found.card),
        given=None if given is None else GivenView(given.verdict, given.rule, given.confidence),
        back_href=None if back is None else urls.study_rate(record.slug, back),
        markup=card_markup.markup(found.card),
    )
    assert record.frozen_sha256 is not None
    longest = card_markup.longest(site, record.slug, record.frozen_sha256)
    return Shown(
        _page(record, "card", rater, card, back),
        html_fill=longest.html - card_markup.html_bytes(found.card),
        json_fill=longest.json - card_markup.json_bytes(found.card),
    )
