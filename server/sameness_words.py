"""Are the two versions on a neuron page the same thing? Said by correlation, and by no more.

    said = verdict(page)     said.answer, said.reasons: phrases, some of them links
    answer, reasons = sameness(page)     the same as plain text

A twin is a mutual best match clearly above what a random basis reaches. Where the two versions
shown are not twins, the answer goes on to where the twin of each one is, or says that none was
found.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.activation_names import activation_name
from server.number_text import fixed
from server.pages.neuron import CorrespondenceView, NeuronPage, VersionView
from store.records import ABOVE_NULL


@dataclass(frozen=True)
class Phrase:
    """A piece of a sentence; with `href` it is a link to the neuron that it names."""

    text: str
    href: str | None = None


@dataclass(frozen=True)
class Verdict:
    """A short answer and its reasons, in phrases that are joined without a space."""

    answer: tuple[Phrase, ...]
    reasons: tuple[Phrase, ...]


def sameness(page: NeuronPage) -> tuple[str, str]:
    """(a short answer, its reasons) to the question that the page is about."""
    said = verdict(page)
    return _plain(said.answer), _plain(said.reasons)


def are_twins(page: NeuronPage) -> bool | None:
    """Whether the two versions shown are each other's best match, clearly above a random basis.

    None where there are not two, or where no correlation is defined.
    """
    both = _anchor_first(page)
    if both is None:
        return None
    anchor, other = both
    rho = _shown_correlation(anchor, other)
    if rho is None or anchor.correspondence.null is None:
        return None
    return has_twin(anchor.correspondence) and anchor.correspondence.best_neuron == other.neuron


def has_twin(measured: CorrespondenceView) -> bool:
    """Whether the best match is mutual and clearly above the best of a random basis."""
    return bool(measured.mutual) and _above_null(measured.best_correlation, measured.null)


def verdict(page: NeuronPage) -> Verdict:
    """The answer of a page, whichever of the two versions it is anchored at."""
    both = _anchor_first(page)
    if both is None:
        return Verdict((Phrase("One version only."),), (Phrase(_missing(page)),))
    anchor, other = both
    rho, null = _shown_correlation(anchor, other), anchor.correspondence.null
    if rho is None or null is None:
        why = "One of the two is constant, so no correlation is defined."
        return Verdict((Phrase("Cannot be said."),), (Phrase(why),))
    if are_twins(page):
        return Verdict(
            (Phrase("As far as correlation goes, yes."),),
            (
                Phrase(
                    f"Each is the other’s best match, at {fixed(rho)}; "
                    f"the best of a random basis reaches {fixed(null)}."
                ),
            ),
        )
    return Verdict(_elsewhere(anchor, other, rho), _about_other(anchor, other, rho))


def _elsewhere(anchor: VersionView, other: VersionView, rho: float) -> tuple[Phrase, ...]:
    """The answer for two that are no twins: what stands in for one, for the anchor."""
    measured, theirs = anchor.correspondence, activation_name(other.act_fn)
    if has_twin(measured):
        lead = "Not at the same index: the"
        if _above_null(rho, measured.null):
            lead = f"Related at the same index ({fixed(rho)}), but the"
        return (
            Phrase(f"{lead} twin of {_name(anchor)} is "),
            _best(anchor, other),
            Phrase(f" (mutual, {fixed(measured.best_correlation)})."),
        )
    if not _above_null(measured.best_correlation, measured.null):
        return (Phrase(f"No counterpart found: {_below(measured, theirs)}."),)
    if measured.best_neuron == other.neuron:
        return (
            Phrase(f"Related ({fixed(rho)}), but not twins: {_name(other)} has a closer match."),
        )
    return (
        Phrase("No twin found: the closest to " + _name(anchor) + ", "),
        _best(anchor, other),
        Phrase(f" ({fixed(measured.best_correlation)}), has a closer match itself."),
    )


def _about_other(anchor: VersionView, other: VersionView, rho: float) -> tuple[Phrase, ...]:
    """Where the other column's twin is, then the numbers that the answer rests on."""
    measured, ours = other.correspondence, activation_name(anchor.act_fn)
    said: tuple[Phrase, ...] = ()
    if has_twin(measured):
        said = (
            Phrase(f"The twin of {_name(other)} is "),
            _best(other, anchor),
            Phrase(f" (mutual, {fixed(measured.best_correlation)}). "),
        )
    elif measured.best_neuron is None or measured.null is None:
        pass
    elif not _above_null(measured.best_correlation, measured.null):
        none = "no counterpart" if has_twin(anchor.correspondence) else "none either"
        said = (Phrase(f"{_name(other)} has {none}: {_below(measured, ours)}. "),)
    else:
        said = (
            Phrase(f"{_name(other)} has no twin; closest to it is "),
            _best(other, anchor),
            Phrase(f" ({fixed(measured.best_correlation)}, not mutual). "),
        )
    where = "The same index" if anchor.neuron == other.neuron else _name(other)
    null = anchor.correspondence.null
    basis = f"the best of a random basis reaches {fixed(null)} for {_name(anchor)}"
    return (*said, Phrase(f"{where} correlates {fixed(rho)}; {basis}."))


def _below(measured: CorrespondenceView, model: str) -> str:
    return (
        f"the best of {model}, {fixed(measured.best_correlation)}, is not clearly above what "
        f"a random basis reaches ({fixed(measured.null)})"
    )


def _best(version: VersionView, other: VersionView) -> Phrase:
    """The best match of a version among the neurons of the other one's model."""
    best = version.correspondence.best_neuron
    name = f"{activation_name(other.act_fn)} L{version.layer}N{best}"
    return Phrase(name, version.correspondence.best_href)


def _anchor_first(page: NeuronPage) -> tuple[VersionView, VersionView] | None:
    left, right = page.versions.left, page.versions.right
    if left is None or right is None:
        return None
    return (left, right) if page.anchor == "left" else (right, left)


def _shown_correlation(anchor: VersionView, other: VersionView) -> float | None:
    measured = anchor.correspondence
    if anchor.neuron == other.neuron:
        return measured.same_index_correlation
    return measured.best_correlation


def _above_null(correlation: float | None, null: float | None) -> bool:
    return correlation is not None and null is not None and correlation - null >= ABOVE_NULL


def _missing(page: NeuronPage) -> str:
    if page.pairing == "match":
        return "The other model has no neuron that this one can be matched with."
    return "This run has a single model; there is nothing to compare with."


def _name(version: VersionView) -> str:
    return f"{activation_name(version.act_fn)} {version.name}"


def _plain(phrases: tuple[Phrase, ...]) -> str:
    return "".join(phrase.text for phrase in phrases)
