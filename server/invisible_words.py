"""What the numbers of candidate invisible features say, in plain words: pure functions."""

from __future__ import annotations

from server.number_text import count, number, share


def search_text(
    name: str, n_tokens: int, orphan_share: float | None, n_tried: int, n_kept: int
) -> str:
    """What was searched in one layer of one version, and what came of it."""
    if not n_tokens or orphan_share is None:
        return f"{name} could not be searched: the run has too few evidence tokens."
    looked = (
        f"Looked at {count(n_tokens)} tokens; on {share(orphan_share)} of them no neuron of "
        f"{name} exceeds its own 99.9 % quantile."
    )
    if not n_tried:
        return (
            f"{looked} Where the layer has much effect, these tokens form no group of enough "
            "tokens and documents, so no direction was tried. That is a result: nothing here asks "
            "for a feature that no neuron shows."
        )
    tried = f"{count(n_tried)} direction{'' if n_tried == 1 else 's'}"
    if not n_kept:
        return (
            f"{looked} {tried} found there {'was' if n_tried == 1 else 'were'} tested on other "
            "documents, and none does more than 95 % of random directions. That is a result: no "
            "candidate was found, by this method and on these tokens."
        )
    return (
        f"{looked} Of {tried} found there, {count(n_kept)} "
        f"do{'es' if n_kept == 1 else ''} more on other documents than 95 % of random directions."
    )


def candidate_text(
    *,
    layer: int,
    name: str,
    effect: float,
    random_quantile: float,
    random_median: float,
    participation: float,
    token_share: float,
) -> str:
    """One candidate in a few sentences."""
    times = effect / random_median if random_median > 0 else None
    beside = (
        f"{number(times, 2)} times a random direction’s median" if times else "a random one does 0"
    )
    beaten = "all" if random_quantile == 1 else share(random_quantile)
    return (
        f"A direction in what layer {layer} of {name} writes, found on {share(token_share)} of "
        f"tokens, where no single neuron is strong. Ablating it costs {number(effect)} nats a "
        f"token on documents that the search did not see: {beside}, and more than "
        f"{beaten} of them. It is carried by about {number(participation, 2)} "
        f"{'neuron' if participation < 1.5 else 'neurons'}."
    )
