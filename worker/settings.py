"""What a statistics run is asked to do, beside its pair, corpus and device.

All of it is part of the run's identity: two runs with other settings are other runs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

#: Bumped whenever the same input would give other numbers.
STATISTICS_VERSION = 1

_FEWEST_LOSS_TOKENS = 10_000


@dataclass(frozen=True)
class StatisticsSettings:
    """Sizes of what a run keeps (EVIDENCE §1-§3, DESIGN §2).

    `top` and `bottom` are examples per version, one per document; `drawn` is the number drawn
    from each band of the token sample, and of `lifted` ones. A snippet has up to `before` tokens
    before the focus and `after` behind it. `loss_tokens` is the least number of held-out tokens
    that the losses are measured on (the corpus permitting; documents are taken whole).
    """

    sample_size: int = 32_768
    top: int = 20
    bottom: int = 5
    drawn: int = 5
    before: int = 12
    after: int = 7
    partners: int = 5
    logit_tokens: int = 10
    loss_tokens: int = 100_000

    @classmethod
    def of_run(cls, tokens: int | None) -> StatisticsSettings:
        """The usual ones of a run over so many tokens (None: over all that there are).

        Losses are measured on a tenth as many tokens: three models with their unembedding take
        twice as long a token as the statistics, and would be most of a short run.
        """
        if tokens is None:
            return cls()
        return cls(loss_tokens=min(max(tokens // 10, _FEWEST_LOSS_TOKENS), cls.loss_tokens))

    @property
    def snippet(self) -> int:
        """Length of the longest snippet."""
        return self.before + 1 + self.after

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
