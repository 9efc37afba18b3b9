"""A run as one file: into the other kind of database and back, and what is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from server.app import create_app
from server.settings import Settings
from store import progress, run_file, run_tables, runs, schema, verifications
from store.engine import Engine, open_engine
from store.errors import AlreadyPublished
from store.publish_evidence import EvidenceLoader
from store.records import ProgressRecord, RunRecord
from store.run_export import export_run
from store.run_file import RunFileError
from store.run_import import import_run
from store.stages import StageClaim
from tests import databases
from tests.server.conftest import client_of
from tests.synthetic_evidence import publish_synthetic_evidence
from tests.synthetic_run import publish_synthetic

KINDS = {"sqlite": "postgres", "postgres": "sqlite"}


def silent(name: str, unit: str) -> Callable[[int, int], None]:
    return lambda done, total: None


def write(engine: Engine, run: RunRecord, path: Path) -> Path:
    export_run(engine, run.id, path, "0", silent)
    return path


@pytest.fixture(scope="module", params=KINDS)
def exported(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """(engine, runs, their files, the other kind of database)."""
    directory = tmp_path_factory.mktemp("exported")
    with databases.fresh(request.param) as url:
        engine = open_engine(url)
        pair = publish_synthetic(engine)
        publish_synthetic_evidence(engine, pair)
        solo = publish_synthetic(engine, slug="solo", single_sided=True, layers=1, index=False)
        done = ProgressRecord(
            pair.id, "tiny-pair", "stdlib", "evidence", "publish", 9, 9, "rows", 1.5, "done"
        )
        progress.report(engine, done)
        found = [runs.get_run(engine, run.id) for run in (pair, solo)]
        files = [write(engine, run, directory / f"{run.id}.twinscope") for run in found]
        yield engine, found, files, KINDS[request.param]
        engine.dispose()


def pages(engine: Engine, url: str, found: list[RunRecord]) -> dict[str, Any]:
    """JSON of every kind of page that a run has."""
    with client_of(create_app(Settings(database_url=url, annotator="ada"), engine)) as client:
        addresses = ["/index.json", "/runs.json"]
        for run in found:
            slug = run.pair.slug
            addresses += [
                f"/runs/{run.id}.json",
                f"/{slug}.json?run={run.id}&size=20",
                f"/{slug}.json?run={run.id}&sort=-hidden_share&kurtosis__gte=0",
                f"/{slug}/tax.json?run={run.id}",
                f"/{slug}/search.json?run={run.id}&q=self",
                f"/{slug}/0/invisible.json?run={run.id}",
                *(f"/{slug}/0/{neuron}.json?run={run.id}" for neuron in (0, 2, 3, 4)),
            ]
            if run.pair.right is not None:
                addresses += [
                    f"/{slug}.json?run={run.id}&rows=pair",
                    f"/{slug}/0/invisible/0.json?run={run.id}",
                    f"/{slug}/1/3.json?run={run.id}&pairing=match&anchor=right",
                ]
        answers = {}
        for address in addresses:
            answer = client.get(address)
            assert answer.status_code == 200, (address, answer.text[:300])
            answers[address] = answer.json()
        return answers


def test_the_other_database_says_the_same_and_so_does_the_way_back(
    exported: Any, tmp_path: Path
) -> None:
    engine, found, files, other_kind = exported
    expected = pages(engine, str(engine.url.render_as_string(hide_password=False)), found)
    with databases.fresh(other_kind) as url, databases.fresh(KINDS[other_kind]) as back_url:
        other = open_engine(url)
        for run, path in zip(found, files, strict=True):
            assert import_run(other, path, silent) == run
        assert pages(other, url, found) == expected
        back = open_engine(back_url)
        for run in found:
            import_run(back, write(other, run, tmp_path / f"{run.id}.back"), silent)
        assert pages(back, back_url, found) == expected
        rows = [whole(one, found[0].id) for one in (engine, other, back)]
        assert rows[0] == rows[1] == rows[2]
        other.dispose()
        back.dispose()


def whole(engine: Engine, run_id: str) -> dict[str, list[Any]]:
    """Every row of a run, by table."""
    with engine.connect() as connection:
        key = runs.published(connection, run_id).key
        return {
            table.name: [row for part in run_tables.rows(connection, table, key) for row in part]
            for table in run_tables.of_run()
        }


def test_what_is_carried_is_decided_for_every_table() -> None:
    """A new table with a run_key goes with a run: if it should not, say so in `run_tables`."""
    carried = {table.name for table in run_tables.of_run()}
    apart = {table.name for table in schema.metadata.sorted_tables} - carried
    assert apart == {
        "account", "allowance", "annotator", "corpus", "label", "label_claim", "label_skip",
        "label_withdrawal", "model", "pair", "progress", "run", "session", "site_secret",
        "stage_load", "study", "study_item", "study_rater", "study_rating", "token", "vocabulary",
    }  # fmt: skip


def test_what_is_here_already_is_left_as_it_is(exported: Any) -> None:
    engine, found, files, _ = exported
    before = whole(engine, found[0].id)
    with pytest.raises(AlreadyPublished):
        import_run(engine, files[0], silent)
    assert whole(engine, found[0].id) == before


def test_verifications_go_with_a_run(exported: Any, tmp_path: Path) -> None:
    engine, found, _, other_kind = exported
    check = verifications.CheckRecord("mean", 8, 0, 0.25, "left L0N1", "1e-5: order of sums")
    kept = verifications.add(
        engine,
        found[1].id,
        verifications.VerificationRecord(True, 200, 8, 0, 1.5, "0.1.0", (check,)),
    )
    path = write(engine, found[1], tmp_path / "verified")
    with databases.fresh(other_kind) as url:
        other = open_engine(url)
        import_run(other, path, silent)
        assert verifications.last(other, found[1].id) == kept
        other.dispose()


class Killed(BaseException):
    """As a kill: nothing is tidied up by what it leaves."""


@pytest.mark.parametrize("kind", databases.KINDS)
def test_an_interrupted_import_leaves_nothing_and_a_killed_one_begins_anew(
    kind: str, exported: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, found, files, _ = exported

    def interrupt(name: str, unit: str) -> Callable[[int, int], None]:
        def advance(done: int, total: int) -> None:
            if name == "publish" and done > total // 2:
                raise KeyboardInterrupt

        return advance

    with databases.fresh(kind) as url:
        engine = open_engine(url)
        with pytest.raises(KeyboardInterrupt):
            import_run(engine, files[0], interrupt)
        assert runs.list_runs(engine) == []
        assert schema.describe(engine).rows["neuron"] == 0
        with monkeypatch.context() as patched:
            patched.setattr("store.publish.abandon", lambda *_: None)
            with pytest.raises(KeyboardInterrupt):
                import_run(engine, files[0], interrupt)
        assert runs.list_runs(engine) == []
        assert schema.describe(engine).rows["neuron"] > 0
        assert import_run(engine, files[0], silent) == found[0]
        engine.dispose()


@pytest.mark.parametrize("kind", databases.KINDS)
def test_a_load_of_evidence_in_progress_stays_behind(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(_: EvidenceLoader) -> None:
        raise Killed

    with databases.fresh(kind) as url, databases.fresh("sqlite") as other_url:
        engine, other = open_engine(url), open_engine(other_url)
        run = publish_synthetic(engine)
        before = schema.describe(engine).rows
        with monkeypatch.context() as patched:
            patched.setattr(EvidenceLoader, "publish", killed)
            patched.setattr(StageClaim, "abandon", lambda _: None)
            with pytest.raises(Killed):
                publish_synthetic_evidence(engine, run)
        left = schema.describe(engine).rows
        assert left["sense"] > 0
        assert left["window"] > before["window"]
        taken = import_run(other, write(engine, run, tmp_path / "a.twinscope"), silent)
        assert taken.stages == ("statistics",)
        there = schema.describe(other).rows
        assert [there[name] for name in ("sense", "window", "document")] == [
            0, before["window"], before["document"]
        ]  # fmt: skip
        publish_synthetic_evidence(other, taken)  # nothing is in its way
        publish_synthetic_evidence(engine, run)
        found, expected = whole(other, run.id), whole(engine, run.id)
        for name in found.keys() - {"run_stage", "substitution_search"}:  # which say when
            assert found[name] == expected[name], name
        engine.dispose()
        other.dispose()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One run's file."""
    with databases.fresh("sqlite") as url:
        engine = open_engine(url)
        run = publish_synthetic(engine, layers=1)
        yield write(engine, run, tmp_path_factory.mktemp("one") / "run.twinscope")
        engine.dispose()


def refused(path: Path) -> str:
    """The message with which a file is refused; nothing is published, nothing is left."""
    with databases.fresh("sqlite") as url:
        engine = open_engine(url)
        with pytest.raises(RunFileError) as caught:
            import_run(engine, path, silent)
        assert runs.list_runs(engine) == []
        assert sum(schema.describe(engine).rows.values()) == 0
        engine.dispose()
    return str(caught.value)


def changed(
    source: Path,
    target: Path,
    about: Callable[[dict[str, Any]], None] = lambda _: None,
    statement: str | None = None,
    alter: Callable[[Path], None] = lambda _: None,
) -> Path:
    """The file again with another manifest or another database, checksums made right."""
    with zipfile.ZipFile(source) as archive:
        manifest = json.loads(archive.read(run_file.MANIFEST))
        database = target.with_suffix(".sqlite3")
        database.write_bytes(archive.read(run_file.DATABASE))
    if statement is not None:
        with closing(sqlite3.connect(database)) as connection:
            connection.executescript(statement)
    alter(database)
    manifest["sha256"] = hashlib.sha256(database.read_bytes()).hexdigest()
    manifest["bytes"] = database.stat().st_size
    about(manifest)
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(run_file.MANIFEST, json.dumps(manifest))
        archive.write(database, run_file.DATABASE)
    return target


def test_damaged_files_are_refused(file: Path, tmp_path: Path) -> None:
    whole_bytes = file.read_bytes()
    bad = tmp_path / "bad"
    bad.write_bytes(whole_bytes[: len(whole_bytes) // 2])
    assert "only the beginning" in refused(bad)
    bad.write_bytes(b"side,layer\n")
    assert "is no run" in refused(bad)
    for place in (len(whole_bytes) // 3, len(whole_bytes) // 2, 2 * len(whole_bytes) // 3):
        flipped = bytearray(whole_bytes)
        flipped[place] ^= 0x10
        bad.write_bytes(flipped)
        assert "is damaged" in refused(bad)
    shutil.copy(file, bad)
    with zipfile.ZipFile(tmp_path / "other", "w") as archive:
        archive.writestr("notes.txt", "nothing")
    assert "is no run of Twinscope" in refused(tmp_path / "other")
    assert "no file" in refused(tmp_path / "missing")


def test_one_bit_of_a_file_is_enough_to_refuse_it(file: Path, tmp_path: Path) -> None:
    """Anywhere in its headers, and in every thousandth byte of the rest."""
    whole_file = file.read_bytes()
    path, database = tmp_path / "bit.twinscope", tmp_path / "run.sqlite3"
    places = [*range(200), *range(200, len(whole_file) - 400, 997)]
    refused = 0
    for place in [*places, *range(len(whole_file) - 400, len(whole_file))]:
        for bit in (0, 5):
            path.write_bytes(
                whole_file[:place] + bytes([whole_file[place] ^ 1 << bit]) + whole_file[place + 1 :]
            )
            try:
                run_file.unpack(path, database, lambda done, total: None)
            except RunFileError:
                refused += 1
            else:  # a date, say
                with zipfile.ZipFile(file) as archive:
                    assert database.read_bytes() == archive.read(run_file.DATABASE)
    assert refused > len(places)


def test_an_example_without_its_window_is_refused(file: Path, tmp_path: Path) -> None:
    def less(manifest: dict[str, Any]) -> None:
        manifest["rows"]["window"] -= 1

    statement = """DELETE FROM window WHERE (document, window) IN (
        SELECT document, window FROM window EXCEPT SELECT document, window FROM counterexample
        EXCEPT SELECT document, window FROM candidate_context LIMIT 1)"""
    bad = changed(file, tmp_path / "bad", less, statement)
    assert "is damaged: it lacks window" in refused(bad)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        (lambda m: m.update(version=run_file.VERSION + 1), "newer than this program's"),
        (lambda m: m.update(sha256="0" * 64), "not the one that its manifest describes"),
        (lambda m: m.update(bytes=m["bytes"] - 1), "longer than its manifest says"),
        (lambda m: m["rows"].update(neuron=3), "16 rows of neuron, not 3"),
        (lambda m: m.update(run="0123456789"), "but its identity is that of"),
        (lambda m: m.pop("rows"), "manifest is not whole"),
    ],
)
def test_manifests_that_lie_are_refused(
    about: Callable[[dict[str, Any]], None], message: str, file: Path, tmp_path: Path
) -> None:
    assert message in refused(changed(file, tmp_path / "lie", about))


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE run SET identity = json_set(identity, '$.seed', 7)", "but its identity is that"),
        ("UPDATE corpus SET fingerprint = 'f'", "the corpus differ from the identity"),
        ("UPDATE run SET parameters = '{}'", "the parameters differ from the identity"),
        ("UPDATE token SET bytes = x'00' WHERE token = 3", "its vocabulary is another"),
        ("UPDATE twinscope_version SET version_num = '9999'", "newer Twinscope"),
        ("CREATE TRIGGER t AFTER INSERT ON run BEGIN DELETE FROM run; END", "tables are others"),
        ("DELETE FROM run_loss", "0 rows of run_loss"),
    ],
)  # fmt: skip
def test_databases_of_another_identity_or_schema_are_refused(
    statement: str, message: str, file: Path, tmp_path: Path
) -> None:
    def newer(manifest: dict[str, Any]) -> None:
        if "9999" in statement:
            manifest["schema"] = "9999"

    with zipfile.ZipFile(file) as archive:
        identity = json.loads(archive.read(run_file.MANIFEST))
    assert identity["format"] == run_file.FORMAT
    assert message in refused(changed(file, tmp_path / "lie", newer, statement))


def test_an_older_export_is_brought_up_to_date(file: Path, tmp_path: Path) -> None:
    counts: dict[str, int] = {}

    def as_of(manifest: dict[str, Any]) -> None:
        manifest["rows"] |= counts
        for later in ("verification", "token_spread", "mined_counterexample"):
            del manifest["rows"][later]
        manifest["schema"] = "0003"

    def before_verifications(database: Path) -> None:
        copy = open_engine(f"sqlite:///{database}", must_be_current=False)
        schema.downgrade(copy, "0003")
        with closing(copy.raw_connection()) as connection:
            for table in ("example", "histogram", "partner", "logit_effect"):  # a row each, then
                row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
                counts[table] = row[0]
            connection.execute("PRAGMA journal_mode = DELETE")
        copy.dispose()

    older = changed(file, tmp_path / "older", as_of, alter=before_verifications)
    with databases.fresh("sqlite") as url:
        engine = open_engine(url)
        assert import_run(engine, older, silent).id in older.read_bytes().decode("latin-1")
        engine.dispose()


def test_a_file_is_a_database_to_serve(file: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        archive.extract(run_file.DATABASE, tmp_path)
    engine = open_engine(f"sqlite:///{tmp_path / run_file.DATABASE}")
    (run,) = runs.list_runs(engine)
    assert run.stages == ("statistics",)
    engine.dispose()
