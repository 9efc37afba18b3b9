"""What each further filter of the explorer would leave: by layer, verdict, bands of scores."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

from server.compose.explorer_columns import definition_of
from server.filters import Selection
from server.kept import state_of
from server.pages.explorer import FacetView
from server.pages.fields import Link
from server.site import Site
from store import facets
from store.columns import VERSION_COLUMNS
from store.facets import Band, FacetCounts
from store.records import VERDICTS, RunRecord

#: Column of a version → (low, high, what the band is called); None is open.
Ends = tuple[float | None, float | None, str]
_QUARTERS: tuple[Ends, ...] = (
    (None, 0.25, "below 25 %"),
    (0.25, 0.5, "25–50 %"),
    (0.5, 0.75, "50–75 %"),
    (0.75, None, "above 75 %"),
)
BANDS: dict[str, tuple[Ends, ...]] = {
    "hidden_share": _QUARTERS,
    "polysemanticity": (
        (None, 0.5, "below 0.5"),
        (0.5, 0.75, "0.5–0.75"),
        (0.75, 1.0, "0.75–1"),
        (1.0, None, "above 1"),
    ),
    "best_correlation": (
        (None, 0.25, "below 0.25"),
        (0.25, 0.5, "0.25–0.5"),
        (0.5, 0.75, "0.5–0.75"),
        (0.75, None, "above 0.75"),
    ),
    "density": (
        (None, 0.001, "below 0.1 %"),
        (0.001, 0.01, "0.1–1 %"),
        (0.01, 0.1, "1–10 %"),
        (0.1, None, "above 10 %"),
    ),
    "kurtosis": (
        (None, 10, "below 10"),
        (10, 100, "10–100"),
        (100, 1000, "100–1,000"),
        (1000, None, "above 1,000"),
    ),
}
#: Too many for rows that have each of them twice.
_OF_VERSIONS = ("density", "kurtosis")
_HEADINGS = {
    "hidden_share": "hidden share",
    "polysemanticity": "polysem. score",
    "best_correlation": "ρ best match",
    "density": "density",
    "kurtosis": "kurtosis",
}

Address = Callable[[Selection], str]


@dataclass(frozen=True)
class _Banded:
    """A column with bands, as the rows at hand call it."""

    key: str
    heading: str
    ends: tuple[Ends, ...]
    of_evidence: bool

    @property
    def bands(self) -> tuple[Band, ...]:
        """As the store counts them."""
        return tuple(Band(self.key, low, high) for low, high, _ in self.ends)


def facet_views(
    site: Site,
    run: RunRecord,
    selection: Selection,
    names: Mapping[str, str],
    has_evidence: bool,
    address: Address,
) -> tuple[FacetView, ...]:
    """Every facet; each counts under all filters but those of its own column."""
    banded = _banded(run, selection, names, has_evidence)
    found = _Counts(site, run, selection, banded)
    views = [_by_layer(found, run, selection, address)] if run.pair.left.n_layers > 1 else []
    if selection.rows == "version":
        views.append(_by_verdict(site, run, selection, address))
    for one in banded:
        others = selection.without_key(one.key)
        counts = found.of_bands(one)
        links = []
        for low, high, text in one.ends:
            chosen = selection.with_band(one.key, low, high)
            current = {*_of(chosen, one.key)} == {*_of(selection, one.key)}
            links.append(Link(address(others if current else chosen), text, "", current))
        column = selection.columns[one.key]
        views.append(
            FacetView(
                key=one.key,
                title=one.heading,
                definition_key=definition_of(column.key),
                links=tuple(links),
                counts=counts,
                most=max(counts, default=0),
            )
        )
    return tuple(views)


def _of(selection: Selection, key: str) -> list[tuple[str, float]]:
    """The ends of a column's filters."""
    found: list[tuple[str, float]] = []
    for one in selection.filters:
        if one.key == key:
            try:
                found.append((one.operator, float(one.value)))
            except ValueError:
                continue
    return found


def _banded(
    run: RunRecord, selection: Selection, names: Mapping[str, str], has_evidence: bool
) -> list[_Banded]:
    found = []
    for key, ends in BANDS.items():
        if VERSION_COLUMNS[key].of_evidence and not has_evidence:
            continue
        if key == "best_correlation" and run.pair.right is None:
            continue
        if key in _OF_VERSIONS and selection.rows != "version":
            continue
        stored = VERSION_COLUMNS[key].of_evidence
        if selection.rows == "version":
            found.append(_Banded(key, _HEADINGS[key], ends, stored))
            continue
        found += [
            _Banded(f"{side}_{key}", f"{_HEADINGS[key]}, {name}", ends, stored)
            for side, name in names.items()
            if key != "best_correlation" or side == "left"
        ]
    return found


def _by_layer(found: _Counts, run: RunRecord, selection: Selection, address: Address) -> FacetView:
    others = selection.without_key("layer")
    layers = found.of_layers()
    chosen = selection.value_of("layer")
    links, counts = [], []
    for layer in range(run.pair.left.n_layers):
        current = chosen == str(layer)
        there = others if current else others.with_filter("layer", layer)
        links.append(Link(address(there), f"layer {layer}", "", current))
        counts.append(layers.get(layer, 0))
    return FacetView("layer", "layer", None, tuple(links), tuple(counts), max(counts, default=0))


def _by_verdict(site: Site, run: RunRecord, selection: Selection, address: Address) -> FacetView:
    keys = {verdict: f"labels_{verdict}" for verdict in VERDICTS}
    others = selection
    for key in keys.values():
        others = others.without_key(key)
    found = facets.verdicts(site.engine, run.id, others.for_store())
    links, counts = [], []
    for verdict, key in keys.items():
        current = bool(_of(selection, key))
        there = others if current else others.with_band(key, 1, None)
        links.append(Link(address(there), verdict, "", current))
        counts.append(found.get(verdict, 0))
    return FacetView(
        "labels", "label", "label", tuple(links), tuple(counts), max(counts, default=0)
    )


class _Counts:
    """The counts of all facets, by as few scans as there are different filters to count under.

    What stands in one table is asked for together. Kept unless filters ask about labels, which
    change.
    """

    def __init__(
        self, site: Site, run: RunRecord, selection: Selection, banded: list[_Banded]
    ) -> None:
        self._site, self._run, self._selection = site, run, selection
        self._asked: dict[tuple[Selection, bool], list[Band]] = {}
        for one in banded:
            group = (selection.without_key(one.key), one.of_evidence)
            self._asked.setdefault(group, []).extend(one.bands)

    def of_bands(self, one: _Banded) -> tuple[int, ...]:
        """Rows in each band of a column."""
        others = self._selection.without_key(one.key)
        bands = tuple(self._asked[others, one.of_evidence])
        found = dict(zip(bands, self._counted(others, bands).bands, strict=True))
        return tuple(found[band] for band in one.bands)

    def of_layers(self) -> dict[int, int]:
        """Rows in each layer."""
        others = self._selection.without_key("layer")
        bands = next((tuple(b) for (there, _), b in self._asked.items() if there == others), ())
        return self._counted(others, bands).layers

    def _counted(self, selection: Selection, bands: tuple[Band, ...]) -> FacetCounts:
        run, filters = self._run, selection.for_store()

        def count() -> FacetCounts:
            return facets.counts(self._site.engine, run.id, selection.rows, filters, bands)

        asked = tuple(sorted(filters.items()))
        key: Hashable = ("facets", state_of(run), selection.rows, asked, bands)
        if any(selection.columns[one.key].verdicts for one in selection.filters):
            key = object()  # labels change: nothing finds it again
        return self._site.kept.get(key, count, lambda found: 400 + 40 * len(found.layers))
