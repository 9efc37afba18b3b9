"""Meanings of a whole run: from a published tiny run's sample and examples to records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from store.engine import open_engine
from store.evidence_records import SCORED_BANDS, CounterexampleRecord, PolysemanticityRecord
from store.records import BANDS
from tests import databases
from tests.worker.evidence.planting import DirectEngine
from tests.worker.published import versions
from tests.worker.tiny_pair import make_corpus, make_pair
from worker.activations import load_models
from worker.evidence.meanings import SampledRun, meanings, open_contexts
from worker.evidence.meanings_job import CLUSTERED
from worker.evidence.passes import run as forward
from worker.evidence.shown import Shown
from worker.evidence.substitution import substitutions
from worker.evidence.substitution_starts import most_monosemantic, starts
from worker.layout import Layout
from worker.pairs import Pair, load_pair
from worker.precompute import precompute
from worker.reporter import Silent
from worker.sample import open_sample
from worker.settings import StatisticsSettings

SETTINGS = StatisticsSettings(sample_size=600, loss_tokens=10)


class Computed:
    """A tiny published run, and its meanings."""

    def __init__(self, base: Path, url: str) -> None:
        self.pair: Pair = load_pair(make_pair(base / "tiny-pair"))
        record = precompute(
            self.pair, [str(make_corpus(base / "texts"))], device="cpu", workers=1,
            work_dir=base / "work", database_url=url, settings=SETTINGS,
        )  # fmt: skip
        database = open_engine(url)
        self.shown = Shown.of_records(
            one.example for _, some in versions(database, record) for one in some
        )
        database.dispose()
        directory = base / "work" / record.id / "sample"
        self.run = SampledRun(
            layout=Layout.of_configs(
                {"left": self.pair.left.config, "right": self.pair.right.config}
            ),
            sample=open_sample(directory),
            contexts=open_contexts(directory),
            settings=SETTINGS,
            n_ctx=24,
            d_model={"left": 16, "right": 16},
            bos=0,
        )
        self.models = load_models({"left": self.pair.left, "right": self.pair.right}, "cpu")
        self.base = base
        found = self.meanings(1)
        self.scores = [one for one in found if isinstance(one, PolysemanticityRecord)]
        self.mined = [one for one in found if isinstance(one, CounterexampleRecord)]

    def engine(self, workers: int = 1) -> DirectEngine:
        return DirectEngine(self.models.lean, workers)

    def meanings(self, workers: int) -> list[PolysemanticityRecord | CounterexampleRecord]:
        directory = self.base / f"meanings-{workers}"
        return list(meanings(self.engine(workers), self.run, self.shown, 0, directory, Silent()))


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Computed:
    with databases.fresh("sqlite") as url:
        return Computed(tmp_path_factory.mktemp("meanings"), url)


def test_every_version_has_its_bands_and_senses(computed: Computed) -> None:
    assert [(one.side, one.layer, one.neuron) for one in computed.scores] == [
        (side, layer, neuron)
        for side in ("left", "right")
        for layer in (0, 1)
        for neuron in range(12)
    ]
    assert sum(one.score is not None for one in computed.scores) > 40
    for one in computed.scores:
        assert tuple(one.bands) == SCORED_BANDS
        if not one.senses:
            continue
        assert sum(sense.share for sense in one.senses) == pytest.approx(1.0)
        shares = [sense.share for sense in one.senses]
        assert shares == sorted(shares, reverse=True)
        examples = [example for sense in one.senses for example in sense.examples]
        some = computed.shown[one.side, one.layer]
        mine = some[some["neuron"] == one.neuron]
        strong = {
            (BANDS[example["band"]], int(example["rank"]))
            for example in mine
            if BANDS[example["band"]] in CLUSTERED
        }
        assert len(examples) == len(set(examples))  # each in one sense
        assert set(examples) >= strong
        if one.token_variance_explained is not None:
            assert 0 <= one.token_variance_explained <= 1


def test_mined_counterexamples_are_what_they_say(computed: Computed) -> None:
    assert {one.kind for one in computed.mined} == {"unlike", "silent"}
    windows = {
        (record.document, record.window): record.tokens
        for record in computed.run.contexts.window_records(range(len(computed.run.contexts.keys)))
    }
    for one in computed.mined:
        tokens = windows[one.document, one.window]
        lean = computed.models.lean[one.side]
        with torch.inference_mode():
            trace = forward(lean, torch.from_numpy(tokens).long()[None])
        value = float(trace.activated[one.layer][0, one.position, one.neuron])
        assert one.activation == pytest.approx(value, rel=1e-3, abs=1e-4)
        display = computed.run.layout[one.side].display_site
        assert one.values[display][one.position - one.start] == pytest.approx(
            one.activation, rel=2e-3, abs=1e-4
        )
        some = computed.shown[one.side, one.layer]
        top = some[(some["neuron"] == one.neuron) & (some["band"] == 0)]
        at = (top["document"] == one.document) & (top["window"] == one.window)
        assert not (at & (top["position"] == one.position)).any()
        best = float(top["activation"].max())
        if one.kind == "unlike":
            assert one.activation >= 0.499 * best
            assert one.rule == ""
        else:
            assert one.activation <= 0.101 * best + 1e-3
            focus = [windows[t["document"], t["window"]][t["position"]] for t in top]
            assert focus.count(tokens[one.position]) >= len(focus) / 2
            assert one.rule.startswith("same t")


def test_meanings_do_not_depend_on_the_workers(computed: Computed) -> None:
    again = computed.meanings(2)
    scores = [one for one in again if isinstance(one, PolysemanticityRecord)]
    assert scores == computed.scores
    mined = [one for one in again if isinstance(one, CounterexampleRecord)]
    assert [
        (one.side, one.layer, one.neuron, one.kind, one.rank, one.activation) for one in mined
    ] == [
        (one.side, one.layer, one.neuron, one.kind, one.rank, one.activation)
        for one in computed.mined
    ]


def test_substitutions_of_the_most_monosemantic(computed: Computed) -> None:
    chosen = most_monosemantic(computed.scores, 2)
    assert len(chosen) == 8
    begun = list(starts(chosen, computed.shown, computed.run.contexts))
    assert {one.goal for one in begun} == {"focus", "silence", "raise"}
    found = list(substitutions(computed.engine(), begun, computed.run.layout, SETTINGS, Silent()))
    assert {(one.side, one.layer, one.neuron) for one in found} == set(chosen)
    by_key = {(one.side, one.layer, one.neuron, one.rank): one for one in begun}
    for one in found:
        start = by_key[one.side, one.layer, one.neuron, one.rank]
        assert one.tokens is not None
        assert one.changed is not None
        assert one.original_activation is not None
        assert np.flatnonzero(one.tokens != start.tokens).tolist() == [one.changed]
        if start.goal == "silence":
            assert one.activation <= one.original_activation
        elif start.goal == "raise":
            assert one.activation >= one.original_activation
        else:
            assert int(one.tokens[one.changed]) not in start.excluded
