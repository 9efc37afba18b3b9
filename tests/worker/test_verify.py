"""A run recomputed by brute force agrees, and a value altered by hand does not."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Connection, delete, select, update

from store import packing, rows, runs, tables, tables_evidence, verifications
from store.bulk import insert_rows
from store.engine import open_engine, reading, writing
from store.example_columns import of_records
from store.example_packing import unpack, unpack_places
from store.histogram_edges import N_BINS, bin_of, inner_edges
from store.records import BANDS, ExampleRecord, RunRecord
from store.token_scales import Snippets, scales_of
from store.verifications import VerificationRecord
from tests import databases
from tests.worker.evidence.test_stage import SETTINGS
from tests.worker.tiny_pair import make_corpus, make_pair
from worker.errors import CorpusError, PairError, UsageError
from worker.evidence.stage import evidence
from worker.precompute import precompute
from worker.settings import StatisticsSettings
from worker.verify import compare_evidence
from worker.verify.compare_examples import Shares, _share_and_rounding
from worker.verify.stage import verify

STATISTICS = StatisticsSettings(sample_size=500, loss_tokens=200)


@dataclass(frozen=True)
class Case:
    """A whole run in a SQLite file; `copy` gives another database with the same."""

    base: Path
    path: Path
    run: RunRecord

    def copy(self, target: Path) -> str:
        shutil.copyfile(self.path, target)
        return f"sqlite:///{target}"

    def verified(self, url: str, sample: int = 1000, **options: object) -> VerificationRecord:
        given = {"pair_spec": self.base / "tiny-pair", "device": "cpu", "workers": 1}
        _, found = verify(self.run.id, sample=sample, database_url=url, **(given | options))  # type: ignore[arg-type]
        return found


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Case]:
    base = tmp_path_factory.mktemp("verify")
    pair, corpus = make_pair(base / "tiny-pair"), make_corpus(base / "texts")
    with databases.fresh("sqlite") as url:
        options = {"device": "cpu", "workers": 1, "work_dir": base / "work", "database_url": url}
        run = precompute(
            pair, str(corpus), tokens=1500, seed=3, settings=STATISTICS, **options  # type: ignore[arg-type]
        )  # fmt: skip
        run = evidence(run.id, pair_spec=pair, settings=SETTINGS, **options)  # type: ignore[arg-type]
        path = Path(url.removeprefix("sqlite:///"))
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        yield Case(base, path, run)


def test_a_run_agrees_with_what_is_recomputed(case: Case, tmp_path: Path) -> None:
    url = case.copy(tmp_path / "copy.sqlite3")
    found = case.verified(url)
    assert [(c.name, c.failed) for c in found.checks if c.n_failed] == []
    assert found.ok
    assert found.versions == 2 * 2 * 12
    n = {check.name: check.n for check in found.checks}
    assert n["documents, windows, tokens"] == 3
    assert n["histogram counts"] == 2 * 12 * 5 * (387 + 1)
    assert n["mean"] == n["kurtosis"] == 2 * 12 * (5 + 2)
    assert n["example activations"] == n["example tokens"] > 48 * 30
    assert n["correlation with the same index"] == 48
    assert n["exact hidden share"] >= 4
    assert n["estimated effect"] == 48
    assert {"held-out losses", "loss differences", "logit effects"} <= set(n)
    assert all(check.tolerance for check in found.checks)
    engine = open_engine(url)
    assert verifications.last(engine, case.run.id) == found
    engine.dispose()


#: Few versions are enough to find an altered one among them.
FEW = 8


@dataclass(frozen=True)
class Altering:
    """A database to be altered in one version, as somebody with SQL would."""

    connection: Connection
    key: int
    side: str
    layer: int
    neuron: int

    @property
    def name(self) -> str:
        return f"{self.side} L{self.layer}N{self.neuron}"

    def of(self, table: Any) -> list[Any]:
        """The conditions that pick the version's rows."""
        here = {"run_key": self.key, "side": self.side, "layer": self.layer, "neuron": self.neuron}
        return [table.c[name] == value for name, value in here.items()]

    def column(self, table: Any, name: str, change: Callable[[Any], Any], *more: Any) -> None:
        """Change one column of one row."""
        where = [*self.of(table), *more]
        value = self.connection.execute(select(table.c[name]).where(*where)).scalar_one()
        changed = update(table).where(*where).values({name: change(value)})
        assert self.connection.execute(changed).rowcount == 1

    def examples(self, change: Callable[[list[ExampleRecord]], list[ExampleRecord]]) -> None:
        """Rewrite the version's examples, with the scales of their tokens as they are stored."""
        table = tables.example
        row = self.connection.execute(select(table).where(*self.of(table))).one()
        where = unpack_places(row.places)
        windows = zip(where["document"].tolist(), where["window"].tolist(), strict=True)
        packed = [self.scales(*window) for window in windows]
        lengths = where["length"].tolist()
        spans = list(zip(packed, where.start.tolist(), lengths, strict=True))

        def scales_at(side: Any) -> Any:
            return Snippets(spans).codes(side, self.layer)

        version = self.side, self.layer, self.neuron
        found = unpack(*version, where, row.snippets, scales_at)  # type: ignore[arg-type]
        scales = np.split(scales_of(scales_at("left")), np.cumsum(lengths)[:-1], axis=1)
        for one, of_tokens in zip(found, scales, strict=True):
            one.scales = {"left": of_tokens}
        changed = sorted(change(found), key=lambda one: (BANDS.index(one.band), one.rank))
        self.connection.execute(delete(table).where(*self.of(table)))
        (packed_row,) = rows.of_examples(self.key, [of_records(changed)])
        beside = row.partners, row.promoted, row.suppressed
        insert_rows(self.connection, table, [(*packed_row, *beside)])

    def scales(self, document: int, number: int) -> bytes | None:
        """The scales of a window's tokens, packed."""
        window = tables.window.c
        return self.connection.scalar(
            select(window.scales).where(
                window.run_key == self.key, window.document == document, window.window == number
            )
        )


def one_token_in_another_bin(at: Altering) -> str:
    def change(packed: bytes) -> bytes:
        by_site = packing.unpack_histograms(packed)
        counts = by_site["pre"].copy()
        full = int(counts.argmax())
        counts[full] -= 1
        counts[max(0, full - 30)] += 1
        return packing.pack_histograms({**by_site, "pre": counts})

    at.column(tables.histogram, "counts", change)
    return "histogram counts"


def a_moment(at: Altering) -> str:
    at.column(tables.neuron, "pre_kurtosis", lambda value: value * 1.001)
    return "kurtosis"


def a_moment_in_the_explorer(at: Altering) -> str:
    at.column(tables.neuron, "mean", lambda value: value + 0.001)
    return "mean"


def the_density(at: Altering) -> str:
    at.column(tables.neuron, "density", lambda value: 0.5 * value)
    return "density"


def of_rank(rank: int, change: Callable[[ExampleRecord], ExampleRecord]) -> Any:
    return lambda found: [
        change(one) if (one.band, one.rank) == ("top", rank) else one for one in found
    ]


def an_activation(at: Altering) -> str:
    at.examples(of_rank(3, lambda one: replace(one, activation=one.activation * 1.001)))
    return "example activations"


def a_snippet_value(at: Altering) -> str:
    def change(one: ExampleRecord) -> ExampleRecord:
        values = {site: array.copy() for site, array in one.values.items()}
        values["pre"][1] *= np.float16(1.02)
        return replace(one, values=values)

    at.examples(of_rank(2, change))
    return "example snippet values"


def two_ranks_swapped(at: Altering) -> str:
    swapped = {1: 4, 4: 1}
    at.examples(
        lambda found: [
            replace(one, rank=swapped.get(one.rank, one.rank)) if one.band == "top" else one
            for one in found
        ]
    )
    return "example ranks: top and bottom"


def another_token_drawn(at: Altering) -> str:
    """The draw of another band, with its values: right in itself, but not what was drawn."""

    def change(found: list[ExampleRecord]) -> list[ExampleRecord]:
        other = next(one for one in found if (one.band, one.rank) == ("q90-99", 1))
        moved = {("q0-50", 2): replace(other, band="q0-50", rank=2)}
        return [moved.get((one.band, one.rank), one) for one in found]

    at.examples(change)
    return "example ranks: drawn bands"


def a_quantile_of_the_other_version(at: Altering) -> str:
    def change(one: ExampleRecord) -> ExampleRecord:
        assert one.same_index is not None
        quantile = 0.5 if (one.same_index.quantile or 0) > 0.7 else 0.9
        return replace(one, same_index=replace(one.same_index, quantile=quantile))

    at.examples(of_rank(0, change))
    return "other version's quantile"


def a_correlation(at: Altering) -> str:
    at.column(tables.neuron, "same_index_correlation", lambda value: value + 0.002)
    return "correlation with the same index"


def a_best_match(at: Altering) -> str:
    at.column(tables.neuron, "best_neuron", lambda value: (value + 1) % 12)
    return "best match"


def the_rank_of_the_same_index(at: Altering) -> str:
    at.column(tables.neuron, "same_index_rank", lambda rank: 12 if rank < 6 else 1)
    return "rank of the same index"


def partners_that_are_not_the_highest(at: Altering) -> str:
    """Each with the correlation that it has."""

    def change(packed: bytes) -> bytes:
        found = packing.unpack_partners(packed)
        reversed_ = {kind: [one for one in found if one[0] == kind][::-1] for kind in (0, 1)}
        swapped = [(kind, rank, *reversed_[kind][rank][2:]) for kind, rank, *_ in found]
        return packing.pack_partners([swapped])[0]

    at.column(tables.example, "partners", change)
    return "partners and similar neurons"


def a_logit_effect(at: Altering) -> str:
    def change(packed: bytes) -> bytes:
        first, second, *rest = packing.unpack_effects(packed, 300)
        return packing.pack_effects([second, first, *rest], 300)

    at.column(tables.example, "promoted", change)
    return "logit effects"


def a_hidden_share(at: Altering) -> str:
    at.column(tables_evidence.neuron_evidence, "hidden_share", lambda value: value - 0.02)
    return "exact hidden share"


def an_effect(at: Altering) -> str:
    at.column(tables_evidence.neuron_evidence, "effect", lambda value: value * 1.02)
    return "exact effect"


def an_estimate(at: Altering) -> str:
    at.column(tables_evidence.neuron_evidence, "estimated_effect", lambda value: value * 1.1)
    return "estimated effect"


#: Each in a version of its own; true ablations are made of the first neuron of each layer.
ALTERATIONS: dict[Callable[[Altering], str], tuple[str, int, int]] = {
    a_hidden_share: ("left", 1, 0),
    an_effect: ("left", 0, 0),
    one_token_in_another_bin: ("left", 0, 1),
    a_moment: ("left", 1, 1),
    a_moment_in_the_explorer: ("right", 1, 1),
    the_density: ("left", 1, 2),
    an_activation: ("left", 1, 3),
    a_snippet_value: ("right", 0, 3),
    two_ranks_swapped: ("left", 1, 4),
    another_token_drawn: ("left", 1, 5),
    a_quantile_of_the_other_version: ("right", 1, 6),
    a_correlation: ("left", 0, 7),
    a_best_match: ("right", 1, 8),
    the_rank_of_the_same_index: ("right", 0, 7),
    partners_that_are_not_the_highest: ("right", 0, 6),
    a_logit_effect: ("left", 1, 9),
    an_estimate: ("right", 0, 10),
}


@pytest.fixture(scope="module")
def altered(
    case: Case, tmp_path_factory: pytest.TempPathFactory
) -> tuple[VerificationRecord, dict[Any, tuple[str, str]]]:
    """A database in which each of these was altered, verified; by alteration the quantity and the
    version that are to be named."""
    url = case.copy(tmp_path_factory.mktemp("altered") / "copy.sqlite3")
    engine = open_engine(url)
    with reading(engine) as connection:
        key = runs.published(connection, case.run.id).key
    expected = {}
    with writing(engine) as connection:
        for alter, place in ALTERATIONS.items():
            at = Altering(connection, key, *place)
            expected[alter] = alter(at), at.name
    engine.dispose()
    return case.verified(url), expected


@pytest.mark.parametrize("alter", ALTERATIONS, ids=lambda alter: alter.__name__)
def test_what_is_altered_is_named(alter: Callable[[Altering], str], altered: Any) -> None:
    found, expected = altered
    assert not found.ok
    quantity, version = expected[alter]
    checks = {check.name: check for check in found.checks}
    assert checks[quantity].largest_error > 1
    assert any(f"{where} ".startswith(f"{version} ") for where in checks[quantity].failed)


def test_nothing_else_is_named(altered: Any) -> None:
    found, expected = altered
    named = {
        (check.name, " ".join(where.split()[:2]))
        for check in found.checks
        for where in check.failed
    }
    # The mass by bin is held against the effect, the curve against the share.
    beside = {
        ("effect mass, total of all bins", expected[an_effect][1]),
        ("hidden share's curve", expected[a_hidden_share][1]),
    }
    assert named - beside == set(expected.values())


def test_a_loss_altered_is_named(case: Case, tmp_path: Path) -> None:
    url = case.copy(tmp_path / "copy.sqlite3")
    engine = open_engine(url)
    loss, window = tables.run_loss, tables.window
    with writing(engine) as connection:
        connection.execute(
            update(loss).where(loss.c.side == "right").values(nats=loss.c.nats * 1.001)
        )
        packed = connection.execute(select(window.c.tokens)).scalars().first()
        assert packed is not None
        ids = packing.unpack_window(packed, 300)
        ids[1:] = (ids[1:] + 1) % 300
        changed = update(window).where(window.c.tokens == packed)
        connection.execute(changed.values(tokens=packing.pack_window(ids, 300)))
    engine.dispose()
    wrong = {check.name: check for check in case.verified(url).checks if check.n_failed}
    assert set(wrong) == {"held-out losses", "example tokens"}
    assert wrong["held-out losses"].failed == ("right texts",)


def test_what_cannot_be_opened_again_is_refused(case: Case, tmp_path: Path) -> None:
    url = case.copy(tmp_path / "copy.sqlite3")
    with pytest.raises(PairError, match="name its directory with --pair"):
        case.verified(url, pair_spec=None)
    other = make_pair(tmp_path / "other" / "tiny-pair", d_mlp=8)
    with pytest.raises(PairError, match="are not those of run"):
        case.verified(url, pair_spec=other)
    moved = tmp_path / "moved"
    shutil.copytree(case.base / "texts", moved)
    next(moved.iterdir()).write_text("something else")
    with pytest.raises(CorpusError, match="is not what run"):
        case.verified(url, corpus_spec=[str(moved)])
    with pytest.raises(UsageError, match="positive"):
        case.verified(url, sample=0)


@pytest.mark.slow
def test_two_workers_find_the_same(case: Case, tmp_path: Path) -> None:
    one = case.verified(case.copy(tmp_path / "one.sqlite3"), FEW)
    two = case.verified(case.copy(tmp_path / "two.sqlite3"), FEW, workers=2)
    assert two.ok
    assert [(c.name, c.n) for c in two.checks] == [(c.name, c.n) for c in one.checks]


def test_statistics_alone_are_verified_too(case: Case, tmp_path: Path) -> None:
    url = case.copy(tmp_path / "copy.sqlite3")
    engine = open_engine(url)
    with writing(engine) as connection:
        stage = tables.run_stage
        connection.execute(delete(stage).where(stage.c.stage == "evidence"))
    engine.dispose()
    found = case.verified(url, FEW)
    assert found.ok
    assert "exact effect" not in {check.name for check in found.checks}


@pytest.mark.parametrize(
    ("effect", "share", "failed"), [(2.0, 0.4, 0), (2.2, 0.4, 1), (2.0, 0.5, 1)]
)
def test_an_estimate_that_is_shown_is_compared(effect: float, share: float, failed: int) -> None:
    """Not only the columns that say what was estimated."""
    hidden = SimpleNamespace(
        method="estimate", estimated_effect=2.0, estimated_share=0.4, effect=effect, share=share,
        mass=np.array([effect]), curve=[None] * 20,
    )  # fmt: skip
    version = SimpleNamespace(name="left L0N0", evidence=SimpleNamespace(hidden=hidden))
    stored: Any = {("left", 0): [version]}
    checks = compare_evidence.estimates(stored, {("left", 0): np.array([[8.0], [12.0]])}, 10)
    assert sum(check.n_failed for check in checks) == failed


def test_rounding_moves_a_quantile_where_many_tokens_lie_in_a_narrow_bin_alone() -> None:
    """GeLU's lowest activations: a last bit is worth more than the thousandth that is allowed."""
    counts = np.zeros((1, N_BINS), np.int64)
    least, most = -0.17, 2.6
    low, inside, high = (bin_of(value) for value in (least, 1.0, most))
    counts[0, low], counts[0, inside], counts[0, high] = 500, 400, 100
    narrow = float(inner_edges()[low]) - 1e-5  # the bin's end is as near to the least as this
    of = Shares(np.array([7]), counts, np.array([narrow]), np.array([most]))
    share, moved = _share_and_rounding(of, 7, narrow + 5e-6, 1e-7)
    assert share == pytest.approx(0.25, abs=0.01)
    assert moved == pytest.approx(0.5 * 1e-7 / 1e-5, rel=0.1)
    assert moved > 1e-3
    share, moved = _share_and_rounding(of, 7, 1.0, 1e-7)
    assert share == pytest.approx(0.7, abs=0.2)
    assert moved < 1e-5
    share, moved = _share_and_rounding(of, 7, most, 1e-7)
    assert share == 0.999
    assert moved == pytest.approx(0.001)
    assert _share_and_rounding(of, 8, 1.0, 1e-7) == (None, 0.0)
