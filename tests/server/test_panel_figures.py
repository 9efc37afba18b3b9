"""Figures of ranges, kept activations and deciles: well formed, to scale, and said in words."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest

from server.figures.deciles import deciles
from server.figures.kept_curves import KeptCurve, kept_curves
from server.figures.ranges import LinearScale, range_axis, range_line, scale_over

SVG = "{http://www.w3.org/2000/svg}"
KEPT = (1.0, 0.9, 0.75, 0.5, 0.25, 0.1, 0.05, 0.01, 0.005, 0.001, 0.0)


def parsed(figure: str) -> ElementTree.Element:
    """The figure's root; it holds no style, no script and no number that is none."""
    root = ElementTree.fromstring(figure)
    for element in root.iter():
        assert element.tag.removeprefix(SVG) not in ("style", "script")
        assert not {name for name in element.attrib if name == "style" or name.startswith("on")}
        for name, value in element.attrib.items():
            assert "nan" not in value
            assert name == "class" or "inf" not in value
    return root


@pytest.mark.parametrize(
    "values",
    [[], [0.0], [None, math.nan], [-0.02, 0.01], [3.0, 3.0], [1e-9, 2e-9], [-5e5, 8e6]],
)
def test_a_scale_holds_its_values(values: list[float | None]) -> None:
    scale = scale_over(values, around=(0.0,))
    places = [scale.percent(value) for value in values if value is not None and value == value]
    assert all(0 <= place <= 100 for place in places)
    assert scale.holds(0.0)
    ticks = scale.ticks()
    assert 1 <= len(ticks) <= 6
    assert all(scale.low <= tick <= scale.high for tick in ticks)
    assert all(a < b for a, b in pairwise(ticks))
    parsed(range_axis(scale, "nats & tokens"))
    parsed(range_axis(scale, "share", percent=True))


def test_a_scale_keeps_order_and_clips() -> None:
    scale = LinearScale(0.0, 1.0)
    assert scale.percent(-1) == scale.percent(0) < scale.percent(0.5) < scale.percent(1)
    assert scale.percent(0.5) == 50
    assert scale.percent(7) == scale.percent(1)


def test_a_line_draws_what_is_known() -> None:
    scale = LinearScale(-1.0, 1.0)
    whole = parsed(
        range_line(
            name="a <b>",
            scale=scale,
            side="left",
            value=0.25,
            inner=(0.0, 0.5),
            outer=(-0.5, 0.75),
        )
    )
    assert whole.findtext(f"{SVG}title") == "a <b>"
    assert whole.findtext(f"{SVG}desc") == "0.25, from 0 to 0.5, from -0.5 to 0.75"
    (mark,) = whole.iter(f"{SVG}circle")
    assert mark.attrib["cx"] == f"{scale.percent(0.25):.2f}%"
    lines = {line.attrib["class"]: line.attrib for line in whole.iter(f"{SVG}line")}
    assert lines["zero"]["x1"] == "50.00%"
    assert lines["outer"]["x1"] == f"{scale.percent(-0.5):.2f}%"
    assert len(list(whole.iter(f"{SVG}rect"))) == 1
    empty = parsed(range_line(name="x", scale=scale, value=None, reference=None))
    assert empty.findtext(f"{SVG}desc") == "undefined"
    assert not list(empty.iter(f"{SVG}circle"))
    assert not list(empty.iter(f"{SVG}line"))


def points(root: ElementTree.Element, side: str) -> list[tuple[float, float]]:
    group = next(g for g in root.iter(f"{SVG}g") if g.attrib.get("class") == side)
    return [
        (float(one.attrib["cx"].rstrip("%")), float(one.attrib["cy"]))
        for one in group.iter(f"{SVG}circle")
    ]


def test_curves_rise_to_the_right() -> None:
    curve = KeptCurve("SoLU", KEPT, tuple(kept**0.5 for kept in KEPT))
    root = parsed(kept_curves("Layer 0", {"left": curve, "right": KeptCurve("GeLU", KEPT, KEPT)}))
    left, right = points(root, "left"), points(root, "right")
    assert len(left) == len(right) == len(KEPT)
    for one in (left, right):
        assert all(a[0] < b[0] and a[1] >= b[1] for a, b in pairwise(one))
    assert all(mine[1] <= other[1] for mine, other in zip(left, right, strict=True))
    assert "SoLU: 0.00 with 0 kept" in (root.findtext(f"{SVG}desc") or "")
    assert {"none", "0.1 %", "all", "100 %"} <= {text.text for text in root.iter(f"{SVG}text")}


def test_a_curve_beyond_its_axis_stays_in_the_figure() -> None:
    wild = KeptCurve("x", KEPT, (1.0, -40.0, 9.0, *(0.5,) * 8))
    for _, y in points(parsed(kept_curves("Layer 1", {"right": wild})), "right"):
        assert 0 <= y <= 170


def test_deciles_are_to_scale() -> None:
    shares = (0.4, 0.2, 0.1, 0.1, 0.05, 0.05, 0.04, 0.03, 0.02, 0.01)
    root = parsed(deciles("Layer 0", "spread", {"left": shares, "right": (0.1,) * 10}))
    bars = list(root.iter(f"{SVG}rect"))
    assert len(bars) == 20
    heights = [float(bar.attrib["height"]) for bar in bars]
    assert heights[0] == pytest.approx(4 * heights[2], abs=0.3)
    assert heights[10] == pytest.approx(heights[2])
    assert root.findtext(f"{SVG}desc", "").startswith("left: 40.0%, 20.0%")
    for bar in bars:
        right = float(bar.attrib["x"].rstrip("%")) + float(bar.attrib["width"].rstrip("%"))
        assert right <= 100
