"""How does a report read as JSON? Plain data with stable keys."""

from __future__ import annotations

import json
import math
from typing import Any

from gradcheck.report.facts import Comparison, Report, Summary

__all__ = ["SCHEMA", "plain", "render"]

SCHEMA = 1
"""Version of the keys below: a key that goes or changes its meaning raises it, a new one does not."""


def render(report: Report) -> str:
    """Return a report as JSON text.

    Parameters
    ----------
    report : Report
        Of one check or of several.

    Returns
    -------
    str
        Strict JSON (RFC 8259), indented, without a newline at the end: ``"schema"``, then the keys of `plain`.

    Examples
    --------
    >>> import json
    >>> from gradcheck.report import Report, Verdict
    >>> found = json.loads(render(Report("relu", Verdict.MATCH, seed=3)))
    >>> found["schema"], found["verdict"], found["ok"], found["seed"], found["detection_limit"]
    (1, 'match', True, 3, 'inf')
    """
    return json.dumps({"schema": SCHEMA, **plain(report)}, indent=2, allow_nan=False)


def plain(report: Report) -> dict[str, Any]:
    """Return a report as dicts, lists, strings, numbers, booleans and None.

    Parameters
    ----------
    report : Report
        Of one check or of several.

    Returns
    -------
    dict
        The attributes of `gradcheck.Report` under their own names, ``"ok"`` besides, nested reports likewise
        under ``"reports"``. Numbers that are not finite are the strings ``"inf"``, ``"-inf"`` and ``"nan"``,
        which JSON has no other way to write and ``float`` reads back.
    """
    return {
        "name": report.name,
        "verdict": report.verdict.value,
        "ok": report.ok,
        "mode": report.mode,
        "seed": int(report.seed),
        "detection_limit": _number(report.detection_limit),
        "forward_calls": int(report.forward_calls),
        "backward_calls": int(report.backward_calls),
        "seconds": _number(report.seconds),
        "reproduce": report.reproduce,
        "summaries": [_summary(line) for line in report.summaries],
        "comparisons": [_comparison(row) for row in report.comparisons],
        "violations": [{"kind": broken.kind, "name": broken.name, "text": str(broken)} for broken in report.violations],
        "notes": [str(note) for note in report.notes],
        "explanations": [
            {"name": found.name, "text": found.text, "fit": _number(found.fit)} for found in report.explanations
        ],
        "reports": [plain(single) for single in report.reports],
    }


def _summary(line: Summary) -> dict[str, Any]:
    return {
        "name": line.name,
        "shape": [int(length) for length in line.shape],
        "entries": int(line.entries),
        "judged": int(line.judged),
        "failed": int(line.failed),
        "verdict": line.verdict.value,
        "worst": None if line.worst is None else _comparison(line.worst),
        "forward_calls": int(line.forward_calls),
    }


def _comparison(row: Comparison) -> dict[str, Any]:
    return {
        "name": row.name,
        "index": None if row.index is None else [int(place) for place in row.index],
        "part": row.part,
        "analytic": _number(row.analytic),
        "numerical": _number(row.numerical),
        "error": _number(row.error),
        "error_bar": _number(row.error_bar),
        "allowed": _number(row.allowed),
        "step": _number(row.step),
        "verdict": row.verdict.value,
        "reason": row.reason,
    }


def _number(value: float) -> float | str:
    # float() first: numpy scalars are not JSON, and float32 would lose digits on its way through str.
    value = float(value)
    return value if math.isfinite(value) else str(value)
