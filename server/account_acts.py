"""Logging in and out, another password, and the page of an account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from fastapi import Request

from server import access, limits, passwords, urls
from server.access import Access, Person
from server.cookies import DAYS, new_token, session_id
from server.errors import BadForm, NoAccounts, WrongPassword
from server.pages.accounts import AccountPage, AccountView
from server.site import Site
from store import accounts, sessions
from store.errors import AccountNotFound
from store.types import now

_WRONG = "This name and this password do not belong together."


@dataclass(frozen=True)
class Begun:
    """A session that has just begun: its cookie's token and whose it is."""

    token: str
    person: Person


def team_access(request: Request) -> Access:
    """What the gate found. Raises NoAccounts in local mode."""
    found = access.access_of(request)
    if found is None:
        raise NoAccounts(
            "There is no login here: this server is in local mode, for one person.", "/account"
        )
    return found


def log_in(request: Request, site: Site, name: str, password: str) -> Begun:
    """Begin a session. Errors: TooOften; WrongPassword, the same and as slow for any reason."""
    limits.before_login(request, site, name)
    account = accounts.find(site.engine, name)
    right, better = passwords.verify(password, None if account is None else account.password)
    if account is None or not right:
        raise WrongPassword(_WRONG, "Whoever keeps this site can set another password.")
    limits.after_login(request, site, name)
    known = account.password
    if better is not None:
        accounts.rehash(site.engine, name, known, better)
        known = better
    return _begin(site, Person.of(account.name, account.role), known)


def log_out(request: Request, site: Site) -> None:
    """End the session of the request, if it has one."""
    found = team_access(request)
    if found.session_id is not None:
        sessions.end(site.engine, found.session_id)


def change_password(
    request: Request, site: Site, person: Person, old: str, new: str, again: str
) -> Begun:
    """Another password: all of the account's sessions end, and one begins for this browser.

    Errors: TooOften, WrongPassword for the old one, BadForm, BadPassword.
    """
    team_access(request)
    if new != again:
        raise BadForm("The new password was not typed the same twice.")
    passwords.checked(new)
    limits.before_login(request, site, person.name)
    account = accounts.find(site.engine, person.name)
    right, _ = passwords.verify(old, None if account is None else account.password)
    if account is None or not right:
        raise WrongPassword("The old password is another one.")
    limits.after_login(request, site, person.name)
    known = passwords.hashed(new)
    accounts.set_password(site.engine, person.name, known)
    return _begin(site, person, known)


def _begin(site: Site, person: Person, known: str) -> Begun:
    token = new_token()
    try:
        sessions.start(
            site.engine, session_id(token), person.name, known, now() + timedelta(days=DAYS)
        )
    except AccountNotFound as error:  # changed or removed since it was looked at
        raise WrongPassword(_WRONG) from error
    return Begun(token, person)


def account_page(request: Request, site: Site, person: Person) -> AccountPage:
    """`/account`."""
    team = site.settings.mode == "team"
    return AccountPage(
        mode=site.settings.mode,
        name=person.name,
        role=person.role,
        csrf_token=access.csrf_token(request),
        accounts=tuple(
            AccountView(
                name=one.name,
                role=access.Person.of(one.name, one.role).role,
                created_at=one.created_at,
                labels=one.n_labels,
                sessions=one.n_sessions,
            )
            for one in accounts.list_accounts(site.engine)
        )
        if team and person.may("owner")
        else (),
        labels_href=urls.label_list({"annotator": person.name}),
    )
