"""A run's numbers do not depend on how the work was cut, interrupted or shared."""

from __future__ import annotations

import dataclasses
import errno
import gzip
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from store import progress, runs
from store.errors import DatabaseUnreachable, SchemaMismatch
from store.records import BANDS, RunRecord
from tests import databases
from tests.worker.published import everything, versions
from tests.worker.tiny_pair import make_pair
from tests.worker.tiny_run import SETTINGS, Disturb, Place, opened, press_ctrl_c
from worker import run_progress, steps
from worker.corpus import open_corpus
from worker.engine import EngineError
from worker.errors import CorpusError, DeviceError, DiskError, PairError, UsageError, WorkerError
from worker.pairs import load_pair
from worker.reporter import Silent
from worker.run_directory import RunDirectory
from worker.sample import open_sample

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("precompute"))


@pytest.fixture(scope="module")
def reference(place: Place) -> tuple[RunRecord, dict[str, Any]]:
    """What one worker publishes, undisturbed."""
    return place.published()


Reference = tuple[RunRecord, dict[str, Any]]


def test_shards_and_partials_change_nothing(place: Place, reference: Reference) -> None:
    # Batches keep their shape, so even floats are equal. Each shard is written at once, and ten
    # of them are merged on disk meanwhile.
    run, found = place.published(shard_windows=8, flush_seconds=0)
    assert run.id == reference[0].id
    assert found == reference[1]
    assert not (place.root / "work" / run.id / "partials").exists()


def test_another_batch_size_changes_rounding_only(place: Place, reference: Reference) -> None:
    """Compared as: all counts of tokens equal; a histogram's counts differ by at most a
    thousandth of the tokens (values on a bin's edge); activations and moments to 1e-4."""
    _, found = place.published(batch_windows=3)
    assert found["counts"] == reference[1]["counts"]
    for (one, shown), (other, other_shown) in zip(
        found["versions"], reference[1]["versions"], strict=True
    ):
        for site, of in one["sites"].items():
            against = other["sites"][site]
            moved = np.abs(np.subtract(of["counts"], against["counts"])).sum() / 2
            assert moved <= of["n"] / 1000
            assert of["mean"] == pytest.approx(against["mean"], abs=1e-4)
            assert of["std"] == pytest.approx(against["std"], abs=1e-4)
        top = [e["example"]["activation"] for e in shown if e["example"]["band"] == "top"]
        expected = [
            e["example"]["activation"] for e in other_shown if e["example"]["band"] == "top"
        ]
        assert top == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("step", ["statistics", "losses", "gather"])
def test_an_interrupted_run_goes_on(place: Place, reference: Reference, step: str) -> None:
    with databases.fresh("sqlite") as url:
        with pytest.raises(KeyboardInterrupt):
            place.compute(url, reporter=Disturb(step, press_ctrl_c))
        with opened(url) as engine:
            assert runs.list_runs(engine) == []
            assert progress.current(engine)[0].state == "interrupted"
        partials = place.root / "work" / reference[0].id / "partials"
        kept = {path.name for path in partials.iterdir()}
        assert kept
        assert not any(name.startswith(".tmp") for name in kept)
        run = place.compute(url, resume=True)
        with opened(url) as engine:
            assert everything(engine, run) == reference[1]
            assert progress.current(engine)[0].state == "done"


def test_what_fails_while_partials_are_merged_is_said(
    place: Place, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are merged beside the losses, in a thread."""

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "rows.f16")

    with databases.fresh("sqlite") as url:
        with monkeypatch.context() as patched:
            patched.setattr(steps, "write_sample", full)
            with pytest.raises(DiskError, match=r"free some space.*--resume"):
                place.compute(url)
        with opened(url) as engine:
            assert runs.list_runs(engine) == []
        run = place.compute(url, resume=True)
        assert run.provenance["seconds"].keys() >= {"statistics", "merge", "losses"}
        with opened(url) as engine:
            assert everything(engine, run) == reference[1]


def test_a_damaged_partial_is_computed_again(place: Place, reference: Reference) -> None:
    with databases.fresh("sqlite") as url:
        with pytest.raises(KeyboardInterrupt):
            place.compute(
                url, reporter=Disturb("gather", press_ctrl_c), flush_seconds=0, shard_windows=24
            )
        partials = sorted((place.root / "work" / reference[0].id / "partials").iterdir())
        assert len(partials) > 1
        with (partials[0] / "statistics.npz").open("r+b") as file:
            file.seek(1000)
            file.write(b"damaged")
        run = place.compute(url, resume=True, shard_windows=24)
        with opened(url) as engine:
            assert everything(engine, run) == reference[1]


def test_damaged_inputs_of_the_mlps_are_made_again(place: Place, reference: Reference) -> None:
    """Beside the focus, too, where no recorded activation would tell."""
    notes: list[str] = []

    class Listen(Silent):
        def note(self, line: str) -> None:
            notes.append(line)

    with databases.fresh("sqlite") as url:
        with pytest.raises(KeyboardInterrupt):
            place.compute(url, reporter=Disturb("gather", press_ctrl_c))
        kept = sorted((place.root / "work" / reference[0].id / "inputs").glob("*[0-9].npy"))
        with kept[0].open("r+b") as file:
            file.seek(4096)
            file.write(bytes(64))
        run = place.compute(url, resume=True, reporter=Listen())
        with opened(url) as engine:
            assert everything(engine, run) == reference[1]
    assert "what was kept of shard 0 is damaged: its windows are run again." in notes


def test_without_resume_it_begins_anew(place: Place, reference: Reference) -> None:
    tokens: list[int] = []

    class Watch(Silent):
        def advance(self, done: int, total: int | None = None) -> None:
            tokens.append(done)

    with databases.fresh("sqlite") as url:
        with pytest.raises(KeyboardInterrupt):
            place.compute(url, reporter=Disturb("gather", press_ctrl_c))
        run = place.compute(url, reporter=Watch())
        assert tokens[0] < 500
        with opened(url) as engine:
            assert everything(engine, run) == reference[1]


def test_two_workers_give_what_one_gives_even_when_one_is_killed(
    place: Place, reference: Reference
) -> None:
    """Together in one test: the processes' start is most of its time."""

    def kill_a_worker() -> None:
        os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)

    with databases.fresh("sqlite") as url:
        with pytest.raises(EngineError, match=r"killed by signal 9 at shard \d+ .*--resume"):
            place.compute(
                url,
                workers=2,
                shard_windows=8,
                flush_seconds=0,
                reporter=Disturb("statistics", kill_a_worker),
            )
        assert multiprocessing.active_children() == []
        with opened(url) as engine:
            assert runs.list_runs(engine) == []
            assert "killed by signal 9" in (progress.current(engine)[0].message or "")
        run = place.compute(url, workers=2, resume=True, shard_windows=8)
        assert multiprocessing.active_children() == [], "no worker outlives a run"
        assert run.provenance["workers"] == 2
        with opened(url) as engine:
            assert everything(engine, run) == reference[1]


COORDINATOR = """
import multiprocessing, os, signal, sys
from pathlib import Path
from tests.worker.tiny_run import SETTINGS, Disturb
from worker.precompute import precompute

if __name__ == "__main__":
    pair, corpus, work, url, pids = sys.argv[1:]
    def die():
        Path(pids).write_text(" ".join(str(p.pid) for p in multiprocessing.active_children()))
        os.kill(os.getpid(), signal.SIGKILL)
    class Later(Disturb):
        def advance(self, done, total=None):
            if done > 1200:
                super().advance(done, total)
    precompute(pair, corpus, device="cpu", workers=2, work_dir=Path(work), seed=5, tokens=2500,
               settings=SETTINGS, batch_windows=8, shard_windows=8, flush_seconds=0,
               database_url=url, reporter=Later("statistics", die))
"""


def test_a_run_goes_on_when_all_was_killed(
    place: Place, reference: Reference, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    script = tmp_path / "coordinator.py"
    script.write_text(COORDINATOR)
    with databases.fresh("sqlite") as url:
        pids = tmp_path / "pids"
        arguments = [script, place.pair, place.corpus, work, url, pids]
        command = [sys.executable, *map(str, arguments)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        child = subprocess.run(command, env=environment, check=False)
        assert child.returncode == -signal.SIGKILL
        workers = [int(pid) for pid in pids.read_text().split()]
        assert len(workers) == 2
        deadline = time.monotonic() + 120
        while any(is_alive(pid) for pid in workers) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(is_alive(pid) for pid in workers)
        assert list((work / reference[0].id / "partials").iterdir())
        with opened(url) as engine:
            assert runs.list_runs(engine) == []
        run = place.compute(url, work_dir=work, resume=True, shard_windows=8)
        with opened(url) as engine:
            assert everything(engine, run) == reference[1]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")  # one that ended but was not waited for is a zombie
    return not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_publishing_again_changes_nothing(place: Place, reference: Reference) -> None:
    notes: list[str] = []

    class Listen(Silent):
        def step(self, name: str, total: int | None, unit: str) -> None:
            raise AssertionError("nothing is to be computed")

        def note(self, line: str) -> None:
            notes.append(line)

    with databases.fresh("sqlite") as url:
        first = place.compute(url)
        second = place.compute(url, reporter=Listen())
        assert second == first
        assert notes == [f"Run {first.id} of tiny-pair is published already."]


def test_the_identity_follows_what_numbers_depend_on(place: Place, reference: Reference) -> None:
    from worker.plan import make_plan

    def id_of(**options: Any) -> str:
        given = {
            "tokens": 2500, "device": "cpu", "workers": 1, "seed": 5, "settings": SETTINGS,
        } | options  # fmt: skip
        return make_plan(place.pair, str(place.corpus), **given).run_id

    assert id_of() == id_of(workers=3, batch_windows=2, shard_windows=4) == reference[0].id
    others = [
        id_of(seed=6),
        id_of(tokens=2501),
        id_of(tokens=None),
        id_of(settings=dataclasses.replace(SETTINGS, top=5)),
    ]
    assert len({reference[0].id, *others}) == 5


def test_a_single_sided_run(place: Place, reference: Reference) -> None:
    pair = dataclasses.replace(load_pair(place.pair), right=None, control=None)
    with databases.fresh("sqlite") as url:
        run = place.compute(url, pair=pair)
        assert run.pair.right is None
        with opened(url) as engine:
            found = everything(engine, run)
            for record, shown in versions(engine, run):
                assert record.side == "left"
                assert record.correspondence.best_neuron is None
                assert {p.kind for p in record.partners} <= {"within"}
                assert all(s.example.same_index is None for s in shown)
                assert all(s.example.match is None for s in shown)
    assert [layer["cka"] for layer in found["layers"]] == [None, None]
    half = len(reference[1]["versions"]) // 2
    for (alone, _), (together, _) in zip(
        found["versions"], reference[1]["versions"][:half], strict=True
    ):
        for name in ("sites", "band_edges", "density", "logit_effects"):
            assert alone[name] == together[name]


def make_hostile(directory: Path) -> Path:
    directory.mkdir()
    (directory / "a-markup.md").write_text("<script>alert(1)</script> & <b>" * 30)
    (directory / "b-nul.txt").write_bytes(b"before\0after \0\0 text " * 20)
    (directory / "c-invalid.txt").write_bytes(b"caf\xe9 \xff\xfe broken \xc3( bytes " * 20)
    (directory / "d-empty.py").write_bytes(b"")
    (directory / "e-long.txt").write_text("x = (1, 2), " * 25_000)  # one line of 300 KB
    lines = [
        '{"text": "def f(): return 1"}',
        "{broken",
        '{"no": "text"}',
        "",
        '{"text": "\\ud800"}',
    ]
    lines += [json.dumps({"text": "a\0b" * 9, "name": "nul\0name", "source": "s\0"})]
    lines += [json.dumps({"text": "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 " * 15})]
    (directory / "f-lines.jsonl").write_text("\n".join(lines))
    with gzip.open(directory / "g-lines.jsonl.gz", "wt") as file:
        file.write("\n".join(lines[:2]))
    (directory / "\u202eh-reversed.txt").write_text("\u202eright to left override\u202c " * 9)
    return directory


@pytest.mark.parametrize("kind", databases.KINDS)
def test_hostile_corpora_go_through(place: Place, tmp_path: Path, kind: str) -> None:
    corpus = make_hostile(tmp_path / "hostile")
    # An order in which the long line comes last, so that the first tokens are of all documents.
    order = {s: [d.name for d in open_corpus(str(corpus)).documents(s)] for s in range(100)}
    seed = next(seed for seed, names in order.items() if names[-1] == "e-long.txt")
    with databases.fresh(kind) as url:
        settings = dataclasses.replace(SETTINGS, loss_tokens=50)
        run = place.compute(url, corpus=str(corpus), tokens=20_000, settings=settings, seed=seed)
        problems = run.provenance["problems"]
        assert problems["counts"] == {"broken": 3, "empty": 2, "invalid-utf8": 2}
        assert any("c-invalid.txt" in flaw["name"] for flaw in problems["listed"])
        with opened(url) as engine:
            found = versions(engine, run)
        names = {shown.document_name for _, examples in found for shown in examples}
        assert {"a-markup.md", "b-nul.txt", "e-long.txt"} <= names
        for _, examples in found:
            assert {shown.example.band for shown in examples} <= set(BANDS)


def test_a_small_corpus_without_held_out_documents(place: Place, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("x = 1")
    with databases.fresh("sqlite") as url:
        run = place.compute(url, corpus=str(tmp_path / "one.txt"), tokens=None)
        with opened(url) as engine:
            assert runs.losses(engine, run.id) == []
            assert versions(engine, run)
        assert (run.n_documents, run.n_windows) == (1, 1)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"pair": "no-such-pair"}, PairError, "there is no pair"),
        ({"corpus": "/no/such/file.txt"}, CorpusError, "does not exist"),
        ({"device": "cuda:99"}, DeviceError, "cuda:99"),
        ({"tokens": 0}, UsageError, "--tokens is 0"),
        ({"workers": 0}, UsageError, "--workers is 0"),
    ],
)
def test_faults_are_named_before_any_work(
    place: Place, tmp_path: Path, options: dict[str, Any], error: type[WorkerError], says: str
) -> None:
    with databases.fresh("sqlite") as url:
        with pytest.raises(error, match=says) as fault:
            place.compute(url, work_dir=tmp_path / "work", **options)
        assert "\n" not in str(fault.value)
        assert not (tmp_path / "work").exists()
        with opened(url) as engine:
            assert progress.current(engine) == []


def test_a_database_that_cannot_be_used_is_named_first(place: Place, tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnreachable):
        place.compute("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(SchemaMismatch):
        place.compute(f"sqlite:///{tmp_path / 'empty.sqlite3'}")


def test_broken_weights_fail_with_their_reason(place: Place, tmp_path: Path) -> None:
    pair = make_pair(tmp_path / "broken-pair")
    (pair / "right.safetensors").write_bytes(b"no weights")
    with databases.fresh("sqlite") as url:
        with pytest.raises(PairError, match="cannot be read"):
            place.compute(url, pair=pair)
        with opened(url) as engine:
            assert progress.current(engine)[0].state == "failed"
            assert runs.list_runs(engine) == []


def test_a_work_directory_is_used_by_one_process(place: Place, reference: Reference) -> None:
    with (
        databases.fresh("sqlite") as url,
        RunDirectory.locked(place.root / "work" / reference[0].id),
        pytest.raises(WorkerError, match="another process is computing this run"),
    ):
        place.compute(url)


def test_the_sample_stays(place: Place, reference: Reference) -> None:
    sample = open_sample(place.root / "work" / reference[0].id / "sample")
    assert len(sample) == SETTINGS.sample_size
    assert sample.block("left", 1, "mid").shape == (SETTINGS.sample_size, 12)


def test_it_can_run_outside_the_main_thread(place: Place, reference: Reference) -> None:
    found: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: found.append(place.published()[1]))
    thread.start()
    thread.join()
    assert found == [reference[1]]


def test_a_step_that_says_nothing_for_long_is_not_taken_for_one_that_was_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run_progress, "BEAT", 0.05)
    with databases.fresh("sqlite", migrated=True) as url, opened(url) as engine:
        with run_progress.shown_progress(
            engine, "0123456789", "pair", "texts", "statistics"
        ) as site:
            site.step("statistics", 100, "tokens")
            written = progress.current(engine)[0].updated_at
            deadline = time.monotonic() + 60
            while progress.current(engine)[0].updated_at == written:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            (now,) = progress.current(engine)
            assert (now.state, now.step, now.total) == ("running", "statistics", 100)
        assert progress.current(engine)[0].state == "done"
    assert not [thread for thread in threading.enumerate() if thread.name == "progress"]
