"""Is evidence taken for no more than it is? Points at which something that looked like proof was an accident.

Each right gradient was accused once, or a wrong one passed; each stands beside a wrong one that is still told apart, or,
where f's values hide the difference from everybody, is undecided as well.
"""

import numpy as np
import pytest

from gradcheck import check_vjp
from gradcheck.difference import Differences
from tests.numerics.evidence.case import MATCH, MISMATCH, tanh32, tanh_slope
from tests.numerics.evidence.kinks import KINKS
from tests.numerics.evidence.lost import LOST
from tests.numerics.evidence.treads import TREADS
from tests.numerics.evidence.waves import WAVES

CASES = [*WAVES, *TREADS, *LOST, *KINKS]
with_case = pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])


def checked(case, change=lambda g: g):
    def vjp(*arguments):
        result = case.vjp(*arguments)
        arrays = [change(np.asarray(g)) for g in (result if isinstance(result, tuple) else (result,))]
        return tuple(arrays) if isinstance(result, tuple) else arrays[0]

    with np.errstate(all="ignore"):
        return check_vjp(case.f, vjp, *case.inputs, seed=case.seed, mode=case.mode)


@with_case
def test_right_gradient_is_not_accused(case):
    for seed in {case.seed, 1, 2, 3}:
        report = check_vjp(case.f, case.vjp, *case.inputs, seed=seed, mode=case.mode)
        assert report.verdict in case.verdicts, f"seed {seed}: {case.why}\n{report}"


@with_case
def test_wrong_gradient_does_not_pass(case):
    for change, verdicts in case.wrong.items():
        report = checked(case, change)
        assert report.verdict in verdicts, f"{case.why}\n{report}"


def test_a_vague_projection_of_few_entries_leaves_them_to_be_judged_one_by_one():
    """Beside the noise of float32 inside f, the sum of two errors of 1 % may be small; each by itself is not."""
    x = np.array([0.5, -1.0])
    for seed in range(20):
        right = check_vjp(tanh32, lambda g, x: g * tanh_slope(x), x, mode="fast", seed=seed)
        wrong = check_vjp(tanh32, lambda g, x: 1.01 * g * tanh_slope(x), x, mode="fast", seed=seed)
        assert right.verdict is MATCH, str(right)
        assert wrong.verdict is MISMATCH, str(wrong)


def test_a_step_that_float32_rounds_away_proves_nothing():
    """At a step that no entry takes, what rounding does to the claim is all that there is to compare it with."""
    x = np.array([-21.5], np.float32)

    def f(x):
        return (x * np.clip(x + 3, 0, 6) / 6).astype(np.float32)

    for seed in range(20):
        assert check_vjp(f, lambda g, x: 0 * g, x, mode="fast", seed=seed).verdict is MATCH
        wrong = check_vjp(f, lambda g, x: np.float32(1e-3) * g, x, mode="fast", seed=seed)
        assert wrong.verdict is MISMATCH, str(wrong)


# ---------------------------------------------------------------------- first looks


def cosine(x, y):
    return np.sum(x * y) / (np.sqrt(np.sum(x * x) + 1e-6) * np.sqrt(np.sum(y * y) + 1e-6))


def cosine_vjp(g, x, y):
    a, b = np.sqrt(np.sum(x * x) + 1e-6), np.sqrt(np.sum(y * y) + 1e-6)
    c = np.sum(x * y) / (a * b)
    return g * (y / (a * b) - c * x / (a * a)), g * (x / (a * b) - c * y / (b * b))


SMALL = (
    np.array([-6.6228868208855895e-09, 1.2312784566946838e-09, 6.057733534359034e-09, -5.650060045110886e-09]),
    np.array([1.261609932551484e-08, 4.737560055317186e-09, -2.8558265717281985e-09, 1.220111728347817e-08]),
)
"""Beside them the first step is long, and off by 3e-5 of each slope: an error of just that agrees with it."""


def test_error_that_agrees_with_a_step_that_others_show_to_be_too_long_is_caught():
    truth = cosine_vjp(1.0, *SMALL)[0][0]
    step = 2.0**-17
    x = SMALL[0].copy()
    x[0] += step
    forward = cosine(x, SMALL[1])
    x[0] -= 2 * step
    first_look = (forward - cosine(x, SMALL[1])) / (2 * step)
    assert 1e-5 < abs(first_look / truth - 1) < 1e-4

    def vjp(g, x, y):
        dx, dy = cosine_vjp(g, x, y)
        dx[0] *= first_look / truth
        return dx, dy

    assert check_vjp(cosine, cosine_vjp, *SMALL).ok
    report = check_vjp(cosine, vjp, *SMALL)
    assert [(c.name, c.index) for c in report.comparisons if c.verdict is MISMATCH] == [("x", (0,))], str(report)


def test_sides_of_a_spike_are_no_slopes():
    """The two sides of a point that lies on a tread of its own differ more, the shorter the step: no kink does."""

    class Spike:
        scale, magnitude, spacing = 1.0, 1.0, 2.0**-52

        def __init__(self, slope):
            self.slope = slope

        def at(self, step):
            return np.array([self.slope * abs(step) if self.slope else float(step != 0)]), step

    def sides(slope):
        return Differences(Spike(slope), np.zeros(1), np.ones(1), np.array([1e-3])).sides(2.0**-4)

    assert sides(0.0) == (0.0, 0.0)
    assert sides(3.0) == (-3.0, 3.0)
