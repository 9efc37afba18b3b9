"""What the live worker is asked and what it answers, as they stand in JSON.

    question = read_question(b'{"pair": "pystd-2l", "weights": {"left": "d013…"}, "text": "self"}')

`weights` and `tokenizer` are the SHA-256 of the run whose pages show the answer: numbers of other
weights, or token ids of another tokenizer, must never stand there.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from store.records import Side, Site
from worker.errors import PairError
from worker.live.errors import BadQuestion, TextTooLong
from worker.pairs import check_slug

MAX_CHARACTERS = 2000
MAX_MOST_ACTIVE = 50


@dataclass(frozen=True)
class Question:
    """A text with what to say of it.

    `weights` has the sides that are asked about. Without `layer` and `neuron` the neuron most
    active on the token is taken; without `token` (its position, BOS is 0) the one on which the
    neuron is most active in the first version, or without either the last.
    """

    pair: str
    weights: dict[Side, str]
    text: str
    tokenizer: str | None = None
    layer: int | None = None
    neuron: int | None = None
    token: int | None = None
    most_active: int = 10


@dataclass(frozen=True)
class ActiveNeuron:
    """One of the neurons most active on a token, by the display site of its version.

    `other_activation` is that of the same index in the other version, at that one's display site,
    `other_rank` its rank there among all neurons of the model, from 1. None in a single-sided run.
    """

    layer: int
    neuron: int
    activation: float
    other_activation: float | None
    other_rank: int | None


@dataclass(frozen=True)
class SideAnswer:
    """One version: `values[site]` of the neuron has a value a token, BOS included.

    `n_neurons` is how many neurons the most active ones were chosen from: those of all layers.
    """

    display_site: Site
    values: dict[Site, list[float]]
    most_active: list[ActiveNeuron]
    n_neurons: int


@dataclass(frozen=True)
class Answer:
    """`tokens` are ids, BOS first; `n_dropped` tokens of the text lie beyond the models' window."""

    tokens: list[int]
    n_dropped: int
    layer: int
    neuron: int
    token: int
    versions: dict[Side, SideAnswer]


_QUESTION = TypeAdapter(Question)


def read_question(body: bytes) -> Question:
    """The question in a request's body. Raises BadQuestion and TextTooLong."""
    try:
        question = _QUESTION.validate_json(body, strict=True)
        check_slug(question.pair)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the question"
        raise BadQuestion(f"{place}: {first['msg']}", "docs/api.md says what is asked") from error
    except PairError as error:
        raise BadQuestion(error.message, error.hint) from error
    if not question.weights:
        raise BadQuestion("weights: no version is asked about", "name left, right or both")
    if not question.text:
        raise BadQuestion("The text is empty", "give at least one character")
    if len(question.text) > MAX_CHARACTERS:
        raise TextTooLong(
            f"The text has {len(question.text):,} characters",
            f"at most {MAX_CHARACTERS:,} are read",
        )
    if (question.layer is None) != (question.neuron is None):
        raise BadQuestion("A neuron is named by layer and neuron", "give both, or neither")
    if not 1 <= question.most_active <= MAX_MOST_ACTIVE:
        raise BadQuestion(
            f"most_active is {question.most_active}", f"ask for 1 to {MAX_MOST_ACTIVE}"
        )
    return question
