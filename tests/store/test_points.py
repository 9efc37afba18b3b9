"""Points of a scatter, counts of facets and whole listings agree with the explorer's pages."""

from __future__ import annotations

from collections import Counter

import pytest

from store import facets, labels, listing, neurons
from store.columns import PAIR_COLUMNS, VERSION_COLUMNS
from store.engine import Engine
from store.errors import InvalidFilter, UnknownColumn
from store.facets import Band
from store.points import points
from store.records import SIDES, LabelRecord
from tests.synthetic_evidence import publish_synthetic_evidence
from tests.synthetic_run import publish_synthetic

ALL = 1000


def test_points_are_the_rows(engine: Engine) -> None:
    run = publish_synthetic(engine)
    publish_synthetic_evidence(engine, run)
    filters = {"layer": "1", "density__gte": "0.01"}
    rows, total = neurons.page(engine, run.id, filters, size=ALL)
    wanted = {
        (row.side, row.layer, row.neuron): (row.values["kurtosis"], row.values["hidden_share"])
        for row in rows
        if row.values["kurtosis"] is not None and row.values["hidden_share"] is not None
    }
    found = points(engine, run.id, "version", filters, "kurtosis", "hidden_share")
    assert (found.matching, found.defined) == (total, len(wanted))
    places = zip(
        (SIDES[side] for side in found.side), found.layer.tolist(), found.neuron.tolist(),
        strict=True,
    )  # fmt: skip
    assert dict(zip(places, zip(found.x, found.y, strict=True), strict=True)) == wanted


def test_points_of_pairs(engine: Engine) -> None:
    run = publish_synthetic(engine)
    rows, _ = neurons.pair_page(engine, run.id, size=ALL)
    wanted = [
        (row.layer, row.neuron, row.values["left_kurtosis"], row.values["diff_max"])
        for row in rows
        if row.values["left_kurtosis"] is not None
    ]
    found = points(engine, run.id, "pair", {}, "left_kurtosis", "diff_max")
    assert list(zip(found.layer, found.neuron, found.x, found.y, strict=True)) == wanted
    assert found.side.size == 0


def test_a_subset_is_the_same_each_time_and_of_every_part(engine: Engine) -> None:
    run = publish_synthetic(engine, d_mlp=40, n_documents=2, n_top=1, n_band=1)
    whole = points(engine, run.id, "version", {}, "max", "min")
    part = points(engine, run.id, "version", {}, "max", "min", limit=80)
    again = points(engine, run.id, "version", {}, "max", "min", limit=80)
    assert len(whole.x) == whole.defined == part.defined == 160
    assert len(part.x) == 80
    assert part.x.tolist() == again.x.tolist()
    for side in (0, 1):
        for layer in (0, 1):
            n = int(((part.side == side) & (part.layer == layer)).sum())
            assert 9 <= n <= 31, "a quarter of 80, by chance"
    assert len({*part.neuron.tolist()}) > 30


def test_what_is_no_number_is_refused(engine: Engine) -> None:
    run = publish_synthetic(engine, layers=1)
    with pytest.raises(InvalidFilter):
        points(engine, run.id, "version", {}, "side", "max")
    with pytest.raises(UnknownColumn):
        points(engine, run.id, "version", {}, "max", "left_max")


def test_facets_count_what_a_filter_would_leave(engine: Engine) -> None:
    run = publish_synthetic(engine)
    publish_synthetic_evidence(engine, run)
    bands = [Band("hidden_share", None, 0.5), Band("hidden_share", 0.5, None), Band("max", 0, 2)]
    found = facets.counts(engine, run.id, "version", {"side": "left"}, bands)
    for band, counted in zip(bands, found.bands, strict=True):
        ends = (("gte", band.low), ("lte", band.high))
        filters = {f"{band.key}__{name}": str(end) for name, end in ends if end is not None}
        _, total = neurons.page(engine, run.id, {"side": "left", **filters})
        assert counted == total
    assert found.layers == {0: 8, 1: 8}
    assert sum(found.bands[:2]) == 14, "the dead have no hidden share"
    of_pairs = facets.counts(engine, run.id, "pair", {}, [Band("left_max", 0, None)])
    _, total = neurons.pair_page(engine, run.id, {"left_max__gte": "0"})
    assert of_pairs.bands == (total,)


def test_verdicts_count_versions_by_latest_labels(engine: Engine) -> None:
    run = publish_synthetic(engine)
    left, right = run.pair.left, run.pair.right
    assert right is not None
    for sha, neuron, who, verdict in (
        (left.weights_sha256, 3, "ada", "dead"),
        (left.weights_sha256, 3, "ada", "polysemantic"),  # her latest
        (left.weights_sha256, 3, "bob", "polysemantic"),  # the same version
        (left.weights_sha256, 3, "eve", "monosemantic"),
        (right.weights_sha256, 3, "ada", "polysemantic"),
        (right.weights_sha256, 5, "ada", "unclear"),
    ):
        labels.add(engine, LabelRecord(sha, 0, neuron, who, verdict))  # type: ignore[arg-type]
    assert facets.verdicts(engine, run.id, {}) == {
        "monosemantic": 1, "polysemantic": 2, "unclear": 1,
    }  # fmt: skip
    assert facets.verdicts(engine, run.id, {"side": "left"}) == {
        "monosemantic": 1, "polysemantic": 1,
    }  # fmt: skip
    assert facets.verdicts(engine, run.id, {"layer": "1"}) == {}
    for verdict, n in facets.verdicts(engine, run.id, {"max__gte": "-100"}).items():
        _, total = neurons.page(engine, run.id, {f"labels_{verdict}__gte": "1"})
        assert n == total


@pytest.mark.parametrize("kind", ["version", "pair"])
def test_a_listing_is_all_pages(engine: Engine, kind: str) -> None:
    run = publish_synthetic(engine)
    publish_synthetic_evidence(engine, run)
    left = "left_" if kind == "pair" else ""
    filters, sort = {f"{left}max__gte": "0"}, f"-{left}hidden_share"
    read = neurons.pair_page if kind == "pair" else neurons.page
    rows, total = read(engine, run.id, filters, sort, size=ALL)
    chunks = list(listing.rows(engine, run.id, kind, filters, sort, chunk=5))  # type: ignore[arg-type]
    assert [row for chunk in chunks for row in chunk] == [row.values for row in rows]
    assert Counter(map(len, chunks)) == Counter([5] * (total // 5) + [total % 5] * (total % 5 > 0))
    columns = PAIR_COLUMNS if kind == "pair" else VERSION_COLUMNS
    assert set(chunks[0][0]) == set(columns)
    assert list(listing.rows(engine, run.id, kind, {f"{left}max__gte": "1e9"})) == []  # type: ignore[arg-type]
