"""What do tests of several folders share? Reports made by hand, one of each verdict, without running a check."""

from __future__ import annotations

import pytest

from gradcheck.report import Comparison, Explanation, Report, Summary, Verdict, Violation


def row(name, index, analytic, numerical, verdict=Verdict.MISMATCH, reason="", allowed=2.8e-07):
    return Comparison(name, index, analytic, numerical, 5.0e-11, allowed, 6.1e-06, verdict, reason)


def mismatch():
    rows = tuple(row("Z", (i, j), i + 0.5, i + 0.5 + 0.25 * (12 - 3 * i - j)) for i in range(4) for j in range(3))
    b = row("b", (1,), 1.0, 2.0, allowed=0.5)
    good = row("W", (0, 0), 1.0, 1.0 + 1e-10, Verdict.MATCH)
    return Report(
        "sigmoid_backward",
        Verdict.MISMATCH,
        summaries=(
            Summary("Z", (4, 3), 12, 12, 12, Verdict.MISMATCH, rows[0], 24),
            Summary("b", (3,), 3, 3, 1, Verdict.MISMATCH, b, 6),
            Summary("W", (3, 3), 9, 9, 0, Verdict.MATCH, good, 18),
        ),
        comparisons=(*rows, b, good),
        explanations=(Explanation("z_for_a", "the pre-activation z where the activation a belongs", 1.0),),
        notes=("the gradient of W is the cotangent's own array",),
        mode="full",
        detection_limit=1e-9,
        forward_calls=48,
        backward_calls=4,
        seconds=0.25,
        seed=3,
        reproduce="gradcheck.check_vjp(sigmoid, sigmoid_backward, Z, seed=3)",
    )


def match():
    worst = row("Z", (0, 1), 0.25, 0.25 + 3.1e-11, Verdict.MATCH)
    return Report(
        "tanh_backward",
        Verdict.MATCH,
        summaries=(Summary("Z", (4, 3), 12, 12, 0, Verdict.MATCH, worst, 24),),
        comparisons=(worst,),
        mode="full",
        detection_limit=1.2e-9,
        forward_calls=24,
        backward_calls=2,
    )


def kink():
    at_kink = row("Z", (0, 1), 0.0, 0.5, Verdict.KINK, "on a kink: the one-sided slopes are 0 and 1", 0.5)
    return Report(
        "relu_backward",
        Verdict.KINK,
        summaries=(Summary("Z", (2, 2), 4, 4, 0, Verdict.KINK, at_kink, 60),),
        comparisons=(at_kink,),
        forward_calls=60,
    )


def inconclusive():
    hidden = row("x", (0,), 1.0, float("nan"), Verdict.INCONCLUSIVE, "f is not finite at x[0] - 1e-6", float("inf"))
    return Report(
        "log_backward",
        Verdict.INCONCLUSIVE,
        summaries=(Summary("x", (3,), 3, 2, 0, Verdict.INCONCLUSIVE, hidden, 9),),
        comparisons=(hidden,),
        forward_calls=9,
    )


def contract():
    return Report(
        "Dense",
        Verdict.CONTRACT,
        violations=(
            Violation("db has shape (4, 3), b has (1, 3): the sum over the batch axis is missing", "shape", "b"),
            Violation("backward changed its input X", "mutation", "X"),
        ),
        forward_calls=1,
        reproduce="gradcheck.check_layer(Dense(), X, seed=0)",
    )


@pytest.fixture
def example_reports():
    """Return one report of each verdict, by the verdict's name."""
    made = (match(), kink(), inconclusive(), mismatch(), contract())
    return {report.verdict.value: report for report in made}
