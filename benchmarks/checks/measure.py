"""What does each checker cost? Asked in turn, round after round; medians of processor time, and fitted exponents."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from benchmarks.checks.problems import entries
from benchmarks.checks.tools import affords
from benchmarks.detection.ask import Asked, ask
from benchmarks.detection.problem import Problem
from benchmarks.detection.tools import Tool
from gradcheck.bench.facts import exponent as fitted

_TURN = 2e-2  # seconds that a forward and a backward are repeated for
_ONCE = 2.0  # a check that takes so many seconds is not asked again


def forward_and_backward(problem: Problem) -> float:
    """Return the seconds of one forward and one backward."""
    cotangent = np.ones(np.shape(problem.f(*problem.inputs)))
    started, times = time.process_time(), 0
    while (taken := time.process_time() - started) < _TURN or not times:
        problem.f(*problem.inputs)
        problem.vjp(cotangent, *problem.inputs)
        times += 1
    return taken / times


def measure(
    tools: Sequence[Tool], problems: Sequence[Problem], rounds: int, told: Callable[[str], object] = print
) -> list[dict[str, Any]]:
    """Return what each problem cost each checker.

    Parameters
    ----------
    tools, problems
        Who is asked about what.
    rounds : int
        How often, but those that take long.
    told : callable
        Called with the name of each problem when its turn comes.
    """
    for tool in tools:  # compilers and caches start outside the clock
        ask(tool, problems[0])
    facts = []
    for problem in problems:
        told(problem.id)
        pairs: list[float] = []
        asked: dict[str, list[Asked]] = {tool.name: [] for tool in tools if affords(tool.name, problem)}
        for turn in range(rounds):
            pairs.append(forward_and_backward(problem))
            for k in range(len(tools)):
                tool = tools[(turn + k) % len(tools)]
                if tool.name in asked and (turn == 0 or asked[tool.name][0].seconds < _ONCE):
                    asked[tool.name].append(ask(tool, problem))
        unit = median(pairs)
        facts.append(
            {
                "family": problem.topic,
                "size": problem.row,
                "entries": entries(problem),
                "seconds": unit,
                "checkers": {name: _cost(answers, unit) for name, answers in asked.items()},
            }
        )
    return facts


def _cost(answers: Sequence[Asked], unit: float) -> dict[str, Any]:
    seconds = median(each.seconds for each in answers)
    last = answers[-1]
    return {
        "seconds": seconds,
        "ratio": seconds / unit,
        "forwards": last.forwards,
        "backwards": last.backwards,
        "answer": str(last.answer),
    }


def exponent(facts: Sequence[Mapping[str, Any]], family: str, name: str) -> float | None:
    """Return the exponent of a checker's time against the number of entries; None of one size."""
    sizes = [
        (each["entries"], each["checkers"][name]["seconds"])
        for each in facts
        if each["family"] == family and name in each["checkers"]
    ]
    return fitted([n for n, _ in sizes], [seconds for _, seconds in sizes])
