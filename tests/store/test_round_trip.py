"""What is published comes back equal, field by field, on both databases."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from store import examples, log_codes, neurons, runs, value_codes, vocabulary
from store.engine import Engine
from store.records import BANDS, ExampleRecord
from store.section_ways import stated_bounds
from store.types import clean_text
from tests.synthetic_run import DEAD, load, publish_synthetic, synthetic


def assert_same(one: Any, other: Any, path: str = "record") -> None:
    """Equal in type and value all the way down; arrays in dtype, too. A mapping may be another."""
    _assert_same(one, other, path, rounded=False)


def assert_as_stored(found: Any, given: Any) -> None:
    """As `assert_same`, but for what is stored rounded, within the stated bounds.

    Values along a snippet: `example_packing.stated_bounds`;
    quantiles: half precision of their distance from the nearer end; partners' correlations: single
    precision; other arrays: `log_codes.PRECISION`.
    """
    _assert_same(found, given, "record", rounded=True)


def _assert_same(one: Any, other: Any, path: str, rounded: bool) -> None:
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        assert type(one) is type(other), path
    if rounded and isinstance(other, ExampleRecord):
        assert_example_near(one, other, path)
    elif dataclasses.is_dataclass(one) and not isinstance(one, type):
        for field in dataclasses.fields(one):
            _assert_same(
                *(getattr(one, field.name), getattr(other, field.name), f"{path}.{field.name}"),
                rounded,
            )
    elif rounded and isinstance(one, np.ndarray) and one.dtype.kind == "f":
        assert other.dtype == one.dtype, path
        exact = other.astype(np.float64)
        half = value_codes.HALF_RELATIVE if one.dtype == np.float16 else 0
        bound = (log_codes.PRECISION + half) * np.abs(exact) + 2.0**-25
        assert one.shape == other.shape, path
        assert (np.abs(one.astype(np.float64) - exact) <= bound).all(), path
    elif rounded and path.endswith(".quantile") and one is not None:
        assert abs(one - other) <= 2.0**-11 * min(other, 1 - other), path
    elif rounded and path.endswith(".correlation") and "partners" in path:
        assert one == float(np.float32(other)), path
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype, path
        np.testing.assert_array_equal(one, other, err_msg=path)
    elif isinstance(one, Mapping):
        assert one.keys() == other.keys(), path
        for key in one:
            _assert_same(one[key], other[key], f"{path}[{key!r}]", rounded)
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            _assert_same(a, b, f"{path}[{i}]", rounded)
    else:
        assert one == other, path


def assert_example_near(found: ExampleRecord, given: ExampleRecord, path: str) -> None:
    """The same place, and each value within the bound of its site; scales are not read back."""
    opposite = "right" if given.side == "left" else "left"
    for role, side in (("own", given.side), ("same_index", opposite), ("match", opposite)):
        mine, theirs = (one if role == "own" else getattr(one, role) for one in (found, given))
        assert (mine is None) == (theirs is None), f"{path}.{role}"
        if theirs is not None:
            scales = None if given.scales is None else given.scales.get(side)  # type: ignore[call-overload]
            assert_values_near(mine.values, theirs.values, scales, f"{path}.{role}")
            rest = [dataclasses.replace(one, values={}) for one in (mine, theirs)]
            if role != "own":
                _assert_same(rest[0], rest[1], f"{path}.{role}", rounded=True)
    bare: dict[str, Any] = {"values": {}, "same_index": None, "match": None, "scales": None}
    assert_same(dataclasses.replace(found, **bare), dataclasses.replace(given, **bare), path)


def assert_values_near(
    found: Mapping[Any, Any], given: Mapping[Any, Any], scales: Any, path: str
) -> None:
    """A snippet's values, each within the bound of its site."""
    assert set(found) == set(given), path
    terms = None  # LayerNorm's weights are 1
    if scales is not None and "mid" in given:
        terms = np.abs(given["mid"].astype(np.float64) * scales[2]) + np.abs(scales[1])
    bounds = stated_bounds(given, terms)
    for site, exact in given.items():
        assert (found[site].dtype, found[site].shape) == (exact.dtype, exact.shape), path
        off = np.abs(found[site].astype(np.float64) - exact.astype(np.float64))
        assert (off <= bounds[site]).all(), f"{path}[{site!r}]"


@pytest.mark.parametrize("single_sided", [False, True])
def test_a_run_comes_back_as_it_was_loaded(engine: Engine, single_sided: bool) -> None:
    made = synthetic(single_sided=single_sided)
    stored = load(engine, made)
    assert_same(
        dataclasses.replace(
            stored, created_at=None, published_at=None, size_bytes=None, status="loading", stages=()
        ),
        made.run,
    )
    assert (stored.status, stored.stages) == ("published", ("statistics",))
    assert stored.published_at is not None
    assert stored.published_at.tzinfo is not None
    assert stored.size_bytes is not None
    assert vocabulary.load(engine, stored.id) == made.vocabulary
    assert runs.layers(engine, stored.id) == made.layers
    assert runs.losses(engine, stored.id) == made.losses
    for record in made.neurons:
        place = (record.side, record.layer, record.neuron)
        found = neurons.get(engine, stored.id, *place)
        by_kind = sorted(record.partners, key=lambda partner: (partner.kind, partner.rank))
        assert_as_stored(found, dataclasses.replace(record, partners=tuple(by_kind)))
        shown = examples.of_neuron(engine, stored.id, *place)
        expected = [example for example in made.examples if example_place(example) == place]
        expected.sort(key=lambda example: (BANDS.index(example.band), example.rank))
        assert_as_stored([each.example for each in shown], expected)


def example_place(example: Any) -> tuple[str, int, int]:
    return example.side, example.layer, example.neuron


def test_an_example_is_shown_with_its_tokens_and_its_document(engine: Engine) -> None:
    made = synthetic(n_documents=6)
    run = load(engine, made)
    windows = {(window.document, window.window): window.tokens for window in made.windows}
    shown = examples.of_neuron(engine, run.id, "right", 1, 3)
    assert shown
    cut = 0
    for each in shown:
        example = each.example
        document = made.documents[example.document]
        window = windows[example.document, example.window].tolist()
        end = example.start + len(example.values["pre"])
        assert each.tokens.tolist() == window[example.start : end]
        assert each.tokens[each.focus] == window[example.position]
        assert (
            each.before.tolist()
            == window[max(min(1, example.start), example.start - 28) : example.start]
        )
        assert each.after.tolist() == window[end : end + 16]
        cut += example.start > 28 or len(window) - end > 16
        assert each.document_name == clean_text(document.name)
        assert each.source == document.source
    assert cut > 0
    lazily = examples.shown(engine, run.id, "right", 1, 3)
    assert lazily.focus_tokens == [int(each.tokens[each.focus]) for each in shown]
    places = [len(shown) - 1, 0, 2]
    for each, place in zip(lazily.some(places), places, strict=True):
        assert each.example == shown[place].example
        assert each.tokens.tolist() == shown[place].tokens.tolist()
        assert each.after.tolist() == shown[place].after.tolist()
    assert lazily.some([]) == []
    assert lazily[-1].example == shown[-1].example


def test_a_dead_neuron_has_no_statistics_that_are_not_defined(engine: Engine) -> None:
    run = publish_synthetic(engine)
    record = neurons.get(engine, run.id, "left", 0, DEAD)
    assert record is not None
    assert record.sites["mid"].kurtosis is None
    assert record.sites["mid"].std == 0.0
    assert record.density is None
    assert record.correspondence.best_neuron is None
    assert record.correspondence.excess is None


def test_what_is_not_there_is_none(engine: Engine) -> None:
    run = publish_synthetic(engine, single_sided=True)
    assert neurons.get(engine, run.id, "right", 0, 0) is None
    assert neurons.get(engine, run.id, "left", 2, 0) is None
    assert examples.of_neuron(engine, run.id, "right", 0, 0) == []


def test_names_that_postgres_refuses_are_made_fit(engine: Engine) -> None:
    made = synthetic(n_documents=4)
    odd = ["nul\x00.py", "\udce9\ud800.py", "😀\u202e.py", ""]
    documents = [
        dataclasses.replace(document, name=name, source=name or "none")
        for document, name in zip(made.documents, odd, strict=True)
    ]
    run = load(engine, dataclasses.replace(made, documents=documents))
    names = {
        each.example.document: each.document_name
        for layer in range(2)
        for neuron in range(8)
        for each in examples.of_neuron(engine, run.id, "left", layer, neuron)
    }
    assert names == {0: "nul␀.py", 1: "��.py", 2: "😀\u202e.py", 3: ""}


def test_a_large_vocabulary_takes_wider_ids(engine: Engine) -> None:
    made = synthetic()
    n_tokens = 70_000
    high = [
        dataclasses.replace(window, tokens=window.tokens + np.int32(69_000))
        for window in made.windows
    ]
    tokens = [str(i).encode() for i in range(n_tokens)]
    run = load(engine, dataclasses.replace(made, vocabulary=tokens, windows=high))
    shown = examples.of_neuron(engine, run.id, "left", 0, 3)[0]
    assert shown.tokens.min() >= 69_000
    assert len(vocabulary.load(engine, run.id)) == n_tokens
