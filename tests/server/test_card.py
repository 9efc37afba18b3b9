"""The link preview: what is on it, that it is the same each time, quick, and crashes on no text."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from server.card import SIZE, colours, draw_card
from server.card_content import CardColumn, CardContent, CardToken
from server.card_text import fitted, is_covered, width
from store.histogram_edges import N_BINS
from tests.server.conftest import Served


def column(side: str = "left", **changes: object) -> CardColumn:
    counts = np.zeros(N_BINS, dtype=np.int64)
    counts[150:240] = 1000
    made = CardColumn(
        side=side,
        heading="SoLU L0N17",
        model="a model",
        said="38.1 % of its effect is hidden (exact)",
        site="mid",
        std=0.5,
        counts=tuple(counts.tolist()),
        top="8.31",
        snippet=(CardToken("def", 0), CardToken(" self", 8, True), CardToken("\u202e", -8)),
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def content(*columns: CardColumn) -> CardContent:
    return CardContent("L0N17", "pystd-2l", "The same thing? No.", "run 9f3a61c04e", columns)


def picture(drawn: bytes) -> Image.Image:
    return Image.open(io.BytesIO(drawn)).convert("RGB")


def pixels(image: Image.Image, name: str) -> int:
    """How many pixels have a colour of the palette."""
    rgb = np.asarray(image)
    wanted = tuple(int(colours()[name][n : n + 2], 16) for n in (1, 3, 5))
    return int((rgb == wanted).all(axis=2).sum())


def test_left_is_blue_and_right_is_orange() -> None:
    image = picture(draw_card(content(column("left"), column("right"))))
    assert image.size == SIZE
    left, right = image.crop((0, 100, 600, 400)), image.crop((600, 100, 1200, 400))
    for side, own, other in ((left, "left", "right"), (right, "right", "left")):
        assert pixels(side, f"{own}-mark") > 1000
        assert pixels(side, f"{own}-wash") > 1000
        assert pixels(side, f"{other}-mark") == 0


def test_the_focus_has_the_deepest_colour() -> None:
    image = picture(draw_card(content(column(), column("right", snippet=()))))
    assert pixels(image.crop((0, 470, 600, 560)), "p8") > 300
    assert pixels(image.crop((600, 470, 1200, 560)), "p8") == 0


def test_the_same_content_gives_the_same_bytes() -> None:
    first = draw_card(content(column("left"), column("right")))
    draw_card.cache_clear()
    assert draw_card(content(column("left"), column("right"))) == first
    assert draw_card(content(column("left", top="8.32"), column("right"))) != first


HOSTILE = (
    "שלום",
    "😀🏳️‍🌈",
    "\x00\ud800",
    "ﷺ" * 200,
    "漢字\u202e",
    "e\u0301" * 50,
    "",
    " " * 400,
    "\n\t↵→",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_breaks_it(text: str) -> None:
    hostile = column(
        heading=text, model=text, said=text, snippet=(CardToken(text, 3), CardToken(text, -4, True))
    )
    made = CardContent(text, text, text, text[:10], (hostile, column("right")))
    assert picture(draw_card(made)).size == SIZE


def test_a_constant_neuron_and_a_single_one_are_drawn() -> None:
    counts = [0] * N_BINS
    constant = column(counts=tuple(counts), std=0.0, snippet=(), top="")
    assert picture(draw_card(content(constant))).size == SIZE


def test_what_the_typeface_lacks_is_marked() -> None:
    assert all(map(is_covered, "Abz 09_[]{}<>~|…"))
    assert not any(map(is_covered, "éשи漢😀↵\x00"))
    assert width("漢字", 20) == pytest.approx(22)
    assert fitted("abc", 20, 1000) == "abc"
    cut = fitted("a long heading of a model", 20, 100)
    assert cut.endswith("…")
    assert width(cut, 20) <= 100


def test_it_is_answered_and_kept(served: Served) -> None:
    served.client.get("/tiny-pair/0/4/card.png")
    draw_card.cache_clear()
    answer = served.client.get("/tiny-pair/0/3/card.png")
    assert answer.headers["content-type"] == "image/png"
    assert picture(answer.content).size == SIZE
    assert len(answer.content) < 150_000
    again = served.client.get(
        "/tiny-pair/0/3/card.png", headers={"If-None-Match": answer.headers["etag"]}
    )
    assert again.status_code == 304
    assert served.client.get("/tiny-pair/0/3/card.png").content == answer.content
    other = served.client.get("/tiny-pair/0/2/card.png?pairing=match&anchor=right")
    assert other.content != served.client.get("/tiny-pair/0/2/card.png").content
