"""What a process makes once, made before the first reader asks for it.

    warm_up(app)        in a thread of its own, once the server answers

Routes are put together, templates and statements compiled, and tables filled when they are first
wanted: that takes a second or two, which the first reader of each process would wait for.
"""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request

from server import filters, respond
from server.compose.explorer import explorer_page
from server.compose.neuron import View, neuron_page
from server.site import Site
from store import runs
from store.engine import one_snapshot
from store.errors import RunNotFound

_NOWHERE = "/no/page/has/this/address"

log = logging.getLogger("twinscope.server")


def warm_up(app: FastAPI) -> None:
    """Look for an address that no route has, then make an explorer page with each kind of rows and
    a neuron page of the newest run and throw them away.

    No page is made where no run is published. Whatever fails here is logged and left to the reader
    who meets it: it raises nothing.
    """
    site: Site = app.state.site
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
    request = Request(scope | {"app": app})
    try:
        for route in app.router.routes:
            route.matches(scope | {"path": _NOWHERE, "root_path": ""})
        with site.making, one_snapshot(site.engine):
            run = runs.get_run(site.engine, runs.LATEST)
            for rows in ("version",) if run.pair.right is None else ("version", "pair"):
                selection = filters.read([("rows", rows)], site.settings.max_page_size)
                explorer = explorer_page(site, run, selection, pinned=False)
                respond.drawn_for_all(request, "explorer.html", explorer)
            neuron = neuron_page(site, run, 0, 0, View(), pinned=False)
            respond.drawn_for_all(request, "neuron.html", neuron)
    except RunNotFound:
        pass
    except Exception:
        log.warning("the first pages could not be made", exc_info=True)
