"""What the routes of studies share."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path

from server.pages.errors import ErrorPage

Slug = Annotated[str, Path(description="The study's name in addresses.", max_length=80)]

STUDY_ANSWERS: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorPage, "description": "Nobody is logged in, and this takes somebody."},
    403: {"model": ErrorPage, "description": "Not for whoever asks, or not yet."},
    404: {"model": ErrorPage, "description": "There is no such study."},
    409: {"model": ErrorPage, "description": "The study's state does not allow it."},
}
