"""Live text: what the worker is asked about a run's pair, and its answer as a page."""

from __future__ import annotations

from dataclasses import dataclass, replace

from server import urls
from server.compose.labels import model_of
from server.compose.pair_links import pair_links
from server.compose.selection import check_neuron
from server.errors import BadParameter, PageError, TextTooLong, WorkerUnreachable
from server.live_client import ActiveNeuron, Answer, Question, SideAnswer
from server.pages.live import (
    ActiveView,
    FaultView,
    LivePage,
    LiveResult,
    LiveToken,
    LiveVersion,
    LiveVersions,
)
from server.quantiles import quantile
from server.site import Site
from server.token_text import token_string
from store import examples, neurons
from store.records import RunRecord, Side

MAX_CHARACTERS = 2000
MOST_ACTIVE = 10

#: For a neuron that has no example of its own.
EXAMPLE = "def first(items):\n    return items[0] if items else None\n"


@dataclass(frozen=True)
class Asked:
    """The state of the page besides its run; `text` None or "" asks for an example."""

    text: str | None = None
    layer: int | None = None
    neuron: int | None = None
    token: int | None = None

    def address(self, run: RunRecord, pinned: bool) -> str:
        """The page in this state, pinned to the run or not."""
        return urls.live(
            run.pair.slug,
            text=self.text,
            layer=self.layer,
            neuron=self.neuron,
            token=self.token,
            run=run.id if pinned else None,
        )


def asked(text: str | None, layer: int | None, neuron: int | None, token: int | None) -> Asked:
    """What an address asks for: a form may leave the neuron empty beside a layer."""
    if neuron is not None and layer is None:
        raise BadParameter("neuron: a layer is needed beside it, such as layer=0.")
    return Asked(plain(text or "") or None, None if neuron is None else layer, neuron, token)


def plain(text: str) -> str:
    """The text as a form gives it back: line ends are LF, what no page can hold is U+FFFD."""
    lines = (
        text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\N{REPLACEMENT CHARACTER}")
    )
    return lines.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def with_text(site: Site, run: RunRecord, state: Asked) -> Asked:
    """The state with a text: the reader's, or else the neuron's own top example.

    Errors: NeuronNotFound, TextTooLong.
    """
    layer, neuron = state.layer or 0, state.neuron or 0
    check_neuron(run, layer, neuron)
    if state.text is None:
        return replace(state, text=example_text(site, run, layer, neuron))
    if len(state.text) > MAX_CHARACTERS:
        raise TextTooLong(
            f"The text has {len(state.text):,} characters; "
            f"at most {MAX_CHARACTERS:,} are read here."
        )
    return state


def example_text(site: Site, run: RunRecord, layer: int, neuron: int) -> str:
    """The snippet in which the left version is highest, without what stands before its text."""
    shown = examples.of_neuron(site.engine, run.id, "left", layer, neuron)
    if not shown:
        return EXAMPLE
    vocabulary = site.vocabulary(run.id)
    first = 0 if shown[0].example.start else 1  # a window's first token is BOS
    snippet = b"".join(vocabulary[token] for token in shown[0].tokens.tolist()[first:])
    return plain(snippet.decode("utf-8", errors="ignore"))[:MAX_CHARACTERS] or EXAMPLE


def question_of(run: RunRecord, state: Asked) -> Question:
    """What the worker is asked, with the identity of the models that the run is of."""
    pair = run.pair
    weights: dict[Side, str] = {"left": pair.left.weights_sha256}
    if pair.right is not None:
        weights["right"] = pair.right.weights_sha256
    tokenizer = run.identity.get("tokenizer")
    return Question(
        pair=pair.slug,
        weights=weights,
        text=state.text or EXAMPLE,
        tokenizer=tokenizer if isinstance(tokenizer, str) else None,
        layer=state.layer,
        neuron=state.neuron,
        token=state.token,
        most_active=min(MOST_ACTIVE, pair.left.n_layers * pair.left.d_mlp),
    )


def live_page(
    site: Site,
    run: RunRecord,
    state: Asked,
    text: str,
    pinned: bool,
    answer: Answer | None,
    fault: PageError | None,
) -> LivePage:
    """The page: `state` is what the address asked for, `text` what was or would have been run.

    Raises WorkerUnreachable where the answer does not fit the run.
    """
    slug, model = run.pair.slug, run.pair.left
    result = None if answer is None else _result(site, run, state, text, pinned, answer)
    resolved = replace(state, text=text)
    if result is not None:
        resolved = Asked(text, result.layer, result.neuron, result.token)
    layer, neuron = resolved.layer, resolved.neuron
    named = layer is not None and neuron is not None
    return LivePage(
        pair=slug,
        pair_name=run.pair.name,
        run=run.id,
        pinned=pinned,
        href=state.address(run, pinned),
        permalink=resolved.address(run, pinned=True),
        text=text,
        is_example=state.text is None,
        layer=state.layer,
        neuron=state.neuron,
        token=state.token,
        name=urls.neuron_name(layer, neuron) if layer is not None and neuron is not None else None,
        max_characters=MAX_CHARACTERS,
        n_ctx=model.n_ctx,
        n_layers=model.n_layers,
        n_neurons=model.d_mlp,
        left_act_fn=model.act_fn,
        right_act_fn=None if run.pair.right is None else run.pair.right.act_fn,
        has_worker=site.settings.worker_url is not None,
        fault=None
        if fault is None
        else FaultView(fault.status, fault.code, fault.message, fault.hint),
        result=result,
        neuron_href=urls.neuron(slug, layer or 0, neuron or 0, run=run.id if pinned else None)
        if named
        else None,
        action=urls.live(slug),
        links=pair_links(run, pinned, "live"),
        json_href=urls.json_twin(state.address(run, pinned)),
    )


def _result(
    site: Site, run: RunRecord, state: Asked, text: str, pinned: bool, answer: Answer
) -> LiveResult:
    vocabulary = site.vocabulary(run.id)
    if not all(0 <= token < len(vocabulary) for token in answer.tokens):
        raise WorkerUnreachable("The live worker answered with tokens that this run does not know.")
    pieces = tuple(vocabulary[token] for token in answer.tokens)
    versions = {
        side: _version(site, run, side, text, pinned, answer, found)
        for side, found in answer.versions.items()
    }
    return LiveResult(
        layer=answer.layer,
        neuron=answer.neuron,
        name=urls.neuron_name(answer.layer, answer.neuron),
        chosen=state.neuron is None,
        token=answer.token,
        tokens=tuple(token_string(piece) for piece in pieces),
        n_dropped=answer.n_dropped,
        versions=LiveVersions(versions.get("left"), versions.get("right")),
        pieces=pieces,
    )


def _version(
    site: Site,
    run: RunRecord,
    side: Side,
    text: str,
    pinned: bool,
    answer: Answer,
    found: SideAnswer,
) -> LiveVersion:
    model, run_id = model_of(run, side), run.id if pinned else None
    record = neurons.get(site.engine, run.id, side, answer.layer, answer.neuron)
    statistics = None if record is None else record.sites.get(found.display_site)
    if statistics is None:
        raise WorkerUnreachable("The live worker answered about a neuron that this run lacks.")
    values = found.values[found.display_site]
    highest = max(range(1, len(values)), key=lambda token: values[token])

    def at(token: int) -> LiveToken:
        return LiveToken(token, values[token], quantile(statistics, values[token]))

    def active(one: ActiveNeuron) -> ActiveView:
        there = neurons.get(site.engine, run.id, side, one.layer, one.neuron)
        of_site = None if there is None else there.sites.get(found.display_site)
        return ActiveView(
            layer=one.layer,
            neuron=one.neuron,
            name=urls.neuron_name(one.layer, one.neuron),
            href=urls.neuron(run.pair.slug, one.layer, one.neuron, run=run_id),
            live_href=Asked(text, one.layer, one.neuron, answer.token).address(run, pinned),
            activation=one.activation,
            quantile=None if of_site is None else quantile(of_site, one.activation),
            other_activation=one.other_activation,
            other_rank=one.other_rank,
        )

    largest = max(abs(statistics.min or 0.0), abs(statistics.max or 0.0))
    return LiveVersion(
        side=side,
        model=model.name,
        act_fn=model.act_fn,
        name=urls.neuron_name(answer.layer, answer.neuron),
        href=urls.neuron(run.pair.slug, answer.layer, answer.neuron, run=run_id),
        display_site=found.display_site,
        values={name: tuple(found.values[name]) for name in found.values},
        scale=largest if statistics.std else None,
        at_token=at(answer.token),
        highest=at(highest),
        most_active=tuple(active(one) for one in found.most_active),
        n_neurons=found.n_neurons,
    )
