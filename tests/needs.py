"""Says before the tests run what the machine lacks for them, with the one command that mends it.

A browser and a Postgres cannot be had from pip alone without root; the tests need both and fail
without them. This names what is missing first, so that the failures are no riddle.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def browser() -> str | None:
    """The browser's path: TWINSCOPE_TEST_BROWSER, else the first that is installed."""
    named = os.environ.get("TWINSCOPE_TEST_BROWSER")
    if named:
        return named if Path(named).exists() else None
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def main() -> int:
    """Exit code 0 when the browser is there, 1 with the one command that brings it."""
    if browser() is None:
        print(
            "The tests need a Chromium. Install it with\n\n"
            "    sudo apt-get install -y chromium\n\n"
            "or name one: TWINSCOPE_TEST_BROWSER=/path/to/chrome make test",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
