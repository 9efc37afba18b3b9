"""Every page answers, agrees with its JSON twin, and escapes what came from a corpus."""

from __future__ import annotations

import json
import math
import re
from html import unescape
from typing import Any

import pytest

from tests.server.conftest import Served

PAGES = (
    "/",
    "/runs",
    "/runs/{newest}",
    "/definitions",
    "/tiny-pair",
    "/tiny-pair?layer=1&side=left&kurtosis__gte=1&sort=-kurtosis&page=1&size=3",
    "/tiny-pair?rows=pair&layer=1&left_kurtosis__gte=1&sort=-diff_kurtosis&size=3",
    "/tiny-pair/tax",
    "/tiny-pair/tax?run={older}",
    "/tiny-pair/0/invisible",
    "/tiny-pair/1/invisible",
    "/tiny-pair/0/invisible/2",
    "/tiny-pair/0/invisible/2/labels",
    "/tiny-pair/0/3",
    "/tiny-pair/0/2?pairing=match&anchor=right&site=pre",
    "/tiny-pair/1/0?run={older}",
    "/tiny-pair/0/3/labels",
    "/solo",
    "/solo/tax",
    "/solo/0/invisible/0",
    "/solo/0/1",
    "/solo/0/1/labels",
)


def get_json(served: Served, address: str) -> Any:
    """The JSON at an address that must answer; NaN and Infinity are no JSON."""
    answer = served.client.get(address)
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


def twin(address: str) -> str:
    path, mark, query = address.partition("?")
    return f"{'/index' if path == '/' else path}.json{mark}{query}"


def text_of(html: str) -> str:
    """What a reader sees, without markup; spaces that keep a line together are spaces."""
    return unescape(re.sub(r"<[^>]*>", "", html)).replace("\N{NO-BREAK SPACE}", " ")


def at(served: Served, address: str) -> str:
    return address.format(newest=served.newest.id, older=served.older.id)


@pytest.mark.parametrize("address", PAGES)
def test_a_page_and_its_twin_answer(served: Served, address: str) -> None:
    page = served.client.get(at(served, address))
    assert page.status_code == 200, page.text
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    found = get_json(served, twin(at(served, address)))
    assert found["json_href"].replace("&", "&amp;") in page.text.replace("&#38;", "&amp;")


@pytest.mark.parametrize("address", PAGES)
def test_no_link_leads_nowhere(served: Served, address: str) -> None:
    here = at(served, address)
    hrefs = re.findall(r'<a [^>]*?href="(/[^"]*)"', served.client.get(here).text)
    links = {unescape(href).partition("#")[0] for href in hrefs}
    # One of each kind: numbers differ from neuron to neuron.
    kinds = {re.sub(r"\d+", "0", link): link for link in sorted(links) if "/random" not in link}
    assert len(kinds) > 3
    for link in kinds.values():
        assert served.client.get(link).status_code == 200, (here, link)


def test_the_docs_describe_every_route(served: Served) -> None:
    document = get_json(served, "/openapi.json")
    page = served.client.get("/docs")
    assert page.status_code == 200
    assert "/{pair}/{layer}/{neuron}.json" in document["paths"]
    assert "/tiny-pair" not in document["paths"]
    for path in document["paths"]:
        assert path in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    properties = document["components"]["schemas"]["ExampleView"]["properties"]
    assert "tokens" in properties
    assert "pieces" not in properties


def test_home_names_pairs_runs_and_what_is_under_way(served: Served) -> None:
    found = get_json(served, "/index.json")
    pairs = {pair["slug"]: pair for pair in found["pairs"]}
    assert set(pairs) == {"solo", "tiny-pair"}
    assert pairs["tiny-pair"]["run"]["id"] == served.newest.id
    assert pairs["tiny-pair"]["n_versions"] == 2 * 2 * 8
    assert len(pairs["solo"]["models"]) == 1
    assert [run["id"] for run in found["runs"]][-1] == served.older.id
    (under_way,) = found["progress"]
    assert under_way["share"] == 0.25
    assert under_way["seconds_left"] == 15
    page = text_of(served.client.get("/").text)
    for text in ("Tiny pair tiny-pair", served.newest.id, "coming-pair", "SoLU", "GeLU"):
        assert text in page


def test_home_leads_to_evidence_where_there_is_some(served: Served) -> None:
    (pair,) = [one for one in get_json(served, "/index.json")["pairs"] if one["slug"] == "solo"]
    begin = [link["href"] for link in pair["begin"]]
    assert begin == [
        "/solo?hidden_method__eq=exact&sort=-hidden_share",
        "/solo?sort=-polysemanticity",
        "/solo/tax",
        "/solo/random",
    ]
    further = [link["href"] for link in pair["further"]]
    assert "/solo/0/invisible" in further
    for href in (*begin[:-1], *further):
        assert served.client.get(href).status_code == 200
    assert served.client.get(begin[-1]).status_code == 307


def test_a_run_says_what_it_is_of(served: Served) -> None:
    found = get_json(served, f"/runs/{served.newest.id}.json")
    assert found["identity_sha256"].startswith(found["id"])
    assert found["parameters"] == {"tokens": 1000, "seed": 1}
    assert found["corpus_problems"] == ["<b>no</b> \N{REPLACEMENT CHARACTER} text"]
    whole = [loss for loss in found["losses"] if loss["source"] == "all"]
    assert {loss["side"] for loss in whole} == {"left", "right"}
    left = next(loss for loss in whole if loss["side"] == "left")
    assert left["n_tokens"] == 2000
    assert math.isclose(left["nats_per_token"], 3.6605)
    assert math.isclose(left["bits_per_byte"], 3660.5 / math.log(2) / 3165)
    assert [layer["layer"] for layer in found["layers"]] == [0, 1]
    assert get_json(served, f"/runs/{served.newest.id[:6]}.json")["id"] == served.newest.id


def test_a_precompute_has_a_page_before_it_has_a_run(served: Served) -> None:
    found = get_json(served, "/runs/abcdef0123.json")
    assert found["run"] is None
    assert found["progress"]["step"] == "streaming"
    assert "25" in text_of(served.client.get("/runs/abcdef0123").text)


def test_numbers_on_the_page_are_those_of_the_json(served: Served) -> None:
    """The page is drawn from the same object: its examples stand in the same order."""
    found = get_json(served, "/tiny-pair/0/3.json")
    page = served.client.get("/tiny-pair/0/3").text
    left = found["versions"]["left"]
    assert f"{found['permalink']}" in unescape(page)
    assert left["sites"]["mid"]["hook_point"] in page
    names = [example["document"] for example in left["examples"] if example["band"] == "top"]
    seen = text_of(page)
    for name in names:
        assert name.replace("\x00", "") in seen.replace("\x00", "").replace("\\x00", "")


@pytest.mark.parametrize("address", PAGES)
def test_nothing_of_a_corpus_is_markup(served: Served, address: str) -> None:
    html = served.client.get(at(served, address)).text
    assert "<script>" not in html
    assert "<b onmouseover" not in html
    assert "49" not in re.findall(r"\{\{.*?\}\}", html)
    assert "<b>only</b>" not in html
    assert "<b>no</b>" not in html
    assert " onclick=" not in html
    assert " style=" not in html
    assert "<style" not in html


def test_a_random_neuron_is_one_of_the_pair(served: Served) -> None:
    answer = served.client.get("/tiny-pair/random?layer=1")
    assert answer.status_code == 307
    assert answer.headers["cache-control"] == "no-store"
    assert re.fullmatch(r"/tiny-pair/1/[0-7]", answer.headers["location"])
    pinned = served.client.get(f"/tiny-pair/random?run={served.older.id}")
    assert pinned.headers["location"].endswith(f"?run={served.older.id}")


@pytest.mark.parametrize("name", ["L1N3", "l1n3", "1/3", " L1 N3 ", "1 3"])
def test_a_neuron_is_found_by_its_name(served: Served, name: str) -> None:
    answer = served.client.get("/tiny-pair/search", params={"q": name})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/tiny-pair/1/3"


def test_health(served: Served) -> None:
    found = get_json(served, "/healthz")
    assert found["status"] == "ok"
    assert found["runs"] == 3


def test_no_pair_can_be_named_like_a_page(served: Served) -> None:
    from worker.pairs import RESERVED

    first = {
        re.split(r"[/.{]", path)[1]
        for path in (
            *get_json(served, "/openapi.json")["paths"],
            *("/runs", "/docs", "/openapi.json", "/static/base.css"),
        )
    }
    assert first - {""} <= RESERVED
