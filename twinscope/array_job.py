"""`twinscope precompute --shard I/N`, in words."""

from __future__ import annotations

import time
from pathlib import Path

from twinscope.options import check_names
from twinscope.quantities import show_duration
from worker import fork_server


def compute(
    pair: str,
    corpus: list[str],
    shard: str,
    *,
    tokens: int | None,
    device: str,
    dtype: str,
    workers: int | None,
    work_dir: Path | None,
    seed: int,
) -> None:
    """One share of the shards, and a line that says what to do when all of them are done."""
    fork_server.start_early(device, "local", workers)
    check_names(pair, corpus)
    from worker.array_job import compute_share
    from worker.reporter import Terminal
    from worker.share import Share

    share = Share.parse(shard)
    began = time.monotonic()
    with Terminal() as reporter:
        done = compute_share(
            pair,
            corpus,
            share,
            tokens=tokens,
            device=device,
            dtype=dtype,
            workers=workers,
            work_dir=work_dir,
            seed=seed,
            reporter=reporter,
        )
    print(
        f"Share {share} of run {done.run_id} is done: {done.shards} shards in "
        f"{show_duration(time.monotonic() - began)}. When all {share.of} are, the same command "
        "without --shard merges and publishes.",
        flush=True,
    )
