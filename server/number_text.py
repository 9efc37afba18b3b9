"""Numbers as people read them: three significant digits, a true minus, – where undefined.

number(0.012345)  → "0.0123"       number(None)   → "–"
number(-1234.5)   → "−1,230"       share(0.99998) → "99.998 %"
count(1048576)    → "1,048,576"    duration(83)   → "1 min 23 s"
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

from markupsafe import Markup, escape

UNDEFINED = "–"
MINUS = "−"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_DECIMALS = 4
#: By the decimals that a number has: what it lacks, with the point where it has none.
_PADDING = tuple("." * (not n) + "0" * (_DECIMALS - n) for n in range(_DECIMALS))


@lru_cache(maxsize=65536)
def number(value: float | None, digits: int = 3) -> str:
    """A real number with `digits` significant digits; powers of ten below 10⁻⁴ and above 10⁶."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    if value == 0:
        return "0"
    sign = MINUS if value < 0 else ""
    if 10.0**-_DECIMALS <= abs(value) < min(10**digits - 1, 999):  # nearly all: no power, no comma
        return sign + f"{abs(value):#.{digits}g}".removesuffix(".")
    rounded = f"{abs(value):.{digits - 1}e}"
    size, exponent = float(rounded), int(rounded[rounded.index("e") + 1 :])
    if exponent < -_DECIMALS or exponent >= 7:
        mantissa = f"{size / 10.0**exponent:.{digits - 1}f}"
        return f"{sign}{mantissa}·10{str(exponent).translate(_SUPERSCRIPTS)}"
    return f"{sign}{abs(size):,.{max(digits - 1 - exponent, 0)}f}"


def fixed(value: float | None, decimals: int = 2) -> str:
    """A number with a fixed count of decimals: correlations and the like."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    text = f"{value:,.{decimals}f}"
    if text[0] != "-":
        return text
    return text.replace("-", MINUS if text.strip("-0.") else "")


def count(value: int | None) -> str:
    """An exact count with separators of thousands."""
    return UNDEFINED if value is None else f"{value:,}".replace("-", MINUS)


@lru_cache(maxsize=16384)
def share(value: float | None) -> str:
    """A share in percent; near 100 % as many digits as its distance from it needs."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    percent = 100 * value
    rest = abs(100 - percent)
    if percent in (0, 100):
        return f"{percent:.0f} %"
    if 90 < percent < 100 and rest < 1:
        decimals = min(max(-math.floor(math.log10(rest) + 1e-9), 1), 6)
        return f"{percent:.{decimals}f} %"
    if abs(percent) < 1e-3:
        return f"{number(percent, 2)} %"
    return f"{number(percent, 3 if abs(percent) < 99.95 else 4)} %"


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def unbroken(text: str) -> str:
    """A sentence in which no number is parted from its percent sign at a line's end."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def duration(seconds: float | None) -> str:
    """A length of time in its two largest units."""
    if seconds is None or not math.isfinite(seconds):
        return UNDEFINED
    left = round(seconds)
    if left < 60:
        return f"{left} s"
    minutes, left = divmod(left, 60)
    if minutes < 60:
        return f"{minutes} min {left:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def size(n_bytes: int | None) -> str:
    """Bytes in decimal units."""
    if n_bytes is None:
        return UNDEFINED
    for unit, power in (("GB", 9), ("MB", 6), ("kB", 3)):
        if n_bytes >= 10**power:
            return f"{number(n_bytes / 10**power)} {unit}"
    return f"{n_bytes} B"


def moment(when: datetime | None) -> Markup:
    """A time as `<time>`, in UTC; naive ones are UTC already."""
    if when is None:
        return Markup(UNDEFINED)
    utc = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    shown = f"{utc.day} {utc:%b %Y, %H:%M} UTC"
    return Markup(f'<time datetime="{utc:%Y-%m-%dT%H:%M:%SZ}">{escape(shown)}</time>')


def aligned(value: float | int | str | bool | None) -> Markup:
    """A cell of a column: numbers are padded (invisibly) so that their decimal points line up."""
    return Markup(aligned_markup(value))


def aligned_markup(value: float | int | str | bool | None) -> str:
    """`aligned` as a plain string of markup, for those who join many."""
    if value is None:
        return f'<span class="none">{UNDEFINED}</span>'
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return str(escape(value))
    text = count(value) if isinstance(value, int) else number(value)
    if isinstance(value, int) or "·" in text:
        return text
    decimals = len(text.partition(".")[2])
    if decimals >= _DECIMALS:
        return text
    return f'{text}<span class="pad">{_PADDING[decimals]}</span>'
