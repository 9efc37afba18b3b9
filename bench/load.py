"""A bounded load on a web server of this machine: a small HTTP client, and what it measured.

    seen = asyncio.run(closed(address, paths, connections=8, seconds=5))
    seen.per_second, seen.percentile(99)

Closed: each connection asks for the next page once it has the last one. Open: requests start at a
fixed rate whatever the server does, and a request's time counts from when it should have started,
so that a server that lags is seen to lag. The client keeps connections, takes compressed answers
and does not unpack them: it needs the processor that the server needs, too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

MOST_REQUESTS = 5_000
TIMEOUT_S = 30
APART_S = 0.02


@dataclass
class Seen:
    """Seconds of each request in the order of their ends, bytes of all bodies, wall seconds."""

    seconds: list[float] = field(default_factory=list)
    n_bytes: int = 0
    wall: float = 0.0

    @property
    def per_second(self) -> float:
        """Answers per second."""
        return len(self.seconds) / self.wall if self.wall else 0.0

    def percentile(self, percent: float) -> float:
        """The time in milliseconds that this share of requests did not exceed."""
        if not self.seconds:
            return float("nan")
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


class Connection:
    """One connection that is kept; `get` gives the length of an answer's body as it was sent."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 80

    async def __aenter__(self) -> Connection:
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port, limit=2**20)
        return self

    async def __aexit__(self, *fault: object) -> None:
        self.writer.close()

    async def get(self, path: str) -> int:
        """Ask for a page; anything but 200 is a fault of the measurement."""
        self.writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nAccept: */*\r\n"
            "Accept-Encoding: gzip\r\n\r\n".encode()
        )
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(head.split(" ", 2)[1])
        if "transfer-encoding: chunked" in head:
            length = 0
            while size := int((await self.reader.readline()).split(b";")[0], 16):
                length += size
                await self.reader.readexactly(size + 2)
            await self.reader.readline()
        else:
            length = int(head.split("content-length:", 1)[1].split("\r\n", 1)[0])
            await self.reader.readexactly(length)
        if status != 200:
            raise RuntimeError(f"{path}: {status}")
        return length


async def closed(address: str, paths: Iterator[str], *, connections: int, seconds: float) -> Seen:
    """As many requests as `connections` get answered in `seconds`, at most MOST_REQUESTS."""
    seen = Seen()
    start = time.perf_counter()
    end = start + seconds

    async def ask(number: int) -> None:
        # Readers do not come at the same instant: of several processes, who is free takes the next.
        await asyncio.sleep(number * APART_S)
        async with Connection(address) as connection:
            while time.perf_counter() < end and len(seen.seconds) < MOST_REQUESTS:
                began = time.perf_counter()
                length = await asyncio.wait_for(connection.get(next(paths)), TIMEOUT_S)
                seen.n_bytes += length
                seen.seconds.append(time.perf_counter() - began)

    await asyncio.gather(*(ask(number) for number in range(connections)))
    seen.wall = time.perf_counter() - start
    return seen


async def opened(
    address: str, paths: Iterator[str], *, rate: float, seconds: float, connections: int = 32
) -> Seen:
    """`rate` requests a second, over connections of which one is always free unless the server
    lags by all of them."""
    seen = Seen()
    free: asyncio.Queue[Connection] = asyncio.Queue()
    made = []
    for _ in range(connections):
        made.append(await Connection(address).__aenter__())
        free.put_nowait(made[-1])
        await asyncio.sleep(APART_S)
    start = time.perf_counter()

    async def ask(due: float, path: str) -> None:
        connection = await free.get()
        length = await asyncio.wait_for(connection.get(path), TIMEOUT_S)
        seen.n_bytes += length
        seen.seconds.append(time.perf_counter() - due)
        free.put_nowait(connection)

    tasks = []
    for n in range(min(int(rate * seconds), MOST_REQUESTS)):
        due = start + n / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        tasks.append(asyncio.create_task(ask(due, next(paths))))
    await asyncio.gather(*tasks)
    seen.wall = time.perf_counter() - start
    for connection in made:
        await connection.__aexit__()
    return seen
