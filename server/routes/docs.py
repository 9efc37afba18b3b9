"""`/docs` and `/openapi.json`: the API, described by itself, without any outside host."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse

from server import respond
from server.compose.docs import docs_page
from server.routes.invisible import CandidateLabelBody
from server.routes.labels import LabelBody

router = APIRouter(include_in_schema=False)


def document_of(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document with the bodies of labels, which FastAPI does not see by itself."""
    document = app.openapi()
    objects = document["components"]["schemas"]
    for body in (LabelBody, CandidateLabelBody):
        objects.setdefault(body.__name__, body.model_json_schema())
    return document


@router.get("/openapi.json")
def openapi(request: Request) -> JSONResponse:
    return JSONResponse(document_of(request.app), headers={"Cache-Control": respond.FRESH})


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    return respond.page(request, "docs.html", docs_page(document_of(request.app)))
