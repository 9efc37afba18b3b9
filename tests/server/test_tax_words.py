"""Readings change with the numbers, and say so when no difference is seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from server import loss_words, tax_words
from server.pages.tax import (
    DifferenceView,
    HiddenDistributionView,
    LabelShareView,
    LayerSides,
    LayerSideView,
)
from store.evidence_records import CURVE_QUANTILES

UNSEEN = "o difference seen"
KEPT = tuple(1 - q for q in CURVE_QUANTILES)


def difference(
    nats: float,
    low: float,
    high: float,
    source: str = "all",
    against: str = "right",
    n_documents: int = 61,
) -> DifferenceView:
    names = {"left": "SoLU", "right": "GeLU", "control": "SoLU without LayerNorm"}
    return DifferenceView(
        side="left",
        against=against,
        side_name="SoLU",
        against_name=names[against],
        source=source,
        n_documents=n_documents,
        n_tokens=100_031,
        n_bytes=340_170,
        nats_per_token=nats,
        nats_interval=(low, high),
        bits_per_byte=nats * 0.424,
        bits_interval=(low * 0.424, high * 0.424),
        seen=low > 0 or high < 0,
    )


def hidden(median: float | None, spread: float = 0.02, n: int = 512) -> HiddenDistributionView:
    if median is None:
        return HiddenDistributionView(0, n, None, None, None, None, None, None)
    return HiddenDistributionView(
        n,
        0,
        max(median - 0.3, 0.0),
        median - 0.1,
        median,
        median + 0.1,
        min(median + 0.2, 1.0),
        (median - spread, median + spread),
    )


def layer_side(side: Literal["left", "right"], **changes: object) -> LayerSideView:
    steep = 0.4 if side == "left" else 0.8
    made = LayerSideView(
        side=side,
        act_fn="solu_ln" if side == "left" else "gelu",
        name="SoLU" if side == "left" else "GeLU",
        n_tokens=98_304,
        layer_effect=0.41 if side == "left" else 0.29,
        kept_share=KEPT,
        loss_recovered=tuple(kept**steep for kept in KEPT),
        orphan_effect=0.351 if side == "left" else 0.052,
        orphan_interval=(0.32, 0.38) if side == "left" else (0.03, 0.08),
        orphan_token_share=0.61 if side == "left" else 0.6,
        rescue=(0.2, 0.16, 0.13, 0.11, 0.1, 0.08, 0.07, 0.06, 0.05, 0.04)
        if side == "left"
        else None,
        hidden=hidden(0.45 if side == "left" else 0.74),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def both(**changes: object) -> LayerSides:
    return LayerSides(layer_side("left", **changes), layer_side("right"))


def test_a_difference_whose_interval_includes_zero_is_not_seen() -> None:
    text = loss_words.loss_reading([difference(-0.004, -0.011, 0.003)]).text
    assert text.startswith("No difference seen between SoLU and GeLU")
    assert "includes zero" in text
    assert "−0.0110 to 0.00300" in text


@pytest.mark.parametrize(
    ("nats", "better"), [(-0.02, "SoLU predicts better than GeLU"), (0.02, "GeLU predicts better")]
)
def test_a_difference_that_is_seen_names_the_better(nats: float, better: str) -> None:
    reading = loss_words.loss_reading([difference(nats, nats - 0.005, nats + 0.005)])
    assert reading.text.startswith(better)
    assert UNSEEN not in reading.text
    assert "0.0200 nats a token" in reading.text
    assert "seed" in reading.not_meant


def test_sources_are_told_apart() -> None:
    whole = difference(-0.02, -0.03, -0.01)
    text = loss_words.loss_reading(
        [
            whole,
            difference(-0.03, -0.04, -0.02, "installed"),
            difference(0.03, 0.02, 0.04, "stdlib"),
            difference(0.0, -0.01, 0.01, "stdlib-tests"),
        ]
    ).text
    assert "SoLU is better in installed." in text
    assert "GeLU is better in stdlib." in text
    assert "No difference seen in stdlib-tests." in text
    unseen = [difference(0.0, -0.01, 0.01, name) for name in ("a", "b")]
    assert "In no single source" in loss_words.loss_reading([whole, *unseen]).text


def test_a_mixture_is_no_source() -> None:
    whole = difference(-0.02, -0.03, -0.01)
    unseen = [difference(0.0, -0.01, 0.01, name) for name in ("c4", "code")]
    mixed = difference(-0.01, -0.015, -0.005, "mixture of 80 % c4 and 20 % code")
    text = loss_words.loss_reading([whole, *unseen, mixed]).text
    assert "In no single source is it large enough to be seen." in text
    assert "In a mixture of 80 % c4 and 20 % code: SoLU predicts better than GeLU" in text


def test_few_documents_are_said() -> None:
    one = difference(-0.02, -0.03, -0.01)
    assert "documents, so" not in loss_words.loss_reading([one]).text
    few = loss_words.loss_reading([replace(one, n_documents=21)]).text
    assert "It rests on 21 documents, so the interval itself is rough." in few


def test_no_difference_is_no_reading() -> None:
    assert loss_words.loss_reading([]).text == "No loss difference was measured."


def test_a_control_trained_on_less_is_not_compared() -> None:
    text = loss_words.training_warning("SoLU without LayerNorm", 10_075_601, 27_210_587)
    assert "no tax must be read from it" in text
    assert "10,075,601" in text
    assert "27,210,587, 2.7 times as many" in text
    assert "2.7 times as few" in loss_words.training_warning("x", 27_210_587, 10_075_601)
    assert loss_words.training_warning("x", 5, 5) == ""
    assert "not recorded" in loss_words.training_warning("x", None, 5)


def test_curves_are_the_same_cross_or_lead() -> None:
    recovered = layer_side("right").loss_recovered
    same = tax_words.kept_reading(both(loss_recovered=recovered)).text
    assert "No difference seen between the two curves." in same
    ahead = tax_words.kept_reading(both()).text
    assert "More of SoLU’s layer is in its strongest activations; GeLU needs more" in ahead
    assert "SoLU recovers 6.31 % with 0.1 %, 15.8 % with 1 %, 39.8 % with 10 %" in ahead
    crossing = tuple(
        value + (0.1 if kept < 0.05 else -0.1) for kept, value in zip(KEPT, recovered, strict=True)
    )
    crossed = tax_words.kept_reading(both(loss_recovered=crossing)).text
    assert "cross: more is recovered by SoLU at 0.1 % and 1 % and by GeLU at 10 % kept" in crossed
    useless = tax_words.kept_reading(both(kept_share=(), loss_recovered=())).text
    assert "Without this layer SoLU predicts no worse" in useless


def test_orphans_are_set_against_their_number() -> None:
    text = tax_words.orphan_reading(both()).text
    assert "SoLU: 35.1 % of the layer’s effect (95 % interval 32.0 % to 38.0 %)" in text
    assert "0.58 times, so less than, what their number alone would give" in text
    even = both(orphan_effect=0.62, orphan_interval=(0.6, 0.64))
    assert "no difference seen from what their number alone" in tax_words.orphan_reading(even).text
    more = both(orphan_effect=0.9, orphan_interval=(0.88, 0.92))
    assert "1.5 times, so more than" in tax_words.orphan_reading(more).text
    assert "Undefined for SoLU" in tax_words.orphan_reading(both(orphan_effect=None)).text


def test_orphans_overlap_or_differ() -> None:
    text = tax_words.orphan_reading(both()).text
    assert text.endswith("no strong example would be shown than of GeLU’s.")
    assert "More of SoLU’s layer" in text
    same = tax_words.orphan_reading(both(orphan_effect=0.06, orphan_interval=(0.04, 0.09))).text
    assert "No difference seen between the versions: the intervals overlap." in same
    less = tax_words.orphan_reading(both(orphan_effect=0.01, orphan_interval=(0.0, 0.02))).text
    assert "More of GeLU’s layer" in less
    numerous = LayerSides(
        layer_side("left", orphan_effect=0.6, orphan_interval=(0.58, 0.62), orphan_token_share=0.6),
        layer_side("right", orphan_effect=0.66, orphan_interval=(0.64, 0.68),
                   orphan_token_share=0.66),
    )  # fmt: skip
    assert tax_words.orphan_reading(numerous).text.endswith(
        "but there are more such tokens, too: for their number, no difference seen."
    )


def test_rescue_is_set_against_an_even_spread() -> None:
    text = tax_words.rescue_reading(both()).text
    assert "carries 70.0 % of its effect, more than an even spread’s 50 %" in text
    assert "GeLU has no LayerNorm after its activation." in text
    even = tax_words.rescue_reading(both(rescue=(0.1,) * 10)).text
    assert UNSEEN in even
    strong = tax_words.rescue_reading(both(rescue=(0.02,) * 5 + (0.18,) * 5)).text
    assert "the layer works mostly where it is strong" in strong
    two = LayerSides(layer_side("left"), layer_side("right", rescue=(0.1,) * 10))
    assert tax_words.rescue_reading(two).text.endswith("It is more in SoLU.")


def test_hidden_shares_are_compared_by_exact_medians_only() -> None:
    text = tax_words.hidden_reading(both()).text
    assert (
        "SoLU: half of 512 neurons hide more than 45.0 % (95 % interval 43.0 % to 47.0 %)" in text
    )
    assert "GeLU’s neurons hide more than SoLU’s." in text
    assert UNSEEN in tax_words.hidden_reading(both(hidden=hidden(0.73))).text
    only = tax_words.hidden_reading(both(hidden=hidden(None))).text
    assert "SoLU has estimates only (512 neurons)" in only
    assert "Too few exact values" in only


def test_labels_are_few_overlap_or_differ() -> None:
    def labelled(side: Literal["left", "right"], hits: int, n: int) -> LabelShareView:
        from server.intervals import wilson

        name = "SoLU" if side == "left" else "GeLU"
        share = hits / n if n else None
        return LabelShareView(side, name.lower(), name, 1024, n, hits, share, wilson(hits, n))

    none = tax_words.label_reading([labelled("left", 0, 0), labelled("right", 1, 3)])
    assert "Nobody has labelled a SoLU version yet." in none.text
    assert "1 of 3 labelled versions, which is few, are called monosemantic" in none.text
    assert UNSEEN not in none.text
    near = tax_words.label_reading([labelled("left", 30, 60), labelled("right", 25, 60)])
    assert "No difference seen: the intervals overlap." in near.text
    assert "few" not in near.text
    apart = tax_words.label_reading([labelled("left", 50, 60), labelled("right", 10, 60)])
    assert apart.text.endswith("More of SoLU’s are than of GeLU’s.")
    assert "blind study" in apart.not_meant


@pytest.mark.parametrize("present", ["left", "right"])
def test_a_single_side_is_not_compared(present: Literal["left", "right"]) -> None:
    one = layer_side(present)
    sides = LayerSides(one, None) if present == "left" else LayerSides(None, one)
    for reading in (
        tax_words.kept_reading(sides),
        tax_words.orphan_reading(sides),
        tax_words.rescue_reading(sides),
        tax_words.hidden_reading(sides),
    ):
        assert one.name in reading.text
        assert "difference seen" not in reading.text


def test_a_handful_of_documents_tells_no_difference() -> None:
    alone = replace(
        difference(-0.02, 0, 0, n_documents=4), nats_interval=None, bits_interval=None, seen=False
    )
    said = loss_words.loss_reading([alone]).text
    assert said == (
        "Whether SoLU or GeLU predicts better cannot be said from 4 documents: there they "
        "differ by −0.0200 nats a token (SoLU − GeLU)."
    )


def test_few_documents_of_a_source_are_said() -> None:
    sources = [
        difference(-0.02, -0.03, -0.01, "code", n_documents=12),
        difference(-0.01, -0.02, -0.005, "web", n_documents=300),
    ]
    said = loss_words.loss_reading(
        [difference(-0.02, -0.03, -0.01, n_documents=312), *sources]
    ).text
    assert said.endswith(
        "Of code there are fewer than 30 documents, so the interval itself is rough there."
    )
