"""Page object of `/docs`: the OpenAPI document as a readable page, drawn on the server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ParameterView:
    """A parameter of a route: `place` is path or query."""

    name: str
    place: str
    type: str
    required: bool
    description: str


@dataclass(frozen=True)
class FieldView:
    """A field of an answer's or a body's object; `anchor` names the object it holds, if any."""

    name: str
    type: str
    anchor: str | None
    description: str


@dataclass(frozen=True)
class SchemaView:
    """An object of the JSON."""

    name: str
    description: str
    fields: tuple[FieldView, ...]


@dataclass(frozen=True)
class RouteView:
    """One method of one path; `body` names an object, `answers` (status, meaning, object)."""

    method: str
    path: str
    anchor: str
    summary: str
    description: str
    parameters: tuple[ParameterView, ...]
    body: str | None
    answers: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class DocsPage:
    """`/docs`."""

    title: str
    version: str
    description: str
    routes: tuple[RouteView, ...]
    schemas: tuple[SchemaView, ...]
    json_href: str = "/openapi.json"
