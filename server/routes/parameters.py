"""Parameters that several routes take, and what is said of them in the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request

from server import access
from server.pages.errors import ErrorPage
from server.site import Site, site_of
from store.columns import VERSION_COLUMNS


async def _annotator(request: Request) -> access.Person:
    return access.require(request, "annotator")


async def _owner(request: Request) -> access.Person:
    return access.require(request, "owner")


async def _site(request: Request) -> Site:
    return site_of(request)


#: Asked for by a coroutine, as all that does not wait: for a plain function a request goes to a
#: thread and back, which takes longer than what the function does.
TheSite = Annotated[Site, Depends(_site)]

#: Whoever asks, if they may label; stands before the body, which is read for nobody else.
Annotator = Annotated[access.Person, Depends(_annotator)]
#: Whoever asks, if the site is theirs.
Owner = Annotated[access.Person, Depends(_owner)]

Pair = Annotated[str, Path(description="The pair's slug.", examples=["pystd-2l"])]
Layer = Annotated[int, Path(description="Layer, from 0.")]
Neuron = Annotated[int, Path(description="Neuron within the layer, from 0.")]
RunName = Annotated[
    str | None,
    Query(description="A run's id, which pins the page to it. Default: the newest of the pair."),
]

NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorPage, "description": "There is no such pair, run, layer or neuron."},
}
BAD_PARAMETER: dict[int | str, dict[str, Any]] = {
    422: {"model": ErrorPage, "description": "A parameter has no meaning here; the words say why."},
}
UNAVAILABLE: dict[int | str, dict[str, Any]] = {
    503: {"model": ErrorPage, "description": "The database does not answer."},
}


def explorer_parameters() -> list[dict[str, Any]]:
    """The explorer's parameters for the OpenAPI document: its columns make three filters each."""

    def parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
        return {
            "name": name,
            "in": "query",
            "required": False,
            "description": description,
            "schema": schema,
        }

    words = {"gte": "at least", "lte": "at most", "eq": "exactly"}
    kinds = {"number": "number", "integer": "integer", "text": "string", "boolean": "boolean"}
    found = [
        parameter(
            "rows",
            "What a row is: a version, or an index with both. The columns of an index are layer, "
            "neuron and, of each column below, left_X, right_X and diff_X (left − right, where "
            "that means something).",
            {"type": "string", "enum": ["version", "pair"]},
        ),
        parameter("layer", "Only this layer.", {"type": "integer"}),
        parameter(
            "side",
            "Only this side (rows of versions).",
            {"type": "string", "enum": ["left", "right"]},
        ),
        parameter("sort", "A column; “-column”: the highest first.", {"type": "string"}),
    ]
    for key, column in VERSION_COLUMNS.items():
        operators = ("gte", "lte", "eq") if column.type in ("number", "integer") else ("eq",)
        for operator in operators:
            found.append(
                parameter(
                    f"{key}__{operator}",
                    f"{column.name}: {words[operator]} this.",
                    {"type": kinds[column.type]},
                )
            )
    return found


def paging_parameters() -> list[dict[str, Any]]:
    """`page` and `size` for the OpenAPI document."""
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": description,
            "schema": {"type": "integer", "minimum": 1},
        }
        for name, description in (("page", "From 1."), ("size", "Rows on a page."))
    ]


def plot_parameters() -> list[dict[str, Any]]:
    """`x`, `y` and their scales for the OpenAPI document."""
    texts = {
        "x": "A column of numbers, drawn across.",
        "y": "A column of numbers, drawn up.",
        "log_x": "1: x on a logarithmic scale.",
        "log_y": "1: y on a logarithmic scale.",
    }
    return [
        {
            "name": name,
            "in": "query",
            "required": name in ("x", "y"),
            "description": text,
            "schema": {"type": "string"},
        }
        for name, text in texts.items()
    ]
