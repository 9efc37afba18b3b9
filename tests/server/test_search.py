"""`/{pair}/search` and `/search`: by name, by token, by label text; hostile input, older runs."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest

from server.definitions import DEFINITIONS
from store import evidence, labels, search
from store.records import LabelRecord
from tests.server.conftest import Served
from tests.server.test_pages import get_json, text_of

SEARCH = "/tiny-pair/search.json?q=self"


def token_ids(served: Served) -> tuple[int, int]:
    """Of ` self` and `self`."""
    vocabulary = served.app.state.site.vocabulary(served.newest.id)
    return vocabulary.index(b" self"), vocabulary.index(b"self")


@pytest.mark.parametrize("name", ["L1N3", "l1n3", "1/3"])
def test_a_name_leads_to_the_neuron(served: Served, name: str) -> None:
    for ending in ("", ".json"):
        answer = served.client.get(f"/tiny-pair/search{ending}", params={"q": name})
        assert answer.status_code == 303
        assert answer.headers["location"] == f"/tiny-pair/1/3{ending}"
        pinned = {"q": name, "run": served.older.id}
        answer = served.client.get(f"/tiny-pair/search{ending}", params=pinned)
        assert answer.headers["location"] == f"/tiny-pair/1/3{ending}?run={served.older.id}"
        assert served.client.get(answer.headers["location"]).status_code == 200


def test_a_name_leads_to_a_candidate(served: Served) -> None:
    answer = served.client.get("/tiny-pair/search?q=l0c0")
    assert answer.headers["location"] == "/tiny-pair/0/invisible/0"


def test_the_other_kind_of_result_forgets_the_token(served: Served) -> None:
    page = get_json(served, f"{SEARCH}&token=270&by=max&layer=1")
    tokens, of_labels = (link["href"] for link in page["found_links"])
    assert of_labels == "/tiny-pair/search?q=self&in=labels"
    assert tokens == "/tiny-pair/search?q=self&in=tokens&token=270&by=max"


def test_a_name_can_be_searched_for_as_text(served: Served) -> None:
    assert get_json(served, "/tiny-pair/search.json?q=1/3&in=tokens")["found"] == "tokens"


def test_the_tokens_that_a_text_is(served: Served) -> None:
    page = get_json(served, SEARCH)
    spaced, bare = token_ids(served)
    assert [choice["token"] for choice in page["exact"]] == [bare, spaced]
    counts = search.token_counts(served.engine, served.newest.id)
    assert counts is not None
    n_of = dict(zip(counts.tokens.tolist(), counts.counts.tolist(), strict=True))
    assert [choice["n"] for choice in page["exact"]] == [n_of[bare], n_of[spaced]]
    assert [choice["text"] for choice in page["exact"]] == ["self", " self"]
    most = max((bare, spaced), key=lambda token: n_of[token])
    assert page["hits"]["token"] == most
    assert [choice["current"] for choice in page["exact"]].count(True) == 1
    chosen = get_json(served, page["exact"][1]["href"].replace("search?", "search.json?"))
    assert chosen["hits"]["token"] == spaced
    typed = get_json(served, "/tiny-pair/search.json?q=+self")
    assert typed["hits"]["token"] == spaced


def test_the_versions_that_are_highest(served: Served) -> None:
    """By mean and by maximum, both sides, each as the index has them."""
    spaced, _ = token_ids(served)
    stored = search.neurons_of_token(served.engine, served.newest.id, spaced)
    for by, field in (("mean", "mean_sd"), ("max", "max_sd")):
        page = get_json(served, f"{SEARCH}&token={spaced}&by={by}&size=20")
        hits = page["hits"]
        assert (hits["by"], hits["kept"]) == (by, 3)
        for side in ("left", "right"):
            expected: list[tuple[float, int, int]] = []
            for one in stored:
                if one.side == side:
                    values = getattr(one, field).tolist()
                    rows = [
                        (-value, one.layer, neuron)
                        for value, neuron in zip(values, one.neurons.tolist(), strict=True)
                    ]
                    expected += sorted(rows)[:3]
            got = [
                (-row[field], row["layer"], row["neuron"]) for row in hits["versions"][side]["rows"]
            ]
            assert got == sorted(expected)
            assert [row["rank"] for row in hits["versions"][side]["rows"]] == [1, 2, 3, 4, 5, 6]


def test_the_other_version_stands_beside(served: Served) -> None:
    spaced, _ = token_ids(served)
    known = {
        (one.side, one.layer, neuron): value
        for one in search.neurons_of_token(served.engine, served.newest.id, spaced)
        for neuron, value in zip(one.neurons.tolist(), one.mean_sd.tolist(), strict=True)
    }
    page = get_json(served, f"{SEARCH}&token={spaced}")
    seen = set()
    for row in page["hits"]["versions"]["left"]["rows"]:
        assert row["twin_sd"] == known.get(("right", row["layer"], row["neuron"]))
        seen.add(row["twin_sd"] is None)
    assert seen == {True, False}


def test_facets_and_pages(served: Served) -> None:
    spaced, _ = token_ids(served)
    address = f"{SEARCH}&token={spaced}"
    whole = get_json(served, address)
    assert [link["text"] for link in whole["layer_links"]] == ["all (12)", "0 (6)", "1 (6)"]
    assert [link["text"] for link in whole["side_links"]] == ["both (12)", "SoLU (6)", "GeLU (6)"]
    one = get_json(served, f"{address}&layer=1&side=right")
    assert one["hits"]["versions"]["left"] is None
    assert {row["layer"] for row in one["hits"]["versions"]["right"]["rows"]} == {1}
    assert [link["text"] for link in one["side_links"]] == ["both (6)", "SoLU (3)", "GeLU (3)"]
    pages = [get_json(served, f"{address}&size=4&page={page}") for page in (1, 2)]
    assert [(page["n_pages"], page["total"]) for page in pages] == [(2, 6), (2, 6)]
    left = [row for page in pages for row in page["hits"]["versions"]["left"]["rows"]]
    assert left == whole["hits"]["versions"]["left"]["rows"]
    assert pages[0]["next_href"].endswith("&size=4&page=2")
    assert (
        get_json(served, pages[1]["previous_href"].replace("search?", "search.json?")) == pages[0]
    )
    assert (pages[0]["previous_href"], pages[1]["next_href"]) == (None, None)


def test_tokens_that_contain_it_are_choices(served: Served) -> None:
    page = get_json(served, "/tiny-pair/search.json?q=script")
    assert page["exact"] == []
    assert {choice["text"] for choice in page["containing"]} == {"<script>", "</script>"}
    counts = [choice["n"] for choice in page["containing"]]
    assert counts == sorted(counts, reverse=True)
    assert page["n_containing"] == 2
    assert page["hits"] is None
    html = served.client.get("/tiny-pair/search?q=script").text
    assert "Choose a token" in html
    assert "<script>" not in re.sub(r"<script (type=\"module\" )?src=\"/static/[^>]*>", "", html)
    only = get_json(served, "/tiny-pair/search.json?q=mouseover")
    assert only["hits"]["text"] == "<b onmouseover=alert(1)>"


def test_a_single_sided_run(served: Served) -> None:
    page = get_json(served, "/solo/search.json?q=self")
    assert page["hits"]["versions"]["right"] is None
    assert page["side_links"] == []
    assert {row["twin_sd"] for row in page["hits"]["versions"]["left"]["rows"]} == {None}


def test_a_run_without_an_index_says_so(served: Served) -> None:
    address = f"/tiny-pair/search?q=self&run={served.older.id}"
    page = get_json(served, address.replace("search?", "search.json?"))
    assert page["has_index"] is False
    assert page["hits"] is None
    assert [choice["n"] for choice in page["exact"]] == [None, None]
    assert f"Run {served.older.id} was published before" in text_of(served.client.get(address).text)
    token = get_json(served, f"/tiny-pair/search.json?token=270&run={served.older.id}")
    assert token["hits"] is None


def test_labels_by_their_words(served: Served) -> None:
    weights = served.newest.pair.left.weights_sha256
    said = "Zwölf <b>Boxkämpfer</b> & “quotes” 50%"
    labels.add(served.engine, LabelRecord(weights, 1, 6, "eve <i>", "unclear", said, 2))
    page = get_json(served, "/tiny-pair/search.json?q=BOXKÄMPFER+zwölf")
    assert (page["found"], page["n_labels"], page["total"]) == ("labels", 1, 1)
    hit = page["labels"][0]
    assert (hit["name"], hit["side"], hit["verdict"]) == ("L1N6", "left", "unclear")
    assert (hit["annotator"], hit["description"], hit["confidence"]) == ("eve <i>", said, 2)
    assert hit["href"] == "/tiny-pair/1/6"
    html = served.client.get("/tiny-pair/search?q=boxk%C3%A4mpfer").text
    assert "&lt;b&gt;Boxkämpfer" in html
    assert "<b>Boxk" not in html
    assert "<i>" not in html.split("<table")[1]
    assert get_json(served, "/tiny-pair/search.json?q=boxk%25mpfer")["n_labels"] == 0
    facet = get_json(served, "/tiny-pair/search.json?q=zwölf&in=labels&layer=0")
    assert (facet["labels"], facet["n_labels"]) == ([], 1)
    assert [link["text"] for link in facet["layer_links"]] == ["all (1)", "0 (0)", "1 (1)"]
    # The other run of the pair has other weights.
    other = get_json(served, f"/tiny-pair/search.json?q=zwölf&run={served.older.id}")
    assert other["n_labels"] == 0


def test_labels_of_candidates(served: Served) -> None:
    candidate = evidence.candidates(served.engine, served.newest.id)[0]
    place = f"/tiny-pair/{candidate.record.layer}/invisible/{candidate.k}"
    answer = served.client.post(
        f"{place}/labels", json={"verdict": "monosemantic", "description": "wombats at dusk"}
    )
    assert answer.status_code == 201
    hit = get_json(served, "/tiny-pair/search.json?q=dusk+wombats")["labels"][0]
    assert (hit["href"], hit["k"], hit["neuron"]) == (place, candidate.k, None)


def test_the_empty_search_teaches(served: Served) -> None:
    html = served.client.get("/tiny-pair/search").text
    assert "Three things to search for" in text_of(html)
    suggested = re.findall(r'href="(/tiny-pair/search\?q=\w+&amp;token=\d+)"', html)
    assert suggested
    for address in suggested:
        assert served.client.get(unescape(address)).status_code == 200


def test_nothing_found_is_said(served: Served) -> None:
    assert "none contains it" in text_of(served.client.get("/tiny-pair/search?q=zzzz").text)
    address = "/tiny-pair/search?q=zzzz&in=labels"
    assert "Nobody wrote these words" in text_of(served.client.get(address).text)
    vocabulary = served.app.state.site.vocabulary(served.newest.id)
    counts = search.token_counts(served.engine, served.newest.id)
    assert counts is not None
    absent = next(i for i in range(len(vocabulary)) if i not in counts.tokens)
    page = get_json(served, f"/tiny-pair/search.json?token={absent}")
    assert page["hits"]["n"] == 0
    assert "nothing is known of it" in page["hits"]["seen"]


HOSTILE = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'; DROP TABLE label; --", "%",
    "_" * 200, "\\", "\\x", "\\\\\\", "\x00", "\u202e", "\ud7ff", "😀", "{{ 7*7 }}", "\n\t", "..",
    "/", "L99999999N1", "1/" + "9" * 60, "%s%n", " ",
)  # fmt: skip


@pytest.mark.parametrize("where", ["/tiny-pair/search", "/search"])
def test_hostile_input_is_harmless(served: Served, where: str) -> None:
    for query in HOSTILE:
        for kind in (None, "tokens", "labels"):
            parameters = {"q": query} | ({"in": kind} if kind and where != "/search" else {})
            answer = served.client.get(where, params=parameters)
            assert answer.status_code in (200, 303, 404), query
            for forbidden in ("<script>alert", "<img", "49 }}", " style=", "<style"):
                assert forbidden not in answer.text, query
            answer = served.client.get(f"{where}.json", params=parameters)
            assert answer.status_code in (200, 303, 404), query
    assert served.client.get("/tiny-pair/search?q=%ff%fe%80").status_code == 200


def test_every_pair_at_once(served: Served) -> None:
    page = get_json(served, "/search.json?q=self")
    assert [pair["pair"] for pair in page["pairs"]] == ["solo", "tiny-pair"]
    assert all(
        [one["text"] for one in pair["exact"]] == ["self", " self"] for pair in page["pairs"]
    )
    assert page["pairs"][1]["href"] == "/tiny-pair/search?q=self"
    named = get_json(served, "/search.json?q=L1N3")["pairs"]
    assert named[0]["neuron"] is None
    assert named[1]["neuron"]["href"] == "/tiny-pair/1/3"
    html = served.client.get("/search?q=self").text
    assert 'href="/tiny-pair/search?q=self' in html
    assert served.client.get("/search").status_code == 200


BOX = re.compile(
    r'<form class="search" role="search" method="get" action="([^"]+)">(.*?)</form>', re.S
)


@pytest.mark.parametrize(
    ("address", "action"),
    [
        ("/", "/search"),
        ("/runs", "/search"),
        ("/definitions", "/search"),
        ("/docs", "/search"),
        ("/nothing", "/search"),
        ("/tiny-pair", "/tiny-pair/search"),
        ("/tiny-pair/0/1", "/tiny-pair/search"),
        ("/tiny-pair/tax", "/tiny-pair/search"),
        ("/tiny-pair/0/invisible", "/tiny-pair/search"),
        ("/tiny-pair/0/invisible/0", "/tiny-pair/search"),
        ("/tiny-pair/0/1/labels", "/tiny-pair/search"),
    ],
)
def test_the_box_is_on_every_page(served: Served, address: str, action: str) -> None:
    found = BOX.search(served.client.get(address).text)
    assert found is not None
    assert found[1] == action
    assert 'data-key="/' in found[2]


def test_the_box_keeps_the_run(served: Served) -> None:
    html = served.client.get(f"/tiny-pair/0/1?run={served.older.id}").text
    found = BOX.search(html)
    assert found is not None
    assert f'<input type="hidden" name="run" value="{served.older.id}">' in found[2]
    loose = BOX.search(served.client.get("/tiny-pair/0/1").text)
    assert loose is not None
    assert "hidden" not in loose[2].replace("visually-hidden", "")


def test_its_numbers_are_defined(served: Served) -> None:
    html = served.client.get("/tiny-pair/search?q=self").text
    for key in set(re.findall(r'popovertarget="def-(\w+)"', html)):
        assert f'id="def-{key}"' in html
    keys = {key for key, one in DEFINITIONS.items() if one.source == "token-search"}
    assert keys == {"token_mean", "token_max", "token_sd", "token_twin", "token_kept"}


def test_a_search_is_never_kept(served: Served) -> None:
    for address in (f"/tiny-pair/search?q=self&run={served.newest.id}", "/search?q=self"):
        assert served.client.get(address).headers["cache-control"] == "no-cache"
    assert served.client.get("/tiny-pair/search?q=L0N1").headers["cache-control"] == "no-store"


def test_the_permalink_shows_the_same(served: Served) -> None:
    page: dict[str, Any] = get_json(served, f"{SEARCH}&by=max")
    pinned = get_json(served, page["permalink"].replace("search?", "search.json?"))
    assert pinned["pinned"] is True
    versions = [one["hits"]["versions"]["left"]["rows"] for one in (page, pinned)]
    for mine, other in zip(*versions, strict=True):
        assert {**mine, "href": f"{mine['href']}?run={served.newest.id}"} == other
