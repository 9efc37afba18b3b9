"""What a reader gets in place of an error page when only a login, or a token, is missing.

A page that needs somebody leads to the login and back. A form that came without a session gets the
login page, and one without its session's token a page to confirm it; both hold what was sent, so
that nothing typed is lost.
"""

from __future__ import annotations

import json
import re

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from server import access, respond
from server.access import Sent
from server.cookies import VISIT, new_token
from server.errors import CsrfMissing, NotLoggedIn, PageError
from server.pages.accounts import ConfirmPage, FieldView, LoginPage

#: What is never written into a page.
_SECRET = re.compile("password|secret")
NO_STORE = {"Cache-Control": "no-store"}


def instead(request: Request, error: PageError) -> Response | None:
    """The answer to a browser in place of the error page; None where that is the right one."""
    found = access.access_of(request)
    if found is None:
        return None
    sent = found.sent
    if isinstance(error, NotLoggedIn):
        if request.method in ("GET", "HEAD"):
            if request.headers.get("sec-fetch-dest", "document") != "document":
                return None  # a script or a frame: the words are for it
            return RedirectResponse(error.hint or "/login", 303, NO_STORE)
        return login_page(
            request,
            message=f"{error.message} What you sent is kept until then." if sent else error.message,
            back="/",
            draft=carried(sent),
            status=error.status,
        )
    if isinstance(error, CsrfMissing) and sent is not None and sent.path == "/login":
        fields = dict(sent.fields)
        draft = (fields.get("draft_to", ""), fields.get("draft", ""))
        return login_page(
            request,
            message="That page was too old to log in with; this one is not.",
            name=fields.get("name", ""),
            back=fields.get("next"),
            draft=draft if restored(*draft) else None,
            status=error.status,
        )
    if isinstance(error, CsrfMissing) and sent is not None and found.person is not None:
        page = confirm_page(sent, found.csrf)
        if page is not None:
            return respond.page(request, "confirm.html", page, NO_STORE, error.status)
    return None


def login_object(
    request: Request,
    *,
    message: str = "",
    name: str = "",
    back: str | None = None,
    draft: tuple[str, str] | None = None,
) -> tuple[LoginPage, str | None]:
    """The login with what is to be kept over it: where to go on (`back`), or what a form had sent
    (`draft`, see `carried`); and the token of the visit that begins with it, None if one has."""
    found = access.access_of(request)
    assert found is not None, "there is no login in local mode"
    begun = None if found.csrf else new_token()
    draft_to, kept = draft or ("", "")
    page = LoginPage(
        next=access.within(back),
        name=name,
        message=message,
        draft_to=draft_to,
        draft=kept,
        csrf_token=found.csrf if begun is None else found.signer.csrf(begun),
    )
    return page, begun


def login_page(
    request: Request,
    *,
    message: str = "",
    name: str = "",
    back: str | None = None,
    draft: tuple[str, str] | None = None,
    status: int = 200,
    retry_after: int | None = None,
) -> Response:
    """The login as a page; see `login_object`."""
    page, begun = login_object(request, message=message, name=name, back=back, draft=draft)
    headers = dict(NO_STORE)
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return with_visit(request, respond.page(request, "login.html", page, headers, status), begun)


def with_visit(request: Request, answer: Response, begun: str | None) -> Response:
    """The answer with the cookie of a visit that has begun."""
    found = access.access_of(request)
    if begun is not None and found is not None:
        found.signer.set(answer, VISIT, begun)
    return answer


def confirm_page(sent: Sent, csrf_token: str) -> ConfirmPage | None:
    """What a form sent, to be sent again by a press; None for what must not stand in a page."""
    if any(_SECRET.search(name) for name, _ in sent.fields):
        return None
    return ConfirmPage(
        action=sent.path,
        fields=tuple(FieldView(name, value) for name, value in sent.fields),
        csrf_token=csrf_token,
    )


def restored(path: str, draft: str) -> Sent | None:
    """What `carried` wrote, as it comes back from the login's form; None for anything else."""
    if not path.startswith("/") or access.within(path) != path:
        return None
    try:
        pairs = json.loads(draft)
        fields = tuple((str(name), str(value)) for name, value in pairs)
    except (ValueError, TypeError, RecursionError):
        return None
    return Sent(path, fields, "")


def carried(sent: Sent | None) -> tuple[str, str] | None:
    """(path, fields as JSON) of a form, to be carried over the login."""
    if sent is None or any(_SECRET.search(name) for name, _ in sent.fields):
        return None
    return sent.path, json.dumps(sent.fields)
