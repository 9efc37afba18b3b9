"""Losses and effects: what is stored against what was found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from store.evidence_records import CURVE_QUANTILES, HEADLINE_QUANTILE, LossDifferenceRecord
from store.records import LossRecord
from worker.losses import HeldOutStream
from worker.verify.checks import Check
from worker.verify.chosen import Stored
from worker.verify.effects_pass import Sums

_HEADLINE = CURVE_QUANTILES.index(HEADLINE_QUANTILE)
_LOSS_ALLOWED = 1e-5
_EFFECT_ALLOWED = 5e-3
_SHARE_ALLOWED = 5e-3
_ESTIMATE_ALLOWED = 0.02


def losses(
    stored: Sequence[LossRecord], stream: HeldOutStream, nats: dict[tuple[str, int], float]
) -> Check:
    """Sums on the held-out documents, by side and source, and how many there are."""
    check = Check("held-out losses", f"{_LOSS_ALLOWED:g} of it: single precision")
    found = {(one.side, one.source): one for one in stream.records(nats)}
    for key in sorted({*found, *((one.side, one.source) for one in stored)}):
        check.exact(" ".join((*key, "there")), key in found and any(
            (one.side, one.source) == key for one in stored
        ))  # fmt: skip
    for one in stored:
        right = found.get((one.side, one.source))
        if right is not None:
            where = f"{one.side} {one.source}"
            check.compare(where, one.nats, right.nats, _LOSS_ALLOWED * right.nats + 1e-9)
            same = [
                getattr(one, n) == getattr(right, n) for n in ("n_documents", "n_tokens", "n_bytes")
            ]
            check.exact(f"{where} counts", all(same))
    return check


def loss_differences(
    stored: Sequence[LossDifferenceRecord],
    stream: HeldOutStream,
    nats: dict[tuple[str, int], float],
) -> Check:
    """Differences in nats a token, over all sources and by source."""
    check = Check("loss differences", f"{_LOSS_ALLOWED:g} nats a token: single precision")
    found = stream.records(nats)
    for one in stored:
        sums = {"n_documents": 0, "n_tokens": 0, "n_bytes": 0}
        excess = 0.0
        for loss in found:
            if one.source not in ("", loss.source):
                continue
            if loss.side == one.side:
                excess += loss.nats
                for name in sums:
                    sums[name] += getattr(loss, name)
            elif loss.side == one.against:
                excess -= loss.nats
        where = f"{one.side} − {one.against} {one.source or 'all sources'}"
        check.exact(f"{where} counts", all(getattr(one, n) == v for n, v in sums.items()))
        value = excess / sums["n_tokens"] if sums["n_tokens"] else None
        check.compare(where, one.difference, value, 5 * _LOSS_ALLOWED)
        check.exact(f"{where} interval", one.interval[0] <= one.interval[1])
    return check


def exact_effects(stored: Stored, sums: Sums, tokens: Any) -> list[Check]:
    """True ablations: the effect, and the share of it below the headline. `tokens(last)` are the
    unmasked tokens on which the low and the high part were measured."""
    effect = Check("exact effect", f"{_EFFECT_ALLOWED:g} of it: single precision")
    share = Check("exact hidden share", f"{_SHARE_ALLOWED:g}: single precision")
    for (side, layer), of_layer in stored.items():
        for version in of_layer:
            key = (side, layer, version.record.neuron)
            if key not in sums or version.evidence is None or version.evidence.hidden is None:
                continue
            n_low, n_high = tokens(side, layer)
            low, high = sums[key][0] / max(1, n_low), sums[key][1] / max(1, n_high)
            record = version.evidence.hidden
            floor = 1e-12
            effect.compare(
                version.name, record.effect, low + high, _EFFECT_ALLOWED * (low + high) + floor
            )
            found = low / (low + high) if low + high > floor else None
            if found is not None or record.share is None:
                share.compare(version.name, record.share, found, _SHARE_ALLOWED)
    return [effect, share]


def estimates(stored: Stored, sums: Any, n_tokens: int) -> list[Check]:
    """The estimate's effect and share of every chosen version, and the total of its mass by bin."""
    effect = Check("estimated effect", f"{_ESTIMATE_ALLOWED:g} of it: draws at a border may differ")
    share = Check("estimated hidden share", f"{_ESTIMATE_ALLOWED:g}: as the estimated effect")
    mass = Check("effect mass, total of all bins", "0.005 of the effect: as it is stored")
    curve = Check("hidden share's curve", "0.005 at the headline: it is spread by the same sums")
    for place, of_layer in stored.items():
        for j, version in enumerate(of_layer):
            if version.evidence is None or version.evidence.hidden is None:
                continue
            record = version.evidence.hidden
            if sums is not None:
                low, high = (float(x) / max(1, n_tokens) for x in sums[place][:, j])
                whole = low + high
                allowed = _ESTIMATE_ALLOWED * whole + 1e-12
                effect.compare(version.name, record.estimated_effect, whole, allowed)
                found = low / whole if whole > 0 else None
                share.compare(version.name, record.estimated_share, found, _ESTIMATE_ALLOWED)
                if record.method == "estimate":  # then they are what is shown
                    effect.compare(f"{version.name} shown", record.effect, whole, allowed)
                    share.compare(f"{version.name} shown", record.share, found, _ESTIMATE_ALLOWED)
            if record.effect is not None:
                total = float(record.mass.sum(dtype=float))
                mass.compare(version.name, total, record.effect, 5e-3 * record.effect + 1e-12)
            if record.curve[_HEADLINE] is not None:
                curve.compare(version.name, record.curve[_HEADLINE], record.share, 5e-3)
    return [effect, share, mass, curve]
