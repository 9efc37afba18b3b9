"""What a link preview says of a neuron page: its own plain sentences, cut where a sentence ends."""

from __future__ import annotations

from server.activation_names import activation_name
from server.neuron_words import compared, responds
from server.pages.neuron import NeuronPage
from server.sameness_words import sameness

LONGEST = 300


def preview_title(page: NeuronPage) -> str:
    """`L0N17 of pystd-2l: SoLU and GeLU side by side`."""
    shown = [version for version in (page.versions.left, page.versions.right) if version]
    acts = " and ".join(activation_name(version.act_fn) for version in shown)
    return f"{page.name} of {page.pair}: {acts}{' side by side' if len(shown) > 1 else ''}"


def preview_text(page: NeuronPage) -> str:
    """What each version responds to, whether they are the same, what is hidden."""
    said = []
    for version in (page.versions.left, page.versions.right):
        if version is not None:
            words = responds(version).rstrip(".")
            said.append(f"{activation_name(version.act_fn)} {version.name}: {words}.")
    answer, reasons = sameness(page)
    said.append(f"The same thing? {answer}")
    hidden = compared(page)
    if hidden:
        said.append(hidden)
    said.append(reasons)
    text = said[0][:LONGEST]
    for sentence in said[1:]:
        if len(text) + 1 + len(sentence) > LONGEST:
            break
        text = f"{text} {sentence}"
    return text
