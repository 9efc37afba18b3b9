"""Which neurons a study shows: by layer and density in equal parts, the same index on both sides.

Layers share the draw equally. Within a layer neurons are put in order of density (the mean of both
versions' ranks), cut into STRATA parts, and drawn from each alike, so that rare and frequent firing
are as frequent in the study as in the model. An index whose two versions both have enough examples
is drawn for both: matched pairs, for McNemar's test. Only when these run out are versions drawn
whose other side has too few.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, TypeVar

from store.drawable import DrawableVersion
from store.errors import InvalidStudy
from store.records import Side

STRATA = 4

Version = tuple[Side, int, int]
_Thing = TypeVar("_Thing")


@dataclass(frozen=True)
class Drawn:
    """The versions drawn, and those that could have been: what planted cards are made of."""

    versions: tuple[Version, ...]
    left_over: tuple[Version, ...]


def shares(total: int, parts: int) -> list[int]:
    """`total` in `parts` numbers that differ by one at most, the larger ones first."""
    return [total // parts + (part < total % parts) for part in range(parts)]


def draw(
    eligible: Mapping[tuple[Side, int], Sequence[DrawableVersion]],
    layers: Sequence[int],
    sides: Sequence[Side],
    number: int,
    rng: random.Random,
) -> Drawn:
    """`number` versions of each side from these layers. `eligible` is by (side, layer).

    Errors: `InvalidStudy` when a layer has too few, with how many it has.
    """
    chosen: list[Version] = []
    left_over: list[Version] = []
    for layer, wanted in zip(layers, shares(number, len(layers)), strict=True):
        by_side = {side: {v.neuron for v in eligible[side, layer]} for side in sides}
        for side in sides:
            if len(by_side[side]) < wanted:
                raise InvalidStudy(
                    f"{wanted} neurons of layer {layer} are asked for, and {len(by_side[side])} of "
                    f"the {side} model have enough examples for such cards.",
                    "Ask for fewer neurons, or for fewer snippets on a card.",
                )
        ranks = _density_ranks([eligible[side, layer] for side in sides])
        both = set.intersection(*by_side.values())
        matched = _stratified(both, ranks, min(wanted, len(both)), rng)
        for side in sides:
            single = _stratified(by_side[side] - both, ranks, wanted - len(matched), rng)
            mine = [*matched, *single]
            chosen += [(side, layer, neuron) for neuron in mine]
            left_over += [(side, layer, n) for n in sorted(by_side[side] - set(mine))]
    return Drawn(tuple(chosen), tuple(left_over))


def _density_ranks(sides: Iterable[Sequence[DrawableVersion]]) -> dict[int, float]:
    """Neuron → mean over the sides of its place in order of density, 0–1."""
    places: dict[int, list[float]] = {}
    for versions in sides:
        ordered = sorted(versions, key=lambda v: (v.density or 0.0, v.neuron))
        for place, version in enumerate(ordered):
            places.setdefault(version.neuron, []).append((place + 0.5) / len(ordered))
    return {neuron: sum(found) / len(found) for neuron, found in places.items()}


def _stratified(
    neurons: set[int], ranks: Mapping[int, float], number: int, rng: random.Random
) -> list[int]:
    """`number` of the neurons, from each stratum of density alike."""
    ordered = sorted(neurons, key=lambda neuron: (ranks[neuron], neuron))
    stratum = {neuron: place * STRATA // len(ordered) for place, neuron in enumerate(ordered)}
    return by_turns(ordered, stratum.__getitem__, number, rng)


def by_turns(
    things: Iterable[_Thing],
    stratum: Callable[[_Thing], Any],
    number: int,
    rng: random.Random,
) -> list[_Thing]:
    """`number` of the things (all, if there are fewer), from each stratum alike."""
    strata: dict[Any, list[_Thing]] = {}
    for thing in things:
        strata.setdefault(stratum(thing), []).append(thing)
    groups = [strata[name] for name in sorted(strata)]
    for group in groups:
        rng.shuffle(group)
    rng.shuffle(groups)
    turns = zip_longest(*groups)
    chosen = [thing for turn in turns for thing in turn if thing is not None]
    return chosen[:number]
