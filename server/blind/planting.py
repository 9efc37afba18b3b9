"""Cards whose truth is known by construction: what raters' judgement is measured against.

*Polysemantic*: the contexts of two neurons of one version's layer on one card, in equal parts, each
shaded by its own ranks; the two share no token at the focus of their top examples.

*Monosemantic*: contexts of one token, or of two tokens in sequence, found in the run's windows. The
rule is shaded wherever it stands, as strongly as the place on the card asks; the tokens around it
are shaded faintly, where a real neuron's contexts (the donor's) are shaded.

Both are so by construction only: two neurons may happen to share a meaning that their tokens do not
show, and a token is not all that a neuron could respond to. `docs/evidence.md` says so, too.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from server.blind.cards import SHADE_OF_BAND, Snippet, Source, cut, place_of, shades_of
from server.blind.composition import SILENT
from store.errors import InvalidStudy
from store.records import WindowRecord
from store.study_records import StudyDesign

#: The strongest shade of a token beside the rule.
FAINT = 1
_TRIES = 60


@dataclass(frozen=True)
class Rule:
    """A token, or two in sequence, with its places: (index of the window, position of its end)."""

    tokens: tuple[int, ...]
    places: tuple[tuple[int, int], ...]


def least_alike(tokens: Mapping[int, frozenset[int]], rng: random.Random) -> tuple[int, int] | None:
    """Two neurons whose top examples' tokens (by neuron) have least in common; None below two."""
    neurons = sorted(tokens)
    if len(neurons) < 2:
        return None
    best: tuple[float, tuple[int, int]] | None = None
    for _ in range(_TRIES):
        one, other = rng.sample(neurons, 2)
        union = len(tokens[one] | tokens[other]) or 1
        overlap = len(tokens[one] & tokens[other]) / union
        if best is None or overlap < best[0]:
            best = overlap, (one, other)
        if overlap == 0:
            break
    assert best is not None
    return best[1]


def rules(
    windows: Sequence[WindowRecord],
    vocabulary: Sequence[bytes],
    needed: int,
    number: int,
    rng: random.Random,
) -> list[Rule]:
    """`number` rules, tokens and bigrams in turn, each in `needed` windows at least.

    Words are preferred to marks and blanks. Errors: `InvalidStudy` when there are too few.
    """
    found: list[Rule] = []
    used: set[int] = set()
    kinds = [_candidates(windows, length, needed) for length in (1, 2)]
    for kind in kinds:
        rng.shuffle(kind)
        kind.sort(key=lambda tokens: not all(_is_word(vocabulary[token]) for token in tokens))
    turn = 0
    while len(found) < number and any(kinds):
        kind = kinds[turn % 2] or kinds[(turn + 1) % 2]
        tokens = kind.pop(0)
        turn += 1
        if used.isdisjoint(tokens):
            used.update(tokens)
            found.append(Rule(tokens, tuple(_places(windows, tokens, rng))))
    if len(found) < number:
        raise InvalidStudy(
            f"The run's windows have {len(found)} tokens that stand in {needed} of them, and the "
            f"planted cards want {number}.",
            "Ask for fewer planted cards, or for fewer snippets on a card.",
        )
    return found


def single_rule(
    rule: Rule,
    donor: Source,
    counts: Mapping[str, int],
    windows: Sequence[WindowRecord],
    vocabulary: Sequence[bytes],
    design: StudyDesign,
    rng: random.Random,
) -> list[Snippet]:
    """The snippets of a card that one rule explains, shaded like the donor's."""
    places = iter(rule.places)
    found: list[Snippet] = []
    for band, number in counts.items():
        for place in range(number):
            shades = _donors(donor, band, place, design)
            if band == SILENT:
                found.append(_without(rule, windows, vocabulary, design, shades, rng))
            else:
                index, position = next(places)
                found.append(
                    _with(rule, windows[index], position, band, vocabulary, design, shades)
                )
    return found


def _with(
    rule: Rule,
    window: WindowRecord,
    position: int,
    band: str,
    vocabulary: Sequence[bytes],
    design: StudyDesign,
    donors: Sequence[int],
) -> Snippet:
    tokens = cut(window.tokens, 0, position, vocabulary, design)
    strong = SHADE_OF_BAND[band]
    shades = []
    for offset, token in enumerate(tokens):
        at = position - design.before + offset
        if not token:
            shades.append(0)
        elif _ends_at(window, rule.tokens, at):
            shades.append(strong)
        else:
            shades.append(min(donors[offset], FAINT))
    return Snippet(tokens, tuple(shades), design.before, False)


def _without(
    rule: Rule,
    windows: Sequence[WindowRecord],
    vocabulary: Sequence[bytes],
    design: StudyDesign,
    donors: Sequence[int],
    rng: random.Random,
) -> Snippet:
    """A silent context: anywhere that the rule is not within sight."""
    for _ in range(1_000):
        window = windows[rng.randrange(len(windows))]
        position = rng.randrange(1, len(window.tokens))
        near = range(position - design.before, position + design.after + 1)
        if any(_ends_at(window, rule.tokens, at) for at in near):
            continue
        tokens = cut(window.tokens, 0, position, vocabulary, design)
        shades = [
            min(shade, FAINT) if token else 0 for token, shade in zip(tokens, donors, strict=True)
        ]
        shades[design.before] = 0
        return Snippet(tokens, tuple(shades), design.before, True)
    raise InvalidStudy("The run's windows have no context without a token that is everywhere.")


def _donors(donor: Source, band: str, place: int, design: StudyDesign) -> list[int]:
    """The shades around the focus of one of the donor's examples, one a cell."""
    listed = donor.examples[band]
    shown = listed[place % len(listed)]
    values = place_of(shown).values[donor.record.display_site]
    shades = shades_of(np.asarray(values, np.float32), donor.record)
    cells = []
    for offset in range(design.before + design.after + 1):
        index = shown.focus - design.before + offset
        cells.append(int(shades[index]) if 0 <= index < len(shades) else 0)
    return cells


def _candidates(windows: Sequence[WindowRecord], length: int, needed: int) -> list[tuple[int, ...]]:
    """Sequences of so many tokens that stand in `needed` windows at least, in a fixed order."""
    counts: Counter[tuple[int, ...]] = Counter()
    for window in windows:
        ids = window.tokens[1:].tolist()
        counts.update(set(zip(*(ids[shift:] for shift in range(length)), strict=False)))
    return sorted(tokens for tokens, number in counts.items() if number >= needed)


def _places(
    windows: Sequence[WindowRecord], tokens: tuple[int, ...], rng: random.Random
) -> list[tuple[int, int]]:
    """One place in each window that has the tokens, in an order drawn by lot."""
    found = []
    for index, window in enumerate(windows):
        ends = [at for at in range(1, len(window.tokens)) if _ends_at(window, tokens, at)]
        if ends:
            found.append((index, rng.choice(ends)))
    rng.shuffle(found)
    return found


def _ends_at(window: WindowRecord, tokens: tuple[int, ...], at: int) -> bool:
    """Whether the tokens stand in the window and end at this position (BOS is none of them)."""
    first = at - len(tokens) + 1
    if first < 1 or at >= len(window.tokens):
        return False
    return tuple(window.tokens[first : at + 1].tolist()) == tokens


def _is_word(token: bytes) -> bool:
    return token.strip().isalpha() and len(token.strip()) > 1
