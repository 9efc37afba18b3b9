"""Distributions, correspondence and logit effects: what is stored against what was found."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch

from store.histogram_edges import inner_edges
from store.records import RunRecord, Side
from worker.settings import StatisticsSettings
from worker.verify.checks import Check
from worker.verify.chosen import Stored, StoredVersion
from worker.verify.found import Distribution, Found
from worker.verify.plain import PlainModels, mlp
from worker.verify.rounding import Rounding
from worker.verify.survey import Survey

Doubles = npt.NDArray[np.float64]

_ROUNDING = "measured rounding of a forward pass in single precision, single against double"
_MOMENT = "1e-5 of its scale, or ten times the rounding of the values: order of float64 sums"
_HALF = "of half-precision values, which rounding may move by one step"
_CORRELATION_ALLOWED = 5e-4
_LOGIT_ALLOWED = 1e-4


def counts_of_run(run: RunRecord, survey: Survey) -> Check:
    """Documents, windows and tokens."""
    check = Check("documents, windows, tokens", "none: whole numbers")
    for name, found in (
        ("n_documents", survey.n_documents),
        ("n_windows", survey.n_windows),
        ("n_tokens", survey.n_tokens),
    ):
        check.exact(f"run {run.id} {name}", getattr(run, name) == found)
    return check


def distributions(stored: Stored, found: Found, rounding: dict[Any, Rounding]) -> list[Check]:
    """Histograms, moments, extrema at every site; density at the display site."""
    histogram = Check(
        "histogram counts",
        "tokens whose value lies within its rounding of a bin's edge may be on either side "
        f"({_ROUNDING})",
    )
    moments = {
        name: Check(title, _MOMENT)
        for name, title in (
            ("mean", "mean"),
            ("std", "standard deviation"),
            ("skewness", "skewness"),
            ("kurtosis", "kurtosis"),
        )
    }
    extrema = {
        name: Check(title, _ROUNDING) for name, title in (("min", "minimum"), ("max", "maximum"))
    }
    density = Check("density", "the tokens of the bin that holds its threshold")
    threshold = Check("density's threshold", _MOMENT)
    for place, of_layer in stored.items():
        for j, version in enumerate(of_layer):
            for site, statistics in version.record.sites.items():
                where = f"{version.name} {site}"
                of = found.distributions[(*place, site)]
                r = rounding[(*place, site)]
                _histogram(histogram, where, np.asarray(statistics.counts), of, j)
                values, allowed = _moments(of, j, float(r.pivot[j]), float(r.part[j]))
                shown = site == version.record.display_site
                for name, check in moments.items():
                    check.compare(where, getattr(statistics, name), values[name], allowed[name])
                    if shown:  # the column that the explorer sorts by
                        listed = cast(Any, version.listed[name])
                        check.compare(f"{where} (explorer)", listed, values[name], allowed[name])
                for name, value in (("min", of.least[j]), ("max", of.most[j])):
                    limit = float(r.part[j] * (abs(value) + r.scale[j]))
                    extrema[name].compare(where, getattr(statistics, name), float(value), limit)
                    if shown:
                        listed = cast(Any, version.listed[name])
                        extrema[name].compare(f"{where} (explorer)", listed, float(value), limit)
                histogram.exact(f"{where} n", statistics.n == of.n)
            _density(density, threshold, version, found, place, j, rounding)
    return [histogram, *moments.values(), *extrema.values(), density, threshold]


def _histogram(check: Check, where: str, counts: Any, of: Distribution, j: int) -> None:
    """Cumulated counts must lie between those of values less and plus their rounding."""
    stored = np.cumsum(counts)
    least, most = np.cumsum(of.high[j]), np.cumsum(of.low[j])
    outside = np.maximum(least - stored, 0) + np.maximum(stored - most, 0)
    worst = int(outside.argmax())
    # One token too many in a bin is wrong; where rounding leaves room, so much is allowed.
    check.n += len(counts) - 1
    place = f"{where} bin {worst}" if outside[worst] else where
    check.error(place, float(outside[worst]) * 2 if outside[worst] else 0.0)


def _moments(of: Distribution, j: int, pivot: float, part: float) -> tuple[Any, Any]:
    """Moments from the sums of powers, and what is allowed for each."""
    s1, s2, s3, s4 = (float(x) / of.n for x in of.powers[:, j])
    mean, variance = pivot + s1, max(s2 - s1 * s1, 0.0)
    std = variance**0.5
    third = s3 - 3 * s1 * s2 + 2 * s1**3
    fourth = max(s4 - 4 * s1 * s3 + 6 * s1 * s1 * s2 - 3 * s1**4, 0.0)
    least = max(1e-5, 10 * part)
    scale = max(abs(mean), std)
    values: dict[str, float | None] = {"mean": mean, "std": std, "skewness": None, "kurtosis": None}
    allowed = {"mean": least * scale + 1e-9, "std": least * scale + 1e-9}
    if of.least[j] == of.most[j] or std == 0.0:
        values["std"] = 0.0
        return values, allowed | {"skewness": 0.0, "kurtosis": 0.0}
    skewness, kurtosis = third / std**3, fourth / variance**2
    allowed["kurtosis"] = 4 * least * kurtosis
    allowed["skewness"] = 3 * least * max(1.0, kurtosis**0.75)
    return values | {"skewness": skewness, "kurtosis": kurtosis}, allowed


def _density(
    density: Check,
    threshold: Check,
    version: StoredVersion,
    found: Found,
    place: tuple[Side, int],
    j: int,
    rounding: dict[Any, Rounding],
) -> None:
    record = version.record
    spot = (*place, record.display_site)
    of, r = found.distributions[spot], rounding[spot]
    mean = float(r.pivot[j]) + float(of.powers[0, j]) / of.n
    value = mean + 0.1 * (float(of.most[j]) - mean)
    scale = max(abs(mean), abs(float(of.most[j])))
    threshold.compare(
        version.name,
        record.density_threshold,
        value,
        max(1e-5, 10 * float(r.part[j])) * scale + 1e-9,
    )
    if record.density_threshold is None:
        density.compare(version.name, record.density, None, 0.0)
        return
    bin_ = int(np.searchsorted(inner_edges(), record.density_threshold, side="right"))
    room = int(of.low[j, max(bin_ - 1, 0) : bin_ + 2].max())
    share = 0.0 if of.least[j] == of.most[j] else float(of.above[j]) / of.n
    density.compare(version.name, record.density, share, (room + 1) / of.n)


def correspondence(stored: Stored, found: Found, n_sample: int) -> list[Check]:
    """Correlations on the token sample: same index, best match, partners."""
    same = Check("correlation with the same index", f"{_CORRELATION_ALLOWED:g}, {_HALF}")
    best = Check("best match", f"its correlation within {_CORRELATION_ALLOWED:g} of the largest")
    ranks = Check("rank of the same index", f"correlations that differ by {_CORRELATION_ALLOWED:g}")
    partners = Check(
        "partners and similar neurons",
        f"its correlation within {_CORRELATION_ALLOWED:g}, and of the highest, {_HALF}",
    )
    tables = {key: products.correlations(n_sample) for key, products in found.products.items()}
    for (side, layer), of_layer in stored.items():
        other: Side = "right" if side == "left" else "left"
        across = tables.get(((side, layer), other))
        within = tables[(side, layer), side]
        for j, version in enumerate(of_layer):
            record = version.record.correspondence
            if across is not None:
                row = across[j]
                i = version.record.neuron
                value = _defined(row[i]) if i < len(row) else None
                same.compare(
                    version.name, record.same_index_correlation, value, _CORRELATION_ALLOWED
                )
                if value is not None:
                    ranks.exact(version.name, _may_rank(record.same_index_rank, row, value))
                _best(best, version, row)
            of_own = within[j].copy()
            of_own[version.record.neuron] = np.nan  # itself
            for kind, table in (
                ("within", of_own),
                ("across", None if across is None else across[j]),
            ):
                _partners(partners, version, kind, table)
    return [same, ranks, best, partners]


def _may_rank(rank: int | None, row: Doubles, value: float) -> bool:
    """Whether a correlation of this value may have this rank, from 1."""
    above = int((row > value + _CORRELATION_ALLOWED).sum())
    as_high = int((row >= value - _CORRELATION_ALLOWED).sum())
    return rank is not None and above < rank <= max(as_high, above + 1)


def _partners(check: Check, version: StoredVersion, kind: str, row: Doubles | None) -> None:
    """Each is the neuron that it names, and there is none higher but those before it."""
    highest = [] if row is None else np.sort(row[~np.isnan(row)])[::-1].tolist()
    for partner in version.record.partners:
        if partner.kind != kind:
            continue
        where = f"{version.name} {kind} {partner.rank}"
        value = None if row is None else _defined(row[partner.neuron])
        check.compare(where, partner.correlation, value, _CORRELATION_ALLOWED)
        due = highest[partner.rank] if partner.rank < len(highest) else None
        check.compare(f"{where}, the highest", partner.correlation, due, _CORRELATION_ALLOWED)


def _best(check: Check, version: StoredVersion, row: Doubles) -> None:
    record = version.record.correspondence
    if np.isnan(row).all():
        check.exact(version.name, record.best_neuron is None)
        return
    largest = float(np.nanmax(row))
    check.compare(version.name, record.best_correlation, largest, _CORRELATION_ALLOWED)
    at = None if record.best_neuron is None else _defined(row[record.best_neuron])
    check.compare(f"{version.name} neuron", at, largest, _CORRELATION_ALLOWED)


def logit_effects(stored: Stored, models: PlainModels, settings: StatisticsSettings) -> Check:
    """W_out[neuron]·W_U as the model applies it, in double precision."""
    check = Check("logit effects", f"{_LOGIT_ALLOWED:g} of the largest effect: single precision")
    for (side, layer), of_layer in stored.items():
        model = models[side]
        w_out = mlp(model, layer).fc_out.weight.detach().double().cpu()  # [d_model, n]
        unembed = model.head.weight.detach().double().cpu()  # [V, d_model]
        norm = model.ln_out
        if not isinstance(norm, torch.nn.Identity):
            w_out = w_out - w_out.mean(0, keepdim=True)
            weight = getattr(norm, "weight", None)
            unembed = unembed if weight is None else unembed * weight.detach().double().cpu()
        for version in of_layer:
            _effects(check, version, unembed @ w_out[:, version.record.neuron], settings)
    return check


def _effects(
    check: Check, version: StoredVersion, effects: torch.Tensor, settings: StatisticsSettings
) -> None:
    z = (effects - effects.mean()).numpy()
    record = version.record.logit_effects
    if record is None:
        check.exact(version.name, False)
        return
    allowed = _LOGIT_ALLOWED * float(np.abs(z).max()) + 1e-12
    order = np.sort(z)
    count = min(settings.logit_tokens, len(z))
    for kind, stored, expected in (
        ("promoted", record.promoted, order[::-1][:count]),
        ("suppressed", record.suppressed, order[:count]),
    ):
        check.exact(f"{version.name} {kind} count", len(stored) == count)
        for rank, (token, value) in enumerate(stored[:count]):
            where = f"{version.name} {kind} {rank}"
            check.compare(where, value, float(z[token]), allowed)
            check.compare(f"{where} rank", float(z[token]), float(expected[rank]), allowed)
    variance = float((z * z).mean())
    if variance > 0:
        kurtosis = float((z**4).mean()) / variance**2
        skewness = float((z**3).mean()) / variance**1.5
        check.compare(f"{version.name} kurtosis", record.kurtosis, kurtosis, 1e-3 * kurtosis)
        check.compare(
            f"{version.name} skewness", record.skewness, skewness, 1e-3 * max(1, kurtosis)
        )


def _defined(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)
