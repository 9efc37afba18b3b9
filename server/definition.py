"""One definition of a shown quantity; all of them stand in `server.definitions`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Definition:
    """`text` is one to three sentences; `formula` and `unit` are "" where there is none."""

    name: str
    unit: str
    text: str
    formula: str = ""
    source: str = ""
