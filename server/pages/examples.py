"""A version's examples as its page and its JSON show them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, overload

from pydantic import InstanceOf, PlainSerializer

from server.pages.fields import HTML_ONLY
from server.pages.lazy import SiteName, Texts, Values


@dataclass  # a page has many: frozen ones take three times as long to make
class OtherView:
    """The other version on the same snippet.

    `shown` says whether it is the neuron in the other column (a best match need not be mutual).
    `quantile` is the share of all tokens on which it is lower than at this focus.
    """

    neuron: int
    name: str
    shown: bool
    display_site: SiteName
    activation: float | None
    quantile: float | None
    values: Values


@dataclass  # as above
class ExampleView:
    """A token at which a version is shown, within its snippet.

    `focus` is the index of the token among `tokens` and `values[site]`, all of one length.
    `tokens` are for display, one by one; a page joins `pieces`, the bytes, before it decodes.
    `before` and `after` are the window's tokens beside them, without values.
    """

    band: str
    rank: int
    document: str
    document_id: int
    source: str
    window: int
    position: int
    activation: float
    tokens: Texts
    before: Texts
    after: Texts
    focus: int
    values: Values
    other: OtherView | None
    pieces: Annotated[Sequence[bytes], HTML_ONLY] = ()


class Examples(Sequence[ExampleView]):
    """A version's examples in their order, made when they are asked for: a page draws a third of
    them, best together (`some`), and of the others it reads what stands in columns.

    `bands`, `ranks`, `activations` and `focus` (the token in focus, bytes) have an entry an
    example; `at_focus` gives the values of a site at all foci, None where there is no such site.
    """

    def __init__(
        self,
        bands: Sequence[str],
        ranks: Sequence[int],
        activations: Sequence[float],
        focus: Sequence[bytes],
        at_focus: Callable[[SiteName], Sequence[float] | None],
        make: Callable[[Sequence[int]], list[ExampleView]],
    ) -> None:
        self.bands, self.ranks, self.activations = bands, ranks, activations
        self.focus, self.at_focus, self._make = focus, at_focus, make
        self._places: dict[str, list[int]] = {}
        for n, band in enumerate(bands):
            self._places.setdefault(band, []).append(n)

    def of_band(self, band: str) -> Sequence[int]:
        """The places of a band's examples."""
        return self._places.get(band, ())

    def __len__(self) -> int:
        return len(self.bands)

    @overload
    def __getitem__(self, place: int) -> ExampleView: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[ExampleView, ...]: ...
    def __getitem__(self, place: int | slice) -> ExampleView | tuple[ExampleView, ...]:
        numbers = range(len(self.bands))[place]
        return self._make([numbers])[0] if isinstance(numbers, int) else tuple(self._make(numbers))

    def some(self, places: Sequence[int]) -> list[ExampleView]:
        """Those at these places, in this order, made together."""
        return self._make(places)


def _all(examples: Examples) -> tuple[ExampleView, ...]:
    return examples[:]


#: As a field of a page object: what it is in Python, and what it is in JSON.
AllExamples = Annotated[
    InstanceOf[Examples], PlainSerializer(_all, return_type=tuple[ExampleView, ...])
]
