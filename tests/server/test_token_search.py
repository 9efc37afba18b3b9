"""Which tokens a text means."""

from __future__ import annotations

import pytest

from server.search_words import seen_text
from server.token_search import folded, matches, spellings

VOCABULARY = [
    b"self", b" self", b"itself", b" Self", b"\n", b"\n\t", b"    ", b" ", b"\xc3", b"\xc3\xa9",
    b"\\n", "É".encode(), b"%", b"a%b", b"_", b"\x00", b"self", b".*",
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "exact", "containing"),
    [
        ("self", [0, 16, 1], [2, 3]),
        (" self", [1, 0, 16], [3]),
        ("SELF", [], [0, 1, 2, 3, 16]),
        ("elf", [], [0, 1, 2, 3, 16]),
        (r"\n", [10, 4], [5]),
        ("↵", [4], [5]),
        ("↵→", [5], []),
        (r"\n\t", [5], []),
        (" ", [7], [1, 3, 6]),
        ("    ", [6], []),
        (r"\xc3", [8], []),
        ("é", [9], [11]),
        ("%", [12], [13]),
        ("_", [14], []),
        (".*", [17], []),
        ("\x00", [15], []),
        ("", [], []),
        ("nothing here", [], []),
        ("\ud800", [], []),
    ],
)
def test_matches(text: str, exact: list[int], containing: list[int]) -> None:
    found = matches(VOCABULARY, folded(VOCABULARY), text)
    assert list(found.exact) == exact
    assert list(found.containing) == containing


def test_spellings() -> None:
    assert spellings("plain") == (b"plain",)
    assert spellings(r"a\\n") == (rb"a\\n", rb"a\n")
    assert spellings(r"\xe2\x86") == (rb"\xe2\x86", b"\xe2\x86")
    assert spellings(r"\q\x1") == (rb"\q\x1",)


@pytest.mark.parametrize(
    ("n", "words"), [(0, "None of"), (1, "by chance"), (9, "says little"), (10, "0.0305 %")]
)
def test_few_tokens_are_said_to_be_few(n: int, words: str) -> None:
    assert words in seen_text(n, 32_768)
