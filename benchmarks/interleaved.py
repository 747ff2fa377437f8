"""``python -m benchmarks.interleaved [kernels|steps] ...``: who takes how many times as long as the limit?

All are called in turn, round after round in one process on one thread, and ratios are those of the medians: a neighbour
or a slower clock meets them all alike. Times are the processor's, so that waiting for a core counts for nobody.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from benchmarks import kernel_calls, step_calls
from benchmarks.peers import one_thread

TURN = 2e-2  # seconds: long enough for the caches to forget who was there before


def medians(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of one call, by who is called."""
    repeats, turns = {}, {who: [] for who in calls}
    for who, call in calls.items():
        call()
        repeats[who] = max(2, round(TURN / min(_seconds(call, 3) for _ in range(3))))
    for _ in range(rounds):
        for who, call in calls.items():
            turns[who].append(_seconds(call, repeats[who]))
    return {who: statistics.median(taken) for who, taken in turns.items()}


def _seconds(call: Callable[[], object], times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        call()
    return max((time.process_time() - start) / times, 1e-9)


def line(title: str, taken: Mapping[str, float], limit: str) -> str:
    """Return a line of ratios to a limit."""
    ratios = ", ".join(f"{who} {seconds / taken[limit]:.2f}" for who, seconds in taken.items() if who != limit)
    return f"{title}: {limit} {taken[limit] * 1e6:.1f} us; {ratios}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each problem."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interleaved", description=__doc__)
    parser.add_argument("what", choices=["kernels", "steps"])
    parser.add_argument("--only", default="", metavar="TEXT", help="problems whose title has it")
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args(arguments)
    with one_thread():
        for title, calls, limit in problems(given.what, given.only):
            print(line(title, medians(calls, given.rounds), limit), flush=True)


def problems(what: str, only: str):
    """Yield titles with their calls and the limit among these, each made when it is wanted."""
    if what == "kernels":
        for kernel in kernel_calls.OURS:
            for n in kernel_calls.NUMBERS:
                for dtype in kernel_calls.DTYPES:
                    if only in (title := f"{kernel}, {n:,} numbers, {dtype}"):
                        yield title, {**kernel_calls.limits(n, dtype), **kernel_calls.calls(kernel, n, dtype)}, "copy"
    else:
        for size in step_calls.SIZES:
            for dtype in step_calls.DTYPES:
                if only in (title := f"{size}, {dtype}"):
                    made = step_calls.steps(size, dtype)
                    yield title, {who: step.call for who, step in made.items()}, "products"


if __name__ == "__main__":
    main()
