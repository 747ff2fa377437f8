"""Which gradients are checked? Those of ``gradcheck bench``, as the checkers of ``benchmarks.detection`` are asked."""

from __future__ import annotations

from benchmarks.detection.problem import Problem
from gradcheck.bench.checks import gradients


def entries(problem: Problem) -> int:
    """How many numbers the gradients of a problem have."""
    return sum(x.size for x in problem.inputs)


def problems() -> list[Problem]:
    """Return them all; `topic` is the family, `row` the size."""
    return [
        Problem(each.family, each.size, f"{each.family} {each.size}", each.f, each.vjp, each.inputs, True, "match")
        for each in gradients()
    ]
