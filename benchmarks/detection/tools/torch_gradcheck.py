"""How is torch.autograd.gradcheck called? With an autograd.Function of the NumPy pair, and double inputs."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch.autograd.gradcheck import GradcheckError

from benchmarks.detection.problem import Problem, Real
from benchmarks.detection.tools.tool import Answer, Tool


def _tensor(array: Any) -> torch.Tensor:
    # a copy, since f may return a view of its input; double as the inputs are, which fast mode insists on
    return torch.from_numpy(np.array(array, dtype=np.float64, order="C"))


def _function(real: Real) -> Any:
    class Pair(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *points: Any) -> Any:
            ctx.save_for_backward(*points)
            result = real.f(*(point.detach().numpy() for point in points))
            return tuple(map(_tensor, result)) if isinstance(result, tuple) else _tensor(result)

        @staticmethod
        def backward(ctx: Any, *cotangents: Any) -> Any:
            given = tuple(cotangent.detach().numpy() for cotangent in cotangents)
            points = (point.detach().numpy() for point in ctx.saved_tensors)
            return tuple(map(_tensor, real.gradients(given if len(given) > 1 else given[0], *points)))

    return Pair.apply


def _check(problem: Problem, fast: bool) -> Answer:
    real = Real(problem)
    points = tuple(torch.from_numpy(point).requires_grad_() for point in real.points)
    torch.manual_seed(real.seed)
    try:
        torch.autograd.gradcheck(_function(real), points, fast_mode=fast)
    except GradcheckError:
        return Answer.FAILED
    return Answer.PASSED


def tools() -> list[Tool]:
    """Slow mode, its default, and fast mode."""
    return [
        Tool(
            f"torch gradcheck, {name}",
            torch.__version__,
            f"torch.autograd.gradcheck(function, inputs{', fast_mode=True' if fast else ''})",
            partial(_check, fast=fast),
            "an autograd.Function of the NumPy pair; inputs in double precision, which its documentation asks for",
        )
        for name, fast in (("slow", False), ("fast", True))
    ]
