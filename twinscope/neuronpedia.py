"""`twinscope export RUN neuronpedia`: the batches that Neuronpedia's tools read, in a zip.

    README.txt                          what stands for what, and what has no counterpart
    MODEL/LAYER-twinscope-RUN-SIDE/batch-N.json   256 neurons of one layer of one model each

The format is that of SAEDashboard's Neuronpedia runner (`NeuronpediaDashboardBatch`), which
Neuronpedia's `convert-saedashboard-to-neuronpedia-export.py` turns into its own exports. It was
made for sparse features; README.txt says how a dense neuron fits into it.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from server.token_text import token_string
from store import examples, neurons, vocabulary
from store.engine import Engine
from store.histogram_edges import inner_edges
from store.records import (
    LogitEffectsRecord,
    ModelRecord,
    NeuronRecord,
    RunRecord,
    ShownExample,
    Side,
)
from worker.reporter import Reporter

BATCH = 256  # neurons in a file

#: Bands that are intervals of the display site, with the quantiles at their ends: places among
#: the record's edges (None: the minimum or maximum), and the share of tokens in them.
_INTERVALS: dict[str, tuple[int | None, int | None, float]] = {
    "q99.9-100": (3, None, 0.001),
    "q99-99.9": (2, 3, 0.009),
    "q90-99": (1, 2, 0.09),
    "q50-90": (0, 1, 0.4),
    "q0-50": (None, 0, 0.5),
}

_README = """Twinscope's run {run} of {pair} ({corpus}, {tokens} tokens) as batches for Neuronpedia.

One directory a layer and model: {model_example}. A file holds up to {batch} neurons.

What stands for what
  feature_index                     the neuron
  pos_str, pos_values               the tokens whose logits it raises most, and by how much
  neg_str, neg_values               the tokens whose logits it lowers most
  frac_nonzero                      the density: the share of tokens above mean + 0.1 (maximum -
                                    mean). A neuron is hardly ever exactly zero
  freq_hist_data_bar_values         the middles of the histogram's bins that are not empty, at the
                                    display site. Bins are log-linear, so bars differ in width
  freq_hist_data_bar_heights        tokens in them
  correlated_neurons_indices, _pearson   similar neurons of the same model and layer
  activations                       examples with the display site's values: the top ones
                                    (bin_min -1, bin_contains -1), then five intervals of
                                    quantiles (bin_min and bin_max are their ends, bin_contains
                                    the share of tokens in them)
  n_prompts_total, n_tokens_in_prompt    token windows of the run, tokens of a window

What is left empty, because a run has nothing like it
  neuron_alignment_*, correlated_features_*, correlated_neurons_l1, decoder_weights_dist,
  logits_hist_*, vector, dfa_*

What of Twinscope has no place there
  the other version, bottom and lifted examples, other sites than the display site ({sites}),
  senses, hidden shares and all other evidence, labels
"""


def write(
    engine: Engine, run: RunRecord, what: str, ending: str, path: Path, reporter: Reporter
) -> None:
    """Write the zip; one file's neurons are in memory at a time."""
    known = vocabulary.load(engine, run.id)
    sides: list[tuple[Side, ModelRecord]] = [
        (side, model)
        for side, model in zip(get_args(Side), (run.pair.left, run.pair.right), strict=True)
        if model is not None
    ]
    reporter.step(what, sum(model.n_layers * model.d_mlp for _, model in sides), "versions")
    done = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", _readme(run))
        for side, model in sides:
            for layer in range(model.n_layers):
                for number, start in enumerate(range(0, model.d_mlp, BATCH)):
                    features = []
                    for neuron in range(start, min(start + BATCH, model.d_mlp)):
                        record = neurons.get(engine, run.id, side, layer, neuron)
                        if record is not None:
                            shown = examples.of_neuron(engine, run.id, side, layer, neuron)
                            features.append(_feature(run, record, shown, model, known))
                    batch = {
                        "model_id": _id(model),
                        "layer": layer,
                        "sae_set": _set(run, side),
                        "sae_id_suffix": None,
                        "features": features,
                    }
                    name = f"{_id(model)}/{layer}-{_set(run, side)}/batch-{number}.json"
                    archive.writestr(name, json.dumps(batch, separators=(",", ":")))
                    done += len(features)
                    reporter.advance(done)


def _feature(
    run: RunRecord,
    record: NeuronRecord,
    shown: Sequence[ShownExample],
    model: ModelRecord,
    known: Sequence[bytes],
) -> dict[str, Any]:
    effects = record.logit_effects or LogitEffectsRecord((), (), None, None)
    values, heights = _histogram(record)
    similar = [partner for partner in record.partners if partner.kind == "within"]
    return {
        "feature_index": record.neuron,
        "neuron_alignment_indices": [],
        "neuron_alignment_values": [],
        "neuron_alignment_l1": [],
        "correlated_neurons_indices": [partner.neuron for partner in similar],
        "correlated_neurons_l1": [],
        "correlated_neurons_pearson": [partner.correlation for partner in similar],
        "correlated_features_indices": [],
        "correlated_features_l1": [],
        "correlated_features_pearson": [],
        "neg_str": [token_string(known[token]) for token, _ in effects.suppressed],
        "neg_values": [value for _, value in effects.suppressed],
        "pos_str": [token_string(known[token]) for token, _ in effects.promoted],
        "pos_values": [value for _, value in effects.promoted],
        "frac_nonzero": record.density or 0.0,
        "freq_hist_data_bar_values": values,
        "freq_hist_data_bar_heights": heights,
        "logits_hist_data_bar_heights": [],
        "logits_hist_data_bar_values": [],
        "n_prompts_total": run.n_windows,
        "n_tokens_in_prompt": model.n_ctx,
        "dataset": run.corpus.spec,
        "decoder_weights_dist": [],
        "activations": _activations(record, shown, known),
        "vector": [],
    }


def _histogram(record: NeuronRecord) -> tuple[list[float], list[int]]:
    """Middles and counts of the bins of the display site that are not empty; the two open ones
    end at the minimum and the maximum."""
    site = record.sites[record.display_site]
    edges = inner_edges().astype(float).tolist()
    lowest = min(edges[0], edges[0] if site.min is None else site.min)
    highest = max(edges[-1], edges[-1] if site.max is None else site.max)
    lower, upper = [lowest, *edges], [*edges, highest]
    filled = [i for i, count in enumerate(site.counts.tolist()) if count]
    return [(lower[i] + upper[i]) / 2 for i in filled], [int(site.counts[i]) for i in filled]


def _activations(
    record: NeuronRecord, shown: Sequence[ShownExample], known: Sequence[bytes]
) -> list[dict[str, Any]]:
    site = record.sites[record.display_site]
    made = []
    for one in shown:
        example = one.example
        if example.band == "top":
            ends: tuple[float | None, float | None, float] = (-1, site.max, -1)
        elif example.band in _INTERVALS and record.band_edges is not None:
            low, high, share = _INTERVALS[example.band]
            ends = (
                site.min if low is None else record.band_edges[low],
                site.max if high is None else record.band_edges[high],
                share,
            )
        else:
            continue
        made.append(
            {
                "bin_min": ends[0],
                "bin_max": ends[1],
                "bin_contains": ends[2],
                "tokens": [token_string(known[id]) for id in one.tokens.tolist()],
                "values": example.values[record.display_site].astype(float).tolist(),
            }
        )
    return made


def _readme(run: RunRecord) -> str:
    return _README.format(
        run=run.id,
        pair=run.pair.slug,
        corpus=run.corpus.spec,
        tokens=f"{run.n_tokens:,}",
        model_example=f"{_id(run.pair.left)}/0-{_set(run, 'left')}/batch-0.json",
        batch=BATCH,
        sites="pre, mid, post",
    )


def _id(model: ModelRecord) -> str:
    """A model's name as Neuronpedia's ids are: lower case, digits, hyphens."""
    return re.sub(r"[^a-z0-9.-]+", "-", model.name.lower()).strip("-") or "model"


def _set(run: RunRecord, side: Side) -> str:
    return f"twinscope-{run.id}-{side}"
