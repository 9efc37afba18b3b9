"""Static files: ours from frontend/static, Plotly's script from the installed package.

An address that carries the hash of the content (`/static/app.css?v=…`) is kept for a year; one
without is revalidated by its ETag each time.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import os
import re
from functools import lru_cache
from pathlib import Path

from fastapi import Request
from fastapi.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from server.site import STATIC

PLOTLY = "plotly.min.js"
FOR_A_YEAR = "public, max-age=31536000, immutable"


class HashedStaticFiles(StaticFiles):
    """Starlette's static files with a Cache-Control that depends on the address's hash."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        hashed = scope["query_string"].startswith(b"v=")
        response.headers["Cache-Control"] = FOR_A_YEAR if hashed else "no-cache"
        return response


def static_address(name: str) -> str:
    """`app.css` → `/static/app.css?v=HASH`; raises FileNotFoundError for a file that is not there.

    The hash follows the file's time of change, so that an edit shows without a restart.
    """
    path = _path_of(name)
    return _hashed(name, path, os.stat(path).st_mtime_ns)


@lru_cache(maxsize=256)
def _path_of(name: str) -> str:
    return str(plotly_script() if name == PLOTLY else STATIC / name)


@lru_cache(maxsize=256)
def _hashed(name: str, path: str, changed: int) -> str:
    return f"/static/{name}?v={hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]}"


@lru_cache(maxsize=1)
def plotly_script() -> Path:
    """Where the installed plotly package keeps its script; the package itself is not imported."""
    found = importlib.util.find_spec("plotly")
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError("The plotly package is not installed.")
    return Path(found.submodule_search_locations[0]) / "package_data" / PLOTLY


@lru_cache(maxsize=1)
def plotly_styles() -> str:
    """Ids of the style elements that the script would add, unless elements of these ids are there:
    it does so for maps, which no page has, and the pages' policy refuses inline styles."""
    found = re.findall(rb'getElementById\("([0-9a-f]{64})"\)', plotly_script().read_bytes())
    return " ".join(sorted({one.decode() for one in found}))


@lru_cache(maxsize=1)
def _plotly_bodies() -> tuple[bytes, bytes, str]:
    """(script, compressed script, ETag): 4.8 MB are compressed once, not on each request."""
    script = plotly_script().read_bytes()
    return script, gzip.compress(script, 6), f'W/"{hashlib.sha256(script).hexdigest()[:20]}"'


def plotly_response(request: Request) -> Response:
    """`/static/plotly.min.js`, compressed where the browser takes it."""
    script, compressed, etag = _plotly_bodies()
    hashed = "v" in request.query_params
    headers = {
        "Cache-Control": FOR_A_YEAR if hashed else "no-cache",
        "ETag": etag,
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(compressed, media_type="text/javascript", headers=headers)
    return Response(script, media_type="text/javascript", headers=headers)
