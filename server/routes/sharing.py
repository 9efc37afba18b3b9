"""What leaves the site: a neuron page as one file, its link preview, its side by side in a frame.

All three take what the page takes, and are kept as long as the page is.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from server import respond
from server.card import draw_card
from server.card_content import card_content
from server.compose.selection import shown_run
from server.compose.sharing import download_name, published
from server.respond import NotModified
from server.routes import neurons
from server.routes.neurons import TheView
from server.routes.parameters import Layer, Neuron, Pair, RunName, TheSite
from server.self_contained import detached, inlined_script, inlined_styles, policy_hash

router = APIRouter(include_in_schema=False)

#: The page's script that is useful in a file: a token's values on hover, focus and tap.
SCRIPT = "tokens.js"

Theme = Annotated[
    Literal["light", "dark"] | None, Query(description="Default: what the reader's system prefers.")
]


@router.get("/{pair}/{layer:int}/{neuron:int}/download.html")
def download(
    request: Request,
    site: TheSite,
    pair: Pair,
    layer: Layer,
    neuron: Neuron,
    view: TheView,
    run: RunName = None,
) -> HTMLResponse:
    page, headers = neurons.make(request, site, pair, layer, neuron, view, run)
    of_run = shown_run(site, pair, page.run)
    html = respond.drawn_for_all(request, "neuron.html", page, popovers=True)
    style = inlined_styles(html, ["download.css"])
    script = f"\n{inlined_script(SCRIPT)}"
    name = download_name(page.pair, page.name, page.run, page.pairing, page.anchor)
    return respond.page(
        request,
        "download.html",
        page,
        {**headers, "Content-Disposition": f'attachment; filename="{name}"'},
        content=detached(html),
        style=Markup(style),
        style_hash=Markup(policy_hash(style)),
        script=Markup(script),
        script_hash=Markup(policy_hash(script)),
        run=of_run,
        published=published(of_run),
        saved=datetime.now(UTC),
    )


@router.get("/{pair}/{layer:int}/{neuron:int}/card.png")
def card(
    request: Request,
    site: TheSite,
    pair: Pair,
    layer: Layer,
    neuron: Neuron,
    view: TheView,
    run: RunName = None,
) -> Response:
    page, headers = neurons.make(request, site, pair, layer, neuron, view, run)
    picture = draw_card(card_content(page))
    if "ETag" not in headers:  # the newest run's: another address may have the same picture
        headers["ETag"] = f'"{hashlib.sha256(picture).hexdigest()[:20]}"'
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            raise NotModified(headers)
    return Response(picture, media_type="image/png", headers=headers)


@router.get("/{pair}/{layer:int}/{neuron:int}/embed")
def embed(
    request: Request,
    site: TheSite,
    pair: Pair,
    layer: Layer,
    neuron: Neuron,
    view: TheView,
    run: RunName = None,
    theme: Theme = None,
) -> HTMLResponse:
    page, headers = neurons.make(request, site, pair, layer, neuron, view, run)
    return respond.page(request, "embed.html", page, headers, theme=theme)
