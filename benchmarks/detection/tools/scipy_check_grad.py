"""How is scipy.optimize.check_grad called? On <v, f(x)> with a fixed random v, the inputs flattened into one vector."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from scipy.optimize import check_grad

from benchmarks.detection.problem import Problem, Real, inner
from benchmarks.detection.tools.tool import Answer, Tool

THRESHOLD = 1e-6


def _check(problem: Problem) -> Answer:
    real = Real(problem)
    shapes = [point.shape for point in real.points]
    ends = np.cumsum([point.size for point in real.points])[:-1]
    cotangent = real.cotangent()

    def apart(x: Any) -> list[Any]:
        return [part.reshape(shape) for part, shape in zip(np.split(x, ends), shapes, strict=True)]

    def loss(x: Any) -> float:
        return inner(cotangent, real.f(*apart(x)))

    def gradient(x: Any) -> Any:
        parts = real.gradients(cotangent, *apart(x))
        return np.concatenate([np.asarray(part, float).ravel() for part in parts])

    x = np.concatenate([point.ravel() for point in real.points])
    error = check_grad(loss, gradient, x)
    allowed = THRESHOLD * (1 + np.linalg.norm(gradient(x)))
    return Answer.PASSED if error <= allowed else Answer.FAILED  # an error that is not a number fails


def tools() -> list[Tool]:
    """Its defaults; the threshold is ours, since its documentation has none."""
    return [
        Tool(
            "scipy check_grad",
            scipy.__version__,
            "scipy.optimize.check_grad(func, grad, x0)",
            _check,
            "of <v, f(x)> with a fixed random v; it returns an error norm without a threshold: "
            f"{THRESHOLD:g} * (1 + norm of the gradient) is ours",
        )
    ]
