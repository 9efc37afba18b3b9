"""Whole answers of a published run, made once and kept compressed in memory.

    return kept_pages.answer(request, run, (base, searches), make)

A run's stages never change once they are published, so a page that is made of them alone is the
same for every reader: what may still come to it (a later stage, a search for substitutions) is
part of the key, and so is all of the address. Labels are no part of such pages.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace

from fastapi import Request, Response

from server import respond
from server.compression import accepted, gzipped
from server.kept import state_of
from server.site import site_of
from store.records import RunRecord

_OVERHEAD = 1_000


@dataclass(frozen=True)
class Made:
    """A page: its bytes, and what it says of the stages that came after the run's (see
    `respond.freshness`)."""

    body: bytes
    media_type: str
    later: tuple[str | None, ...]


def answer(request: Request, run: RunRecord, stamp: Hashable, make: Callable[[], Made]) -> Response:
    """The kept answer of this address, made now if it is not there, with its cache headers.

    `stamp` is all else that decides on the page. Raises NotModified when the reader has it.
    """
    key = ("page", state_of(run), stamp, request.url.path, request.url.query)
    site = site_of(request)

    found: Made | None = site.kept.find(key)
    if found is None:
        with site.making:  # who was before us in the queue may have made it
            found = site.kept.get(
                key, lambda: _compressed(make()), lambda one: len(one.body) + _OVERHEAD
            )
    headers = respond.freshness(request, run, found.later)
    if accepted(request.headers):
        headers |= {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return Response(found.body, media_type=found.media_type, headers=headers)
    return Response(gzip.decompress(found.body), media_type=found.media_type, headers=headers)


def _compressed(made: Made) -> Made:
    return replace(made, body=gzipped(made.body))
