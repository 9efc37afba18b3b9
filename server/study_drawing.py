"""A study's results as they are drawn: figures made from the page, nothing that is not in its JSON.

drawn = draw_results(page)      drawn.shares, drawn.falls.rows, drawn.falls.axis
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from server.condition_words import condition_title
from server.figures.ranges import LinearScale, range_axis, range_line, scale_over
from server.figures.shares_by_condition import ShareLine, shares_by_condition
from server.pages.study_results import Quartiles, StudyResultsPage

Ends = tuple[float, float]


@dataclass(frozen=True)
class Row:
    """Something of the page with its line; `other` is the same without "unclear" answers."""

    view: Any
    line: Markup
    other: Any = None


@dataclass(frozen=True)
class Table:
    """Rows on one scale; `axis` is the last row."""

    rows: tuple[Row, ...]
    axis: Markup


@dataclass(frozen=True)
class ResultsDrawing:
    """All figures of the page."""

    shares: Markup
    arms: Table
    falls: Table
    fall_differences: Table
    versions: Table
    matched: Table
    reliability: Table
    kappas: Table
    planted: Table
    strictness: Table
    times: Table
    rater_times: Table


@dataclass(frozen=True)
class _Line:
    view: Any
    name: str
    side: str
    value: float | None
    outer: Ends | None
    inner: Ends | None = None
    other: Any = None


def _table(
    lines: Sequence[_Line],
    title: str,
    *,
    scale: LinearScale | None = None,
    percent: bool = False,
    reference: float | None = 0.0,
) -> Table:
    if scale is None:
        ends = [end for one in lines for end in (*(one.outer or ()), *(one.inner or ()))]
        around = () if reference is None else (reference,)
        scale = scale_over([*ends, *(one.value for one in lines)], around=around)
    return Table(
        tuple(
            Row(
                one.view,
                range_line(
                    name=one.name,
                    scale=scale,
                    side=one.side,
                    value=one.value,
                    inner=one.inner,
                    outer=one.outer,
                    reference=reference,
                ),
                one.other,
            )
            for one in lines
        ),
        range_axis(scale, title, percent=percent),
    )


def draw_results(page: StudyResultsPage) -> ResultsDrawing:
    """Every figure of the page."""
    names = {one.side: one.name for one in page.sides}
    shares = LinearScale(0.0, 1.0)
    main, excluded = page.main, page.excluded
    without = {(arm.side, arm.condition): arm for arm in excluded.arms}
    other_falls = {(fall.side, fall.first, fall.then): fall for fall in excluded.falls}
    other_versions = {one.condition: one for one in excluded.versions}
    titles = [one.title for one in page.conditions]
    quarters = [one.seconds.q75 for one in page.times]
    quarters += [one.seconds.q75 for one in page.raters]
    seconds = scale_over(quarters, around=(0.0,))
    return ResultsDrawing(
        shares=shares_by_condition(
            "Share of neurons called monosemantic, by condition",
            titles,
            [
                ShareLine(
                    side.side,
                    side.name,
                    [arm.share for arm in main.arms if arm.side == side.side],
                    [arm.interval for arm in main.arms if arm.side == side.side],
                )
                for side in page.sides
            ],
        ),
        arms=_table(
            [
                _Line(
                    arm,
                    f"{names[arm.side]}, {condition_title(arm.condition)}: share monosemantic",
                    arm.side,
                    arm.share,
                    arm.interval,
                    other=without[arm.side, arm.condition],
                )
                for arm in main.arms
            ],
            "called monosemantic",
            scale=shares,
            percent=True,
            reference=None,
        ),
        falls=_table(
            [
                _Line(
                    fall,
                    f"{names[fall.side]}: fall from {condition_title(fall.first)} to "
                    f"{condition_title(fall.then)}",
                    fall.side,
                    fall.fall,
                    fall.interval,
                    other=other_falls.get((fall.side, fall.first, fall.then)),
                )
                for fall in main.falls
            ],
            "fall of the share",
            percent=True,
        ),
        fall_differences=_table(
            [
                _Line(
                    one,
                    f"Fall from {condition_title(one.first)} to {condition_title(one.then)}: "
                    f"{names['left']} minus {names['right']}",
                    "",
                    one.difference,
                    one.interval,
                )
                for one in main.fall_differences
            ],
            "left − right, of falls",
            percent=True,
        ),
        versions=_table(
            [
                _Line(
                    one,
                    f"{condition_title(one.condition)}: {names['left']} minus {names['right']}",
                    "",
                    one.difference,
                    one.interval,
                    other=other_versions.get(one.condition),
                )
                for one in main.versions
            ],
            "left − right, of shares",
            percent=True,
        ),
        matched=_table(
            [
                _Line(
                    one,
                    f"{condition_title(one.condition)}, same index: {names['left']} minus "
                    f"{names['right']}",
                    "",
                    one.difference,
                    one.interval,
                )
                for one in main.matched
            ],
            "left − right, of shares",
            percent=True,
        ),
        reliability=_table(
            [
                _Line(
                    one,
                    f"{condition_title(one.condition)}: Krippendorff’s α",
                    "",
                    one.alpha,
                    one.alpha_interval,
                )
                for one in page.reliability
            ],
            "Krippendorff’s α",
        ),
        kappas=_table(
            [
                _Line(one, f"{' and '.join(one.raters)}: Cohen’s κ", "", one.kappa, one.interval)
                for one in page.kappas
            ],
            "Cohen’s κ",
        ),
        planted=_table(
            [
                _Line(
                    one,
                    f"{one.truth}, {condition_title(one.condition)}: called right",
                    "",
                    one.share,
                    one.interval,
                )
                for one in main.detections
            ],
            "called what they are",
            scale=shares,
            percent=True,
            reference=None,
        ),
        strictness=_table(
            [
                _Line(
                    one,
                    f"{one.rater}: share monosemantic, deviation from the others",
                    "",
                    one.strictness.deviation,
                    one.strictness.deviation_interval,
                )
                for one in page.raters
            ],
            "minus the others’ share, same cards",
            percent=True,
        ),
        times=_times(
            [(one, condition_title(one.condition), one.seconds) for one in page.times], seconds
        ),
        rater_times=_times([(one, one.rater, one.seconds) for one in page.raters], seconds),
    )


def _times(of: Sequence[tuple[Any, str, Quartiles]], scale: LinearScale) -> Table:
    lines = [
        _Line(
            view,
            f"{name}: seconds a card",
            "",
            time.median,
            None,
            None if time.q25 is None or time.q75 is None else (time.q25, time.q75),
        )
        for view, name, time in of
    ]
    return _table(lines, "seconds a card", scale=scale)
