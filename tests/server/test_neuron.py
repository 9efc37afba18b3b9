"""The side by side's JSON contract (docs/api.md), and what stands in each column."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.server.conftest import Served
from tests.server.test_pages import get_json

PAGE_KEYS = {"pair", "run", "layer", "neuron", "pairing", "permalink", "versions"}
VERSION_KEYS = {
    *("model", "act_fn", "layer", "neuron", "display_site", "sites", "examples", "senses"),
    *("logit_effects", "evidence", "partners"),
}
SITE_KEYS = {
    *("hook_point", "n", "mean", "std", "skewness", "kurtosis", "min", "max", "histogram"),
}
EXAMPLE_KEYS = {
    *("band", "rank", "document", "source", "window", "position", "activation", "tokens"),
    *("focus", "values", "other"),
}


def every_number(found: Any) -> list[float]:
    if isinstance(found, dict):
        return [number for value in found.values() for number in every_number(value)]
    if isinstance(found, list):
        return [number for value in found for number in every_number(value)]
    return [found] if isinstance(found, float) else []


@pytest.mark.parametrize("neuron", range(4))
def test_the_contract(served: Served, neuron: int) -> None:
    page = get_json(served, f"/tiny-pair/1/{neuron}.json")
    assert page.keys() >= PAGE_KEYS
    assert (page["pair"], page["layer"], page["neuron"]) == ("tiny-pair", 1, neuron)
    assert page["run"] == served.newest.id
    assert page["permalink"] == f"/tiny-pair/1/{neuron}?run={served.newest.id}"
    assert all(math.isfinite(number) for number in every_number(page))
    left, right = page["versions"]["left"], page["versions"]["right"]
    assert list(left["sites"]) == ["pre", "mid", "post"]
    assert list(right["sites"]) == ["pre", "post"]
    assert (left["display_site"], right["display_site"]) == ("mid", "post")
    for version, other in ((left, right), (right, left)):
        assert version.keys() >= VERSION_KEYS
        for site in version["sites"].values():
            assert site.keys() >= SITE_KEYS
            assert sum(site["histogram"]["counts"]) == site["n"] == served.newest.n_tokens
            assert len(site["histogram"]["edges"]) + 1 == len(site["histogram"]["counts"])
        for example in version["examples"]:
            assert example.keys() >= EXAMPLE_KEYS
            length = len(example["tokens"])
            assert 0 <= example["focus"] < length
            assert list(example["values"]) == list(version["sites"])
            assert all(len(values) == length for values in example["values"].values())
            assert list(example["other"]["values"]) == list(other["sites"])
            assert 0 <= example["other"]["quantile"] <= 1
            shown = example["values"][version["display_site"]][example["focus"]]
            assert math.isclose(shown, example["activation"], rel_tol=1e-3, abs_tol=1e-6)
        for token, effect in version["logit_effects"]["promoted"]:
            assert isinstance(token, str)
            assert isinstance(effect, float)


def test_what_is_undefined_is_null(served: Served) -> None:
    dead = get_json(served, "/tiny-pair/0/0.json")["versions"]["left"]
    assert dead["sites"]["mid"]["kurtosis"] is None
    assert dead["sites"]["mid"]["std"] == 0
    assert dead["correspondence"]["best_neuron"] is None
    assert dead["partners"] == []


def test_bands_index_their_examples(served: Served) -> None:
    version = get_json(served, "/tiny-pair/0/3.json")["versions"]["left"]
    indexed = [n for band in version["bands"] for n in band["examples"]]
    assert sorted(indexed) == list(range(len(version["examples"])))
    for band in version["bands"]:
        kinds = {version["examples"][n]["band"] for n in band["examples"]}
        assert kinds == {band["key"]}
    assert version["bands"][0]["key"] == "top"
    by_key = {band["key"]: band for band in version["bands"]}
    assert by_key["q90-99"]["low"] == version["band_edges"]["q90"]
    assert by_key["q90-99"]["high"] == version["band_edges"]["q99"]
    right = get_json(served, "/tiny-pair/0/3.json")["versions"]["right"]
    assert "lifted" not in {band["key"] for band in right["bands"]}


def test_tokens_are_strings_whatever_their_bytes(served: Served) -> None:
    examples = get_json(served, "/tiny-pair/0/3.json")["versions"]["left"]["examples"]
    tokens = {token for example in examples for token in example["tokens"]}
    assert any(token.startswith("\\x") and len(token) == 4 for token in tokens)
    assert "<script>" in tokens
    assert "pieces" not in examples[0]


def test_matching_shows_the_anchors_best_match(served: Served) -> None:
    """Neuron 2's best match is its neighbour, on either side."""
    page = get_json(served, "/tiny-pair/0/2.json?pairing=match")
    left, right = page["versions"]["left"], page["versions"]["right"]
    assert (left["neuron"], right["neuron"]) == (2, 3)
    assert page["permalink"] == f"/tiny-pair/0/2?pairing=match&run={served.newest.id}"
    assert all(example["other"]["neuron"] == 3 for example in left["examples"])
    assert all(example["other"]["shown"] for example in left["examples"])
    # Neuron 3's own best match is 3, which is not in the left column: the page says so.
    assert not any(example["other"]["shown"] for example in right["examples"])

    page = get_json(served, "/tiny-pair/0/2.json?pairing=match&anchor=right")
    assert page["versions"]["left"]["neuron"] == 3
    assert page["versions"]["right"]["neuron"] == 2
    assert "anchor=right" in page["permalink"]


def test_same_index_shows_same_index_values(served: Served) -> None:
    page = get_json(served, "/tiny-pair/0/2.json")
    for version in page["versions"].values():
        assert {example["other"]["neuron"] for example in version["examples"]} == {2}


def test_a_neuron_without_a_match_stands_alone(served: Served) -> None:
    page = get_json(served, "/tiny-pair/0/0.json?pairing=match")
    assert page["versions"]["right"] is None
    assert served.client.get("/tiny-pair/0/0?pairing=match").status_code == 200


def test_a_single_sided_run_has_no_right_version(served: Served) -> None:
    page = get_json(served, "/solo/0/1.json")
    assert page["versions"]["right"] is None
    assert page["cka"] is None
    assert all(example["other"] is None for example in page["versions"]["left"]["examples"])
    assert [link["text"] for link in page["links"]["pairings"]] == ["same index"]


def test_a_site_that_is_not_there_falls_back_to_the_display_site(served: Served) -> None:
    versions = get_json(served, "/tiny-pair/0/3.json?site=mid")["versions"]
    assert versions["left"]["shown_site"] == "mid"
    assert versions["right"]["shown_site"] == "post"


def test_links_lead_through_all_neurons(served: Served) -> None:
    def links(address: str) -> Any:
        return get_json(served, address)["links"]

    assert links("/tiny-pair/0/0.json")["previous"] is None
    assert links("/tiny-pair/0/7.json")["next"] == "/tiny-pair/1/0"
    assert links("/tiny-pair/1/0.json")["previous"] == "/tiny-pair/0/7"
    assert links("/tiny-pair/1/7.json")["next"] is None
    run = served.older.id
    pinned = links(f"/tiny-pair/0/3.json?site=pre&run={run}")
    assert pinned["next"] == f"/tiny-pair/0/4?site=pre&run={run}"
    assert pinned["newest"] == "/tiny-pair/0/3?site=pre"
    assert links("/tiny-pair/0/3.json")["newest"] is None
    for kind in ("pairings", "sites", "layers"):
        assert sum(link["current"] for link in pinned[kind]) == 1
