"""The tax page: differences in both units, fairness of the control, panels, labels, readings."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from server.compose import tax
from server.intervals import median_interval, quantile, wilson
from store.evidence_records import LossDifferenceRecord
from tests.server.conftest import Served
from tests.server.test_pages import get_json, text_of

NAMES = {"left": "SoLU", "right": "GeLU", "control": "SoLU without LayerNorm"}
RECORD = LossDifferenceRecord("left", "right", "", 40, 20_000, 63_000, 0.02, (0.01, 0.03))


def test_the_page_and_its_twin_say_the_same(served: Served) -> None:
    found = get_json(served, "/tiny-pair/tax.json")
    page = text_of(served.client.get("/tiny-pair/tax").text)
    assert found["permalink"] == f"/tiny-pair/tax?run={served.newest.id}"
    readings = [found["loss_reading"], found["control"]["reading"], found["label_reading"]]
    for layer in found["layers"]:
        readings += [layer[key] for key in layer if key.endswith("_reading")]
    assert len(readings) == 3 + 4 * 2
    for reading in readings:
        assert reading["text"] in page
        assert reading["not_meant"]
    for one in found["published"]:
        assert one["claim"] in page
        assert one["source"] in page


def test_losses_are_those_of_the_pair_all_sources_first(served: Served) -> None:
    found = get_json(served, "/tiny-pair/tax.json")
    losses = found["losses"]
    assert [(one["side"], one["against"]) for one in losses] == [("left", "right")] * 3
    assert [one["source"] for one in losses] == ["all", "site-packages", "stdlib"]
    whole = losses[0]
    assert whole["nats_per_token"] == 0.0007
    assert math.isclose(whole["bits_per_byte"], 0.0007 * 20_000 / 63_000 / math.log(2))
    assert whole["bits_interval"][0] < whole["bits_per_byte"] < whole["bits_interval"][1]
    assert whole["seen"] is False
    assert found["loss_reading"]["text"].startswith("No difference seen between SoLU and GeLU")
    control = found["control"]
    assert {(one["side"], one["against"]) for one in control["differences"]} == {
        ("left", "control"),
        ("control", "right"),
    }
    assert all(one["seen"] for one in control["differences"])


def test_a_source_of_its_own_is_no_second_row() -> None:
    alone = [RECORD, replace(RECORD, source="stdlib")]
    assert [one.source for one in tax.differences(alone, ("left",), ("right",), NAMES)] == ["all"]
    two = [*alone, replace(RECORD, source="installed")]
    shown = tax.differences(two, ("left",), ("right",), NAMES)
    assert [one.source for one in shown] == ["all", "installed", "stdlib"]


def test_bits_a_byte_need_bytes() -> None:
    view = tax.difference_view(replace(RECORD, n_bytes=0), NAMES)
    assert (view.bits_per_byte, view.bits_interval) == (None, None)


@pytest.mark.parametrize(
    ("trained", "fair", "words"),
    [
        ({"left": 27, "right": 27, "control": 10}, False, "2.7 times as many"),
        ({"left": 27, "right": 27, "control": 27}, True, ""),
        ({"left": 27}, None, "not recorded"),
        ({}, None, "not recorded"),
    ],
)
def test_fairness_comes_from_the_training(
    served: Served, trained: dict[str, int], fair: bool | None, words: str
) -> None:
    losses = {side: {"tokens_trained": tokens} for side, tokens in trained.items()}
    run = replace(served.newest, provenance={"training": {"losses": losses}})
    control = tax.control_view(run, [replace(RECORD, against="control")], NAMES)
    assert control is not None
    assert control.fair is fair
    assert words in control.warning
    assert bool(control.warning) is (fair is not True)
    assert ("this is not the tax" in control.reading.text) is (fair is not True)
    assert tax.control_view(run, [RECORD], NAMES) is None


def test_provenance_of_another_kind_is_no_fault() -> None:
    for provenance in ({}, {"training": None}, {"training": {"losses": [1]}},
                       {"training": {"losses": {"left": {"tokens_trained": "many"}}}}):  # fmt: skip
        assert tax.trained_tokens(provenance, "left") is None


def test_layers_have_both_versions_and_exact_medians(served: Served) -> None:
    found = get_json(served, "/tiny-pair/tax.json")
    assert [layer["layer"] for layer in found["layers"]] == [0, 1]
    left, right = (found["layers"][0]["versions"][side] for side in ("left", "right"))
    assert left["rescue"] is not None
    assert right["rescue"] is None
    assert math.isclose(sum(left["rescue"]), 1)
    assert left["hidden"]["n_exact"] == 6
    assert left["hidden"]["n_estimate"] == 1
    low, high = left["hidden"]["median_interval"]
    assert low <= left["hidden"]["median"] <= high
    estimates = found["layers"][1]["versions"]["left"]["hidden"]
    assert (estimates["n_exact"], estimates["median"]) == (0, None)
    rows = get_json(
        served, "/tiny-pair.json?layer=0&side=left&hidden_method__eq=exact&sort=hidden_share"
    )["rows"]
    shares = [row["values"]["hidden_share"] for row in rows]
    defined = [share for share in shares if share is not None]
    assert math.isclose(left["hidden"]["median"], (defined[2] + defined[3]) / 2)


def test_labels_are_counted_by_version(served: Served) -> None:
    before = get_json(served, "/tiny-pair/tax.json")["labels"][1]
    for verdict in ("dead", "monosemantic"):
        body = {"side": "right", "verdict": verdict}
        assert served.client.post("/tiny-pair/1/5/labels", json=body).status_code == 201
    answer = served.client.get("/tiny-pair/tax.json")
    after = answer.json()["labels"][1]
    assert after["n_labelled"] == before["n_labelled"] + 1
    assert after["n_monosemantic"] == before["n_monosemantic"] + 1
    assert after["interval"][0] < after["share"] <= after["interval"][1]
    assert answer.headers["cache-control"] == "no-cache"


def test_a_run_without_evidence_says_what_computes_it(served: Served) -> None:
    address = f"/tiny-pair/tax?run={served.older.id}"
    found = get_json(served, address.replace("tax?", "tax.json?"))
    assert found["stage"]["published"] is False
    assert (found["losses"], found["control"], found["layers"]) == ([], None, [])
    page = text_of(served.client.get(address).text)
    assert f"twinscope evidence {served.older.id}" in page


def test_a_single_side_has_nothing_to_be_compared_with(served: Served) -> None:
    found = get_json(served, "/solo/tax.json")
    assert found["losses"] == []
    assert found["control"] is not None
    assert found["layers"][0]["versions"]["right"] is None
    assert len(found["labels"]) == 1
    assert "A single model has nothing" in text_of(served.client.get("/solo/tax").text)


def test_every_term_has_its_definition(served: Served) -> None:
    for address in (
        "/tiny-pair/tax",
        f"/tiny-pair/tax?run={served.older.id}",
        "/solo/tax",
        "/tiny-pair/0/invisible",
        "/tiny-pair/0/invisible/0",
    ):
        page = served.client.get(address).text
        asked = set(re.findall(r'popovertarget="def-([a-z_0-9]+)"', page))
        assert asked
        assert asked <= set(re.findall(r'<div popover id="def-([a-z_0-9]+)"', page)), address


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("/nothing/tax", "pair_not_found"),
        ("/tiny-pair/tax?run=ffffffffff", "run_not_found"),
        ("/coming-pair/tax", "run_not_published"),
    ],
)
def test_a_tax_of_nothing(served: Served, address: str, code: str) -> None:
    answer = served.client.get(address, headers={"Accept": "application/json"})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == code


def test_wilson_is_wilsons() -> None:
    assert wilson(0, 0) is None
    low, high = wilson(7, 10) or (0, 0)
    assert (round(low, 4), round(high, 4)) == (0.3968, 0.8922)
    assert (wilson(0, 5) or (1, 0))[0] == 0
    assert (wilson(5, 5) or (0, 0))[1] == 1


def test_the_medians_interval_holds_its_coverage() -> None:
    assert median_interval([1.0] * 5) is None
    assert median_interval([1.0, 2, 3, 4, 5, 6]) == (1, 6)
    assert median_interval(list(range(1, 101))) == (40, 61)
    low, high = median_interval(list(range(1, 2049))) or (0, 0)
    assert 975 <= low <= 981
    assert low + high == 2049
    assert quantile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.5


@pytest.mark.parametrize(("documents", "known"), [(1, False), (4, False), (5, True)])
def test_of_a_handful_of_documents_no_interval_is_given(documents: int, known: bool) -> None:
    view = tax.difference_view(replace(RECORD, n_documents=documents), NAMES)
    assert view.seen == known
    assert (view.nats_interval is not None) == (view.bits_interval is not None) == known
    assert view.nats_per_token == RECORD.difference
