"""The one settings object of a server process, read once from `TWINSCOPE_*` variables."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from server.errors import SettingsError

#: Names under which this machine calls itself; any port will do.
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Settings:
    """What a process was told. `database_url` None means the store's default.

    `allowed_hosts` are the names (without port) that a request may address: anything else is
    refused, so that a page elsewhere cannot reach a local server through a name of its own.
    `behind_proxy` says that something else guards the port (a container, a proxy), so that a
    server in local mode may listen beyond loopback. `annotator` is whose labels local ones are.
    """

    database_url: str | None = None
    mode: Literal["local"] = "local"
    allowed_hosts: tuple[str, ...] = LOOPBACK_HOSTS
    behind_proxy: bool = False
    annotator: str = "local"
    default_page_size: int = 50
    max_page_size: int = 200
    max_body_bytes: int = 64 * 1024

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """The settings of this process.

            TWINSCOPE_DATABASE_URL   where the runs are (default: a SQLite file of the user)
            TWINSCOPE_MODE           local
            TWINSCOPE_ALLOWED_HOSTS  further names of this server, separated by commas
            TWINSCOPE_BEHIND_PROXY   1 when a container or proxy guards the port
            TWINSCOPE_ANNOTATOR      whose labels local ones are (default: the system user)
            TWINSCOPE_MAX_PAGE_SIZE  rows of the explorer on one page, at most (default 200)

        Raises SettingsError when one of them cannot be understood.
        """
        environment = os.environ if environment is None else environment
        mode = environment.get("TWINSCOPE_MODE", "local")
        if mode != "local":
            raise SettingsError(f"TWINSCOPE_MODE is {mode!r}; this version knows only 'local'.")
        further = environment.get("TWINSCOPE_ALLOWED_HOSTS", "").split(",")
        return cls(
            database_url=environment.get("TWINSCOPE_DATABASE_URL") or None,
            allowed_hosts=LOOPBACK_HOSTS + tuple(h.strip().lower() for h in further if h.strip()),
            behind_proxy=environment.get("TWINSCOPE_BEHIND_PROXY", "") in ("1", "true", "yes"),
            annotator=environment.get("TWINSCOPE_ANNOTATOR") or _system_user(),
            max_page_size=_positive(environment, "TWINSCOPE_MAX_PAGE_SIZE", cls.max_page_size),
        )


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
