"""A study's protocol: all that was fixed before it began, for people and for programs.

While a study runs, everybody who might rate it reads it without what would unblind: which pair and
run, which layers, the seed. Those lines say that they are withheld, and the digest of all that was
frozen is there from the start, so that the whole can be checked once it is shown.
"""

from __future__ import annotations

import textwrap

from server.blind.composition import composition
from server.number_text import share
from server.pages.studies import ProtocolView, Term
from store.study_records import Condition, StudyRecord

WIDTH = 88
WITHHELD = "withheld until the study is closed"

_CONDITION: dict[Condition, str] = {
    "top": "the strongest firings",
    "range": "the strongest firings, and firings from the ranges below them",
    "silent": "these, and contexts in which the neuron is silent",
}

_BETWEEN = (
    "A rater sees a neuron under one condition; the conditions go round among raters and neurons "
    "(a Latin square), so that nobody judges a card by what another card of the same neuron showed."
)
_WITHIN = "Every rater sees every neuron under every condition, in an order of each rater's own."


def protocol(record: StudyRecord, *, whole: bool) -> ProtocolView:
    """The protocol, without what would unblind unless `whole`."""
    return ProtocolView(
        slug=record.slug,
        title=record.title,
        state=record.state,
        question=record.question,
        rule=record.rule,
        created_by=record.created_by,
        created_at=record.created_at,
        started_at=record.started_at,
        closed_at=record.closed_at,
        frozen_sha256=record.frozen_sha256,
        terms=_terms(record, whole),
        procedure=_procedure(record),
        withheld=()
        if whole
        else ("pair and run", "layers", "seed", "neurons and cards", "orders of cards"),
    )


def _terms(record: StudyRecord, whole: bool) -> tuple[Term, ...]:
    design = record.design
    shown = [
        ("Pair", record.pair if whole else None, "pair"),
        ("Run", record.run_id if whole else None, "run"),
        ("Layers", ", ".join(map(str, design.layers)) if whole else None, "layers"),
        ("Neurons per version", str(design.neurons_per_version), "neurons_per_version"),
        ("Conditions", ", ".join(design.conditions), "conditions"),
        ("Assignment", design.assignment, "assignment"),
        ("Snippets on a card", str(design.snippets_per_card), "snippets_per_card"),
        (
            "Tokens of a snippet",
            f"{design.before} before the focus, {design.after} behind it",
            "tokens",
        ),
        ("Repeats", f"{share(design.repeat_share)} of a rater's neurons", "repeat_share"),
        ("Planted cards", f"{share(design.planted_share)} of a rater's neurons", "planted_share"),
        ("Raters expected", str(design.raters_expected), "raters_expected"),
        ("Cards between two of one neuron", f"{design.apart} where that goes", "apart"),
        ("Longest time counted at one go", f"{design.seconds_cap} s", "seconds_cap"),
        ("Seed", str(record.seed) if whole else None, "seed"),
    ]
    return tuple(Term(*line) for line in shown)


def _procedure(record: StudyRecord) -> tuple[str, ...]:
    design = record.design
    cards = [
        f"“{condition}” shows {_CONDITION[condition]}: "
        + ", ".join(
            f"{count} {band}"
            for band, count in composition(condition, design.snippets_per_card).items()
        )
        for condition in design.conditions
    ]
    return (
        "Neurons are drawn by lot in equal parts from the layers, and within a layer from four "
        "parts by density; where a run has two versions the same indices are drawn from both, as "
        "far as both have enough examples.",
        f"A card shows {design.snippets_per_card} snippets whatever the condition; by band, "
        + "; ".join(cards)
        + ".",
        "A token's shade says how its activation ranks among the version's own tokens, in four "
        "steps (90th, 99th and 99.9th percentile). Magnitudes, documents, models, layers and "
        "numbers of neurons are not shown.",
        _BETWEEN if design.assignment == "between" else _WITHIN,
        "The order is drawn by lot for each rater, and balanced: at any time a rater has seen "
        "about as many cards of each condition and version.",
        "Planted cards, in equal parts: contexts of two neurons on one card (polysemantic by "
        "construction), and contexts of one token or of two in sequence (monosemantic by "
        "construction). Repeats show a card again, its snippets in another order.",
        "Time on a card runs from the moment it is shown until it is answered, pauses left out. "
        "A card may be gone back to; the last answer counts, all are kept.",
        "Until the study is closed, raters read no results, and no page of a neuron on its cards.",
    )


def as_text(view: ProtocolView) -> str:
    """The protocol as a readable text file."""
    lines = [view.title, "=" * min(len(view.title), WIDTH), ""]
    lines += [f"Study {view.slug}, {view.state}, created by {view.created_by}."]
    for name, moment in (
        ("Created", view.created_at),
        ("Started", view.started_at),
        ("Closed", view.closed_at),
    ):
        if moment is not None:
            lines.append(f"{name} {moment:%Y-%m-%d %H:%M} UTC.")
    lines += ["", "Question", *_wrapped(view.question), "", "Rule", *_wrapped(view.rule), ""]
    lines.append("Settings")
    lines += [f"  {term.name}: {term.value or WITHHELD}" for term in view.terms]
    lines += ["", "Procedure"]
    for number, step in enumerate(view.procedure, start=1):
        lines += textwrap.wrap(
            step, WIDTH, initial_indent=f"{number:2}. ", subsequent_indent="    "
        )
    if view.frozen_sha256 is not None:
        lines += ["", f"SHA-256 of all that was frozen: {view.frozen_sha256}"]
    if view.withheld:
        lines += ["", *textwrap.wrap(f"Withheld until closed: {', '.join(view.withheld)}.", WIDTH)]
    return "\n".join(lines) + "\n"


def _wrapped(text: str) -> list[str]:
    return [
        line
        for part in text.splitlines() or [""]
        for line in textwrap.wrap(part, WIDTH, initial_indent="  ", subsequent_indent="  ") or [""]
    ]
