"""The list of labels: filters, rows with links to what they are on, and what one may take back."""

from __future__ import annotations

from dataclasses import dataclass

from server import urls
from server.access import Person
from server.errors import BadPage
from server.pages.fields import Link
from server.pages.labels import LabelListPage, LabelRow, VerdictName
from server.site import Site
from store import label_list
from store import runs as run_store
from store.label_list import ListedLabel, Wanted
from store.records import VERDICTS
from store.search import words_of

SIZE = 100


@dataclass(frozen=True)
class State:
    """What `/labels` was asked for."""

    pair: str | None = None
    annotator: str | None = None
    verdict: VerdictName | None = None
    text: str = ""
    history: bool = False
    page: int = 1

    def wanted(self) -> Wanted:
        """The same for the store."""
        return Wanted(
            pair=self.pair,
            annotator=self.annotator,
            verdict=self.verdict,
            words=words_of(self.text),
            history=self.history,
        )

    def parameters(self, page: int = 1) -> dict[str, str | int | None]:
        """As the address has them."""
        return {
            "pair": self.pair,
            "annotator": self.annotator,
            "verdict": self.verdict,
            "q": self.text or None,
            "history": 1 if self.history else None,
            "page": page if page > 1 else None,
        }


def label_list_page(site: Site, person: Person | None, state: State) -> LabelListPage:
    """`/labels`. Raises BadPage past the last page."""
    found, total = label_list.page(site.engine, state.wanted(), state.page, SIZE)
    n_pages = max(1, -(-total // SIZE))
    if state.page > n_pages:
        raise BadPage(
            f"There {'is one page' if n_pages == 1 else f'are {n_pages} pages'} of labels; page "
            f"{state.page} does not exist.",
            urls.label_list(state.parameters()),
        )
    may_label = person is not None and person.may("annotator")
    pairs = tuple(pair.slug for pair in run_store.list_pairs(site.engine))
    files = state.parameters()
    return LabelListPage(
        pair=state.pair,
        annotator=state.annotator,
        verdict=state.verdict,
        text=state.text,
        history=state.history,
        labels=tuple(_row(one, person if may_label else None) for one in found),
        total=total,
        page=state.page,
        n_pages=n_pages,
        pairs=pairs,
        annotators=tuple(label_list.annotators(site.engine)),
        verdicts=VERDICTS,
        queues=tuple(
            Link(urls.label_queue({"pair": slug}), slug, f"label {slug} one after another")
            for slug in pairs
            if may_label
        ),
        previous_href=(
            urls.label_list(state.parameters(state.page - 1)) if state.page > 1 else None
        ),
        next_href=(
            urls.label_list(state.parameters(state.page + 1)) if state.page < n_pages else None
        ),
        downloads=tuple(
            Link(urls.label_list(files, ending), ending) for ending in ("csv", "jsonl", "parquet")
        ),
        json_href=urls.label_list(state.parameters(state.page), "json"),
    )


def _row(one: ListedLabel, person: Person | None) -> LabelRow:
    name, href = _name(one), None
    if one.pair is not None and one.neuron is not None:
        href = urls.neuron(one.pair, one.layer, one.neuron)
    elif one.pair is not None and one.k is not None:
        href = urls.candidate(one.pair, one.layer, one.k, one.shown_run)
    own = person is not None and person.name == one.annotator and one.withdrawn_at is None
    return LabelRow(
        id=one.id,
        pair=one.pair,
        side=one.side,
        act_fn=one.act_fn,
        weights_sha256=one.weights_sha256,
        layer=one.layer,
        neuron=one.neuron,
        candidate=one.candidate,
        name=name,
        href=href,
        annotator=one.annotator,
        verdict=one.verdict,
        description=one.description,
        confidence=one.confidence,
        run=one.run_id,
        created_at=one.created_at,
        latest=one.latest,
        withdrawn_at=one.withdrawn_at,
        withdraw_href=urls.withdraw_label(one.id) if own else None,
    )


def _name(one: ListedLabel) -> str:
    if one.neuron is not None:
        return urls.neuron_name(one.layer, one.neuron)
    if one.k is not None:
        return urls.candidate_name(one.layer, one.k)
    return f"L{one.layer} {(one.candidate or '')[:8]}"
