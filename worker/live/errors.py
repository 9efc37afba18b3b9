"""What the live worker answers instead of numbers: each with a status, a code and one sentence."""

from __future__ import annotations

from worker.errors import WorkerError


class LiveError(WorkerError):
    """A text that cannot be answered; `code` is for the server, `retry_after` is in seconds."""

    status = 400
    code = "bad_request"
    retry_after: int | None = None


class BadQuestion(LiveError):
    """What was asked for cannot be read, or does not exist in this pair."""

    status = 422
    code = "bad_question"


class TextTooLong(BadQuestion):
    """More characters than a text may have."""

    code = "text_too_long"


class BodyTooLarge(LiveError):
    """More bytes than any question has."""

    status = 413
    code = "body_too_large"


class WrongKind(LiveError):
    """A body that is no JSON."""

    status = 415
    code = "unreadable_body"


class ForeignAsker(LiveError):
    """A name that is not the worker's, or a page in a browser."""

    status = 403
    code = "foreign_asker"


class PairNotHere(LiveError):
    """The worker has no such pair, or it cannot be loaded."""

    status = 404
    code = "pair_not_here"


class OtherWeights(LiveError):
    """The pair is here, but not with the weights or the tokenizer that were asked for."""

    status = 409
    code = "other_weights"


class Busy(LiveError):
    """More texts wait already than may wait."""

    status = 503
    code = "busy"
    retry_after = 2


class Loading(Busy):
    """The models are still being loaded."""

    code = "loading"
    retry_after = 5


class TooSlow(LiveError):
    """The time limit has passed."""

    status = 504
    code = "too_slow"
    retry_after = 5
