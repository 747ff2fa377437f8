"""``python -m benchmarks.large``: what does a probe of many parameters cost, what is sent to workers, what is held?

A linear layer of n x n weights and 64 examples is checked in full by a cluster of one that is none: it counts what
would be sent, and times what is evaluated. Then by projections.
"""

from __future__ import annotations

import math
import pickle
import time
import tracemalloc
from concurrent.futures import Future

import numpy as np

from gradcheck import check_vjp
from gradcheck.bench.peers import one_thread

EXAMPLES = 64
FULL = (100, 316, 1000)
FAST = (100, 316, 1000, 3162)


def linear(X, W):
    return X @ W


def linear_backward(g, X, W):
    return g @ W.T, X.T @ g


class Counted:
    """Does each piece of work at once, as a ``dask.distributed.Client`` of one worker would have it done."""

    def __init__(self):
        self.things = self.asked = self.answers = self.probes = self.held = 0
        self.seconds = 0.0

    def nthreads(self):
        return {"here": 1}

    def scatter(self, thing, **options):
        self.things += _size(thing)
        return thing

    def submit(self, function, work, keys, things, item, **options):
        self.asked += _size(item)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        start = time.process_time()
        result = function(work, keys, things, item)
        self.seconds += time.process_time() - start
        self.held = max(self.held, tracemalloc.get_traced_memory()[1] - before)
        self.probes += len(result)
        self.answers += _size(result)
        future = Future()
        future.set_result(result)
        return future


def _size(thing):
    return len(pickle.dumps(thing))


def _least(call, times):
    taken = []
    for _ in range(times):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return min(taken)


def _inputs(n):
    rng = np.random.default_rng(0)
    return rng.normal(size=(EXAMPLES, n)) / math.sqrt(n), rng.normal(size=(n, n))


def full(n):
    """Return a line of figures on a full check."""
    X, W = _inputs(n)
    forward = _least(lambda: linear(X, W), 20)
    cluster = Counted()
    report = check_vjp(linear, linear_backward, X, W, wrt="W", mode="full", workers=cluster)
    if not report.ok or any(note.startswith("workers") for note in report.notes):
        raise RuntimeError(report)
    a_probe = cluster.seconds / cluster.probes
    held = (cluster.held + cluster.things) / (8 * n * n)
    return [n * n, forward, report.forward_calls, a_probe, held, cluster.things, cluster.asked, cluster.answers]


def fast(n):
    """Return a line of figures on projections."""
    X, W = _inputs(n)
    forward = _least(lambda: linear(X, W), 5)
    start = time.process_time()
    report = check_vjp(linear, linear_backward, X, W, mode="fast")
    seconds = time.process_time() - start
    if not report.ok:
        raise RuntimeError(report)
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    check_vjp(linear, linear_backward, X, W, mode="fast")
    held = tracemalloc.get_traced_memory()[1] - before
    return [n * n, forward, report.forward_calls, seconds, held / (8 * n * n)]


def main():
    """Print the tables."""
    print(
        "full: parameters | forward s | forwards | s a probe | held by a worker | sent once | asked | answered, bytes"
    )
    for n in FULL:
        size, forward, calls, probe, held, *sent = full(n)
        figures = " | ".join(f"{figure:,}" for figure in sent)
        print(f"{size:>12,} | {forward:.2e} | {calls:>6,} | {probe:.2e} | {held:.1f} W | {figures}")
    print("fast: parameters | forward s | forwards | s in all | held")
    for n in FAST:
        size, forward, calls, seconds, held = fast(n)
        print(f"{size:>12,} | {forward:.2e} | {calls:>6,} | {seconds:.2e} | {held:.1f} W")


if __name__ == "__main__":
    tracemalloc.start()
    with one_thread():
        main()
