"""The version of the installed program."""

from __future__ import annotations

from functools import lru_cache
from importlib import metadata


@lru_cache(maxsize=1)
def version() -> str:
    """As the package's metadata has it; "0" in a checkout that was not installed."""
    try:
        return metadata.version("twinscope")
    except metadata.PackageNotFoundError:
        return "0"
