"""Lists that sort by a difference give the same pages when they are asked for again."""

from __future__ import annotations

from typing import Any

import pytest

from store import kept_orders, neurons
from store.columns import PAIR_COLUMNS
from store.engine import Engine
from store.errors import UnknownColumn
from store.kept_orders import KeptOrders, is_kept
from tests.synthetic_evidence import publish_synthetic_evidence
from tests.synthetic_run import publish_synthetic

SOME = ("diff_kurtosis", "diff_hidden_share")


def pages(engine: Engine, run_id: str, filters: dict[str, str], sort: str) -> list[Any]:
    return [neurons.pair_page(engine, run_id, filters, sort, page, size=5) for page in (1, 2, 9)]


def test_every_difference_gives_the_same_pages_again(engine: Engine) -> None:
    run = publish_synthetic(engine)
    publish_synthetic_evidence(engine, run)
    differences = [key for key in PAIR_COLUMNS if key.startswith("diff_")]
    assert len(differences) > 10
    asked = [({}, f"-{key}") for key in differences] + [({}, key) for key in SOME]
    asked += [({"layer": "1"}, key) for key in SOME]
    asked += [({"left_kurtosis__gte": "0"}, f"-{key}") for key in SOME]
    for filters, sort in asked:
        first = pages(engine, run.id, filters, sort)
        assert first[0][0]
        assert first[0][1] > 5
        assert pages(engine, run.id, filters, sort) == first


def test_the_order_is_read_once_when_it_is_asked_for_again(engine: Engine) -> None:
    run = publish_synthetic(engine)
    orders = kept_orders.of_engine(engine)
    neurons.pair_page(engine, run.id, sort="diff_kurtosis", size=3)
    assert list(orders._orders.values()) == [None]
    neurons.pair_page(engine, run.id, sort="diff_kurtosis", size=3)
    (order,) = orders._orders.values()
    assert order is not None
    assert order.shape == (16, 2)


def test_the_evidence_makes_it_another_list(engine: Engine) -> None:
    run = publish_synthetic(engine)
    for _ in range(2):
        before, _ = neurons.pair_page(engine, run.id, sort="-diff_hidden_share")
    assert {row.values["diff_hidden_share"] for row in before} == {None}
    publish_synthetic_evidence(engine, run)
    after, _ = neurons.pair_page(engine, run.id, sort="-diff_hidden_share")
    shares = [row.values["diff_hidden_share"] for row in after]
    defined = [share for share in shares if share is not None]
    assert defined
    assert shares[: len(defined)] == sorted(defined, reverse=True)


def test_what_may_change_is_not_kept() -> None:
    assert is_kept({"layer": "0"}, "-diff_max")
    assert not is_kept({}, None)
    assert not is_kept({}, "left_max")
    assert not is_kept({"nothing": "0"}, "diff_max")
    of_labels = [key for key, column in PAIR_COLUMNS.items() if column.verdicts]
    assert of_labels
    for key in of_labels:
        assert not is_kept({f"{key}__gte": "1"}, "diff_max")
        assert not is_kept({}, key)


def test_a_column_that_is_none_stays_refused(engine: Engine) -> None:
    run = publish_synthetic(engine)
    for _ in range(3):
        with pytest.raises(UnknownColumn):
            neurons.pair_page(engine, run.id, sort="diff_nothing")


def test_the_least_recently_asked_for_is_dropped() -> None:
    orders = KeptOrders(most=2)
    asked: list[tuple[str, int, int]] = []

    def page(key: str) -> list[tuple[Any, ...]]:
        def read(before: int, size: int) -> list[tuple[Any, ...]]:
            asked.append((key, before, size))
            return [(n, n) for n in range(10)][before : before + size]

        return orders.page(key, 2, 3, read)

    expected = [(2, 2), (3, 3), (4, 4)]
    for key in ("a", "a", "a", "b", "c", "a"):
        assert page(key) == expected
    everything = kept_orders._EVERY
    assert asked == [("a", 2, 3), ("a", 0, everything), ("b", 2, 3), ("c", 2, 3), ("a", 2, 3)]
