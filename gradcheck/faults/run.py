"""What becomes of the faults of a target? They are found, planted one at a time, and judged."""

from __future__ import annotations

import importlib.util
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from gradcheck.errors import ArgumentError, GradcheckError, MissingDependencyError, TargetError
from gradcheck.faults.facts import Fault, FaultReport, Outcome, Result
from gradcheck.faults.gradients import Gradients, same
from gradcheck.faults.pool import Process, each
from gradcheck.faults.watch import Trace
from gradcheck.faults.worker import Broken, Job, Lost

__all__ = ["TIME_LIMIT", "Plan", "check_faults", "prepare"]

Runner = Literal["check", "pytest"]
TIME_LIMIT = 60.0
"""Seconds for one fault: many times what its checks take, on a busy machine too."""
_JUDGE = "gradcheck.faults.judge"


def check_faults(
    target: str | os.PathLike[str],
    *,
    runner: Runner = "check",
    tests: Sequence[str] = (),
    time_limit: float = TIME_LIMIT,
    workers: int | None = None,
    on_result: Callable[[Result], object] | None = None,
) -> FaultReport:
    """Plant faults in a target's backward passes, and see whether each is caught.

    Parameters
    ----------
    target : str or path-like
        A module, a package, a file (``"layers.py"``), or one of it (``"layers.py:Dense"``), as for
        `gradcheck.check_module`. Its files are not changed: what has a fault is compiled in memory.
    runner : {"check", "pytest"}
        Who has to catch them: gradcheck's checks, or the user's own tests.
    tests : sequence of str, optional
        Files, folders and options for pytest; those that it finds by itself if left out.
    time_limit : float
        Seconds for one fault. A check that takes longer has noticed something.
    workers : int, optional
        Processes that work side by side; as many as there are cores if None.
    on_result : callable, optional
        Called with each result as soon as it is there, in order.

    Returns
    -------
    FaultReport
        With `FaultReport.score`, and `FaultReport.survivors` with their diffs.

    Raises
    ------
    TargetError
        If the target cannot be found, has no backward pass, or fails before any fault is planted.
    ArgumentError
        If an argument cannot be used.
    MissingDependencyError
        If libcst is not there.

    Notes
    -----
    A backward pass is every function of the target's own files that a derivative enters and its forward does not: the
    derivative itself, the ``backward`` of a class, and their helpers. What both use is the forward's.

    A fault that nobody catches is equivalent if the gradient, at 40 points around that of each case which runs the
    line, is the same as without it to rounding (at a kink, where the check found the value legal, there is more than
    one right one). A line that no case runs proves nothing: its faults survive.

    Examples
    --------
    >>> import gradcheck
    >>> report = gradcheck.check_faults("layers.py")  # doctest: +SKIP
    >>> report.score, [result.fault.diff for result in report.survivors]  # doctest: +SKIP
    (100.0, [])
    """
    return prepare(os.fspath(target), runner, tests, time_limit, workers).report(on_result)


def prepare(
    target: str,
    runner: Runner = "check",
    tests: Sequence[str] = (),
    time_limit: float = TIME_LIMIT,
    workers: int | None = None,
) -> Plan:
    """Find the faults that can be planted in a target; none is judged yet.

    Parameters
    ----------
    target, runner, tests, time_limit, workers
        As for `check_faults`.

    Returns
    -------
    Plan

    Raises
    ------
    TargetError, ArgumentError, MissingDependencyError
        As `check_faults`.
    """
    if runner not in ("check", "pytest"):
        raise ArgumentError(f"runner was {runner!r}; expected 'check' or 'pytest'")
    if tests and runner == "check":
        raise ArgumentError("tests were given, but the runner is 'check', which runs none; make it 'pytest'")
    if not time_limit > 0:
        raise ArgumentError(f"time_limit was {time_limit!r}; expected a number of seconds, more than 0")
    if workers is not None and not workers >= 1:
        raise ArgumentError(f"workers was {workers!r}; expected a number of processes, 1 or more")
    if importlib.util.find_spec("libcst") is None:
        raise MissingDependencyError("faults are planted with libcst, which is missing; pip install libcst")
    plan = Plan(target, runner, tuple(tests), time_limit, workers or os.cpu_count() or 1)
    process = Process()
    try:
        plan.look_around(process)
    finally:
        process.close()
    if not plan.faults:
        raise TargetError(f"no backward pass was found in {target}: no case runs one that is written there")
    return plan


class Plan:
    """The faults of a target, and what is needed to judge them.

    Attributes
    ----------
    faults : list of Fault
        In the order of files and lines.
    """

    def __init__(self, target: str, runner: Runner, tests: tuple[str, ...], time_limit: float, workers: int) -> None:
        self.target = target
        self.runner = runner
        self.tests = tests
        self.time_limit = time_limit
        self.workers = workers
        self.faults: list[Fault] = []
        self._traces: dict[str, Trace] = {}
        self._right: dict[str, Gradients] = {}

    def report(self, on_result: Callable[[Result], object] | None = None) -> FaultReport:
        """Judge the faults; see `check_faults`."""
        results = []
        for result in each(self.faults, self._result, self.workers):
            results.append(result)
            if on_result is not None:
                on_result(result)
        return FaultReport(self.target, tuple(results))

    def look_around(self, process: Process) -> None:
        """See what the target does without faults, and which can be planted in it."""
        known = self._needed(process, "look_around", self.target, self.runner == "check")
        if known.failed:
            name, verdict = next(iter(known.failed.items()))
            others = f", and {len(known.failed) - 1} more" if len(known.failed) > 1 else ""
            raise TargetError(
                f"{self.target}: the check of {name} fails before any fault is planted ({verdict}){others};"
                f" see gradcheck check {self.target}"
            )
        if self.runner == "pytest":
            code, failed = self._needed(process, "run_tests", self.tests)
            if code:
                import pytest  # for its names of the codes

                why = failed or pytest.ExitCode(code).name.lower().replace("_", " ")
                command = " ".join(("pytest", *self.tests))
                raise TargetError(f"the tests fail before any fault is planted: {why}; see {command}")
        self._traces = known.traces
        self._right = self._needed(process, "differentiate", self.target, tuple(self._traces))
        self.faults = [*self._plant()]

    def _needed(self, process: Process, work: str, *arguments: Any) -> Any:
        answer = process.do(Job(f"{_JUDGE}:{work}", arguments))
        if isinstance(answer, (Broken, Lost)):
            kind, _, why = answer.why.partition(": ")
            raise TargetError(why if kind == TargetError.__name__ else f"{self.target}: {answer.why}")
        return answer

    def _plant(self) -> Iterator[Fault]:
        from gradcheck.faults.plant import plant  # loads libcst

        functions: dict[str, dict[str, dict[str, set[str]]]] = defaultdict(dict)
        for trace in self._traces.values():
            for file, function in trace.backward:
                alike = functions[file].setdefault(function, defaultdict(set))
                for one, other in trace.alike.get((file, function), ()):
                    alike[one].add(other)
        for file in sorted(functions):
            # in the encoding that the file itself names
            yield from plant(file, importlib.util.decode_source(Path(file).read_bytes()), functions[file])

    def _result(self, process: Process, fault: Fault) -> Result:
        """Say what becomes of one fault."""
        names = self._cases_that_run(fault)
        if not names and self.runner == "check":
            return Result(fault, Outcome.SURVIVED, "no case runs this line")
        if self.runner == "check":
            said = self._ask(process, fault, "judge", self.target, names)
        else:
            said = self._ask(process, fault, "judge_by_tests", self.tests)
        if isinstance(said, Lost):
            return Result(fault, Outcome.CAUGHT, said.why)
        if said.by:
            return Result(fault, Outcome.CAUGHT, said.by)
        if not names:
            return Result(fault, Outcome.SURVIVED, "no case runs this line")
        wrong = self._ask(process, fault, "differentiate", self.target, names)
        if isinstance(wrong, Lost):
            return Result(fault, Outcome.SURVIVED, f"at other points, {wrong.why}")
        different = [name for name in names if not self._same(name, wrong, said.kinks)]
        if different:
            return Result(fault, Outcome.SURVIVED, f"another gradient in {_some(different)}")
        return Result(fault, Outcome.EQUIVALENT, f"the same gradient in {_some(names)}")

    def _ask(self, process: Process, fault: Fault, work: str, *arguments: Any) -> Any:
        answer = process.do(Job(f"{_JUDGE}:{work}", arguments, fault.file, fault.source), self.time_limit)
        if isinstance(answer, Broken):
            raise GradcheckError(f"{fault.place} with {fault.diff!r}: {answer.why}")
        return answer

    def _same(self, name: str, wrong: dict[str, Gradients], kinks: Collection[str]) -> bool:
        right = self._right[name]
        if name not in wrong:
            return False
        here = name in kinks or same(right.here, wrong[name].here)
        return here and same(right.around, wrong[name].around)

    def _cases_that_run(self, fault: Fault) -> tuple[str, ...]:
        first, last = fault.span
        place, lines = (fault.file, fault.function), set(range(first, last + 1))
        ran = {name: trace for name, trace in self._traces.items() if lines & trace.backward.get(place, set())}
        # those that run the least besides it are quick, and look at it from nearby
        return tuple(sorted(ran, key=lambda name: len(ran[name].backward) + len(ran[name].forward)))


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
