"""What do a module's checks say, one by one or spread over workers? Reports, and the report of reports."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from gradcheck.case import Case
from gradcheck.discover.search import find_cases, name_of_target
from gradcheck.errors import ArgumentError
from gradcheck.report import Report, Verdict
from gradcheck.report.merge import merge
from gradcheck.workers import Crew, require_workers


def check_module(
    target: Any,
    *,
    pattern: str | None = None,
    workers: Any = None,
    on_report: Callable[[Report], object] | None = None,
    **options: Any,
) -> Report:
    """Check every layer that can be found in a module or package.

    Parameters
    ----------
    target : module, str or path-like
        An imported module, the name of a module or package, a file (``"layers.py"``), or one function, class
        or case of it (``"layers.py:relu"``). A package stands for all its modules, except sub-packages that
        set ``__gradcheck_skip__ = True``.
    pattern : str, optional
        Only checks whose name contains it, or matches it as a shell pattern (``"*relu*"``).
    workers : int, or an object with ``submit`` or ``map``, optional
        Checks run in so many threads, or are given to the executor or cluster (as in `check_vjp`). A check that cannot
        be sent, or is lost, runs in the calling process. The reports do not depend on it.
    on_report : callable, optional
        Called with every report as soon as it is there, in order.
    **options
        For every check, stronger than what a module's own cases say: ``mode``, ``rtol``, ``seed``,
        ``budget``, ``time_limit`` (for each check), ``allow_kinks``, ``contract``.

    Returns
    -------
    Report
        With one of `Report.reports` for each layer. A check that raises is INCONCLUSIVE, with the exception
        in its notes, and does not stop the others; so is a layer of which it could not be found out how to
        call it.

    Raises
    ------
    TargetError
        If the target cannot be found or imported, or no layer is found in it.
    ArgumentError
        If `workers` or an option is not usable.

    Notes
    -----
    A module that defines ``gradcheck_cases()``, which returns `gradcheck.Case` objects, is checked by these
    and nothing is guessed. Else functions are paired by name (``relu`` with ``relu_backward``, ``tanh`` with
    ``tanh_prime``, ...), classes with a forward and a backward are made with small sizes, and inputs are
    drawn for which they run. A guess can only ever see the inputs it made up: write ``gradcheck_cases`` for
    what matters.

    Examples
    --------
    >>> import types, numpy as np
    >>> from gradcheck import Case, check_module
    >>> module = types.ModuleType("squares")
    >>> def square_vjp(g, x):
    ...     return 2 * x * g
    >>> module.gradcheck_cases = lambda: [Case.vjp("square", np.square, square_vjp, np.array([1.0, 2.0]))]
    >>> report = check_module(module)
    >>> report.ok, [single.name for single in report.reports]
    (True, ['square'])
    """
    reports = []
    for report in iter_reports(target, pattern=pattern, workers=workers, **options):
        reports.append(report)
        if on_report is not None:
            on_report(report)
    return merge(name_of_target(target), reports)


def iter_reports(target: Any, *, pattern: str | None = None, workers: Any = None, **options: Any) -> Iterator[Report]:
    """Check every layer that can be found, and give each report as soon as it is there, in order.

    Parameters
    ----------
    target, pattern, workers, **options
        As in `check_module`.

    Yields
    ------
    Report
        One for each of ``find_cases(target)``.

    Raises
    ------
    TargetError, ArgumentError
        As in `check_module`.
    """
    require_workers(workers)
    _check_options(options)
    cases = find_cases(target, pattern=pattern, seed=int(options.get("seed", 0)))
    return _spread(partial(run_case, options=options, target=command_target(target)), cases, workers)


def command_target(target: Any) -> str:
    """Return how a target is named on the command line."""
    return name_of_target(target)


def run_case(case: Case, options: dict[str, Any], target: str = "") -> Report:
    """Run one case; an exception becomes an INCONCLUSIVE report that says what was raised, and where.

    Parameters
    ----------
    case : Case
        What to check.
    options : dict of str to object
        Stronger than the case's own.
    target : str
        Where the case was found: with it the report says which command runs this check again.

    Returns
    -------
    Report
    """
    started = time.perf_counter()
    try:
        report = case.run(**options)
        if not target:
            return report
        named = target if ":" in target.rpartition(os.sep)[2] else f"{target}:{case.name}"
        return replace(report, reproduce=f'gradcheck check "{named}" --seed {report.seed}')
    except Exception as error:  # whatever the user's code raises must not stop the other checks
        where = traceback.extract_tb(error.__traceback__)
        place = f" ({where[-1].filename}:{where[-1].lineno}, in {where[-1].name})" if where else ""
        notes = (f"{type(error).__name__}: {error}{place}", *getattr(error, "__notes__", ()))
        return Report(
            case.name,
            Verdict.INCONCLUSIVE,
            notes=notes,
            seconds=time.perf_counter() - started,
            seed=int(options.get("seed", 0)),
        )


def _check_options(options: dict[str, Any]) -> None:
    known = ("mode", "rtol", "seed", "budget", "time_limit", "allow_kinks", "contract")
    for name in options:
        if name not in known:
            raise ArgumentError(f"check_module got an unknown option {name!r}; expected {', '.join(known)}")
    from gradcheck.options import Options  # checked before any module is imported

    Options(**options)


def _spread(run: Callable[[Case], Report], cases: Sequence[Case], workers: Any) -> Iterator[Report]:
    if workers is None or workers == 1:
        yield from map(run, cases)
        return
    with Crew.of(workers) as crew:
        for case, report in zip(cases, crew.map(run, cases), strict=True):
            yield run(case) if report is None else report
