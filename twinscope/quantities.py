"""Quantities as people write them on a command line: 2M, 500k, 1.5B."""

from __future__ import annotations

import re

_FACTORS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9}
_PATTERN = re.compile(r"(\d+(?:[_\d]*\d)?(?:\.\d+)?)\s*([kmbg]?)", re.IGNORECASE)


def parse_count(text: str) -> int:
    """A positive count: ``parse_count("2M") == 2_000_000``; ValueError says what is accepted."""
    match = _PATTERN.fullmatch(text.strip())
    count = float(match[1].replace("_", "")) * _FACTORS[match[2].lower()] if match else 0
    if count < 1 or count != int(count):
        raise ValueError(f"{text!r} is not a count; write a number such as 500000, 500k, 2M or 1B.")
    return int(count)


def show_count(count: float) -> str:
    """Three significant digits with k, M or B: ``show_count(1_234_567) == "1.23M"``."""
    for factor, letter in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if count >= factor:
            return f"{count / factor:.3g}{letter}"
    return f"{count:.3g}"


def show_duration(seconds: float) -> str:
    """``show_duration(75) == "1 min 15 s"``; whole seconds below a minute, hours above 60 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"
