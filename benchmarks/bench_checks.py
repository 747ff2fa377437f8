"""What does a check cost? Time, and the forward and backward evaluations that it is made of.

The evaluations stand in ``extra_info`` (``--benchmark-json=FILE`` keeps them) and in the names of the groups; they do
not depend on the machine. Each benchmark asserts its verdict: a fast check that is wrong is worth nothing.
"""

from __future__ import annotations

import numpy as np
import pytest

import gradcheck

RNG = np.random.default_rng(0)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sigmoid_backward(da, z):
    a = sigmoid(z)
    return da * a * (1 - a)


def sigmoid_backward_z_for_a(da, z):
    return da * z * (1 - z)


def sigmoid_backward_one_entry(da, z):
    gradient = sigmoid_backward(da, z)
    gradient.flat[-1] *= 1.01
    return gradient


def dense(x, w, b):
    return x @ w + b


def dense_backward(dy, x, w, b):
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


def at(*shapes):
    return tuple(RNG.normal(size=shape) for shape in shapes)


CASES = {
    "sigmoid, 12 entries": (sigmoid, sigmoid_backward, at((4, 3)), {}, "match"),
    "sigmoid, 1,000 entries": (sigmoid, sigmoid_backward, at((50, 20)), {}, "match"),
    "sigmoid, 1,000 entries, fast": (sigmoid, sigmoid_backward, at((50, 20)), {"mode": "fast"}, "match"),
    "sigmoid, 100,000 entries": (sigmoid, sigmoid_backward, at((500, 200)), {}, "match"),
    "sigmoid, every entry wrong": (sigmoid, sigmoid_backward_z_for_a, at((4, 3)), {}, "mismatch"),
    "sigmoid, one of 1,000 wrong": (sigmoid, sigmoid_backward_one_entry, at((50, 20)), {}, "mismatch"),
    "dense, 8 x 16 to 4": (dense, dense_backward, at((8, 16), (16, 4), (4,)), {}, "match"),
    "dense, 32 x 64 to 32, fast": (dense, dense_backward, at((32, 64), (64, 32), (32,)), {"mode": "fast"}, "match"),
}


@pytest.mark.parametrize("name", CASES)
def test_check(benchmark, name):
    f, vjp, inputs, options, verdict = CASES[name]
    report = gradcheck.check_vjp(f, vjp, *inputs, **options)
    assert report.verdict == verdict
    entries = sum(line.entries for line in report.summaries)
    benchmark.extra_info.update(
        entries=entries,
        forwards=report.forward_calls,
        backwards=report.backward_calls,
        forwards_per_entry=round(report.forward_calls / entries, 3),
        detection_limit=report.detection_limit,
    )
    benchmark.group = f"{report.forward_calls} forwards, {report.backward_calls} backwards for {entries} entries"
    benchmark.pedantic(gradcheck.check_vjp, (f, vjp, *inputs), options, rounds=5)


def test_forward_alone(benchmark):
    """The yardstick: one forward of the largest layer above."""
    benchmark.group = "one forward of 100,000 entries"
    benchmark(sigmoid, CASES["sigmoid, 100,000 entries"][2][0])
