"""Page objects of `/login`, `/account`, and of what was sent before a login and is sent again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

RoleName = Literal["reader", "annotator", "owner"]


@dataclass(frozen=True)
class LoginPage:
    """`/login`. `next` is where it leads; `draft_to` and `draft` are what a form had sent where
    its session was over ("" if there is none). `csrf_token` is what a login must bring."""

    next: str
    name: str
    message: str
    draft_to: str
    draft: str
    csrf_token: str
    action: str = "/login"


@dataclass(frozen=True)
class FieldView:
    """A field of a form, as it was sent."""

    name: str
    value: str


@dataclass(frozen=True)
class ConfirmPage:
    """What was sent to `action` without its session's token, or without a session."""

    action: str
    fields: tuple[FieldView, ...]
    csrf_token: str


@dataclass(frozen=True)
class AccountView:
    """An account, as owners see it."""

    name: str
    role: RoleName
    created_at: datetime
    labels: int
    sessions: int


@dataclass(frozen=True)
class AccountPage:
    """`/account`: who you are. `accounts` are all of them, for owners; `csrf_token` is what a
    change must bring, "" in local mode."""

    mode: Literal["local", "team"]
    name: str
    role: RoleName
    csrf_token: str
    accounts: tuple[AccountView, ...]
    labels_href: str
    json_href: str = "/account.json"


@dataclass(frozen=True)
class LoggedIn:
    """The answer to a login by JSON. `csrf_token` is what changes must bring from now on."""

    name: str
    role: RoleName
    csrf_token: str
    next: str
