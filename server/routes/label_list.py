"""`/labels`: all labels, as a page, as JSON and as files; and taking one back."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from server import access, error_responses, respond, urls
from server.compose.label_list import State, label_list_page
from server.label_rows import COLUMNS, row_of
from server.pages.labels import LabelListPage, LabelWithdrawn, VerdictName
from server.routes.bodies import described, read_body
from server.routes.labels import ANSWERS, WAY_BACK
from server.routes.parameters import (
    BAD_PARAMETER,
    NOT_FOUND,
    UNAVAILABLE,
    Annotator,
    TheSite,
)
from server.table_files import KINDS
from store import label_list, withdrawals

router = APIRouter(responses={**BAD_PARAMETER, **UNAVAILABLE})


def _given(value: object) -> object:
    """An empty field of a form is none."""
    return None if value == "" else value


Given = BeforeValidator(_given)


def read_state(
    pair: Annotated[str | None, Given, Query(description="Labels on this pair's models.")] = None,
    annotator: Annotated[str | None, Given, Query(description="Labels of this annotator.")] = None,
    verdict: Annotated[VerdictName | None, Given, Query(description="Of this verdict.")] = None,
    q: Annotated[str, Query(description="Words that the description has.", max_length=200)] = "",
    history: Annotated[
        Literal["1"] | None, Given, Query(description="1: also those that count no more.")
    ] = None,
    page: Annotated[int, Query(ge=1, le=1_000_000, description="From 1.")] = 1,
) -> State:
    """What the address asks for."""
    return State(pair, annotator, verdict, q.strip(), history is not None, page)


TheState = Annotated[State, Depends(read_state)]


@router.get("/labels.json", summary="All labels")
def labels_json(
    request: Request, response: Response, site: TheSite, state: TheState
) -> LabelListPage:
    """The newest first, with what each is on and whether it counts."""
    response.headers["Cache-Control"] = "no-store"
    return label_list_page(site, access.person(request), state)


@router.get("/labels", include_in_schema=False)
def labels_html(request: Request, site: TheSite, state: TheState) -> Response:
    page = label_list_page(site, access.person(request), state)
    return respond.page(request, "label_list.html", page, {"Cache-Control": "no-store"})


@router.get(
    "/labels.{ending}",
    response_class=StreamingResponse,
    summary="All labels as a file",
)
def labels_file(
    site: TheSite,
    state: TheState,
    ending: Annotated[Literal["csv", "jsonl", "parquet"], Path(description="The kind of file.")],
) -> StreamingResponse:
    """As `/labels.json`, the oldest first and all of them; `twinscope labels import` reads it."""
    make, media_type = KINDS[ending]
    chunks = (
        [row_of(one) for one in part] for part in label_list.chunks(site.engine, state.wanted())
    )
    about = {"content": "labels", "address": urls.label_list(state.parameters())}
    return StreamingResponse(
        make(COLUMNS, chunks, about),
        media_type=media_type,
        headers={
            "Content-Disposition": f'attachment; filename="twinscope-labels.{ending}"',
            "Cache-Control": "no-store",
        },
    )


class Back(BaseModel):
    """Where a form returns."""

    model_config = ConfigDict(extra="forbid")

    back: str | None = Field(None, max_length=3000, description="Forms only.")


async def read_back(request: Request) -> Back:
    """The body of a withdrawal: nothing, for JSON `{}`. Errors: BadForm, UnreadableBody."""
    return await read_body(request, Back)


@router.post(
    "/labels/{label_id:int}/withdraw",
    response_model=LabelWithdrawn,
    summary="Take a label back",
    responses={**ANSWERS, **NOT_FOUND},
    openapi_extra=described(Back),
)
def withdraw(
    request: Request,
    site: TheSite,
    label_id: Annotated[int, Path(description="The label's id.")],
    person: Annotator,
    sent: Annotated[Back, Depends(read_back)],
) -> Any:
    """Your own labels only. It stays in the history; your one before it counts again."""
    found = withdrawals.withdraw(site.engine, label_id, person.name)
    if error_responses.wants_json(request):
        return LabelWithdrawn(
            id=found.id,
            layer=found.layer,
            neuron=found.neuron,
            candidate=found.candidate,
            verdict=found.verdict,
            withdrawn_at=found.withdrawn_at,
        )
    back = sent.back if sent.back and WAY_BACK.fullmatch(sent.back) else urls.label_list()
    return RedirectResponse(back, 303)
