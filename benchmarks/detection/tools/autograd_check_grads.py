"""How is HIPS autograd's check_grads called? With a primitive of the NumPy pair."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import autograd.numpy  # noqa: F401  # registers arrays as values that autograd knows
import numpy as np
from autograd.extend import defvjp, primitive
from autograd.test_util import check_grads

from benchmarks.detection.problem import Problem, Real
from benchmarks.detection.tools.tool import Answer, Tool


def _check(problem: Problem) -> Answer:
    real = Real(problem)
    count = len(real.points)
    function = primitive(real.f)
    defvjp(function, *(_pullback(real, k) for k in range(count)))
    state = np.random.get_state()  # noqa: NPY002  # the generator that autograd draws from
    np.random.seed(real.seed)  # noqa: NPY002
    try:
        check_grads(function, tuple(range(count)), modes=["rev"], order=1)(*real.points)
    except AssertionError:
        return Answer.FAILED
    finally:
        np.random.set_state(state)  # noqa: NPY002
    return Answer.PASSED


def _pullback(real: Real, which: int) -> Any:
    return lambda ans, *points: lambda cotangent: real.gradients(cotangent, *points)[which]


def tools() -> list[Tool]:
    """Reverse mode; order 2, its default, would differentiate the pullback, which is NumPy's here."""
    return [
        Tool(
            "autograd check_grads",
            version("autograd"),
            'autograd.test_util.check_grads(f, modes=["rev"], order=1)(*inputs)',
            _check,
            "a primitive of the NumPy pair; its default order=2 would have to differentiate the NumPy pullback",
        )
    ]
