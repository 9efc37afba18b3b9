"""Page object of `/healthz`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class HealthPage:
    """The server answers and its database does; otherwise the answer is an error (503)."""

    status: Literal["ok"]
    version: str
    runs: int
