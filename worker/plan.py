"""What a run will compute, checked before any work: pair, tokenizer, corpus, device, sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from store.records import SIDES, CorpusRecord, ModelRecord, PairRecord, Side
from worker.activations import BATCH_TOKENS
from worker.batch_size import planned_batch
from worker.corpus import Corpus, open_corpus
from worker.engine import Engine
from worker.engines import EngineName, make_engine, places
from worker.errors import UsageError
from worker.identity import identity_sha256, run_identity
from worker.layout import Layout
from worker.models import resolve_dtype
from worker.pairs import Pair, Version, load_pair
from worker.settings import StatisticsSettings
from worker.shards import SHARD_BATCHES
from worker.tokenizer import PairTokenizer, load_tokenizer, token_bytes


@dataclass(frozen=True)
class Plan:
    """Everything that the steps need; nothing in it changes."""

    pair: Pair
    versions: dict[str, Version]  # by side, "control" among them
    tokenizer: PairTokenizer
    vocabulary: list[bytes]  # of each of the models' d_vocab ids
    corpus: Corpus
    corpus_record: CorpusRecord
    layout: Layout
    settings: StatisticsSettings
    tokens: int | None
    seed: int
    device: str
    engine_name: EngineName
    workers: int
    batch_windows: int
    shard_windows: int
    identity: dict[str, Any]
    sha256: str

    @property
    def run_id(self) -> str:
        return self.sha256[:10]

    @property
    def n_ctx(self) -> int:
        return int(self.pair.left.config["n_ctx"])

    @property
    def order_seed(self) -> int | None:
        """Documents are shuffled when only some of them are read."""
        return None if self.tokens is None else self.seed

    def engine(self) -> Engine:
        """What the steps run on; a context manager."""
        return make_engine(self.engine_name, self.versions, self.device, self.workers)

    def in_float32(self) -> Plan:
        """The same run, for what is computed in float32 whatever its statistics were."""
        versions = {side: replace(one, dtype="float32") for side, one in self.versions.items()}
        return replace(self, versions=versions)

    def pair_record(self) -> PairRecord:
        right = self.versions.get("right")
        return PairRecord(
            self.pair.slug,
            self.pair.name,
            self.pair.description,
            _model_record(self.pair.left),
            None if right is None else _model_record(right),
        )


def make_plan(
    pair_spec: str | Path | Pair,
    corpus_spec: str | Sequence[str],
    *,
    tokens: int | None,
    device: str,
    workers: int | None,
    seed: int,
    settings: StatisticsSettings | None = None,
    engine: EngineName = "local",
    dtype: str = "float32",
    batch_windows: int | None = None,
    shard_windows: int | None = None,
) -> Plan:
    """Raises `WorkerError` with what does not fit. Reads every local document once, to name it.

    Without `settings` they are the usual ones of a run over so many tokens.
    """
    settings = settings or StatisticsSettings.of_run(tokens)
    for name, number in (("--tokens", tokens), ("--workers", workers)):
        if number is not None and number < 1:
            raise UsageError(f"{name} is {number}", "give a positive number")
    pair = pair_spec if isinstance(pair_spec, Pair) else load_pair(pair_spec)
    target, count = places(engine, device, workers)
    dtype = resolve_dtype(dtype, target)
    d_vocab = int(pair.left.config["d_vocab"])
    tokenizer = load_tokenizer(pair.tokenizer_path, pair.bos_token, d_vocab)
    vocabulary = token_bytes(tokenizer.tokenizer)
    vocabulary += [b""] * (d_vocab - len(vocabulary))
    corpus = open_corpus(corpus_spec)
    fingerprint = corpus.fingerprint()
    identity = run_identity(
        pair,
        fingerprint,
        tokens=tokens,
        seed=seed,
        settings=settings,
        device_class=target.type,
        dtype=dtype,
    )
    versions = {side: getattr(pair, side) for side in (*SIDES, "control")}
    present: dict[str, Version] = {
        s: replace(v, dtype=dtype) for s, v in versions.items() if v is not None
    }
    sides: dict[Side, dict[str, Any]] = {s: present[s].config for s in SIDES if s in present}
    # A shard has the same windows whatever memory a batch finds: --resume counts in shards, and
    # shares of one run may be computed on several machines.
    usual_windows = max(1, BATCH_TOKENS[target.type] // int(pair.left.config["n_ctx"]))
    configs = [version.config for version in present.values()]
    return Plan(
        pair=pair,
        versions=present,
        tokenizer=tokenizer,
        vocabulary=vocabulary,
        corpus=corpus,
        corpus_record=CorpusRecord(fingerprint, " ".join(corpus.specs)),
        layout=Layout.of_configs(sides),
        settings=settings,
        tokens=tokens,
        seed=seed,
        device=str(target),
        engine_name=engine,
        workers=count,
        batch_windows=batch_windows or planned_batch(configs, target, count, dtype),
        shard_windows=shard_windows or SHARD_BATCHES * (batch_windows or usual_windows),
        identity=identity,
        sha256=identity_sha256(identity),
    )


def _model_record(version: Version) -> ModelRecord:
    config = version.config
    return ModelRecord(
        weights_sha256=version.sha256,
        name=version.name,
        act_fn=version.act_fn,
        n_layers=int(config["n_layers"]),
        d_model=int(config["d_model"]),
        d_mlp=int(config["d_mlp"]),
        n_ctx=int(config["n_ctx"]),
        d_vocab=int(config["d_vocab"]),
        config=config,
    )
