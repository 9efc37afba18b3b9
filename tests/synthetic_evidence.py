"""Plausible, varied evidence for a synthetic run: records alone, no torch.

    run = publish_synthetic(engine)
    made = publish_synthetic_evidence(engine, run)      # what was published, by kind

What is in it on purpose:

    neuron 0    dead: no effect, so no share, curve, score or sense
    neuron 1    exact, hidden to a large part, of two senses
    neuron 2    an estimate with its error (even layers are exact else)
    layer 0     two candidates on the left, one on the right; neuron 3 takes part in each
    layer 1     searched, but no candidate kept
    left N3     mined counterexamples of both kinds, and a search by substitution
    left N4     a search by substitution that found nothing
    control     in the loss differences

Documents and windows beyond the run's own come with it, so that they are seen to be added.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from store import publish_evidence
from store.engine import Engine
from store.evidence_records import (
    CURVE_QUANTILES,
    CandidateRecord,
    CandidateSearchRecord,
    ContextRecord,
    CounterexampleRecord,
    EstimateCheckRecord,
    HiddenShareRecord,
    JointDensityRecord,
    LayerEvidenceRecord,
    LossDifferenceRecord,
    PolysemanticityRecord,
    SenseRecord,
    SubstitutionSearchRecord,
)
from store.histogram_edges import N_BINS
from store.records import BANDS, DocumentRecord, RunRecord, Side, Site, WindowRecord
from tests.synthetic_run import DEAD, N_CTX, SITES_OF

PARAMETERS: dict[str, Any] = {"tokens": 100_000, "exact": "all", "seed": 0, "method": 1}
PROVENANCE: dict[str, Any] = {
    "seconds": {"effects": 41.5, "candidates": 12.0},
    "forward_passes": 9.5,
}
SEARCHED, SEARCHED_IN_VAIN = 3, 4
SCORED = ("top", "q99.9-100", "q99-99.9", "q90-99")
EXTRA_DOCUMENT = 1_000
N_EXTRA = 12

MID_EDGES = np.array([-16, -1, -0.125, 0, 0.125, 1, 16], np.float32)
POST_EDGES = np.array([-32, -4, -1, 0, 1, 4, 32], np.float32)

_Place = tuple[Side, int, int]


@dataclass(frozen=True)
class SyntheticEvidence:
    """The records of an evidence stage, and of the searches that came after."""

    documents: list[DocumentRecord]
    windows: list[WindowRecord]
    hidden_shares: list[HiddenShareRecord]
    joint_densities: list[JointDensityRecord]
    polysemanticities: list[PolysemanticityRecord]
    layers: list[LayerEvidenceRecord]
    estimate_checks: list[EstimateCheckRecord]
    loss_differences: list[LossDifferenceRecord]
    candidate_searches: list[CandidateSearchRecord]
    candidates: list[CandidateRecord]
    counterexamples: list[CounterexampleRecord]
    searches: list[tuple[SubstitutionSearchRecord, list[CounterexampleRecord]]]


KINDS = (
    "documents",
    "windows",
    "hidden_shares",
    "joint_densities",
    "polysemanticities",
    "layers",
    "estimate_checks",
    "loss_differences",
    "candidate_searches",
    "candidates",
    "counterexamples",
)


def publish_synthetic_evidence(engine: Engine, run: RunRecord, seed: int = 0) -> SyntheticEvidence:
    """Publish the evidence stage of a synthetic run, and two searches; what was published."""
    made = synthetic_evidence(run, seed)
    load_evidence(engine, run, made)
    for search, found in made.searches:
        publish_evidence.publish_search(engine, run.id, search, found, made.windows, made.documents)
    return made


def load_evidence(engine: Engine, run: RunRecord, made: SyntheticEvidence) -> None:
    """Load and publish the stage's records, without searches."""
    with publish_evidence.loading_stage(
        engine, run.id, "evidence", PARAMETERS, PROVENANCE
    ) as loader:
        for kind in KINDS:
            getattr(loader, kind)(getattr(made, kind))
        loader.publish()


def synthetic_evidence(run: RunRecord, seed: int = 0) -> SyntheticEvidence:
    """The records; the same run and seed give the same ones."""
    rng = np.random.default_rng(seed)
    models = {"left": run.pair.left, "right": run.pair.right}
    sides: list[Side] = [side for side in ("left", "right") if models[side] is not None]  # type: ignore[misc]
    left = run.pair.left
    n_layers, d_mlp, n_tokens, d = left.n_layers, left.d_mlp, left.d_vocab, left.d_model
    sites = {side: SITES_OF[models[side].act_fn] for side in sides}  # type: ignore[union-attr]
    windows = _windows(rng, n_tokens)
    places = [
        (side, layer, neuron)
        for side in sides
        for layer in range(n_layers)
        for neuron in range(d_mlp)
    ]
    counts = {"left": 2, "right": 1}
    searched = [
        place for place in places if place[0] == "left" and place[2] == SEARCHED and place[1] == 0
    ]
    return SyntheticEvidence(
        documents=[
            DocumentRecord(EXTRA_DOCUMENT + i, "stdlib", f"evidence/<b>{i}</b>.py")
            for i in range(N_EXTRA)
        ],
        windows=windows,
        hidden_shares=[_hidden_share(rng, place) for place in places],
        joint_densities=[_joint(rng, place) for place in places if "mid" in sites[place[0]]],
        polysemanticities=[_meaning(rng, place, n_tokens) for place in places],
        layers=[
            _layer(rng, side, i, "mid" in sites[side]) for side in sides for i in range(n_layers)
        ],
        estimate_checks=[
            EstimateCheckRecord(side, layer, 0, None, None, None, None)
            if layer == n_layers - 1 and layer > 0 and side == "right"
            else EstimateCheckRecord(side, layer, d_mlp, 0.97, 0.01 * (1 + layer), 0.03, 1.002)
            for side in sides
            for layer in range(n_layers)
        ],
        loss_differences=_losses(len(sides) == 2),
        candidate_searches=[
            CandidateSearchRecord(
                side, layer, 49_152, 0.31 if layer == 0 else None, 6, _kept(counts, side, layer)
            )
            for side in sides
            for layer in range(n_layers)
        ],
        candidates=[
            _candidate(rng, side, 0, rank, windows, d, d_mlp, n_tokens, len(sides) == 2)
            for side in sides
            for rank in range(counts[side])
        ],
        counterexamples=[
            _mined(rng, place, kind, rank, windows, sites[place[0]])
            for place in places
            if place[2] in (SEARCHED, SEARCHED + 2)
            for kind in ("unlike", "silent")
            for rank in range(2)
        ],
        searches=[
            (
                SubstitutionSearchRecord(*searched[0], 512, {"candidates": 512}),
                [
                    _substitution(rng, searched[0], rank, windows, sites["left"], n_tokens)
                    for rank in range(3)
                ],
            ),
            (SubstitutionSearchRecord("left", 0, SEARCHED_IN_VAIN, 512, {}), []),
        ],
    )


def _kept(counts: dict[str, int], side: str, layer: int) -> int:
    return counts[side] if layer == 0 else 0


def _windows(rng: np.random.Generator, n_tokens: int) -> list[WindowRecord]:
    """One window a new document; BOS first."""
    made = []
    for i in range(N_EXTRA):
        tokens = rng.integers(257, n_tokens, N_CTX - i % 3).astype(np.int32)
        tokens[0] = 256
        made.append(WindowRecord(EXTRA_DOCUMENT + i, 0, tokens))
    return made


def _hidden_share(rng: np.random.Generator, place: _Place) -> HiddenShareRecord:
    _, layer, neuron = place
    if neuron == DEAD:
        mass = np.zeros(N_BINS, np.float32)
        curve: tuple[float | None, ...] = (None,) * len(CURVE_QUANTILES)
        return HiddenShareRecord(*place, 0.0, None, "exact", None, None, 0.0, None, curve, mass)
    exact = layer % 2 == 0 and neuron != 2
    share = 0.93 if neuron == 1 else float(rng.uniform(0.05, 0.7))
    effect = float(rng.lognormal(-6, 1))
    rising = np.sort(rng.uniform(0, share, len(CURVE_QUANTILES) - 3)).tolist()
    bins = np.zeros(N_BINS)
    low = int(rng.integers(196, 300))
    bins[low : low + 60] = rng.exponential(size=60)
    return HiddenShareRecord(
        *place,
        effect=effect,
        share=share,
        method="exact" if exact else "estimate",
        error=None if exact else 0.04,
        interval=(share * 0.9, min(1.0, share * 1.05)),
        estimated_effect=effect * 1.1,
        estimated_share=min(1.0, share + 0.02),
        curve=(0.0, *rising, share, 1.0),
        mass=(bins / bins.sum() * effect).astype(np.float32),
    )


def _joint(rng: np.random.Generator, place: _Place) -> JointDensityRecord:
    shape = (len(MID_EDGES) - 1, len(POST_EDGES) - 1)
    counts = rng.poisson(40, shape) * (rng.random(shape) < 0.6)
    return JointDensityRecord(*place, MID_EDGES, POST_EDGES, counts.astype(np.int64))


def _meaning(rng: np.random.Generator, place: _Place, n_tokens: int) -> PolysemanticityRecord:
    neuron = place[2]
    if neuron == DEAD:
        nothing = dict.fromkeys(SCORED)
        return PolysemanticityRecord(*place, None, nothing, None, None, None)
    bands: dict[str, float | None] = {band: float(rng.uniform(0.1, 0.9)) for band in SCORED}
    if neuron % 3 == 0:
        bands["top"] = None
    known = [score for score in bands.values() if score is not None]
    number = 2 if neuron == 1 else 1 + neuron % 3
    shares = np.sort(rng.dirichlet(np.full(number, 3.0)))[::-1]
    senses = tuple(
        SenseRecord(
            rank=rank,
            share=float(share),
            band=SCORED[rank % 3],
            tokens=tuple(
                (int(token), 9 - i)
                for i, token in enumerate(rng.choice(np.arange(257, n_tokens), 4, replace=False))
            ),
            examples=tuple(("top", i) for i in range(6) if i % number == rank),
        )
        for rank, share in enumerate(shares)
    )
    return PolysemanticityRecord(
        *place,
        score=max(known),
        bands=bands,
        token_entropy=float(rng.uniform(0, 2.5)),
        max_token_share=float(rng.uniform(0.1, 1)),
        token_variance_explained=float(rng.uniform(0, 0.9)),
        senses=senses,
    )


def _layer(rng: np.random.Generator, side: Side, layer: int, has_mid: bool) -> LayerEvidenceRecord:
    recovered = np.sort(rng.uniform(0.05, 1, len(CURVE_QUANTILES) - 2))[::-1]
    orphan = float(rng.uniform(0.02, 0.4))
    rescue = rng.dirichlet(np.linspace(8, 1, 10))
    return LayerEvidenceRecord(
        side=side,
        layer=layer,
        n_tokens=20_480,
        layer_effect=float(rng.uniform(0.05, 0.8)),
        kept_share=tuple(1 - q for q in CURVE_QUANTILES),
        loss_recovered=(1.0, *recovered.tolist(), 0.0),
        orphan_effect=orphan,
        orphan_interval=(orphan * 0.8, orphan * 1.2),
        orphan_token_share=0.4,
        rescue=tuple(rescue.tolist()) if has_mid else None,
    )


def _losses(paired: bool) -> list[LossDifferenceRecord]:
    differences = {("left", "control"): -0.041}
    if paired:
        differences |= {("left", "right"): 0.0007, ("control", "right"): 0.042}
    return [
        LossDifferenceRecord(
            side, against, source, 40, 20_000, 63_000, value, (value - 0.004, value + 0.004)
        )
        for (side, against), value in differences.items()
        for source in ("", "site-packages", "stdlib")
    ]


def _candidate(
    rng: np.random.Generator,
    side: Side,
    layer: int,
    rank: int,
    windows: list[WindowRecord],
    d: int,
    d_mlp: int,
    n_tokens: int,
    paired: bool,
) -> CandidateRecord:
    direction = rng.normal(size=d)
    effects = sorted(
        ((int(t), float(np.float32(rng.normal()))) for t in rng.integers(257, n_tokens, 8)),
        key=lambda effect: -effect[1],
    )
    others = [neuron for neuron in range(1, d_mlp) if neuron != SEARCHED][:3]
    carriers = tuple(zip((SEARCHED, *others), (0.31, 0.2, 0.12, -0.05), strict=False))
    bands = ("top", "q99.9-100", "q99-99.9", "q90-99", "q50-90")
    return CandidateRecord(
        side=side,
        layer=layer,
        rank=rank,
        direction=(direction / np.linalg.norm(direction)).astype(np.float32),
        token_share=0.02 / (1 + rank),
        effect=0.011 / (1 + rank),
        random_quantile=1.0 - 0.02 * rank,
        random_median=0.002,
        participation=3.4 + rank,
        carriers=carriers,
        other_carriers=carriers[:2] if paired else (),
        promoted=tuple(effects[:4]),
        suppressed=tuple(reversed(effects[4:])),
        contexts={
            band: tuple(
                _context(rng, windows[(i + number) % len(windows)], 5.0 / (1 + i) - 0.3 * number)
                for number in range(3)
            )
            for i, band in enumerate(bands)
        },
    )


def _context(rng: np.random.Generator, window: WindowRecord, value: float) -> ContextRecord:
    position, start, end = _snippet(rng, window)
    values = rng.normal(size=end - start).astype(np.float16)
    values[position - start] = value
    return ContextRecord(window.document, window.window, position, start, value, values)


def _snippet(rng: np.random.Generator, window: WindowRecord) -> tuple[int, int, int]:
    """(position, start, end) around a random focus."""
    position = int(rng.integers(2, len(window.tokens)))
    return position, max(0, position - 12), min(len(window.tokens), position + 8)


def _values(rng: np.random.Generator, sites: tuple[Site, ...], length: int) -> dict[Site, Any]:
    return {site: rng.normal(size=length).astype(np.float16) for site in sites}


def _mined(
    rng: np.random.Generator,
    place: _Place,
    kind: Any,
    rank: int,
    windows: list[WindowRecord],
    sites: tuple[Site, ...],
) -> CounterexampleRecord:
    window = windows[int(rng.integers(len(windows)))]
    position, start, end = _snippet(rng, window)
    return CounterexampleRecord(
        *place,
        kind=kind,
        rank=rank,
        document=window.document,
        window=window.window,
        position=position,
        start=start,
        activation=float(np.float32(2.5 if kind == "unlike" else 0.01)),
        values=_values(rng, sites, end - start),
        distance=float(rng.uniform(0.4, 1.2)) if rank == 0 else None,
        rule="" if kind == "unlike" else "the token ' self'",
    )


def _substitution(
    rng: np.random.Generator,
    place: _Place,
    rank: int,
    windows: list[WindowRecord],
    sites: tuple[Site, ...],
    n_tokens: int,
) -> CounterexampleRecord:
    window = windows[rank]
    position = 20
    changed = position if rank == 0 else position - rank
    tokens = window.tokens.copy()
    original = int(tokens[changed])
    tokens[changed] = 257 + (original - 257 + 1) % (n_tokens - 257)
    record = _mined(rng, place, "unlike", rank, [window], sites)
    return replace(
        record,
        kind="substitution",
        position=position,
        start=position - 12,
        values=_values(rng, sites, 20),
        distance=None,
        rule="another token at the focus" if rank == 0 else "another token before the focus",
        activation=3.25,
        tokens=tokens,
        changed=changed,
        original=original,
        original_activation=0.5,
    )


assert all(band in BANDS for band in SCORED)
