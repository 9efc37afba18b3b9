"""Labels as rows of a file: what `/labels.csv` and `twinscope labels export` write."""

from __future__ import annotations

from typing import Any

from server.table_files import FileColumn
from store.label_list import ListedLabel

_LABELS = "docs/evidence.md#labels"
_GLOSSARY = "docs/glossary.md"

#: The columns in their order. `weights_sha256`, `layer` and `neuron` or `candidate` say what the
#: label is on; `pair`, `side` and `model` are how the database at hand shows it.
COLUMNS: dict[str, FileColumn] = {
    "created_at": FileColumn("when it was given, UTC", "", _LABELS, "text"),
    "annotator": FileColumn("annotator", "", _LABELS, "text"),
    "pair": FileColumn("pair", "", _GLOSSARY, "text"),
    "side": FileColumn("side", "", _GLOSSARY, "text"),
    "model": FileColumn("model", "", _GLOSSARY, "text"),
    "act_fn": FileColumn("activation function", "", _GLOSSARY, "text"),
    "weights_sha256": FileColumn("SHA-256 of the model's weights", "", _GLOSSARY, "text"),
    "layer": FileColumn("layer", "", _GLOSSARY, "integer"),
    "neuron": FileColumn("neuron", "", _GLOSSARY, "integer"),
    "candidate": FileColumn("fingerprint of a candidate's direction", "", _GLOSSARY, "text"),
    "verdict": FileColumn("verdict", "", _LABELS, "text"),
    "description": FileColumn("description", "", _LABELS, "text"),
    "confidence": FileColumn("confidence", "of 5", _LABELS, "integer"),
    "run": FileColumn("run that was looked at", "", _GLOSSARY, "text"),
    "latest": FileColumn("whether it counts", "", _LABELS, "boolean"),
    "withdrawn_at": FileColumn("when it was taken back, UTC", "", _LABELS, "text"),
}


def row_of(one: ListedLabel) -> dict[str, Any]:
    """A label as a row of COLUMNS."""
    return {
        "created_at": one.created_at.isoformat(),
        "annotator": one.annotator,
        "pair": one.pair,
        "side": one.side,
        "model": one.model,
        "act_fn": one.act_fn,
        "weights_sha256": one.weights_sha256,
        "layer": one.layer,
        "neuron": one.neuron,
        "candidate": one.candidate,
        "verdict": one.verdict,
        "description": one.description,
        "confidence": one.confidence,
        "run": one.run_id,
        "latest": one.latest,
        "withdrawn_at": None if one.withdrawn_at is None else one.withdrawn_at.isoformat(),
    }
