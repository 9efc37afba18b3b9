"""What was compared, and how far it was off.

An error is a difference in parts of what is allowed for that value: 1 is just allowed. So the
largest error means the same for a count and for a kurtosis of hundreds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from store.verifications import CheckRecord

#: What stands for an error without measure: something is there that should not be, or is missing.
ABSENT = 1e9
_LISTED = 20


@dataclass
class Check:
    """One quantity. `tolerance` says what is allowed, and why."""

    name: str
    tolerance: str
    n: int = 0
    n_failed: int = 0
    largest: float = 0.0
    where: str = ""
    failed: list[str] = field(default_factory=list)

    def compare(
        self, where: str, stored: float | None, found: float | None, allowed: float
    ) -> None:
        """One value; None is right where the other is None, too."""
        if stored is None or found is None:
            self.error(where, 0.0 if stored is found else ABSENT)
        else:
            self.error(where, _ratio(abs(stored - found), allowed))

    def exact(self, where: str, same: bool) -> None:
        """One value that is right or wrong."""
        self.error(where, 0.0 if same else ABSENT)

    def error(self, where: str, error: float) -> None:
        """One error, in parts of what is allowed."""
        error = ABSENT if not math.isfinite(error) else min(error, ABSENT)
        self.n += 1
        if error > self.largest:
            self.largest, self.where = error, where
        if error > 1.0:
            self.n_failed += 1
            if len(self.failed) < _LISTED:
                self.failed.append(where)

    def many(
        self,
        where: Callable[[int], str],
        differences: npt.NDArray[np.float64],
        allowed: npt.NDArray[np.float64],
    ) -> None:
        """Differences [N] against what is allowed [N]; `where(i)` names the i-th."""
        if not len(differences):
            return
        with np.errstate(divide="ignore", invalid="ignore"):
            errors = np.where(differences == 0, 0.0, np.abs(differences) / allowed)
        errors = np.where(np.isfinite(errors), np.minimum(errors, ABSENT), ABSENT)
        worst = int(errors.argmax())
        wrong = np.flatnonzero(errors > 1.0)
        # As one value each, but named only where it matters.
        self.n += len(errors) - 1 - len(wrong) + (worst in wrong)
        self.error(where(worst), float(errors[worst]))
        for i in wrong.tolist():
            if i != worst:
                self.error(where(i), float(errors[i]))

    def record(self) -> CheckRecord:
        """As it is kept."""
        return CheckRecord(
            self.name,
            self.n,
            self.n_failed,
            self.largest,
            self.where,
            self.tolerance,
            tuple(self.failed),
        )


def records(checks: Iterable[Check]) -> tuple[CheckRecord, ...]:
    """Of the checks that compared anything."""
    return tuple(check.record() for check in checks if check.n)


def _ratio(difference: float, allowed: float) -> float:
    if difference == 0:
        return 0.0
    return difference / allowed if allowed > 0 else ABSENT
