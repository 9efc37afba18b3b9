"""`/{pair}/live`, a text of one's own through both versions.

The worker may take seconds, so these routes wait without holding one of the threads in which all
other pages are made; what asks the database goes to those.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse
from pydantic import BeforeValidator
from starlette.concurrency import run_in_threadpool

from server import limits, live_client, respond
from server.compose import live as compose
from server.compose.selection import shown_run
from server.errors import NeuronNotFound, PageError, WorkerOff
from server.pages.errors import ErrorPage
from server.pages.live import LivePage
from server.routes.parameters import BAD_PARAMETER, NOT_FOUND, UNAVAILABLE, Pair, RunName, TheSite
from server.site import Site

WORKER_FAILED: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorPage, "description": "The worker has other weights than the run."},
    502: {"model": ErrorPage, "description": "The worker is gone, or answered something else."},
    503: {"model": ErrorPage, "description": "No worker, or too much to do; or no database."},
    504: {"model": ErrorPage, "description": "The worker did not answer in time."},
}

router = APIRouter(responses={**NOT_FOUND, **BAD_PARAMETER, **UNAVAILABLE, **WORKER_FAILED})


def _given(value: object) -> object:
    """An empty field of a form is none."""
    return None if value == "" else value


Text = Annotated[
    str | None,
    Query(description="Up to 2,000 characters. Default: a top example of the neuron."),
]
OneLayer = Annotated[int | None, BeforeValidator(_given), Query(description="Layer, from 0.")]
OneNeuron = Annotated[
    int | None,
    BeforeValidator(_given),
    Query(description="Neuron of the layer. Default: the one most active on the token."),
]
OneToken = Annotated[
    int | None,
    BeforeValidator(_given),
    Query(
        description="Position of a token of the text, from 1 (0 is BOS). Default: the one on which "
        "the left version is highest; without a neuron the last."
    ),
]


@router.get("/{pair}/live.json", summary="A text of one's own")
async def live_json(
    request: Request,
    response: Response,
    site: TheSite,
    pair: Pair,
    text: Text = None,
    layer: OneLayer = None,
    neuron: OneNeuron = None,
    token: OneToken = None,
    run: RunName = None,
) -> LivePage:
    """A neuron's values on each token in both versions, and the neurons most active on one.

    Computed by the live worker when it is asked. Without a text, and without a worker, the answer
    has a `fault` in place of a `result`; with a text such a fault is an error.
    """
    page, fault = await make(request, site, pair, (text, layer, neuron, token), run)
    if fault is not None and not page.is_example:
        raise fault
    response.headers["Cache-Control"] = respond.FRESH
    return page


@router.get("/{pair}/live", include_in_schema=False)
async def live(
    request: Request,
    site: TheSite,
    pair: Pair,
    text: Text = None,
    layer: OneLayer = None,
    neuron: OneNeuron = None,
    token: OneToken = None,
    run: RunName = None,
) -> HTMLResponse:
    page, fault = await make(request, site, pair, (text, layer, neuron, token), run)
    headers = {"Cache-Control": respond.FRESH}
    if fault is None or page.is_example:
        return respond.page(request, "live.html", page, headers)
    if fault.retry_after is not None:
        headers["Retry-After"] = str(fault.retry_after)
    return respond.page(request, "live.html", page, headers, fault.status)


async def make(
    request: Request,
    site: Site,
    pair: str,
    parts: tuple[str | None, int | None, int | None, int | None],
    run: str | None,
) -> tuple[LivePage, PageError | None]:
    """The page object of this address, and the fault that stands on it in place of a result."""
    shown = await run_in_threadpool(shown_run, site, pair, run)
    state = compose.asked(*parts)
    pinned = respond.is_pinned(request, shown)
    text, answer, fault = state.text or "", None, None
    try:
        whole = await run_in_threadpool(compose.with_text, site, shown, state)
        text = whole.text or ""
        if site.settings.worker_url is None:
            raise WorkerOff(
                "Live text is off: this server has no live worker. "
                f"“{live_client.COMMAND}” starts one with the site."
            )
        await run_in_threadpool(limits.before_text, request, site)
        answer = await live_client.ask(site.settings.worker_url, compose.question_of(shown, whole))
        return await run_in_threadpool(
            compose.live_page, site, shown, state, text, pinned, answer, None
        ), None
    except NeuronNotFound:
        raise
    except PageError as error:
        fault = error
    page = await run_in_threadpool(compose.live_page, site, shown, state, text, pinned, None, fault)
    return page, fault
