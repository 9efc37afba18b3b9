"""A run of one model alone, computed for real: every page of it answers, and none speaks of a twin.

The synthetic run `solo` of the other tests has what such a run should have; this one has what the
worker makes of a pair's directory without [right].
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from server.app import create_app
from server.settings import Settings
from store import schema
from store.engine import open_engine
from tests.server.conftest import client_of
from tests.worker.tiny_pair import make_corpus, make_pair
from worker.evidence.stage import evidence
from worker.evidence.substitution_search import search
from worker.pairs import load_pair
from worker.precompute import precompute

# The run is computed once for all tests here.
pytestmark = pytest.mark.xdist_group("alone")

OTHERS = re.compile(
    r"\btwin\b|other version|both versions|either version|GeLU|same index|best match|other model"
    r"|both models|matched",
    re.IGNORECASE,
)
PAGES = (
    "/alone",
    "/alone?sort=-hidden_share",
    "/alone?x=kurtosis&y=max",
    "/alone/0/3",
    "/alone/0/5",  # a dead neuron
    "/alone/1/3?site=pre",
    "/alone/0/3?pairing=match",
    "/alone/0/3?pairing=match&anchor=right",
    "/alone/tax",
    "/alone/search?q=self",
    "/alone/live",
    "/alone/0/invisible",
    "/alone/1/invisible",
    "/",
    "/runs",
)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    root = tmp_path_factory.mktemp("alone")
    url = f"sqlite:///{root / 'twinscope.sqlite3'}"
    engine = open_engine(url, must_be_current=False)
    schema.upgrade(engine)
    pair = make_pair(root / "alone")
    toml = pair / "pair.toml"
    toml.write_text(toml.read_text().split("[right]")[0])
    assert load_pair(pair).right is None
    options = {"device": "cpu", "workers": 1, "database_url": url}
    work = root / "work"
    run = precompute(pair, str(make_corpus(root / "texts")), tokens=2500, work_dir=work, **options)  # type: ignore[arg-type]
    assert run.pair.right is None
    evidence(run.id, pair_spec=pair, work_dir=work, **options)  # type: ignore[arg-type]
    search(run.id, pair_spec=pair, most_monosemantic=1, **options)  # type: ignore[arg-type]
    app = create_app(Settings(database_url=url, annotator="ada"), engine)
    with client_of(app) as opened:
        yield opened
    engine.dispose()


def text_of(page: str) -> str:
    """What a reader of the page sees; glossary and BibTeX entry left out."""
    page = re.sub(r"<(script|style|dialog|template|textarea)\b.*?</\1>", " ", page, flags=re.DOTALL)
    page = re.sub(r"<(\w+)[^>]*\bpopover\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


@pytest.mark.parametrize("address", PAGES)
def test_every_page_answers_and_so_does_its_json(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 200
    path, _, query = address.partition("?")
    twin = "/index.json" if path == "/" else f"{path}.json"
    found = client.get(f"{twin}?{query}" if query else twin)
    assert found.status_code == 200
    if path.startswith("/alone/") and "versions" in found.json():
        assert found.json()["versions"]["left"] is not None
        assert found.json()["versions"]["right"] is None


@pytest.mark.parametrize("address", [one for one in PAGES if one.startswith("/alone")])
def test_no_page_speaks_of_a_version_that_is_not_there(client: TestClient, address: str) -> None:
    page = client.get(address).text
    main = re.search(r"<main.*?</main>", page, re.DOTALL)
    assert main is not None
    said = text_of(main[0])
    assert not [said[max(0, m.start() - 60) : m.end() + 40] for m in OTHERS.finditer(said)]


def test_a_neuron_says_that_there_is_one_version_only(client: TestClient) -> None:
    said = text_of(client.get("/alone/0/3").text)
    assert (
        "One version only. This run has a single model; there is nothing to compare with." in said
    )
    matched = text_of(client.get("/alone/0/3?pairing=match").text)
    assert "This run has a single model" in matched


def test_what_leaves_the_site_answers(client: TestClient) -> None:
    for ending in ("embed", "download.html", "card.png"):
        assert client.get(f"/alone/0/3/{ending}").status_code == 200
    for ending in ("csv", "jsonl", "parquet"):
        assert client.get(f"/alone/explorer.{ending}").status_code == 200


def test_rows_of_pairs_and_the_right_side_are_refused_in_words(client: TestClient) -> None:
    answer = client.get("/alone.json?rows=pair")
    assert answer.status_code == 422
    assert "has a single model" in answer.json()["error"]["message"]
    assert client.get("/alone?side=right").status_code == 200
    assert client.get("/alone/0/3/labels.json").json()["versions"]["right"] is None


def test_columns_and_sorts_of_two_models_are_not_offered(client: TestClient) -> None:
    found = client.get("/alone.json").json()
    keys = {column["key"] for column in found["columns"]}
    assert "kurtosis" in keys
    assert not keys & {"same_index_correlation", "best_correlation", "mutual", "excess"}
    assert [link["text"] for link in found["sorts"]] == [
        "most hidden",
        "most polysemantic",
        "rare but strong",
    ]
    assert found["side_links"] == []
