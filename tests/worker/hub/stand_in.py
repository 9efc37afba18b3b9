"""A stand-in of the Hugging Face hub's HTTP interface, on loopback: what huggingface_hub and
`datasets` ask of it, and no more.

    with hub() as stand_in:
        stand_in.add("model", "NeelNanda/SoLU_1L512W_C4_Code", {"config.json": b"…"})
        environment = {"HF_ENDPOINT": stand_in.url, "HF_HOME": …}

Both libraries read `HF_ENDPOINT` when they are imported, so whoever uses it runs in a process of
its own. The real hub was not to be had when this was written: that it answers as this does is what
its documentation and the libraries' code say, not what was seen.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class StoredRepository:
    """Files of one repository, at one commit, and what it was before."""

    files: dict[str, bytes]
    gated: bool = False
    before: StoredRepository | None = None

    def at(self, revision: str) -> StoredRepository | None:
        """As it was at a commit; "main" is the newest."""
        if revision in ("main", self.commit):
            return self
        return self.before.at(revision) if self.before else None

    @property
    def commit(self) -> str:
        digest = hashlib.sha1()
        for name, content in sorted(self.files.items()):
            digest.update(name.encode() + _oid(content).encode())
        return digest.hexdigest()

    def entry(self, path: str) -> dict[str, Any]:
        content = self.files[path]
        return {"type": "file", "path": path, "size": len(content), "oid": _oid(content)}


@dataclass
class StandIn:
    """The hub's content. `requests` has each request's line, in order; a file whose path ends with
    one of `cuts` breaks off after so many bytes, once; `silent` answers nothing at all."""

    url: str
    repositories: dict[tuple[str, str], StoredRepository] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    cuts: dict[str, int] = field(default_factory=dict)
    silent: bool = False

    def add(
        self, kind: str, name: str, files: dict[str, bytes], *, gated: bool = False
    ) -> StoredRepository:
        """Put a repository there, or another commit of it; kind is "model" or "dataset"."""
        before = self.repositories.get((kind, name))
        stored = self.repositories[kind, name] = StoredRepository(files, gated, before)
        return stored


@contextmanager
def hub() -> Iterator[StandIn]:
    """A server that ends with this block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    stand_in = StandIn(f"http://127.0.0.1:{server.server_port}")
    server.stand_in = stand_in  # type: ignore[attr-defined]
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    @property
    def _hub(self) -> StandIn:
        found: StandIn = self.server.stand_in  # type: ignore[attr-defined]
        return found

    def _answer(self) -> None:
        self._hub.requests.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self._hub.silent:
            time.sleep(5)  # longer than who asks has patience
            self.close_connection = True
            return
        parts = urlsplit(self.path)
        path, query = unquote(parts.path), parse_qs(parts.query)
        if match := re.fullmatch(r"/api/(model|dataset)s/([^/]+/[^/]+)(/.*)?", path):
            self._api(match[1], match[2], match[3] or "", query, body)
        elif match := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve("dataset" if match[1] else "model", match[2], match[3], match[4])
        else:
            self._refuse(404, "EntryNotFound", "Not Found")

    def _find(self, kind: str, name: str) -> StoredRepository | None:
        found = self._hub.repositories.get((kind, name))
        if found is None:  # as the hub does for strangers: it does not say whether it is private
            self._refuse(401, "RepoNotFound", "Repository Not Found")
        elif found.gated:
            self._refuse(403, "GatedRepo", "Access to this repository is restricted")
            return None
        return found

    def _api(
        self, kind: str, name: str, rest: str, query: dict[str, list[str]], body: bytes
    ) -> None:
        found = self._hub.repositories.get((kind, name))
        if found is None:
            self._refuse(401, "RepoNotFound", "Repository Not Found")
            return
        verb, _, rest = rest.lstrip("/").partition("/")
        revision, _, path = rest.partition("/")
        at = found.at(revision) if verb in ("revision", "tree", "paths-info") else found
        if at is None:
            self._refuse(404, "RevisionNotFound", "Revision Not Found")
            return
        found = at
        if verb in ("", "revision"):
            siblings = [
                {"rfilename": one, "size": len(content), "blobId": _oid(content)}
                for one, content in found.files.items()
            ]
            self._json(
                {
                    "_id": "0",
                    "id": name,
                    "modelId": name,
                    "sha": found.commit,
                    "private": False,
                    "gated": "auto" if found.gated else False,
                    "disabled": False,
                    "downloads": 0,
                    "likes": 0,
                    "tags": [],
                    "siblings": siblings,
                }
            )
        elif verb == "auth-check":
            if found.gated:
                self._refuse(403, "GatedRepo", "Access to this repository is restricted")
            else:
                self._json({})
        elif verb == "tree":
            self._json(_tree(found, path, recursive=query.get("recursive") == ["true"]))
        elif verb == "paths-info":
            self._json(_paths_info(found, _paths(body)))
        else:
            self._refuse(404, "EntryNotFound", "Not Found")

    def _resolve(self, kind: str, name: str, revision: str, path: str) -> None:
        found = self._find(kind, name)
        if found is None:
            return
        found = found.at(revision)
        if found is None:
            self._refuse(404, "RevisionNotFound", "Revision Not Found")
        elif path not in found.files:
            self._refuse(404, "EntryNotFound", "Entry Not Found")
        else:
            self._file(found, path)

    def _file(self, found: StoredRepository, path: str) -> None:
        content = found.files[path]
        start, end, status = 0, len(content), 200
        if match := re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or ""):
            start = int(match[1]) if match[1] else len(content) - int(match[2])
            end = min(int(match[2]) + 1, end) if match[1] and match[2] else end
            status = 206
        headers = {
            "X-Repo-Commit": found.commit,
            "ETag": f'"{_oid(content)}"',
            "X-Linked-Size": str(len(content)),
            "Accept-Ranges": "bytes",
        }
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        cut = next((one for one in self._hub.cuts if path.endswith(one)), None)
        self._send(status, content[start:end], headers, cut)

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status: int, code: str, message: str) -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": message}
        self._send(status, json.dumps({"error": message}).encode(), headers)

    def _send(
        self, status: int, content: bytes, headers: dict[str, str], cut: str | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if cut is not None:
            self.wfile.write(content[: self._hub.cuts.pop(cut)])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.wfile.write(content)


@lru_cache(maxsize=256)
def _oid(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


def _paths(body: bytes) -> list[str]:
    """Of a request to paths-info, as a form or as JSON."""
    try:
        found = json.loads(body)["paths"]
    except ValueError:
        found = parse_qs(body.decode())["paths"]
    return [found] if isinstance(found, str) else list(found)


def _paths_info(found: StoredRepository, paths: list[str]) -> list[dict[str, Any]]:
    entries = []
    for path in paths:
        if path in found.files:
            entries.append(found.entry(path))
        elif any(name.startswith(f"{path}/") for name in found.files):
            entries.append(_directory(path))
    return entries


def _tree(found: StoredRepository, path: str, *, recursive: bool) -> list[dict[str, Any]]:
    prefix = f"{path}/" if path else ""
    entries: dict[str, dict[str, Any]] = {}
    for name in sorted(found.files):
        if not name.startswith(prefix):
            continue
        parts = name[len(prefix) :].split("/")
        for depth in range(1, len(parts)):
            directory = prefix + "/".join(parts[:depth])
            if depth == 1 or recursive:
                entries.setdefault(directory, _directory(directory))
        if len(parts) == 1 or recursive:
            entries[name] = found.entry(name)
    return list(entries.values())


def _directory(path: str) -> dict[str, Any]:
    return {"type": "directory", "path": path, "size": 0, "oid": _oid(path.encode())}
