"""The explorer's scatter: its points, its drawing without scripts, and what it refuses."""

from __future__ import annotations

import re

import numpy as np
import pytest

from server.compose.scatter import rounded
from server.errors import BadParameter
from server.figures.scatter import SINGLE, Scale, frame_of, panel
from server.filters import Plot, read
from store import neurons
from tests.server.conftest import Served
from tests.server.test_pages import get_json


def test_points_have_name_and_values(served: Served) -> None:
    found = get_json(served, "/tiny-pair/scatter.json?x=kurtosis&y=hidden_share&layer=1")
    points = found["points"]
    rows, _ = neurons.page(served.engine, served.newest.id, {"layer": "1"}, size=100)
    wanted = {
        (row.side == "right", row.layer, row.neuron): row.values["hidden_share"]
        for row in rows
        if row.values["kurtosis"] is not None and row.values["hidden_share"] is not None
    }
    places = zip(points["side"], points["layer"], points["neuron"], strict=True)
    assert dict(zip(places, points["y"], strict=True)) == pytest.approx(wanted, rel=1e-4)
    assert len(points["x"]) == found["defined"] == 14
    assert found["matching"] == 16
    assert found["summary"] == "14 versions; 2 more lack one of the two values."
    assert (found["left_name"], found["right_name"]) == ("SoLU", "GeLU")
    assert found["x"]["title"] == "kurtosis"
    assert found["permalink"].endswith(f"run={served.newest.id}")


def test_a_logarithmic_axis_says_what_it_leaves_out(served: Served) -> None:
    found = get_json(served, "/tiny-pair/scatter.json?x=skewness&y=max&log_x=1")
    below = sum(value <= 0 for value in found["points"]["x"])
    assert found["x"]["n_outside"] == below > 0
    assert f"leaves out {below} at or below zero on skewness" in found["summary"]


def test_pairs_are_points_too(served: Served) -> None:
    found = get_json(served, "/tiny-pair/scatter.json?rows=pair&x=left_max&y=right_max")
    assert found["of"] == "pair"
    assert found["points"]["side"] == []
    assert found["y"]["title"] == "maximum of GeLU"


def test_the_page_draws_it_without_scripts(served: Served) -> None:
    address = "/tiny-pair?x=kurtosis&y=max&log_x=1&layer=1&sort=-max"
    html = served.client.get(address).text
    assert html.count('class="figure scatter') == 2
    dots = re.findall(r'<a href="(/tiny-pair/1/\d)" aria-label="L1N\d: ', html)
    assert len(dots) == 14, "few points are links"
    page = get_json(served, address.replace("?", ".json?"))
    assert page["scatter"]["shown"] is True
    assert page["scatter"]["data_href"] == (
        "/tiny-pair/scatter.json?layer=1&x=kurtosis&y=max&log_x=1"
    )
    # The scatter is part of the state: every link of the page keeps it.
    assert "x=kurtosis&y=max&log_x=1" in page["permalink"]
    assert all("x=kurtosis" in one["remove_href"] for one in page["filters"])
    assert page["scatter"]["close_href"] == "/tiny-pair?layer=1&sort=-max"
    assert get_json(served, "/tiny-pair.json")["scatter"]["shown"] is False
    assert "scatter.js" not in served.client.get("/tiny-pair").text


def test_a_pinned_scatter_leads_to_pinned_pages(served: Served) -> None:
    html = served.client.get(f"/tiny-pair?x=kurtosis&y=max&run={served.older.id}").text
    assert f'<a href="/tiny-pair/1/3?run={served.older.id}" aria-label="L1N3: ' in html


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("?x=kurtosis", "both axes"),
        ("?x=kurtosis&y=side", "no number"),
        ("?x=kurtosis&y=nonsense", "nonsense"),
        ("?x=kurtosis&y=left_max", "rows=pair"),
        ("", "x and y"),
    ],
)
def test_what_cannot_be_drawn_is_refused(served: Served, address: str, words: str) -> None:
    answer = served.client.get(f"/tiny-pair/scatter.json{address}")
    assert answer.status_code == 422
    said = answer.json()["error"]
    assert words in f"{said['message']} {said['hint']}"


def test_a_single_model_has_no_pairs_to_draw(served: Served) -> None:
    answer = served.client.get("/solo/scatter.json?rows=pair&x=left_max&y=right_max")
    assert answer.status_code == 422
    html = served.client.get("/solo?x=kurtosis&y=max").text
    assert html.count('class="figure scatter') == 1


def test_the_address_is_read_and_written_alike() -> None:
    selection = read([("x", "max"), ("y", "min"), ("log_y", "1"), ("layer", "0")], 100)
    assert selection.plot == Plot("max", "min", log_y=True)
    again = [(k, str(v)) for k, v in selection.parameters().items() if v is not None]
    assert read(again, 100) == selection
    assert selection.with_rows("pair").plot is None
    with pytest.raises(BadParameter):
        read([("x", "max")], 100)


def test_values_have_five_digits() -> None:
    values = np.array([0.0, 1 / 3, -123456.7, 1e-12 / 3, 6.02214076e23, 99999.5, 0.1 + 0.2])
    assert rounded(values).tolist() == [
        0.0, 0.33333, -123460.0, 3.3333e-13, 6.0221e23, 99999.0 + 1, 0.3,
    ]  # fmt: skip


def test_every_point_lies_in_a_cell() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.lognormal(0, 2, 5000), rng.normal(size=5000)
    frame = frame_of(x, y, log_x=True, log_y=False)
    drawn = panel(name="SoLU", side="left", frame=frame, x=x, y=y, x_title="a", y_title="b")
    assert "5,000 points" in drawn
    cells = sum(int(width) for width in re.findall(r"h(\d+)v1h-", drawn))
    across, up = frame.x.shares(x), frame.y.shares(y)
    assert 0 <= across.min() < across.max() <= 1
    wanted = {(int(a * 84), int((1 - b) * 52)) for a, b in zip(across, up, strict=True)}
    assert cells == len(wanted)
    assert len(drawn) < 40_000, "cells, however many the points are"
    assert "<circle" not in drawn


def test_few_points_are_links() -> None:
    x = np.arange(SINGLE, dtype=float)
    frame = frame_of(x, x, log_x=False, log_y=False)
    hrefs = [(f"/p/0/{n}", f"<L0N{n}>") for n in range(SINGLE)]
    drawn = panel(name="n", side="", frame=frame, x=x, y=x, x_title="a", y_title="b", hrefs=hrefs)
    assert drawn.count("<a href") == SINGLE
    assert "<L0N" not in drawn


@pytest.mark.parametrize(
    ("scale", "texts"),
    [
        (Scale(0, 1, False), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (Scale(-3, 77, False), ["0", "20", "40", "60"]),
        (Scale(-2, 2, True), ["0.01", "0.1", "1", "10", "100"]),
        (Scale(-0.1, 1.1, True), ["1", "2", "5", "10"]),
    ],
)
def test_ticks_are_round(scale: Scale, texts: list[str]) -> None:
    ticks = scale.ticks(6)
    assert [text for _, text in ticks] == texts
    assert all(0 <= share <= 1 for share, _ in ticks)


@pytest.mark.parametrize("values", [[], [3.0], [0.0, 0.0], [-1.0, -2.0]])
def test_odd_values_have_axes(values: list[float]) -> None:
    array = np.array(values)
    for log in (False, True):
        frame = frame_of(array, array, log_x=log, log_y=log)
        assert frame.x.high > frame.x.low
        panel(name="n", side="", frame=frame, x=array, y=array, x_title="a", y_title="b")
