"""`/{pair}/tax`, the interpretability tax."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from server import respond
from server.compose.selection import shown_run
from server.compose.tax import tax_page
from server.pages.tax import TaxPage
from server.routes.parameters import NOT_FOUND, UNAVAILABLE, Pair, RunName, TheSite
from server.site import Site

router = APIRouter(responses={**NOT_FOUND, **UNAVAILABLE})


@router.get("/{pair}/tax.json", summary="The interpretability tax")
def tax_json(
    request: Request, response: Response, site: TheSite, pair: Pair, run: RunName = None
) -> TaxPage:
    """Loss differences, what each layer hides, and labels; with a reading of each figure.

    Labels' counts are those of now, so the answer is never cached.
    """
    response.headers["Cache-Control"] = respond.FRESH
    return make(request, site, pair, run)


@router.get("/{pair}/tax", include_in_schema=False)
def tax(request: Request, site: TheSite, pair: Pair, run: RunName = None) -> HTMLResponse:
    return respond.page(request, "tax.html", make(request, site, pair, run))


def make(request: Request, site: Site, pair: str, run: str | None) -> TaxPage:
    """The page object of this address."""
    shown = shown_run(site, pair, run)
    return tax_page(site, shown, respond.is_pinned(request, shown))
