"""What does the loop do that everyone writes? A central difference an entry, step 1e-5, relative error below 1e-4.

After the notes and assignments of Stanford's course CS231n ("Gradient checks"): a relative error above 1e-2 is usually
wrong, 1e-4 is okay where the objective has kinks, 1e-7 and less is good.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.detection.problem import Problem, Real, inner
from benchmarks.detection.tools.tool import Answer, Tool

STEP = 1e-5
THRESHOLD = 1e-4
SMALLEST = 1e-8


def _check(problem: Problem) -> Answer:
    real = Real(problem)
    cotangent = real.cotangent()
    worst = 0.0
    for point, analytic in zip(real.points, real.gradients(cotangent, *real.points), strict=True):
        numerical = np.zeros_like(point)
        for index in np.ndindex(point.shape):
            kept = point[index]
            point[index] = kept + STEP
            above = _tuple(real.f(*real.points))
            point[index] = kept - STEP
            below = _tuple(real.f(*real.points))
            point[index] = kept
            numerical[index] = inner(tuple(map(np.subtract, above, below)), _tuple(cotangent)) / (2 * STEP)
        error = np.abs(analytic - numerical) / np.maximum(SMALLEST, np.abs(analytic) + np.abs(numerical))
        worst = np.maximum(worst, np.max(error, initial=0.0))
    return Answer.PASSED if worst < THRESHOLD else Answer.FAILED  # an error that is not a number fails


def _tuple(result: Any) -> tuple[Any, ...]:
    # copies: f may return a view of its input
    return tuple(map(np.array, result)) if isinstance(result, tuple) else (np.array(result),)


def tools() -> list[Tool]:
    """One loop."""
    return [
        Tool(
            "usual loop",
            "CS231n",
            "abs(analytic - numerical) / max(1e-8, abs(analytic) + abs(numerical)) < 1e-4, step 1e-5",
            _check,
            "every entry of <v, f(x)> with a fixed random v; threshold for objectives with kinks",
        )
    ]
