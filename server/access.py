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

from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import quote

from fastapi import Request
from markupsafe import Markup

from server.errors import Forbidden, NotLoggedIn
from server.site import site_of

Role = Literal["reader", "annotator", "owner"]

#: From the least to the most; each may do what those before it may.
ROLES: tuple[Role, ...] = ("reader", "annotator", "owner")

CSRF_FIELD = "csrf"
CSRF_HEADER = "X-CSRF-Token"

_MEANT = {
    "reader": "read here",
    "annotator": "label and rate",
    "owner": "do this",
}


@dataclass(frozen=True)
class Person:
    """Whoever asks. `name` is the annotator's under which their labels are kept."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether they may do what a `role` may."""
        return ROLES.index(self.role) >= ROLES.index(role)


def person(request: Request) -> Person | None:
    """Whoever asks; None when nobody is logged in."""
    settings = site_of(request).settings
    if settings.mode == "local":
        return Person(settings.annotator, "owner")
    return cast("Person | None", request.scope.get("twinscope.person"))


def require(request: Request, role: Role) -> Person:
    """Whoever asks, if they may do what a `role` may.

    Errors: NotLoggedIn (401; a page is answered with the login page), Forbidden (403).
    """
    found = person(request)
    if found is None:
        raise NotLoggedIn(
            f"Log in to {_MEANT[role]}.", f"/login?next={quote(here(request), safe='/')}"
        )
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
    return request.url.path + (f"?{query}" if query else "")


def csrf_token(request: Request) -> str:
    """What a changing request of this session must bring; "" in local mode."""
    return cast(str, request.scope.get("twinscope.csrf", ""))


def csrf_field(token: str) -> Markup:
    """The hidden field of a form that changes something."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(CSRF_FIELD, token)


def _article(role: Role) -> str:
    return f"{'a' if role == 'reader' else 'an'} {role}"
