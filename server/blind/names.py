"""The names of cards that a rater's browser sees: opaque, other ones for each rater.

    name(secret, rater=2, item=17)   → "qm3vx7k2a5eohd4j": says neither number nor order

HMAC-SHA-256 under a key of the study that never leaves the server.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable

_BYTES = 10  # 16 letters: of a few hundred cards no two share a name


def name(secret: bytes, rater: int, item: int) -> str:
    """The name of a card for a rater: 16 lower-case letters and digits."""
    digest = hmac.new(secret, f"card {rater} {item}".encode(), hashlib.sha256).digest()
    return base64.b32encode(digest[:_BYTES]).decode().lower()


def named(secret: bytes, rater: int, items: Iterable[int], wanted: str) -> int | None:
    """Which of the items has this name for the rater; None if none has."""
    for item in items:
        if hmac.compare_digest(name(secret, rater, item), wanted):
            return item
    return None
