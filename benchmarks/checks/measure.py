"""What does each checker cost? Asked in turn, round after round; medians of processor time, and fitted exponents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.checks.problems import entries
from benchmarks.checks.tools import affords
from benchmarks.detection.ask import Asked, ask
from benchmarks.detection.problem import Problem
from benchmarks.detection.tools import Tool
from gradcheck.bench import measure as timing
from gradcheck.bench.facts import exponent as fitted

_UNIT = "one forward and one backward"
_TURN = 2e-2  # seconds that what takes less is repeated for
_ONCE = 2.0  # a check that takes so many seconds is not asked again


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
        answers: dict[str, Asked] = {}
        timed = timing.Problem("checks", problem.id, lambda p=problem, a=answers: _calls(tools, p, a), _UNIT)
        meter = timing.Meter([timed], timing.Settings(rounds, rounds=1, turn=_TURN, patience=0.0, once=_ONCE))
        meter.take([problem.id])
        costs = meter.facts()[0].costs
        facts.append(
            {
                "family": problem.topic,
                "size": problem.row,
                "entries": entries(problem),
                "seconds": costs[_UNIT].second,
                "checkers": {
                    name: {
                        "seconds": costs[name].second,
                        "ratio": costs[name].ratio,
                        "forwards": answer.forwards,
                        "backwards": answer.backwards,
                        "answer": str(answer.answer),
                    }
                    for name, answer in answers.items()
                },
            }
        )
    return facts


def _calls(tools: Sequence[Tool], problem: Problem, answers: dict[str, Asked]) -> dict[str, Callable[[], object]]:
    """Return the calls of those who are asked, which put their answers into a dict."""
    cotangent = np.ones(np.shape(problem.f(*problem.inputs)))

    def asking(tool: Tool) -> Callable[[], object]:
        return lambda: answers.update({tool.name: ask(tool, problem)})

    return {
        _UNIT: lambda: (problem.f(*problem.inputs), problem.vjp(cotangent, *problem.inputs)),
        **{tool.name: asking(tool) for tool in tools if affords(tool.name, problem)},
    }


def exponent(facts: Sequence[Mapping[str, Any]], family: str, name: str) -> float | None:
    """Return the exponent of a checker's time against the number of entries; None of one size."""
    sizes = [
        (each["entries"], each["checkers"][name]["seconds"])
        for each in facts
        if each["family"] == family and name in each["checkers"]
    ]
    return fitted([n for n, _ in sizes], [seconds for _, seconds in sizes])
