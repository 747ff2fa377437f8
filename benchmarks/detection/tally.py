"""How did each checker do? Its answers counted, its mistakes named: plain data, which JSON and Markdown both show."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

import numpy as np

from benchmarks.detection.ask import Asked
from benchmarks.detection.problem import KINDS, Problem
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
    decidable = {problem.row: problem.topic for problem in problems if problem.kind in _RIGHT}
    topics = list(decidable.values())
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "problems": {kind: kinds.count(kind) for kind in KINDS},
        "rows": len(decidable),
        "topics": {topic: topics.count(topic) for topic in dict.fromkeys(topics)},
        "left out": list(missing),
        "tools": [_of_tool(tool, by_tool[tool.name]) for tool in tools],
    }


def _of_tool(tool: Tool, answers: Sequence[Asked]) -> dict[str, Any]:
    def named(answer: Answer, *kinds: str) -> list[str]:
        return [asked.problem for asked in answers if asked.answer is answer and asked.kind in kinds]

    def said(answer: Answer) -> dict[str, str]:
        return {asked.problem: asked.detail for asked in answers if asked.answer is answer}

    names = {
        "right, accused": named(Answer.FAILED, "smooth"),
        "right, accused at kinks": named(Answer.FAILED, "kink"),
        "right, undecided": named(Answer.INCONCLUSIVE, *_RIGHT),
        "missed": named(Answer.PASSED, "wrong"),
        "wrong, undecided": named(Answer.INCONCLUSIVE, "wrong"),
        "hidden: right, accused": named(Answer.FAILED, "hidden"),
        "hidden: missed": named(Answer.PASSED, "wrong, hidden"),
    }
    apart = _told_apart(answers)
    ran = [asked for asked in answers if asked.answer is not Answer.NOT_RUN]
    return {
        "name": tool.name,
        "version": tool.version,
        "call": tool.call,
        "note": tool.note,
        "rows told apart": len(apart),
        "by topic": {topic: list(apart.values()).count(topic) for topic in dict.fromkeys(apart.values())},
        "right": {
            "passed": len(named(Answer.PASSED, *_RIGHT)),
            "accused": len(names["right, accused"]),
            "accused at kinks": len(names["right, accused at kinks"]),
            "undecided": len(names["right, undecided"]),
            "error": len(named(Answer.ERROR, *_RIGHT)),
        },
        "wrong": {
            "caught": len(named(Answer.FAILED, "wrong")),
            "missed": len(names["missed"]),
            "undecided": len(names["wrong, undecided"]),
            "error": len(named(Answer.ERROR, "wrong")),
        },
        "hidden": {
            "accused": len(names["hidden: right, accused"]),
            "missed": len(names["hidden: missed"]),
            "error": len(named(Answer.ERROR, "hidden", "wrong, hidden")),
        },
        "not run": len(answers) - len(ran),
        "forwards": _cost(ran, "forwards"),
        "backwards": _cost(ran, "backwards"),
        "seconds": round(sum(asked.seconds for asked in ran), 3),
        "names": names,
        "errors": said(Answer.ERROR),
        "not run because": said(Answer.NOT_RUN),
    }


def _told_apart(answers: Sequence[Asked]) -> dict[str, str]:
    """Return the rows (with their topics) whose right pullback passed and whose wrong twins all failed.

    Whoever accuses every pullback of a row has caught its wrong ones by no merit.
    """
    topics = {asked.row: asked.topic for asked in answers if asked.kind in _RIGHT}
    failing = {
        asked.row for asked in answers if asked.answer is not (Answer.PASSED if asked.kind in _RIGHT else Answer.FAILED)
    }
    return {row: topic for row, topic in topics.items() if row not in failing}


def _cost(answers: Sequence[Asked], what: str) -> dict[str, Any]:
    """Whole and median; the median also for right pullbacks alone: that is what a test suite pays."""
    counts = [getattr(asked, what) for asked in answers]
    right = [getattr(asked, what) for asked in answers if asked.kind in _RIGHT]
    return {"total": sum(counts), "median": median(counts or [0]), "median of right": median(right or [0])}
