"""Where a request comes from, for limits: one address, or one network of IPv6."""

from __future__ import annotations

import ipaddress

from starlette.requests import Request

from server.settings import Settings

#: What a household or a lab has of IPv6; each of its machines may take any address within.
IPV6_NETWORK = 64


def client_address(request: Request, settings: Settings) -> str:
    """The asker's address; the network of one of IPv6; "unknown" where there is none.

    Behind a proxy it is the last one of `X-Forwarded-For`, which the proxy itself has written:
    whatever stands before it is what the asker says. Elsewhere that header means nothing.
    """
    told = request.client.host if request.client else ""
    if settings.behind_proxy:
        forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
        told = forwarded.rpartition(",")[2].strip() or told
    try:
        address = ipaddress.ip_address(told.strip("[]"))
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, IPV6_NETWORK), strict=False))
    return str(address)
