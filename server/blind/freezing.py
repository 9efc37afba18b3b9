"""From a draft to its cards: the draw, the cards, the repeats, the planted ones, the orders.

    items, orders = freeze(site, record)
    studies.start(site.engine, record.slug, items, orders)

The same draft on the same run gives the same cards: every lot is drawn from the study's seed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from server.blind import planting
from server.blind.cards import Source, card, merged, reordered, snippets, source
from server.blind.composition import composition, needed, suffices
from server.blind.draw import Drawn, Version, by_turns, draw
from server.blind.order import cards_of
from server.blind.planting import least_alike, single_rule
from server.blind.sizes import planted_cards, repeated_cards
from server.site import Site
from store import drawable, evidence, examples, neurons
from store.drawable import DrawableVersion
from store.errors import InvalidStudy
from store.records import SIDES, RunRecord, Side
from store.runs import get_run
from store.study_records import Condition, StudyDesign, StudyItem, StudyRecord

#: Windows that planted rules are looked for in: so many of the first ones, drawn by lot.
_WINDOWS, _FIRST_WINDOWS = 1_500, 20_000


def freeze(site: Site, record: StudyRecord) -> tuple[list[StudyItem], list[list[int]]]:
    """Cards, numbered from 1 in an order that says nothing, and each expected rater's order.

    Errors: `RunNotFound`; `InvalidStudy` when the run has too little for such a study.
    """
    run = get_run(site.engine, record.run_id, record.pair)
    made = _Freezing(site, run, record.design, record.seed).items()
    orders = [
        cards_of(made, record.design, record.seed, rater)
        for rater in range(1, record.design.raters_expected + 1)
    ]
    return made, orders


def sides_of(run: RunRecord) -> tuple[Side, ...]:
    """The versions that a run has."""
    return SIDES if run.pair.right is not None else ("left",)


def eligible(
    site: Site, run: RunRecord, design: StudyDesign
) -> dict[tuple[Side, int], list[DrawableVersion]]:
    """(side, layer) → the versions that have enough examples for every card of the design."""
    need = needed(design.conditions, design.snippets_per_card)
    return {
        (side, layer): [
            version
            for version in drawable.versions(site.engine, run.id, side, layer)
            if suffices(version, need)
        ]
        for side in sides_of(run)
        for layer in design.layers
    }


def drawn(site: Site, run: RunRecord, design: StudyDesign, seed: int) -> Drawn:
    """The versions that a study shows, and those that it might. Errors: `InvalidStudy`."""
    return draw(
        eligible(site, run, design),
        design.layers,
        sides_of(run),
        design.neurons_per_version,
        random.Random(f"{seed} neurons"),
    )


class _Freezing:
    """What the steps below share."""

    def __init__(self, site: Site, run: RunRecord, design: StudyDesign, seed: int) -> None:
        self.site, self.run, self.design, self.seed = site, run, design, seed
        self.vocabulary = site.vocabulary(run.id)
        self._sources: dict[Version, Source] = {}

    def items(self) -> list[StudyItem]:
        """All cards in their final numbers."""
        found = drawn(self.site, self.run, self.design, self.seed)
        shown = [
            self._card_of(version, condition)
            for version, condition in product(found.versions, self.design.conditions)
        ]
        planted = self._planted(found)
        everything = [*shown, *planted]
        self._lots("numbers").shuffle(everything)
        numbered = [replace(item, number=n) for n, item in enumerate(everything, start=1)]
        return [*numbered, *self._repeats(numbered)]

    def _lots(self, purpose: str) -> random.Random:
        return random.Random(f"{self.seed} {purpose}")

    def _source(self, version: Version) -> Source:
        """A version with its examples, read once."""
        known = self._sources.get(version)
        if known is not None:
            return known
        place = (self.site.engine, self.run.id, *version)
        record = neurons.get(*place)
        assert record is not None  # it was drawn from those that exist
        found = evidence.of_neuron(*place) if "silent" in self.design.conditions else None
        silent = [
            one for one in (found.counterexamples if found else ()) if one.record.kind == "silent"
        ]
        self._sources[version] = source(record, examples.of_neuron(*place), silent)
        return self._sources[version]

    def _card_of(self, version: Version, condition: Condition) -> StudyItem:
        side, layer, neuron = version
        counts = composition(condition, self.design.snippets_per_card)
        found = snippets(self._source(version), counts, self.vocabulary, self.design)
        lots = self._lots(f"card {side} {layer} {neuron} {condition}")
        return StudyItem(0, "neuron", condition, side, layer, neuron, card(found, lots))

    def _planted(self, drawn: Drawn) -> list[StudyItem]:
        """Half of them merged neurons, half single rules, over conditions and sides alike."""
        number = planted_cards(self.design, len(sides_of(self.run)))
        if number == 0:
            return []
        lots = self._lots("planted")
        places = list(product(self.design.conditions, sides_of(self.run)))
        lots.shuffle(places)
        n_merged = (number + 1) // 2
        made = [self._merged(drawn, *places[n % len(places)], n, lots) for n in range(n_merged)]
        return made + self._single_rules(drawn, places[::-1], number - n_merged, lots)

    def _merged(
        self, drawn: Drawn, condition: Condition, side: Side, turn: int, lots: random.Random
    ) -> StudyItem:
        layer = self.design.layers[turn % len(self.design.layers)]
        pool = [version for version in drawn.left_over if version[:2] == (side, layer)]
        pool = lots.sample(pool, min(len(pool), 12))
        tokens = {
            version[2]: frozenset(
                int(shown.tokens[shown.focus]) for shown in self._source(version).examples["top"]
            )
            for version in pool
        }
        two = least_alike(tokens, lots)
        if two is None:
            raise InvalidStudy(
                f"No two neurons of layer {layer} of the {side} model are left to merge into a "
                "planted card.",
                "Ask for fewer neurons, or for no planted cards.",
            )
        first, second = (self._source((side, layer, neuron)) for neuron in two)
        counts = composition(condition, self.design.snippets_per_card)
        found = merged(first, second, counts, self.vocabulary, self.design)
        return StudyItem(
            *(0, "planted", condition, side, layer, two[0], card(found, lots)),
            merged_with=two[1],
            truth="polysemantic",
        )

    def _single_rules(
        self,
        drawn: Drawn,
        places: Sequence[tuple[Condition, Side]],
        number: int,
        lots: random.Random,
    ) -> list[StudyItem]:
        if number == 0:
            return []
        windows = drawable.windows(self.site.engine, self.run.id, _FIRST_WINDOWS)
        windows = lots.sample(windows, min(len(windows), _WINDOWS))
        snippets_each = self.design.snippets_per_card
        found = planting.rules(windows, self.vocabulary, snippets_each, number, lots)
        made = []
        for turn, rule in enumerate(found):
            condition, side = places[turn % len(places)]
            layer = self.design.layers[turn % len(self.design.layers)]
            donors = [v for v in drawn.left_over if v[:2] == (side, layer)] or [
                v for v in drawn.versions if v[:2] == (side, layer)
            ]
            donor = lots.choice(donors)
            shown = single_rule(
                rule,
                self._source(donor),
                composition(condition, snippets_each),
                windows,
                self.vocabulary,
                self.design,
                lots,
            )
            made.append(
                StudyItem(
                    *(0, "planted", condition, *donor, card(shown, lots)), truth="monosemantic"
                )
            )
        return made

    def _repeats(self, items: Sequence[StudyItem]) -> list[StudyItem]:
        """The same cards again, their snippets in another order.

        Whoever sees a neuron under one condition only gets as many repeats as any other rater:
        then a neuron's cards are repeated under each.
        """
        lots = self._lots("repeats")
        of_neurons = [item for item in items if item.kind == "neuron"]
        per_rater = repeated_cards(self.design, len(sides_of(self.run)))
        if self.design.assignment == "between":
            versions = sorted({(i.side, i.layer, i.neuron) for i in of_neurons})
            chosen = set(by_turns(versions, lambda version: version[:1], per_rater, lots))
            again = [i for i in of_neurons if (i.side, i.layer, i.neuron) in chosen]
        else:
            again = by_turns(of_neurons, lambda i: (i.side, i.condition), per_rater, lots)
        lots.shuffle(again)
        return [
            replace(
                item,
                number=len(items) + n,
                kind="repeat",
                repeat_of=item.number,
                card=reordered(item.card, lots),
            )
            for n, item in enumerate(again, start=1)
        ]
