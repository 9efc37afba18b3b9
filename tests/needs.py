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


def checker() -> bool:
    """Whether the HTML checker can run: its program, which npm brought, and Java."""
    jar = Path(sys.prefix) / "checker/node_modules/vnu-jar/build/dist/vnu.jar"
    return jar.exists() and shutil.which("java") is not None


def main() -> int:
    """Exit code 0 when all is there, 1 with the one command that brings what is not."""
    missing = []
    if browser() is None:
        missing.append("chromium")
    if not checker():
        missing.append("default-jre-headless npm")
        (Path(sys.prefix) / ".installed-dev").unlink(missing_ok=True)  # make installs it next time
    if not missing:
        return 0
    print(
        "The tests need a Chromium, and Java and npm for the HTML checker. Install what is "
        f"missing with\n\n    sudo apt-get install -y {' '.join(missing)}\n\n"
        "(another browser: TWINSCOPE_TEST_BROWSER=/path/to/chrome make test)",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
