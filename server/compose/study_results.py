"""The results of a closed study: its ratings analysed, with names, readings and links."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from server import study_words, urls
from server.access import Person
from server.agreement.answers import (
    Card,
    Counting,
    called,
    cards_of,
    clusters_of,
    hit_matrix,
    raters_of,
)
from server.agreement.contrasts import (
    adjusted,
    arms,
    fall_differences,
    falls,
    matched_differences,
    version_differences,
)
from server.agreement.planted import detections, rater_detection, self_agreement
from server.agreement.raters import strictness
from server.agreement.reliability import kappas, reliability
from server.compose.pair_links import version_names
from server.compose.studies import shown_study
from server.condition_words import CONDITION_WORDS
from server.errors import StudyOpen
from server.intervals import quantile
from server.pages.fields import Link
from server.pages.study_results import (
    Analysis,
    CellView,
    ConditionTime,
    ConditionView,
    NeuronView,
    Quartiles,
    RaterView,
    Readings,
    SideView,
    StudyResultsPage,
)
from server.site import Site
from server.study_methods import methods
from server.table_files import KINDS
from store import runs as run_store
from store import studies as study_store
from store.errors import RunNotFound
from store.records import RunRecord, Side
from store.study_records import RATING_VERDICTS, Condition, Rating, StudyRecord

MAIN: Counting = "not_monosemantic"


def closed_study(site: Site, slug: str, person: Person | None) -> StudyRecord:
    """The study, once it is closed. Errors: `StudyOpen` before, for its owner, too;
    `StudyNotFound`, also for somebody else's draft."""
    study = shown_study(site, slug, person)
    if study.state != "closed":
        why = (
            "has not begun, so it has no results."
            if study.state == "draft"
            else "is still running. Its results are shown once it is closed, to nobody before: who "
            "knows how it stands would rate otherwise."
        )
        raise StudyOpen(f"The study “{study.title}” {why}", urls.study(slug))
    return study


def results_of(site: Site, slug: str, person: Person | None) -> StudyResultsPage:
    """The page; computed once in a process, since a closed study never changes."""
    study = closed_study(site, slug, person)
    run = shown_run_of(site, study)
    key = ("study_results", slug, str(study.closed_at), run is not None)

    def make() -> StudyResultsPage:
        return study_results_page(study, study_store.ratings(site.engine, slug), run)

    return site.kept.get(key, make, lambda page: 100_000 + 1_500 * len(page.neurons))


def shown_run_of(site: Site, study: StudyRecord) -> RunRecord | None:
    """The run that the study drew from; None when it was deleted since: the study stays."""
    try:
        return run_store.get_run(site.engine, study.run_id)
    except RunNotFound:
        return None


def study_results_page(
    study: StudyRecord, ratings: Sequence[Rating], run: RunRecord | None
) -> StudyResultsPage:
    """All of the page, from the ratings."""
    cards = cards_of(ratings, "neuron")
    planted = cards_of(ratings, "planted")
    conditions = study.design.conditions
    sides: tuple[Side, ...] = ("left", "right") if study.weights[1] else ("left",)
    names = version_names(run) if run is not None else {"left": "left", "right": "right"}
    names = {side: names.get(side, side) for side in sides}
    main, excluded = (
        analysis(cards, planted, sides, conditions, counting) for counting in (MAIN, "excluded")
    )
    repeated = tuple(self_agreement(ratings))
    agreed = tuple(reliability(cards, conditions))
    raters = rater_views(ratings, cards, planted)
    everyone = _quartiles(one.seconds for one in ratings)
    return StudyResultsPage(
        slug=study.slug,
        title=study.title,
        pair=study.pair,
        run=study.run_id,
        question=study.question,
        rule=study.rule,
        seed=study.seed,
        frozen_sha256=study.frozen_sha256,
        started_at=study.started_at,
        closed_at=study.closed_at,
        sides=tuple(SideView(side, names[side]) for side in sides),
        conditions=tuple(ConditionView(one, *CONDITION_WORDS[one]) for one in conditions),
        cards=len({one.item for one in ratings}),
        ratings=len(ratings),
        answers=sum(len(card.verdicts) for card in cards),
        raters=raters,
        main=main,
        excluded=excluded,
        reliability=agreed,
        kappas=tuple(kappas(cards)),
        self_agreement=repeated,
        times=tuple(
            ConditionTime(
                condition, _quartiles(r.seconds for r in ratings if r.condition == condition)
            )
            for condition in conditions
        ),
        neurons=neuron_views(cards, sides, conditions, study, run),
        readings=Readings(
            falls=study_words.fall_reading(main.falls, main.fall_differences, main.arms, names),
            versions=study_words.version_reading(main.versions, main.matched, names),
            agreement=study_words.agreement_reading(agreed, len(raters_of(cards))),
            planted=study_words.planted_reading(main.detections, repeated),
            raters=study_words.rater_reading(raters),
        ),
        methods=methods(study, names, len(raters), len(ratings), everyone.median),
        not_shown=not_shown(study, ratings, cards, run),
        files=tuple(Link(urls.study_ratings(study.slug, ending), ending) for ending in KINDS),
        study_href=urls.study(study.slug),
        explorer_href=None if run is None else urls.explorer(study.pair, run=run.id),
        json_href=urls.json_twin(urls.study_results(study.slug)),
    )


def analysis(
    cards: Sequence[Card],
    planted: Sequence[Card],
    sides: Sequence[Side],
    conditions: Sequence[Condition],
    counting: Counting,
) -> Analysis:
    """Shares, differences, falls and detections, with "unclear" as `counting` says."""
    found = arms(cards, sides, conditions, counting)
    matched, fallen = adjusted(
        matched_differences(cards, conditions, counting),
        [fall for side in sides for fall in falls(cards, side, conditions, counting)],
    )
    return Analysis(
        counting=counting,
        arms=tuple(found),
        versions=tuple(version_differences(found, conditions)),
        matched=tuple(matched),
        falls=tuple(fallen),
        fall_differences=tuple(
            fall_differences(*([f for f in fallen if f.side == side] for side in ("left", "right")))
        ),
        detections=tuple(detections(planted, conditions, counting)),
    )


def rater_views(
    ratings: Sequence[Rating], cards: Sequence[Card], planted: Sequence[Card]
) -> tuple[RaterView, ...]:
    """Everybody who has rated a card, by pseudonym."""
    names = raters_of(cards_of(ratings))
    strict = strictness(hit_matrix(cards, names, MAIN), clusters_of(cards))
    repeated = {one.rater: one.same for one in self_agreement(ratings)}
    return tuple(
        RaterView(
            rater=name,
            ratings=sum(one.rater == name for one in ratings),
            strictness=strict[n],
            self_agreement=repeated.get(name),
            sensitivity=rater_detection(planted, name, "polysemantic", MAIN),
            specificity=rater_detection(planted, name, "monosemantic", MAIN),
            seconds=_quartiles(one.seconds for one in ratings if one.rater == name),
        )
        for n, name in enumerate(names)
    )


def _quartiles(seconds: Iterable[float]) -> Quartiles:
    values = sorted(seconds)
    if not values:
        return Quartiles(0, None, None, None)
    return Quartiles(len(values), *(quantile(values, q) for q in (0.25, 0.5, 0.75)))


def neuron_views(
    cards: Sequence[Card],
    sides: Sequence[Side],
    conditions: Sequence[Condition],
    study: StudyRecord,
    run: RunRecord | None,
) -> tuple[NeuronView, ...]:
    """The drawn neurons that were rated, with a cell a condition, and the way to their pages."""
    by_place = {(card.unit, card.condition): card for card in cards}
    units = sorted({card.unit for card in cards}, key=lambda u: (sides.index(u[0]), u[1], u[2]))
    order = {verdict: n for n, verdict in enumerate(RATING_VERDICTS)}

    def cell(unit: tuple[Side, int, int], condition: Condition) -> CellView:
        card = by_place.get((unit, condition))
        verdicts = (
            () if card is None else tuple(sorted(card.verdicts.values(), key=order.__getitem__))
        )
        return CellView(
            condition,
            verdicts,
            verdicts.count("monosemantic"),
            None if card is None else called(card, MAIN),
        )

    return tuple(
        NeuronView(
            side,
            layer,
            neuron,
            urls.neuron_name(layer, neuron),
            None if run is None else urls.neuron(study.pair, layer, neuron, run=run.id),
            tuple(cell((side, layer, neuron), condition) for condition in conditions),
        )
        for side, layer, neuron in units
    )


def not_shown(
    study: StudyRecord,
    ratings: Sequence[Rating],
    cards: Sequence[Card],
    run: RunRecord | None,
) -> tuple[str, ...]:
    """What is missing on the page and why, a sentence each."""
    said = []
    if not ratings:
        said.append("Nobody rated a card before the study was closed, so there is nothing to show.")
    elif not cards:
        said.append("No card of a drawn neuron was rated, so there are no shares and no falls.")
    if ratings and len(raters_of(cards)) == 1:
        said.append("One rater only: there is no agreement between raters to compute.")
    if len(study.design.conditions) == 1:
        said.append("One condition only: there is no fall between conditions to compute.")
    if ratings and not any(one.kind == "repeat" for one in ratings):
        said.append("No repeated card was rated, so self-agreement is missing.")
    if ratings and not any(one.kind == "planted" for one in ratings):
        said.append("No planted card was rated, so sensitivity and specificity are missing.")
    expected = (
        len(study.design.conditions)
        * study.design.neurons_per_version
        * (2 if study.weights[1] else 1)
    )
    if cards and len(cards) < expected:
        said.append(
            f"{len(cards):,} of {expected:,} cards of drawn neurons have been rated: what is shown "
            "is of these."
        )
    if run is None:
        said.append(
            f"Run {study.run_id}, which the neurons are from, is no longer in this database: they "
            "are named, not linked."
        )
    return tuple(said)
