"""Page object of `/{pair}/live`: a text of one's own through both versions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from server.pages.evidence import SideName, SiteName
from server.pages.fields import HTML_ONLY
from server.pages.pair_links import PairLinks


@dataclass(frozen=True)
class FaultView:
    """Why there is no result: the words of the error, on a page that still has the form."""

    status: int
    code: str
    message: str
    hint: str | None


@dataclass(frozen=True)
class LiveToken:
    """An activation of a version at its display site: on which token, and how high that is.

    `quantile` is the share of all tokens of the run's corpus on which the neuron is lower.
    """

    token: int
    activation: float
    quantile: float | None


@dataclass(frozen=True)
class ActiveView:
    """One of the neurons most active on the token.

    `other_activation` is that of the same index in the other version, `other_rank` its rank there
    among all neurons, from 1; None in a single-sided run. `live_href` is this text at that neuron.
    """

    layer: int
    neuron: int
    name: str
    href: str
    live_href: str
    activation: float
    quantile: float | None
    other_activation: float | None
    other_rank: int | None


@dataclass(frozen=True)
class LiveVersion:
    """One version on the text: `values[site]` has one a token, BOS first.

    `scale` is the largest magnitude of the display site in the run, the deepest colour; None for a
    constant neuron. `at_token` is about the token asked for, `highest` about the one on which the
    neuron is highest. `most_active` were chosen from `n_neurons`, those of all layers.
    """

    side: SideName
    model: str
    act_fn: str
    name: str
    href: str
    display_site: SiteName
    values: dict[SiteName, tuple[float, ...]]
    scale: float | None
    at_token: LiveToken
    highest: LiveToken
    most_active: tuple[ActiveView, ...]
    n_neurons: int


@dataclass(frozen=True)
class LiveVersions:
    """Left and right; `right` is None in a single-sided run."""

    left: LiveVersion | None
    right: LiveVersion | None


@dataclass(frozen=True)
class LiveResult:
    """What the models made of the text.

    `tokens` are display strings, BOS first, so that an index is a position; `n_dropped` tokens of
    the text lie beyond the models' window and were not read. `token` is the one asked for, or the
    one chosen. `chosen` says that no neuron was named: the most active one on the token is shown.
    """

    layer: int
    neuron: int
    name: str
    chosen: bool
    token: int
    tokens: tuple[str, ...]
    n_dropped: int
    versions: LiveVersions
    pieces: Annotated[tuple[bytes, ...], HTML_ONLY] = ()


@dataclass(frozen=True)
class LivePage:
    """The form with what was asked, and either the result or the fault.

    `text` is what was run: the reader's, or an example from the run's corpus (`is_example`). Line
    ends are LF and a NUL is U+FFFD, as every browser's form has it.
    """

    pair: str
    pair_name: str
    run: str
    pinned: bool
    href: str
    permalink: str
    text: str
    is_example: bool
    layer: int | None
    neuron: int | None
    token: int | None
    name: str | None
    max_characters: int
    n_ctx: int
    n_layers: int
    n_neurons: int
    left_act_fn: str
    right_act_fn: str | None
    has_worker: bool
    fault: FaultView | None
    result: LiveResult | None
    neuron_href: str | None
    action: str
    links: PairLinks
    json_href: str
