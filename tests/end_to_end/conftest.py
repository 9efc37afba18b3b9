"""A whole Twinscope in processes of its own: a precomputed run on each database, and a browser."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import databases, needs
from tests.worker.tiny_pair import make_pair

ROOT = Path(__file__).resolve().parents[2]

#: Text that must be shown as text: markup, right-to-left, a NUL, quotes.
HOSTILE = "<script>alert(1)</script> & \"quotes\" 'apostrophes'\n\tשלום \u202eelddim\x00 end\n"
PROSE = "def scale(self, value):\n    return self.value * value  # a comment\n"


#: For tests of what a browser shows, which is the same over either database.
ON_SQLITE = pytest.mark.parametrize("twinscope", ["sqlite"], indirect=True, scope="session")


@dataclass(frozen=True)
class Twinscope:
    """The command line of this checkout with a data directory and database of its own."""

    data_dir: Path
    database_url: str

    @property
    def environment(self) -> dict[str, str]:
        """What its processes are told."""
        return os.environ | {
            "TWINSCOPE_DATA_DIR": str(self.data_dir),
            "TWINSCOPE_DATABASE_URL": self.database_url,
            "TWINSCOPE_ANNOTATOR": "ada",
            "COLUMNS": "200",
        }

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """A verb as a process."""
        return subprocess.Popen(
            [sys.executable, "-m", "twinscope", *arguments],
            cwd=ROOT,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )

    def run(self, *arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """A verb, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "twinscope", *arguments],
            cwd=ROOT,
            env=self.environment,
            text=True,
            capture_output=True,
            timeout=timeout,
            check=False,
        )

    @contextmanager
    def serving(self, *options: str) -> Iterator[str]:
        """The site on a free port; its address."""
        process = self.start("serve", "--port", "0", *options, stdin=subprocess.DEVNULL)
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            match = re.search(r"http://\S+", line)
            if match is None:
                raise AssertionError(f"no address: {line!r} {process.communicate(timeout=120)}")
            yield match[0].rstrip("/")
        finally:
            process.terminate()
            process.communicate(timeout=120)


@pytest.fixture(scope="session")
def tiny_pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a tiny pair."""
    return make_pair(tmp_path_factory.mktemp("pairs") / "tiny-pair", n_ctx=32)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty documents; the last is hostile."""
    directory = tmp_path_factory.mktemp("corpus")
    for number in range(29):
        (directory / f"d{number:02}.txt").write_text(f"# {number}\n" + PROSE * (1 + number % 4))
    (directory / "z <b>bold.txt").write_text(HOSTILE * 3)
    return directory


@pytest.fixture(scope="session", params=databases.KINDS)
def twinscope(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    tiny_pair: Path,
    corpus: Path,
) -> Iterator[Twinscope]:
    """A Twinscope with one published run of the tiny pair, on each kind of database."""
    kind = str(request.param)
    with databases.fresh(kind, migrated=True) as url:
        own = Twinscope(tmp_path_factory.mktemp(f"data-{kind}"), url)
        done = own.run("precompute", str(tiny_pair), "--corpus", str(corpus), "--workers", "1")
        assert done.returncode == 0, done.stderr
        yield own


@pytest.fixture(scope="session")
def address(twinscope: Twinscope) -> Iterator[str]:
    """Where the site of that Twinscope answers."""
    with twinscope.serving() as url:
        yield url


@pytest.fixture(scope="session")
def live(twinscope: Twinscope, tiny_pair: Path) -> Iterator[str]:
    """The site with a worker that knows the tiny pair; its address."""
    with twinscope.serving("--with-worker", "--pair", str(tiny_pair), "--device", "cpu") as url:
        until_loaded(f"{url}/tiny-pair/live.json?text=self")
        yield url


def until_loaded(address: str) -> None:
    """Ask until the worker answers: on a busy machine torch alone takes longer than a reader waits.

    Until then every answer is a sentence with the time to ask again, or comes too late.
    """
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=60) as answer:
                assert answer.status == 200
                return
        except urllib.error.HTTPError as refused:
            said = json.load(refused)["error"]
            if said["code"] not in ("worker_busy", "worker_slow"):
                pytest.fail(str(said))
            if not re.fullmatch(r"[1-9]\d*", refused.headers["Retry-After"] or ""):
                pytest.fail(str(refused.headers))
        except (TimeoutError, urllib.error.URLError):
            pass
        time.sleep(0.5)
    pytest.fail("the live worker did not come up")


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """The browser that is installed, without calls to the outside."""
    path = needs.browser()
    if path is None:
        pytest.fail("no browser: apt-get install -y chromium", pytrace=False)
    return browser_type_launch_args | {
        "executable_path": path,
        "args": [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ],
    }
