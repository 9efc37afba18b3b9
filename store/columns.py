"""The explorer's columns: one table that serves sorting, filters, headings and JSON.

A new column is one line here (and, where its number is new, a column of `store.tables`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import ColumnElement, FromClause, Integer, case, func, null, select

from store import tables
from store.labels import is_latest
from store.records import SIDES, SITES, VERDICTS, Verdict
from store.runs import PublishedRun

#: The value of a column, given `neuron` (or an alias of it) and the run.
Expression = Callable[[FromClause, PublishedRun], ColumnElement[Any]]


@dataclass(frozen=True)
class ExplorerColumn:
    """One column: `key` in URLs and JSON, the rest is what a reader sees.

    `anchor` is the definition's address within the project (`docs/evidence.md#…`), `unit` "" where
    there is none, `format` a Python format specification for numbers ("" for text), `choices` the
    values of a text column. `difference`: with a row a pair, left − right means something.
    `verdicts`: the column counts labels with these, which are looked up apart from the statistics.
    """

    key: str
    name: str
    unit: str
    anchor: str
    type: Literal["number", "integer", "text", "boolean"]
    format: str
    expression: Expression
    choices: tuple[str, ...] = ()
    difference: bool = False
    verdicts: tuple[Verdict, ...] = ()


def _stored(name: str) -> Expression:
    return lambda neuron, run: neuron.c[name]


def _excess(neuron: FromClause, run: PublishedRun) -> ColumnElement[Any]:
    excess: ColumnElement[Any] = neuron.c.best_correlation - neuron.c.null_correlation
    return excess


def _labels(*verdicts: Verdict) -> Expression:
    """Number of annotators whose latest verdict is one of these."""

    def expression(neuron: FromClause, run: PublishedRun) -> ColumnElement[Any]:
        label = tables.label
        model_id = case(
            (neuron.c.side == SIDES[0], run.left_model_id),
            else_=null() if run.right_model_id is None else run.right_model_id,
        )
        return (
            select(func.count())
            .where(
                label.c.model_id == model_id.cast(Integer),
                label.c.layer == neuron.c.layer,
                label.c.neuron == neuron.c.neuron,
                label.c.verdict.in_(verdicts),
                is_latest(),
            )
            .correlate(neuron)
            .scalar_subquery()
        )

    return expression


_DISTRIBUTION = "docs/evidence.md#distribution"
_EXAMPLES = "docs/evidence.md#examples"
_CORRESPONDENCE = "docs/evidence.md#correspondence"
_LOGITS = "docs/evidence.md#logit-effects"
_LABELS = "docs/evidence.md#labels"
_GLOSSARY = "docs/glossary.md"


def _text(key: str, name: str, choices: tuple[str, ...]) -> ExplorerColumn:
    return ExplorerColumn(key, name, "", _GLOSSARY, "text", "", _stored(key), choices)


def _integer(
    key: str, name: str, anchor: str, unit: str = "", expression: Expression | None = None
) -> ExplorerColumn:
    return ExplorerColumn(
        key, name, unit, anchor, "integer", ",d", expression or _stored(key), difference=False
    )


def _label_count(key: str, name: str, *verdicts: Verdict) -> ExplorerColumn:
    column = _integer(key, name, _LABELS, "annotators", _labels(*verdicts))
    return replace(column, verdicts=verdicts)


def _number(
    key: str, name: str, anchor: str, unit: str = "", expression: Expression | None = None
) -> ExplorerColumn:
    return ExplorerColumn(
        key, name, unit, anchor, "number", ".3g", expression or _stored(key), difference=True
    )


_STATISTICS = {
    "mean": "mean",
    "std": "standard deviation",
    "skewness": "skewness",
    "kurtosis": "kurtosis",
    "min": "minimum",
    "max": "maximum",
}

_ALL = (
    _integer("layer", "layer", _GLOSSARY),
    _integer("neuron", "neuron", _GLOSSARY),
    _text("side", "side", SIDES),
    _text("display_site", "display site", SITES),
    *(_number(key, name, _DISTRIBUTION) for key, name in _STATISTICS.items()),
    _number("density", "density", _DISTRIBUTION, "share of tokens"),
    _number("density_threshold", "density's threshold", _DISTRIBUTION),
    _number("q50", "median", _EXAMPLES),
    _number("q90", "quantile 90 %", _EXAMPLES),
    _number("q99", "quantile 99 %", _EXAMPLES),
    _number("q999", "quantile 99.9 %", _EXAMPLES),
    _number("same_index_correlation", "correlation with the same index", _CORRESPONDENCE),
    _integer("same_index_rank", "rank of the same index", _CORRESPONDENCE),
    _integer("best_neuron", "best match", _CORRESPONDENCE, "neuron"),
    _number("best_correlation", "correlation with the best match", _CORRESPONDENCE),
    _number(
        "null", "correlation with a rotated basis", _CORRESPONDENCE, "", _stored("null_correlation")
    ),
    _number("excess", "excess over a rotated basis", _CORRESPONDENCE, "", _excess),
    ExplorerColumn(
        "mutual", "mutual best match", "", _CORRESPONDENCE, "boolean", "", _stored("mutual")
    ),
    _integer("assigned_neuron", "assigned neuron", _CORRESPONDENCE, "neuron"),
    _number("assigned_correlation", "correlation with the assigned neuron", _CORRESPONDENCE),
    _number("logit_kurtosis", "kurtosis of logit effects", _LOGITS),
    _number("logit_skewness", "skewness of logit effects", _LOGITS),
    *(
        _number(f"{site}_{key}", f"{name} at {site}", _DISTRIBUTION)
        for site in SITES
        for key, name in _STATISTICS.items()
    ),
    _label_count("labels", "labels", *VERDICTS),
    *(_label_count(f"labels_{verdict}", f"labelled {verdict}", verdict) for verdict in VERDICTS),
)

#: Columns of `neurons.page`, in the order of the table.
VERSION_COLUMNS: dict[str, ExplorerColumn] = {column.key: column for column in _ALL}

#: What a row with `rows=pair` is named by; all else is there as `left_X`, `right_X`, `diff_X`.
INDEX_KEYS = ("layer", "neuron")


def _of_pair() -> dict[str, ExplorerColumn]:
    columns = {key: VERSION_COLUMNS[key] for key in INDEX_KEYS}
    for column in _ALL:
        if column.key in (*INDEX_KEYS, "side"):
            continue
        for prefix, name in (
            ("left", "{}, left"),
            ("right", "{}, right"),
            ("diff", "{}, left − right"),
        ):
            if prefix != "diff" or column.difference:
                key = f"{prefix}_{column.key}"
                columns[key] = replace(column, key=key, name=name.format(column.name))
    return columns


#: Columns of `neurons.pair_page`; `neurons` says which version each takes its expression from.
PAIR_COLUMNS: dict[str, ExplorerColumn] = _of_pair()
