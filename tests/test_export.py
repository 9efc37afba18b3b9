"""`twinscope export` and `import`: files that are whole or not there, and tables that agree."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyarrow import parquet

from server.token_text import token_string
from store import examples, neurons, runs
from store.engine import Engine, open_engine
from store.records import RunRecord
from tests import databases
from tests.synthetic_evidence import publish_synthetic_evidence
from tests.synthetic_run import publish_synthetic, synthetic
from twinscope import export, neuronpedia, tables
from twinscope.faults import Fault, UsageFault
from twinscope.whole_file import whole_file
from worker.reporter import Silent


@pytest.fixture(scope="module")
def published() -> Iterator[tuple[Engine, RunRecord]]:
    with databases.fresh("sqlite") as url:
        engine = open_engine(url)
        run = publish_synthetic(engine)
        publish_synthetic_evidence(engine, run)
        yield engine, runs.get_run(engine, run.id)
        engine.dispose()


def parsed(text: str, kind: str) -> Any:
    """A cell of csv as its column's kind."""
    if text == "":
        return None
    if kind in ("texts", "integers", "numbers"):
        return json.loads(text)
    if kind == "boolean":
        return {"true": True, "false": False}[text]
    return {"text": str, "integer": int, "number": float}[kind](text)


def written(what: str, published: Any, directory: Path) -> list[dict[str, Any]]:
    """The rows, after the three formats were found to hold the same."""
    engine, run = published
    columns = tables.NEURONS if what == "neurons" else tables.EXAMPLES
    for ending in export.TABLE_ENDINGS:
        tables.write(engine, run, what, ending, directory / f"rows{ending}", Silent())
    lines = (directory / "rows.jsonl").read_text("utf-8").splitlines()
    of_jsonl = [json.loads(line) for line in lines]
    with (directory / "rows.csv").open(encoding="utf-8", newline="") as file:
        of_csv = [
            {key: parsed(cell, columns[key]) for key, cell in row.items()}
            for row in csv.DictReader(file)
        ]
    of_parquet = parquet.read_table(directory / "rows.parquet").to_pylist()
    assert list(of_jsonl[0]) == list(columns)
    assert of_csv == of_jsonl
    assert of_parquet == of_jsonl
    return of_jsonl


def test_neurons_are_the_store_s(published: Any, tmp_path: Path) -> None:
    engine, run = published
    rows = written("neurons", published, tmp_path)
    assert len(rows) == 2 * 2 * 8
    assert [(row["side"], row["layer"], row["neuron"]) for row in rows] == list(
        export.versions_of(run)
    )
    for row in rows:
        record = neurons.get(engine, run.id, row["side"], row["layer"], row["neuron"])
        assert record is not None
        shown = record.sites[record.display_site]
        assert (row["kurtosis"], row["max"]) == (shown.kurtosis, shown.max)
        assert row["best_neuron"] == record.correspondence.best_neuron
        assert (row["pre_mean"], row["density"]) == (record.sites["pre"].mean, record.density)
    assert any(row["hidden_share"] is not None for row in rows)
    assert not any(key.startswith("labels") for key in rows[0])


def test_examples_are_the_store_s(published: Any, tmp_path: Path) -> None:
    engine, run = published
    rows = iter(written("examples", published, tmp_path))
    known = synthetic().vocabulary
    for side, layer, neuron in export.versions_of(run):
        for shown in examples.of_neuron(engine, run.id, side, layer, neuron):
            row, one = next(rows), shown.example
            assert (row["side"], row["layer"], row["neuron"]) == (side, layer, neuron)
            assert (row["band"], row["rank"], row["activation"]) == (
                one.band, one.rank, one.activation,
            )  # fmt: skip
            assert row["tokens"] == [token_string(known[id]) for id in shown.tokens]
            assert row["tokens"][row["focus"]] == token_string(known[shown.tokens[shown.focus]])
            for site in ("pre", "mid", "post"):
                if site in one.values:
                    assert np.array_equal(np.float16(row[site]), one.values[site])
                else:
                    assert row[site] is None
            if one.match is not None:
                assert row["match_neuron"] == one.match.neuron
                assert np.array_equal(np.float16(row["match_post"]), one.match.values["post"])
            assert one.same_index is not None
            assert row["same_index_quantile"] == one.same_index.quantile
    assert next(rows, None) is None


def test_neuronpedia_s_batches(published: Any, tmp_path: Path) -> None:
    engine, run = published
    path = tmp_path / "batches.zip"
    neuronpedia.write(engine, run, "neuronpedia", ".zip", path, Silent())
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert len(names) == 1 + 4
        assert run.id in archive.read("README.txt").decode()
        batches = [json.loads(archive.read(name)) for name in names if name != "README.txt"]
    assert {(batch["layer"], batch["sae_set"]) for batch in batches} == {
        (layer, f"twinscope-{run.id}-{side}") for layer in (0, 1) for side in ("left", "right")
    }
    for batch in batches:
        assert set(batch) == {"model_id", "layer", "sae_set", "sae_id_suffix", "features"}
        assert re.fullmatch(r"[a-z0-9.-]+", batch["model_id"])
        assert [one["feature_index"] for one in batch["features"]] == list(range(8))
        side = batch["sae_set"].rsplit("-", 1)[1]
        for one in batch["features"]:
            record = neurons.get(engine, run.id, side, batch["layer"], one["feature_index"])
            assert record is not None
            shown = record.sites[record.display_site]
            assert sum(one["freq_hist_data_bar_heights"]) == shown.n
            assert one["freq_hist_data_bar_values"] == sorted(one["freq_hist_data_bar_values"])
            assert record.logit_effects is not None
            assert one["pos_values"] == [value for _, value in record.logit_effects.promoted]
            assert len(one["pos_str"]) == len(one["pos_values"])
            for activation in one["activations"]:
                assert len(activation["tokens"]) == len(activation["values"])
            top = [a for a in one["activations"] if a["bin_contains"] == -1]
            assert all(a["bin_max"] == shown.max for a in top)
            json.dumps(one, allow_nan=False)


def half_written(out: Path, fault: BaseException, *, force: bool = False) -> None:
    with whole_file(out, force=force) as path:
        path.write_text("half")
        raise fault


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    with pytest.raises(KeyboardInterrupt):
        half_written(out, KeyboardInterrupt())
    with pytest.raises(Fault, match="no space left to write"):
        half_written(out, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert list(tmp_path.iterdir()) == []
    with whole_file(out) as path:
        assert not out.exists()
        path.write_text("whole")
    assert out.read_text() == "whole"
    with pytest.raises(UsageFault, match="--force"), whole_file(out):
        pass
    with pytest.raises(RuntimeError):
        half_written(out, RuntimeError(), force=True)
    assert out.read_text() == "whole"
    with whole_file(out, force=True) as path:
        path.write_text("new")
    assert [one.name for one in tmp_path.iterdir()] == ["rows.csv"]
    assert out.read_text() == "new"
    with pytest.raises(UsageFault, match="no directory"), whole_file(tmp_path / "no" / "x.csv"):
        pass
    with pytest.raises(UsageFault, match="is a directory"), whole_file(tmp_path):
        pass


def test_a_full_disk_leaves_nothing(published: Any, tmp_path: Path) -> None:
    """The files that a process may write are limited: a kilobyte is no room for a run."""
    program = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "from twinscope.app import app\n"
        "from twinscope import faults\n"
        "sys.exit(faults.run(lambda: app(sys.argv[1:], standalone_mode=False)))\n"
    )
    engine, run = published
    environment = os.environ | {"TWINSCOPE_DATABASE_URL": str(engine.url)}
    out = tmp_path / "rows.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", program, "export", run.id, "examples", "--out", str(out)],
        capture_output=True, text=True, env=environment, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert str(out) in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_no_room_to_unpack_a_run_is_named(published: Any, tmp_path: Path) -> None:
    engine, run = published
    out, data_dir = tmp_path / "run.twinscope", tmp_path / "data"
    assert run_cli(str(engine.url), "export", run.id, "--out", str(out)).returncode == 0
    program = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from store import schema\n"
        "from store.engine import open_engine\n"
        "schema.upgrade(open_engine(must_be_current=False))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))\n"
        "from twinscope.app import app\n"
        "from twinscope import faults\n"
        "sys.exit(faults.run(lambda: app(sys.argv[1:], standalone_mode=False)))\n"
    )
    environment = os.environ | {
        "TWINSCOPE_DATABASE_URL": f"sqlite:///{tmp_path / 'other.sqlite3'}",
        "TWINSCOPE_DATA_DIR": str(data_dir),
    }
    done = subprocess.run(
        [sys.executable, "-c", program, "import", str(out)],
        capture_output=True, text=True, env=environment, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"twinscope: There is no space left in {data_dir} to unpack it;")
    assert list(data_dir.iterdir()) == []


def run_cli(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"TWINSCOPE_DATABASE_URL": url, "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-m", "twinscope", *arguments],
        capture_output=True, text=True, env=environment, timeout=120,
    )  # fmt: skip


def test_the_command_line_from_one_database_to_another(published: Any, tmp_path: Path) -> None:
    engine, run = published
    out = tmp_path / "run.twinscope"
    done = run_cli(str(engine.url), "export", "latest", "--out", str(out))
    assert (done.returncode, done.stderr) == (0, "")
    assert "Labels are not part of a run" in done.stdout
    other = f"sqlite:///{tmp_path / 'other.sqlite3'}"
    done = run_cli(other, "import", str(out))
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Run {run.id} of {run.pair.slug} is published (statistics, evidence)" in done.stdout
    done = run_cli(other, "import", str(out))
    assert (done.returncode, done.stderr) == (0, "")
    assert "is here already" in done.stdout
    done = run_cli(other, "export", "latest", "--out", str(out))
    assert done.returncode == 2
    assert "is there already; give --force" in done.stderr
    done = run_cli(other, "export", "latest", "neurons", "--out", str(tmp_path / "neurons.txt"))
    assert done.returncode == 2
    assert "let its name end with .csv or .jsonl or .parquet" in done.stderr
    labels = tmp_path / "labels.csv"
    done = run_cli(str(engine.url), "export", "latest", "labels", "--out", str(labels))
    assert (done.returncode, done.stderr) == (0, "")
    done = run_cli(other, "import", str(labels))
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 labels are new" in done.stdout
    out.write_bytes(out.read_bytes()[:5000])
    done = run_cli(other, "import", str(out))
    assert done.returncode == 1
    assert done.stderr.startswith("twinscope: ")
    assert "only the beginning" in done.stderr
