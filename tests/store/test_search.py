"""What search asks of the store: the inverted index, and labels by their text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import func, insert, select, text

from store import candidate_labels, evidence, labels, log_codes, runs, schema, search, tables
from store.engine import Engine, open_engine, reading, writing
from store.errors import RunNotFound, StoreError
from store.evidence_records import CandidateLabelRecord
from store.publish import loading
from store.records import LabelRecord
from store.search import LabelHit, words_of
from store.tables_tokens import token_count, token_neuron
from store.token_records import TokenCountsRecord, TokenNeuronsRecord, TokenSpreadRecord
from tests.store.test_round_trip import assert_same
from tests.synthetic_evidence import publish_synthetic_evidence
from tests.synthetic_run import load, publish_synthetic, synthetic


def assert_near(
    found: TokenNeuronsRecord, given: TokenNeuronsRecord, spreads: list[TokenSpreadRecord]
) -> None:
    """In SD to a part of it; means and maxima to a part of their distance from the version's."""
    assert (found.token, found.side, found.layer) == (given.token, given.side, given.layer)
    assert_same(found.neurons, given.neurons)
    std = next((s.std for s in spreads if (s.side, s.layer) == (given.side, given.layer)), None)
    for name in ("mean", "max"):
        in_sd = getattr(given, f"{name}_sd").astype(np.float64)
        off = np.abs(getattr(found, f"{name}_sd").astype(np.float64) - in_sd)
        assert (off <= log_codes.PRECISION * np.abs(in_sd)).all()
        exact = getattr(given, name).astype(np.float64)
        assert getattr(found, name).dtype == getattr(given, name).dtype
        off = np.abs(getattr(found, name).astype(np.float64) - exact)
        distance = np.abs(exact) if std is None else np.abs(in_sd * std[given.neurons])
        bound = log_codes.PRECISION * distance + 2.0**-10 * np.abs(exact) + 1e-6
        assert (off <= bound).all()


def test_an_index_comes_back_as_it_was_loaded(engine: Engine) -> None:
    made = synthetic()
    assert made.index is not None
    run = load(engine, made)
    assert_same(search.token_counts(engine, run.id), made.index.counts)
    for token in made.index.counts.tokens[::12].tolist():
        expected = [record for record in made.index.neurons if record.token == token]
        assert len(expected) == 4
        found = search.neurons_of_token(engine, run.id, token)
        assert len(found) == len(expected)
        for one, given in zip(found, expected, strict=True):
            assert_near(one, given, made.index.spreads)
    assert search.neurons_of_token(engine, run.id, 0) == []


def test_runs_without_an_index(engine: Engine) -> None:
    """As those that were published before there was one; publishing them again changes nothing."""
    run = publish_synthetic(engine, index=False)
    assert search.token_counts(engine, run.id) is None
    assert search.neurons_of_token(engine, run.id, 270) == []
    with pytest.raises(StoreError, match="published already"), loading(engine, run):
        pass
    assert search.token_counts(engine, run.id) is None
    for ask in (search.token_counts, lambda *given: search.neurons_of_token(*given, 1)):
        with pytest.raises(RunNotFound):
            ask(engine, "0000000000")


def test_removing_a_run_removes_its_index_alone(engine: Engine) -> None:
    gone, stays = publish_synthetic(engine, seed=0), publish_synthetic(engine, seed=1)
    runs.delete_run(engine, gone.id)
    made = synthetic(seed=1).index
    assert made is not None
    with reading(engine) as connection:
        for table, rows in ((token_count, 1), (token_neuron, len(made.neurons))):
            assert connection.scalar(select(func.count()).select_from(table)) == rows
    assert search.token_counts(engine, stays.id) is not None


def test_an_unfinished_load_leaves_no_index(engine: Engine) -> None:
    made = synthetic()
    assert made.index is not None
    with loading(engine, made.run) as loader:
        loader.vocabulary(made.vocabulary)
        loader.token_index(made.index.counts, made.index.neurons)
    with reading(engine) as connection:
        assert connection.execute(select(token_neuron)).first() is None
        assert connection.execute(select(token_count)).first() is None


def load_index(
    engine: Engine, counts: TokenCountsRecord, neurons: list[TokenNeuronsRecord]
) -> None:
    """Into a load that is not published."""
    with loading(engine, synthetic().run) as loader:
        loader.vocabulary(synthetic().vocabulary)
        loader.token_index(counts, neurons)


def test_what_an_index_cannot_be(engine: Engine) -> None:
    made = synthetic()
    assert made.index is not None
    counts, first = made.index.counts, made.index.neurons[0]
    nan = np.full_like(first.mean, np.nan)
    wrong = (
        (replace(counts, tokens=counts.tokens[::-1].copy()), [], "ascending"),
        (counts, [first, first], "refused some token neurons"),
        (counts, [replace(first, token=9999)], "outside a vocabulary"),
        (counts, [replace(first, side="middle")], "A side|a side is one of"),
        (counts, [replace(first, mean=nan)], "not finite"),
        (counts, [replace(first, mean=first.mean[1:])], "differ in number"),
    )
    for its_counts, its_neurons, words in wrong:
        with pytest.raises(StoreError, match=words):
            load_index(engine, its_counts, its_neurons)


def test_wide_layers_take_wider_ids(engine: Engine) -> None:
    made = synthetic()
    assert made.index is not None
    wide = replace(made.index.neurons[0], neurons=made.index.neurons[0].neurons + 70_000)
    index = replace(made.index, neurons=(wide,))
    run = load(engine, replace(made, index=index))
    (found,) = search.neurons_of_token(engine, run.id, wide.token)
    assert_near(found, wide, index.spreads)


def write(engine: Engine, run_id: str) -> None:
    """Labels by two people; what ada said first of L0N1 does not count any more."""
    run = runs.get_run(engine, run_id)
    assert run.pair.right is not None
    left, right = run.pair.left.weights_sha256, run.pair.right.weights_sha256
    for weights, layer, neuron, who, words in (
        (left, 0, 1, "ada", "closing brackets"),
        (left, 0, 1, "ada", "opening BRACKETS, 100% sure"),
        (left, 1, 2, "bob", "brackets_and self"),
        (right, 1, 3, "ada", "Straße, ÉCOLE, ﬁle; (closing) \\ brackets"),
        (right, 0, 4, "bob", ""),
    ):
        labels.add(engine, LabelRecord(weights, layer, neuron, who, "polysemantic", words, 3))


def named(hits: list[LabelHit]) -> list[str]:
    return [f"{hit.side} L{hit.layer}N{hit.neuron}" for hit in hits]


WORDS = {
    "brackets": ["right L1N3", "left L1N2", "left L0N1"],
    "BRACKETS opening": ["left L0N1"],
    "closing": ["right L1N3"],
    "%": ["left L0N1"],
    "_": ["left L1N2"],
    "0% s": ["left L0N1"],
    "100% s": ["left L0N1"],
    "\\": ["right L1N3"],
    "/": [],
    "strasse": ["right L1N3"],
    "STRASSE école FILE": ["right L1N3"],
    "ecole": [],
    "'; DROP TABLE label; --": [],
    "\x00": [],
}


def test_words_of_the_latest_labels(engine: Engine) -> None:
    run = publish_synthetic(engine)
    write(engine, run.id)
    for query, expected in WORDS.items():
        words = words_of(query)
        assert named(search.labels(engine, run.id, words)) == expected, query
        assert sum(search.label_places(engine, run.id, words).values()) == len(expected)


def test_labels_by_place_and_page(engine: Engine) -> None:
    run = publish_synthetic(engine)
    other = publish_synthetic(engine, slug="other")
    write(engine, run.id)
    words = words_of("brackets")
    assert search.label_places(engine, run.id, words) == {
        ("left", 0): 1,
        ("left", 1): 1,
        ("right", 1): 1,
    }
    assert named(search.labels(engine, run.id, words, side="left")) == ["left L1N2", "left L0N1"]
    assert named(search.labels(engine, run.id, words, layer=1, side="right")) == ["right L1N3"]
    pages = [search.labels(engine, run.id, words, page=page, size=2) for page in (1, 2, 3)]
    assert [named(page) for page in pages] == [["right L1N3", "left L1N2"], ["left L0N1"], []]
    hit = pages[1][0]
    assert (hit.annotator, hit.verdict, hit.confidence) == ("ada", "polysemantic", 3)
    assert hit.description == "opening BRACKETS, 100% sure"
    assert search.labels(engine, other.id, words) == []


def test_labels_of_candidates_are_found_where_the_run_has_them(engine: Engine) -> None:
    run = publish_synthetic(engine, seed=1)
    bare = publish_synthetic(engine, seed=1, slug="bare")
    publish_synthetic_evidence(engine, run)
    shown = next(one for one in evidence.candidates(engine, run.id) if one.record.side == "right")
    assert run.pair.right is not None
    weights = run.pair.right.weights_sha256
    layer, fingerprint = shown.record.layer, shown.record.fingerprint
    for words in ("old words", "quiet quotes"):
        candidate_labels.add(
            engine,
            CandidateLabelRecord(weights, layer, fingerprint, "ada", "monosemantic", words),
        )
    found = search.labels(engine, run.id, words_of("quotes"))
    assert [(hit.side, hit.layer, hit.neuron, hit.k) for hit in found] == [
        ("right", layer, None, shown.k)
    ]
    assert search.labels(engine, run.id, words_of("old")) == []
    assert search.labels(engine, bare.id, words_of("quotes")) == []


def test_labels_written_before_are_found(empty_database_url: str) -> None:
    """The migration folds descriptions that are there, and takes the index back without harm."""
    engine = open_engine(empty_database_url, must_be_current=False)
    schema.upgrade(engine)
    run = publish_synthetic(engine)
    write(engine, run.id)
    before = labels.history(engine, run.pair.left.weights_sha256, 0, 1)
    schema.downgrade(engine, "0002")
    with reading(engine) as connection:
        assert len(connection.execute(text("SELECT * FROM label")).all()) == 5
    assert schema.upgrade(engine) == ("0002", schema.describe(engine).head)
    assert schema.check(engine) == []
    assert labels.history(engine, run.pair.left.weights_sha256, 0, 1) == before
    assert named(search.labels(engine, run.id, words_of("strasse"))) == ["right L1N3"]
    assert search.token_counts(engine, run.id) is None
    runs.delete_run(engine, run.id)
    assert publish_synthetic(engine).id == run.id
    assert search.token_counts(engine, run.id) is not None
    engine.dispose()


def test_the_folded_words_are_those_of_the_description(engine: Engine) -> None:
    """Whoever inserts: the column fills itself."""
    run = publish_synthetic(engine)
    write(engine, run.id)
    with reading(engine) as connection:
        row = connection.execute(select(tables.label).limit(1)).mappings().one()
    values = {key: row[key] for key in row if key not in ("id", "folded")}
    with writing(engine) as connection:
        connection.execute(
            insert(tables.label).values(values | {"description": "ΣΊΣΥΦΟΣ", "neuron": 6, "id": 77})
        )
    assert named(search.labels(engine, run.id, words_of("σίσυφος"))) == ["left L0N6"]
