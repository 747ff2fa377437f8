"""Who is asked? The checkers of ``benchmarks.detection``, and SciPy's differences for Jacobians."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np

from benchmarks.checks.problems import entries
from benchmarks.detection.problem import Problem, Real
from benchmarks.detection.tools import Answer, Tool, gather

NAMES = (
    "gradcheck, full",
    "gradcheck, fast",
    "usual loop",
    "torch gradcheck, slow",
    "torch gradcheck, fast",
    "jax check_grads, float64",
    "autograd check_grads",
    "scipy approx_derivative",
)
AFFORDED = {"usual loop": 100_000, "torch gradcheck, slow": 1_000, "scipy approx_derivative": 2_000}
"""The entries up to which a checker is asked, where more would take minutes or the memory of a whole Jacobian."""
_RTOL = 1e-6


def _approx_derivative(problem: Problem) -> Answer:
    from scipy.optimize._numdiff import approx_derivative

    real = Real(problem)
    shapes, cotangent = [point.shape for point in real.points], np.asarray(real.cotangent())
    ends = np.cumsum([point.size for point in real.points])[:-1]

    def flat(x: Any) -> Any:
        apart = [part.reshape(shape) for part, shape in zip(np.split(x, ends), shapes, strict=True)]
        return np.ravel(real.f(*apart))

    jacobian = np.atleast_2d(approx_derivative(flat, np.concatenate([point.ravel() for point in real.points])))
    gradient = np.concatenate([np.ravel(part) for part in real.gradients(cotangent, *real.points)])
    off = np.abs(cotangent.ravel() @ jacobian - gradient).max()
    return Answer.PASSED if off <= _RTOL * np.abs(gradient).max() else Answer.FAILED


def installed() -> list[Tool]:
    """Return the checkers of `NAMES` that are installed."""
    tools = gather()[0]
    if importlib.util.find_spec("scipy"):
        call = "scipy.optimize._numdiff.approx_derivative(f, x0), contracted with a cotangent"
        tools.append(Tool("scipy approx_derivative", "", call, _approx_derivative, "three points and a whole Jacobian"))
    return sorted((tool for tool in tools if tool.name in NAMES), key=lambda tool: NAMES.index(tool.name))


def affords(name: str, problem: Problem) -> bool:
    """Tell whether a checker is asked about a problem."""
    return entries(problem) <= AFFORDED.get(name, entries(problem))
