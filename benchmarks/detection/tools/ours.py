"""How is this project called?"""

from __future__ import annotations

from functools import partial
from typing import Any

import gradcheck
from benchmarks.detection.problem import Problem
from benchmarks.detection.tools.tool import Answer, Tool


def _check(problem: Problem, mode: Any) -> Answer:
    report = gradcheck.check_vjp(problem.f, problem.vjp, *problem.inputs, mode=mode)
    if report.verdict is gradcheck.Verdict.INCONCLUSIVE:
        return Answer.INCONCLUSIVE
    return Answer.PASSED if report.ok else Answer.FAILED


def tools() -> list[Tool]:
    """Both modes; MATCH and KINK pass, MISMATCH and CONTRACT fail."""
    return [
        Tool(
            f"gradcheck, {mode}",
            gradcheck.__version__,
            f'gradcheck.check_vjp(f, vjp, *inputs, mode="{mode}")',
            partial(_check, mode=mode),
            "INCONCLUSIVE counts neither as caught nor as missed, neither as passed nor as an accusation",
        )
        for mode in ("full", "fast")
    ]
