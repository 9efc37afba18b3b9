"""What may be done only so often in team mode: logins, and texts through the live worker.

Counted in the database, so that several processes agree. Local mode has no limits.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from fastapi import Request

from server import access
from server.client_address import client_address
from server.errors import TooOften
from server.site import Site
from store import allowances
from store.types import folded_text


@dataclass(frozen=True)
class Limit:
    """So many in so many seconds."""

    kind: str
    most: int
    seconds: int


LOGINS_OF_ACCOUNT = Limit("login", 10, 15 * 60)
LOGINS_FROM_ADDRESS = Limit("login", 60, 15 * 60)
TEXTS_OF_PERSON = Limit("live", 60, 5 * 60)
TEXTS_FROM_ADDRESS = Limit("live", 20, 5 * 60)


def before_login(request: Request, site: Site, name: str) -> None:
    """Count a login that is about to be tried. Raises TooOften.

    Counted before the password is looked at: of many tries at once no more get through.
    """
    for limit, subject in _login_subjects(request, site, name):
        wait = _take(site, limit, subject)
        if wait:
            raise TooOften(
                "There were too many logins that failed.",
                f"Try again in {in_words(wait)}.",
                wait,
            )


def after_login(request: Request, site: Site, name: str) -> None:
    """A login that succeeded is none of those that are counted."""
    for limit, subject in _login_subjects(request, site, name):
        allowances.give_back(site.engine, limit.kind, subject)


def before_text(request: Request, site: Site) -> None:
    """Count a text that is about to be run by the live worker. Raises TooOften."""
    if site.settings.mode == "local":
        return
    person = access.person(request)
    if person is not None:
        wait = _take(site, TEXTS_OF_PERSON, f"account:{person.name}")
    else:
        address = client_address(request, site.settings)
        wait = _take(site, TEXTS_FROM_ADDRESS, f"address:{address}")
    if wait:
        hint = f"Try again in {in_words(wait)}."
        if person is None:
            hint = f"{hint} Those who are logged in may run more."
        raise TooOften("Too many texts were run from here just now.", hint, wait)


def in_words(seconds: int) -> str:
    """`40 seconds`, `3 minutes`."""
    if seconds < 90:
        return f"{seconds} second{'' if seconds == 1 else 's'}"
    return f"{-(-seconds // 60)} minutes"


def _take(site: Site, limit: Limit, subject: str) -> int:
    return allowances.take(site.engine, limit.kind, subject, most=limit.most, seconds=limit.seconds)


def _login_subjects(request: Request, site: Site, name: str) -> list[tuple[Limit, str]]:
    folded = folded_text(name)
    if len(folded) > 100:  # no account is called so, and a key has its length
        folded = hashlib.sha256(folded.encode("utf-8", "replace")).hexdigest()
    return [
        (LOGINS_FROM_ADDRESS, f"address:{client_address(request, site.settings)}"),
        (LOGINS_OF_ACCOUNT, f"account:{folded}"),
    ]
