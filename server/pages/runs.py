"""Page objects of `/runs` and `/runs/{id}`, and the summaries of runs that other pages show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from server.pages.fields import Link

RunStatus = Literal["computing", "loading", "published", "failed"]
ProgressState = Literal["running", "done", "failed", "interrupted"]


@dataclass(frozen=True)
class ModelView:
    """One model of a pair. `weights_sha256` is its identity."""

    side: Literal["left", "right"]
    name: str
    act_fn: str
    n_layers: int
    d_model: int
    d_mlp: int
    n_ctx: int
    d_vocab: int
    weights_sha256: str


@dataclass(frozen=True)
class RunView:
    """A run in a list: what it is of, over how much text, and whether it can be read yet."""

    id: str
    href: str
    pair: str
    pair_name: str
    pair_href: str
    corpus: str
    status: RunStatus
    n_documents: int
    n_windows: int
    n_tokens: int
    created_at: datetime | None
    published_at: datetime | None
    size_bytes: int | None


@dataclass(frozen=True)
class ProgressView:
    """How far a precompute has come: `done` of `total` (None: unknown) `unit` at `rate` a second.

    `share` is done / total in 0–1 and `seconds_left` its extrapolation, both None where unknown.
    `stalled` says that nothing was heard of a running one for two minutes.
    """

    run: str
    href: str
    pair: str
    corpus: str
    stage: str
    step: str
    done: int
    total: int | None
    unit: str
    rate: float | None
    share: float | None
    seconds_left: float | None
    state: ProgressState
    stalled: bool
    message: str | None
    started_at: datetime | None
    updated_at: datetime | None


@dataclass(frozen=True)
class LossView:
    """Loss of one model on the held-out documents of one source; source "all" is their sum."""

    side: str
    source: str
    n_documents: int
    n_tokens: int
    n_bytes: int
    nats_per_token: float | None
    bits_per_byte: float | None


@dataclass(frozen=True)
class LayerView:
    """One layer of the pair: linear CKA between the versions, and where to look into it."""

    layer: int
    href: str
    cka: float | None


@dataclass(frozen=True)
class CheckView:
    """One quantity of a verification. An error is a difference in parts of what is allowed, so
    more than 1 is wrong; `failed` names the first values that are."""

    name: str
    n: int
    n_failed: int
    largest_error: float
    where: str
    tolerance: str
    failed: tuple[str, ...]


@dataclass(frozen=True)
class VerificationView:
    """When a run was last recomputed by brute force, for how many of its versions, with which
    program, and what came of it. `sentence` says it in words."""

    verified_at: datetime | None
    ok: bool
    versions: int
    seed: int
    values: int
    code_version: str
    sentence: str
    checks: tuple[CheckView, ...]


@dataclass(frozen=True)
class RunsPage:
    """`/runs`: every run, the newest first, and the precomputes under way."""

    runs: tuple[RunView, ...]
    progress: tuple[ProgressView, ...]
    json_href: str = "/runs.json"


@dataclass(frozen=True)
class RunPage:
    """`/runs/{id}`: progress, parameters, provenance, losses, problems found in the corpus.

    `run` is None while a precompute has not loaded anything yet: then there is only `progress`.
    `parameters`, `provenance` and `identity` are the run's own JSON, unchanged. `verification` is
    the last one, None before the first.
    """

    id: str
    run: RunView | None
    progress: ProgressView | None
    models: tuple[ModelView, ...]
    stages: tuple[str, ...]
    identity_sha256: str | None
    corpus_fingerprint: str | None
    identity: dict[str, Any]
    parameters: dict[str, Any]
    provenance: dict[str, Any]
    losses: tuple[LossView, ...]
    layers: tuple[LayerView, ...]
    corpus_problems: tuple[str, ...]
    begin: tuple[Link, ...]
    json_href: str
    verification: VerificationView | None = None
