"""Results of a simulated study: the page's numbers against ones computed here, by other means.

Nothing of `server.agreement` is called: shares are counted again from the plain ratings, intervals
and tests follow from their formulas, α from pairs of answers, bootstraps draw with another
generator.
"""

from __future__ import annotations

import csv
import io
import json
import math
import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import chain, combinations
from typing import Any

import pyarrow.parquet
import pytest

from server.app import create_app
from server.settings import Settings
from store import studies as study_store
from store.engine import Engine, open_engine
from store.study_records import Rating
from tests import databases
from tests.server.conftest import Served, client_of
from tests.simulated_study import RATERS, SHARES, Simulated, put_in, simulate
from tests.synthetic_run import publish_synthetic

Z = 1.959963984540054
Interval = tuple[float, float]


@pytest.fixture(scope="module", params=databases.KINDS)
def studied(request: pytest.FixtureRequest) -> Iterator[tuple[Served, Simulated]]:
    """A server over a closed study of 120 neurons, three conditions and three raters."""
    with databases.fresh(request.param) as url:
        engine = open_engine(url)
        run = publish_synthetic(engine, seed=1)
        made = simulate(60, run_id=run.id)
        put_in(engine, made)
        app = create_app(Settings(database_url=url, annotator="ada"), engine)
        with client_of(app) as client:
            yield Served(app, engine, client, run, run, run), made
        engine.dispose()


@pytest.fixture(scope="module")
def page(studied: tuple[Served, Simulated]) -> dict[str, Any]:
    answer = studied[0].client.get("/studies/simulated/results.json")
    assert answer.status_code == 200
    return dict(answer.json())


@pytest.fixture(scope="module")
def ratings(studied: tuple[Served, Simulated]) -> list[Rating]:
    """As they were simulated, not as they were read back."""
    return studied[1].ratings


def wilson(hits: float, n: float) -> Interval:
    centre, reach = hits + Z * Z / 2, Z * math.sqrt(hits * (n - hits) / n + Z * Z / 4)
    return (centre - reach) / (n + Z * Z), (centre + reach) / (n + Z * Z)


def majorities(ratings: list[Rating], drop_unclear: bool = False) -> dict[Any, bool]:
    """(side, condition, layer, neuron) → called monosemantic."""
    said: dict[Any, list[str]] = defaultdict(list)
    for one in ratings:
        if one.kind == "neuron" and not (drop_unclear and one.verdict == "unclear"):
            said[one.side, one.condition, one.layer, one.neuron].append(one.verdict)
    return {key: Counter(v)["monosemantic"] > len(v) / 2 for key, v in said.items()}


def paired(first: dict[Any, bool], second: dict[Any, bool]) -> tuple[float, Interval, float]:
    """Difference, Newcombe's interval for pairs, McNemar's p (exact or χ² as the page says)."""
    keys = first.keys() & second.keys()
    n = len(keys)
    a = sum(first[k] and second[k] for k in keys)
    b = sum(first[k] and not second[k] for k in keys)
    c = sum(second[k] and not first[k] for k in keys)
    d = n - a - b - c
    (l1, u1), (l2, u2) = wilson(a + b, n), wilson(a + c, n)
    p1, p2 = (a + b) / n, (a + c) / n
    cross = a * d - b * c
    phi = (max(cross - n / 2, 0) if cross > 0 else cross) / math.sqrt(
        (a + b) * (c + d) * (a + c) * (b + d)
    )
    low = math.sqrt((p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2)
    high = math.sqrt((p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u1 - p1) + (u1 - p1) ** 2)
    if b + c < 25:
        tail = sum(math.comb(b + c, k) for k in range(min(b, c) + 1)) / 2 ** (b + c)
        p = min(1.0, 2 * tail)
    else:
        p = math.erfc(abs(b - c) / math.sqrt(2 * (b + c)))
    return p1 - p2, (p1 - p2 - low, p1 - p2 + high), p


def close_to(interval: Any, expected: Interval, within: float = 1e-9) -> bool:
    return list(interval) == pytest.approx(list(expected), abs=within)


def test_shares_with_wilson_intervals(page: dict[str, Any], ratings: list[Rating]) -> None:
    for name, drop in (("main", False), ("excluded", True)):
        called = majorities(ratings, drop)
        arms = page[name]["arms"]
        assert [(a["side"], a["condition"]) for a in arms] == [
            (side, condition) for side in SHARES for condition in SHARES[side]
        ]
        for arm in arms:
            mine = [v for k, v in called.items() if k[:2] == (arm["side"], arm["condition"])]
            assert (arm["neurons"], arm["monosemantic"]) == (len(mine), sum(mine))
            assert arm["share"] == pytest.approx(sum(mine) / len(mine))
            assert close_to(arm["interval"], wilson(sum(mine), len(mine)))
    answers = Counter(
        (one.side, one.condition, one.verdict) for one in ratings if one.kind == "neuron"
    )
    for arm in page["main"]["arms"]:
        place = arm["side"], arm["condition"]
        assert arm["answers"] == 180
        for verdict in ("monosemantic", "polysemantic", "unclear"):
            assert arm[f"answers_{verdict}"] == answers[*place, verdict]
        # wider than of independent answers, narrower than of one answer a neuron
        low, high = arm["answers_interval"]
        hits = arm["answers_monosemantic"]
        of_answers, of_neurons = wilson(hits, 180), wilson(hits / 3, 60)
        assert of_answers[1] - of_answers[0] < high - low < of_neurons[1] - of_neurons[0] + 0.01


def test_versions_with_newcombe_intervals(page: dict[str, Any], ratings: list[Rating]) -> None:
    arms = {(arm["side"], arm["condition"]): arm for arm in page["main"]["arms"]}
    for one in page["main"]["versions"]:
        left, right = (arms[side, one["condition"]] for side in ("left", "right"))
        (l1, u1), (l2, u2) = left["interval"], right["interval"]
        p1, p2 = left["share"], right["share"]
        low, high = math.hypot(p1 - l1, u2 - p2), math.hypot(u1 - p1, p2 - l2)
        assert one["difference"] == pytest.approx(p1 - p2)
        assert close_to(one["interval"], (p1 - p2 - low, p1 - p2 + high))
        assert one["seen"] == (low < p1 - p2 or p1 - p2 < -high)
    called = majorities(ratings)
    for one in page["main"]["matched"]:
        sides = [
            {k[2:]: v for k, v in called.items() if k[:2] == (side, one["condition"])}
            for side in ("left", "right")
        ]
        difference, interval, p = paired(*sides)
        assert one["all_neurons"]
        assert one["difference"] == pytest.approx(difference)
        assert close_to(one["interval"], interval)
        assert one["test"]["p"] == pytest.approx(p)


def test_falls_and_their_tests(page: dict[str, Any], ratings: list[Rating]) -> None:
    called = majorities(ratings)
    conditions = ["top", "range", "silent"]
    falls = page["main"]["falls"]
    assert [(f["side"], f["first"], f["then"]) for f in falls] == [
        (side, *two) for side in ("left", "right") for two in combinations(conditions, 2)
    ]
    p_values = [one["test"]["p"] for one in (*page["main"]["matched"], *falls)]
    for fall in falls:
        before, after = (
            {k[2:]: v for k, v in called.items() if k[:2] == (fall["side"], fall[which])}
            for which in ("first", "then")
        )
        difference, interval, p = paired(before, after)
        assert fall["fall"] == pytest.approx(difference)
        assert close_to(fall["interval"], interval)
        assert fall["test"]["p"] == pytest.approx(p)
        # Holm: as many times the p-value as there are tests with one at least as large
        later = sorted(p_values)
        stepped = [min(1.0, value * (len(later) - n)) for n, value in enumerate(later)]
        assert fall["p_adjusted"] == pytest.approx(max(stepped[: later.index(p_values[
            len(page["main"]["matched"]) + falls.index(fall)]) + 1]))  # fmt: skip
        gaps = answer_gaps(ratings, fall)
        assert fall["answers_fall"] == pytest.approx(statistics.fmean(gaps))
        means = redrawn(len(gaps), lambda draw, gaps=gaps: statistics.fmean(gaps[i] for i in draw))
        assert close_to(fall["answers_interval"], middle(means), 0.025)


def answer_gaps(ratings: list[Rating], fall: dict[str, Any]) -> list[float]:
    shares: dict[Any, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for one in ratings:
        if one.kind == "neuron" and one.side == fall["side"]:
            shares[one.layer, one.neuron][one.condition].append(one.verdict == "monosemantic")
    return [
        statistics.fmean(both[fall["first"]]) - statistics.fmean(both[fall["then"]])
        for both in shares.values()
    ]


def redrawn(n: int, statistic: Any, draws: int = 600) -> list[float]:
    rng = random.Random(5)
    return [statistic([rng.randrange(n) for _ in range(n)]) for _ in range(draws)]


def middle(values: list[float]) -> Interval:
    found = statistics.quantiles(values, n=40)
    return found[0], found[-1]


def krippendorff(units: list[list[str]]) -> float:
    """1 − observed ÷ expected disagreement, from pairs of answers as his definition has them."""
    units = [unit for unit in units if len(unit) > 1]
    everything = [answer for unit in units for answer in unit]
    n = len(everything)
    observed = sum(
        2 * sum(a != b for a, b in combinations(unit, 2)) / (len(unit) - 1) for unit in units
    )
    counts = Counter(everything)
    expected = n * n - sum(count * count for count in counts.values())
    return 1 - (n - 1) * observed / expected


def by_card(ratings: list[Rating], kind: str = "neuron") -> dict[int, dict[str, Rating]]:
    cards: dict[int, dict[str, Rating]] = defaultdict(dict)
    for one in ratings:
        if one.kind == kind:
            cards[one.item][one.rater] = one
    return cards


def test_agreement(page: dict[str, Any], ratings: list[Rating]) -> None:
    cards = by_card(ratings)
    for one in page["reliability"]:
        units = [
            [r.verdict for r in said.values()]
            for said in cards.values()
            if one["condition"] in (None, next(iter(said.values())).condition)
        ]
        assert one["cards"] == len(units)
        assert one["alpha"] == pytest.approx(krippendorff(units))
        binary = [[str(v == "monosemantic") for v in unit] for unit in units]
        assert one["alpha_binary"] == pytest.approx(krippendorff(binary))
        pairs = [a == b for unit in units for a, b in combinations(unit, 2)]
        assert one["agreement"] == pytest.approx(statistics.fmean(pairs))
        # Fleiss: chance is the square of each verdict's share of all answers
        chance = sum((n / (3 * len(units))) ** 2 for n in Counter(chain(*units)).values())
        kappa = (statistics.fmean(pairs) - chance) / (1 - chance)
        assert one["fleiss"] == pytest.approx(kappa)
    whole = page["reliability"][0]
    indices: dict[Any, list[list[str]]] = defaultdict(list)
    for said in cards.values():
        first = next(iter(said.values()))
        indices[first.layer, first.neuron].append([r.verdict for r in said.values()])
    groups = list(indices.values())
    drawn = redrawn(len(groups), lambda d: krippendorff([u for i in d for u in groups[i]]), 300)
    assert close_to(whole["alpha_interval"], middle(drawn), 0.03)


def test_kappa_of_each_two_raters(page: dict[str, Any], ratings: list[Rating]) -> None:
    cards = by_card(ratings)
    assert [one["raters"] for one in page["kappas"]] == [["R1", "R2"], ["R1", "R3"], ["R2", "R3"]]
    for one in page["kappas"]:
        a, b = one["raters"]
        pairs = [(said[a].verdict, said[b].verdict) for said in cards.values()]
        observed = statistics.fmean(x == y for x, y in pairs)
        rows, columns = Counter(x for x, _ in pairs), Counter(y for _, y in pairs)
        expected = sum(rows[v] * columns[v] for v in rows) / len(pairs) ** 2
        assert one["kappa"] == pytest.approx((observed - expected) / (1 - expected))
        assert one["interval"][0] < one["kappa"] < one["interval"][1]


def test_planted_cards_and_repeats(page: dict[str, Any], ratings: list[Rating]) -> None:
    planted = by_card(ratings, "planted")
    for one in page["main"]["detections"]:
        mono = one["truth"] == "monosemantic"
        called = [
            (sum(r.verdict == "monosemantic" for r in said.values()) > len(said) / 2) == mono
            for said in planted.values()
            if next(iter(said.values())).truth == one["truth"]
            and one["condition"] in (None, next(iter(said.values())).condition)
        ]
        assert (one["right"], one["cards"]) == (sum(called), len(called))
        if one["condition"]:
            assert close_to(one["interval"], wilson(sum(called), len(called)))
    first = {(one.rater, one.item): one.verdict for one in ratings}
    again = defaultdict(list)
    for one in ratings:
        if one.repeat_of is not None:
            again[one.rater].append(first[one.rater, one.repeat_of] == one.verdict)
    for found in page["self_agreement"]:
        mine = again[found["rater"]] if found["rater"] else list(chain(*again.values()))
        assert (found["same"]["hits"], found["same"]["n"]) == (sum(mine), len(mine))
    for rater in page["raters"]:
        for name, truth in (("sensitivity", "polysemantic"), ("specificity", "monosemantic")):
            mine = [
                (said[rater["rater"]].verdict == "monosemantic") == (truth == "monosemantic")
                for said in planted.values()
                if next(iter(said.values())).truth == truth
            ]
            assert (rater[name]["hits"], rater[name]["n"]) == (sum(mine), len(mine))


def test_strictness_and_time(page: dict[str, Any], ratings: list[Rating]) -> None:
    cards = by_card(ratings)
    for rater in page["raters"]:
        name = rater["rater"]
        gaps = []
        for said in cards.values():
            others = [r.verdict == "monosemantic" for r in said.values() if r.rater != name]
            gaps.append((said[name].verdict == "monosemantic") - statistics.fmean(others))
        assert rater["strictness"]["deviation"] == pytest.approx(statistics.fmean(gaps))
        assert rater["strictness"]["shared"] == len(gaps) == 360
        seconds = [one.seconds for one in ratings if one.rater == name]
        quarters = statistics.quantiles(seconds, n=4, method="inclusive")
        shown = [rater["seconds"][q] for q in ("q25", "median", "q75")]
        assert shown == pytest.approx(quarters)
    # R3 was made to see a second meaning least often, R2 most often
    assert page["raters"][2]["strictness"]["deviation_interval"][0] > 0
    assert page["raters"][1]["strictness"]["deviation_interval"][1] < 0


def test_the_illusion_is_seen_where_it_was_made(page: dict[str, Any]) -> None:
    """Left falls by 35 points in truth, right by 15; raters blur both."""
    whole = [f for f in page["main"]["falls"] if (f["first"], f["then"]) == ("top", "silent")]
    assert whole[0]["seen"]
    assert whole[0]["fall"] > 0.15
    assert "A fall of" in page["readings"]["falls"]["text"]


def test_the_page_shows_what_its_json_has(
    studied: tuple[Served, Simulated], page: dict[str, Any]
) -> None:
    answer = studied[0].client.get("/studies/simulated/results")
    assert answer.status_code == 200
    text = answer.text
    for reading in page["readings"].values():
        for part in ("text", "not_meant"):
            assert reading[part].replace(" %", "\N{NO-BREAK SPACE}%") in text
    assert page["methods"] in text
    assert text.count('<svg class="figure range-line') > 30
    assert '<svg class="figure shares-by-condition"' in text
    for link in page["files"]:
        assert f'href="{link["href"]}"' in text
    neuron = page["neurons"][0]
    assert f'<a href="{neuron["href"]}">{neuron["name"]}</a>' in text
    assert studied[0].client.get(neuron["href"]).status_code == 200
    assert len(page["neurons"]) == 120


def test_the_methods_are_the_studys_own(page: dict[str, Any], studied: Any) -> None:
    study = study_store.get(studied[0].engine, "simulated")
    for words in (
        "60 neurons per version in layers 0 and 1",
        f"run {study.run_id}",
        "up to 20 snippets under 3 conditions",
        "Every rater saw every neuron under every condition",
        "10.0 % repeats",
        "3 raters gave 1,296 answers",
        study.question,
        study.rule,
        str(study.frozen_sha256),
    ):
        assert words in page["methods"]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_the_table_of_ratings(studied: tuple[Served, Simulated], ending: str) -> None:
    served, made = studied
    answer = served.client.get(f"/studies/simulated/ratings.{ending}")
    assert answer.status_code == 200
    assert "attachment" in answer.headers["content-disposition"]
    if ending == "csv":
        rows: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(answer.text)))
    elif ending == "jsonl":
        rows = [json.loads(line) for line in answer.text.splitlines()]
    else:
        table = pyarrow.parquet.read_table(io.BytesIO(answer.content))
        assert table.schema.metadata[b"twinscope.study"] == b"simulated"
        assert b"study-ratings" in table.schema.field("item").metadata[b"definition"]
        rows = table.to_pylist()
    assert len(rows) == len(made.ratings)
    found = {(row["rater"], int(row["item"])): row for row in rows}
    merged = {item.number: item.merged_with for item in made.items}
    for one in made.ratings:
        row = found[one.rater, one.item]
        assert row["verdict"] == one.verdict
        assert float(row["seconds"]) == one.seconds
        assert row["rule"] == one.rule
        expected = merged[one.item]
        assert row["merged_with"] in (expected, "" if expected is None else str(expected))
    # pseudonyms alone: nobody's name
    assert b"rater-0" not in answer.content


def fresh(engine: Engine, made: Simulated, *, close: bool = True) -> Any:
    put_in(engine, made, close=close)
    app = create_app(Settings(database_url="sqlite://", annotator="ada"), engine)
    return client_of(app)


def test_closed_to_everybody_until_it_is_closed(engine: Engine) -> None:
    with fresh(engine, simulate(4, slug="open"), close=False) as client:
        paths = ["results", "results.json"] + [
            f"ratings.{ending}" for ending in ("csv", "jsonl", "parquet")
        ]
        for path in paths:
            answer = client.get(f"/studies/open/{path}")
            assert answer.status_code == 403
            assert "still running" in answer.text
            assert "monosemantic" not in answer.text
        told = client.get("/studies/open/results.json").json()["error"]
        assert (told["code"], told["hint"]) == ("study_open", "/studies/open")
        study_store.create(engine, simulate(4, slug="draft").study)
        assert "has not begun" in client.get("/studies/draft/results").text
        assert client.get("/studies/no-such/results").status_code == 404
        study_store.close(engine, "open")
        assert client.get("/studies/open/results").status_code == 200


def test_nobody_rated(engine: Engine) -> None:
    made = simulate(3, slug="empty")
    with fresh(engine, Simulated(made.study, made.items, made.orders, [])) as client:
        page = client.get("/studies/empty/results.json").json()
        assert page["ratings"] == 0
        assert page["not_shown"][0].startswith("Nobody rated a card")
        assert all(arm["share"] is None for arm in page["main"]["arms"])
        text = client.get("/studies/empty/results").text
        assert "there is nothing to show" in text
        assert "range-line" not in text
        assert client.get("/studies/empty/ratings.csv").text.count("\n") == 1
        assert client.get("/studies/empty/ratings.parquet").status_code == 200


def test_one_rater_alone(engine: Engine) -> None:
    made = simulate(6, slug="alone", raters=RATERS[:1], extras=False)
    with fresh(engine, made) as client:
        page = client.get("/studies/alone/results.json").json()
        assert page["reliability"] == page["kappas"] == []
        said = " ".join(page["not_shown"])
        assert "One rater only" in said
        assert "No planted card was rated" in said
        assert "No repeated card was rated" in said
        assert "no longer in this database" in said
        assert page["neurons"][0]["href"] is None
        assert page["raters"][0]["strictness"]["deviation"] is None
        text = client.get("/studies/alone/results").text
        assert "With one rater there is nobody to agree with." in text
        assert "No two raters have rated the same card" in text


def test_each_rater_sees_a_neuron_under_one_condition(engine: Engine) -> None:
    made = simulate(9, slug="between", assignment="between")
    with fresh(engine, made) as client:
        page = client.get("/studies/between/results.json").json()
        assert page["reliability"][0]["cards"] == 0
        assert "so agreement cannot be said" in page["readings"]["agreement"]["text"]
        assert [f["pairs"]["both"] for f in page["main"]["falls"]]
        assert page["main"]["detections"][0]["cards"] > 0
        assert client.get("/studies/between/results").status_code == 200


def test_a_single_version_and_condition(engine: Engine) -> None:
    made = simulate(6, slug="single", shares={"left": {"top": 0.5}}, conditions=("top",))
    with fresh(engine, made) as client:
        page = client.get("/studies/single/results.json").json()
        assert [one["side"] for one in page["sides"]] == ["left"]
        assert page["main"]["versions"] == page["main"]["falls"] == []
        assert "One condition only" in " ".join(page["not_shown"])
        assert client.get("/studies/single/results").status_code == 200
