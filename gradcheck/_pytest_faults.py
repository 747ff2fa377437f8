"""Do the tests of this run catch faults? ``--gradcheck-faults``: after the run, its tests judge planted faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gradcheck.errors import GradcheckError

if TYPE_CHECKING:
    from gradcheck.faults import FaultReport

__all__ = ["NAME", "FaultFinder"]

NAME = "gradcheck-faults"
"""The plugin's; runs that judge a fault block it, or they would plant faults themselves."""


class FaultFinder:
    """Plants faults in ``--gradcheck-faults`` once the tests have passed, and runs them again for each.

    Parameters
    ----------
    config : pytest.Config
        Of the run.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._reports: list[FaultReport] = []
        self._errors: list[str] = []

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Have the tests judge the faults; a score that is too low fails the run."""
        if exitstatus != pytest.ExitCode.OK or hasattr(self._config, "workerinput"):
            return
        from gradcheck.faults import check_faults  # loads numpy

        for target in self._config.getoption("gradcheck_faults"):
            try:
                self._reports.append(check_faults(target, runner="pytest", tests=self._tests()))
            except GradcheckError as error:
                self._errors.append(str(error))
                session.exitstatus = pytest.ExitCode.USAGE_ERROR
        lowest = self._config.getoption("gradcheck_min_score")
        if not self._errors and any(report.score < lowest for report in self._reports):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _tests(self) -> list[str]:
        """Return what makes pytest choose the tests of this run."""
        config = self._config
        chosen = {"-c": config.inipath, "--rootdir": config.rootpath, "-k": config.option.keyword}
        chosen["-m"] = config.option.markexpr
        options = [part for name, value in chosen.items() if value for part in (name, str(value))]
        return [*options, *(f"--gradcheck-modules={name}" for name in config.option.gradcheck_modules), *config.args]

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """List the faults that no test has caught."""
        if not (self._reports or self._errors):
            return
        terminalreporter.section("gradcheck faults")
        for error in self._errors:
            terminalreporter.line(f"--gradcheck-faults: {error}")
        for report in self._reports:
            for result in report.survivors:
                fault = result.fault
                terminalreporter.line(f"SURVIVED  {fault.place}: {fault.function}: {fault.operator} ({result.why})")
                for line in fault.diff.splitlines():
                    terminalreporter.line(f"  {line}")
            terminalreporter.line(str(report))
