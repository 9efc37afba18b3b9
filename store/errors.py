"""What the store raises: one line that says what was wrong, and one that says what to do."""

from __future__ import annotations

from store.records import RunRecord


class StoreError(Exception):
    """A fault with a reason that a person can act on; `message` holds no password."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message} {hint}")
        self.message = message
        self.hint = hint


class DatabaseUnreachable(StoreError):
    """The database does not answer, or its file cannot be opened or written."""


class SchemaMismatch(StoreError):
    """The database is not at this program's schema version, or not Twinscope's at all."""


class RunNotFound(StoreError):
    """No published run has this id, prefix or pair."""


class AmbiguousRun(StoreError):
    """A prefix fits several runs; the message names them."""


class UnknownColumn(StoreError):
    """A filter or a sort names no column of the explorer; the hint names the columns."""


class InvalidFilter(StoreError):
    """A filter's operator or value does not fit its column."""


class UnstorableValue(StoreError):
    """A text or a number that the database cannot hold, so nothing there has it."""


class KeyTaken(StoreError):
    """A label's key was used before, for a label of something else."""


class UnknownModel(StoreError):
    """No model with these weights is in the database, so nothing can be labelled there."""


class LoadInterrupted(StoreError):
    """Another process took over the load of the same run."""


class AlreadyPublished(StoreError):
    """The run's identity, a stage of it or a search is published already: nothing is to be done.

    `run` is the stored one, `part` what of it.
    """

    def __init__(self, run: RunRecord, part: str | None = None) -> None:
        named = f"Run {run.id}" if part is None else f"{part} of run {run.id}"
        super().__init__(f"{named} is published already.")
        self.run = run


class StudyNotFound(StoreError):
    """No study is called so."""


class StudyExists(StoreError):
    """Another study is called so."""


class StudyFrozen(StoreError):
    """What is asked for would change a study after its start, or rate one that is not running."""


class NotARater(StoreError):
    """Whoever asks has not begun to rate this study, or the card is none of theirs."""


class InvalidStudy(StoreError):
    """A study, or a rating, that cannot be kept as it is."""


class AccountExists(StoreError):
    """The name is an account's already, or labels of an earlier annotator's have it."""


class AccountNotFound(StoreError):
    """No account has this name."""


class LabelNotFound(StoreError):
    """No label has this id."""


class NotTheirs(StoreError):
    """The label is another annotator's."""


class LabelsRefused(StoreError):
    """A file of labels has lines that cannot be labels; the message names them."""
