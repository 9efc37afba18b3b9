"""Snippets drawn together are what each is drawn alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from server.pages.lazy import Pieces
from server.snippets import Snippet, draw_snippets, texts_beside
from server.token_text import heat_map, passage_markup, value_attributes
from server.vocabulary import Vocabulary


def snippets(number: int) -> list[Snippet]:
    """Of different lengths, scales and rows; some with values that are none, or all zero."""
    rng = np.random.default_rng(0)
    made = []
    for n in range(number):
        length = int(rng.integers(1, 30))
        values = {
            site: np.round(rng.standard_t(2, length) * 10.0 ** int(rng.integers(-4, 4)), 6).tolist()
            for site in ("pre", "mid", "post")
        }
        values["mid"] = [0.0] * length if n % 5 == 0 else values["mid"]
        if n % 7 == 0:
            values["pre"][0] = float("nan")
        other = {"pre": values["post"][::-1], "post": values["pre"]} if n % 3 else None
        made.append(
            Snippet(
                tokens=[bytes([int(b)]) for b in rng.integers(0, 256, length)],
                focus=length // 2,
                masked=n % 2,
                own=values,
                own_site=("pre", "mid", "post")[n % 3],
                scale=None if n % 4 == 0 else 2.5,
                other=other,
                other_site=None if other is None else "post",
                other_scale=0.0 if n % 11 == 0 else 1.5,
                changed=None if n % 6 else n % 5,
            )
        )
    return made


def test_together_is_as_alone() -> None:
    given = snippets(80)
    for one, (tokens, attributes) in zip(given, draw_snippets(given), strict=True):
        assert tokens == heat_map(
            one.tokens,
            focus=one.focus,
            own=one.own[one.own_site],
            scale=one.scale,
            masked=one.masked,
            other=None if one.other is None else one.other["post"],
            other_scale=one.other_scale,
            changed=one.changed,
        )
        assert attributes == value_attributes(one.own, one.other)


@pytest.mark.parametrize("number", [0, 1])
def test_none_and_one(number: int) -> None:
    assert len(list(draw_snippets(snippets(number)))) == number


def test_tokens_of_one_vocabulary_are_drawn_as_their_bytes() -> None:
    rng = np.random.default_rng(1)
    words = [b" self", b"(", "é".encode(), *"é".encode("latin-1").split(b" "), b"\xc3", b"\xa9"]
    vocabulary = Vocabulary(words)
    by_id = [
        replace(one, tokens=Pieces(rng.integers(0, len(words), len(one.tokens)), vocabulary))
        for one in snippets(20)
    ]
    as_bytes = [replace(one, tokens=list(one.tokens)) for one in by_id]
    for _ in range(2):  # what was made the first time is looked up the second
        assert list(draw_snippets(by_id)) == list(draw_snippets(as_bytes))
    mixed = [by_id[0], as_bytes[1]]
    assert list(draw_snippets(mixed, popovers=False)) == list(draw_snippets(as_bytes[:2], False))


@pytest.mark.parametrize("first", [b"\xc3", b" a<b"])
def test_text_beside_is_that_of_all_its_tokens_joined(first: bytes) -> None:
    vocabulary = Vocabulary([first, b"\xa9", b"\n\tx", b"&", "é".encode(), b"\x00"])
    stretches = [
        Pieces(np.array(ids, np.int32), vocabulary) for ids in ([0, 1, 2], [], [3, 4, 5, 2])
    ]
    for _ in range(2):  # made, then looked up
        assert texts_beside(stretches) == [passage_markup(b"".join(one)) for one in stretches]
    assert texts_beside([tuple(one) for one in stretches]) == texts_beside(stretches)
    assert texts_beside([]) == []
