"""A simulated study: neurons of known classes, raters of known accuracy, a fixed seed.

made = simulate(neurons=60, raters=3)           # plain records: what `store.studies.ratings` gives
put_in(engine, made)                            # the same in a database, closed

A neuron is truly monosemantic under `top` with chance SHARES["left"]["top"] and so on; one that is
may stop being so when more is shown, and none becomes so (the illusion). A rater tells the true
class with their accuracy, or says "unclear". Raters' answers about one neuron are correlated
through its class and through how clear it is.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert

from store import raters as rater_store
from store import studies as study_store
from store.engine import Engine, writing
from store.records import Side
from store.study_records import (
    CONDITIONS,
    Assignment,
    Condition,
    Rating,
    RatingVerdict,
    StudyDesign,
    StudyItem,
    StudyRecord,
    Truth,
)
from store.tables_studies import study_rating

#: Side → condition → the share of neurons that are truly monosemantic.
SHARES: Mapping[Side, Mapping[Condition, float]] = {
    "left": {"top": 0.75, "range": 0.5, "silent": 0.4},
    "right": {"top": 0.55, "range": 0.45, "silent": 0.4},
}
BEGUN = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
_KEPT = ("item", "verdict", "rule", "confidence", "seconds", "created_at")
CARD = {"snippets": [{"tokens": ["a", " b"], "shades": [0, 3], "focus": 1, "silent": False}]}


@dataclass(frozen=True)
class Rater:
    """Chances: to tell a monosemantic neuron, to tell a polysemantic one, to say unclear."""

    sees_mono: float
    sees_poly: float
    unclear: float
    seconds: float


RATERS = (
    Rater(0.92, 0.88, 0.04, 50.0),
    Rater(0.85, 0.92, 0.08, 70.0),
    Rater(0.95, 0.75, 0.02, 35.0),
)


@dataclass(frozen=True)
class Simulated:
    """A study with all that was said in it; `orders` by rater."""

    study: StudyRecord
    items: list[StudyItem]
    orders: list[list[int]]
    ratings: list[Rating]


def simulate(
    neurons: int = 60,
    *,
    slug: str = "simulated",
    pair: str = "tiny-pair",
    run_id: str = "0123456789",
    shares: Mapping[Side, Mapping[Condition, float]] = SHARES,
    raters: tuple[Rater, ...] = RATERS,
    conditions: tuple[Condition, ...] = CONDITIONS,
    assignment: Assignment = "within",
    extras: bool = True,
    matched: float = 1.0,
    layers: int = 2,
    d_mlp: int = 24,
    seed: int = 0,
) -> Simulated:
    """`neurons` of each version in `shares`, a card a condition, and with `extras` a tenth of
    repeats and a tenth of planted cards; `matched` is the share of indices in both versions."""
    rng = random.Random(seed)
    sides: tuple[Side, ...] = tuple(shares)
    places = [
        divmod(n, max(d_mlp, (2 * neurons + layers - 1) // layers)) for n in range(2 * neurons)
    ]
    items: list[StudyItem] = []
    truths: dict[int, bool] = {}

    def add(truly: bool, /, **values: object) -> StudyItem:
        item = StudyItem(number=len(items) + 1, card=CARD, **values)  # type: ignore[arg-type]
        items.append(item)
        truths[item.number] = truly
        return item

    of_neurons = []
    for number, side in enumerate(sides):
        own = round((1 - matched) * neurons) * number
        for layer, neuron in places[own : own + neurons]:
            level = rng.random()
            for condition in conditions:
                truth = level < shares[side][condition]
                of_neurons.append(
                    add(truth, kind="neuron", condition=condition, side=side, layer=layer,
                        neuron=neuron)
                )  # fmt: skip
    if extras:
        for n in range(max(len(of_neurons) // 10, 2)):
            kind: Truth = "polysemantic" if n % 2 else "monosemantic"
            layer, neuron = places[n % neurons]
            add(kind == "monosemantic", kind="planted", condition=conditions[n % len(conditions)],
                side=sides[n % len(sides)], layer=layer, neuron=neuron, truth=kind,
                merged_with=neuron + 1 if n % 2 else None)  # fmt: skip
        for first in rng.sample(of_neurons, max(len(of_neurons) // 10, 2)):
            add(truths[first.number], kind="repeat", condition=first.condition, side=first.side,
                layer=first.layer, neuron=first.neuron, repeat_of=first.number)  # fmt: skip
    indices = {place: n for n, place in enumerate(places)}
    orders = []
    for number in range(len(raters)):
        mine = [
            item.number
            for item in items
            if assignment == "within"
            or item.kind == "planted"
            or conditions.index(item.condition)
            == (indices[item.layer, item.neuron] + number) % len(conditions)
        ]
        rng.shuffle(mine)
        orders.append(mine)
    study = StudyRecord(
        slug=slug,
        title="Simulated study",
        pair=pair,
        run_id=run_id,
        question="Can one rule explain most of what this neuron responds to?",
        rule="Say monosemantic when one rule or category explains 80 % or more.",
        design=StudyDesign(
            layers=tuple(range(layers)),
            neurons_per_version=neurons,
            conditions=conditions,
            repeat_share=0.1 if extras else 0.0,
            planted_share=0.1 if extras else 0.0,
            raters_expected=len(raters),
            assignment=assignment,
        ),
        seed=seed,
        state="closed",
        created_by="ada",
        weights=("1" * 64, "2" * 64 if "right" in shares else None),
    )
    ratings = _rated(items, truths, orders, raters, rng)
    return Simulated(study, items, orders, ratings)


def _rated(
    items: list[StudyItem],
    truths: Mapping[int, bool],
    orders: list[list[int]],
    raters: tuple[Rater, ...],
    rng: random.Random,
) -> list[Rating]:
    clear = {(item.side, item.layer, item.neuron): rng.random() < 0.8 for item in items}
    ratings = []
    for number, (rater, cards) in enumerate(zip(raters, orders, strict=True), start=1):
        for place, card in enumerate(sorted(cards)):
            item = items[card - 1]
            verdict = _verdict(rater, truths[card], clear[item.side, item.layer, item.neuron], rng)
            seconds = round(rater.seconds * rng.lognormvariate(0, 0.5), 3)
            ratings.append(
                Rating(
                    item=card,
                    kind=item.kind,
                    condition=item.condition,
                    side=item.side,
                    layer=item.layer,
                    neuron=item.neuron,
                    truth=item.truth,
                    repeat_of=item.repeat_of,
                    rater=f"R{number}",
                    verdict=verdict,
                    rule=f"rule {place % 7}" if verdict == "monosemantic" else "",
                    confidence=rng.choice([None, 2, 3, 4, 5]),
                    seconds=seconds,
                    created_at=BEGUN + timedelta(hours=number, seconds=place),
                )
            )
    return ratings


def _verdict(rater: Rater, truth: bool, clear: bool, rng: random.Random) -> RatingVerdict:
    """Right as often as the rater's accuracy on clear neurons, half as far above chance else."""
    if rng.random() < rater.unclear:
        return "unclear"
    accuracy = rater.sees_mono if truth else rater.sees_poly
    right = rng.random() < (accuracy if clear else 0.5 + (accuracy - 0.5) / 2)
    return "monosemantic" if right == truth else "polysemantic"


def put_in(engine: Engine, made: Simulated, *, close: bool = True) -> None:
    """The study into a database with its raters' answers, at once: rating one by one takes what a
    rater waits for, and is tested where raters rate."""
    study_store.create(engine, made.study)
    study_store.start(engine, made.study.slug, made.items, made.orders)
    for n in range(len(made.orders)):
        rater_store.join(engine, made.study.slug, f"rater-{n}", lambda _: [])
    with writing(engine) as connection:
        key = study_store.found_row(connection, made.study.slug).id
        rows = [
            {
                "study_id": key,
                "rater": int(one.rater.removeprefix("R")),
                **{name: getattr(one, name) for name in _KEPT},
            }
            for one in made.ratings
        ]
        if rows:
            connection.execute(insert(study_rating), rows)
    if close:
        study_store.close(engine, made.study.slug)
