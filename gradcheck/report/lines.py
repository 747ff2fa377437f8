"""Which lines does a table of gradients have? One a gradient, worst first, of one report or of many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gradcheck.report.facts import Comparison, Report, Summary, Verdict

__all__ = ["Line", "lines", "singles"]


@dataclass(frozen=True, slots=True)
class Line:
    """One gradient of one check, in the words of a table.

    Attributes
    ----------
    check : str
        The name of the check's report.
    gradient : str
        The primal; empty where a verdict is about the check and no gradient of its own.
    shape : str
        ``"(4, 3)"``; empty where there is no gradient.
    judged : str
        ``"12 of 12"`` entries.
    verdict : Verdict
        The gradient's.
    error, allowed : str
        The worst entry's, two digits each; empty where none was compared.
    excess : float
        The worst entry's error as a multiple of what was allowed; 0 where none was compared.
    forwards : int
        Forward evaluations spent.
    """

    check: str
    gradient: str
    shape: str
    judged: str
    verdict: Verdict
    error: str
    allowed: str
    excess: float
    forwards: int


def singles(report: Report) -> Iterator[Report]:
    """Yield the single checks' reports, however deep they are nested; the report itself if it is one.

    Parameters
    ----------
    report : Report
        Of one check or of several.

    Yields
    ------
    Report
        Without reports of its own.
    """
    if not report.reports:
        yield report
    for inner in report.reports:
        yield from singles(inner)


def lines(report: Report) -> list[Line]:
    """Return a report's table, one line a gradient.

    Parameters
    ----------
    report : Report
        Of one check or of several, which may be nested.

    Returns
    -------
    list of Line
        Worst verdict first, within a verdict the largest multiple of what was allowed, else as they stood.

    Examples
    --------
    >>> from gradcheck.report import Report, Summary, Verdict
    >>> good = Summary("x", (3,), 3, 3, 0, Verdict.MATCH, None, 6)
    >>> bad = Summary("W", (3, 2), 6, 6, 1, Verdict.MISMATCH, None, 12)
    >>> [(line.gradient, line.shape, line.forwards) for line in lines(Report("f", bad.verdict, (good, bad)))]
    [('W', '(3, 2)', 12), ('x', '(3,)', 6)]
    """
    found = [line for single in singles(report) for line in _of_one(single)]
    return sorted(found, key=lambda line: (-line.verdict.severity, -line.excess))


def _of_one(report: Report) -> Iterator[Line]:
    if report.verdict not in {line.verdict for line in report.summaries} and not report.verdict.ok:
        # The verdict is about the check as a whole (a violation, an exception): the table must show it too.
        yield Line(report.name, "", "", "", report.verdict, "", "", 0.0, _unaccounted(report))
    for line in report.summaries:
        yield _of_gradient(report.name, line)


def _unaccounted(report: Report) -> int:
    return max(report.forward_calls - sum(line.forward_calls for line in report.summaries), 0)


def _of_gradient(check: str, line: Summary) -> Line:
    worst: Comparison | None = line.worst
    return Line(
        check=check,
        gradient=line.name,
        shape=str(line.shape),
        judged=f"{line.judged} of {line.entries}",
        verdict=line.verdict,
        error="" if worst is None else f"{worst.error:.1e}",
        allowed="" if worst is None else f"{worst.allowed:.1e}",
        excess=0.0 if worst is None else worst.excess,
        forwards=line.forward_calls,
    )
