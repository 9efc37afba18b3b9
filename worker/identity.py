"""A run's identity: everything that its numbers depend on, and the hash that is its name."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from worker.pairs import Pair, Version
from worker.settings import STATISTICS_VERSION, StatisticsSettings

#: The models run as TransformerLens's native architecture, nothing folded or centred.
MODE = "native, no compatibility mode"


def run_identity(
    pair: Pair,
    fingerprint: str,
    *,
    tokens: int | None,
    seed: int,
    settings: StatisticsSettings,
    device_class: str,
    dtype: str,
) -> dict[str, Any]:
    """As plain JSON values. Batch, shards and workers are no part of it: results do not depend
    on them."""
    sides = {side: getattr(pair, side) for side in ("left", "right", "control")}
    return {
        "pair": pair.slug,
        "models": {side: _model(version) for side, version in sides.items()},
        "tokenizer": hashlib.sha256(pair.tokenizer_path.read_bytes()).hexdigest(),
        "bos_token": pair.bos_token,
        "corpus": fingerprint,
        "parameters": {"tokens": tokens, "seed": seed, **settings.as_dict()},
        "dtype": dtype,
        "device": device_class,
        "mode": MODE,
        "statistics": STATISTICS_VERSION,
    }


def identity_sha256(identity: dict[str, Any]) -> str:
    """SHA-256 of the canonical JSON (sorted keys, no spaces)."""
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _model(version: Version | None) -> dict[str, Any] | None:
    if version is None:
        return None
    return {"weights": version.sha256, "config": version.config}
