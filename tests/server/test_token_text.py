"""Tokens as text: nothing of the corpus is ever interpreted, and every byte is accounted for."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from server.token_text import (
    heat_map,
    levels,
    snippet_markup,
    text_markup,
    token_markup,
    token_string,
    value_attributes,
    visible_text,
)


class Reader(HTMLParser):
    """Which elements there are, which classes, and the text that a reader sees."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.classes: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(str(markup))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "span":
            self.classes.append(dict(attrs).get("class") or "")

    def handle_data(self, data: str) -> None:
        self.text += data


HOSTILE = [
    b"<script>alert(1)</script>",
    b"<b onmouseover=alert(1)>",
    b"&amp;",
    b'" style="color:red',
    b"'><img src=x onerror=alert(1)>",
    b"{{ 7*7 }}",
    b"\x00",
    "שלום".encode(),
    "\u202eevil".encode(),
    b"\xff\xfe",
    b"\xed\xa0\x80",  # a lone surrogate
    b"]]>",
    b"",
]


@pytest.mark.parametrize("token", HOSTILE)
def test_a_hostile_token_is_text(token: bytes) -> None:
    found = Reader(heat_map([token], focus=0, own=[1.0], scale=1.0))
    assert set(found.tags) <= {"span", "i", "b"}
    assert found.attributes <= {"class"}
    assert not re.search("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", found.text)
    if token.isascii() and token.decode().isprintable():
        assert found.text == token.decode()


def test_bytes_that_are_no_character_are_spelled_out() -> None:
    assert token_string(b"\xc3") == "\\xc3"
    assert Reader(token_markup(b"a\xc3")).text == "a\\xc3"
    assert Reader("".join(snippet_markup([b"x", b"\x80", b"\xe2\x86"]))).text == "x\\x80\\xe2\\x86"


def test_a_character_split_between_tokens_is_shown_once_where_it_begins() -> None:
    arrow = "→".encode()
    assert [Reader(part).text for part in snippet_markup([b"a" + arrow[:1], arrow[1:], b"b"])] == [
        "a→",
        "‥",
        "b",
    ]


def test_every_valid_text_survives_any_cut() -> None:
    text = "naïve 😀 שלום → x"
    stream = text.encode()
    rng = np.random.default_rng(0)
    for _ in range(50):
        cuts = sorted(rng.integers(0, len(stream) + 1, 6).tolist())
        pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        assert Reader("".join(snippet_markup(pieces))).text.replace("‥", "") == text


def test_spaces_stay_spaces_and_newlines_are_shown() -> None:
    assert token_markup(b"  x") == "<i>  </i>x"
    assert token_markup(b"\n    ") == "<b>↵</b><i class=w>    </i>"
    assert token_markup(b"\n\t") == "<b>↵→</b>"
    assert text_markup("<a b>") == "&lt;a<i> </i>b&gt;"
    assert visible_text("a\x00b\u202ec\n") == "a\\x00b\\u202ec↵"


def test_a_combining_mark_alone_gets_a_base() -> None:
    assert token_markup("\u0301".encode()).startswith("◌")


def test_levels_diverge_and_are_symmetric() -> None:
    values = np.array([-1.0, -0.3, -0.001, 0.0, 0.001, 0.3, 1.0, 7.0], np.float16)
    found = levels(values, 1.0)
    assert found == [-8, -4, 0, 0, 0, 4, 8, 8]
    assert levels(-values, 1.0) == [-level for level in found]
    assert levels(values, None) == levels(values, 0.0) == [0] * 8


def test_levels_grow_with_the_square_root() -> None:
    for level in range(1, 9):
        begins = ((level - 0.5) / 8) ** 2 * 3.0
        assert levels([begins * 1.001], 3.0) == [level]
        assert levels([begins * 0.999], 3.0) == [level - 1]


def test_a_span_a_token_with_both_versions() -> None:
    pieces = [b"<|endoftext|>", b" a", b"b"]
    found = Reader(
        heat_map(
            pieces,
            focus=2,
            own=[5, 0.25, -1],
            scale=1.0,
            other=[5, -1, 0],
            other_scale=1.0,
            masked=1,
        )
    )
    assert found.classes == ["bos", "p4 on8", "f n8"]
    with pytest.raises(ValueError, match="zip"):
        heat_map(pieces, focus=2, own=[1.0], scale=1.0)


def test_values_are_short_and_exact_to_a_hundredth_of_the_largest() -> None:
    found = value_attributes(
        {"pre": [0.123456, -2.5, 1e-9, 0.0123]}, {"post": [0.0, 0.0, 0.0, 0.0]}
    )
    assert found == ' data-pre="0.01 12 -250 0 1" data-other-post="1 0 0 0 0"'
    values = np.random.default_rng(0).standard_t(2, 64)
    step, *steps = map(float, value_attributes({"mid": values.tolist()})[11:-1].split())
    assert np.abs(np.array(steps) * step - values).max() <= step / 2 <= np.abs(values).max() / 200


def test_values_that_are_none_take_no_row_with_them() -> None:
    found = value_attributes({"pre": [float("nan"), 2.0]}, {"post": [float("inf"), 1.0]})
    assert found.startswith(' data-pre="0.01 0 200"')
    assert value_attributes({"pre": []}) == ' data-pre="1 "'
