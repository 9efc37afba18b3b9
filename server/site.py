"""What a server process holds: settings, database, templates, and the hash of what it serves."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import cast

from fastapi import Request
from jinja2 import Environment

from server.kept import Kept, state_of
from server.settings import Settings
from server.vocabulary import Vocabulary
from store import distributions, runs, vocabulary
from store.distributions import HiddenShares
from store.engine import Engine
from store.records import RunRecord, Side

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "frontend" / "templates"
STATIC = ROOT / "frontend" / "static"

_RUNS_KEPT = 8
#: Pages that a process makes at a time. Python makes them one after another in any case; begun all
#: at once, each takes as long as all. While one waits for the database another is drawn.
_MADE_AT_ONCE = 2
#: Memory for what was made of published runs and may be asked for again, in each process.
_KEPT_BYTES = 96 * 2**20


@dataclass(frozen=True)
class Site:
    """One per application. `build` changes whenever code, templates or static files do; `kept`
    holds answers about published runs, and `making` is held by who makes one."""

    settings: Settings
    engine: Engine
    templates: Environment
    build: str
    kept: Kept = field(default_factory=lambda: Kept(_KEPT_BYTES))
    making: threading.Semaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(_MADE_AT_ONCE)
    )
    _vocabularies: OrderedDict[str, Vocabulary] = field(default_factory=OrderedDict)
    _hidden: OrderedDict[str, dict[tuple[Side, int], HiddenShares]] = field(
        default_factory=OrderedDict
    )
    _scores: OrderedDict[str, dict[tuple[Side, int], tuple[float, ...]]] = field(
        default_factory=OrderedDict
    )
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def vocabulary(self, run_id: str) -> Vocabulary:
        """The bytes of each token id of a run; the last few runs' are kept in memory."""
        with self._lock:
            kept = self._vocabularies.get(run_id)
            if kept is not None:
                self._vocabularies.move_to_end(run_id)
                return kept
        loaded = Vocabulary(vocabulary.load(self.engine, run_id))
        with self._lock:
            self._vocabularies[run_id] = loaded
            while len(self._vocabularies) > _RUNS_KEPT:
                self._vocabularies.popitem(last=False)
        return loaded

    def layer_cka(self, run: RunRecord) -> dict[int, float | None]:
        """layer → its CKA, kept in memory."""
        return self.kept.get(
            ("cka", state_of(run)),
            lambda: {layer.layer: layer.cka for layer in runs.layers(self.engine, run.id)},
            lambda found: 100 * len(found),
        )

    def hidden_shares(self, run_id: str) -> dict[tuple[Side, int], HiddenShares]:
        """(side, layer) → the layer's hidden shares, kept in memory once they are published."""
        with self._lock:
            kept = self._hidden.get(run_id)
        if kept is not None:
            return kept
        loaded = distributions.hidden_shares(self.engine, run_id)
        if loaded:
            with self._lock:
                self._hidden[run_id] = loaded
                while len(self._hidden) > _RUNS_KEPT:
                    self._hidden.popitem(last=False)
        return loaded

    def polysemanticity_scores(self, run_id: str) -> dict[tuple[Side, int], tuple[float, ...]]:
        """(side, layer) → the layer's scores, ascending; kept in memory once they are published."""
        with self._lock:
            kept = self._scores.get(run_id)
        if kept is not None:
            return kept
        loaded = distributions.polysemanticity_scores(self.engine, run_id)
        if loaded:
            with self._lock:
                self._scores[run_id] = loaded
                while len(self._scores) > _RUNS_KEPT:
                    self._scores.popitem(last=False)
        return loaded


def site_of(request: Request) -> Site:
    """The site that a request is addressed to."""
    return cast(Site, request.app.state.site)


@lru_cache(maxsize=1)
def build_hash() -> str:
    """Twelve hex digits over all files that shape a page: the ETags of pinned pages hold it."""
    digest = hashlib.sha256()
    files = [*(ROOT / "server").rglob("*.py"), *(ROOT / "store").rglob("*.py")]
    for directory in (TEMPLATES, STATIC):
        files += [path for path in directory.rglob("*") if path.is_file()]
    for path in sorted(files):
        digest.update(str(path.relative_to(ROOT)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
