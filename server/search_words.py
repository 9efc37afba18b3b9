"""What a search says about its numbers."""

from __future__ import annotations

from server.number_text import count, share

#: Below so many tokens a mean says little.
FEW = 10


def seen_text(n: int, n_sample: int) -> str:
    """How often the sample has a token, and what follows from few."""
    sample = f"the run’s {count(n_sample)} sampled tokens"
    if n == 0:
        return f"None of {sample} is this one, so nothing is known of it here."
    if n == 1:
        return (
            f"One of {sample} is this one. Mean and maximum are its one value, and any version may "
            "head these lists by chance."
        )
    if n < FEW:
        return f"Only {n} of {sample} are this one: their mean says little."
    return f"{count(n)} of {sample} are this one ({share(n / n_sample)})."
