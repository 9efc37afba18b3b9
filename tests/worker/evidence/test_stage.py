"""The evidence stage of a run: computed, published once, resumed, and refused where it must be."""

from __future__ import annotations

import os
import pickle
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from store import evidence as stored
from store import runs
from store.engine import Engine, open_engine
from store.records import RunRecord
from tests import databases
from tests.worker.own_process import in_a_process
from tests.worker.published import plain
from tests.worker.tiny_pair import DEAD, SHAPE, make_corpus, make_pair
from worker.errors import CorpusError, PairError, UsageError
from worker.evidence.ablation_job import AblationJob
from worker.evidence.baselines import of_sample
from worker.evidence.batches import batches
from worker.evidence.candidate_description import CandidateSettings
from worker.evidence.published_run import evidence_windows, plan_of_run, token_sample
from worker.evidence.settings import EffectSettings, EvidenceSettings
from worker.evidence.stage import evidence
from worker.evidence.substitution_search import parse_version, search
from worker.precompute import precompute
from worker.reporter import Silent
from worker.run_directory import RunDirectory
from worker.sample import open_sample
from worker.settings import StatisticsSettings

SETTINGS = EvidenceSettings(
    EffectSettings(
        tokens=900, last_low=600, early_low=300, early_high=600, panel=600, resamples=20
    ),
    CandidateSettings(find_tokens=700, test_tokens=200),
)
STATISTICS = StatisticsSettings(sample_size=500, loss_tokens=200)


class Interrupting(Silent):
    """Ctrl-C when a step begins; keeps the names of the steps."""

    def __init__(self, at: str | None = None) -> None:
        self._at = at
        self.steps: list[str] = []

    def step(self, name: str, total: int | None, unit: str) -> None:
        self.steps.append(name)
        if name == self._at:
            raise KeyboardInterrupt


@dataclass(frozen=True)
class Case:
    """A run with its statistics published."""

    base: Path
    url: str
    run: RunRecord

    @property
    def pair(self) -> Path:
        return self.base / "tiny-pair"

    @property
    def sample(self) -> Path:
        return self.base / "work" / self.run.id / "sample"

    def evidence(self, **options: Any) -> RunRecord:
        given = {
            "pair_spec": self.pair,
            "settings": SETTINGS,
            "device": "cpu",
            "workers": 1,
            "work_dir": self.base / "work",
            "database_url": self.url,
        }
        return evidence(self.run.id, **(given | options))

    def published(self) -> Any:
        """All evidence, as plain values."""
        engine = open_engine(self.url)
        try:
            return everything(engine, self.run)
        finally:
            engine.dispose()


def everything(engine: Engine, run: RunRecord) -> dict[str, Any]:
    found: dict[str, Any] = {
        "layers": stored.layers(engine, run.id),
        "checks": stored.estimate_checks(engine, run.id),
        "losses": stored.loss_differences(engine, run.id),
        "searches": stored.candidate_searches(engine, run.id),
        "candidates": stored.candidates(engine, run.id),
    }
    for side in ("left", "right"):
        for layer in range(SHAPE["n_layers"]):
            for neuron in range(SHAPE["d_mlp"]):
                one = stored.of_neuron(engine, run.id, side, layer, neuron)  # type: ignore[arg-type]
                found[f"{side} L{layer}N{neuron}"] = one
    return {name: plain(value) for name, value in found.items()}


def computed(base: Path, url: str) -> Case:
    pair = base / "tiny-pair"
    corpus = base / "texts"
    if not pair.exists():
        make_pair(pair)
        make_corpus(corpus)
    run = precompute(
        pair, str(corpus), tokens=1500, device="cpu", workers=1, seed=3, settings=STATISTICS,
        database_url=url, work_dir=base / "work",
    )  # fmt: skip
    return Case(base, url, run)


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    """Statistics only, on SQLite."""
    with databases.fresh("sqlite", migrated=True) as url:
        yield computed(tmp_path, url)


@pytest.fixture(scope="module", params=databases.KINDS)
def done(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    """With its evidence, undisturbed, on each database."""
    with databases.fresh(request.param, migrated=True) as url:
        case = computed(tmp_path_factory.mktemp("run"), url)
        case.evidence()
        yield case


def test_every_version_and_layer_has_its_evidence(done: Case) -> None:
    engine = open_engine(done.url)
    run = runs.get_run(engine, done.run.id)
    assert run.stages == ("statistics", "evidence")
    for side in ("left", "right"):
        for neuron in range(SHAPE["d_mlp"]):
            one = stored.of_neuron(engine, run.id, side, 0, neuron)  # type: ignore[arg-type]
            assert one is not None
            assert one.hidden is not None
            dead = side == "right" and neuron == DEAD
            assert (one.hidden.share is None) == dead
            assert one.hidden.method == "exact"
            assert (one.joint is not None) == (side == "left")
            assert one.meaning is not None
            for shown in one.counterexamples:
                assert len(shown.tokens) == len(shown.record.values["pre"])
    assert len(stored.layers(engine, run.id)) == 4
    assert len(stored.estimate_checks(engine, run.id)) == 4
    assert len(stored.candidate_searches(engine, run.id)) == 4
    whole = {
        (one.side, one.against): one.difference
        for one in stored.loss_differences(engine, run.id)
        if not one.source
    }
    assert whole["left", "right"] == pytest.approx(
        whole["left", "control"] + whole["control", "right"]
    )
    stage = stored.stage(engine, run.id, "evidence")
    assert stage is not None
    assert stage.parameters["effects"]["tokens"] == 900
    assert stage.provenance["evidence_tokens"] >= 900
    assert {"effect mass", "ablation", "meanings", "candidates"} <= set(stage.provenance["seconds"])
    assert str(done.base) not in repr(stage)
    engine.dispose()


def test_a_published_stage_is_left_as_it_is(done: Case) -> None:
    before = done.published()
    reporter = Interrupting()
    assert done.evidence(reporter=reporter).stages == ("statistics", "evidence")
    assert reporter.steps == []
    assert done.published() == before
    other = replace(SETTINGS, effects=replace(SETTINGS.effects, tokens=800))
    with pytest.raises(UsageError, match=r"other settings \(effects.tokens differ\)"):
        done.evidence(settings=other)


def test_evidence_of_an_earlier_version_stays_and_is_said_to_be(
    done: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody asked for another version: the next `make demo` goes on with what there is."""
    said: list[str] = []

    class Listen(Silent):
        def note(self, line: str) -> None:
            said.append(line)

    monkeypatch.setattr("worker.evidence.settings.EVIDENCE_VERSION", 99)
    before = done.published()
    assert done.evidence(reporter=Listen()).stages == ("statistics", "evidence")
    (line,) = said
    assert "published already. It is by version 2 of the method, of which this is 99." in line
    assert done.published() == before
    other = replace(SETTINGS, effects=replace(SETTINGS.effects, tokens=800))
    with pytest.raises(UsageError, match=r"other settings \(effects.tokens differ\)"):
        done.evidence(settings=other)


def goes_on(case: Case, done: Case) -> None:
    """Nothing is published of what was interrupted in the meanings; the parts before are kept."""
    engine = open_engine(case.url)
    assert runs.get_run(engine, case.run.id).stages == ("statistics",)
    assert stored.of_neuron(engine, case.run.id, "left", 0, 0) is None
    engine.dispose()
    reporter = Interrupting()
    case.evidence(reporter=reporter, resume=True)
    assert "meanings" in reporter.steps
    assert "effect mass" not in reporter.steps
    assert not (case.base / "work" / case.run.id / "evidence").exists()
    assert case.published() == done.published()


def test_it_goes_on_from_the_parts_that_were_finished(case: Case, done: Case) -> None:
    with pytest.raises(KeyboardInterrupt):
        case.evidence(reporter=Interrupting("meanings"))
    goes_on(case, done)


class DeadlyInMeanings(Silent):
    """Kills its process at the first work of the meanings that is done."""

    def __init__(self) -> None:
        self._now = ""

    def step(self, name: str, total: int | None, unit: str) -> None:
        self._now = name

    def advance(self, done: int, total: int | None = None) -> None:
        if self._now == "meanings":
            os.kill(os.getpid(), signal.SIGKILL)


def evidence_deadly(case: Case) -> None:
    case.evidence(reporter=DeadlyInMeanings())


@pytest.mark.parametrize("done", ["sqlite"], indirect=True)
def test_it_goes_on_after_kill_9(case: Case, done: Case) -> None:
    assert in_a_process(evidence_deadly, case) == -signal.SIGKILL
    goes_on(case, done)


def test_workers_and_a_lost_sample_change_nothing(case: Case, done: Case) -> None:
    shutil.rmtree(case.sample)
    case.evidence(workers=2)
    found, expected = case.published(), done.published()
    for name, value in expected.items():
        assert found[name] == approximately(value), name


def _gone(file: Path) -> None:
    file.unlink()


def _emptied(file: Path) -> None:
    file.write_bytes(b"")


def _one_bit(file: Path) -> None:
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 1
    file.write_bytes(whole)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("left.0.mid.npy", _gone),
        ("left.0.mid.npy", _one_bit),
        ("keys.npy", _emptied),
        ("windows.npz", _emptied),
        ("checksums.json", _emptied),
    ],
)
def test_a_damaged_sample_is_made_again(
    case: Case, name: str, damage: Callable[[Path], None]
) -> None:
    before = {path.name: path.read_bytes() for path in case.sample.glob("*.npy")}
    assert len(before) == 11  # keys, and two layers of three sites and of two
    damage(case.sample / name)
    plan = plan_of_run(case.run, pair_spec=case.pair, device="cpu", workers=1)
    said: list[str] = []

    class Listen(Silent):
        def note(self, line: str) -> None:
            said.append(line)

    with RunDirectory.locked(case.sample.parent) as directory:
        sample = token_sample(plan, directory, Listen())
        assert {path.name: path.read_bytes() for path in case.sample.glob("*.npy")} == before
        assert len(sample) == 500
        assert said == [f"The token sample of run {case.run.id} is damaged: it is made again."]
        assert len(token_sample(plan, directory, Listen())) == 500
    assert len(said) == 1


def test_evidence_of_a_handful_of_tokens(tmp_path: Path) -> None:
    """So few that the bands have no tokens of their own."""
    make_pair(tmp_path / "tiny-pair")
    (tmp_path / "texts").mkdir()
    for number, text in enumerate(("x", "", "y def")):
        (tmp_path / "texts" / f"{number}.txt").write_text(text)
    with databases.fresh("sqlite", migrated=True) as url:
        run = precompute(
            tmp_path / "tiny-pair", str(tmp_path / "texts"), device="cpu", workers=1, seed=3,
            settings=STATISTICS, database_url=url, work_dir=tmp_path / "work",
        )  # fmt: skip
        assert run.n_tokens < 10
        assert Case(tmp_path, url, run).evidence().stages == ("statistics", "evidence")


def approximately(value: Any) -> Any:
    """Equal but for the rounding of float sums."""
    if isinstance(value, float):
        return pytest.approx(value, rel=1e-4, abs=1e-7)
    if isinstance(value, dict):
        return {key: approximately(one) for key, one in value.items()}
    if isinstance(value, list):
        return [approximately(one) for one in value]
    return value


def test_what_has_changed_since_is_refused(case: Case, tmp_path: Path) -> None:
    with pytest.raises(PairError, match="name its directory with --pair"):
        case.evidence(pair_spec=None)
    (case.base / "texts" / "new.py").write_text("x = 1\n")
    with pytest.raises(CorpusError, match=r"is not what run .* was computed on"):
        case.evidence()
    other = make_pair(tmp_path / "other" / "tiny-pair", d_mlp=8)
    with pytest.raises(PairError, match="left weights of tiny-pair are not those of run"):
        case.evidence(pair_spec=other)


def test_evidence_windows_are_windows_of_the_run(case: Case) -> None:
    plan = plan_of_run(case.run, pair_spec=case.pair, device="cpu", workers=1)
    windows = evidence_windows(plan, SETTINGS.effects)
    assert windows is not None
    assert 900 <= windows.n_tokens < 900 + SHAPE["n_ctx"]
    everything = evidence_windows(plan, EffectSettings(tokens=10**9))
    assert everything is not None
    assert 1500 <= everything.n_tokens < 1500 + SHAPE["n_ctx"]
    job = AblationJob(plan.layout, of_sample(open_sample(case.sample), plan.layout), 3, 2, 3, {})
    batch = next(batches(windows, len(windows), "cpu"))
    again = pickle.loads(pickle.dumps((job, batch)))
    assert (again[0].baselines["left", 0].mean == job.baselines["left", 0].mean).all()
    assert (again[1].rows == batch.rows).all()


def test_a_search_is_published_once_beside_the_evidence(done: Case, case: Case) -> None:
    options = {"pair_spec": done.pair, "device": "cpu", "workers": 1, "database_url": done.url}
    twice = parse_version("L1N3") + parse_version("left:L1N3")
    first = search(done.run.id, wanted=twice, **options)  # type: ignore[arg-type]
    assert first.searched == (("left", 1, 3), ("right", 1, 3))
    assert first.found
    engine = open_engine(done.url)
    shown = stored.of_neuron(engine, done.run.id, "left", 1, 3)
    engine.dispose()
    assert shown is not None
    assert shown.search is not None
    kinds = [one for one in shown.counterexamples if one.record.kind == "substitution"]
    assert len(kinds) == sum(one.side == "left" for one in first.found)
    for one in kinds:
        assert one.record.tokens is not None
        assert one.record.tokens[one.record.changed] != one.record.original
    again = search(done.run.id, wanted=parse_version("left:L1N3"), **options)  # type: ignore[arg-type]
    assert (again.searched, again.known, again.found) == ((), (("left", 1, 3),), ())
    most = search(done.run.id, most_monosemantic=1, **options)  # type: ignore[arg-type]
    assert len(most.searched) + len(most.known) == 4
    with pytest.raises(UsageError, match="L7N0 does not exist"):
        search(done.run.id, wanted=parse_version("L7N0"), **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="has no evidence yet"):
        search(case.run.id, pair_spec=case.pair, database_url=case.url)


@pytest.mark.parametrize("text", ["17", "L1", "N3", "L-1N3", "up:L0N1", "L0N1x", ""])
def test_a_name_that_names_no_neuron(text: str) -> None:
    with pytest.raises(UsageError, match="names no neuron"):
        parse_version(text)
