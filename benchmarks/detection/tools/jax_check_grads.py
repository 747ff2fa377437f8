"""How is jax.test_util.check_grads called? With a custom_vjp of the NumPy pair, on concrete values.

``pure_callback`` gives the same answers, but compiles every pair, which is no cost of check_grads.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.test_util import check_grads

from benchmarks.detection.problem import Problem, Real
from benchmarks.detection.tools.tool import Answer, Tool

if hasattr(jax, "enable_x64"):
    _enable_x64 = jax.enable_x64
else:  # its place before jax 0.8
    from jax.experimental import enable_x64 as _enable_x64


def _function(real: Real) -> Any:
    def to_jax(result: Any) -> Any:
        # float64 becomes float32 in jax's default setting; lower precision stays what f made of it
        return tuple(map(jnp.asarray, result)) if isinstance(result, tuple) else jnp.asarray(result)

    @jax.custom_vjp
    def function(*points: Any) -> Any:
        return to_jax(real.f(*map(np.asarray, points)))

    def backward(points: Any, cotangent: Any) -> Any:
        given = tuple(map(np.asarray, cotangent)) if isinstance(cotangent, (tuple, list)) else np.asarray(cotangent)
        gradients = real.gradients(given, *map(np.asarray, points))
        return tuple(jnp.asarray(g, point.dtype) for g, point in zip(gradients, points, strict=True))

    function.defvjp(lambda *points: (function(*points), points), backward)
    return function


def _check(problem: Problem, working: Any) -> Answer:
    real = Real(problem, working)
    with _enable_x64(working is np.float64):
        try:
            check_grads(_function(real), tuple(real.points), order=1, modes=["rev"])
        except AssertionError:
            return Answer.FAILED
    return Answer.PASSED


def tools() -> list[Tool]:
    """With float64 switched on, and as jax comes."""
    return [
        Tool(
            f"jax check_grads, {name}",
            jax.__version__,
            f'jax.test_util.check_grads(f, inputs, order=1, modes=["rev"]), jax_enable_x64={name == "float64"}',
            partial(_check, working=working),
            "a custom_vjp of the NumPy pair" + ("" if name == "float64" else "; jax's default precision"),
        )
        for name, working in (("float64", np.float64), ("float32", np.float32))
    ]
