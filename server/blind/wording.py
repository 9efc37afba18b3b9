"""What raters read above each card: the question and the rule, unless a study has its own.

The rule is that of Elhage et al. 2022 (Softmax Linear Units), widened to all that a card shows.
Raters read title, question and rule, so these must not name what a study keeps from them.
"""

from __future__ import annotations

import re

from store.errors import InvalidStudy
from store.records import RunRecord

QUESTION = "Does one rule explain where this neuron fires?"

RULE = (
    "Monosemantic: 80 % or more of the firings shown can be explained by a single rule or "
    "category, and that rule does not predict firing where the neuron is shown to be silent. "
    "Polysemantic: two or more unrelated rules are needed, or what one rule explains falls short "
    "of 80 %. Unclear: you cannot tell."
)

#: Words of two letters and fewer name nothing.
_SHORTEST = 3


def must_not_name(run: RunRecord, **texts: str) -> None:
    """Refuse texts that raters read and that name the pair, a model or an activation function.

    Errors: `InvalidStudy`, with the text and the word.
    """
    for what, text in texts.items():
        for word in forbidden_words(run):
            if re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", text.casefold()):
                raise InvalidStudy(
                    f"Raters read the {what}, and it names “{word}”, which cards keep from them.",
                    f"Leave the word out of the {what}.",
                )


def forbidden_words(run: RunRecord) -> list[str]:
    """What names a run's pair, models and activation functions, folded."""
    words: set[str] = {run.id, run.pair.slug, run.pair.name}
    for model in (run.pair.left, run.pair.right):
        if model is not None:
            words |= {model.name, model.act_fn, model.act_fn.partition("_")[0]}
    return sorted(word.casefold() for word in words if len(word) >= _SHORTEST)
