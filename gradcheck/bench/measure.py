"""How long does each take? All called in turn, round after round, in blocks that are spread over the run.

In one process on one thread, so that a neighbour or a slower clock meets all alike. Times are the processor's: waiting
for a core counts for nobody. What is said of a cost is its ratio to a limit that was measured in the same rounds, and
how far the blocks differ is how well it is known.
"""

from __future__ import annotations

import gc
import math
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradcheck.bench.facts import Cost, Measured

__all__ = ["FULL", "QUICK", "Calls", "Meter", "Problem", "Settings"]

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
    """Seconds that short calls are repeated for, after one that is not counted: the caches held another's arrays."""
    patience: float
    """Seconds after which a block has no further round: of dear calls, one is enough."""
    once: float = math.inf
    """Seconds of a call that is made once in all."""


LONG = 5e-2
"""Seconds of a call that needs no warming up, and whose first turn counts."""
BALLAST = 2**16
"""Bytes, at most, by which a block moves what it allocates."""
BRIEF = 0.25
"""A yardstick's turn, in those of the others."""
QUICK = Settings(blocks=5, rounds=5, turn=4e-3, patience=0.4)
FULL = Settings(blocks=5, rounds=9, turn=2e-2, patience=6.0)


class Meter:
    """Takes times, a block at a time, and keeps them.

    Parameters
    ----------
    problems : sequence of Problem
        What is measured.
    settings : Settings
        How often.
    yardsticks : mapping of str to callable
        Take part in every problem, in shorter turns: by them one sees what became of the machine meanwhile.
    clock : callable
        Returns seconds.

    Examples
    --------
    >>> calls = {"built in": lambda: sum(range(99)), "nothing": lambda: None}
    >>> meter = Meter([Problem("sums", "sum", lambda: calls, "nothing")], Settings(2, 3, 1e-5, 1.0))
    >>> meter.take(["sum"])
    >>> meter.facts()[0].costs["built in"].ratio > 1
    True
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        settings: Settings,
        yardsticks: Calls | None = None,
        clock: Clock = time.process_time,
    ) -> None:
        self._problems = {problem.title: problem for problem in problems}
        self._settings = settings
        self._yardsticks = dict(yardsticks or {})
        self._clock = clock
        self._blocks: dict[str, list[dict[str, float]]] = {title: [] for title in self._problems}
        self._forwards: dict[str, dict[str, int]] = {title: {} for title in self._problems}

    def take(self, titles: Sequence[str], told: Callable[[str], object] = lambda title: None) -> None:
        """Take as many blocks of some problems as the settings say, one of each after the other.

        Parameters
        ----------
        titles : sequence of str
            Of the problems.
        told : callable
            Called with a title after each block.
        """
        for _ in range(self._settings.blocks):
            for title in titles:
                self._blocks[title].append(self._block(title))
                told(title)

    def facts(self) -> list[Measured]:
        """Return what each problem costs each."""
        return [self._facts(problem) for problem in self._problems.values()]

    def _block(self, title: str) -> dict[str, float]:
        """Return the median seconds of one call, by who is called."""
        settings, clock = self._settings, self._clock
        # arrays of ours lie elsewhere in each block, as they do in each process: that is no part of a block's luck
        ballast = bytearray(random.Random(len(self._blocks[title])).randrange(BALLAST))
        calls = {**self._problems[title].make(), **self._yardsticks}
        expected = self._expected(title, calls)
        turns: dict[str, list[float]] = {who: [] for who in calls}
        times = {
            who: max(1, round(settings.turn * (BRIEF if who in self._yardsticks else 1.0) / seconds))
            for who, seconds in expected.items()
        }
        order, began = [who for who in calls if expected[who] <= settings.once], clock()
        collecting = gc.isenabled()
        gc.disable()
        try:
            for turn in range(settings.rounds):
                if turn and clock() - began > settings.patience:
                    break
                for k in range(len(order)):  # each time beginning with another
                    who = order[(turn + k) % len(order)]
                    if expected[who] < LONG:
                        calls[who]()  # finds in the caches what another has left there
                    turns[who].append(_seconds(calls[who], times[who], clock))
        finally:
            if collecting:
                gc.enable()
            del ballast
        return {who: statistics.median(taken) if taken else expected[who] for who, taken in turns.items()}

    def _expected(self, title: str, calls: Calls) -> dict[str, float]:
        """Warm up whoever is not known to take long, and return about how many seconds each call takes."""
        expected = dict(self._blocks[title][-1]) if self._blocks[title] else {}
        for who, call in calls.items():
            if expected.get(who, 0.0) < LONG:
                began = self._clock()
                result = call()
                first = self._clock() - began
                if hasattr(result, "forward_calls"):
                    self._forwards[title][who] = result.forward_calls
                if who not in expected:
                    expected[who] = first if first > self._settings.once else _seconds(call, 1, self._clock)
        return expected

    def _facts(self, problem: Problem) -> Measured:
        blocks = self._blocks[problem.title]
        seconds = {who: tuple(taken[who] for taken in blocks) for who in blocks[0]}
        limit = seconds[problem.limit]
        costs = {
            who: Cost(
                taken,
                tuple(mine / least for mine, least in zip(taken, limit, strict=True)),
                self._forwards[problem.title].get(who),
            )
            for who, taken in seconds.items()
            if who not in self._yardsticks
        }
        ours, peers = (tuple(who for who in whos if who in costs) for whos in (problem.ours, problem.peers))
        yardsticks = {who: seconds[who] for who in self._yardsticks}
        return Measured(
            problem.section, problem.title, problem.limit, ours, peers, dict(problem.work), costs, yardsticks
        )


def _seconds(call: Callable[[], object], times: int, clock: Clock) -> float:
    start = clock()
    for _ in range(times):
        call()
    return max((clock() - start) / times, 1e-9)
