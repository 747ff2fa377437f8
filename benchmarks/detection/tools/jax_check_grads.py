"""How is jax.test_util.check_grads called? With a custom_vjp of the NumPy pair, through pure_callback."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import numpy as np
from jax.test_util import check_grads

from benchmarks.detection.problem import Problem, Real
from benchmarks.detection.tools.tool import Answer, Tool

if hasattr(jax, "enable_x64"):
    _enable_x64 = jax.enable_x64
else:  # its place before jax 0.8
    from jax.experimental import enable_x64 as _enable_x64


def _function(real: Real, working: Any, shapes: Any) -> Any:
    def declared(array: Any) -> Any:
        # float64 does not exist in jax's default setting; lower precision stays what f made of it
        return jax.ShapeDtypeStruct(array.shape, np.result_type(array) if array.dtype.itemsize < 8 else working)

    def cast(values: Any, like: Any) -> Any:
        if isinstance(like, tuple):
            return tuple(np.asarray(v, one.dtype) for v, one in zip(values, like, strict=True))
        return np.asarray(values, like.dtype)

    out = tuple(map(declared, shapes)) if isinstance(shapes, tuple) else declared(shapes)
    into = tuple(map(declared, real.points))

    def forward(*points: Any) -> Any:
        return cast(real.f(*map(np.asarray, points)), out)

    def backward(cotangent: Any, *points: Any) -> Any:
        given = tuple(map(np.asarray, cotangent)) if isinstance(cotangent, (tuple, list)) else np.asarray(cotangent)
        return cast(tuple(real.gradients(given, *map(np.asarray, points))), into)

    @jax.custom_vjp
    def function(*points: Any) -> Any:
        return jax.pure_callback(forward, out, *points)

    function.defvjp(
        lambda *points: (function(*points), points),
        lambda points, cotangent: jax.pure_callback(backward, into, cotangent, *points),
    )
    return function


def _check(problem: Problem, working: Any) -> Answer:
    real = Real(problem, working)
    shapes = real.sample()  # pure_callback wants to be told the shapes of f's output
    with _enable_x64(working is np.float64):
        try:
            check_grads(_function(real, working, shapes), tuple(real.points), order=1, modes=["rev"])
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
            "a custom_vjp of the NumPy pair through pure_callback"
            + ("" if name == "float64" else "; jax's default precision"),
        )
        for name, working in (("float64", np.float64), ("float32", np.float32))
    ]
