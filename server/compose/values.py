"""Values as page objects hold them: no NaN."""

from __future__ import annotations

import math


def finite(value: float | None) -> float | None:
    """None for a value that is undefined, however it was said."""
    return None if value is None or not math.isfinite(value) else float(value)
