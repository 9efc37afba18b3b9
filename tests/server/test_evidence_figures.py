"""Figures of the evidence: what is drawn is what was measured, and holds nothing a CSP forbids."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import numpy as np
import pytest

from server.evidence_drawing import at_share
from server.figures.axes import activation_axis
from server.figures.band_scores import band_scores
from server.figures.effect_histogram import effect_histogram, shares_of, tallest_cell
from server.figures.hidden_curves import HiddenCurve, hidden_curves
from server.figures.joint_density import (
    Lifted,
    bin_axis,
    class_name,
    colour_class,
    joint_density,
    largest_class,
)
from store.evidence_records import CURVE_QUANTILES
from store.histogram_edges import N_BINS, bin_index

SVG = "{http://www.w3.org/2000/svg}"


def parsed(figure: str) -> ElementTree.Element:
    root = ElementTree.fromstring(figure)
    for element in root.iter():
        assert element.tag.removeprefix(SVG) not in ("style", "script")
        assert not {name for name in element.attrib if name == "style" or name.startswith("on")}
        for value in element.attrib.values():
            assert "nan" not in value
            assert "inf" not in value
    return root


def curve(side: str, headline: float | None, **more: object) -> HiddenCurve:
    shares: list[float | None] = [None] * len(CURVE_QUANTILES)
    if headline is not None:
        shares = [*np.linspace(0, headline, len(CURVE_QUANTILES) - 1).tolist(), 1.0]
    return HiddenCurve(side, f"<{side}>", CURVE_QUANTILES, shares, headline, **more)  # type: ignore[arg-type]


def points_of(root: ElementTree.Element, side: str) -> list[tuple[float, float]]:
    group = next(
        g for g in root.iter(f"{SVG}g") if g.get("class") == side and list(g.iter(f"{SVG}polyline"))
    )
    line = next(group.iter(f"{SVG}polyline"))
    return [(float(x), float(y)) for x, y in (p.split(",") for p in line.attrib["points"].split())]


def test_both_curves_rise_in_one_chart() -> None:
    figure = hidden_curves(
        [curve("left", 0.4, interval=(0.3, 0.5), lowest_top=(0.9999, 0.9)), curve("right", 0.9)],
        estimated=False,
    )
    root = parsed(figure)
    for side, headline in (("left", 0.4), ("right", 0.9)):
        points = points_of(root, side)
        assert all(b[0] > a[0] and b[1] <= a[1] for a, b in pairwise(points))
        assert f"{100 * headline:.1f} %" in figure
    assert len(points_of(root, "left")) == len(points_of(root, "right")) + 1  # the lowest top one
    heights = sorted(float(c.attrib["cy"]) for c in root.iter(f"{SVG}circle"))
    assert heights[1] - heights[0] == pytest.approx(0.5 * 152, abs=0.2)
    said = root.findtext(f"{SVG}desc") or ""
    assert "40.0 % of the effect below 99.9 %, 90.0 % below the lowest top example" in said


def test_the_dotted_line_is_the_share_of_tokens() -> None:
    root = parsed(hidden_curves([curve("left", 0.4)], estimated=False))
    even = next(p for p in root.iter(f"{SVG}polyline") if p.get("class") == "even")
    first, last = (
        tuple(map(float, point.split(",")))
        for point in (even.attrib["points"].split()[n] for n in (0, -1))
    )
    assert first[1] == pytest.approx(194)
    assert last[1] == pytest.approx(42, abs=0.1)


def test_a_curve_never_falls() -> None:
    """The lowest top example's share comes from a histogram, the others from ranks."""
    bent = curve("left", 0.8, lowest_top=(0.95, 0.1))
    shares = [share for _, share in bent.points()]
    assert shares == sorted(shares)
    assert len(shares) == len(CURVE_QUANTILES) + 1


def test_labels_stand_above_the_plot_on_either_side_of_the_line() -> None:
    root = parsed(hidden_curves([curve("left", 0.5), curve("right", 0.5)], estimated=True))
    labels = [t for t in root.iter(f"{SVG}text") if t.get("class") == "value"]
    assert [label.get("text-anchor") for label in labels] == ["end", "start"]
    highest = min(
        float(place.split(",")[1])
        for line in root.iter(f"{SVG}polyline")
        for place in line.attrib["points"].split()
    )
    assert all(float(label.attrib["y"]) < highest - 4 for label in labels), "off the lines"
    assert "estimates" in (root.findtext(f"{SVG}title") or "")


def test_a_version_without_effect_has_no_curve() -> None:
    root = parsed(hidden_curves([curve("left", None), curve("right", 1.0)], estimated=False))
    assert "no effect to divide" in (root.findtext(f"{SVG}desc") or "")
    assert len(list(root.iter(f"{SVG}circle"))) == 1


def test_a_curve_is_bent_to_another_share() -> None:
    assert at_share(0.4, 0.4, 0.6) == pytest.approx(0.6)
    assert at_share(0.2, 0.4, 0.6) == pytest.approx(0.3)
    assert at_share(0.7, 0.4, 0.6) == pytest.approx(0.8)
    assert at_share(1.0, 0.4, 0.6) == 1.0
    assert at_share(0.0, 0.0, 0.6) == 0.6
    assert at_share(1.0, 1.0, 0.6) == pytest.approx(0.6)
    assert at_share(None, 0.4, 0.6) is None


RNG = np.random.default_rng(0)
VALUES = RNG.standard_t(3, 5000).astype(np.float32)
COUNTS = np.bincount(bin_index(VALUES), minlength=N_BINS)
MASS = np.bincount(bin_index(VALUES), weights=VALUES**2, minlength=N_BINS)


def test_effect_is_drawn_where_it_lies() -> None:
    axis = activation_axis([COUNTS])
    assert axis.rebin_mass(MASS.tolist()).sum() == pytest.approx(MASS.sum())
    assert sum(shares_of(MASS.tolist())) == pytest.approx(1)
    highest = tallest_cell(axis, [MASS.tolist(), (MASS * 7).tolist()])
    assert highest == pytest.approx(axis.rebin_mass(MASS.tolist()).max() / MASS.sum())
    figure = effect_histogram(
        name="SoLU L0N1",
        side="left",
        axis=axis,
        mass=MASS.tolist(),
        highest=highest,
        headline=2.0,
        share_below=0.25,
        lowest_top=5.0,
        hook_point="blocks.0.mlp.hook_post",
    )
    root = parsed(figure)
    path = next(p for p in root.iter(f"{SVG}path"))
    assert "V0H" in path.attrib["d"]  # the tallest cell reaches the top
    assert "25.0 %" in figure
    assert "75.0 %" in figure


@pytest.mark.parametrize("mass", [[0.0] * N_BINS, []])
def test_no_effect_draws_nothing(mass: list[float]) -> None:
    axis = activation_axis([COUNTS])
    assert tallest_cell(axis, [mass]) == 1.0
    figure = effect_histogram(
        name="x",
        side="right",
        axis=axis,
        mass=mass,
        highest=1.0,
        headline=None,
        share_below=None,
        lowest_top=None,
        hook_point="h",
    )
    assert not list(parsed(figure).iter(f"{SVG}path"))


EDGES = (-4.0, -1.0, -0.1, 0.1, 1.0, 4.0)


def drawn_density(counts: np.ndarray, lifted: tuple[Lifted, ...] = ()) -> ElementTree.Element:
    return parsed(
        joint_density(
            name="SoLU <b>",
            side="left",
            mid_edges=EDGES,
            post_edges=EDGES,
            counts=counts,
            median=0.0,
            lifted=lifted,
        )
    )


def test_each_cell_with_tokens_is_drawn_once_in_its_class() -> None:
    counts = np.zeros((5, 5), np.int64)
    counts[1, 1], counts[2, 3], counts[3, 3] = 5, 50, 5_000_000
    root = drawn_density(counts)
    cells = {path.attrib["class"]: path.attrib["d"].count("M") for path in root.iter(f"{SVG}path")}
    assert cells == {"d1": 1, "d2": 1, "d6": 1}
    # mid across, post up: (bin 2, bin 3) of a figure that shows bins 0 … 4 of both.
    path = next(p for p in root.iter(f"{SVG}path") if p.attrib["class"] == "d2")
    assert path.attrib["d"] == "M2 1h1v1h-1z"
    assert [colour_class(n) for n in (0, 1, 9, 10, 99_999, 10**9)] == [0, 1, 1, 2, 5, 6]
    assert [class_name(n) for n in range(1, 7)] == [
        "1–9", "10–99", "100–999", "1k–10k", "10k–100k", "100k+",
    ]  # fmt: skip
    assert largest_class(counts) == 6
    assert largest_class(np.zeros((5, 5), np.int64)) == 0
    drawn_density(np.zeros((5, 5), np.int64))


def test_lifted_examples_are_ringed_where_they_lie() -> None:
    counts = np.ones((5, 5), np.int64)
    root = drawn_density(counts, (Lifted(-0.05, 2.0, "#left-lifted-0", 0), Lifted(0, 0, "#b", 1)))
    rings = [
        (float(c.attrib["cx"].rstrip("%")), float(c.attrib["cy"]))
        for c in root.iter(f"{SVG}circle")
    ]
    assert rings[0][0] < rings[1][0]
    assert rings[0][1] < rings[1][1]
    assert [a.attrib["href"] for a in root.iter(f"{SVG}a")] == ["#left-lifted-0", "#b"]
    assert root.attrib["role"] == "group", "an image has no links within"
    assert root.attrib["aria-label"] == root.findtext(f"{SVG}title")


def test_an_axis_of_bins_places_values_within_them() -> None:
    axis = bin_axis(EDGES, [0, 3, 4, 0, 0])
    assert (axis.first, axis.last) == (0, 4)
    assert [axis.share(value) for value in (-9, -4, -1, 0, 1, 9)] == pytest.approx(
        [0, 0, 0.25, 0.625, 1, 1]
    )
    assert 0.0 in axis.ticks(0.1)
    assert all(axis.share(b) - axis.share(a) >= 0.1 for a, b in pairwise(axis.ticks(0.1)))


def test_the_band_that_carries_the_score_stands_out() -> None:
    root = parsed(
        band_scores(
            name="GeLU L0N1",
            side="right",
            scores={"Top": 0.2, "90–99 %": 0.8, "50–90 %": None},
            carrier="90–99 %",
            scale=1.0,
        )
    )
    groups = {g.attrib["class"]: g for g in root.iter(f"{SVG}g")}
    carrier = groups["band-score carrier"]
    assert [t.text for t in carrier.iter(f"{SVG}text")] == ["90–99 %", "0.80"]
    widths = [float(re.sub("%", "", r.attrib["width"])) for r in root.iter(f"{SVG}rect")]
    assert widths[1] == pytest.approx(4 * widths[0])
    assert "too few contexts" in (root.findtext(f"{SVG}desc") or "")
