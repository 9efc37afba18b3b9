"""Studies in the database: frozen for everybody, a rater's clock, answers with their history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from store import raters, studies
from store.closed_versions import closed_to
from store.engine import Engine, open_engine, writing
from store.errors import InvalidStudy, NotARater, StudyExists, StudyFrozen, StudyNotFound
from store.study_records import GivenRating, StudyDesign, StudyItem, StudyRecord
from tests import databases

DESIGN = StudyDesign(layers=(0, 1), neurons_per_version=1, raters_expected=2, seconds_cap=100)
DRAFT = StudyRecord(
    slug="one",
    title="One",
    pair="tiny",
    run_id="0123456789",
    question="Is it?",
    rule="It is.",
    design=DESIGN,
    seed=7,
    created_by="otto",
    weights=("a" * 64, "b" * 64),
)
ITEMS = [
    StudyItem(1, "neuron", "top", "left", 0, 3, {"snippets": []}),
    StudyItem(2, "neuron", "range", "right", 1, 4, {"snippets": []}),
    StudyItem(
        3, "planted", "top", "left", 0, 5, {"snippets": []}, merged_with=6, truth="polysemantic"
    ),
    StudyItem(4, "repeat", "top", "left", 0, 3, {"snippets": []}, repeat_of=1),
]
ORDERS = [[1, 2, 3, 4], [3, 1, 2, 4]]
START = datetime(2026, 1, 1, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.fixture(params=databases.KINDS)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with databases.fresh(request.param) as url:
        opened = open_engine(url)
        yield opened
        opened.dispose()


@pytest.fixture
def running(engine: Engine) -> Engine:
    studies.create(engine, DRAFT)
    studies.start(engine, "one", ITEMS, ORDERS)
    return engine


def test_a_draft_is_kept_and_discarded(engine: Engine) -> None:
    kept = studies.create(engine, DRAFT)
    assert kept.state == "draft"
    assert kept.created_at is not None
    assert replace(kept, created_at=None) == DRAFT
    assert studies.list_studies(engine) == [kept]
    with pytest.raises(StudyExists, match="named one already"):
        studies.create(engine, DRAFT)
    with pytest.raises(StudyFrozen, match="has not been started"):
        studies.close(engine, "one")
    studies.discard(engine, "one")
    with pytest.raises(StudyNotFound):
        studies.get(engine, "one")


@pytest.mark.parametrize("slug", ["", "New Study", "a--b", "-a", "a" * 61])
def test_a_name_that_is_no_address_is_refused(engine: Engine, slug: str) -> None:
    with pytest.raises(InvalidStudy, match="name in addresses"):
        studies.create(engine, replace(DRAFT, slug=slug))


def test_a_start_freezes_all_and_its_digest_proves_it(running: Engine) -> None:
    kept = studies.get(running, "one")
    assert kept.state == "running"
    assert studies.items(running, "one") == ITEMS
    assert studies.orders(running, "one") == [tuple(order) for order in ORDERS]
    assert kept.frozen_sha256 == studies.frozen_digest(kept, ITEMS, ORDERS)
    other = [replace(ITEMS[0], neuron=9), *ITEMS[1:]]
    assert kept.frozen_sha256 != studies.frozen_digest(kept, other, ORDERS)
    with pytest.raises(StudyFrozen):
        studies.start(running, "one", ITEMS, ORDERS)
    with pytest.raises(StudyFrozen):
        studies.discard(running, "one")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE study SET rule = 'another'",
        "UPDATE study SET design = '{}'",
        "UPDATE study SET seed = 8",
        "UPDATE study SET state = 'draft', frozen_sha256 = NULL, started_at = NULL",
        "DELETE FROM study",
        "UPDATE study_item SET neuron = 9",
        "DELETE FROM study_item WHERE number = 4",
        "INSERT INTO study_item (study_id, number, kind, condition, side, layer, neuron, card) "
        "SELECT id, 9, 'neuron', 'top', 'left', 0, 1, '{}' FROM study",
        "UPDATE study_rater SET cards = '[1]'",
        "DELETE FROM study_rater",
    ],
)
def test_no_statement_changes_a_started_study(running: Engine, statement: str) -> None:
    with pytest.raises(DBAPIError), writing(running) as connection:
        connection.execute(text(statement))
    kept = studies.get(running, "one")
    frozen = studies.frozen_digest(kept, studies.items(running, "one"), ORDERS)
    assert frozen == kept.frozen_sha256


@pytest.mark.parametrize(
    ("items", "orders", "said"),
    [
        ([], ORDERS, "needs cards"),
        (ITEMS[1:], ORDERS, "numbered from 1"),
        (ITEMS, [[1, 1]], "at most once"),
        (ITEMS, [[1, 9]], "only the study's cards"),
        ([*ITEMS[:3], replace(ITEMS[3], neuron=8)], ORDERS, "another neuron's"),
    ],
)
def test_cards_that_do_not_fit_are_refused(
    engine: Engine, items: list[StudyItem], orders: list[list[int]], said: str
) -> None:
    studies.create(engine, DRAFT)
    with pytest.raises(InvalidStudy, match=said):
        studies.start(engine, "one", items, orders)
    assert studies.get(engine, "one").state == "draft"


def test_places_are_taken_once_and_further_raters_get_an_order(running: Engine) -> None:
    joined = [raters.join(running, "one", name, lambda n: [n]) for name in ("ann", "bo", "cy")]
    assert sorted(rater.number for rater in joined) == [1, 2, 3]
    assert joined[2].cards == (3,)
    again = raters.join(running, "one", "ann", lambda n: [n])
    assert again.number == joined[0].number
    assert raters.place(running, "one", "dee") is None


def test_the_clock_counts_what_a_card_was_shown(running: Engine) -> None:
    rater = raters.join(running, "one", "ann", lambda n: [n])
    first, second = rater.cards[:2]
    raters.show(running, "one", "ann", first, after(0))
    raters.show(running, "one", "ann", first, after(5))  # a reload does not start it anew
    raters.pause(running, "one", "ann", after(10))
    paused = raters.place(running, "one", "ann")
    assert paused is not None
    assert paused.paused
    raters.resume(running, "one", "ann", after(1_000))
    raters.rate(running, "one", "ann", first, GivenRating("unclear"), after(1_007))
    raters.show(running, "one", "ann", second, after(2_000))
    raters.show(running, "one", "ann", first, after(2_003))  # back, to correct
    raters.rate(running, "one", "ann", first, GivenRating("monosemantic"), after(2_004))
    raters.show(running, "one", "ann", second, after(3_000))
    raters.rate(running, "one", "ann", second, GivenRating("unclear"), after(9_000))
    found = {rating.item: rating for rating in studies.ratings(running, "one")}
    assert found[first].seconds == pytest.approx(18)  # 10 + 7, and 1 for the correction
    assert found[first].verdict == "monosemantic"
    assert found[second].seconds == pytest.approx(103)  # 3, and the cap of 100
    assert [rating.verdict for rating in studies.rating_history(running, "one")].count(
        "unclear"
    ) == 2


def test_the_same_twice_is_one_rating(running: Engine) -> None:
    rater = raters.join(running, "one", "ann", lambda n: [n])
    given = GivenRating("polysemantic", "two things", 4)
    assert raters.rate(running, "one", "ann", rater.cards[0], given)
    assert not raters.rate(running, "one", "ann", rater.cards[0], given)
    (kept,) = studies.ratings(running, "one")
    assert (kept.rater, kept.rule, kept.confidence) == (f"R{rater.number}", "two things", 4)
    assert len(studies.rating_history(running, "one")) == 1


def test_only_raters_rate_their_cards_while_it_runs(running: Engine) -> None:
    with pytest.raises(NotARater):
        raters.rate(running, "one", "ann", 1, GivenRating("unclear"))
    raters.join(running, "one", "ann", lambda n: [n])
    with pytest.raises(NotARater, match="no such card"):
        raters.rate(running, "one", "ann", 99, GivenRating("unclear"))
    with pytest.raises(InvalidStudy, match="verdict"):
        raters.rate(running, "one", "ann", 1, GivenRating("dead"))  # type: ignore[arg-type]
    with pytest.raises(InvalidStudy, match="confidence"):
        raters.rate(running, "one", "ann", 1, GivenRating("unclear", "", 6))
    studies.close(running, "one")
    with pytest.raises(StudyFrozen, match="is closed"):
        raters.rate(running, "one", "ann", 1, GivenRating("unclear"))


def test_what_a_rater_may_not_look_up(running: Engine) -> None:
    assert not closed_to(running, "ann")
    raters.join(running, "one", "ann", lambda n: [n])
    closed = closed_to(running, "ann")
    places = {(0, 3), (1, 4), (0, 5), (0, 6)}
    assert closed.studies.keys() == {(w * 64, *place) for w in "ab" for place in places}
    assert not closed_to(running, "bo")
    studies.close(running, "one")
    assert not closed_to(running, "ann")
