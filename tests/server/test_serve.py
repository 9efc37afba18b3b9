"""Starting: the environment's settings, the address, a port in use, an end without a trace."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from server.errors import PortInUseError, ServerError, SettingsError
from server.serve import address_of, check_host, listen, serve
from server.settings import LOOPBACK_HOSTS, Settings
from store import schema
from store.engine import open_engine

ROOT = Path(__file__).resolve().parents[2]


def test_settings_of_the_environment() -> None:
    settings = Settings.from_environment(
        {
            "TWINSCOPE_DATABASE_URL": "sqlite:///x",
            "TWINSCOPE_ANNOTATOR": "grace",
            "TWINSCOPE_MAX_PAGE_SIZE": "7",
        }
    )
    assert settings == Settings(database_url="sqlite:///x", annotator="grace", max_page_size=7)
    assert Settings.from_environment({}).allowed_hosts == LOOPBACK_HOSTS
    assert Settings.from_environment({}).annotator


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TWINSCOPE_MODE", "public"),
        ("TWINSCOPE_MAX_PAGE_SIZE", "many"),
        ("TWINSCOPE_MAX_PAGE_SIZE", "0"),
    ],
)
def test_settings_that_cannot_be_understood(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment({name: value})
    assert name in raised.value.message
    assert value in raised.value.message


def test_a_port_in_use_is_said_in_a_line() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUseError) as raised:
            serve("127.0.0.1", port, Settings())
        assert raised.value.message == f"Port {port} on 127.0.0.1 is in use."
        assert f"--port {port + 1}" in (raised.value.hint or "")


def test_addresses_that_cannot_be_listened_on() -> None:
    with pytest.raises(ServerError, match=r"Cannot listen on 192\.0\.2\.1"):
        listen("192.0.2.1", 0)
    with pytest.raises(ServerError, match="Port 70000 does not exist"):
        listen("127.0.0.1", 70000)


def test_local_mode_listens_on_loopback_only() -> None:
    for host in ("127.0.0.1", "localhost", "::1", "127.0.0.53"):
        check_host(host, Settings())
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):
        with pytest.raises(ServerError, match="loopback only"):
            check_host(host, Settings())
        check_host(host, Settings(behind_proxy=True))


def test_the_address_is_one_that_a_browser_opens() -> None:
    with listen("127.0.0.1", 0) as opened:
        assert address_of(opened) == f"http://127.0.0.1:{opened.getsockname()[1]}"
    with listen("0.0.0.0", 0) as opened:
        assert address_of(opened) == f"http://localhost:{opened.getsockname()[1]}"
    if socket.has_ipv6:
        with listen("::1", 0) as opened:
            assert address_of(opened) == f"http://[::1]:{opened.getsockname()[1]}"


def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_head() -> None:
    """asyncio sends at once on sockets that are TCP by name, and on those accepted from them."""

    async def accepted() -> int:
        answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there = writer.get_extra_info("socket")
            answered.set_result(there.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with listen("127.0.0.1", 0) as opened:
            server = await asyncio.start_server(handle, sock=opened)
            async with server:
                _, writer = await asyncio.open_connection(*opened.getsockname()[:2])
                found = await asyncio.wait_for(answered, 20)
                writer.close()
        return found

    with ThreadPoolExecutor(1) as thread:  # in this one a browser's loop may be running
        assert thread.submit(lambda: asyncio.run(accepted())).result() != 0


@pytest.mark.parametrize("end", ["interrupt", "leash"])
def test_it_serves_until_it_is_told_to_end(tmp_path: Path, end: str) -> None:
    """A true process: ready when it says so, and no traceback when it ends."""
    url = f"sqlite:///{tmp_path / 'x.sqlite3'}"
    engine = open_engine(url, must_be_current=False)
    schema.upgrade(engine)
    engine.dispose()
    code = (
        "from server.serve import serve\n"
        f"serve(port=0, leash={end == 'leash'}, on_ready=lambda url: print(url, flush=True))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "TWINSCOPE_DATABASE_URL": url},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), process.communicate()[1]
        with urllib.request.urlopen(f"{address}/healthz", timeout=60) as answer:
            assert json.load(answer)["status"] == "ok"
        if end == "interrupt":
            process.send_signal(signal.SIGINT)
        else:
            process.stdin.close()
            process.stdin = None
        _, errors = process.communicate(timeout=120)
        assert errors == ""
        assert process.returncode == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_several_processes_answer_on_one_port_and_end_together(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.sqlite3'}"
    engine = open_engine(url, must_be_current=False)
    schema.upgrade(engine)
    engine.dispose()
    process = subprocess.Popen(
        [sys.executable, "-m", "twinscope", "serve", "--port", "0", "--processes", "2"],
        cwd=ROOT,
        env={**os.environ, "TWINSCOPE_DATABASE_URL": url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        address = process.stdout.readline().rpartition(" ")[2].strip()
        assert address.startswith("http://127.0.0.1:"), process.communicate()[1]
        for _ in range(4):
            with urllib.request.urlopen(f"{address}/healthz", timeout=60) as answer:
                assert json.load(answer)["status"] == "ok"
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, "")
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(f"{address}/healthz", timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
