"""What can go wrong, by name: the exceptions that gradcheck raises."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradcheck.report import Report

__all__ = [
    "ArgumentError",
    "CheckFailedError",
    "ContractError",
    "GradcheckError",
    "GradientMismatchError",
    "InconclusiveError",
    "MissingDependencyError",
    "TargetError",
]


class GradcheckError(Exception):
    """Base class of every exception that gradcheck raises on its own account."""


class ArgumentError(GradcheckError, ValueError):
    """An argument is not what the check needs; the message names it and says what to do."""


class TargetError(GradcheckError):
    """A module, file or ``module:name`` to be checked cannot be found, imported or called."""


class MissingDependencyError(GradcheckError, ImportError):
    """An optional package is needed; the message names the extra that brings it."""


class CheckFailedError(GradcheckError, AssertionError):
    """A check ran and its report is not ok.

    Parameters
    ----------
    message : str
        The report as text.
    report : Report, optional
        The report itself. Positional, so that the exception survives pickling between test workers.
    """

    def __init__(self, message: str, report: Report | None = None) -> None:
        super().__init__(message, report)
        self.report = report

    def __str__(self) -> str:
        """Return the message alone, not the tuple of arguments."""
        return str(self.args[0])


class GradientMismatchError(CheckFailedError):
    """An analytic derivative lies outside the error bar of the numerical one."""


class ContractError(CheckFailedError):
    """The backward pass broke its contract before any number was compared."""


class InconclusiveError(CheckFailedError):
    """The numerical derivative cannot be had precisely enough to judge; nobody is accused."""
