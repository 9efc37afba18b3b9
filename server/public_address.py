"""The address under which this server is reached, for links that leave it."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import Request

from server.site import site_of


def base_address(request: Request) -> str:
    """`https://scope.example.org`: TWINSCOPE_PUBLIC_URL, else what the request addressed.

    The guard has refused foreign names before; only the host's name and port are taken, so that
    nothing else of the header gets into a page.
    """
    told = site_of(request).settings.public_url
    if told is not None:
        return told
    parts = urlsplit(f"//{request.headers.get('host', '')}")
    try:
        host, port = parts.hostname or "localhost", parts.port
    except ValueError:
        host, port = parts.hostname or "localhost", None
    name = f"[{host}]" if ":" in host else host
    scheme = "https" if request.url.scheme == "https" else "http"
    return f"{scheme}://{name}{f':{port}' if port else ''}"
