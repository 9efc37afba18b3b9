"""Counterexamples by substitution: one token changed, so that a neuron fires where its top
examples would not let one expect it, or falls silent where they would.

    for record in substitutions(engine, requests, layout, reporter): ...

From a window of the corpus one token is changed: the *focus* (to a token that no top example has
there, so that the neuron fires as strongly as it can), or a token before it (so that the neuron
falls *silent*, or is *raised*). The first-order change of `pre` at the focus ranks all
replacements [HotFlip: Ebrahimi et al. 2018]; the best CANDIDATES of them are tried by true forward
passes, and the best by the display site is kept, with the values of another forward pass of the
whole changed window.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor

from store.evidence_records import CounterexampleRecord
from store.records import HalfArray, Side, Site, TokenArray
from worker.activations import Models
from worker.engine import Engine
from worker.evidence.passes import mlp_of, run
from worker.halves import to_half
from worker.layout import Layout
from worker.lean import LeanModel, _attention
from worker.reporter import Reporter
from worker.settings import StatisticsSettings

Goal = Literal["focus", "silence", "raise"]

CANDIDATES = 512
_BATCH = {"cpu": 64, "mps": 256, "cuda": 512}
RULES: dict[Goal, str] = {
    "focus": "another token at the focus",
    "silence": "another token before the focus, least activation",
    "raise": "another token before the focus, most activation",
}


@dataclass(frozen=True)
class Start:
    """A window to change one token of, for one version. `tokens` [length], BOS first; `position`
    is the focus; `excluded` are token ids that may not be put at the focus."""

    side: Side
    layer: int
    neuron: int
    rank: int
    goal: Goal
    document: int
    window: int
    position: int
    tokens: TokenArray
    excluded: tuple[int, ...] = ()

    @property
    def has_something_to_change(self) -> bool:
        """Whether there is a token that the goal allows to be changed: BOS stays."""
        return self.goal == "focus" or self.position > 1

    def __str__(self) -> str:
        return f"substitution for L{self.layer}N{self.neuron} of {self.side}"


@dataclass(frozen=True)
class SubstitutionJob:
    """`handle` takes a Start and gives a CounterexampleRecord, or None where nothing can be
    changed (a focus without a token before it)."""

    layout: Layout
    settings: StatisticsSettings
    candidates: int = CANDIDATES

    def open(self, models: Models) -> SubstitutionWork:
        return SubstitutionWork(self, models)


class SubstitutionWork:
    """One worker's part."""

    def __init__(self, job: SubstitutionJob, models: Models) -> None:
        self._job, self._models = job, models

    def handle(self, start: Start) -> CounterexampleRecord | None:
        lean, device = self._models.lean[start.side], self._models.device
        seen = torch.from_numpy(start.tokens[: start.position + 1]).long().to(device)
        position, token = _proposed(lean, start, seen, self._job.candidates)
        if not len(position):
            return None
        tried = seen.repeat(len(position), 1)
        tried[torch.arange(len(position), device=device), position] = token
        with torch.inference_mode():
            step = _BATCH[device.type]
            found = torch.cat([_shown(lean, start, part) for part in torch.split(tried, step)])
            before = float(_shown(lean, start, seen[None])[0])
        best = int(found.argmin() if start.goal == "silence" else found.argmax())
        return self._record(lean, start, int(position[best]), int(token[best]), before)

    def finish(self) -> None:
        return None

    def _record(
        self, lean: LeanModel, start: Start, changed: int, token: int, before: float
    ) -> CounterexampleRecord:
        settings = self._job.settings
        tokens = start.tokens.copy()
        tokens[changed] = token
        first = max(0, start.position - settings.before)
        end = min(len(tokens), start.position + settings.after + 1)
        with torch.inference_mode():
            trace = run(lean, torch.from_numpy(tokens)[None].long().to(self._models.device))
        by_site = {"pre": trace.pre, "mid": trace.activated, "post": trace.post}
        own = self._job.layout[start.side]
        values: dict[Site, HalfArray] = {}
        for site in own.sites:
            column = by_site[site][start.layer][0, :, start.neuron].float().cpu().numpy()
            values[site] = to_half(column[first:end])
        shown = trace.activated[start.layer][0, start.position, start.neuron]
        return CounterexampleRecord(
            side=start.side,
            layer=start.layer,
            neuron=start.neuron,
            kind="substitution",
            rank=start.rank,
            document=start.document,
            window=start.window,
            position=start.position,
            start=first,
            activation=float(shown),
            values=values,
            distance=None,
            rule=RULES[start.goal],
            tokens=tokens,
            changed=changed,
            original=int(start.tokens[changed]),
            original_activation=before,
        )


def _before_activation(lean: LeanModel, embedded: Tensor, layer: int) -> Tensor:
    """`pre` of a layer [B, T, n] from token embeddings [B, T, d]."""
    model = lean.model
    assert model.pos is not None
    x = embedded + model.pos.weight[: embedded.shape[1]]
    for index, block in enumerate(model.layers):
        x = x + _attention(block.attn, block.ln1(x))
        mlp = mlp_of(lean, index)
        pre = cast(Tensor, mlp.fc_in(block.ln2(x)))
        if index == layer:
            return pre
        after = mlp.act(pre)
        x = x + mlp.fc_out(after if mlp.ln is None else mlp.ln(after))
    raise IndexError(f"there is no layer {layer}")


def _shown(lean: LeanModel, start: Start, tokens: Tensor) -> Tensor:
    """The display site at the last token of each row; tokens [B, T]."""
    pre = _before_activation(lean, lean.model.tok_embed(tokens), start.layer)[:, -1]
    activated: Tensor = mlp_of(lean, start.layer).act(pre)
    return activated[:, start.neuron]


def _proposed(
    lean: LeanModel, start: Start, seen: Tensor, candidates: int
) -> tuple[Tensor, Tensor]:
    """Positions and token ids of the most promising replacements, the best first."""
    table = lean.model.tok_embed.weight  # [V, d]
    with torch.enable_grad():
        embedded = table[seen].detach()[None].requires_grad_()
        pre = _before_activation(lean, embedded, start.layer)[0, -1, start.neuron]
        (gradient,) = torch.autograd.grad(pre, embedded)
    with torch.inference_mode():
        gain = gradient[0] @ table.T  # [T, V]
        gain = gain - gain.gather(1, seen[:, None])
        if start.goal == "silence":
            gain = -gain
        allowed = torch.ones_like(gain, dtype=torch.bool)
        allowed.scatter_(1, seen[:, None], False)
        allowed[:, seen[0]] = False  # BOS begins a window and stands nowhere else
        allowed[0] = False
        if start.goal == "focus":
            allowed[:-1] = False
            allowed[-1, list(start.excluded)] = False
        else:
            allowed[-1] = False
        gain = gain.masked_fill(~allowed, -torch.inf).flatten()
        best = gain.topk(min(candidates, int(allowed.sum()))).indices
        return best // len(table), best % len(table)


def substitutions(
    engine: Engine,
    starts: Iterable[Start],
    layout: Layout,
    settings: StatisticsSettings,
    reporter: Reporter,
) -> Iterator[CounterexampleRecord]:
    """Records by side, layer, neuron and rank; ranks are the starts'."""
    tasks = list(starts)
    reporter.step("substitution", len(tasks), "searches")
    found = []
    for done, result in enumerate(engine.run(SubstitutionJob(layout, settings), tasks), 1):
        reporter.advance(done)
        if result is not None:
            found.append(result)
    yield from sorted(found, key=lambda one: (one.side, one.layer, one.neuron, one.rank))
