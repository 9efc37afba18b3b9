"""Live text: the page and its twin, with a worker that answers, and with all that do not."""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from server import live_client
from server.app import create_app
from server.compose.live import EXAMPLE, plain
from server.errors import SettingsError
from server.quantiles import quantile
from server.settings import Settings
from store import neurons
from tests.server.conftest import Served, client_of
from tests.server.live_stand_in import StandIn, stand_in
from tests.server.test_pages import text_of
from tests.synthetic_run import DEAD


@pytest.fixture(scope="module")
def standing() -> Iterator[StandIn]:
    with stand_in() as opened:
        yield opened


@pytest.fixture
def worker(standing: StandIn) -> StandIn:
    """The stand-in, well and not asked yet."""
    return standing.fresh()


@pytest.fixture(scope="module")
def client(served: Served, standing: StandIn) -> TestClient:
    """A client of a server over the same database, with this worker."""
    return client_of(create_app(Settings(worker_url=standing.url), served.engine))


def test_without_a_worker_the_page_says_what_is_off(served: Served) -> None:
    page = served.client.get("/tiny-pair/live?layer=0&neuron=3")
    assert page.status_code == 200
    words = text_of(page.text)
    assert "Live text is off" in words
    assert "twinscope serve --with-worker" in words
    assert "TWINSCOPE_WORKER_URL" in words
    found = served.client.get("/tiny-pair/live.json").json()
    assert found["result"] is None
    assert found["fault"]["code"] == "worker_off"
    assert not found["has_worker"]

    asked = served.client.get("/tiny-pair/live?text=my+own+words")
    assert asked.status_code == 503
    assert "Live text is off" in text_of(asked.text)
    assert "my own words</textarea>" in asked.text, "what was typed must not be lost"
    error = served.client.get("/tiny-pair/live.json?text=x")
    assert error.status_code == 503
    assert error.json()["error"]["code"] == "worker_off"


def test_the_worker_is_asked_about_this_very_run(
    client: TestClient, worker: StandIn, served: Served
) -> None:
    for run in (served.newest, served.older):
        address = f"/tiny-pair/live?text=self&layer=1&neuron=2&token=3&run={run.id}"
        assert client.get(address).status_code == 200
        assert run.pair.right is not None
        assert worker.asked[-1] == {
            "path": "/texts",
            "pair": "tiny-pair",
            "weights": {
                "left": run.pair.left.weights_sha256,
                "right": run.pair.right.weights_sha256,
            },
            "text": "self",
            "tokenizer": run.identity.get("tokenizer"),
            "layer": 1,
            "neuron": 2,
            "token": 3,
            "most_active": 10,
        }


def test_the_page_shows_what_the_json_says(client: TestClient, served: Served) -> None:
    query = "text=abcdef&layer=0&neuron=3&token=5"
    found = client.get(f"/tiny-pair/live.json?{query}").json()
    result = found["result"]
    assert result["tokens"][1:] == list("abcdef")
    assert (result["name"], result["token"], result["chosen"]) == ("L0N3", 5, False)
    left = result["versions"]["left"]
    assert left["at_token"] == {
        "token": 5,
        "activation": 0.25,
        "quantile": pytest.approx(0.5, abs=0.5),
    }
    assert left["highest"]["token"] == 6
    record = neurons.get(served.engine, served.newest.id, "left", 0, 3)
    assert record is not None
    assert left["scale"] == max(
        abs(record.sites["mid"].min or 0), abs(record.sites["mid"].max or 0)
    )
    assert left["at_token"]["quantile"] == quantile(record.sites["mid"], 0.25)
    assert [one["name"] for one in left["most_active"]] == ["L0N3", "L0N1", "L0N2"]
    assert left["most_active"][1]["href"] == "/tiny-pair/0/1"
    assert "text=abcdef" in left["most_active"][1]["live_href"]
    assert found["permalink"] == f"/tiny-pair/live?{query}&run={served.newest.id}"

    page = client.get(f"/tiny-pair/live?{query}").text
    assert page.count('class="tokens"') == 2
    maps = re.findall(r'<p class="tokens"[^>]*>(.*?)</p>', page)
    for shown in maps:
        assert [text_of(one) for one in re.findall(r"<span[^>]*>(.*?)</span>", shown)][1:] == list(
            "abcdef"
        )
        assert re.search(r'<span class="f[^"]*">e</span>', shown), "the token asked for is marked"
    words = text_of(page)
    assert "Most active on token 5" in words
    assert 'href="/tiny-pair/0/1"' in page
    # The popover has both versions' values at every site.
    for name in ("data-pre", "data-mid", "data-post", "data-other-pre", "data-other-post"):
        assert page.count(f" {name}=") >= 1
    pinned = client.get(found["permalink"].replace("/live?", "/live.json?")).json()
    assert pinned["pinned"]
    listed = pinned["result"]["versions"]["left"]["most_active"][1]
    for link in (listed["href"], listed["live_href"], pinned["links"]["explorer"]["href"]):
        assert link.endswith(f"run={served.newest.id}"), "a pinned page leads to pinned pages"
    assert f'name="run" value="{served.newest.id}"' in client.get(found["permalink"]).text


def test_without_a_text_a_top_example_is_shown(
    client: TestClient, worker: StandIn, served: Served
) -> None:
    for query in ("?layer=0&neuron=3", "?layer=0&neuron=3&text="):
        page = client.get(f"/tiny-pair/live{query}")
        assert page.status_code == 200
        assert "An example from the corpus" in text_of(page.text)
        text = worker.asked[-1]["text"]
        found = client.get("/tiny-pair/0/3.json").json()["versions"]["left"]["examples"][0]
        snippet = "".join(token for token in found["tokens"] if "\\x" not in token)
        assert text
        assert text[-5:] in plain(snippet) or "\ufffd" in text
    assert f"text={EXAMPLE[:3]}" not in page.text
    client.get(f"/tiny-pair/live?layer=0&neuron={DEAD}")
    assert worker.asked[-1]["text"]
    words = text_of(client.get("/tiny-pair/live?text=abc").text)
    assert "An example from the corpus" not in words
    assert "since none was named" in words


def test_a_neurons_page_and_the_explorer_lead_to_it(client: TestClient, served: Served) -> None:
    run = f"run={served.newest.id}"
    for page, link in (
        ("/tiny-pair/1/3", "/tiny-pair/live?layer=1&amp;neuron=3"),
        (f"/tiny-pair/1/3?{run}", f"/tiny-pair/live?layer=1&amp;neuron=3&amp;{run}"),
        ("/tiny-pair", "/tiny-pair/live"),
        ("/tiny-pair/tax", "/tiny-pair/live"),
    ):
        assert f'href="{link}"' in client.get(page).text
        assert client.get(html.unescape(link)).status_code == 200


def test_a_form_may_leave_fields_empty(client: TestClient, worker: StandIn) -> None:
    assert client.get("/tiny-pair/live?text=a&layer=1&neuron=&token=&run=").status_code == 200
    assert (worker.asked[-1]["layer"], worker.asked[-1]["neuron"]) == (None, None)


def test_a_single_sided_run_has_one_column(client: TestClient, worker: StandIn) -> None:
    page = client.get("/solo/live?text=abc&layer=0&neuron=3")
    assert page.status_code == 200
    assert list(worker.asked[-1]["weights"]) == ["left"]
    assert page.text.count('class="tokens"') == 1
    assert "rank there" not in page.text
    assert client.get("/solo/live.json?text=abc").json()["result"]["versions"]["right"] is None


@pytest.mark.parametrize(
    ("typed", "run"),
    [
        ("a%0D%0Ab%0Dc", "a\nb\nc"),
        ("a%00b", "a\ufffdb"),
        ("%ED%A0%80", "\ufffd\ufffd\ufffd"),
        ("%ff%fe", "\ufffd\ufffd"),
        ("%F0%9F%98%80", "😀"),
        ("%0A%0Ax", "\n\nx"),
        ("+", " "),
    ],
)
def test_any_bytes_in_an_address_are_a_text(
    client: TestClient, worker: StandIn, typed: str, run: str
) -> None:
    page = client.get(f"/tiny-pair/live?text={typed}")
    assert page.status_code == 200, page.text
    assert worker.asked[-1]["text"] == run
    assert f"\n{html.escape(run)}</textarea>" in page.text
    assert "\x00" not in page.text


def test_lone_surrogates_become_replacement_characters() -> None:
    assert plain("a\ud800b\udfff") == "a\ufffdb\ufffd"
    assert plain("\ud83d\ude00") == "😀"


HOSTILE = '</textarea><script>alert(1)</script><b onmouseover="alert(1)">\'{{ 7*7 }}\u202e'


def test_hostile_text_stays_text(client: TestClient, worker: StandIn) -> None:
    page = client.get("/tiny-pair/live", params={"text": HOSTILE})
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert "<b onmouseover" not in page.text
    assert "</textarea><" not in page.text.partition("</textarea>")[2]
    assert worker.asked[-1]["text"] == HOSTILE
    worker.behave = worker.refuse(422, "bad_question", "<script>alert(1)</script>")
    page = client.get("/tiny-pair/live?text=x&token=9")
    assert page.status_code == 422
    assert "<script>alert" not in page.text


def test_two_thousand_characters_and_not_one_more(client: TestClient, worker: StandIn) -> None:
    assert client.get("/tiny-pair/live", params={"text": "😀" * 2000}).status_code == 200
    asked = len(worker.asked)
    page = client.get("/tiny-pair/live", params={"text": "x" * 2001})
    assert page.status_code == 422
    assert "2,001 characters; at most 2,000" in text_of(page.text)
    assert "x" * 2001 + "</textarea>" in page.text
    error = client.get("/tiny-pair/live.json", params={"text": "x" * 2001})
    assert (error.status_code, error.json()["error"]["code"]) == (422, "text_too_long")
    assert client.get("/tiny-pair/live", params={"text": "😀" * 3000}).status_code == 414
    assert len(worker.asked) == asked


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("text=a&layer=9&neuron=0", 404, "neuron_not_found"),
        ("text=a&layer=0&neuron=99", 404, "neuron_not_found"),
        ("text=a&neuron=1", 422, "bad_parameter"),
        ("text=a&layer=x&neuron=1", 422, "bad_parameter"),
        ("text=a&token=first", 422, "bad_parameter"),
        ("text=a&run=ffffffffff", 404, "run_not_found"),
    ],
)
def test_what_is_not_there_is_said(
    client: TestClient, worker: StandIn, query: str, status: int, code: str
) -> None:
    answer = client.get(f"/tiny-pair/live.json?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert client.get(f"/tiny-pair/live?{query}").status_code == status
    assert worker.asked == []


def test_both_ends_speak_of_the_same_things() -> None:
    """The server may not import the worker's shapes, so they stand twice."""
    from worker.live import question

    for name in ("Question", "Answer", "SideAnswer", "ActiveNeuron"):
        ours, theirs = (
            {field.name: field.type for field in dataclasses.fields(getattr(module, name))}
            for module in (live_client, question)
        )
        assert ours == theirs
    from server.compose.live import MAX_CHARACTERS, MOST_ACTIVE

    assert MAX_CHARACTERS == question.MAX_CHARACTERS
    assert MOST_ACTIVE <= question.MAX_MOST_ACTIVE


@pytest.mark.parametrize("text", ["8010", "ftp://x", "http://", "http://[::1", "http://x?y=1"])
def test_an_address_of_a_worker_that_is_none(text: str) -> None:
    with pytest.raises(SettingsError, match="TWINSCOPE_WORKER_URL"):
        Settings.from_environment({"TWINSCOPE_WORKER_URL": text})
    named = Settings.from_environment({"TWINSCOPE_WORKER_URL": "http://127.0.0.1:8010/"})
    assert named.worker_url == "http://127.0.0.1:8010"


def test_quantiles_are_shares_of_tokens(served: Served) -> None:
    record = neurons.get(served.engine, served.newest.id, "left", 0, 3)
    assert record is not None
    statistics = record.sites["mid"]
    assert statistics.min is not None
    assert statistics.max is not None
    found = [quantile(statistics, value) for value in (-1e9, statistics.min, statistics.max, 1e9)]
    assert found[0] == 0
    assert found[1] == pytest.approx(0, abs=0.01)
    assert found[2] is not None
    assert found[2] <= 1 - 1 / statistics.n
    assert found[3] == 1
    points = [quantile(statistics, value) or 0 for value in (-2, -0.5, 0, 0.5, 2)]
    assert points == sorted(points)
