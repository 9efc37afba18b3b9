"""`/docs` and `/openapi.json`: the API, described by itself, without any outside host."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse

from server import respond
from server.compose.docs import docs_page

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
def openapi(request: Request) -> JSONResponse:
    document: dict[str, Any] = request.app.openapi()
    return JSONResponse(document, headers={"Cache-Control": respond.FRESH})


@router.get("/docs")
def docs(request: Request) -> HTMLResponse:
    return respond.page(request, "docs.html", docs_page(request.app.openapi()))
