"""What a design comes to and what it can see, before anything is drawn."""

from __future__ import annotations

from server.agreement.power import ALPHA, POWER, n_for, smallest_difference
from server.blind.sizes import MINUTES_A_CARD, sizes
from server.pages.studies import PowerView, SizesView
from store.study_records import StudyDesign

#: The share that the SoLU paper found interpretable among the neurons of its baseline.
BASE = 0.35

#: Differences that the SoLU paper reports: 1 to 40 layers, and 64.
PUBLISHED = ((0.35, 0.60), (0.33, 0.42))


def sizes_view(design: StudyDesign, sides: int) -> SizesView:
    """What a rater is asked for."""
    found = sizes(design, sides)
    least, most = MINUTES_A_CARD
    return SizesView(
        neurons=found.neurons,
        repeats=found.repeats,
        planted=found.planted,
        cards=found.cards,
        minutes=(found.cards * least, found.cards * most),
        raters_a_card=found.raters_a_card,
    )


def power_view(design: StudyDesign) -> PowerView:
    """What can be seen between two versions, or two conditions, by the neurons that are rated."""
    conditions = len(design.conditions)
    seen = design.raters_expected if design.assignment == "between" else conditions
    arm = design.neurons_per_version * min(seen, conditions) // conditions
    return PowerView(
        arm=arm,
        base=BASE,
        power=POWER,
        alpha=ALPHA,
        smallest=smallest_difference(arm, BASE) if arm else None,
        needed=tuple((p1, p2, n_for(p1, p2)) for p1, p2 in PUBLISHED),
    )
