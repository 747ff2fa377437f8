"""What did all workers find together? The summary at the end of ``make soak``, and what can only be judged over many checks."""

from __future__ import annotations

import pytest

from tests.soak.outcome import ENOUGH, SHARE, Tally


def collected(config: pytest.Config) -> Tally:
    """Return the tally of everything that ran, in this process or in workers."""
    total = Tally()
    reporter = config.pluginmanager.getplugin("terminalreporter")
    for outcome in ("passed", "failed") if reporter else ():
        for report in reporter.stats.get(outcome, []):
            for name, value in getattr(report, "user_properties", []):
                if name == "soak" and report.when == "call":
                    total.merge(Tally.of(value))
    return total


def too_vague(total: Tally) -> str:
    """Return what is wrong with the share of INCONCLUSIVE ones, empty if nothing is."""
    return next((line for line in total.complaints() if "INCONCLUSIVE;" in line), "")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput") and too_vague(collected(session.config)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    total = collected(config)
    if not total.verdicts and not total.faults:
        return
    terminalreporter.section("soak")
    lines = [*total.complaints(), *total.summary()]
    if total.ordinary.total() < ENOUGH:
        lines.append(f"{SHARE:.0%} of inconclusive ones is asked for from {ENOUGH:,} ordinary checks on")
    for line in lines:
        terminalreporter.write_line(line)
