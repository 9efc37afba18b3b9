"""Page object of every error: the same words on the HTML page and in the JSON."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ErrorView:
    """`code` is for programs and never changes; `hint` is where or how to go on."""

    status: int
    code: str
    message: str
    hint: str | None = None


@dataclass(frozen=True)
class ErrorPage:
    """`{"error": {…}}`."""

    error: ErrorView
