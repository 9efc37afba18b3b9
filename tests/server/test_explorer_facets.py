"""Facets: each link leads to as many rows as it says, and can be taken back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.conftest import Served
from tests.server.test_pages import get_json

OF_EVIDENCE = ("hidden_share", "polysemanticity")
OF_DISTRIBUTION = ("density", "kurtosis")


def json_of(href: str) -> str:
    """The JSON twin of an explorer's address."""
    path, _, query = href.partition("?")
    return f"{path}.json?{query}"


def facets_of(served: Served, address: str) -> dict[str, Any]:
    return {facet["key"]: facet for facet in get_json(served, address)["facets"]}


@pytest.mark.parametrize(
    "address",
    ["/tiny-pair.json", "/tiny-pair.json?side=left&max__gte=0", "/tiny-pair.json?rows=pair"],
)
def test_a_link_leaves_as_many_rows_as_it_says(served: Served, address: str) -> None:
    facets = facets_of(served, address)
    keys = set(facets)
    if "pair" in address.partition("?")[2]:
        assert {"layer", "left_hidden_share", "right_hidden_share"} <= keys
    else:
        assert keys == {"layer", "labels", "best_correlation", *OF_EVIDENCE, *OF_DISTRIBUTION}
    for facet in facets.values():
        for link, counted in zip(facet["links"], facet["counts"], strict=True):
            assert get_json(served, json_of(link["href"]))["total"] == counted, link
    assert facets["layer"]["most"] == max(facets["layer"]["counts"]) > 0


def test_a_facet_in_force_shows_the_others_and_is_removed(served: Served) -> None:
    before = facets_of(served, "/tiny-pair.json")["hidden_share"]
    there = json_of(before["links"][1]["href"])
    page = get_json(served, there)
    assert [one["sentence"] for one in page["filters"]] == [
        "hidden share at least 0.25 of effect",
        "hidden share at most 0.5 of effect",
    ]
    facet = {one["key"]: one for one in page["facets"]}["hidden_share"]
    assert facet["counts"] == before["counts"], "of its own column the filter does not count"
    assert [link["current"] for link in facet["links"]] == [False, True, False, False]
    assert facet["links"][1]["href"] == "/tiny-pair"
    other = get_json(served, json_of(facet["links"][3]["href"]))
    assert [one["sentence"] for one in other["filters"]] == ["hidden share at least 0.75 of effect"]


def test_without_evidence_there_are_no_bands_of_it(served: Served) -> None:
    facets = facets_of(served, f"/tiny-pair.json?run={served.older.id}")
    assert set(facets) == {"layer", "labels", "best_correlation", *OF_DISTRIBUTION}
    alone = set(facets_of(served, "/solo.json"))
    assert alone == {"labels", *OF_EVIDENCE, *OF_DISTRIBUTION}
