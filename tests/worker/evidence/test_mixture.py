"""Loss differences of a mixture of sources by stated weights."""

from __future__ import annotations

import math

import numpy as np
import pytest

from store.evidence_records import MIXTURE
from worker.errors import CorpusError, UsageError
from worker.evidence import loss_difference
from worker.evidence.loss_difference import DocumentLosses, records
from worker.evidence.mixture import Stratum, Weights, interval
from worker.evidence.settings import EvidenceSettings


def losses(documents: int = 60) -> DocumentLosses:
    """Two sources, c4 twice as frequent: SoLU is worse by 0.1 nats a token in code, better by 0.05
    in c4, with some noise a document."""
    random = np.random.default_rng(0)
    source = np.arange(documents) % 3 == 0  # code
    tokens = random.integers(50, 150, documents)
    excess = tokens * (np.where(source, 0.1, -0.05) + random.normal(0, 0.01, documents))
    base = 3.0 * tokens
    return DocumentLosses(
        np.arange(documents),
        np.where(source, 1, 0),
        tokens,
        tokens * np.where(source, 3, 5),
        {"left": base + excess, "right": base},
    )


def test_the_mean_is_of_the_stated_weights_not_of_the_corpus() -> None:
    weights = Weights.parse("code=0.2, c4=0.8")
    found = {one.source: one for one in records(losses(), ["c4", "code"], 200, 0, weights)}
    mixed = found["mixture of 80 % c4 and 20 % code"]
    expected = 0.8 * found["c4"].difference + 0.2 * found["code"].difference
    assert mixed.difference == pytest.approx(expected)
    assert mixed.difference != pytest.approx(found[""].difference, abs=1e-3)
    low, high = mixed.interval
    assert low < mixed.difference < high
    assert mixed.n_tokens == found[""].n_tokens
    assert mixed.n_bytes / mixed.n_tokens == pytest.approx(0.8 * 5 + 0.2 * 3, rel=1e-3)


def test_the_interval_has_each_source_at_its_weight() -> None:
    """Drawn within sources, the ratio of sources does not vary; drawn over all it would."""
    weights = Weights.parse("code=1,c4=2")
    found = {one.source: one for one in records(losses(), ["c4", "code"], 400, 0, weights)}
    mixed = found[weights.label]
    of_all = found[""].interval
    assert mixed.interval[1] - mixed.interval[0] < 0.5 * (of_all[1] - of_all[0])


def test_without_weights_there_is_no_mixture() -> None:
    assert not [one for one in records(losses(), ["c4", "code"], 20, 0)
                if one.source.startswith(MIXTURE)]  # fmt: skip
    assert "weights" not in EvidenceSettings.chosen().as_dict()


def test_weights_are_part_of_what_the_stage_was_asked() -> None:
    asked = EvidenceSettings.chosen(weights=Weights.parse("b=3,a=1")).as_dict()
    assert asked["weights"] == {"a": 0.25, "b": 0.75}
    assert math.isclose(sum(asked["weights"].values()), 1)


def test_a_source_may_have_signs_in_its_name() -> None:
    weights = Weights.parse("a=b=1,c4 (en)=.5")
    assert weights.as_dict() == {"a=b": pytest.approx(2 / 3), "c4 (en)": pytest.approx(1 / 3)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("code", "'code' is not understood"),
        ("code=x,c4=1", "'code=x' is not understood"),
        ("code=0,c4=1", "'code=0' is not understood"),
        ("code=-1,c4=1", "'code=-1' is not understood"),
        ("code=1,code=2", "names 'code' twice"),
        ("code=1", "one source only"),
        ("", "'' is not understood"),
    ],
)
def test_weights_that_cannot_be_meant_are_named(text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        Weights.parse(text)
    assert words in str(caught.value)


def test_a_source_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(CorpusError, match=r"names 'books', but .* are of 'c4', 'code'"):
        list(records(losses(), ["c4", "code"], 20, 0, Weights.parse("books=1,c4=1")))


def test_a_source_of_few_documents_makes_the_interval_wide() -> None:
    """As wide as that of the source alone, if it is all of the mixture."""
    random = np.random.default_rng(3)
    excess, tokens = random.normal(0, 1, 6), np.full(6, 100.0)
    rare = Stratum(1.0, excess, tokens, tokens)
    often = Stratum(0.0, np.ones(500), np.ones(500), np.ones(500))
    alone = loss_difference._interval(excess, tokens, 500, 0)
    low, high = interval([rare, often], 2000, 0)
    assert low == pytest.approx(alone[0], rel=0.15)
    assert high == pytest.approx(alone[1], rel=0.15)
    assert high - low > np.ptp(np.quantile(excess / 100, (0.25, 0.75)))
    assert interval([rare], 500, 0) == alone
