"""Wrong input at the command line: one line that says what to do, exit code 1 or 2."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import Twinscope
from tests.worker.hub.process import HubProcess
from tests.worker.tiny_pair import make_pair


@pytest.fixture
def own(tmp_path: Path) -> Twinscope:
    """A Twinscope with an empty data directory."""
    data_dir = tmp_path / "data"
    return Twinscope(data_dir, f"sqlite:///{data_dir / 'twinscope.sqlite3'}")


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[HubProcess]:
    """A process that is told command after command: each would load torch anew."""
    with HubProcess("http://127.0.0.1:9", tmp_path / "cache") as process:
        yield process


def refused(own: Twinscope, *arguments: str) -> str:
    """What a verb says when it refuses: one line, no traceback."""
    done = own.run(*arguments)
    return the_line(done.returncode, done.stdout, done.stderr)


def the_line(code: int, out: str, err: str) -> str:
    """The one line of a refusal."""
    assert code in (1, 2), out + err
    lines = [line for line in err.splitlines() if line.strip()]
    assert len(lines) == 1, err
    assert lines[0].startswith("twinscope: ")
    return lines[0]


def test_precompute_refuses_what_does_not_fit(
    own: Twinscope, one_process: HubProcess, tiny_pair: Path, corpus: Path, tmp_path: Path
) -> None:
    def line_for(pair: Path | str, corpus: Path | str, *options: str) -> str:
        answer = one_process.twinscope(
            *("precompute", str(pair), "--corpus", str(corpus), *options),
            data_dir=own.data_dir,
            TWINSCOPE_DATABASE_URL=own.database_url,
        )
        return the_line(answer.code, answer.out, answer.err)

    assert "no-such-pair" in line_for("no-such-pair", corpus)
    assert "nowhere" in line_for(tiny_pair, "/nowhere/at/all")
    assert "cuda" in line_for(tiny_pair, corpus, "--device", "cuda:7")
    assert "--tokens" in line_for(tiny_pair, corpus, "--tokens", "many")

    broken = tmp_path / "no-weights"
    shutil.copytree(tiny_pair, broken)
    (broken / "left.safetensors").unlink()
    assert "left.safetensors" in line_for(broken, corpus)

    misfit = tmp_path / "misfit"
    shutil.copytree(tiny_pair, misfit)
    tokenizer = json.loads((misfit / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"] |= {f"more{n}": 300 + n for n in range(50)}
    (misfit / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert "tokenizer" in line_for(misfit, corpus)

    listed = own.run("runs")
    assert listed.returncode == 0
    assert "No run yet" in listed.stdout


def test_a_taken_port_is_named(own: Twinscope) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert str(port) in refused(own, "serve", "--port", str(port))
        assert str(port) in refused(own, "demo", "--port", str(port), "--no-browser")


def test_a_database_out_of_reach_or_date_is_named(own: Twinscope, tmp_path: Path) -> None:
    away = Twinscope(own.data_dir, "postgresql://someone:secret@127.0.0.1:9/none")
    line = refused(away, "runs")
    assert "127.0.0.1" in line
    assert "secret" not in line

    assert own.run("db", "upgrade").returncode == 0
    path = own.data_dir / "twinscope.sqlite3"
    with sqlite3.connect(path) as database:
        database.execute("UPDATE twinscope_version SET version_num = '9999'")
    database.close()
    assert "9999" in refused(own, "runs")

    empty = Twinscope(tmp_path / "empty", f"sqlite:///{tmp_path / 'empty' / 'x.sqlite3'}")
    assert "db upgrade" in refused(empty, "runs")


def test_wrong_usage_has_exit_code_2(own: Twinscope, tmp_path: Path) -> None:
    assert own.run("precompute").returncode == 2
    assert own.run("no-such-verb").returncode == 2
    taken = make_pair(tmp_path / "runs")
    assert own.run("precompute", str(taken), "--corpus", "stdlib").returncode in (1, 2)
