"""What does a checker say of a problem, and what does that cost? Asked in turn, counted and timed."""

from __future__ import annotations

import functools
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.detection.problem import NotRunError, Problem
from benchmarks.detection.tools import Answer, Tool


@dataclass(frozen=True)
class Asked:
    """One checker's answer to one problem."""

    tool: str
    topic: str
    row: str
    problem: str
    kind: str
    """`Problem.kind`."""
    answer: Answer
    detail: str
    """What was raised, for ERROR and NOT_RUN."""
    forwards: int
    backwards: int
    seconds: float
    """Of the processor: others may be using the machine."""


class _Counted:
    """Calls of a function, as it looks to `inspect`."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self.calls = 0

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        return self._function(*args)


def ask(tool: Tool, problem: Problem) -> Asked:
    """Ask one checker about one problem. Whatever it raises is an answer too."""
    f, vjp = _Counted(problem.f), _Counted(problem.vjp)
    detail = ""
    started = time.process_time()
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            answer = tool.check(replace(problem, f=f, vjp=vjp, inputs=_copies(problem.inputs)))
    except NotRunError as reason:
        answer, detail = Answer.NOT_RUN, str(reason)
    except Exception as error:
        message = str(error).strip().splitlines()
        answer, detail = Answer.ERROR, f"{type(error).__name__}: {message[0] if message else ''}"[:200]
    seconds = time.process_time() - started
    return Asked(
        tool.name, problem.topic, problem.row, problem.id, problem.kind, answer, detail, f.calls, vjp.calls, seconds
    )


def ask_all(tools: Sequence[Tool], problems: Sequence[Problem]) -> Iterator[Asked]:
    """Ask every checker about every problem, one problem after the other, each time beginning with another checker."""
    for tool in tools:  # compilers and caches start outside the clock
        ask(tool, _WARM_UP)
    for turn, problem in enumerate(problems):
        for k in range(len(tools)):
            yield ask(tools[(turn + k) % len(tools)], problem)


def _copies(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(value.copy() if isinstance(value, np.ndarray) else value for value in inputs)


_WARM_UP = Problem("", "warm-up", "warm-up", np.sin, lambda g, x: g * np.cos(x), (np.array([0.3, 0.7]),), True, "match")
