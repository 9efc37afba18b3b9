"""A stand-in for the live worker: a real server on loopback that behaves as a test tells it.

with stand_in() as worker:
    worker.behave = worker.refuse(503, "busy", "…")
    ask(worker.url, …)
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]

#: Ids of the synthetic vocabulary's bytes: BOS aside, an id below 256 is that byte.
BOS = 256


def answer_to(question: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """A plausible answer: a token a byte, values that rise along the text."""
    tokens = [BOS, *question["text"].encode()[:31]]
    neuron = question["neuron"] if question["neuron"] is not None else 3
    layer = question["layer"] if question["layer"] is not None else 0
    token = question["token"] or len(tokens) - 1
    sides = list(question["weights"])

    def version(side: str) -> dict[str, Any]:
        sites = ("pre", "mid", "post") if side == "left" else ("pre", "post")
        rising = [0.25 * n - 1.0 for n in range(len(tokens))]
        return {
            "display_site": "mid" if side == "left" else "post",
            "values": dict.fromkeys(sites, rising),
            "most_active": [
                {
                    "layer": layer,
                    "neuron": n,
                    "activation": 2.5 - n,
                    "other_activation": 0.5 if len(sides) > 1 else None,
                    "other_rank": n + 4 if len(sides) > 1 else None,
                }
                for n in (neuron, 1, 2)
            ],
            "n_neurons": 16,
        }

    return {
        "tokens": tokens,
        "n_dropped": len(question["text"].encode()) - len(tokens) + 1,
        "layer": layer,
        "neuron": neuron,
        "token": token,
        "versions": {side: version(side) for side in sides},
    } | changed


@dataclass
class StandIn:
    """`behave` is what the next questions meet; `asked` are those that came."""

    url: str
    asked: list[dict[str, Any]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    behave: Behaviour = field(default=lambda handler, question: None)

    def __post_init__(self) -> None:
        self.behave = self.well()

    def fresh(self) -> StandIn:
        """The same, well and not asked yet."""
        self.asked.clear()
        self.behave = self.well()
        return self

    def well(self, **changed: Any) -> Behaviour:
        """Answer; with `changed` parts."""
        return lambda handler, question: _send(handler, 200, answer_to(question, **changed))

    def say(self, status: int, body: Any) -> Behaviour:
        """Answer with this."""
        return lambda handler, _: _send(handler, status, body)

    def refuse(self, status: int, code: str, message: str, hint: str | None = None) -> Behaviour:
        """Answer with an error in the worker's shape."""
        error = {"status": status, "code": code, "message": message, "hint": hint}
        return self.say(status, {"error": error})

    def hang(self) -> Behaviour:
        """Say nothing until the test is over."""
        return lambda handler, _: self.gate.wait(20) and None

    def drip(self) -> Behaviour:
        """Begin an answer and never end it, a byte at a time."""

        def behave(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
            handler.send_response(200)
            handler.end_headers()
            while not self.gate.wait(0.02):
                handler.wfile.write(b" ")

        return behave

    def die(self) -> Behaviour:
        """Close the connection in the middle of the answer."""

        def behave(handler: BaseHTTPRequestHandler, _: dict[str, Any]) -> None:
            handler.send_response(200)
            handler.send_header("Content-Length", "5000")
            handler.end_headers()
            handler.wfile.write(b'{"tokens": [')
            handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)

        return behave


def _send(handler: BaseHTTPRequestHandler, status: int, body: Any) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """A worker of one's own on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            question = json.loads(body) | {"path": self.path}
            worker.asked.append(question)
            with suppress(OSError):  # whoever asked has left: what the test is about
                worker.behave(self, question)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        worker = StandIn(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield worker
        finally:
            worker.gate.set()
            server.shutdown()
            thread.join()


@contextmanager
def nobody() -> Iterator[str]:
    """An address at which nothing listens, and nobody else may: it is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
