"""How many cards a design comes to: for each rater, and of each neuron."""

from __future__ import annotations

from dataclasses import dataclass

from store.study_records import StudyDesign

#: Minutes for a card, of the SoLU paper: "one to two minutes each".
MINUTES_A_CARD = (1.0, 2.0)


@dataclass(frozen=True)
class Sizes:
    """Of one rater: cards of drawn neurons, repeats, planted ones. `raters_a_card`: how many of the
    expected raters see a drawn neuron's card, on the average."""

    neurons: int
    repeats: int
    planted: int
    raters_a_card: float

    @property
    def cards(self) -> int:
        """All cards of one rater."""
        return self.neurons + self.repeats + self.planted


def sizes(design: StudyDesign, sides: int) -> Sizes:
    """The sizes of a design on a run of so many sides."""
    between = design.assignment == "between"
    share = 1 / len(design.conditions) if between else 1.0
    return Sizes(
        neurons=neuron_cards(design, sides),
        repeats=repeated_cards(design, sides),
        planted=planted_cards(design, sides),
        raters_a_card=design.raters_expected * share,
    )


def neuron_cards(design: StudyDesign, sides: int) -> int:
    """Cards of drawn neurons that one rater gets."""
    each = 1 if design.assignment == "between" else len(design.conditions)
    return design.neurons_per_version * sides * each


def repeated_cards(design: StudyDesign, sides: int) -> int:
    """Cards that one rater gets twice."""
    return round(design.repeat_share * neuron_cards(design, sides))


def planted_cards(design: StudyDesign, sides: int) -> int:
    """Planted cards, which all raters get."""
    return round(design.planted_share * neuron_cards(design, sides))
