"""What a search's address asks for: `?q=self&in=tokens&token=312&by=max&side=left&page=2`."""

from __future__ import annotations

from dataclasses import dataclass

from server.pages.evidence import SideName
from server.pages.search import By, Found


@dataclass(frozen=True)
class Asked:
    """`found` and `token` are None where the address leaves the choice to the page."""

    query: str = ""
    found: Found | None = None
    token: int | None = None
    by: By = "mean"
    side: SideName | None = None
    layer: int | None = None
    page: int = 1
    size: int = 20

    def parameters(self) -> dict[str, str | int | None]:
        """As an address has them, without defaults."""
        return {
            "q": self.query,
            "in": self.found,
            "token": self.token,
            "by": self.by if self.by != "mean" else None,
            "side": self.side,
            "layer": self.layer,
            "size": self.size if self.size != Asked.size else None,
            "page": self.page if self.page > 1 else None,
        }
