"""The addresses of pages: one function a page, so that no template builds an address by hand.

    neuron("pystd-2l", 0, 17)                    → /pystd-2l/0/17
    neuron("pystd-2l", 0, 17, run="9f3a61c04e")  → /pystd-2l/0/17?run=9f3a61c04e

A parameter at its default is left out, so a state has one address. `json_twin` gives the address
of the same object as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from urllib import parse

Parameters = Mapping[str, str | int | None]

#: A page has a hundred addresses of few parts.
quote = lru_cache(maxsize=4096)(parse.quote)


def query(parameters: Parameters) -> str:
    """`?a=1&b=2`, without the parameters that are None or empty; "" when none is left."""
    given = [
        f"{_quoted(name)}={_quoted(str(value))}"
        for name, value in parameters.items()
        if value is not None and value != ""
    ]
    return f"?{'&'.join(given)}" if given else ""


@lru_cache(maxsize=4096)
def _quoted(text: str) -> str:
    """A name or value of a query string."""
    return parse.quote_plus(text, safe=":,")


def home() -> str:
    """The home page."""
    return "/"


def explorer(pair: str, parameters: Parameters | None = None, run: str | None = None) -> str:
    """The explorer of a pair, with filters and sort as `parameters`."""
    return f"/{quote(pair)}{query({**(parameters or {}), 'run': run})}"


def scatter(pair: str, parameters: Parameters | None = None, run: str | None = None) -> str:
    """The points of a scatter of the explorer's rows, as JSON."""
    return f"/{quote(pair)}/scatter.json{query({**(parameters or {}), 'run': run})}"


def explorer_file(
    pair: str, ending: str, parameters: Parameters | None = None, run: str | None = None
) -> str:
    """The explorer's rows, all of them, as a file: `csv`, `jsonl` or `parquet`."""
    return f"/{quote(pair)}/explorer.{ending}{query({**(parameters or {}), 'run': run})}"


def random_neuron(pair: str, parameters: Parameters | None = None, run: str | None = None) -> str:
    """One neuron at random among those that the explorer's filters let through."""
    return f"/{quote(pair)}/random{query({**(parameters or {}), 'run': run})}"


def neuron(
    pair: str,
    layer: int,
    index: int,
    *,
    pairing: str = "index",
    anchor: str = "left",
    site: str | None = None,
    sense: str | None = None,
    examples: str | None = None,
    run: str | None = None,
) -> str:
    """The side by side; `anchor` matters for the pairing "match" only."""
    parameters = {
        "pairing": pairing if pairing != "index" else None,
        "anchor": anchor if pairing != "index" and anchor != "left" else None,
        "site": site,
        "sense": sense,
        "examples": examples,
        "run": run,
    }
    return f"/{quote(pair)}/{layer}/{index}{query(parameters)}"


def labels(
    pair: str, layer: int, index: int, *, side: str | None = None, run: str | None = None
) -> str:
    """Labels of a neuron's versions, or of one of them."""
    return f"/{quote(pair)}/{layer}/{index}/labels{query({'side': side, 'run': run})}"


def label_list(parameters: Parameters | None = None, ending: str = "") -> str:
    """Labels of all versions and candidates; with an `ending` (`csv`) all of them as a file."""
    return f"/labels{f'.{ending}' if ending else ''}{query(parameters or {})}"


def label_queue(parameters: Parameters) -> str:
    """One version after another that whoever asks has not labelled; `pair` is a parameter."""
    return f"/labels/queue{query(parameters)}"


def withdraw_label(label_id: int) -> str:
    """Where a label is taken back."""
    return f"/labels/{label_id}/withdraw"


def invisible(pair: str, layer: int, run: str | None = None) -> str:
    """The candidate invisible features of a layer, both versions."""
    return f"/{quote(pair)}/{layer}/invisible{query({'run': run})}"


def candidate(pair: str, layer: int, k: int, run: str | None = None) -> str:
    """One candidate invisible feature; `k` is its number in the layer."""
    return f"/{quote(pair)}/{layer}/invisible/{k}{query({'run': run})}"


def candidate_labels(pair: str, layer: int, k: int, run: str | None = None) -> str:
    """Labels of a candidate invisible feature."""
    return f"/{quote(pair)}/{layer}/invisible/{k}/labels{query({'run': run})}"


def tax(pair: str, run: str | None = None) -> str:
    """The interpretability tax of a pair: losses, layers, labels."""
    return f"/{quote(pair)}/tax{query({'run': run})}"


def live(
    pair: str,
    *,
    text: str | None = None,
    layer: int | None = None,
    neuron: int | None = None,
    token: int | None = None,
    run: str | None = None,
) -> str:
    """A text of one's own through both versions; without `text` an example."""
    parameters = {"text": text, "layer": layer, "neuron": neuron, "token": token, "run": run}
    return f"/{quote(pair)}/live{query(parameters)}"


def search(pair: str, parameters: Parameters | None = None, run: str | None = None) -> str:
    """Neurons of a pair by token, by label text, by name; `q` is among the parameters."""
    return f"/{quote(pair)}/search{query({**(parameters or {}), 'run': run})}"


def search_everywhere(text: str = "") -> str:
    """The same over all pairs."""
    return f"/search{query({'q': text})}"


def study_results(slug: str) -> str:
    """What a closed study found."""
    return f"/studies/{quote(slug)}/results"


def study_ratings(slug: str, ending: str) -> str:
    """The ratings of a closed study as a file: `csv`, `jsonl` or `parquet`."""
    return f"/studies/{quote(slug)}/ratings.{ending}"


def runs() -> str:
    """All runs."""
    return "/runs"


def run(run_id: str) -> str:
    """One run."""
    return f"/runs/{quote(run_id)}"


def studies() -> str:
    """All blind studies."""
    return "/studies"


def study(slug: str) -> str:
    """One study."""
    return f"/studies/{quote(slug)}"


def study_new(like: str | None = None, parameters: Parameters | None = None) -> str:
    """The form of a new study, with the settings of another or with these."""
    return f"/studies/new{query({**(parameters or {}), 'like': like})}"


def study_rate(slug: str, card: str | None = None) -> str:
    """The cards of a study for whoever rates it; `card` is one that was rated before."""
    return f"/studies/{quote(slug)}/rate{query({'card': card})}"


def json_twin(address: str) -> str:
    """The JSON twin of a page's address: `/p/0/17?run=x` → `/p/0/17.json?run=x`."""
    path, mark, parameters = address.partition("?")
    return f"{'/index' if path == '/' else path}.json{mark}{parameters}"


def beneath(address: str, name: str) -> str:
    """An address beneath a page's, in its state: `/p/0/17?run=x` → `/p/0/17/embed?run=x`."""
    path, mark, parameters = address.partition("?")
    return f"{path}/{name}{mark}{parameters}"


def candidate_name(layer: int, k: int) -> str:
    """How a candidate invisible feature is written: `L0C3`."""
    return f"L{layer}C{k}"


def neuron_name(layer: int, index: int) -> str:
    """How a neuron is written: `L0N17`."""
    return f"L{layer}N{index}"
