"""Numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from server.number_text import aligned, count, duration, fixed, moment, number, share, size


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.012345, "0.0123"),
        (9.999, "10.0"),
        (99.949, "99.9"),
        (99.95, "100"),
        (998.7, "999"),
        (999.6, "1,000"),
        (0.000099996, "0.000100"),
        (-1234.5, "−1,230"),
        (1.234e-5, "1.23·10⁻⁵"),
        (1e7, "1.00·10⁷"),
        (None, "–"),
        (float("nan"), "–"),
        (float("inf"), "–"),
    ],
)
def test_three_digits(value: float | None, shown: str) -> None:
    assert number(value) == shown


def test_more_digits_and_fewer() -> None:
    assert number(8781.08, 4) == "8,781"
    assert number(-0.05678, 2) == "−0.057"
    assert number(12.3, 1) == "10"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.5, "50.0 %"),
        (0.99998, "99.998 %"),
        (0.999, "99.9 %"),
        (0.0000191, "0.00191 %"),
        (None, "–"),
    ],
)
def test_shares(value: float | None, shown: str) -> None:
    assert share(value) == shown


def test_a_share_below_one_is_never_called_all() -> None:
    for digits in range(2, 8):
        assert share(1 - 10.0**-digits) != "100 %"


def test_aligned_numbers_have_their_points_at_one_place() -> None:
    for value in (188.4, 0.0123, 5.47, 1020.0, -3.0):
        shown = aligned(value).replace('<span class="pad">', "").replace("</span>", "")
        assert len(shown.partition(".")[2]) == 4
    assert aligned(None) == '<span class="none">–</span>'
    assert aligned(True) == "yes"
    assert aligned("<b>") == "&lt;b&gt;"


def test_other_kinds() -> None:
    assert fixed(-0.001) == "0.00"
    assert fixed(None) == "–"
    assert count(1048576) == "1,048,576"
    assert [duration(s) for s in (5, 83, 4000, None)] == ["5 s", "1 min 23 s", "1 h 06 min", "–"]
    assert size(4_815_814) == "4.82 MB"
    assert moment(datetime(2026, 11, 2, 9, 5, tzinfo=UTC)) == (
        '<time datetime="2026-11-02T09:05:00Z">2 Nov 2026, 09:05 UTC</time>'
    )
