"""What the loss differences of the tax page say, in plain words: pure functions of its views."""

from __future__ import annotations

from collections.abc import Sequence

from server.number_text import count, listed, number
from server.pages.tax import DifferenceView, Reading
from store.evidence_records import MIXTURE

#: A bootstrap over fewer documents than this is called rough.
FEW_DOCUMENTS = 30
#: Said once more where a reader sees the difference.
UNFAIR = "They were not trained on the same tokens, as far as is known: this is not the tax."

_LOSS_NOT_MEANT = (
    "The interval is over documents. It holds nothing of how another training run, from another "
    "seed, would have come out. A loss says how well a model predicts, not how well its neurons "
    "can be read."
)


def span(interval: tuple[float, float]) -> str:
    """`−0.031 to −0.012`"""
    return f"{number(interval[0])} to {number(interval[1])}"


def loss_reading(differences: Sequence[DifferenceView]) -> Reading:
    """Of one pair of models: the first difference is of all sources, the others of one each, or
    of a mixture of them."""
    if not differences:
        return Reading("No loss difference was measured.", _LOSS_NOT_MEANT)
    whole, *others = differences
    sources = [one for one in others if not one.source.startswith(MIXTURE)]
    mixed = [one for one in others if one.source.startswith(MIXTURE)]
    said = [_whole(whole), *_sources(whole, sources), *map(_mixture, mixed), *_few_documents(whole)]
    return Reading(" ".join(said), _LOSS_NOT_MEANT)


def _mixture(one: DifferenceView) -> str:
    """Of a mean of sources by weights that somebody stated."""
    return f"In a {one.source}: {_whole(one)}"


def _whole(one: DifferenceView) -> str:
    if one.nats_interval is None:
        documents = "one document" if one.n_documents == 1 else f"{one.n_documents} documents"
        return (
            f"Whether {one.side_name} or {one.against_name} predicts better cannot be said from "
            f"{documents}: there they differ by "
            f"{number(one.nats_per_token)} nats a token ({one.side_name} − {one.against_name})."
        )
    measured = (
        f"{number(abs(one.nats_per_token))} nats a token (95 % interval of "
        f"{one.side_name} − {one.against_name}: {span(one.nats_interval)})"
    )
    if not one.seen:
        return (
            f"No difference seen between {one.side_name} and {one.against_name}: it comes to "
            f"{measured}, and the interval includes zero."
        )
    better, worse = _better(one)
    return f"{better} predicts better than {worse}, by {measured}."


def _few_documents(one: DifferenceView) -> list[str]:
    if one.n_documents >= FEW_DOCUMENTS or one.nats_interval is None:
        return []
    return [f"It rests on {count(one.n_documents)} documents, so the interval itself is rough."]


def _better(one: DifferenceView) -> tuple[str, str]:
    if one.nats_per_token < 0:
        return one.side_name, one.against_name
    return one.against_name, one.side_name


def _sources(whole: DifferenceView, sources: Sequence[DifferenceView]) -> list[str]:
    if len(sources) < 2:
        return []
    unseen = [one.source for one in sources if not one.seen]
    if len(unseen) == len(sources):
        return ["None is seen in any single source either." if not whole.seen else
                "In no single source is it large enough to be seen."]  # fmt: skip
    said = []
    for better in (whole.side_name, whole.against_name):
        named = [one.source for one in sources if one.seen and _better(one)[0] == better]
        if named:
            said.append(f"{better} is better in {listed(named)}.")
    if unseen:
        said.append(f"No difference seen in {listed(unseen)}.")
    rough = [one.source for one in sources if one.seen and one.n_documents < FEW_DOCUMENTS]
    if rough and whole.n_documents >= FEW_DOCUMENTS:
        said.append(
            f"Of {listed(rough)} there are fewer than {FEW_DOCUMENTS} documents, so the interval "
            "itself is rough there."
        )
    return said


def training_warning(name: str, control: int | None, pair: int | None) -> str:
    """Why the control cannot be compared with the pair; "" when it can."""
    if control is None or pair is None:
        return (
            f"How many tokens {name} was trained on is not recorded, so it is not known whether "
            "this comparison is fair."
        )
    if control == pair:
        return ""
    fewer = control < pair
    ratio = pair / control if fewer else control / pair
    return (
        f"{name} was trained on {count(control)} tokens, the pair on {count(pair)}, "
        f"{number(ratio, 2)} times as {'many' if fewer else 'few'}. The difference is of training "
        "as much as of the activation function, so no tax must be read from it."
    )
