"""Is a right gradient accused where part of f is so flat that float32 or float16 holds it still? Does a wrong one pass?

The steps over which the rest of f is known best show that rest alone; over longer ones the part shows in jumps.
"""

import numpy as np
import pytest

from gradcheck import Verdict, check_vjp

SEEDS = range(12)


def beside(exact, flat, dtype):
    """Return the sum of an exact part and a rounded one, with the vjp of both: each is (f, derivative)."""
    (f, slope), (inner, outer, outer_slope) = exact, flat

    def forward(x):
        return f(x) + outer((inner[0] + inner[1] * x).astype(dtype)).astype(float)

    return forward, lambda g, x: g * (slope(x) + inner[1] * outer_slope(inner[0] + inner[1] * x))


def tanh_slope(u):
    return 1 - np.tanh(u) ** 2


EXACT = {"sin": (np.sin, np.cos), "line": (lambda x: 1.7 * x, lambda x: 1.7 + 0 * x), "exp": (np.exp, np.exp)}


def point(seed):
    return np.random.default_rng(seed).normal(size=3)


def verdicts(f, vjp, mode="full", points=point):
    return [check_vjp(f, vjp, points(seed), seed=seed, mode=mode).verdict for seed in SEEDS]


@pytest.mark.parametrize("mode", ["full", "fast"])
@pytest.mark.parametrize("exact", EXACT)
@pytest.mark.parametrize(
    ("dtype", "k", "wrong"),
    [(np.float32, 1e-3, 1.01), (np.float32, 1e-4, 1.01), (np.float32, 1e-5, 1.01), (np.float16, 0.1, 1.3)],
)
def test_right_gradient_is_not_accused(exact, dtype, k, wrong, mode):
    f, vjp = beside(EXACT[exact], ((2, k), np.tanh, tanh_slope), dtype)
    assert Verdict.MISMATCH not in verdicts(f, vjp, mode)
    # by more than treads of that height, that far apart, make of it
    assert set(verdicts(f, lambda g, x: wrong * vjp(g, x), mode)) == {Verdict.MISMATCH}


def test_right_gradient_of_a_sum_of_many_parts_is_not_accused():
    weights = np.random.default_rng(0).normal(size=(6, 3))

    def f(x):
        return np.sum(np.exp(0.3 * x)) + np.sum(np.tanh((3e-5 * weights @ x + 1).astype(np.float32)).astype(float))

    def vjp(g, x):
        return g * (0.3 * np.exp(0.3 * x) + 3e-5 * weights.T @ tanh_slope(3e-5 * weights @ x + 1))

    assert Verdict.MISMATCH not in verdicts(f, vjp)
    assert set(verdicts(f, lambda g, x: vjp(g, x) * np.array([1, 1, 1.01]))) == {Verdict.MISMATCH}


@pytest.mark.parametrize("times", [4096, 2**14, 2**18])
def test_wrong_gradient_of_what_climbs_as_much_in_treads_does_not_hide(times):
    """The part on treads has as much of the slope as the rest, and the whole is off by a tenth."""
    found = verdicts(lambda x: np.sin(x) + np.round(x * times) / times, lambda g, x: 1.1 * g * (np.cos(x) + 1))
    assert set(found) == {Verdict.MISMATCH}


@pytest.mark.parametrize("error", [1e-6, 1e-4, 1e-2])
@pytest.mark.parametrize("near", [1e-4, 1e-2])
def test_gradient_that_is_wrong_close_to_the_point_alone_does_not_hide(near, error):
    """A series cut off too early, or a guard that is too wide: over longer steps it is right."""

    def slope(x):
        return np.exp(x) * (np.cos(3 * x) - 3 * np.sin(3 * x))

    def vjp(g, x):
        return g * slope(x) * np.where(np.abs(x) < near, 1 + 10 * error, 1)

    found = verdicts(lambda x: np.exp(x) * np.cos(3 * x), vjp, points=lambda seed: 0.3 * near * np.tanh(point(seed)))
    assert set(found) == {Verdict.MISMATCH}
