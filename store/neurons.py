"""Versions of neurons: one whole, or pages of the explorer."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Engine

from store.records import ExplorerRow, NeuronRecord, PairRow, Side


def get(engine: Engine, run_id: str, side: Side, layer: int, neuron: int) -> NeuronRecord | None:
    """A version with its histograms, partners and logit effects; None if the run has none such."""
    raise NotImplementedError


def page(
    engine: Engine,
    run_id: str,
    filters: Mapping[str, str] | None = None,
    sort: str | None = None,
    page: int = 1,
    size: int = 50,
) -> tuple[list[ExplorerRow], int]:
    """Rows of one page (1-based) and the number of rows on all: a row a version.

    `filters` are `KEY`, `KEY__eq`, `KEY__gte`, `KEY__lte` → value as text (see
    `store.columns.VERSION_COLUMNS` for the keys); `sort` is a key, `-key` descending; undefined
    values stand last either way. `ExplorerRow.values` has all columns. Errors: `UnknownColumn`,
    `InvalidFilter`.
    """
    raise NotImplementedError


def pair_page(
    engine: Engine,
    run_id: str,
    filters: Mapping[str, str] | None = None,
    sort: str | None = None,
    page: int = 1,
    size: int = 50,
) -> tuple[list[PairRow], int]:
    """As `page`, a row an index: keys `layer`, `neuron`, `left_X`, `right_X`, `diff_X` (l − r)."""
    raise NotImplementedError


def random_neuron(
    engine: Engine,
    run_id: str,
    filters: Mapping[str, str] | None = None,
    seed: int | None = None,
) -> tuple[int, int] | None:
    """(layer, neuron) of one version that the filters let through; None when they let none."""
    raise NotImplementedError
