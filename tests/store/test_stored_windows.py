"""Windows that were read stay in memory: of this very run, and no more of them than fit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from store import runs, stored_windows
from store.engine import Engine, reading
from store.stored_windows import KeptWindows, StoredWindow, windows_of
from store.token_scales import WindowScales
from tests.synthetic_run import SyntheticRun, load, synthetic

PLACES = [(0, 0), (1, 0)]


def read(engine: Engine, run_id: str) -> dict[tuple[int, int], StoredWindow]:
    with reading(engine) as connection:
        return windows_of(connection, runs.published(connection, run_id), [*PLACES, (9999, 0)])


def bytes_of(found: dict[tuple[int, int], StoredWindow]) -> list[bytes]:
    return [found[place].tokens for place in PLACES]


def test_what_was_read_is_not_asked_for_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = load(engine, synthetic(layers=1, d_mlp=3, n_top=1, n_band=1))
    first = read(engine, run.id)
    assert sorted(first) == PLACES
    asked: list[list[tuple[int, int]]] = []
    original = stored_windows._read
    monkeypatch.setattr(
        stored_windows,
        "_read",
        lambda connection, run, places: asked.append(places) or original(connection, run, places),
    )
    again = read(engine, run.id)
    assert [again[place] is first[place] for place in PLACES] == [True, True]
    assert asked == [[(9999, 0)]]  # what is not stored may come yet


def test_a_run_made_anew_under_its_old_name_has_its_own_windows(engine: Engine) -> None:
    def made(seed: int) -> SyntheticRun:
        one = synthetic(layers=1, d_mlp=3, n_top=1, n_band=1, seed=seed)
        return replace(one, run=replace(one.run, id="a" * 10, identity_sha256="a" * 64))

    run = load(engine, made(0))
    before = bytes_of(read(engine, run.id))
    runs.delete_run(engine, run.id)
    load(engine, made(1))
    after = bytes_of(read(engine, run.id))
    assert after != before
    stored_windows._kept.pop(engine)
    assert bytes_of(read(engine, run.id)) == after


def test_the_least_recently_asked_for_are_dropped() -> None:
    one = StoredWindow(bytes(10), WindowScales(None), "a.py", "files")
    kept = KeptWindows(3 * stored_windows._size(one))
    kept.keep(1, {(n, 0): one for n in range(3)})
    kept.find(1, [(0, 0)])
    kept.keep(1, {(3, 0): one})
    kept.keep(1, {(3, 0): one})  # read twice at once
    assert kept.n_bytes == kept.most_bytes
    assert sorted(kept.find(1, [(n, 0) for n in range(4)])) == [(0, 0), (2, 0), (3, 0)]
    assert not kept.find(2, [(3, 0)])
