"""`twinscope verify RUN`: the table of what was recomputed, and the exit code."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.table import Table

from store.records import RunRecord
from store.verifications import VerificationRecord
from twinscope.faults import Fault
from twinscope.quantities import show_duration
from worker import fork_server


def verify(
    run: str,
    *,
    sample: int,
    seed: int,
    pair: Path | None = None,
    corpus: list[str] | None = None,
    device: str = "auto",
    workers: int | None = None,
) -> None:
    """Recompute and print; `Fault` (exit code 1) where something differs."""
    fork_server.start_early(device, "local", workers)
    from worker.reporter import Terminal
    from worker.verify.stage import verify as recompute

    with Terminal() as reporter:
        of_run, found = recompute(
            run,
            sample=sample,
            seed=seed,
            pair_spec=pair,
            corpus_spec=corpus,
            device=device,
            workers=workers,
            reporter=reporter,
        )
    print_verification(of_run, found)
    wrong = [check for check in found.checks if check.n_failed]
    if wrong:
        named = "; ".join(f"{check.name} ({', '.join(check.failed[:3])})" for check in wrong[:3])
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise Fault(f"Run {of_run.id} does not agree with what was recomputed: {named}{more}.")


def print_verification(run: RunRecord, found: VerificationRecord) -> None:
    """A row a quantity: how many values, how far the worst is off, what is allowed and why."""
    console = Console()
    table = Table("quantity", "values", "differ", "largest error", "where", "allowed (error 1)")
    for check in found.checks:
        table.add_row(
            check.name,
            f"{check.n:,}",
            f"[bold red]{check.n_failed:,}[/]" if check.n_failed else "0",
            f"{check.largest_error:.3g}",
            check.where,
            check.tolerance,
        )
    console.print(table)
    for check in found.checks:
        if check.n_failed:
            console.print(f"{check.name}: {', '.join(check.failed)}", markup=False)
    values = sum(check.n for check in found.checks)
    said = "agree" if found.ok else "do not agree"
    console.print(
        f"Run {run.id}: {values:,} values of {found.versions} versions (seed {found.seed}) {said} "
        f"with what was recomputed; this took {show_duration(found.seconds)}.",
        markup=False,
    )
