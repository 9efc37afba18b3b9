"""Corpora: what a spec names, in which order, and what hostile files do (nothing)."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from worker import corpus_hub
from worker.corpus import Document, is_held_out, open_corpus
from worker.errors import CorpusError


def write_jsonl(path: Path, rows: list[Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def names(documents: Iterator[Document]) -> list[str]:
    return [document.name for document in documents]


def test_a_directory_is_read_in_the_order_of_its_paths(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.md", "a.py", "ignored.bin", ".hidden/c.txt", "__pycache__/d.py"):
        (tmp_path / "words" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "words" / name).write_text(name)
    found = list(open_corpus(str(tmp_path / "words")).documents())
    assert [(d.id, d.source, d.name, d.text) for d in found] == [
        (0, "words", "a.py", "a.py"),
        (1, "words", "a/z.md", "a/z.md"),
        (2, "words", "b.txt", "b.txt"),
    ]


def test_a_glob_names_its_files_relative_to_its_fixed_part(tmp_path: Path) -> None:
    for name in ("x/1/n.md", "x/2/n.md", "x/2/n.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("t")
    found = list(open_corpus(str(tmp_path / "x" / "*" / "*.md")).documents())
    assert [(d.source, d.name) for d in found] == [("x", "1/n.md"), ("x", "2/n.md")]


def test_lines_and_rows_are_documents_with_their_own_source_and_name(tmp_path: Path) -> None:
    rows = [{"text": "one"}, {"text": "two", "source": "web", "name": "page"}, {"tokens": [5, 6]}]
    write_jsonl(tmp_path / "a.jsonl", rows)
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    pq.write_table(
        pa.table({"text": ["one", "two"], "source": [None, "web"]}), tmp_path / "c.parquet"
    )
    specs = [str(tmp_path / name) for name in ("a.jsonl", "b.jsonl.gz", "c.parquet")]
    found = [(d.id, d.source, d.name, d.text, d.tokens) for d in open_corpus(specs).documents()]
    assert found == [
        (0, "a", "a.jsonl:1", "one", None),
        (1, "web", "page", "two", None),
        (2, "a", "a.jsonl:3", None, [5, 6]),
        (3, "b", "b.jsonl.gz:1", "one", None),
        (4, "web", "page", "two", None),
        (5, "b", "b.jsonl.gz:3", None, [5, 6]),
        (6, "c", "c.parquet:1", "one", None),
        (7, "web", "c.parquet:2", "two", None),
    ]


def test_shuffled_documents_are_the_same_documents(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [{"text": f"line {n}"} for n in range(20)])
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as file:
        file.writelines(json.dumps({"text": f"packed {n}"}) + "\n" for n in range(20))
    (tmp_path / "c.txt").write_text("file")
    corpus = open_corpus(str(tmp_path))
    in_order = list(corpus.documents())
    shuffled = list(corpus.documents(order_seed=3))
    assert len(in_order) == 41
    assert shuffled != in_order
    assert sorted(shuffled, key=lambda d: d.id) == in_order
    assert shuffled == list(open_corpus(str(tmp_path)).documents(order_seed=3))
    assert shuffled != list(corpus.documents(order_seed=4))


def test_hostile_records_are_counted_and_named_and_the_rest_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"caf\xe9 \xff")
    (tmp_path / "b.txt").write_bytes(b"")
    (tmp_path / "c.txt").write_bytes("nul\0 and \u202eright to left <script>".encode())
    (tmp_path / "d.txt").symlink_to(tmp_path / "nowhere.txt")
    os.mkfifo(tmp_path / "e.txt")
    (tmp_path / "f.jsonl").write_bytes(
        b'{"text": "good"}\n{"text": \n\n[1]\n{"words": 3}\n'
        b'{"text": "\\ud800x"}\n{"text": "caf\xe9"}\n'
    )
    (tmp_path / "g.jsonl.gz").write_bytes(gzip.compress(b'{"text": "whole"}\n' * 9)[:-12])
    (tmp_path / "h.parquet").write_bytes(b"PAR1 nothing")
    (tmp_path / "i.txt").write_text("x" * 300_000)
    (tmp_path / os.fsdecode(b"j\xff.txt")).write_text("a name that is no text")
    write_jsonl(tmp_path / "k.jsonl", [{"tokens": [2**70]}, {"text": "t", "name": "n\0" * 999}])
    corpus = open_corpus(str(tmp_path))
    found = {document.name: document.text for document in corpus.documents()}
    assert found["a.txt"] == "caf\ufffd \ufffd"
    assert found["c.txt"] == "nul\0 and \u202eright to left <script>"
    assert found["f.jsonl:1"] == "good"
    assert found["f.jsonl:6"] == "\ufffd\ufffd\ufffdx"
    assert len(found["i.txt"] or "") == 300_000
    assert found["j\ufffd\ufffd\ufffd.txt"] == "a name that is no text"
    assert all(text and text.encode() and name.encode() for name, text in found.items())
    assert all(len(name) <= 300 and "\0" not in name for name in found)
    counts = dict(corpus.problems.counts)
    assert counts == {"invalid-utf8": 3, "empty": 2, "broken": 4, "unreadable": 4}
    assert {flaw.name for flaw in corpus.problems.listed} >= {
        "b.txt",
        "d.txt",
        "e.txt",
        "f.jsonl:2",
    }
    assert "4 broken (f.jsonl:2, f.jsonl:4, f.jsonl:5, …)" in str(corpus.problems)
    assert list(corpus.documents()) == sorted(corpus.documents(order_seed=1), key=lambda d: d.id)
    assert dict(corpus.problems.counts) == counts, "reading again counts nothing twice"


def test_an_id_does_not_depend_on_what_can_be_read(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / name).write_text("" if name == "b.txt" else name)
    assert [(d.id, d.name) for d in open_corpus(str(tmp_path)).documents()] == [
        (0, "a.txt"),
        (2, "c.txt"),
    ]


def test_the_fingerprint_follows_content_names_and_sources(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    first = open_corpus(str(tmp_path / "a.txt")).fingerprint()
    assert first == open_corpus(str(tmp_path / "a.txt")).fingerprint()
    content = hashlib.sha256(b"one").hexdigest()
    assert first == hashlib.sha256(f"a\0a.txt\0{content}\n".encode()).hexdigest()
    (tmp_path / "a.txt").write_text("two")
    assert first != open_corpus(str(tmp_path / "a.txt")).fingerprint()


def test_a_twentieth_of_the_documents_is_held_out_by_content_alone(tmp_path: Path) -> None:
    held_out = [n for n in range(2000) if is_held_out(f"document {n}")]
    assert 60 < len(held_out) < 140
    first = int.from_bytes(hashlib.sha256(f"document {held_out[0]}".encode()).digest())
    assert first % 20 == 0
    (tmp_path / "renamed.txt").write_text(f"document {held_out[0]}")
    assert next(open_corpus(str(tmp_path)).documents()).held_out


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("no/such/place", "does not exist"),
        ("empty", "holds no document"),
        ("blank", "1 empty (a.txt)"),
        ("image.png", "of no kind that can be read"),
        ("*.nothing", "holds no document"),
        ("**x", "cannot be looked for"),
        ("nul\0", "does not exist"),
        ("hf::", "hf:NAME[@REVISION][:config][:split]"),
        ("hf:a/b@", "hf:NAME[@REVISION][:config][:split]"),
    ],
)
def test_a_corpus_without_documents_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "blank").mkdir()
    (tmp_path / "blank" / "a.txt").touch()
    (tmp_path / "image.png").write_bytes(b"png")
    with pytest.raises(CorpusError) as caught:
        next(open_corpus(spec).documents())
    assert words in str(caught.value)
    assert repr(spec) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "words"),
    [("", "no name"), (" ", "no name"), pytest.param("a" * 5000, "…", id="long")],
)
def test_what_cannot_be_a_corpus_s_name(spec: str, words: str) -> None:
    with pytest.raises(CorpusError) as caught:
        open_corpus(spec)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 600


def test_the_standard_library_and_its_tests_are_apart() -> None:
    library = open_corpus("stdlib")
    found = {name for name, _ in zip(names(library.documents()), range(10_000), strict=False)}
    assert "json/decoder.py" in found
    assert not any("site-packages" in name or "/test/" in f"/{name}" for name in found)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("hf:a/b", ("a/b", None, "train")),
        ("hf:a/b:test", ("a/b", None, "test")),
        ("hf:a/b:en", ("a/b", "en", "train")),
        ("hf:a/b:en:validation", ("a/b", "en", "validation")),
    ],
)
def test_a_hub_corpus_streams_after_local_files_in_its_own_order(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spec: str,
    expected: tuple[str, str | None, str],
) -> None:
    def rows(hub: corpus_hub.HubCorpus) -> Iterator[tuple[int, dict[str, Any]]]:
        assert (hub.name, hub.config, hub.split) == expected
        yield from enumerate([{"tokens": [1, 2]}, {"other": 1}, {"text": "three"}], 1)

    monkeypatch.setattr(corpus_hub.HubCorpus, "_load", rows)
    (tmp_path / "a.txt").write_text("local")
    corpus = open_corpus([spec, str(tmp_path / "a.txt")])
    found = [(d.id, d.source, d.name) for d in corpus.documents(order_seed=0)]
    source = "b/en" if expected[1] else "b"
    assert found == [(0, "a", "a.txt"), (1, source, "a/b:1"), (3, source, "a/b:3")]
    assert corpus.problems.counts == {"broken": 1}


def test_a_hub_that_cannot_be_reached_is_a_fault_of_the_corpus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(hub: corpus_hub.HubCorpus) -> Iterator[tuple[int, dict[str, Any]]]:
        raise ConnectionError("no route")
        yield

    monkeypatch.setattr(corpus_hub.HubCorpus, "_load", refuse)
    with pytest.raises(CorpusError, match="cannot be read from the hub"):
        next(open_corpus("hf:a/b").documents())
