"""The explorer's columns: one table that serves sorting, filters, headings and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ExplorerColumn:
    """One column: `key` in URLs and JSON, the rest is what a reader sees.

    `anchor` is the definition's address within the docs (`docs/evidence.md#…`), `unit` "" where
    there is none, `format` a Python format specification for numbers ("" for text).
    """

    key: str
    name: str
    unit: str
    anchor: str
    type: Literal["number", "integer", "text", "boolean"]
    format: str


#: Columns of `neurons.page`, in the order of the table.
VERSION_COLUMNS: dict[str, ExplorerColumn] = {}

#: Columns of `neurons.pair_page`.
PAIR_COLUMNS: dict[str, ExplorerColumn] = {}
