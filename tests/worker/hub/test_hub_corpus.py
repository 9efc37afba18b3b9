"""Data sets of the hub: streamed by the real `datasets` from a stand-in on loopback."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from store import evidence, runs
from store.engine import open_engine
from tests.worker.hub.conftest import Hub
from tests.worker.hub.repositories import (
    CORPUS,
    LARGER,
    SOLU,
    corpus_rows,
    dataset_files,
    tokenizer,
)
from tests.worker.tiny_pair import text
from worker.pairs import load_pair

# One process asks the hub for all tests here.
pytestmark = pytest.mark.xdist_group("hub")


def test_texts_are_streamed_in_their_order_with_their_source(served: Hub) -> None:
    found = served.check("documents", f"hf:{CORPUS}")
    assert len(found) == 400
    expected = corpus_rows(400)
    assert [one[3] for one in found] == [row["text"] for row in expected]
    assert [one[1] for one in found] == [row["meta"]["source"] for row in expected]
    assert found[7][:3] == [7, "code", f"{CORPUS}:8"]


def test_a_stream_is_of_one_commit(served: Hub) -> None:
    commit = served.stand_in.repositories["dataset", CORPUS].commit
    before = len(served.stand_in.requests)
    served.check("documents", f"hf:{CORPUS}")
    asked = [line for line in served.stand_in.requests[before:] if ".parquet" in line]
    assert asked
    assert all(f"/resolve/{commit}/" in line for line in asked)


def test_a_commit_that_is_named_is_read_after_the_data_set_moved_on(served: Hub) -> None:
    first = served.stand_in.add("dataset", "o/moves", dataset_files([{"text": "one"}], 1))
    second = served.stand_in.add("dataset", "o/moves", dataset_files([{"text": "two"}], 1))
    assert [one[3] for one in served.check("documents", "hf:o/moves")] == ["two"]
    for commit, words in ((first.commit, "one"), (second.commit, "two")):
        found = served.check("documents", f"hf:o/moves@{commit}:train")
        assert [one[3] for one in found] == [words]
    line = served.check("fault", "documents", "hf:o/moves@v9")
    assert "the hub has no revision v9 of dataset o/moves" in line


@pytest.mark.parametrize(
    ("row", "source"),
    [
        ({"text": "a", "source": "books"}, "books"),
        ({"text": "a", "meta": '{"pile_set_name": "ArXiv"}'}, "ArXiv"),
        ({"text": "a", "meta": "{broken"}, "kinds"),
        ({"text": "a", "meta": "http://a.b/c"}, "kinds"),
        ({"text": "a", "source": "", "meta": {"redpajama_set_name": "Book"}}, "Book"),
        ({"text": "a", "url": "x"}, "kinds"),
    ],
)
def test_a_row_names_its_source_or_the_dataset_does(
    served: Hub, row: dict[str, Any], source: str
) -> None:
    served.stand_in.add("dataset", "o/kinds", dataset_files([row], parts=1))
    assert [one[1] for one in served.check("documents", "hf:o/kinds")] == [source]


def test_a_config_is_a_source(served: Hub) -> None:
    card = b"---\nconfigs:\n- config_name: en\n  data_files: en/*.parquet\n---\n"
    files = {"README.md": card, "en/a.parquet": dataset_files([{"text": "a"}], 1).popitem()[1]}
    served.stand_in.add("dataset", "o/configs", files)
    assert [one[1] for one in served.check("documents", "hf:o/configs:en")] == ["configs/en"]
    line = served.check("fault", "documents", "hf:o/configs:fr")
    assert "corpus 'hf:o/configs:fr:train' cannot be read from the hub" in line
    assert "BuilderConfig 'fr' not found" in line


def test_tokens_are_cut_and_windowed_anew(served: Hub) -> None:
    bos = load_pair(served.pair).bos_token
    tokens = tokenizer()
    end = tokens.token_to_id(bos)
    first, second = (tokens.encode(text(seed, 30)).ids for seed in (1, 2))
    third = tokens.encode("x y").ids
    row = [end, *first, end, end, *second, end]
    served.stand_in.add("dataset", "o/tokens", dataset_files([{"tokens": row}, {"tokens": third}]))
    found = served.check("windows", "hf:o/tokens", served.pair)
    length = load_pair(served.pair).left.config["n_ctx"] - 1
    expected, window = [], 0
    for ids in (first, second):
        for start in range(0, len(ids), length):
            expected.append([0, window, [end, *ids[start : start + length]]])
            window += 1
    assert found == [*expected, [1, 0, [end, *third]]]


def test_tokens_of_another_vocabulary_are_refused(served: Hub) -> None:
    served.stand_in.add("dataset", "o/others", dataset_files([{"tokens": [5, 70_000]}], 1))
    line = served.check("fault", "windows", "hf:o/others", served.pair)
    assert "document 'o/others:1' has token ids from 5 to 70000" in line
    assert "the pair's tokenizer has 300; give text" in line
    answer = served.precompute("solu-1l--gelu-1l", "--corpus", "hf:o/others")
    assert answer.code == 1
    assert "has token ids from 5 to 70000" in answer.err
    assert len(answer.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "spec", "words"),
    [
        ("o/columns", "hf:o/columns", "has no column text or tokens; its columns are a, b"),
        ("o/texts", "hf:o/texts:test", "Bad split: test. Available splits: ['train']"),
        ("o/gated", "hf:o/gated", "dataset o/gated is gated: the hub gives it only to accounts"),
        (None, "hf:o/typo", "the hub has no dataset o/typo, or keeps it private"),
        ("o/empty", "hf:o/empty", "cannot be read from the hub"),
    ],
)
def test_each_fault_names_the_corpus(served: Hub, name: str | None, spec: str, words: str) -> None:
    row = {"a": 1, "b": 2} if name == "o/columns" else {"text": "a"}
    files = {} if name == "o/empty" else dataset_files([row], 1)
    if name is not None:
        served.stand_in.add("dataset", name, files, gated=name == "o/gated")
    line = served.check("fault", "documents", spec)
    assert words in line
    assert spec in line


def test_a_hub_without_network_is_said_soon(served: Hub) -> None:
    served.process.set("worker.corpus_hub", "FIRST_WORD", 0.3)
    served.stand_in.silent = True
    try:
        line = served.check("fault", "documents", f"hf:{CORPUS}")
    finally:
        served.stand_in.silent = False
        served.process.set("worker.corpus_hub", "FIRST_WORD", 10)
    assert "cannot be reached (ReadTimeout)" in line
    assert "download its parquet files elsewhere and give them as --corpus" in line


def test_a_hub_pair_over_a_hub_corpus_is_published_with_its_origin(served: Hub) -> None:
    weights = ("--weights", "code=0.2,c4=0.8")
    answer = served.precompute(
        "solu-1l--gelu-1l", "--corpus", f"hf:{CORPUS}", "--tokens", "4k", *weights
    )
    assert answer.code == 0, answer.err
    found = re.search(r"Run ([0-9a-f]{10}) of solu-1l--gelu-1l is published", answer.out)
    assert found is not None, answer.out
    engine = open_engine(f"sqlite:///{served.data_dir / 'twinscope.sqlite3'}")
    run = runs.get_run(engine, found[1])
    assert run.stages == ("statistics", "evidence")
    origin = run.provenance["origins"]["left"]
    assert origin["repository"] == SOLU
    assert origin["revision"] == served.stand_in.repositories["model", SOLU].commit
    assert run.identity["mode"] == "native, no compatibility mode"
    commit = served.stand_in.repositories["dataset", CORPUS].commit
    assert run.provenance["corpus"] == [f"hf:{CORPUS}@{commit}:train"]
    assert f"to --resume, name it hf:{CORPUS}@{commit}:train" in answer.out + answer.err
    # The data set moves on; what the run was computed on is still had.
    moved = served.stand_in.add("dataset", CORPUS, dataset_files(corpus_rows(10), 1))
    try:
        again = served.check("planned_again", str(engine.url), run.id, served.pair)
    finally:
        assert moved.before is not None
        served.stand_in.repositories["dataset", CORPUS] = moved.before
    assert again == run.id
    assert {loss.source for loss in runs.losses(engine, run.id)} == {"c4", "code"}
    differences = {one.source: one for one in evidence.loss_differences(engine, run.id)}
    mixture = differences.pop("mixture of 80 % c4 and 20 % code")
    assert differences.keys() == {"", "c4", "code"}
    expected = 0.8 * differences["c4"].difference + 0.2 * differences["code"].difference
    assert mixture.difference == pytest.approx(expected)
    engine.dispose()


@pytest.mark.slow
def test_one_model_alone_is_published(served: Hub) -> None:
    answer = served.precompute("solu-6l", "--corpus", f"hf:{CORPUS}", "--tokens", "3k")
    assert answer.code == 0, answer.err
    found = re.search(r"Run ([0-9a-f]{10}) of solu-6l is published", answer.out)
    assert found is not None, answer.out
    engine = open_engine(f"sqlite:///{served.data_dir / 'twinscope.sqlite3'}")
    run = runs.get_run(engine, found[1])
    assert run.pair.right is None
    assert run.stages == ("statistics", "evidence")
    assert json.dumps(run.provenance["origins"]).count(LARGER) == 1
    engine.dispose()
