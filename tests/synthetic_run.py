"""A plausible run made of records alone: no torch, no corpus, a fraction of a second.

    run = publish_synthetic(engine)             # two layers of eight neurons, both sides
    made = synthetic(slug="solo", single_sided=True)

What is in it on purpose, in every layer:

    neuron 0    dead: constant, so skewness and kurtosis are None, and its correlations, too
    neuron 1    only negative values: its maximum lies below zero
    neuron 2    matched by its neighbour rather than by its own index (`match` is not None)
    the rest    ordinary

The vocabulary holds a token for each byte (so halves of UTF-8 characters, too), a newline with a
tab, markup, right-to-left text; document 0 is called `<script>alert(1)</script>.py`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np

from store.engine import Engine
from store.histogram_edges import N_BINS, bin_index
from store.publish import loading
from store.records import (
    CorpusRecord,
    CorrespondenceRecord,
    DocumentRecord,
    ExampleRecord,
    LayerRecord,
    LogitEffectsRecord,
    LossRecord,
    ModelRecord,
    NeuronRecord,
    OtherValues,
    PairRecord,
    PartnerRecord,
    RunRecord,
    Side,
    Site,
    SiteStatistics,
    WindowRecord,
)
from store.scale_packing import Scales
from tests.synthetic_tokens import SyntheticIndex, token_index

N_CTX = 32
BEFORE, AFTER = 12, 7  # tokens of a snippet around its focus
DEAD, NEGATIVE, MATCHED_ELSEWHERE = 0, 1, 2

SITES_OF: dict[str, tuple[Site, ...]] = {
    "solu_ln": ("pre", "mid", "post"),
    "gelu": ("pre", "post"),
}
_HOOKS: dict[Site, str] = {"pre": "hook_pre", "mid": "ln.hook_in", "post": "hook_post"}

_WORDS = (
    "<|endoftext|>",
    "\n",
    "\n\t",
    "    ",
    "<script>",
    "</script>",
    "<b onmouseover=alert(1)>",
    "&amp;",
    '"',
    "'",
    "{{ 7*7 }}",
    " self",
    "self",
    " def",
    " return",
    " import",
    " None",
    " for",
    " in",
    " if",
    "()",
    ":",
    " =",
    ".",
    ",",
    "é",
    " שלום",
    "\u202e",
    "😀",
    "\x00",
)


@dataclass(frozen=True)
class SyntheticRun:
    """The records of a run, in the order in which they are loaded."""

    run: RunRecord
    vocabulary: list[bytes]
    documents: list[DocumentRecord]
    windows: list[WindowRecord]
    neurons: list[NeuronRecord]
    examples: list[ExampleRecord]
    layers: list[LayerRecord]
    losses: list[LossRecord]
    index: SyntheticIndex | None = None
    #: What SoLU and its LayerNorm divide by, [layer, 3, window, position] by side.
    scales: dict[Side, np.ndarray] = field(default_factory=dict)

    def scales_of(self, window: WindowRecord) -> Scales:
        """Those of a window's tokens, by side and layer; none of a window that was added."""
        place = next(i for i, one in enumerate(self.windows) if one is window)
        if any(place >= of_layers.shape[2] for of_layers in self.scales.values()):
            return {}
        length = len(window.tokens)
        return {
            (side, layer): of_layer[:, place, :length]
            for side, scales in self.scales.items()
            for layer, of_layer in enumerate(scales)
        }


def publish_synthetic(engine: Engine, **options: Any) -> RunRecord:
    """Load and publish `synthetic(**options)`; the run as stored."""
    return load(engine, synthetic(**options))


def load(engine: Engine, made: SyntheticRun) -> RunRecord:
    """Load and publish these records; the run as stored."""
    with loading(engine, made.run) as loader:
        loader.vocabulary(made.vocabulary)
        loader.documents(made.documents)
        loader.windows(made.windows, made.scales_of)
        loader.neurons(made.neurons)
        loader.examples(made.examples)
        loader.layers(made.layers)
        loader.losses(made.losses)
        if made.index is not None:
            index = made.index
            loader.token_index(index.counts, index.neurons, index.spreads)
        return loader.publish()


@cache
def synthetic(
    *,
    layers: int = 2,
    d_mlp: int = 8,
    slug: str = "tiny-pair",
    single_sided: bool = False,
    seed: int = 0,
    n_documents: int = 6,
    windows_per_document: int = 4,
    n_top: int = 20,
    n_band: int = 5,
    acts: tuple[str, str] = ("solu_ln", "gelu"),
    index: bool = True,
) -> SyntheticRun:
    """All records of a run; the same arguments give the same one. `d_mlp` is at least 3.
    Without `index` it is like one that was published before tokens were indexed.

    It is made once for all tests of a process: change copies (`dataclasses.replace`), never arrays.
    """
    rng = np.random.default_rng(seed)
    vocabulary = [bytes([byte]) for byte in range(256)] + [word.encode() for word in _WORDS]
    documents = _documents(n_documents)
    windows = _windows(rng, len(vocabulary), n_documents, windows_per_document)
    models = [
        _model(slug, side, act, layers, d_mlp, seed)
        for side, act in zip(("left", "right"), acts, strict=True)
    ]
    sides: tuple[Side, ...] = ("left",) if single_sided else ("left", "right")
    run = _run(
        PairRecord(
            slug=slug,
            name=f"Tiny pair {slug}",
            description="Made of random numbers, for tests <b>only</b>.",
            left=models[0],
            right=None if single_sided else models[1],
        ),
        seed,
        windows,
        n_documents,
    )
    shape = (layers, d_mlp, len(windows), N_CTX)
    activations = {
        side: _activations(rng, SITES_OF[act], shape)
        for side, act in zip(sides, acts, strict=False)
    }
    bands = {"top": n_top, "bottom": n_band} | dict.fromkeys(
        ("q99.9-100", "q99-99.9", "q90-99", "q50-90", "q0-50"), n_band
    )
    scales = {side: _scales(sites) for side, sites in activations.items() if "mid" in sites}
    neurons, examples = [], []
    for side in sides:
        for layer in range(layers):
            for neuron in range(d_mlp):
                record = _neuron(rng, side, layer, neuron, activations, windows, d_mlp)
                neurons.append(record)
                of_version = bands | ({"lifted": n_band} if "mid" in record.sites else {})
                examples += _examples(rng, record, activations, scales, windows, of_version)
    return SyntheticRun(
        run=run,
        vocabulary=vocabulary,
        documents=documents,
        windows=windows,
        neurons=neurons,
        examples=examples,
        layers=[
            LayerRecord(layer, None if single_sided else float(rng.uniform(0.3, 0.9)))
            for layer in range(layers)
        ],
        losses=[
            LossRecord(side, source, 2, 1000, 3165, nats)
            for side, nats in zip(
                ("left", "right", "control"), (3660.5, 3610.25, 3700.0), strict=True
            )
            for source in ("site-packages", "stdlib")
            if side in sides
        ],
        index=token_index(windows, activations) if index else None,
        scales=scales,
    )


def _documents(number: int) -> list[DocumentRecord]:
    names = ["<script>alert(1)</script>.py", "json/decoder.py", "asyncio/שלום.py", "nul\x00byte.py"]
    return [
        DocumentRecord(
            document=i,
            source="stdlib" if i % 2 == 0 else "site-packages",
            name=names[i] if i < len(names) else f"package/module_{i}.py",
            held_out=i % 5 == 4,
        )
        for i in range(number)
    ]


def _windows(
    rng: np.random.Generator, n_tokens: int, n_documents: int, each: int
) -> list[WindowRecord]:
    """BOS, then random tokens, words more often than bytes; each document's last one is short."""
    windows = []
    for document in range(n_documents):
        for window in range(each):
            length = N_CTX if window < each - 1 else N_CTX // 2 + 1 + document % 7
            words = rng.integers(257, n_tokens, length)
            single = rng.integers(32, 256, length)
            tokens = np.where(rng.random(length) < 0.6, words, single).astype(np.int32)
            tokens[0] = 256
            windows.append(WindowRecord(document, window, tokens))
    return windows


def _model(slug: str, side: str, act: str, layers: int, d_mlp: int, seed: int) -> ModelRecord:
    config = {"act_fn": act, "n_heads": 2, "d_head": 4, "normalization_type": "LN"}
    return ModelRecord(
        weights_sha256=hashlib.sha256(
            f"{slug} {side} {act} {layers} {d_mlp} {seed}".encode()
        ).hexdigest(),
        name=f"{slug} {side}",
        act_fn=act,
        n_layers=layers,
        d_model=8,
        d_mlp=d_mlp,
        n_ctx=N_CTX,
        d_vocab=256 + len(_WORDS),
        config=config,
    )


def _run(pair: PairRecord, seed: int, windows: list[WindowRecord], n_documents: int) -> RunRecord:
    parameters = {"tokens": 1000, "seed": seed}
    identity = {
        "left": pair.left.weights_sha256,
        "right": pair.right.weights_sha256 if pair.right else None,
        "corpus": f"{seed:064x}",
        "parameters": parameters,
    }
    digest = hashlib.sha256(
        json.dumps(identity, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()
    return RunRecord(
        id=digest[:10],
        identity_sha256=digest,
        identity=identity,
        pair=pair,
        corpus=CorpusRecord(fingerprint=f"{seed:064x}", spec="stdlib"),
        parameters=parameters,
        provenance={"twinscope": "0.1.0", "seconds": 1.5, "problems": ["<b>no</b> \x00 text"]},
        n_documents=n_documents,
        n_windows=len(windows),
        n_tokens=sum(len(window.tokens) - 1 for window in windows),
    )


def _activations(
    rng: np.random.Generator, sites: tuple[Site, ...], shape: tuple[int, int, int, int]
) -> dict[Site, np.ndarray]:
    """Site → [layer, neuron, window, position] float32, with the particular neurons."""
    pre = rng.standard_t(4, size=shape).astype(np.float32)
    pre[:, DEAD] = -3.0
    pre[:, NEGATIVE] = -0.1 - np.abs(pre[:, NEGATIVE])
    weights = np.exp(pre - pre.max(axis=1, keepdims=True))
    mid = pre * weights / weights.sum(axis=1, keepdims=True)
    mid[:, DEAD] = 0.0
    spread = mid.std(axis=1, keepdims=True) + 1e-6
    after_norm = (mid - mid.mean(axis=1, keepdims=True)) / spread
    after_norm[:, DEAD] = 0.0
    gelu = pre * 0.5 * (1 + np.tanh(0.7978846 * (pre + 0.044715 * pre**3)))
    post = after_norm if "mid" in sites else gelu
    made: dict[Site, np.ndarray] = {"pre": pre, "mid": mid, "post": post}
    return {site: made[site].astype(np.float32) for site in sites}


def _scales(sites: dict[Site, np.ndarray]) -> np.ndarray:
    """Activations [layer, neuron, window, position] → [layer, 3, window, position]: log Z, and mean
    and 1 of `mid` over its deviation, as `_activations` has them (but for the dead neuron)."""
    log_z = np.logaddexp.reduce(sites["pre"], axis=1)
    inverse = 1 / (sites["mid"].std(axis=1) + 1e-6)
    scales = np.stack([log_z, sites["mid"].mean(axis=1) * inverse, inverse], axis=1)
    return scales.astype(np.float32)


def _unmasked(values: np.ndarray, windows: list[WindowRecord]) -> np.ndarray:
    """[window, position] → the values of all tokens but BOS and padding."""
    return np.concatenate(
        [values[i, 1 : len(window.tokens)] for i, window in enumerate(windows)]
    ).astype(np.float64)


def _statistics(values: np.ndarray, hook_point: str) -> SiteStatistics:
    std = float(values.std()) if np.ptp(values) > 0 else 0.0
    centred = (values - values.mean()) / std if std > 0 else None
    return SiteStatistics(
        hook_point=hook_point,
        n=len(values),
        mean=float(values.mean()),
        std=std,
        skewness=None if centred is None else float((centred**3).mean()),
        kurtosis=None if centred is None else float((centred**4).mean()),
        min=float(values.min()),
        max=float(values.max()),
        counts=np.bincount(bin_index(values), minlength=N_BINS).astype(np.int64),
    )


def _match(neuron: int, d_mlp: int) -> int | None:
    """The other model's best match: the neighbour for one neuron, none for the dead one."""
    if neuron == DEAD:
        return None
    return (neuron + 1) % d_mlp if neuron == MATCHED_ELSEWHERE else neuron


def _neuron(
    rng: np.random.Generator,
    side: Side,
    layer: int,
    neuron: int,
    activations: dict[Side, dict[Site, np.ndarray]],
    windows: list[WindowRecord],
    d_mlp: int,
) -> NeuronRecord:
    by_site = {
        site: _unmasked(values[layer, neuron], windows)
        for site, values in activations[side].items()
    }
    display: Site = "mid" if "mid" in by_site else "post"
    shown, dead = by_site[display], neuron == DEAD
    threshold = float(shown.mean() + 0.1 * (shown.max() - shown.mean()))
    paired = len(activations) == 2 and not dead
    match = _match(neuron, d_mlp) if paired else None
    correlation = float(rng.uniform(0.3, 0.95))
    others = [i for i in range(d_mlp) if i not in (neuron, DEAD)][:5]
    partners = [
        PartnerRecord("within", rank, layer, other, round(0.5 - 0.1 * rank, 3))
        for rank, other in enumerate(others if not dead else [])
    ]
    if paired:
        across = [match, *[other for other in others if other != match][:4]]
        partners = [
            PartnerRecord("across", rank, layer, other, correlation - 0.1 * rank)
            for rank, other in enumerate(across)
            if other is not None
        ] + partners
    effects = [(int(i), float(np.float32(rng.normal()))) for i in rng.integers(0, 280, 20)]
    ordered = sorted(effects, key=lambda effect: -effect[1])
    return NeuronRecord(
        side=side,
        layer=layer,
        neuron=neuron,
        display_site=display,
        sites={
            site: _statistics(values, f"blocks.{layer}.mlp.{_HOOKS[site]}")
            for site, values in by_site.items()
        },
        density=None if dead else float((shown > threshold).mean()),
        density_threshold=None if dead else threshold,
        band_edges=tuple(map(float, np.quantile(shown, (0.5, 0.9, 0.99, 0.999)))),  # type: ignore[arg-type]
        correspondence=CorrespondenceRecord(
            same_index_correlation=correlation - (0.2 if match != neuron else 0)
            if paired
            else None,
            same_index_rank=(0 if match == neuron else 2) if paired else None,
            best_neuron=match,
            best_correlation=correlation if paired else None,
            null=0.12 if paired else None,
            mutual=match == neuron if paired else None,
            assigned_neuron=neuron if paired else None,
            assigned_correlation=correlation - 0.05 if paired else None,
        ),
        logit_effects=LogitEffectsRecord(
            promoted=tuple(ordered[:10]),
            suppressed=tuple(reversed(ordered[10:])),
            kurtosis=float(rng.uniform(2, 20)),
            skewness=float(rng.normal()),
        ),
        partners=tuple(partners),
    )


def _examples(
    rng: np.random.Generator,
    record: NeuronRecord,
    activations: dict[Side, dict[Site, np.ndarray]],
    scales: dict[Side, np.ndarray],
    windows: list[WindowRecord],
    bands: dict[str, int],
) -> list[ExampleRecord]:
    """Examples of each band: the ends by value, the rest anywhere, ties by place."""
    own = activations[record.side]
    shown = own[record.display_site][record.layer, record.neuron]
    places = [(i, p) for i, window in enumerate(windows) for p in range(1, len(window.tokens))]
    by_value = sorted(places, key=lambda place: -shown[place])
    other_side: Side = "right" if record.side == "left" else "left"
    d_mlp = len(own["pre"][0])
    match = _match(record.neuron, d_mlp)
    examples = []
    for band, number in bands.items():
        if band == "top":
            best: dict[int, tuple[int, int]] = {}  # one per document
            for place in by_value:
                best.setdefault(windows[place[0]].document, place)
            chosen = list(best.values())[:number]
        elif band == "bottom":
            chosen = by_value[::-1][:number]
        else:
            chosen = [places[i] for i in rng.choice(len(places), number, replace=False)]
        for rank, (i, position) in enumerate(chosen):
            window = windows[i]
            start, end = max(0, position - BEFORE), min(len(window.tokens), position + AFTER + 1)
            cut = (record.layer, i, slice(start, end))
            example = ExampleRecord(
                side=record.side,
                layer=record.layer,
                neuron=record.neuron,
                band=band,
                rank=rank,
                document=window.document,
                window=window.window,
                position=position,
                activation=float(shown[i, position]),
                start=start,
                values=_cut(own, record.neuron, *cut),
                same_index=None,
                match=None,
                scales={of: values[record.layer, :, i, start:end] for of, values in scales.items()},
            )
            if other_side in activations:
                other = activations[other_side]
                example = replace(
                    example,
                    same_index=OtherValues(
                        record.neuron, _cut(other, record.neuron, *cut), float(rng.random())
                    ),
                    match=None
                    if match is None or match == record.neuron
                    else OtherValues(match, _cut(other, match, *cut), float(rng.random())),
                )
            examples.append(example)
    return examples


def _cut(
    values: dict[Site, np.ndarray], neuron: int, layer: int, window: int, part: slice
) -> dict[Site, np.ndarray]:
    return {
        site: by_place[layer, neuron, window, part].astype(np.float16)
        for site, by_place in values.items()
    }
