"""What can go wrong on a request: small exceptions, translated once (server.error_responses).

Each says what was wrong and, as `hint`, where to go or what to do. `code` is for programs and
part of the API.
"""

from __future__ import annotations

from collections.abc import Iterable


class ServerError(Exception):
    """The server cannot start or run; as a string one line for the terminal."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message} {hint}")
        self.message = message
        self.hint = hint


class SettingsError(ServerError):
    """A `TWINSCOPE_*` variable cannot be understood."""


class PortInUseError(ServerError):
    """Something else listens on the port already."""


class PageError(Exception):
    """A request that cannot be answered: `status` and `code` of the class, words of the case."""

    status = 400
    code = "bad_request"
    retry_after: int | None = None  # seconds, where asking again may help

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class PairNotFound(PageError):
    """No such pair."""

    status = 404
    code = "pair_not_found"

    @classmethod
    def among(cls, slug: str, slugs: Iterable[str]) -> PairNotFound:
        """The error for `slug`, naming the pairs there are."""
        known = ", ".join(sorted(slugs))
        there_are = f"The pairs here are: {known}." if known else "There is no pair here yet."
        return cls(f"There is no pair named “{slug}”. {there_are}", "/")


class NeuronNotFound(PageError):
    """Layer or neuron out of range."""

    status = 404
    code = "neuron_not_found"


class CandidateNotFound(PageError):
    """No candidate invisible feature of this number."""

    status = 404
    code = "candidate_not_found"


class RunNotFound(PageError):
    """No run with this id."""

    status = 404
    code = "run_not_found"


class RunAmbiguous(PageError):
    """A prefix that fits several runs."""

    status = 404
    code = "run_ambiguous"


class RunOfAnotherPair(PageError):
    """The run exists, but shows another pair."""

    status = 404
    code = "run_of_another_pair"


class RunNotPublished(PageError):
    """The pair has nothing to show yet."""

    status = 404
    code = "run_not_published"


class NothingMatches(PageError):
    """No version passes the filters."""

    status = 404
    code = "nothing_matches"


class VersionMissing(PageError):
    """A single-sided run has no such version."""

    status = 404
    code = "version_not_found"


class BadParameter(PageError):
    """A query parameter that has no meaning here."""

    status = 422
    code = "bad_parameter"


class BadFilter(BadParameter):
    """A filter on an unknown column, with an unknown operator or an unreadable value."""

    code = "bad_filter"


class BadSort(BadParameter):
    """A sort by an unknown column."""

    code = "bad_sort"


class BadPage(BadParameter):
    """A page number or size out of range."""

    code = "bad_page"


class BadLabel(PageError):
    """A label that cannot be kept."""

    status = 422
    code = "bad_label"


class ForeignHost(PageError):
    """The request addresses a name that is not this server's."""

    status = 403
    code = "foreign_host"


class ForeignOrigin(PageError):
    """The request was sent by a page of another site."""

    status = 403
    code = "foreign_origin"


class NotLoggedIn(PageError):
    """Nobody is logged in, and this takes somebody; the hint is where to log in."""

    status = 401
    code = "not_logged_in"


class Forbidden(PageError):
    """Whoever is logged in may not do this."""

    status = 403
    code = "forbidden"


class CsrfMissing(PageError):
    """A change that does not carry its session's token."""

    status = 403
    code = "csrf_missing"


class WrongPassword(PageError):
    """Name and password do not belong together."""

    status = 403
    code = "wrong_password"


class BadPassword(PageError):
    """A password that cannot be one."""

    status = 422
    code = "bad_password"


class BadForm(PageError):
    """A form that lacks something, or says what cannot be."""

    status = 422
    code = "bad_form"


class NoAccounts(PageError):
    """Local mode has neither accounts nor a login."""

    status = 404
    code = "no_accounts"


class TooOften(PageError):
    """Done too often; `retry_after` says when it may be tried again."""

    status = 429
    code = "too_often"

    def __init__(self, message: str, hint: str | None, retry_after: int) -> None:
        super().__init__(message, hint)
        self.retry_after = retry_after


class LabelNotFound(PageError):
    """No label has this id."""

    status = 404
    code = "label_not_found"


class StudyNotFound(PageError):
    """No study has this name."""

    status = 404
    code = "study_not_found"


class BadStudy(PageError):
    """A study, or a rating, that cannot be kept as it was sent."""

    status = 422
    code = "bad_study"


class StudyConflict(PageError):
    """What is asked for does not go with the state of the study: it is frozen, or closed."""

    status = 409
    code = "study_conflict"


class StudyOpen(PageError):
    """Closed to whoever asks until a study is: results, cards, the neurons on a rater's cards."""

    status = 403
    code = "study_open"


class BodyTooLarge(PageError):
    """The request's body is larger than any form here."""

    status = 413
    code = "body_too_large"


class AddressTooLong(PageError):
    """The request's address is longer than any link here."""

    status = 414
    code = "address_too_long"


class StoreUnavailable(PageError):
    """The database does not answer."""

    status = 503
    code = "database_unavailable"


class StoreOutdated(StoreUnavailable):
    """The database is there, but of another version of this program."""

    code = "database_outdated"


class UnreadableBody(PageError):
    """A body of a kind that is not read here."""

    status = 415
    code = "unreadable_body"


class TextTooLong(BadParameter):
    """A text of one's own with more characters than are read."""

    code = "text_too_long"


class WorkerOff(PageError):
    """This server has no live worker."""

    status = 503
    code = "worker_off"


class WorkerBusy(PageError):
    """The live worker has too much to do, or is still loading the models."""

    status = 503
    code = "worker_busy"
    retry_after = 5


class WorkerSlow(PageError):
    """The live worker did not answer in time."""

    status = 504
    code = "worker_slow"
    retry_after = 5


class WorkerUnreachable(PageError):
    """The live worker is not there, went away, or answered something else."""

    status = 502
    code = "worker_unreachable"


class PairNotAtWorker(PageError):
    """The live worker has no such pair."""

    status = 503
    code = "pair_not_at_worker"


class WorkerHasOtherWeights(PageError):
    """The live worker's pair is not the one that the run was computed with."""

    status = 409
    code = "other_weights"
