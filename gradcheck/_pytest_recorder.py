"""What did the checks of a whole test run find? Recorded with each test, also in xdist's workers, shown at the end."""

from __future__ import annotations

import base64
import pickle
from collections import Counter
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gradcheck.report import Report

__all__ = ["Recorder", "record"]

_PENDING = pytest.StashKey[list["Report"]]()
"""On a test: what its checks have found in this phase."""
_ATTRIBUTE = "gradcheck_reports"
"""On pytest's own report of a phase. xdist carries its attributes to the controller as they are, if they are plain, so
the reports go as text; unlike user_properties they do not end up in JUnit files."""


def record(item: pytest.Item, report: Report) -> None:
    """Note what a check found, for the summary and ``--gradcheck-report``.

    Parameters
    ----------
    item : pytest.Item
        The test that made it.
    report : Report
        Of the check.
    """
    item.stash.setdefault(_PENDING, []).append(report)


class Recorder:
    """Collects the reports of a run; registered as a plugin, so that every run has its own.

    Parameters
    ----------
    config : pytest.Config
        Of the run.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._found: list[tuple[str, Report]] = []
        # A worker of xdist sends what it has; the controller shows and writes it.
        self._is_worker = hasattr(config, "workerinput")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach what the checks of this phase found to pytest's own report of it."""
        phase = yield
        pending = item.stash.get(_PENDING, None)
        if pending:
            setattr(phase, _ATTRIBUTE, [base64.b64encode(pickle.dumps(report)).decode() for report in pending])
            pending.clear()
        return phase

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what came along with a phase."""
        for text in getattr(report, _ATTRIBUTE, ()):
            self._found.append((report.nodeid, pickle.loads(base64.b64decode(text))))

    def pytest_sessionfinish(self) -> None:
        """Write ``--gradcheck-report``."""
        name = self._config.getoption("gradcheck_report")
        if name is None or self._is_worker:
            return
        from gradcheck.report.merge import merge

        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = merge("pytest", [replace(report, name=f"{nodeid}: {report.name}") for nodeid, report in self._found])
        if path.suffix.lower() == ".html":
            whole.to_html(path)
        else:
            path.write_text(f"{whole.to_json()}\n", encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """List the checks that failed, all of them with ``-v``, and count them."""
        if not self._found and self._config.getoption("gradcheck_report") is None:
            return
        from gradcheck.report.text import sentence

        terminalreporter.section("gradcheck")
        for nodeid, report in sorted(self._found, key=lambda pair: (-pair[1].verdict.severity, pair[0])):
            if not report.ok or self._config.get_verbosity() > 0:
                terminalreporter.line(f"{report.verdict.upper()}  {nodeid}: {report.name}: {sentence(report)}")
        terminalreporter.line(self._totals())
        if self._config.getoption("gradcheck_report") is not None:
            terminalreporter.line(f"report written to {self._config.getoption('gradcheck_report')}")

    def _totals(self) -> str:
        reports = [report for _, report in self._found]
        kinds = Counter(report.verdict for report in reports)
        counts = ", ".join(f"{kinds[verdict]} {verdict}" for verdict in sorted(kinds, key=lambda one: one.severity))
        gradients = sum(len(report.summaries) for report in reports)
        calls = sum(report.forward_calls for report in reports)
        checks = f"{len(reports)} check{'' if len(reports) == 1 else 's'}"
        return f"{checks} of {gradients} gradients: {counts or 'nothing judged'}; {calls} forward calls"
