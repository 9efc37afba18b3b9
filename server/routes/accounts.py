"""`/login`, `/logout` and `/account`, as pages and as JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from server import access, error_responses, respond
from server.account_acts import (
    Begun,
    account_page,
    change_password,
    log_in,
    log_out,
    team_access,
)
from server.cookies import SESSION, VISIT
from server.errors import PageError, TooOften
from server.login_answers import (
    NO_STORE,
    confirm_page,
    login_object,
    login_page,
    restored,
    with_visit,
)
from server.pages.accounts import AccountPage, LoggedIn, LoginPage
from server.pages.errors import ErrorPage
from server.routes.bodies import described, read_body
from server.routes.parameters import UNAVAILABLE, TheSite

REFUSED: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorPage, "description": "Nobody is logged in."},
    403: {"model": ErrorPage, "description": "Wrong password, or no CSRF token."},
    404: {"model": ErrorPage, "description": "Local mode has no accounts."},
    422: {"model": ErrorPage, "description": "A field is missing, or cannot be."},
    429: {"model": ErrorPage, "description": "Too many tries; Retry-After says when again."},
}

router = APIRouter(responses=UNAVAILABLE)

Next = Annotated[str | None, Query(alias="next", description="Where to go on after the login.")]


class Login(BaseModel):
    """A name and a password. The other fields are those of the page's form."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=1000)
    password: str = Field(max_length=10_000)
    next: str | None = None
    draft_to: str = ""
    draft: str = ""


class NewPassword(BaseModel):
    """The old password, and the new one twice."""

    model_config = ConfigDict(extra="forbid")

    old_password: str = Field(max_length=10_000)
    new_password: str = Field(max_length=10_000)
    new_password_again: str = Field(max_length=10_000)


async def read_login(request: Request) -> Login:
    """The body of a login. Errors: BadForm, UnreadableBody."""
    return await read_body(request, Login)


async def read_new_password(request: Request) -> NewPassword:
    """The body of a change of password. Errors: BadForm, UnreadableBody."""
    return await read_body(request, NewPassword)


@router.get("/login.json", responses=REFUSED, summary="What a login must bring")
def login_json(request: Request, response: Response, next_page: Next = None) -> LoginPage:
    """The token for the header `X-CSRF-Token` of the login, with the cookie that belongs to it."""
    team_access(request)
    response.headers["Cache-Control"] = "no-store"
    page, begun = login_object(request, back=next_page)
    with_visit(request, response, begun)
    return page


@router.get("/login", include_in_schema=False)
def login_html(request: Request, next_page: Next = None) -> Response:
    """The form; for whoever is logged in, on to where it leads. Local mode says who you are."""
    if access.person(request) is not None:
        back = access.within(next_page)
        return RedirectResponse("/account" if back == "/" else back, 303, NO_STORE)
    return login_page(request, back=next_page)


@router.post(
    "/login",
    responses=REFUSED,
    response_model=LoggedIn,
    summary="Log in",
    openapi_extra=described(Login),
)
def login(request: Request, site: TheSite, sent: Annotated[Login, Depends(read_login)]) -> Any:
    """Begin a session: its cookie comes with the answer."""
    found = team_access(request)
    draft = restored(sent.draft_to, sent.draft) if sent.draft else None
    try:
        begun = log_in(request, site, sent.name, sent.password)
    except PageError as error:
        if error_responses.wants_json(request):
            raise
        return login_page(
            request,
            message=" ".join(part for part in (error.message, error.hint) if part),
            name=sent.name,
            back=sent.next,
            draft=(sent.draft_to, sent.draft) if draft else None,
            status=error.status,
            retry_after=error.retry_after if isinstance(error, TooOften) else None,
        )
    token = found.signer.csrf(begun.token)
    back = access.within(sent.next)
    if error_responses.wants_json(request):
        page = LoggedIn(begun.person.name, begun.person.role, token, back)
        answer: Response = respond.json_answer(LoggedIn, page, NO_STORE)
    elif draft is not None and (again := confirm_page(draft, token)) is not None:
        answer = respond.page(request, "confirm.html", again, NO_STORE)
    else:
        answer = RedirectResponse(back, 303, NO_STORE)
    return _with_session(request, answer, begun)


@router.post("/logout", responses=REFUSED, status_code=303, summary="Log out")
def logout(request: Request, site: TheSite) -> Response:
    """End the session, here and at once in every process."""
    found = team_access(request)
    log_out(request, site)
    answer = RedirectResponse("/login" if not site.settings.public_reading else "/", 303, NO_STORE)
    found.signer.forget(answer, SESSION)
    return answer


@router.get("/logout", include_in_schema=False)
def logout_html(request: Request) -> Response:
    """Leads to the account's page, which has the button: a link logs nobody out."""
    return RedirectResponse("/account", 303, NO_STORE)


@router.get("/account.json", responses=REFUSED, summary="Who you are")
def account_json(request: Request, response: Response, site: TheSite) -> AccountPage:
    """Name and role of whoever asks, and the token for the header `X-CSRF-Token` of changes."""
    response.headers["Cache-Control"] = "no-store"
    return account_page(request, site, access.require(request, "reader"))


@router.get("/account", include_in_schema=False)
def account_html(request: Request, site: TheSite, changed: Literal["1"] | None = None) -> Response:
    page = account_page(request, site, access.require(request, "reader"))
    message = "Your password was changed; all other sessions have ended." if changed else ""
    return respond.page(request, "account.html", page, NO_STORE, message=message, fault=False)


@router.post(
    "/account",
    responses=REFUSED,
    response_model=LoggedIn,
    summary="Change your password",
    openapi_extra=described(NewPassword),
)
def account_change(
    request: Request, site: TheSite, sent: Annotated[NewPassword, Depends(read_new_password)]
) -> Any:
    """End all sessions of the account, and begin one for this browser."""
    person = access.require(request, "reader")
    found = team_access(request)
    try:
        begun = change_password(
            request, site, person, sent.old_password, sent.new_password, sent.new_password_again
        )
    except PageError as error:
        if error_responses.wants_json(request):
            raise
        message = " ".join(part for part in (error.message, error.hint) if part)
        headers = dict(NO_STORE)
        if error.retry_after is not None:
            headers["Retry-After"] = str(error.retry_after)
        page = account_page(request, site, person)
        return respond.page(
            request, "account.html", page, headers, error.status, message=message, fault=True
        )
    token = found.signer.csrf(begun.token)
    if error_responses.wants_json(request):
        page_json = LoggedIn(person.name, person.role, token, "/account")
        return _with_session(request, respond.json_answer(LoggedIn, page_json, NO_STORE), begun)
    return _with_session(request, RedirectResponse("/account?changed=1", 303, NO_STORE), begun)


def _with_session(request: Request, answer: Response, begun: Begun) -> Response:
    """The answer with the session's cookie; the visit is over."""
    signer = team_access(request).signer
    signer.set(answer, SESSION, begun.token)
    signer.forget(answer, VISIT)
    return answer
