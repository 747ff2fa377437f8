"""What is the ``gradchecker`` that a test gets? The checks, raising on failure and recording what they found."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gradcheck._pytest_recorder import record
from gradcheck._pytest_settings import reproduce, settings
from gradcheck.check import check_grad, check_jvp, check_layer, check_vjp
from gradcheck.errors import CheckFailedError
from gradcheck.report import Report

__all__ = ["GradChecker"]


class GradChecker:
    """Checks for one test.

    Keyword arguments left out are those of the test's ``gradcheck`` marker, else of the command line, else of the ini
    file. Each check is listed in the summary at the end of the run.

    Parameters
    ----------
    item : pytest.Item
        The test.
    """

    def __init__(self, item: pytest.Item) -> None:
        self._item = item

    def vjp(self, f: Callable[..., Any], vjp: Callable[..., Any], *inputs: Any, **options: Any) -> Report:
        """Check a backward pass: `gradcheck.check_vjp`, raising on failure.

        Parameters
        ----------
        f, vjp, *inputs, **options
            As in `gradcheck.check_vjp`.

        Returns
        -------
        Report
            Which is ok.

        Raises
        ------
        GradientMismatchError, ContractError, InconclusiveError
            If it is not; the message is the report.
        """
        __tracebackhide__ = True
        return self._run(check_vjp, f, vjp, *inputs, **options)

    def grad(self, loss: Callable[[Any], Any], grad: Callable[[Any], Any], params: Any, **options: Any) -> Report:
        """Check a loss gradient: `gradcheck.check_grad`, raising on failure; see `vjp`."""
        __tracebackhide__ = True
        return self._run(check_grad, loss, grad, params, **options)

    def jvp(self, f: Callable[..., Any], jvp: Callable[..., Any], *inputs: Any, **options: Any) -> Report:
        """Check a forward-mode derivative: `gradcheck.check_jvp`, raising on failure; see `vjp`."""
        __tracebackhide__ = True
        return self._run(check_jvp, f, jvp, *inputs, **options)

    def layer(self, layer: Any, *inputs: Any, **options: Any) -> Report:
        """Check an object with forward and backward: `gradcheck.check_layer`, raising on failure; see `vjp`."""
        __tracebackhide__ = True
        return self._run(check_layer, layer, *inputs, **options)

    def _run(self, check: Callable[..., Report], *args: Any, **options: Any) -> Report:
        __tracebackhide__ = True
        report = check(*args, **{**settings(self._item), **options})
        again = reproduce(self._item, shlex.quote(self._item.nodeid))
        report = _with_command(report, again)
        record(self._item, report)
        failure = failure_of(report)
        if failure is not None:
            raise failure
        return report


def _with_command(report: Report, again: str) -> Report:
    """Return a report that says how to run the test again, also in the reports that it sums up."""
    inner = tuple(_with_command(single, again) for single in report.reports)
    return replace(report, reports=inner, reproduce="   or   ".join(filter(None, [report.reproduce, again])))


def failure_of(report: Report) -> CheckFailedError | None:
    """Return what a report that is not ok raises, without the frames that lead there; None where it is ok."""
    try:
        report.raise_on_failure()
    except CheckFailedError as error:
        return error.with_traceback(None)
    return None
