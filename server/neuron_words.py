"""What the numbers of a neuron page say, in a sentence: are the two versions the same thing?

The words claim no more than correlation does, and always name the random basis beside it.
"""

from __future__ import annotations

from server.activation_names import activation_name
from server.number_text import fixed
from server.pages.neuron import NeuronPage, VersionView


def sameness(page: NeuronPage) -> tuple[str, str]:
    """(a short answer, its reasons) to the question that the page is about."""
    left, right = page.versions.left, page.versions.right
    if left is None or right is None:
        return "One version only.", _missing(page)
    anchor, other = (left, right) if page.anchor == "left" else (right, left)
    same_index = left.neuron == right.neuron
    measured = anchor.correspondence
    rho = measured.same_index_correlation if same_index else measured.best_correlation
    if rho is None or measured.null is None:
        return "Cannot be said.", "One of the two is constant, so no correlation is defined."
    strength = (
        f"{'The same index' if same_index else f'{other.name}'} correlates {fixed(rho)}; "
        f"the best of a random basis reaches {fixed(measured.null)}."
    )
    if rho <= measured.null:
        return "No sign that they are.", f"{strength}{_better(anchor, other)}"
    if measured.mutual and measured.best_neuron == other.neuron:
        return "As far as correlation goes, yes.", f"Each is the other's best match. {strength}"
    return "Related, not each other's best match.", f"{strength}{_better(anchor, other)}"


def _missing(page: NeuronPage) -> str:
    if page.pairing == "match":
        return "The other model has no neuron that this one can be matched with."
    return "This run has a single model; there is nothing to compare with."


def _better(anchor: VersionView, other: VersionView) -> str:
    best = anchor.correspondence
    if best.best_neuron is None or best.best_neuron == other.neuron:
        return ""
    return (
        f" Closest to {activation_name(anchor.act_fn)} {anchor.name} is "
        f"{activation_name(other.act_fn)} "
        f"L{anchor.layer}N{best.best_neuron} at {fixed(best.best_correlation)}."
    )
