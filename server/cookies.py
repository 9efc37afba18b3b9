"""The cookie of a session, signed, and the token that its forms carry.

A session's cookie is `TOKEN.SIGNATURE`: the token is random, and the database knows its SHA-256
alone, so that whoever reads the database cannot log in. The signature spares the database a look at
what was made up. The CSRF token follows from the same token by the same secret. A browser without a
session has a second such cookie, a visit's, for the login form alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from server.settings import Settings

SESSION, VISIT = "twinscope_session", "twinscope_visit"
DAYS = 30


@dataclass(frozen=True)
class Signer:
    """Signs and reads cookies with a secret."""

    secret: bytes
    secure: bool

    def name(self, kind: str) -> str:
        """The cookie's name; by https one that no other site of the same domain can set."""
        return f"__Host-{kind}" if self.secure else kind

    def token(self, request: Request, kind: str) -> str | None:
        """What the request's cookie of this kind holds; None without one that we signed."""
        value = request.cookies.get(self.name(kind), "")
        token, _, signature = value.partition(".")
        expected = self._sign(f"{kind}:{token}")
        if not token or not hmac.compare_digest(signature.encode(), expected.encode()):
            return None
        return token

    def csrf(self, token: str) -> str:
        """The token of forms that belongs to a cookie's."""
        return self._sign(f"csrf:{token}")

    def cookie(self, kind: str, token: str) -> str:
        """What the cookie of a token holds."""
        return f"{token}.{self._sign(f'{kind}:{token}')}"

    def set(self, response: Response, kind: str, token: str) -> None:
        """Give the browser a cookie: a session's for as long as it lasts, a visit's for a day."""
        response.set_cookie(
            self.name(kind),
            self.cookie(kind, token),
            max_age=(DAYS if kind == SESSION else 1) * 24 * 3600,
            path="/",
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )

    def forget(self, response: Response, kind: str) -> None:
        """Take a cookie from the browser."""
        response.delete_cookie(
            self.name(kind), path="/", secure=self.secure, httponly=True, samesite="lax"
        )

    def _sign(self, text: str) -> str:
        digest = hmac.new(self.secret, text.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def signer(settings: Settings, kept: bytes) -> Signer:
    """The signer of a server: by the settings' secret, else by the one that the database keeps."""
    secret = settings.secret.encode() if settings.secret else kept
    return Signer(hashlib.sha256(b"twinscope cookies\n" + secret).digest(), settings.secure)


def new_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_urlsafe(32)


def session_id(token: str) -> str:
    """What the database knows of a session's token."""
    return hashlib.sha256(token.encode()).hexdigest()
