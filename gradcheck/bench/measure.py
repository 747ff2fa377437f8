"""How long does each take? All called in turn, round after round, in blocks that are spread over the run.

In one process on one thread, so that a neighbour or a slower clock meets all alike. Times are the processor's: waiting
for a core counts for nobody. What is said of a cost is its ratio to a limit that was measured in the same rounds, and
how far the blocks differ is how well it is known.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradcheck.bench.facts import Cost, Measured

__all__ = ["FULL", "QUICK", "Calls", "Problem", "Settings", "block", "measure"]

Calls = Mapping[str, Callable[[], object]]
Clock = Callable[[], float]


@dataclass(frozen=True)
class Problem:
    """What several do in their own ways."""

    section: str
    """Of the report."""
    title: str
    """Unique."""
    make: Callable[[], Calls]
    """Returns calls without arguments by who is called, on arrays of their own."""
    limit: str
    """Who of them is the limit."""
    ours: tuple[str, ...] = ()
    """Who of them runs this project's code."""
    peers: tuple[str, ...] = ()
    """Who of them one would use instead."""
    work: Mapping[str, Any] = field(default_factory=dict)
    """What there is to do: its size, and for the roofline its operations and bytes."""


@dataclass(frozen=True)
class Settings:
    """How often is everyone called."""

    blocks: int
    rounds: int
    turn: float
    """Seconds that short calls are repeated for: long enough for the caches to forget who was there before."""
    patience: float
    """Seconds after which a block has no further round: of dear calls, one is enough."""


LONG = 5e-2
"""Seconds of a call that need no warming up."""
QUICK = Settings(blocks=5, rounds=5, turn=4e-3, patience=0.4)
FULL = Settings(blocks=5, rounds=9, turn=2e-2, patience=6.0)


def measure(
    problems: Sequence[Problem],
    settings: Settings,
    told: Callable[[str], object] = lambda title: None,
    clock: Clock = time.process_time,
) -> list[Measured]:
    """Return what each problem costs each.

    Parameters
    ----------
    problems : sequence of Problem
        Gone through once a block.
    settings : Settings
        How often.
    told : callable
        Called with a problem's title after each of its blocks.
    clock : callable
        Returns seconds.

    Examples
    --------
    >>> calls = {"built in": lambda: sum(range(99)), "nothing": lambda: None}
    >>> problem = Problem("sums", "sum", lambda: calls, "nothing")
    >>> (measured,) = measure([problem], Settings(2, 3, 1e-5, 1.0))
    >>> measured.costs["built in"].ratio > 1
    True
    """
    forwards: dict[str, dict[str, int]] = {problem.title: {} for problem in problems}
    blocks: dict[str, list[dict[str, float]]] = {problem.title: [] for problem in problems}
    for _ in range(settings.blocks):
        for problem in problems:
            earlier = blocks[problem.title]
            last = earlier[-1] if earlier else {}
            earlier.append(block(problem.make(), settings, clock, last, forwards[problem.title]))
            told(problem.title)
    return [_facts(problem, blocks[problem.title], forwards[problem.title]) for problem in problems]


def block(
    calls: Calls,
    settings: Settings,
    clock: Clock = time.process_time,
    last: Mapping[str, float] | None = None,
    forwards: dict[str, int] | None = None,
) -> dict[str, float]:
    """Return the median seconds of one call, by who is called.

    Parameters
    ----------
    calls : mapping of str to callable
        Called once before they are timed, unless that is known to take long.
    settings : Settings
        How often.
    clock : callable
        Returns seconds.
    last : mapping of str to float, optional
        What an earlier block returned.
    forwards : dict, optional
        Where to note the forwards of those whose calls return a report.
    """
    expected = dict(last or {})
    turns: dict[str, list[float]] = {who: [] for who in calls}
    for who, call in calls.items():
        if expected.get(who, 0.0) < LONG:
            result = call()
            if forwards is not None and hasattr(result, "forward_calls"):
                forwards[who] = result.forward_calls
        if who not in expected:
            expected[who] = _seconds(call, 1, clock)
    order, began = list(calls), clock()
    collecting = gc.isenabled()
    gc.disable()
    try:
        for turn in range(settings.rounds):
            if turn and clock() - began > settings.patience:
                break
            for k in range(len(order)):  # each time beginning with another
                who = order[(turn + k) % len(order)]
                turns[who].append(_seconds(calls[who], max(1, round(settings.turn / expected[who])), clock))
    finally:
        if collecting:
            gc.enable()
    return {who: statistics.median(taken) for who, taken in turns.items()}


def _seconds(call: Callable[[], object], times: int, clock: Clock) -> float:
    start = clock()
    for _ in range(times):
        call()
    return max((clock() - start) / times, 1e-9)


def _facts(problem: Problem, blocks: Sequence[Mapping[str, float]], forwards: Mapping[str, int]) -> Measured:
    costs = {
        who: Cost(
            tuple(taken[who] for taken in blocks),
            tuple(taken[who] / taken[problem.limit] for taken in blocks),
            forwards.get(who),
        )
        for who in blocks[0]
    }
    present = tuple(who for who in problem.ours if who in costs), tuple(who for who in problem.peers if who in costs)
    return Measured(problem.section, problem.title, problem.limit, *present, dict(problem.work), costs)
