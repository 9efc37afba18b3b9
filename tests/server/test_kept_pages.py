"""A neuron's page is made once: what is kept is what would be made, and never out of date."""

from __future__ import annotations

import gzip
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from server.app import create_app
from server.routes import neurons
from server.settings import Settings
from store import publish_evidence, searches
from store.engine import open_engine
from store.evidence_records import SubstitutionSearchRecord
from tests import databases
from tests.server.conftest import Served, client_of
from tests.synthetic_evidence import publish_synthetic_evidence
from tests.synthetic_run import publish_synthetic


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The neurons whose pages are made from here on."""
    seen: list[tuple[int, int]] = []
    make = neurons.neuron_page

    def noted(site, run, layer, neuron, *rest):  # type: ignore[no-untyped-def]
        seen.append((layer, neuron))
        return make(site, run, layer, neuron, *rest)

    monkeypatch.setattr(neurons, "neuron_page", noted)
    return seen


@pytest.mark.parametrize("suffix", ["", ".json"])
def test_a_page_is_made_once(served: Served, made: list[tuple[int, int]], suffix: str) -> None:
    address = f"/tiny-pair/1/6{suffix}?site=pre&pairing=match"
    first, second = served.client.get(address), served.client.get(address)
    plain = served.client.get(address, headers={"Accept-Encoding": "identity"})
    assert made == [(1, 6)]
    assert first.content == second.content == plain.content
    assert first.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert first.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    served.client.get(address.replace("pre", "post"))
    served.client.get(f"{address}&run={served.older.id}")
    assert made == [(1, 6)] * 3


def test_other_names_of_the_server_have_pages_of_their_own(served: Served) -> None:
    for host in ("localhost:8000", "127.0.0.1:9000"):
        answer = client_of(served.app, host).get("/tiny-pair/1/5")
        assert f"http://{host}/tiny-pair/1/5" in answer.text


@pytest.mark.parametrize("kind", databases.KINDS)
def test_what_comes_later_is_seen(kind: str) -> None:
    with databases.fresh(kind) as url:
        engine = open_engine(url)
        run = publish_synthetic(engine, layers=1, n_top=2, n_band=1)
        client = client_of(create_app(Settings(database_url=url), engine))
        address = f"/tiny-pair/0/5.json?run={run.id}"
        assert client.get(address).json()["versions"]["left"]["evidence"] is None
        publish_synthetic_evidence(engine, run)
        left = client.get(address).json()["versions"]["left"]
        assert left["evidence"]["search"]["searched"] is False
        before = searches.count(engine, run.id)
        publish_evidence.publish_search(
            engine, run.id, SubstitutionSearchRecord("left", 0, 5, 12, {"seed": 0}), []
        )
        assert searches.count(engine, run.id) == before + 1
        left = client.get(address).json()["versions"]["left"]
        assert left["evidence"]["search"]["searched"] is True
        engine.dispose()


def test_what_is_kept_is_compressed(served: Served) -> None:
    address = "/tiny-pair/1/4"
    body = served.client.get(address).content
    kept = [value for value, _ in served.app.state.site.kept._values.values()]
    assert any(gzip.decompress(one.body) == body for one in kept if hasattr(one, "media_type"))


def test_few_pages_are_made_at_a_time(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """All wait for their turn: made at once, each would take as long as all."""
    under_way: list[int] = []
    most: list[int] = []
    two = threading.Event()
    make = neurons.neuron_page

    def slowly(*given: Any) -> Any:
        under_way.append(1)
        if len(under_way) == 2:
            two.set()
        two.wait(30)
        time.sleep(0.05)  # a third, were it let in, would be seen
        most.append(len(under_way))
        under_way.pop()
        return make(*given)

    monkeypatch.setattr(neurons, "neuron_page", slowly)
    with ThreadPoolExecutor(6) as readers:
        addresses = [f"/tiny-pair/0/1?turn={n}" for n in range(6)]
        answers = list(readers.map(served.client.get, addresses))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert len(most) == 6
    assert max(most) == 2
    most.clear()
    with ThreadPoolExecutor(6) as readers:
        answers = list(readers.map(served.client.get, ["/tiny-pair/0/1?turn=shared"] * 6))
    assert len({answer.content for answer in answers}) == 1
    assert len(most) <= 2, "who waited for a turn finds the page made"
