"""`/{pair}/explorer.csv`, `.jsonl` and `.parquet`: all rows of the explorer, with all columns."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from fastapi.responses import StreamingResponse

from server import filters, respond, urls
from server.compose.selection import shown_run
from server.errors import BadParameter
from server.routes.parameters import (
    BAD_PARAMETER,
    NOT_FOUND,
    UNAVAILABLE,
    Pair,
    RunName,
    TheSite,
    explorer_parameters,
)
from server.table_files import KINDS
from store import listing

router = APIRouter(responses={**NOT_FOUND, **BAD_PARAMETER, **UNAVAILABLE})

Ending = Annotated[Literal["csv", "jsonl", "parquet"], Path(description="The kind of file.")]


@router.get(
    "/{pair}/explorer.{ending}",
    response_class=StreamingResponse,
    summary="The explorer's rows as a file",
    openapi_extra={"parameters": explorer_parameters()},
)
def explorer_file(
    request: Request, site: TheSite, pair: Pair, ending: Ending, run: RunName = None
) -> StreamingResponse:
    """Every row that the filters let through, in the explorer's order, with every column.

    The columns' keys are those of the JSON. Parquet carries the run's id, its address and each
    column's name, unit and definition as metadata.
    """
    shown = shown_run(site, pair, run)
    given = request.query_params.multi_items()
    selection = filters.read(given, site.settings.max_page_size)
    if selection.rows == "pair" and shown.pair.right is None:
        raise BadParameter(
            f"{pair} has a single model, so rows=pair has nothing to set side by side.",
            urls.explorer(pair),
        )
    chunks = listing.rows(
        site.engine, shown.id, selection.rows, selection.for_store(), selection.sort or None
    )
    first = next(chunks, [])  # a filter that cannot be is found now, while it can be said
    make, media_type = KINDS[ending]
    state = {**selection.plotted(None).parameters(paged=False), "size": None}
    about = {
        "pair": pair,
        "run": shown.id,
        "rows": selection.rows,
        "address": urls.explorer(pair, state, shown.id),
        "definitions": "/definitions",
    }
    name = f"{pair}-{shown.id}-{'pairs' if selection.rows == 'pair' else 'versions'}.{ending}"
    return StreamingResponse(
        make(selection.columns, itertools.chain([first], chunks), about),
        media_type=media_type,
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Link": '</definitions>; rel="describedby"',
            "Cache-Control": respond.FRESH,
        },
    )
