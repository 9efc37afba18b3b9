"""A query that is a name: `L1N203`, `l1n203` or `1/203` a neuron, `L0C3` a candidate."""

from __future__ import annotations

import re

from server import urls
from server.compose.selection import check_neuron
from store.records import RunRecord

_NEURON = re.compile(r"L?(\d{1,6})\s*(?:N|/|\s)\s*(\d{1,9})", re.IGNORECASE | re.ASCII)
_CANDIDATE = re.compile(r"L(\d{1,6})\s*C(\d{1,6})", re.IGNORECASE | re.ASCII)


def named_neuron(run: RunRecord, query: str, run_id: str | None) -> str | None:
    """The address of the neuron or candidate that is named; None for a query that names none.

    NeuronNotFound where the run has no such neuron or layer.
    """
    text = query.strip()
    if found := _NEURON.fullmatch(text):
        layer, neuron = int(found[1]), int(found[2])
        check_neuron(run, layer, neuron)
        return urls.neuron(run.pair.slug, layer, neuron, run=run_id)
    if found := _CANDIDATE.fullmatch(text):
        layer, k = int(found[1]), int(found[2])
        check_neuron(run, layer, 0)
        return urls.candidate(run.pair.slug, layer, k, run_id)
    return None
