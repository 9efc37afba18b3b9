"""Candidate invisible features: the list of a layer, one of them, labels, and none found."""

from __future__ import annotations

import re
from typing import Any

import pytest

from server.invisible_words import candidate_text, search_text
from tests.server.conftest import Served
from tests.server.test_errors import error_of
from tests.server.test_pages import get_json, text_of

JSON = {"Accept": "application/json"}


def labels(served: Served, k: int) -> Any:
    return get_json(served, f"/tiny-pair/0/invisible/{k}/labels.json")["labels"]


def test_a_layers_candidates_stand_by_side(served: Served) -> None:
    found = get_json(served, "/tiny-pair/0/invisible.json")
    sides = found["versions"]
    assert [one["name"] for one in sides["left"]["candidates"]] == ["L0C0", "L0C1"]
    assert [one["name"] for one in sides["right"]["candidates"]] == ["L0C2"]
    first = sides["left"]["candidates"][0]
    assert first["href"] == "/tiny-pair/0/invisible/0"
    assert first["effect"] > first["random_median"]
    assert first["carriers"][0]["href"] == "/tiny-pair/0/3"
    assert first["context"]["tokens"][first["context"]["focus"]]
    page = text_of(served.client.get("/tiny-pair/0/invisible").text)
    assert sides["left"]["search"]["text"] in page
    assert "Of 6 directions found there, 2 do more" in page
    assert "L0C2" in page


def test_none_found_is_said(served: Served) -> None:
    found = get_json(served, "/tiny-pair/1/invisible.json")
    assert found["versions"]["left"]["candidates"] == []
    text = found["versions"]["left"]["search"]["text"]
    assert text in text_of(served.client.get("/tiny-pair/1/invisible").text)


@pytest.mark.parametrize(
    ("n_tokens", "orphans", "tried", "kept", "words"),
    [
        (0, None, 0, 0, "too few evidence tokens"),
        (49_152, None, 0, 0, "too few evidence tokens"),
        (49_152, 0.31, 0, 0, "no direction was tried. That is a result"),
        (49_152, 0.31, 1, 0, "1 direction found there was tested"),
        (49_152, 0.31, 6, 0, "none does more than 95 % of random directions. That is a result"),
        (49_152, 0.31, 6, 1, "Of 6 directions found there, 1 does more"),
        (49_152, 0.31, 1, 1, "Of 1 direction found there, 1 does more"),
    ],
)
def test_a_search_in_words(
    n_tokens: int, orphans: float | None, tried: int, kept: int, words: str
) -> None:
    text = search_text("SoLU", n_tokens, orphans, tried, kept)
    assert words in text
    assert ("49,152" in text) == (orphans is not None)


def test_a_candidate_in_words() -> None:
    numbers = {"effect": 0.011, "random_median": 0.002, "participation": 3.4, "token_share": 0.02}
    text = candidate_text(layer=1, name="GeLU", random_quantile=0.98, **numbers)
    for words in ("layer 1 of GeLU", "2.00 % of tokens", "0.0110 nats", "5.5 times", "98.0 % of"):
        assert words in text
    alone = candidate_text(layer=0, name="x", random_quantile=1.0,
                           **(numbers | {"participation": 1.0, "random_median": 0.0}))  # fmt: skip
    assert "more than all of them" in alone
    assert "a random one does 0" in alone
    assert alone.endswith("about 1.0 neuron.")


def test_a_candidate_shows_the_range_of_its_projection(served: Served) -> None:
    found = get_json(served, "/tiny-pair/0/invisible/0.json")
    assert (found["side"], found["name"], found["rank"]) == ("left", "L0C0", 0)
    assert [band["key"] for band in found["bands"]] == [
        "top",
        "q99.9-100",
        "q99-99.9",
        "q90-99",
        "q50-90",
    ]
    assert sum(len(band["contexts"]) for band in found["bands"]) == len(found["contexts"]) == 15
    for context in found["contexts"]:
        assert len(context["tokens"]) == len(context["values"])
        assert context["values"][context["focus"]] == pytest.approx(context["value"], abs=0.01)
    assert "pieces" not in found["contexts"][0]
    assert re.fullmatch(r"[0-9a-f]{16}", found["fingerprint"])
    assert sum(part * part for part in found["direction"]) == pytest.approx(1, abs=1e-4)
    assert found["other_carriers"][0]["href"] == "/tiny-pair/0/3"
    assert found["permalink"] == f"/tiny-pair/0/invisible/0?run={served.newest.id}"
    html = served.client.get("/tiny-pair/0/invisible/0").text
    page = text_of(html)
    assert found["summary"] in page
    assert "GeLU" in page
    assert len(re.findall(r'class="example"', html)) == 15
    assert "data-projection=" in html
    assert "<b>0</b>" not in html, "a document's name is text"


def test_candidates_lead_to_each_other(served: Served) -> None:
    pinned = f"?run={served.newest.id}"
    first = get_json(served, f"/tiny-pair/0/invisible/0.json{pinned}")
    last = get_json(served, f"/tiny-pair/0/invisible/2.json{pinned}")
    assert (first["previous"], last["next"]) == (None, None)
    assert first["next"] == f"/tiny-pair/0/invisible/1{pinned}"
    assert [one["href"] for one in last["siblings"]] == [
        f"/tiny-pair/0/invisible/{k}{pinned}" for k in range(3)
    ]
    assert last["side"] == "right"
    assert all(pinned in one["href"] for one in last["carriers"])
    assert last["links"]["tax"]["href"] == f"/tiny-pair/tax{pinned}"


def test_a_pinned_candidate_can_be_kept(served: Served) -> None:
    for address in ("/tiny-pair/0/invisible", "/tiny-pair/0/invisible/0"):
        answer = served.client.get(f"{address}?run={served.newest.id}")
        assert answer.headers["cache-control"].startswith("public")
        again = served.client.get(
            f"{address}?run={served.newest.id}", headers={"If-None-Match": answer.headers["etag"]}
        )
        assert again.status_code == 304
        assert served.client.get(address).headers["cache-control"] == "no-cache"


def test_a_run_without_evidence_says_what_computes_it(served: Served) -> None:
    address = f"/tiny-pair/0/invisible?run={served.older.id}"
    page = text_of(served.client.get(address).text)
    assert f"twinscope evidence {served.older.id}" in page
    answer = served.client.get(f"/tiny-pair/0/invisible/0?run={served.older.id}")
    assert answer.status_code == 404
    assert "has no evidence stage" in text_of(answer.text)


def test_a_single_side_has_no_other_carriers(served: Served) -> None:
    found = get_json(served, "/solo/0/invisible/0.json")
    assert found["other_name"] is None
    assert found["other_carriers"] == []
    assert get_json(served, "/solo/0/invisible.json")["versions"]["right"] is None
    assert served.client.get("/solo/0/invisible/0").status_code == 200


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("/tiny-pair/7/invisible", "neuron_not_found"),
        ("/tiny-pair/0/invisible/3", "candidate_not_found"),
        ("/tiny-pair/1/invisible/0", "candidate_not_found"),
        ("/tiny-pair/0/invisible/99/labels", "candidate_not_found"),
        ("/nothing/0/invisible", "pair_not_found"),
    ],
)
def test_candidates_that_do_not_exist(served: Served, address: str, code: str) -> None:
    answer = served.client.get(address, headers=JSON)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == code
    assert served.client.get(address).status_code == 404


def test_a_label_by_json(served: Served) -> None:
    others = labels(served, 0)["history"]  # other tests may have labelled it before
    answer = served.client.post(
        "/tiny-pair/0/invisible/1/labels",
        json={"verdict": "monosemantic", "description": "<script>alert(1)</script>",
              "confidence": 4, "run": served.newest.id},
    )  # fmt: skip
    assert answer.status_code == 201
    created = answer.json()
    assert created["label"]["annotator"] == "ada"
    assert created["labels"]["counts"]["monosemantic"] == 1
    assert labels(served, 1)["own"] == created["label"]
    assert labels(served, 0)["history"] == others
    page = served.client.get("/tiny-pair/0/invisible/1/labels")
    assert page.headers["cache-control"] == "no-store"
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text
    fragment = served.client.get("/tiny-pair/0/invisible/1/labels?fragment=1").text
    assert "<html" not in fragment
    assert 'data-side="left"' in fragment


def test_a_label_by_the_form_of_the_page(served: Served) -> None:
    page = served.client.get("/tiny-pair/0/invisible/2").text
    form = page[page.index('<form class="label-form"') :]
    form = form[: form.index("</form>")]
    assert 'action="/tiny-pair/0/invisible/2/labels"' in form
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))
    sent = {**fields, "verdict": "polysemantic", "description": "", "confidence": ""}
    answer = served.client.post("/tiny-pair/0/invisible/2/labels", data=sent)
    assert answer.status_code == 303
    assert answer.headers["location"] == fields["back"]
    for verdict in ("unclear", "dead"):
        body = {"side": "right", "verdict": verdict, "back": "https://evil.example/"}
        answer = served.client.post("/tiny-pair/0/invisible/2/labels", data=body)
        assert answer.headers["location"] == "/tiny-pair/0/invisible/2"
    now = labels(served, 2)
    assert [one["verdict"] for one in now["history"]] == ["dead", "unclear", "polysemantic"]
    assert (now["counts"]["total"], now["counts"]["dead"]) == (1, 1)


def test_labels_of_candidates_are_not_labels_of_neurons(served: Served) -> None:
    body = {"verdict": "unclear"}
    assert served.client.post("/tiny-pair/0/invisible/0/labels", json=body).status_code == 201
    neuron = get_json(served, "/tiny-pair/0/0/labels.json")["versions"]["left"]
    assert neuron["counts"]["total"] == 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"side": "right", "verdict": "dead"}, "L0C0 is of the left version, not right"),
        ({}, "verdict: Field required"),
        ({"verdict": "nice"}, "verdict: Input should be 'monosemantic'"),
        ({"verdict": "dead", "description": "x" * 501}, "at most 500 characters"),
        ({"verdict": "dead", "annotator": "eve"}, "annotator: Extra inputs"),
    ],
)
def test_labels_that_cannot_be_kept(served: Served, body: Any, words: str) -> None:
    answer = served.client.post("/tiny-pair/0/invisible/0/labels", json=body)
    assert answer.status_code == 422
    error = error_of(answer.text)
    assert error["code"] == "bad_label"
    assert words in error["message"]
