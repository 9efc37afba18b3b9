"""Passwords: hashed with argon2, checked as slowly for a name that there is not."""

from __future__ import annotations

import threading
from functools import lru_cache

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from server.errors import BadPassword

SHORTEST, LONGEST = 10, 1000

#: Each check takes 64 MiB for its time: so many at once, the others wait.
_turns = threading.BoundedSemaphore(2)
_hasher = PasswordHash((Argon2Hasher(),))


def make_cheaper() -> None:
    """Hash with next to no effort from now on. For tests alone: such hashes protect nothing."""
    global _hasher
    _hasher = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
    _nobodys.cache_clear()


def checked(password: str) -> str:
    """The password, if it can be one. Raises BadPassword."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise BadPassword(
            f"A password has {SHORTEST} to {LONGEST} characters; this one has {len(password)}.",
            "A few unrelated words are easy to keep in mind.",
        )
    return password


def hashed(password: str) -> str:
    """The hash of a password, with all that is needed to check it."""
    with _turns:
        return _hasher.hash(password)


def verify(password: str, known: str | None) -> tuple[bool, str | None]:
    """Whether the password is the one of this hash, and a better hash where it is an old one.

    With None (no such account) it is not, and that is found as slowly as otherwise.
    """
    if len(password) > LONGEST:
        return False, None
    with _turns:
        right, better = _hasher.verify_and_update(password, known or _nobodys())
    return (right, better) if known is not None else (False, None)


@lru_cache(maxsize=1)
def _nobodys() -> str:
    """A hash that no password has been asked for."""
    return _hasher.hash("nobody’s")
