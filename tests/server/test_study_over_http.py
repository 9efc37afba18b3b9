"""A study from its first card to its results over HTTP: raters of known accuracy, a fixed seed.

Three annotators with accounts of their own rate every card as the pages give them, and the page's
numbers are what they said. A small one for each kind of database; the full one (360 cards of 120
neurons, three conditions, planted cards and repeats, 1,296 ratings) is slow.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from store import raters as rater_store
from store import studies as study_store
from store.engine import Engine, open_engine
from store.study_records import RatingVerdict
from tests import databases
from tests.server.team import add_account, logged_in, team_app
from tests.simulated_study import Simulated, simulate

NAMES = ("ada", "ben", "cleo")


def rate_everything(engine: Engine, url: str, made: Simulated) -> dict[tuple[str, int], str]:
    """(pseudonym, card) → verdict, as it was sent; the study is closed afterwards."""
    slug = made.study.slug
    study_store.create(engine, made.study)
    study_store.start(engine, slug, made.items, made.orders)
    app = team_app(engine, url)
    planned = {(one.rater, one.item): one for one in made.ratings}
    sent: dict[tuple[str, int], RatingVerdict] = {}
    for name in NAMES:
        add_account(engine, name)
        with logged_in(app, name) as client:
            accept = {"Accept": "application/json"}
            assert client.post(f"/studies/{slug}/begin", headers=accept).status_code == 204
            place = rater_store.place(engine, slug, name)
            assert place is not None
            for item in place.cards:
                shown = client.get(f"/studies/{slug}/rate.json").json()
                assert shown["state"] == "card"
                said = planned[place.pseudonym, item]
                body = {
                    "card": shown["card"]["name"],
                    "verdict": said.verdict,
                    "rule": said.rule,
                    "confidence": said.confidence,
                }
                answer = client.post(f"/studies/{slug}/rate", json=body)
                assert answer.status_code == 201, answer.text
                sent[place.pseudonym, item] = said.verdict
            assert client.get(f"/studies/{slug}/rate.json").json()["state"] == "done"
            # who has rated sees no results before the study is closed; nor does its owner
            assert client.get(f"/studies/{slug}/results").status_code == 403
    with logged_in(app, "otto") as owner:
        assert owner.get(f"/studies/{slug}/results.json").status_code == 403
        assert owner.get(f"/studies/{slug}/ratings.csv").status_code == 403
        closed = owner.post(f"/studies/{slug}/close", headers={"Accept": "application/json"})
        assert closed.status_code < 300, closed.text
    with logged_in(app, NAMES[0]) as client:
        check(client.get(f"/studies/{slug}/results.json").json(), made, sent)
    return dict(sent)


def check(page: dict, made: Simulated, sent: dict[tuple[str, int], RatingVerdict]) -> None:
    """The page's counts are what was sent; what follows from them is tested elsewhere."""
    items = {item.number: item for item in made.items}
    assert page["ratings"] == len(sent)
    votes = Counter((item, verdict) for (_, item), verdict in sent.items())
    for arm in page["main"]["arms"]:
        mine = [
            number
            for number, item in items.items()
            if (item.kind, item.side, item.condition) == ("neuron", arm["side"], arm["condition"])
        ]
        called = sum(votes[number, "monosemantic"] >= 2 for number in mine)
        assert (arm["neurons"], arm["monosemantic"]) == (len(mine), called)
        for verdict in ("monosemantic", "polysemantic", "unclear"):
            expected = sum(votes[number, verdict] for number in mine)
            assert arm[f"answers_{verdict}"] == expected
    for one in page["main"]["detections"]:
        mine = [
            number
            for number, item in items.items()
            if item.truth == one["truth"] and one["condition"] in (None, item.condition)
        ]
        right = sum(
            (votes[number, "monosemantic"] >= 2) == (one["truth"] == "monosemantic")
            for number in mine
        )
        assert (one["right"], one["cards"]) == (right, len(mine))
    for found in page["self_agreement"]:
        same = [
            verdict == sent[rater, items[item].repeat_of]  # type: ignore[index]
            for (rater, item), verdict in sent.items()
            if items[item].kind == "repeat" and found["rater"] in (None, rater)
        ]
        assert (found["same"]["hits"], found["same"]["n"]) == (sum(same), len(same))
    assert [one["ratings"] for one in page["raters"]] == [len(made.items)] * 3
    assert all(one["seconds"]["median"] >= 0 for one in page["raters"])


def test_a_small_study(engine: Engine, database_url: str) -> None:
    made = simulate(3, slug="small", seed=4)
    assert len(rate_everything(engine, database_url, made)) == 3 * len(made.items)


@pytest.mark.slow
def test_three_raters_120_neurons_three_conditions(tmp_path: Path) -> None:
    """3 × (360 cards of drawn neurons, 36 planted, 36 repeats), as the acceptance asks."""
    with databases.fresh("sqlite") as url:
        opened = open_engine(url)
        made = simulate(60, slug="whole")
        assert sum(item.kind == "neuron" for item in made.items) == 360
        assert len(rate_everything(opened, url, made)) == 1296
        opened.dispose()
