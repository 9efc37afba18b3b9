"""Who asks, and what they may do.

    person = access.person(request)               # None: not logged in
    person = access.require(request, "annotator") # a Person, or an error page (401, 403)

Local mode knows one person, the annotator of the settings, who owns the site. In team mode a person
is the account of the request's session. Roles nest: an owner may do what an annotator may, an
annotator what a reader may.

A form in a template holds `{{ csrf_field() }}`, a request by script has the header `X-CSRF-Token`
with the page's `csrf_token`. Both are empty in local mode: there the guard's look at `Origin` is
enough.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import quote

from fastapi import Request
from markupsafe import Markup

from server.cookies import Signer
from server.errors import Forbidden, NotLoggedIn
from server.site import site_of

Role = Literal["reader", "annotator", "owner"]

#: From the least to the most; each may do what those before it may.
ROLES: tuple[Role, ...] = ("reader", "annotator", "owner")

CSRF_FIELD = "csrf"
CSRF_HEADER = "X-CSRF-Token"

#: Where `server.gate` leaves what it found.
SCOPE_KEY = "twinscope.access"

_MEANT: dict[Role, str] = {
    "reader": "read here",
    "annotator": "label and rate",
    "owner": "do this",
}

#: An address within the site: no scheme, no host, nothing that a browser could read as one.
_WITHIN = re.compile(r"/(?![/\\])[^\x00-\x20\x7f\\]*")
_LONGEST_NEXT = 3000


@dataclass(frozen=True)
class Person:
    """Whoever asks. `name` is the annotator's under which their labels are kept."""

    name: str
    role: Role

    @classmethod
    def of(cls, name: str, role: str) -> Person:
        """A person of a role that the database knows by its name."""
        return cls(name, cast(Role, role))

    def may(self, role: Role) -> bool:
        """Whether they may do what a `role` may."""
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass(frozen=True)
class Sent:
    """What a form sent to `path`: its fields in their order, without its `token`."""

    path: str
    fields: tuple[tuple[str, str], ...]
    token: str


@dataclass(frozen=True)
class Access:
    """What the gate knows of a request in team mode. `csrf` is the token of the session, or before
    the login the visit's; `sent` is what a form brought."""

    signer: Signer
    person: Person | None
    csrf: str
    session_id: str | None
    sent: Sent | None = None


def person(request: Request) -> Person | None:
    """Whoever asks; None when nobody is logged in."""
    settings = site_of(request).settings
    if settings.mode == "local":
        return Person(settings.annotator, "owner")
    found = access_of(request)
    return None if found is None else found.person


def access_of(request: Request) -> Access | None:
    """What the gate found; None in local mode, and where a request did not get as far."""
    return cast("Access | None", request.scope.get(SCOPE_KEY))


def require(request: Request, role: Role) -> Person:
    """Whoever asks, if they may do what a `role` may.

    Errors: NotLoggedIn (401; a page is answered with the login page), Forbidden (403).
    """
    found = person(request)
    if found is None:
        raise log_in_to(request, _MEANT[role])
    if not found.may(role):
        raise Forbidden(
            f"{found.name} is {_article(found.role)} here, and this takes {_article(role)}.",
            "Whoever keeps this site can change that: twinscope users role.",
        )
    return found


def labelling_as(request: Request) -> str | None:
    """Whose label one made here would be; None for whoever may not label."""
    found = person(request)
    return found.name if found is not None and found.may("annotator") else None


def here(request: Request) -> str:
    """The address of a page that was asked for: where to go on after logging in."""
    query = request.url.query
    address = request.url.path + (f"?{query}" if query else "")
    return address if len(address) <= _LONGEST_NEXT else request.url.path


def log_in_to(request: Request, purpose: str) -> NotLoggedIn:
    """The error that says so, with the login that leads back here."""
    back = "" if request.url.path == "/" else f"?next={quote(here(request), safe='/')}"
    return NotLoggedIn(f"Log in to {purpose}.", f"/login{back}")


def within(address: str | None) -> str:
    """The address, if it leads to a page of this site; else that of the home page."""
    if address is None or len(address) > _LONGEST_NEXT or not _WITHIN.fullmatch(address):
        return "/"
    return "/" if address.partition("?")[0] in ("/login", "/logout") else address


def csrf_token(request: Request) -> str:
    """What a changing request of this session must bring; "" in local mode."""
    found = access_of(request)
    return "" if found is None else found.csrf


def csrf_field(token: str) -> Markup:
    """The hidden field of a form that changes something."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(CSRF_FIELD, token)


def _article(role: Role) -> str:
    return f"{'a' if role == 'reader' else 'an'} {role}"
