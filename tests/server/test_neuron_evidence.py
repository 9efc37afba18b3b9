"""Evidence on the side by side: its JSON contract, what the page says of it, and without it."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from store.evidence_records import CURVE_QUANTILES
from tests.server.conftest import Served
from tests.server.test_neuron import every_number
from tests.server.test_pages import get_json, text_of
from tests.synthetic_run import DEAD

HIDDEN_KEYS = {
    *("share", "method", "error", "interval", "effect", "estimated_share", "curve", "mass"),
}
POLYSEMANTICITY_KEYS = {
    *("score", "bands", "token_entropy", "token_variance_explained", "max_token_share"),
}


def versions(served: Served, address: str) -> Any:
    return get_json(served, address)["versions"]


def page_text(served: Served, address: str) -> str:
    answer = served.client.get(address)
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", text_of(answer.text))


@pytest.mark.parametrize("neuron", [1, 2, 3])
def test_the_contract(served: Served, neuron: int) -> None:
    page = get_json(served, f"/tiny-pair/0/{neuron}.json")
    assert all(math.isfinite(number) for number in every_number(page))
    assert page["evidence"]["published_at"] is not None
    for side, version in page["versions"].items():
        evidence = version["evidence"]
        hidden, meaning = evidence["hidden"], evidence["polysemanticity"]
        assert hidden.keys() >= HIDDEN_KEYS
        assert meaning.keys() >= POLYSEMANTICITY_KEYS
        assert hidden["curve"]["quantiles"] == list(CURVE_QUANTILES)
        assert hidden["curve"]["share"][-2] == pytest.approx(hidden["share"], abs=1e-6)
        bins = version["sites"][version["display_site"]]["histogram"]["counts"]
        assert len(hidden["mass"]) == len(bins)
        assert sum(hidden["mass"]) == pytest.approx(hidden["effect"], rel=1e-3)  # half precision
        known = [score for score in meaning["bands"].values() if score is not None]
        assert meaning["score"] == pytest.approx(max(known))
        assert meaning["bands"][meaning["band"]] == max(known)
        assert (evidence["joint_density"] is None) == (side == "right")


def test_a_method_is_said_with_its_error(served: Served) -> None:
    """Neuron 2 has an estimate; the layer's exact values are compared as estimates with it."""
    exact = versions(served, "/tiny-pair/0/3.json")["left"]["evidence"]["hidden"]
    estimate = versions(served, "/tiny-pair/0/2.json")["left"]["evidence"]["hidden"]
    assert (exact["method"], exact["error"]) == ("exact", None)
    assert (estimate["method"], estimate["error"]) == ("estimate", pytest.approx(0.04))
    assert exact["check"]["n_neurons"] == 8
    assert 0 < exact["layer_median"] < 1
    assert 0 <= exact["layer_quantile"] <= 1
    assert estimate["layer_quantile"] is None
    assert estimate["layer_median"] is None  # the median is of exact values
    assert "estimate ± 4.0 points" in page_text(served, "/tiny-pair/0/2")
    assert "exact" in page_text(served, "/tiny-pair/0/3")


def test_what_is_not_computed_is_null_and_said(served: Served) -> None:
    run = served.older.id
    page = get_json(served, f"/tiny-pair/0/3.json?run={run}")
    assert page["evidence"] == {"published_at": None, "command": f"twinscope evidence {run}"}
    assert page["hidden_comparison"] is None
    for version in page["versions"].values():
        assert version["evidence"] is None
        assert version["senses"] == []
    text = page_text(served, f"/tiny-pair/0/3?run={run}")
    assert "Not computed yet: what the top examples hide" in text
    assert page["evidence"]["command"] in text
    assert "Counterexamples" not in text


@pytest.mark.parametrize("path", ["", "/tax", "/0/invisible", "/0/3"])
def test_a_page_without_evidence_leads_to_where_its_computing_is_shown(
    served: Served, path: str
) -> None:
    """In a demo's first minutes the command would be of no use: it is running."""
    run = served.older.id
    text = served.client.get(f"/tiny-pair{path}?run={run}").text
    assert f'<a href="/runs/{run}">The run’s page</a> says whether it is being computed' in text


def test_a_version_without_effect_says_so(served: Served) -> None:
    hidden = versions(served, f"/tiny-pair/0/{DEAD}.json")["left"]["evidence"]["hidden"]
    assert hidden["share"] is None
    assert set(hidden["curve"]["share"]) == {None}
    text = page_text(served, f"/tiny-pair/0/{DEAD}")
    assert "Ablating it changed nothing" in text
    assert "cannot be compared" in text


def test_senses_index_their_examples(served: Served) -> None:
    version = versions(served, "/tiny-pair/0/1.json")["left"]
    assert len(version["senses"]) == 2
    assert sum(sense["share"] for sense in version["senses"]) == pytest.approx(1)
    for sense in version["senses"]:
        assert sense.keys() >= {"share", "tokens", "examples", "band"}
        shown = [version["examples"][n] for n in sense["examples"]]
        assert {(one["band"], one["rank"] % 2) for one in shown} == {("top", sense["rank"])}


def test_a_sense_shows_its_examples_alone(served: Served) -> None:
    address = "/tiny-pair/0/1"
    sense = versions(served, f"{address}.json")["left"]["senses"][1]
    assert sense["href"] == f"{address}?sense=left:1"
    whole, part = served.client.get(address).text, served.client.get(sense["href"]).text

    def examples(page: str, side: str) -> list[str]:
        return re.findall(rf'<li class="example" id="{side}-(top-\d+)"', page)

    assert examples(part, "left") == [f"top-{n}" for n in (1, 3, 5)]
    assert len(examples(whole, "left")) > 3
    assert examples(part, "right") == examples(whole, "right")
    assert "None of its 5 examples belongs to sense 2." in text_of(part)

    page = get_json(served, f"{address}.json?sense=left:1")
    assert page["versions"]["left"]["shown_sense"] == 1
    assert len(page["versions"]["left"]["examples"]) > 3
    assert page["versions"]["left"]["senses"][1]["href"] == address  # all again
    assert page["versions"]["left"]["senses"][0]["href"] == f"{address}?sense=left:0"
    right = page["versions"]["right"]["senses"][0]["href"]
    assert right == f"{address}?sense=left:1,right:0"
    assert page["permalink"] == f"{address}?sense=left:1&run={served.newest.id}"
    assert page["links"]["next"] == "/tiny-pair/0/2"  # another neuron has other senses


def test_a_sense_that_is_not_there_shows_all(served: Served) -> None:
    page = get_json(served, "/tiny-pair/0/1.json?sense=left:99")
    assert page["versions"]["left"]["shown_sense"] is None
    assert served.client.get("/tiny-pair/0/1?sense=left:99").status_code == 200
    for wrong in ("1", "middle:1", "left:x", "left:1,"):
        answer = served.client.get(f"/tiny-pair/0/1.json?sense={wrong}")
        assert answer.status_code == 422, wrong


def test_counterexamples_say_what_was_changed(served: Served) -> None:
    left = versions(served, "/tiny-pair/0/3.json")["left"]
    found = left["evidence"]["counterexamples"]
    assert [one["kind"] for one in found] == ["unlike"] * 2 + ["silent"] * 2 + ["substitution"] * 3
    for one in found:
        assert len(one["tokens"]) == len(one["values"]["mid"])
        assert 0 <= one["focus"] < len(one["tokens"])
    changed = found[4]
    assert changed["tokens"][changed["changed"]] == changed["new_token"]
    assert changed["new_token"] != changed["original_token"]
    assert (changed["original_activation"], changed["activation"]) == (0.5, 3.25)
    text = page_text(served, "/tiny-pair/0/3")
    assert "At mid from 0.500 to 3.25, by a forward pass." in text
    assert "The token ' self'." in text


def test_a_search_that_was_not_made_names_its_command(served: Served) -> None:
    page = get_json(served, "/tiny-pair/0/4.json")
    left, right = page["versions"]["left"]["evidence"], page["versions"]["right"]["evidence"]
    assert (left["search"]["searched"], left["search"]["tried"]) == (True, 512)
    assert right["search"]["searched"] is False
    command = f"twinscope counterexamples {served.newest.id} --neuron L0N4"
    assert right["search"]["command"] == command
    text = page_text(served, "/tiny-pair/0/4")
    assert "None found in 512 replacements." in text
    assert f"Not searched. {command}" in text


def test_candidates_are_linked(served: Served) -> None:
    found = versions(served, "/tiny-pair/0/3.json")["left"]["evidence"]["candidates"]
    assert [(one["k"], one["side"], one["own"]) for one in found] == [
        (0, "left", True),
        (1, "left", True),
        (2, "right", False),
    ]
    run = served.newest.id
    pinned = versions(served, f"/tiny-pair/0/3.json?run={run}")["left"]["evidence"]["candidates"]
    assert pinned[0]["href"] == f"/tiny-pair/0/invisible/0?run={run}"
    page = served.client.get("/tiny-pair/0/3").text
    assert 'href="/tiny-pair/0/invisible/2"' in page
    assert served.client.get("/tiny-pair/0/invisible/2").status_code == 200
    assert "It takes part in no candidate invisible feature" in page_text(served, "/tiny-pair/1/3")


def test_lifted_examples_are_ringed_in_the_joint_density(served: Served) -> None:
    page = served.client.get("/tiny-pair/0/3?examples=all").text
    (figure,) = re.findall(r'<svg class="figure joint-density left".*?median of mid', page, re.S)
    assert "mid) and after (post)" in figure
    rings = re.findall(r'<a href="#left-(lifted-\d)" aria-label="lifted example', page)
    assert rings == [f"lifted-{n}" for n in range(5)]
    for ring in rings:
        assert f'id="left-{ring}"' in page


@pytest.mark.parametrize("address", ["/tiny-pair/0/3", "/tiny-pair/0/0", "/solo/0/3"])
def test_every_number_has_its_definition(served: Served, address: str) -> None:
    """A term opens a definition that is on the page; the evidence's are all there."""
    page = served.client.get(address).text
    asked = set(re.findall(r'popovertarget="def-([a-z_]+)"', page))
    assert asked <= set(re.findall(r'id="def-([a-z_]+)"', page))
    evidence = {"hidden_share", "effect", "effect_mass", "polysemanticity", "sense", "candidate"}
    assert asked >= evidence | {"counterexample", "joint_density"}
