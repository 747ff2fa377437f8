"""What does a check say of the code as it is now? The jobs of a worker, on right code and on code with a fault."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gradcheck.discover import find_cases
from gradcheck.discover.run import run_case
from gradcheck.discover.targets import load, modules_of
from gradcheck.errors import TargetError
from gradcheck.faults.gradients import Gradients, gradients
from gradcheck.faults.watch import Trace, watch
from gradcheck.report import Verdict

__all__ = ["Judgement", "Known", "differentiate", "judge", "judge_by_tests", "look_around"]


@dataclass(frozen=True)
class Known:
    """What is known of a target without faults.

    Attributes
    ----------
    traces : dict of str to Trace
        What each case runs.
    failed : dict of str to str
        The cases whose check is not ok as it is, and its verdict.
    """

    traces: dict[str, Trace]
    failed: dict[str, str]


@dataclass(frozen=True)
class Judgement:
    """What was said of the code.

    Attributes
    ----------
    by : str
        Who caught it; empty if nobody did.
    kinks : set of str
        The cases whose check found kinks, at which the gradient has more than one legal value.
    """

    by: str
    kinks: frozenset[str] = frozenset()


def look_around(target: str, check: bool) -> Known:
    """Run every case of a target once, without a fault.

    Parameters
    ----------
    target : str
        As for `gradcheck.check_module`.
    check : bool
        Whether it has to pass its own check.

    Returns
    -------
    Known
    """
    found = load(target)
    modules = (module for _, module in modules_of(found.module) if not isinstance(module, TargetError))
    files = {os.path.realpath(module.__file__) for module in modules if module.__file__}
    traces, failed = {}, {}
    for case in find_cases(target):
        traces[case.name] = watch(case, files)  # first: what a check has filled in and kept does not run again
        report = run_case(case, {}) if check else None
        if report is not None and not report.ok:
            failed[case.name] = report.verdict.upper()
    return Known(traces, failed)


def judge(target: str, names: Sequence[str]) -> Judgement:
    """Check cases of a target until one is not ok.

    Parameters
    ----------
    target : str
        As for `gradcheck.check_module`.
    names : sequence of str
        Of the cases, in the order in which they are to be checked.

    Returns
    -------
    Judgement
    """
    kinks = set()
    name = "the search for cases"
    try:
        cases = {case.name: case for case in find_cases(target)}
        for name in names:
            if name not in cases:
                return Judgement(f"{name} is not found any more")
            report = run_case(cases[name], {})
            if not report.ok:
                # what the code raised, where that is why nothing was compared
                raised = report.notes[0].partition(":")[0] if report.notes and not report.summaries else ""
                is_error = report.verdict is Verdict.INCONCLUSIVE and raised
                return Judgement(f"{raised if is_error else report.verdict.upper()} {name}")
            if report.verdict is Verdict.KINK:
                kinks.add(name)
    except BaseException as error:  # the code with the fault may raise anything, SystemExit too
        return Judgement(f"{type(error).__name__} in {name}")
    return Judgement("", frozenset(kinks))


def judge_by_tests(tests: Sequence[str]) -> Judgement:
    """Run the user's own tests until one fails.

    Parameters
    ----------
    tests : sequence of str
        For pytest.

    Returns
    -------
    Judgement

    Raises
    ------
    TargetError
        If pytest cannot run them.
    """
    code, failed = run_tests(tests)
    if code not in (0, 1, 2):  # 1: a test failed; 2: a file could not be collected
        raise TargetError(f"pytest ended with code {code}")
    return Judgement((failed or f"pytest ended with code {code}") if code else "")


def differentiate(target: str, names: Sequence[str]) -> dict[str, Gradients]:
    """Differentiate cases of a target at many points.

    Parameters
    ----------
    target, names
        As for `judge`.

    Returns
    -------
    dict of str to Gradients
        Without the cases that are not found.
    """
    return {case.name: gradients(case) for case in find_cases(target) if case.name in set(names)}


def run_tests(tests: Sequence[str]) -> tuple[int, str]:
    """Run pytest in this process, and return its exit code and the first test that failed."""
    import pytest  # only where tests judge

    failed: list[str] = []

    class Watcher:
        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.failed:
                failed.append(report.nodeid)

        def pytest_collectreport(self, report: Any) -> None:
            if report.failed:
                failed.append(report.nodeid)

    # Nobody reads why a test failed. Asserts as they are cost a fraction of rewritten ones, for every fault anew, and
    # pytest does not complain of plugins that are loaded already; test files, too, are compiled with their faults.
    options = ["-x", "-q", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:gradcheck-faults"]
    if importlib.util.find_spec("xdist"):
        options.append("-n0")  # its processes know nothing of the fault
    code = int(pytest.main([*options, *tests], plugins=[Watcher()]))
    return code, failed[0] if failed else ""
