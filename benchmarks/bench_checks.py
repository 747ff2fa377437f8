"""What does a check cost? Time, and the forward and backward evaluations that it is made of.

The evaluations stand in ``extra_info`` (``--benchmark-json=FILE`` keeps them); they do not depend on the machine, and
those of right gradients are held by ``tests/planted/test_planted_structure.py``. Each check asserts its verdict: a fast
check that is wrong is worth nothing. ``python -m benchmarks.checks`` asks all in turn and gives ratios, which these
times are too far apart for.
"""

from __future__ import annotations

import numpy as np
import pytest

import gradcheck
from benchmarks.checks.problems import entries, problems
from benchmarks.checks.tools import NAMES, affords, installed
from benchmarks.detection.ask import ask
from benchmarks.detection.tools import Answer
from gradcheck.bench.checks import sigmoid, sigmoid_backward
from gradcheck.bench.peers import one_thread

PROBLEMS = {problem.id: problem for problem in problems()}


@pytest.fixture(autouse=True)
def _one_thread():
    with one_thread():
        yield


@pytest.mark.parametrize("who", NAMES)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_check(benchmark, problem, who):
    tools, question = {tool.name: tool for tool in installed()}, PROBLEMS[problem]
    if who not in tools or not affords(who, question):
        pytest.skip("not installed, or takes minutes")
    asked = ask(tools[who], question)
    assert asked.answer is Answer.PASSED or not who.startswith("gradcheck"), asked
    benchmark.extra_info.update(
        entries=entries(question), forwards=asked.forwards, backwards=asked.backwards, answer=str(asked.answer)
    )
    benchmark.group = f"{problem}: {entries(question):,} entries"
    benchmark.pedantic(tools[who].check, (question,), rounds=3 if asked.seconds < 1 else 1)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_forward_and_backward(benchmark, problem):
    """The yardstick."""
    question = PROBLEMS[problem]
    cotangent = np.ones(np.shape(question.f(*question.inputs)))
    benchmark.group = f"{problem}: {entries(question):,} entries"
    benchmark(lambda: (question.f(*question.inputs), question.vjp(cotangent, *question.inputs)))


def one_entry(da, z):
    gradient = sigmoid_backward(da, z)
    gradient.flat[-1] *= 1.01
    return gradient


WRONG = {"every entry": lambda da, z: da * z * (1 - z), "one entry": one_entry}


@pytest.mark.parametrize("mode", ["full", "fast"])
@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("size", ["4 x 3", "50 x 20"])
def test_wrong(benchmark, size, wrong, mode):
    x = PROBLEMS[f"sigmoid {size}"].inputs[0]
    report = gradcheck.check_vjp(sigmoid, WRONG[wrong], x, mode=mode)
    assert report.verdict == "mismatch"
    benchmark.extra_info.update(entries=x.size, forwards=report.forward_calls, backwards=report.backward_calls)
    benchmark.group = f"sigmoid {size}, wrong in {wrong}"
    benchmark.pedantic(gradcheck.check_vjp, (sigmoid, WRONG[wrong], x), {"mode": mode}, rounds=3)
