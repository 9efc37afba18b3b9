"""A new study: the form, what its settings come to, and the draft that is made of it."""

from __future__ import annotations

import re
import secrets
import unicodedata
from dataclasses import replace
from itertools import combinations

from server import urls
from server.access import Person
from server.blind.composition import FEWEST, MOST
from server.blind.freezing import sides_of
from server.blind.wording import QUESTION, RULE, must_not_name
from server.compose.study_sizes import power_view, sizes_view
from server.condition_words import condition_title
from server.pages.studies import NewStudyPage, RunChoice, StudyCreated, StudyForm
from server.site import Site
from store import studies
from store.errors import InvalidStudy, StoreError
from store.records import RunRecord
from store.runs import get_run, list_runs
from store.study_records import CONDITIONS, Condition, StudyDesign, StudyRecord

#: Seeds stay exact in any reader of JSON.
_SEEDS = 2**53


def new_page(site: Site, form: StudyForm | None, like: str | None) -> NewStudyPage:
    """The form, filled with `form`, else with the settings of the study `like`, else ours."""
    if form is None:
        form = _form_of(studies.get(site.engine, like)) if like else StudyForm()
    found = list_runs(site.engine)
    if not form.run and found:
        form = replace(form, run=found[0].id)
    form = replace(form, question=form.question or QUESTION, rule=form.rule or RULE)
    sizes = power = problem = None
    try:
        run = get_run(site.engine, form.run)
        design = design_of(form, run)
        sizes, power = sizes_view(design, len(sides_of(run))), power_view(design)
    except StoreError as error:
        problem = str(error)
    return NewStudyPage(
        form=form,
        runs=tuple(
            RunChoice(
                run.id,
                f"{run.pair.slug}, run {run.id} ({run.n_tokens:,} tokens)",
                run.pair.left.n_layers,
                run.id == form.run,
            )
            for run in found
        ),
        condition_choices=_condition_choices(),
        sizes=sizes,
        power=power,
        strangers_read=site.settings.mode == "team" and site.settings.public_reading,
        problem=problem,
    )


def create(site: Site, form: StudyForm, person: Person) -> StudyCreated:
    """Keep a draft. Errors: `RunNotFound`, `StudyExists`, `InvalidStudy`."""
    run = get_run(site.engine, form.run)
    design = design_of(form, run)
    question, rule = form.question or QUESTION, form.rule or RULE
    slug = form.slug or slug_of(form.title)
    must_not_name(
        run, title=form.title, question=question, rule=rule, **{"name in addresses": slug}
    )
    record = studies.create(
        site.engine,
        StudyRecord(
            slug=slug,
            title=form.title,
            pair=run.pair.slug,
            run_id=run.id,
            question=question,
            rule=rule,
            design=design,
            seed=secrets.randbelow(_SEEDS) if form.seed is None else form.seed,
            created_by=person.name,
            weights=(
                run.pair.left.weights_sha256,
                None if run.pair.right is None else run.pair.right.weights_sha256,
            ),
        ),
    )
    return StudyCreated(record.slug, record.state, urls.study(record.slug))


def design_of(form: StudyForm, run: RunRecord) -> StudyDesign:
    """The design that a form asks for. Errors: `InvalidStudy`, with what is wrong with it."""
    if not FEWEST <= form.snippets <= MOST:
        raise InvalidStudy(f"A card has {FEWEST}–{MOST} snippets, not {form.snippets}.")
    return StudyDesign(
        layers=_layers(form.layers, run),
        neurons_per_version=form.neurons,
        conditions=_conditions(form.conditions),
        snippets_per_card=form.snippets,
        repeat_share=form.repeat_share,
        planted_share=form.planted_share,
        raters_expected=form.raters,
        assignment=form.assignment,
    )


def slug_of(title: str) -> str:
    """A title as it stands in addresses."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    slug = "-".join(re.findall(r"[a-z0-9]+", plain))[: studies.LONGEST_SLUG].strip("-")
    return f"study-{slug}" if slug in RESERVED else slug or "study"


#: Words that are addresses beneath /studies.
RESERVED = frozenset({"new"})


def _form_of(record: StudyRecord) -> StudyForm:
    design = record.design
    return StudyForm(
        run=record.run_id,
        title=record.title,
        slug="",
        question=record.question,
        rule=record.rule,
        layers=",".join(map(str, design.layers)),
        neurons=design.neurons_per_version,
        conditions=",".join(design.conditions),
        snippets=design.snippets_per_card,
        repeat_share=design.repeat_share,
        planted_share=design.planted_share,
        raters=design.raters_expected,
        assignment=design.assignment,
    )


def _layers(text: str, run: RunRecord) -> tuple[int, ...]:
    n_layers = run.pair.left.n_layers
    if text.strip().lower() in ("", "all"):
        return tuple(range(n_layers))
    try:
        found = sorted({int(part) for part in text.split(",")})
    except ValueError:
        raise InvalidStudy(
            f"Layers are numbers with commas between them, or “all”, not {text[:40]!r}."
        ) from None
    if found[0] < 0 or found[-1] >= n_layers:
        raise InvalidStudy(f"Run {run.id} has layers 0–{n_layers - 1}, not {text[:40]}.")
    return tuple(found)


def _conditions(text: str) -> tuple[Condition, ...]:
    asked = {part.strip() for part in text.split(",")} - {""}
    unknown = asked - set(CONDITIONS)
    if unknown or not asked:
        named = ", ".join(sorted(unknown)) or "none"
        raise InvalidStudy(f"Conditions are among {', '.join(CONDITIONS)}, not {named[:80]}.")
    return tuple(condition for condition in CONDITIONS if condition in asked)


def _condition_choices() -> tuple[tuple[str, str], ...]:
    """Every choice of conditions, the most first: (value, words)."""
    return tuple(
        (",".join(chosen), ", ".join(map(condition_title, chosen)))
        for number in range(len(CONDITIONS), 0, -1)
        for chosen in combinations(CONDITIONS, number)
    )
