"""A text through both versions: tokens, a neuron's values, the neurons most active on a token.

    answer = answer_text(pair, question, deadline)

The text is one token window of its own: BOS, then as many of its tokens as the models take. Each
version runs twice over it (milliseconds), once for the neuron's values at all tokens and once for
all neurons at the token: which neuron, or which token, may follow from the other.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from store.records import Side, Site
from worker.lean import Source
from worker.live.errors import BadQuestion
from worker.live.loaded import LoadedPair
from worker.live.question import ActiveNeuron, Answer, Question, SideAnswer
from worker.live.turns import Deadline

Floats = npt.NDArray[np.float32]


def answer_text(pair: LoadedPair, question: Question, deadline: Deadline) -> Answer:
    """The answer. Raises BadQuestion for a neuron or a token that is not there, and TooSlow."""
    check_place(pair, question)
    ids, n_dropped = window(pair, question.text)
    if question.token is not None and not 1 <= question.token < len(ids):
        raise BadQuestion(
            f"The text has tokens 1 to {len(ids) - 1}; token {question.token} does not exist",
            "token 0 is BOS, which stands before every text",
        )
    tokens = torch.tensor([ids], dtype=torch.long, device=pair.device)
    run = _Run(pair, tokens, deadline)
    sides = [side.side for side in pair.layout.sides if side.side in question.weights]
    first = sides[0]
    layer, neuron, token = question.layer, question.neuron, question.token
    if layer is None or neuron is None:
        token = len(ids) - 1 if token is None else token
        layer, neuron = (int(part) for part in _strongest(run.row(first, token), 1)[0])
    values = {side: run.column(side, layer, neuron) for side in sides}
    if token is None:
        token = 1 + int(np.argmax(values[first][pair.layout[first].display_site][1:]))
    rows = {side: run.row(side, token) for side in sides}
    return Answer(
        tokens=ids,
        n_dropped=n_dropped,
        layer=layer,
        neuron=neuron,
        token=token,
        versions={
            side: SideAnswer(
                display_site=pair.layout[side].display_site,
                values={site: _short(column) for site, column in values[side].items()},
                most_active=_most_active(
                    rows[side], [rows[one] for one in sides if one != side], question.most_active
                ),
                n_neurons=rows[side].size,
            )
            for side in sides
        },
    )


def check_place(pair: LoadedPair, question: Question) -> None:
    """Raise BadQuestion unless every version asked about has the layer and the neuron."""
    if question.layer is None or question.neuron is None:
        return
    for side in question.weights:
        layout = pair.layout[side]
        if not (0 <= question.layer < layout.n_layers and 0 <= question.neuron < layout.n_neurons):
            raise BadQuestion(
                f"L{question.layer}N{question.neuron} does not exist",
                f"{pair.slug} has layers 0 to {layout.n_layers - 1} of {layout.n_neurons} neurons",
            )


def window(pair: LoadedPair, text: str) -> tuple[list[int], int]:
    """BOS and the text's first tokens, at most n_ctx in all, and how many tokens are left out."""
    (ids,) = pair.tokenizer.encode([text])
    if not ids:
        raise BadQuestion("The tokenizer makes no token of this text", "give another one")
    kept = ids[: pair.n_ctx - 1]
    return [pair.tokenizer.bos, *kept], len(ids) - len(kept)


class _Run:
    """Forward passes over one window; `tokens` is [1, T]."""

    def __init__(self, pair: LoadedPair, tokens: Tensor, deadline: Deadline) -> None:
        self.pair = pair
        self.tokens = tokens
        self.deadline = deadline

    def column(self, side: Side, layer: int, neuron: int) -> dict[Site, Floats]:
        """The neuron's values at each site; [T] each."""
        found: dict[Site, Floats] = {}

        def take(at: int, sites: dict[str, Tensor]) -> None:
            if at == layer:
                for site in self.pair.layout[side].sites:
                    found[site] = sites[site][0, :, neuron].float().cpu().numpy()

        self._forward(side, take)
        return found

    def row(self, side: Side, token: int) -> Floats:
        """All neurons' display sites at a token; [n_layers, n_neurons]."""
        site = self.pair.layout[side].display_site
        rows: list[Floats] = []

        def take(_: int, sites: dict[str, Tensor]) -> None:
            rows.append(sites[site][0, token].float().cpu().numpy())

        self._forward(side, take)
        return np.stack(rows)

    def _forward(self, side: Side, take: Callable[[int, dict[str, Tensor]], None]) -> None:
        def sink(layer: int, sites: dict[str, Tensor], _: Source) -> None:
            self.deadline.check()
            take(layer, sites)

        with torch.inference_mode():
            self.pair.models[side].forward(self.tokens, sink=sink, want="none")


def _strongest(row: Floats, count: int) -> npt.NDArray[np.int64]:
    """(layer, neuron) of the highest of [n_layers, n_neurons], ties in their order; [count, 2]."""
    order = np.argsort(-row, axis=None, kind="stable")[:count]
    return np.stack(np.unravel_index(order, row.shape), axis=1)


def _most_active(row: Floats, others: list[Floats], count: int) -> list[ActiveNeuron]:
    found = []
    for layer, neuron in _strongest(row, count).tolist():
        other = others[0][layer, neuron] if others else None
        found.append(
            ActiveNeuron(
                layer=layer,
                neuron=neuron,
                activation=_short(row[layer, neuron : neuron + 1])[0],
                other_activation=None if other is None else _short(other.reshape(1))[0],
                other_rank=None if other is None else 1 + int((others[0] > other).sum()),
            )
        )
    return found


def _short(values: Floats) -> list[float]:
    """The shortest decimals that read back as these float32 numbers."""
    return [float(str(value)) for value in values]
