"""How much of a pair corresponds, in plain words: a pure function of the counts."""

from __future__ import annotations

from collections.abc import Sequence

from server.number_text import fixed, share
from server.pages.correspondence import LayerTwins


def twins_text(layers: Sequence[LayerTwins]) -> str:
    """Of each layer: how many of its neurons have a twin, and whether at the same index."""
    said = []
    for layer in layers:
        known = [side for side in layer.sides if side.twins is not None]
        if not known:
            said.append(f"Layer {layer.layer}: no correlation is defined.")
            continue
        first = known[0]
        other = known[1].name if len(known) > 1 else "the other model"
        if not first.twins:
            text = f"Layer {layer.layer}: no neuron of {first.name} has a twin in {other}"
        else:
            text = (
                f"Layer {layer.layer}: {share(first.twins)} of {first.name}’s neurons have a twin "
                f"in {other}"
            )
        text += f"; the same index is the best match of {share(first.same_index)}"
        if len(first.best_quantiles) == 5:
            text += f", the median best correlation {fixed(first.best_quantiles[2])}"
        said.append(text + ".")
    return " ".join(said)
