"""What do several reports say together? One report of reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from gradcheck.report.facts import Report, Verdict

__all__ = ["merge"]

_MOST = 1000
"""Comparisons kept, as in a single report."""


def merge(name: str, reports: Iterable[Report], *, notes: Sequence[str] = ()) -> Report:
    """Sum up several reports in one.

    Parameters
    ----------
    name : str
        Of the whole.
    reports : iterable of Report
        Of the single checks, kept in their order.
    notes : sequence of str
        About the whole.

    Returns
    -------
    Report
        The worst verdict (INCONCLUSIVE of none: nothing was judged), the comparisons worst first and at most
        1,000 of them, named ``"check.primal"``, the sums of calls and seconds, the largest detection limit, the
        seed of the first.

    Examples
    --------
    >>> from gradcheck.report import Report, Verdict
    >>> both = merge("layers", [Report("relu", Verdict.MATCH), Report("sigmoid", Verdict.MISMATCH)])
    >>> both.verdict.value, both.ok, len(both.reports)
    ('mismatch', False, 2)
    """
    singles = tuple(reports)
    rows = [replace(row, name=f"{single.name}.{row.name}") for single in singles for row in single.comparisons]
    rows.sort(key=lambda row: (-row.verdict.severity, -row.excess))
    return Report(
        name=name,
        verdict=Verdict.worst(single.verdict for single in singles),
        comparisons=tuple(rows[:_MOST]),
        violations=tuple(broken for single in singles for broken in single.violations),
        notes=tuple(notes) if singles else (*notes, "no check was run"),
        reports=singles,
        detection_limit=max((single.detection_limit for single in singles), default=float("inf")),
        forward_calls=sum(single.forward_calls for single in singles),
        backward_calls=sum(single.backward_calls for single in singles),
        seconds=sum(single.seconds for single in singles),
        seed=singles[0].seed if singles else 0,
    )
