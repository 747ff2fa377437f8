"""How did each checker do? Its answers counted, its mistakes named: plain data, which JSON and Markdown both show."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

import numpy as np

from benchmarks.detection.ask import Asked
from benchmarks.detection.problem import Problem
from benchmarks.detection.tools import Answer, Tool

_RIGHT = ("smooth", "kink")


def summary(
    tools: Sequence[Tool], problems: Sequence[Problem], answers: Iterable[Asked], missing: Sequence[str] = ()
) -> dict[str, Any]:
    """Return everything that the run found."""
    by_tool: dict[str, list[Asked]] = {tool.name: [] for tool in tools}
    for asked in answers:
        by_tool[asked.tool].append(asked)
    kinds = [problem.kind for problem in problems]
    decidable = {problem.row for problem in problems if problem.kind in _RIGHT}
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "problems": {kind: kinds.count(kind) for kind in ("smooth", "kink", "undecidable", "wrong")},
        "rows": len(decidable),
        "left out": list(missing),
        "tools": [_of_tool(tool, by_tool[tool.name]) for tool in tools],
    }


def _of_tool(tool: Tool, answers: Sequence[Asked]) -> dict[str, Any]:
    def named(answer: Answer, *kinds: str) -> list[str]:
        return [asked.problem for asked in answers if asked.answer is answer and asked.kind in kinds]

    def said(answer: Answer, *kinds: str) -> dict[str, str]:
        return {asked.problem: asked.detail for asked in answers if asked.answer is answer and asked.kind in kinds}

    everything = (*_RIGHT, "undecidable", "wrong")
    ran = [asked for asked in answers if asked.answer is not Answer.NOT_RUN]
    names = {
        "false alarms where f is smooth": named(Answer.FAILED, "smooth"),
        "false alarms at kinks": named(Answer.FAILED, "kink"),
        "accused where f hides its derivative": named(Answer.FAILED, "undecidable"),
        "right, inconclusive": named(Answer.INCONCLUSIVE, *_RIGHT),
        "missed": named(Answer.PASSED, "wrong"),
        "wrong, inconclusive": named(Answer.INCONCLUSIVE, "wrong"),
    }
    return {
        "name": tool.name,
        "version": tool.version,
        "call": tool.call,
        "note": tool.note,
        "right": {
            "passed": len(named(Answer.PASSED, *_RIGHT)),
            "false alarms where f is smooth": len(names["false alarms where f is smooth"]),
            "false alarms at kinks": len(names["false alarms at kinks"]),
            "inconclusive": len(names["right, inconclusive"]),
            "error": len(named(Answer.ERROR, *_RIGHT)),
        },
        "wrong": {
            "caught": len(named(Answer.FAILED, "wrong")),
            "missed": len(names["missed"]),
            "inconclusive": len(names["wrong, inconclusive"]),
            "error": len(named(Answer.ERROR, "wrong")),
        },
        "rows": _rows(answers),
        "not run": len(named(Answer.NOT_RUN, *everything)),
        "forwards": _cost(ran, "forwards"),
        "backwards": _cost(ran, "backwards"),
        "seconds": round(sum(asked.seconds for asked in answers), 3),
        "names": names,
        "errors": said(Answer.ERROR, *everything),
        "not run because": said(Answer.NOT_RUN, *everything),
    }


def _rows(answers: Sequence[Asked]) -> int:
    """Count the rows told apart: the right pullback passed and every wrong twin failed.

    Whoever accuses every pullback of a row has caught its wrong ones by no merit.
    """
    as_it_should: dict[str, bool] = {}
    for asked in answers:
        wanted = Answer.FAILED if asked.kind == "wrong" else Answer.PASSED
        as_it_should[asked.row] = as_it_should.get(asked.row, True) and asked.answer is wanted
    undecidable = {asked.row for asked in answers if asked.kind == "undecidable"}
    return sum(good for row, good in as_it_should.items() if row not in undecidable)


def _cost(answers: Sequence[Asked], what: str) -> dict[str, Any]:
    """Whole and median; the median also for right pullbacks alone: that is what a test suite pays."""
    counts = [getattr(asked, what) for asked in answers]
    right = [getattr(asked, what) for asked in answers if asked.kind in _RIGHT]
    return {"total": sum(counts), "median": median(counts or [0]), "median of right": median(right or [0])}
