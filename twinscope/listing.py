"""Tables for the terminal: the runs of a database, and the database itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from store.evidence_records import CounterexampleRecord
from store.records import LossRecord, ProgressRecord, RunRecord
from store.schema import DatabaseState
from twinscope.quantities import show_count


def print_runs(
    published: Sequence[RunRecord],
    losses: Mapping[str, Sequence[LossRecord]],
    under_way: Sequence[ProgressRecord],
) -> None:
    """Published runs with their losses by id, and below them those under way or cut off."""
    console = Console()
    if not published and not under_way:
        console.print("No run yet; `twinscope precompute PAIR --corpus CORPUS` makes one.")
        return
    if published:
        table = Table("run", "pair", "corpus", "tokens", "loss, nats a token", "size", "published")
        for run in published:
            table.add_row(
                run.id,
                run.pair.slug,
                run.corpus.spec,
                show_count(run.n_tokens),
                _losses(losses[run.id]),
                "–" if run.size_bytes is None else f"{show_count(run.size_bytes)}B",
                "–" if run.published_at is None else f"{run.published_at:%Y-%m-%d %H:%M}",
            )
        console.print(table)
    for step in under_way:
        of = "" if step.total is None else f" of {show_count(step.total)}"
        note = f": {step.message}" if step.message else ""
        console.print(
            f"{step.run_id}  {step.pair_slug} over {step.corpus_spec}: {step.state}, {step.step} "
            f"{show_count(step.done)}{of} {step.unit}{note}"
        )


def print_counterexamples(
    found: Sequence[CounterexampleRecord],
    vocabulary: Sequence[bytes],
    searched: int,
    known: int,
    *,
    whole: bool,
) -> None:
    """What a search by substitution found: a row each if `whole`, else how many."""
    console = Console()
    if known:
        console.print(f"{known} versions were searched before, and a search is made once.")
    console.print(f"{searched} versions were searched; {len(found)} counterexamples are published.")
    if not whole or not found:
        return
    table = Table("version", "what was sought", "from", "to", "activation before", "after")
    for one in found:
        before = "" if one.original is None else escape(repr(_token(vocabulary, one.original)))
        after = "" if one.tokens is None or one.changed is None else one.tokens[one.changed]
        table.add_row(
            f"{one.side} L{one.layer}N{one.neuron}",
            one.rule,
            before,
            "" if after == "" else escape(repr(_token(vocabulary, int(after)))),
            "" if one.original_activation is None else f"{one.original_activation:.3g}",
            f"{one.activation:.3g}",
        )
    console.print(table)


def _token(vocabulary: Sequence[bytes], id: int) -> str:
    return vocabulary[id].decode("utf-8", "replace")


def print_database(state: DatabaseState) -> None:
    """Where the database is, its version, size and rows."""
    table = Table.grid(padding=(0, 2))
    table.add_row("database", state.url)
    table.add_row("version", f"{state.dialect} {state.version}")
    table.add_row("schema", f"{state.revision or 'empty'} (this version's: {state.head})")
    if state.size_bytes is not None:
        table.add_row("size", f"{show_count(state.size_bytes)}B")
    for name, rows in state.rows.items():
        table.add_row(name, f"{rows:,} rows")
    Console().print(table)


def _losses(losses: Sequence[LossRecord]) -> str:
    parts = []
    for side in dict.fromkeys(loss.side for loss in losses):
        rows = [loss for loss in losses if loss.side == side and loss.n_tokens]
        tokens = sum(loss.n_tokens for loss in rows)
        if tokens:
            nats = math.fsum(loss.nats for loss in rows) / tokens
            parts.append(f"{side} {nats:.3f}")
    return ", ".join(parts) or "–"
