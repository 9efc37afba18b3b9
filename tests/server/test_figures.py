"""Figures: counts are conserved, axes are named, and the SVG holds nothing that a CSP forbids."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import numpy as np
import pytest

from server.figures.axes import CountAxis, activation_axis, short_count, short_number
from server.figures.correspondence import correspondence
from server.figures.histogram import Curve, Marker, histogram, shared_axes, spread
from store.histogram_edges import N_BINS, bin_index

SVG = "{http://www.w3.org/2000/svg}"


def counts_of(values: np.ndarray) -> np.ndarray:
    return np.bincount(bin_index(values), minlength=N_BINS)


RNG = np.random.default_rng(0)
CASES = {
    "heavy tails": RNG.standard_t(2, 20_000),
    "gelu": np.maximum(RNG.normal(size=5_000), -0.17),
    "tiny": RNG.normal(size=1_000) * 1e-5,
    "huge": RNG.normal(size=1_000) * 1e4,
    "one value": np.full(7, -3.0),
    "zero": np.zeros(10),
    "nothing": np.zeros(0),
}


@pytest.mark.parametrize("case", CASES)
def test_rebinning_conserves_counts_and_order(case: str) -> None:
    values = CASES[case].astype(np.float32)
    axis = activation_axis([counts_of(values)])
    cells = axis.rebin(counts_of(values))
    assert cells.sum() == len(values)
    assert len(axis.edges()) == len(cells) + 1
    assert np.all(np.diff(axis.edges()) > 0)
    if case in ("nothing", "huge"):
        return
    # Each value is counted in the very cell in which the axis places it.
    places = np.array([axis.place(float(value)) for value in values[:500]]) - axis.left
    found = np.clip(np.searchsorted(axis.edges(), places, side="right") - 1, 0, len(cells) - 1)
    near = np.array([np.min(np.abs(np.array(axis.edges()) - place)) < 1e-9 for place in places])
    direct = np.array([np.argmax(axis.rebin(counts_of(value[None]))) for value in values[:500]])
    assert np.all((found == direct) | near)


def test_both_versions_share_axes_that_hold_all_of_both() -> None:
    left, right = counts_of(CASES["heavy tails"]), counts_of(CASES["gelu"])
    axis, counts_axis = shared_axes([left, right])
    alone, _ = shared_axes([right])
    assert axis.left <= alone.left
    assert counts_axis.largest == max(axis.rebin(left).max(), axis.rebin(right).max())
    heights = [counts_axis.height(count) for count in (0, 1, 10, counts_axis.largest)]
    assert heights == sorted(heights)
    assert heights[0] == 0
    assert 0 < heights[1] < heights[-1] < 1


def drawn(case: str = "heavy tails") -> str:
    counts = counts_of(CASES[case])
    axis, counts_axis = shared_axes([counts])
    return histogram(
        name="SoLU <b>L0N1",
        side="left",
        axis=axis,
        counts_axis=counts_axis,
        curves=[
            Curve("pre", "blocks.0.mlp.hook_pre", counts),
            Curve("mid", "blocks.0.mlp.ln.hook_in", counts, display=True),
        ],
        markers=[Marker("median", 0.0), Marker("99.9 %", 9.0)],
        lowest_top=12.0,
        n_top=20,
    )


@pytest.mark.parametrize("case", CASES)
def test_a_histogram_is_well_formed_without_style(case: str) -> None:
    figure = drawn(case)
    root = ElementTree.fromstring(figure)
    for element in root.iter():
        assert element.tag.removeprefix(SVG) not in ("style", "script")
        assert not {name for name in element.attrib if name == "style" or name.startswith("on")}
        for value in element.attrib.values():
            assert "nan" not in value
            assert "inf" not in value


def test_a_histogram_says_what_it_shows() -> None:
    root = ElementTree.fromstring(drawn())
    assert root.attrib["role"] == "img"
    assert root.findtext(f"{SVG}title") == "SoLU <b>L0N1: histogram of activations at pre, mid"
    description = root.findtext(f"{SVG}desc") or ""
    assert "20,000 tokens at mid (blocks.0.mlp.ln.hook_in)" in description
    assert "The 20 top examples lie at 12 and above." in description
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert "activation at blocks.0.mlp.ln.hook_in (symmetric log)" in texts
    assert "tokens (log)" in texts
    assert {"0", "10", "−10", "1k", "median", "99.9 %"} <= set(texts)
    assert "all that the top examples show" in texts
    assert len(list(root.iter(f"{SVG}path"))) == 2


@pytest.mark.parametrize("lowest_top", [None, 1.02, 30.0])
def test_every_marker_has_a_label_and_no_two_touch(lowest_top: float | None) -> None:
    counts = counts_of(CASES["heavy tails"])
    axis, counts_axis = shared_axes([counts])
    names = ("median", "90 %", "99 %", "99.9 %")
    figure = histogram(
        name="x",
        side="left",
        axis=axis,
        counts_axis=counts_axis,
        curves=[Curve("post", "h", counts, display=True)],
        markers=[Marker(name, 1.0 + n / 100) for n, name in enumerate(names)],
        lowest_top=lowest_top,
    )
    root = ElementTree.fromstring(figure)
    group = next(g for g in root.iter(f"{SVG}g") if g.attrib["class"] == "markers")
    labels = [(text.text or "", float(text.attrib["x"][:-1])) for text in group.iter(f"{SVG}text")]
    assert [name for name, _ in labels] == list(names)
    for (name, x), (other, beside) in pairwise(labels):
        assert 3.4 * (beside - x) >= 6 * (len(name) + len(other)) / 2, "at 340 pixels"
    assert len(group.findall(f"{SVG}line")) == 2 * len(names), "each with a leader"


def test_labels_apart_stay_at_their_places_and_inside() -> None:
    assert spread([10, 50, 90], [8, 8, 8], 100) == [10, 50, 90]
    assert spread([50, 50], [8, 4], 100) == [47, 53]
    assert spread([2, 99], [8, 8], 100) == [4, 96]
    assert spread([50, 50], [8, 4], 51) == [43, 49]


def test_what_the_top_examples_show_ends_with_the_data() -> None:
    """A bracket from the lowest top example to the last cell with a token, not to the edge."""
    counts = counts_of(np.array([0.0, 1.0, 2.0], dtype=np.float32))
    wide = counts_of(np.array([-50.0, 50.0], dtype=np.float32))
    axis, counts_axis = shared_axes([counts, wide])
    curves = [Curve("mid", "h", counts, display=True), Curve("pre", "g", wide)]
    figure = histogram(
        name="x",
        side="left",
        axis=axis,
        counts_axis=counts_axis,
        curves=curves,
        lowest_top=1.0,
        n_top=2,
    )
    group = next(
        g
        for g in ElementTree.fromstring(figure).iter(f"{SVG}g")
        if g.attrib["class"] == "top-shown"
    )
    span = next(line for line in group.iter(f"{SVG}line") if line.attrib.get("class") == "span")
    ends = [float(span.attrib[name][:-1]) for name in ("x1", "x2")]
    assert ends[0] == pytest.approx(axis.percent(1.0), abs=0.01)
    assert axis.percent(2.0) < ends[1] < axis.percent(4.0)


def test_ticks_are_apart_and_zero_is_one_of_them() -> None:
    for values in CASES.values():
        axis = activation_axis([counts_of(values.astype(np.float32))])
        places = [axis.percent(tick) for tick in axis.ticks()]
        assert 0.0 in axis.ticks()
        assert all(b - a > 6 for a, b in pairwise(places))
    assert [short_count(10**n) for n in (0, 2, 4, 6, 9)] == ["1", "100", "10k", "1M", "1G"]
    assert short_number(-0.01) == "−0.01"
    assert CountAxis(2_000_000).ticks() == [1, 100, 10_000, 1_000_000]


def test_correlations_stand_on_one_scale_on_every_page() -> None:
    """A ring at 0 and a disc at 0.5 stand where they stand for any other neuron."""

    def places(same_index: float) -> list[str]:
        figure = correspondence(name="x", side="left", same_index=same_index, best=0.5, null=0.1)
        return [one.attrib["cx"] for one in ElementTree.fromstring(figure).iter(f"{SVG}circle")]

    assert places(0.0)[1] == "50.00%"
    assert places(-0.4)[0] == places(0.9)[0] == "74.00%"


@pytest.mark.parametrize(
    ("same_index", "best", "null"), [(0.5, 0.7, 0.1), (-0.4, 0.2, 0.3), (None, None, None)]
)
def test_correspondence_marks_what_is_defined(
    same_index: float | None, best: float | None, null: float | None
) -> None:
    root = ElementTree.fromstring(
        correspondence(name="x & y", side="right", same_index=same_index, best=best, null=null)
    )
    assert len(list(root.iter(f"{SVG}circle"))) == sum(
        one is not None for one in (same_index, best)
    )
    assert len(list(root.iter(f"{SVG}rect"))) == (null is not None)
    said = root.findtext(f"{SVG}desc") or ""
    assert ("undefined" in said) == (best is None)
    for element in root.iter():
        assert "style" not in element.attrib
        for name in ("x", "cx", "x1", "x2"):
            if name in element.attrib:
                assert 0 <= float(element.attrib[name].rstrip("%")) <= 100
