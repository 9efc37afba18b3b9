"""Page object of `/{pair}/tax`: what the activation function costs, and what layers hide.

Every figure comes with a `Reading`: its numbers in plain words, made from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from server.pages.pair_links import PairLinks, StageView

SideName = Literal["left", "right"]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Reading:
    """What a figure says (changes with its numbers), and what it does not mean."""

    text: str
    not_meant: str


@dataclass(frozen=True)
class DifferenceView:
    """Loss of `side` minus loss of `against` on the same held-out tokens; source "all" is all.

    The intervals hold 95 % of paired bootstrap draws over documents, None where there are too few.
    `seen`: there is an interval and it does not include zero.
    """

    side: str
    against: str
    side_name: str
    against_name: str
    source: str
    n_documents: int
    n_tokens: int
    n_bytes: int
    nats_per_token: float
    nats_interval: Interval | None
    bits_per_byte: float | None
    bits_interval: Interval | None
    seen: bool


@dataclass(frozen=True)
class ControlView:
    """The third model and its differences; `warning` says why a comparison with it is not fair.

    `tokens_trained` are the control's, `pair_tokens_trained` those of the pair's models (None:
    unknown); `fair` is None where either is unknown.
    """

    name: str
    tokens_trained: int | None
    pair_tokens_trained: int | None
    fair: bool | None
    warning: str
    differences: tuple[DifferenceView, ...]
    reading: Reading


@dataclass(frozen=True)
class HiddenDistributionView:
    """Hidden shares of a layer's neurons in one version, exact values only.

    `n_estimate` neurons have an estimate only and are left out. Quantiles are None without values;
    `median_interval` is by order statistics, None for fewer than six.
    """

    n_exact: int
    n_estimate: int
    q05: float | None
    q25: float | None
    median: float | None
    q75: float | None
    q95: float | None
    median_interval: Interval | None


@dataclass(frozen=True)
class LayerSideView:
    """One version's part of the layer panel; `name` is the activation function as it is written.

    `loss_recovered[i]` with `kept_share[i]` of each neuron's activations kept; both are empty where
    the layer does not help. `rescue` is None without a LayerNorm after the activation function.
    """

    side: SideName
    act_fn: str
    name: str
    n_tokens: int
    layer_effect: float
    kept_share: tuple[float, ...]
    loss_recovered: tuple[float, ...]
    orphan_effect: float | None
    orphan_interval: Interval | None
    orphan_token_share: float | None
    rescue: tuple[float, ...] | None
    hidden: HiddenDistributionView


@dataclass(frozen=True)
class LayerSides:
    """Both versions of a layer; None where one is not there."""

    left: LayerSideView | None
    right: LayerSideView | None


@dataclass(frozen=True)
class LayerPanelView:
    """One layer: both versions, with a reading for each figure."""

    layer: int
    versions: LayerSides
    kept_reading: Reading
    orphan_reading: Reading
    rescue_reading: Reading
    hidden_reading: Reading


@dataclass(frozen=True)
class LabelShareView:
    """How many versions of one side are labelled, and how many of these as monosemantic.

    A version counts as monosemantic when more than half of its annotators say so. The interval is
    Wilson's, None without labels.
    """

    side: SideName
    act_fn: str
    name: str
    n_versions: int
    n_labelled: int
    n_monosemantic: int
    share: float | None
    interval: Interval | None


@dataclass(frozen=True)
class PublishedView:
    """A published figure, for context, with its source."""

    claim: str
    source: str
    href: str


@dataclass(frozen=True)
class TaxPage:
    """`/{pair}/tax`. Without the evidence stage only labels and published figures are there."""

    pair: str
    pair_name: str
    run: str
    pinned: bool
    permalink: str
    corpus: str
    left_act_fn: str
    right_act_fn: str | None
    stage: StageView
    losses: tuple[DifferenceView, ...]
    loss_reading: Reading
    control: ControlView | None
    layers: tuple[LayerPanelView, ...]
    labels: tuple[LabelShareView, ...]
    label_reading: Reading
    published: tuple[PublishedView, ...]
    links: PairLinks
    json_href: str
