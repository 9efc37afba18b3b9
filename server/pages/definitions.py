"""Page object of `/definitions`: every quantity that a page shows, with its meaning."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DefinitionView:
    """`key` is its place on the page, too; `formula`, `unit` and `source` are "" where none is."""

    key: str
    name: str
    unit: str
    text: str
    formula: str
    source: str


@dataclass(frozen=True)
class DefinitionsPage:
    """`/definitions`."""

    definitions: tuple[DefinitionView, ...]
    json_href: str = "/definitions.json"
