"""Pairs in the live worker's memory: loaded on first use, and only of the weights asked for.

    pairs = LoadedPairs({"my-pair": Path("~/pairs/my-pair")}, device="auto")
    pair = pairs.get(question)

A pair is found by its slug among those given and those that ship. The last few stay loaded. One
whose files have changed is loaded anew when a question asks for other weights than it has.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from store.records import SIDES, Side
from worker.errors import WorkerError
from worker.layout import Layout
from worker.lean import LeanModel
from worker.live.errors import OtherWeights, PairNotHere
from worker.live.question import Question
from worker.models import load_native, resolve_device
from worker.pairs import Pair, load_pair
from worker.tokenizer import PairTokenizer, load_tokenizer

log = logging.getLogger("twinscope.worker")

PAIRS_KEPT = 2


@dataclass(frozen=True)
class LoadedPair:
    """Both models of a pair and its tokenizer, ready for texts."""

    slug: str
    n_ctx: int
    d_vocab: int
    device: torch.device
    layout: Layout
    models: dict[Side, LeanModel]
    tokenizer: PairTokenizer
    weights: dict[Side, str]
    tokenizer_sha256: str

    def fits(self, question: Question) -> bool:
        """Whether these are the weights and the tokenizer that the question is about."""
        return question.weights.items() <= self.weights.items() and question.tokenizer in (
            None,
            self.tokenizer_sha256,
        )


class LoadedPairs:
    """The worker's pairs. Used by one thread at a time."""

    def __init__(self, directories: Mapping[str, Path], device: str = "auto") -> None:
        self._directories = dict(directories)
        self._device = resolve_device(device)
        self._kept: OrderedDict[str, LoadedPair] = OrderedDict()
        # Two threads lose more to each other than a text of this size gains by them.
        if self._device.type == "cpu":
            torch.set_num_threads(1)

    def get(self, question: Question) -> LoadedPair:
        """The pair that a question is about. Raises PairNotHere and OtherWeights."""
        kept = self._kept.get(question.pair)
        if kept is None or not kept.fits(question):
            kept = self._load(question)
            self._kept[question.pair] = kept
        self._kept.move_to_end(question.pair)
        while len(self._kept) > PAIRS_KEPT:
            self._kept.popitem(last=False)
        return kept

    def _load(self, question: Question) -> LoadedPair:
        slug = question.pair
        try:
            pair = load_pair(self._directories.get(slug, slug))
        except WorkerError as error:
            log.warning("%s", error)
            raise PairNotHere(
                f"The live worker has no pair {slug}",
                "start it with --pair and the pair's directory",
            ) from error
        _check(pair, question)
        try:
            return _load_pair(pair, self._device)
        except WorkerError as error:
            log.error("%s", error)
            raise PairNotHere(
                f"The live worker cannot load {slug}", "its own log says why"
            ) from error


def _check(pair: Pair, question: Question) -> None:
    """Raise OtherWeights before anything is loaded."""
    differing = [
        f"its {side} weights"
        for side, sha256 in question.weights.items()
        if getattr(pair, side).sha256 != sha256
    ]
    if question.tokenizer not in (None, _sha256(pair.tokenizer_path)):
        differing.append("its tokenizer")
    if differing:
        raise OtherWeights(
            f"The live worker has another {pair.slug} than this run was computed with "
            f"({' and '.join(differing)} differ)",
            "bring back the run's own pair, or precompute a new run",
        )


def _load_pair(pair: Pair, device: torch.device) -> LoadedPair:
    versions = {side: version for side in SIDES if (version := getattr(pair, side)) is not None}
    n_ctx, d_vocab = (int(pair.left.config[size]) for size in ("n_ctx", "d_vocab"))
    return LoadedPair(
        slug=pair.slug,
        n_ctx=n_ctx,
        d_vocab=d_vocab,
        device=device,
        layout=Layout.of_configs({side: version.config for side, version in versions.items()}),
        models={side: LeanModel(load_native(one, device)) for side, one in versions.items()},
        tokenizer=load_tokenizer(pair.tokenizer_path, pair.bos_token, d_vocab),
        weights={side: version.sha256 for side, version in versions.items()},
        tokenizer_sha256=_sha256(pair.tokenizer_path),
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
