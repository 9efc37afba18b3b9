"""The explorer's columns: one table that serves sorting, filters, headings and JSON.

A new column is one line here (and, where its number is new, a column of `store.tables`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import ColumnElement, FromClause, Integer, and_, case, cast, func, null, select

from store import tables, tables_evidence
from store.labels import is_latest
from store.records import SIDES, SITES, VERDICTS, Verdict
from store.runs import PublishedRun
from store.tables_evidence import METHODS


@dataclass(frozen=True)
class VersionTables:
    """Where a version's columns come from: `neuron` and `neuron_evidence`, or aliases of them.

    `evidence` is None while the stage is unpublished: its columns are NULL then.
    """

    neuron: FromClause
    evidence: FromClause | None


#: The value of a column, given where it comes from and the run.
Expression = Callable[[VersionTables, PublishedRun], ColumnElement[Any]]


@dataclass(frozen=True)
class ExplorerColumn:
    """One column: `key` in URLs and JSON, the rest is what a reader sees.

    `anchor` is the definition's address within the project (`docs/evidence.md#…`), `unit` "" where
    there is none, `format` a Python format specification for numbers ("" for text), `choices` the
    values of a text column. `difference`: with a row a pair, left − right means something;
    `exact_only`: it does where both versions have exact values alone. `verdicts`: the column
    counts labels with these, which are looked up apart from the statistics. `of_evidence`: its
    value stands in `neuron_evidence`.
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
    exact_only: bool = False
    of_evidence: bool = False

    @property
    def of_both(self) -> bool:
        """Whether it compares two models, so that a run of one has it nowhere."""
        return self.anchor == _CORRESPONDENCE


def difference(
    column: ExplorerColumn, left: VersionTables, right: VersionTables, run: PublishedRun
) -> ColumnElement[Any]:
    """Left − right; NULL where an estimate would be set against something else."""
    value: ColumnElement[Any] = column.expression(left, run) - column.expression(right, run)
    if not column.exact_only or left.evidence is None or right.evidence is None:
        return value
    both = and_(left.evidence.c.hidden_method == "exact", right.evidence.c.hidden_method == "exact")
    return case((both, value), else_=None)


def _stored(name: str) -> Expression:
    return lambda version, run: version.neuron.c[name]


def _measured(name: str) -> Expression:
    def expression(version: VersionTables, run: PublishedRun) -> ColumnElement[Any]:
        if version.evidence is None:
            return cast(null(), tables_evidence.neuron_evidence.c[name].type)
        return version.evidence.c[name]

    return expression


def _excess(version: VersionTables, run: PublishedRun) -> ColumnElement[Any]:
    columns = version.neuron.c
    excess: ColumnElement[Any] = columns.best_correlation - columns.null_correlation
    return excess


def _labels(*verdicts: Verdict) -> Expression:
    """Number of annotators whose latest verdict is one of these."""

    def expression(version: VersionTables, run: PublishedRun) -> ColumnElement[Any]:
        neuron, label = version.neuron, tables.label
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
_HIDDEN = "docs/evidence.md#hidden-share"
_EFFECT = "docs/evidence.md#effect"
_ESTIMATE = "docs/evidence.md#estimate-error"
_POLYSEMANTICITY = "docs/evidence.md#polysemanticity"
_SENSES = "docs/evidence.md#senses"
_CANDIDATES = "docs/evidence.md#candidates"
_COUNTEREXAMPLES = "docs/evidence.md#counterexamples"
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


def _evidence(
    column: ExplorerColumn, stored: str = "", *, difference: bool = True, exact_only: bool = False
) -> ExplorerColumn:
    """The column as one of `neuron_evidence`, there called `stored` or the same."""
    return replace(
        column,
        expression=_measured(stored or column.key),
        difference=difference,
        exact_only=exact_only,
        of_evidence=True,
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
    _evidence(_number("hidden_share", "hidden share", _HIDDEN, "share of effect"), exact_only=True),
    _evidence(_text("hidden_method", "method of the hidden share", METHODS), difference=False),
    _evidence(
        _number("hidden_error", "error of the estimated hidden share", _ESTIMATE),
        difference=False,
    ),
    _evidence(_number("effect", "effect", _EFFECT, "nats a token"), exact_only=True),
    # Estimates of two versions are biased differently: no difference of them.
    _evidence(
        _number("estimated_hidden_share", "estimated hidden share", _HIDDEN, "share of effect"),
        difference=False,
    ),
    _evidence(_number("polysemanticity", "polysemanticity score", _POLYSEMANTICITY)),
    _evidence(_number("polysemanticity_top", "polysemanticity score of the top", _POLYSEMANTICITY)),
    _evidence(_integer("senses", "senses", _SENSES)),
    _evidence(_number("token_entropy", "token entropy", _POLYSEMANTICITY, "nats")),
    _evidence(
        _number("max_token_share", "largest token share", _POLYSEMANTICITY, "share of examples")
    ),
    _evidence(
        _number(
            "token_variance_explained",
            "variance explained by the token",
            _POLYSEMANTICITY,
            "share of variance",
        )
    ),
    _evidence(_integer("candidates", "candidates carried", _CANDIDATES)),
    _evidence(_integer("counterexamples", "counterexamples mined", _COUNTEREXAMPLES)),
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
