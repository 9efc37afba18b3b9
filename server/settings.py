"""The one settings object of a server process, read once from `TWINSCOPE_*` variables."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from server.errors import SettingsError

#: Names under which this machine calls itself; any port will do.
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")

SHORTEST_SECRET = 32

#: Who may show `/embed` in a frame unless told otherwise: pages of this machine, a notebook's too.
LOCAL_FRAMES = "'self' http://localhost:* http://127.0.0.1:*"
_FRAME_SOURCE = re.compile(
    r"\*|'self'|https?:|(https?://)?(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*(:(\d{1,5}|\*))?"
)


@dataclass(frozen=True)
class Settings:
    """What a process was told. `database_url` None means the store's default.

    `allowed_hosts` are the names (without port) that a request may address: anything else is
    refused, so that a page elsewhere cannot reach a local server through a name of its own.
    `behind_proxy` says that something else guards the port (a container, a proxy), so that a
    server in local mode may listen beyond loopback. `annotator` is whose labels local ones are.
    `public_url` (no slash at its end) is where others reach this server, None: nowhere that it
    knows of. `frame_ancestors` are the sites that may show `/embed`, as a policy names them.
    `worker_url` is where the live worker is, None: there is none.

    In team mode there are accounts: `public_reading` says whether those who are not logged in may
    read, `secret` is what cookies are signed with (None: the one that the database keeps).
    """

    database_url: str | None = None
    mode: Literal["local", "team"] = "local"
    allowed_hosts: tuple[str, ...] = LOOPBACK_HOSTS
    behind_proxy: bool = False
    annotator: str = "local"
    public_reading: bool = False
    secret: str | None = field(default=None, repr=False)
    public_url: str | None = None
    frame_ancestors: str = LOCAL_FRAMES
    worker_url: str | None = None
    default_page_size: int = 50
    max_page_size: int = 200
    max_body_bytes: int = 64 * 1024

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """The settings of this process.

            TWINSCOPE_DATABASE_URL   where the runs are (default: a SQLite file of the user)
            TWINSCOPE_MODE           local, or team: accounts, logins, roles
            TWINSCOPE_PUBLIC_READING 1 when those without an account may read (team mode)
            TWINSCOPE_SECRET         what cookies are signed with (default: kept in the database)
            TWINSCOPE_ALLOWED_HOSTS  further names of this server, separated by commas
            TWINSCOPE_BEHIND_PROXY   1 when a container or proxy guards the port
            TWINSCOPE_ANNOTATOR      whose labels local ones are (default: the system user)
            TWINSCOPE_MAX_PAGE_SIZE  rows of the explorer on one page, at most (default 200)
            TWINSCOPE_PUBLIC_URL     where others reach this server: https://scope.example.org
            TWINSCOPE_FRAME_ANCESTORS  sites that may show /embed (default: this machine's)
            TWINSCOPE_WORKER_URL     where the live worker is: http://127.0.0.1:8010

        Raises SettingsError when one of them cannot be understood.
        """
        environment = os.environ if environment is None else environment
        mode = environment.get("TWINSCOPE_MODE") or "local"
        if mode not in ("local", "team"):
            raise SettingsError(f"TWINSCOPE_MODE is {mode!r}; it is 'local' or 'team'.")
        team = mode == "team"
        further = environment.get("TWINSCOPE_ALLOWED_HOSTS", "").split(",")
        public_url = _public_url(environment)
        if public_url is not None:
            further.append(urlsplit(public_url).hostname or "")
        return cls(
            database_url=environment.get("TWINSCOPE_DATABASE_URL") or None,
            mode="team" if team else "local",
            public_reading=_yes_or_no(environment, "TWINSCOPE_PUBLIC_READING", team=team),
            secret=_secret(environment, team),
            allowed_hosts=LOOPBACK_HOSTS + tuple(h.strip().lower() for h in further if h.strip()),
            behind_proxy=environment.get("TWINSCOPE_BEHIND_PROXY", "") in ("1", "true", "yes"),
            annotator=environment.get("TWINSCOPE_ANNOTATOR") or _system_user(),
            max_page_size=_positive(environment, "TWINSCOPE_MAX_PAGE_SIZE", cls.max_page_size),
            public_url=public_url,
            frame_ancestors=_frame_ancestors(environment),
            worker_url=_worker_url(environment),
        )

    @property
    def secure(self) -> bool:
        """Whether browsers reach this server by https, so that cookies may be for that alone."""
        return self.public_url is not None and self.public_url.startswith("https://")


def _yes_or_no(environment: Mapping[str, str], name: str, *, team: bool) -> bool:
    text = environment.get(name, "").strip().lower()
    if not text:
        return False
    if not team:
        raise SettingsError(f"{name} is for TWINSCOPE_MODE=team; in local mode there is no login.")
    if text not in ("0", "1", "yes", "no", "true", "false"):
        raise SettingsError(f"{name} is {text!r}; it is 1 or 0.")
    return text in ("1", "yes", "true")


def _secret(environment: Mapping[str, str], team: bool) -> str | None:
    text = environment.get("TWINSCOPE_SECRET", "")
    if not text or not team:
        return None
    if len(text) < SHORTEST_SECRET:
        raise SettingsError(
            f"TWINSCOPE_SECRET has {len(text)} characters; {SHORTEST_SECRET} or more are needed.",
            "`openssl rand -hex 32` makes one; without it the database keeps one of its own.",
        )
    return text


def _public_url(environment: Mapping[str, str]) -> str | None:
    text = environment.get("TWINSCOPE_PUBLIC_URL", "").strip().rstrip("/")
    if not text:
        return None
    fault = SettingsError(
        f"TWINSCOPE_PUBLIC_URL is {text!r}; an address such as 'https://scope.example.org' is "
        "needed, without a path."
    )
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise fault from error
    plain = f"{parts.scheme}://{parts.netloc}" == text and "@" not in text
    if parts.scheme not in ("http", "https") or not host or not plain or not text.isascii():
        raise fault
    return text


def _worker_url(environment: Mapping[str, str]) -> str | None:
    text = environment.get("TWINSCOPE_WORKER_URL", "").strip().rstrip("/")
    if not text:
        return None
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise SettingsError(
            f"TWINSCOPE_WORKER_URL is {text!r}; an address such as 'http://127.0.0.1:8010' "
            "is needed."
        )
    return text


def _frame_ancestors(environment: Mapping[str, str]) -> str:
    """The sites of TWINSCOPE_FRAME_ANCESTORS in the words of a Content-Security-Policy."""
    text = environment.get("TWINSCOPE_FRAME_ANCESTORS", "").strip().lower()
    if not text:
        return LOCAL_FRAMES
    words = {"self": "'self'", "none": "'none'"}
    sources = [words.get(part, part) for part in text.replace(",", " ").split()]
    if sources == ["'none'"]:
        return "'none'"
    for source in sources:
        if _FRAME_SOURCE.fullmatch(source) is None:
            raise SettingsError(
                f"TWINSCOPE_FRAME_ANCESTORS names {source!r}; known are 'none' (alone), 'self', "
                "'*' and addresses such as https://blog.example.org."
            )
    return " ".join(sources)


def _positive(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name, "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise SettingsError(f"{name} is {text!r}; a whole number above zero is needed.")
    return int(text)


def _system_user() -> str:
    """The system user's name; "local" where the process has none (some containers)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "local"
