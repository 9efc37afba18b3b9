"""What a page costs in one process, by parts: processor time without the web server around it.

    python -m bench.pages                                   # pages of the newest run there is
    python -m bench.pages --url sqlite:///hub.sqlite3 --pages 100 --turns 3 --json FILE
    python -m bench.pages --profile neuron                  # where the time goes, by function

Neuron pages are made anew, each of another neuron that has examples; explorer pages are those that
`bench.server` asks for. Parts: `run` (which run an address means), `object` (queries and page
object), `drawing` (template and figures), `compression`. The least and the median over all pages of
a turn. A shared machine's processors differ from minute to minute: to compare two checkouts, run
them in turns.
"""

from __future__ import annotations

import argparse
import cProfile
import itertools
import json
import pstats
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request

from bench.server import page_kinds
from server import respond
from server.app import create_app
from server.compose.explorer import explorer_page
from server.compose.neuron import View, neuron_page
from server.compose.selection import shown_run
from server.compression import gzipped
from server.routes.explorer import read_selection
from server.settings import Settings
from server.site import Site
from store import runs
from store.engine import database_url, one_snapshot, open_engine
from store.records import RunRecord

PARTS = ("run", "object", "drawing", "compression")


def neuron_parts(app: FastAPI, path: str) -> tuple[dict[str, float], int, int]:
    """(seconds of each part, bytes of markup, bytes sent) of a neuron page."""
    site: Site = app.state.site
    _, slug, layer, neuron = path.partition("?")[0].split("/")
    request = _request(app, path)

    def page(run: RunRecord) -> Any:
        return neuron_page(site, run, int(layer), int(neuron), View(), False, "http://localhost")

    return _timed(site, slug, page, lambda made: _drawn(request, "neuron.html", made))


def explorer_parts(app: FastAPI, path: str) -> tuple[dict[str, float], int, int]:
    """As `neuron_parts`, of an explorer page."""
    site: Site = app.state.site
    request = _request(app, path)
    slug = path.partition("?")[0].removeprefix("/")

    def page(run: RunRecord) -> Any:
        return explorer_page(site, run, read_selection(request, site), False)

    return _timed(site, slug, page, lambda made: _drawn(request, "explorer.html", made))


KINDS: dict[str, Callable[[FastAPI, str], tuple[dict[str, float], int, int]]] = {
    "neuron": neuron_parts,
    "explorer": explorer_parts,
    "explorer, pairs": explorer_parts,
}


def _timed(
    site: Site, slug: str, page: Callable[[RunRecord], Any], draw: Callable[[Any], bytes]
) -> tuple[dict[str, float], int, int]:
    """As a request does it: all queries in one snapshot."""
    ends = [time.process_time()]
    with one_snapshot(site.engine):
        run = shown_run(site, slug, None)
        ends.append(time.process_time())
        made = page(run)
    ends.append(time.process_time())
    body = draw(made)
    ends.append(time.process_time())
    sent = gzipped(body)
    ends.append(time.process_time())
    seconds = [end - start for start, end in itertools.pairwise(ends)]
    return dict(zip(PARTS, seconds, strict=True)), len(body), len(sent)


def _drawn(request: Request, template: str, page: Any) -> bytes:
    return respond.drawn_for_all(request, template, page).encode()


def _request(app: FastAPI, path: str) -> Request:
    place, _, query = path.partition("?")
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": place, "app": app}
    return Request(scope | {"query_string": query.encode(), "headers": [(b"host", b"localhost")]})


def measure(
    app: FastAPI, kind: str, paths: Iterator[str], pages: int, warm: int = 8
) -> dict[str, Any]:
    """One turn of `pages` pages after `warm` others: milliseconds, kilobytes."""
    make = KINDS[kind]
    for path in itertools.islice(paths, warm):
        make(app, path)
    found = [make(app, path) for path in itertools.islice(paths, pages)]
    figure: dict[str, Any] = {"page": kind, "pages": len(found)}
    for part in (*PARTS, "all"):
        times = [
            1000 * (sum(taken.values()) if part == "all" else taken[part]) for taken, _, _ in found
        ]
        figure[part] = {
            "least": round(min(times), 2),
            "median": round(statistics.median(times), 2),
        }
    figure["markup_kb"] = round(statistics.mean(n for _, n, _ in found) / 1000, 1)
    figure["sent_kb"] = round(statistics.mean(n for _, _, n in found) / 1000, 1)
    return figure


def line(figure: dict[str, Any]) -> str:
    """A turn for people: least; median of each part."""
    parts = "  ".join(
        f"{part} {figure[part]['least']:.1f}; {figure[part]['median']:.1f}"
        for part in ("all", *PARTS)
    )
    return (
        f"  {figure['page']:<16}{parts} ms   {figure['markup_kb']:.0f} kB, "
        f"{figure['sent_kb']:.0f} sent"
    )


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a database with a run; default: the one the server has")
    parser.add_argument("--pages", type=int, default=60, help="of each kind, in a turn")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--with-examples", type=int, help="versions that have any; default: all")
    parser.add_argument("--kind", choices=tuple(KINDS), action="append", help="default: all")
    parser.add_argument("--profile", choices=tuple(KINDS), help="by function instead of by part")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    options = parser.parse_args()
    url = options.url or database_url()
    engine = open_engine(url)
    app = create_app(Settings(database_url=url), engine)
    run = runs.get_run(engine, runs.LATEST)
    versions = 2 * run.pair.left.n_layers * run.pair.left.d_mlp
    paths = page_kinds(run, options.with_examples or versions, seed=0)
    if options.profile:
        _profile(app, options.profile, paths[options.profile], options.pages)
        return
    figures = []
    for _ in range(options.turns):
        for kind in options.kind or KINDS:
            figures.append(measure(app, kind, paths[kind], options.pages))
            print(line(figures[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


def _profile(app: FastAPI, kind: str, paths: Iterator[str], pages: int) -> None:
    measure(app, kind, paths, 1)
    profiler = cProfile.Profile(time.process_time)
    profiler.runcall(measure, app, kind, paths, pages, 0)
    pstats.Stats(profiler).sort_stats("cumulative").print_stats(150)


if __name__ == "__main__":
    main()
