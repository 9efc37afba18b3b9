"""What is kept in memory stays within its bytes, and is made once."""

from __future__ import annotations

from server.kept import Kept


def test_a_value_is_made_once() -> None:
    kept, made = Kept(1000), []

    def make() -> str:
        made.append(1)
        return "x" * 10

    assert kept.get("a", make, len) == kept.get("a", make, len) == "x" * 10
    assert len(made) == 1


def test_the_least_recently_used_go_first() -> None:
    kept = Kept(100)
    for key in "abcdefghij":
        kept.keep(key, key, 10)
    assert kept.find("a") == "a"
    kept.keep("k", "k", 10)
    assert kept.find("b") is None
    assert kept.find("a") == "a"
    assert kept.n_bytes == 100


def test_what_is_too_large_is_not_kept() -> None:
    kept = Kept(80)
    assert kept.get("a", lambda: "x" * 11, len) == "x" * 11
    assert kept.find("a") is None


def test_a_value_kept_again_counts_once() -> None:
    kept = Kept(100)
    kept.keep("a", 1, 10)
    kept.keep("a", 2, 12)
    assert (kept.find("a"), kept.n_bytes) == (2, 12)
