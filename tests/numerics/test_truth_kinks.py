"""The engine's specification at kinks, beside them, at jumps and at the edge of the domain.

At a kink every slope between the one-sided ones is legal and none outside; beside it just one is, however near.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from gradcheck import Verdict, check_grad, check_vjp


class Kink(NamedTuple):
    """A function with one kink: at `at`, of slope `left` on one side and `right` on the other."""

    id: str
    f: Callable[..., Any]
    at: float
    slope: Callable[[Any, float], Any]
    left: float
    right: float


def steps(at, left, right):
    """Return slope(x, value_at_the_kink) of a function of two straight pieces."""
    return lambda x, value: np.where(x == at, value, np.where(x < at, left, right))


KINKS = [
    Kink("relu", lambda x: np.maximum(x, 0.0), 0.0, steps(0, 0, 1), 0.0, 1.0),
    Kink("leaky-relu", lambda x: np.where(x > 0, x, 0.01 * x), 0.0, steps(0, 0.01, 1), 0.01, 1.0),
    Kink("abs", np.abs, 0.0, steps(0, -1, 1), -1.0, 1.0),
    Kink("negative-abs", lambda x: -3 * np.abs(x), 0.0, steps(0, 3, -3), 3.0, -3.0),
    Kink("hinge", lambda x: np.maximum(0.0, 1 - x), 1.0, steps(1, -1, 0), -1.0, 0.0),
    Kink("clip-above", lambda x: np.minimum(x, 1.0), 1.0, steps(1, 1, 0), 1.0, 0.0),
    Kink(
        "clip-both",
        lambda x: np.clip(x, -1.0, 1.0),
        -1.0,
        lambda x, v: np.where(x == -1, v, np.where(np.abs(x) < 1, 1, 0)),
        0.0,
        1.0,
    ),
    Kink("kink-at-100", lambda x: np.abs(x - 100.0), 100.0, steps(100, -1, 1), -1.0, 1.0),
    Kink(
        "sum-of-smooth-and-kink",
        lambda x: np.sin(x) + np.abs(x),
        0.0,
        lambda x, v: np.where(x == 0, v, np.cos(x) + np.sign(x)),
        0.0,
        2.0,
    ),
    Kink(
        "curved-sides",
        lambda x: np.where(x > 0, np.exp(np.minimum(x, 1)) - 1, x**2),
        0.0,
        lambda x, v: np.where(x == 0, v, np.where(x > 0, np.exp(np.minimum(x, 1)) * (x < 1), 2 * x)),
        0.0,
        1.0,
    ),
    Kink("steep", lambda x: 1e6 * np.maximum(x, 0.0), 0.0, steps(0, 0, 1e6), 0.0, 1e6),
    Kink("flat", lambda x: 1e-6 * np.maximum(x, 0.0), 0.0, steps(0, 0, 1e-6), 0.0, 1e-6),
]
kinks = pytest.mark.parametrize("kink", [pytest.param(kink, id=kink.id) for kink in KINKS])


def checked(kink, value, x, **options):
    return check_vjp(kink.f, lambda g, x: g * kink.slope(x, value), np.asarray(x, float), **options)


@kinks
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_every_slope_between_the_sides_is_legal_at_a_kink(kink, share):
    value = kink.left + share * (kink.right - kink.left)
    report = checked(kink, value, [kink.at, kink.at + 0.5])
    assert report.verdict is Verdict.KINK, str(report)
    (entry,) = [c for c in report.comparisons if c.verdict is Verdict.KINK]
    assert entry.index == (0,)
    assert "one-sided slopes" in entry.reason


@kinks
@pytest.mark.parametrize("beyond", [-0.5, 1.5, 1.05, -0.05])
def test_no_slope_outside_the_sides_is_legal_at_a_kink(kink, beyond):
    value = kink.left + beyond * (kink.right - kink.left)
    report = checked(kink, value, [kink.at, kink.at + 0.5])
    assert report.verdict is Verdict.MISMATCH, str(report)
    assert [c.index for c in report.comparisons if c.verdict is Verdict.MISMATCH] == [(0,)]


@kinks
def test_kink_is_seen_by_every_cotangent(kink):
    for seed in range(3):
        assert checked(kink, kink.left, [kink.at], seed=seed).verdict is Verdict.KINK
        assert checked(kink, 2 * kink.right - kink.left, [kink.at], seed=seed).verdict is Verdict.MISMATCH


DISTANCES = [10.0**-k for k in range(1, 15)]
NEAR = [kink for kink in KINKS if kink.id in ("relu", "abs", "hinge", "sum-of-smooth-and-kink", "steep")]
near = pytest.mark.parametrize("kink", [pytest.param(kink, id=kink.id) for kink in NEAR])


@near
@pytest.mark.parametrize("side", [-1.0, 1.0], ids=["left", "right"])
@pytest.mark.parametrize("convention", ["left", "right"])
def test_slope_beside_a_kink_is_right_at_any_distance(kink, side, convention):
    for distance in DISTANCES:
        x = kink.at + side * distance
        report = checked(kink, getattr(kink, convention), [x, kink.at + 0.5])
        assert report.ok, f"at distance {distance:g}\n{report}"


@near
@pytest.mark.parametrize("side", [-1.0, 1.0], ids=["left", "right"])
def test_slope_of_the_other_side_is_wrong_where_the_sides_can_be_told_apart(kink, side):
    """Rounding hides the side at 1e-14 beside 1, not before: 1e-10 is millions of last bits away."""
    for distance in DISTANCES[:10]:
        x = kink.at + side * distance
        other = kink.left if side > 0 else kink.right

        def slope(x, other=other):
            return np.where(np.arange(2) == 0, other, kink.slope(x, 0.0))

        report = check_vjp(kink.f, lambda g, x, slope=slope: g * slope(x), np.array([x, kink.at + 0.5]))
        assert not report.ok, f"at distance {distance:g}\n{report}"


@near
@pytest.mark.parametrize("side", [-1.0, 1.0], ids=["left", "right"])
def test_slope_outside_both_is_wrong_at_any_distance(kink, side):
    value = kink.right + 0.5 * (kink.right - kink.left)
    for distance in DISTANCES:
        x = np.array([kink.at + side * distance])
        report = check_vjp(kink.f, lambda g, x: g * np.full(1, value), x)
        assert report.verdict is Verdict.MISMATCH, f"at distance {distance:g}\n{report}"


# ------------------------------------------------------------------ no kink, though it looks like one


@pytest.mark.parametrize(
    ("f", "slope", "x"),
    [
        (lambda x: x * np.abs(x), lambda x: 2 * np.abs(x), [0.0, -1.0, 1e-9]),
        (lambda x: np.abs(x) ** 1.5, lambda x: 1.5 * np.sign(x) * np.sqrt(np.abs(x)), [0.0, -1.0, 1e-6]),
        (lambda x: np.maximum(x, 0.0) ** 2, lambda x: 2 * np.maximum(x, 0.0), [0.0, -1.0, 1.0]),
        (lambda x: np.where(x > 0, x**2, x**3), lambda x: np.where(x > 0, 2 * x, 3 * x**2), [0.0, -1.0, 1.0]),
        (lambda x: np.where(np.abs(x) < 1, 0.5 * x**2, np.abs(x) - 0.5), lambda x: np.clip(x, -1, 1), [1.0, -1.0, 0.3]),
        (
            lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
            lambda x: np.where(x > 0, 1, np.exp(np.minimum(x, 0))),
            [0.0, 1.0, -1.0],
        ),
    ],
    ids=["x|x|", "|x|^1.5", "relu-squared", "pieces-meet-smoothly", "huber", "elu"],
)
def test_smooth_to_first_order_is_no_kink(f, slope, x):
    x = np.array(x)
    report = check_vjp(f, lambda g, x: g * slope(x), x)
    assert report.verdict is Verdict.MATCH, str(report)
    for index in range(len(x)):
        shift = np.where(np.arange(len(x)) == index, 0.2, 0.0)
        wrong = check_vjp(f, lambda g, x, shift=shift: g * (slope(x) + shift), x)
        assert [c.index for c in wrong.comparisons if c.verdict is Verdict.MISMATCH] == [(index,)], str(wrong)


# ------------------------------------------------------------------ jumps, infinite slopes, edges


@pytest.mark.parametrize(
    ("f", "x", "words"),
    [
        (lambda x: np.sign(x) + x, 0.0, "jumps at the point"),
        (lambda x: np.floor(x), 2.0, "jumps at the point"),
        (lambda x: np.where(x > 1, x**2, -x), 1.0, "jumps at the point"),
        (lambda x: np.sqrt(np.abs(x)), 0.0, "slope of f is infinite"),
        (np.cbrt, 0.0, ""),
        (np.sqrt, 0.0, "edge of the domain"),
        (lambda x: np.sqrt(2.0 - x), 2.0, "edge of the domain"),
        (lambda x: np.arcsin(x), 1.0, "edge of the domain"),
        (lambda x: np.arccosh(x), 1.0, "edge of the domain"),
    ],
    ids=["sign", "floor", "pieces-apart", "root-of-abs", "cube-root", "root", "root-to-the-left", "arcsin", "arccosh"],
)
@pytest.mark.parametrize("analytic", [0.0, 1.0, -3.0])
@pytest.mark.filterwarnings("ignore:invalid value", "ignore:divide by zero")
def test_where_no_derivative_exists_nobody_is_accused_and_nothing_passes(f, x, words, analytic):
    report = check_vjp(f, lambda g, x: g * np.full(x.shape, analytic), np.array([x]))
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)
    assert words in str(report)


@pytest.mark.parametrize("distance", [1e-1, 1e-3, 1e-6, 1e-9])
def test_beside_a_jump_the_slope_is_known(distance):
    def f(x):
        return np.where(x > 0, 1.0, 0.0) + np.sin(x)

    x = np.array([distance, -distance])
    assert check_vjp(f, lambda g, x: g * np.cos(x), x).verdict is Verdict.MATCH
    assert not check_vjp(f, lambda g, x: g * 1.1 * np.cos(x), x).ok


@pytest.mark.parametrize("distance", [1e-1, 1e-3, 1e-6])
@pytest.mark.filterwarnings("ignore:invalid value", "ignore:divide by zero")
def test_inside_the_edge_of_the_domain_the_slope_is_known(distance):
    x = np.array([distance])
    assert check_vjp(np.sqrt, lambda g, x: g * 0.5 / np.sqrt(x), x).verdict is Verdict.MATCH
    assert check_vjp(np.sqrt, lambda g, x: g * 0.51 / np.sqrt(x), x).verdict is Verdict.MISMATCH


def test_straight_through_estimator_of_a_staircase_does_not_pass():
    """`np.round` has slope 0: pretending that it is the identity is no derivative, and zero is no error."""
    x = np.array([0.2, 1.7])
    assert check_vjp(np.round, lambda g, x: np.zeros_like(x), x).verdict is not Verdict.MISMATCH
    assert not check_vjp(np.round, lambda g, x: g * 1.0, x).ok


@pytest.mark.parametrize("x", [5e-324, 1e-310, 2.3e-308, 1e-300, 1e300])
def test_inputs_at_the_ends_of_the_float_range_do_not_crash(x):
    report = check_vjp(lambda x: 2 * x, lambda g, x: 2 * g, np.array([x, 1.0]))
    assert report.verdict not in (Verdict.MISMATCH, Verdict.CONTRACT), str(report)
    assert check_vjp(np.sqrt, lambda g, x: g * 0.0, np.array([x])).verdict is not Verdict.CONTRACT


# ------------------------------------------------------------------ kinks that entries share


def pool(x):
    return x.reshape(-1, 2).max(axis=1)


def pool_vjp(share):
    """Max-pool's pullback; at a tie the first gets `share[0]`, the second `share[1]`."""

    def vjp(g, x):
        a, b = x.reshape(-1, 2).T
        tie = a == b
        return np.stack([g * np.where(tie, share[0], a > b), g * np.where(tie, share[1], b > a)], axis=1).ravel()

    return vjp


@pytest.mark.parametrize("share", [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5)])
def test_max_pool_with_ties_may_give_all_to_either_or_split(share):
    x = np.array([1.0, 2.0, 3.0, 3.0, 0.5, -1.0])
    assert check_vjp(pool, pool_vjp(share), x).verdict is Verdict.KINK
    assert (
        check_vjp(
            lambda a, b: np.maximum(a, b), lambda g, a, b: maximum_vjp(g, a, b, share), x[:3], x[[0, 2, 2]]
        ).verdict
        is Verdict.KINK
    )


@pytest.mark.parametrize("share", [(1.0, 1.0), (0.0, 0.0)], ids=["both-get-all", "neither-gets-any"])
def test_max_pool_with_ties_may_not_double_or_lose_the_total(share):
    x = np.array([1.0, 2.0, 3.0, 3.0, 0.5, -1.0])
    assert not check_vjp(pool, pool_vjp(share), x).ok
    assert check_vjp(pool, pool_vjp(share), x + np.arange(6) * 0.01).verdict is Verdict.MATCH


def maximum_vjp(g, a, b, share):
    tie = a == b
    return g * np.where(tie, share[0], a > b), g * np.where(tie, share[1], b > a)


def test_layer_of_zero_pre_activations_is_a_kink():
    """Zero biases and a zero input put every unit of a layer on its kink at once; both conventions are legal."""
    rng = np.random.default_rng(0)
    weights, readout = rng.normal(size=(3, 4)), rng.normal(size=4)
    x = np.array([[0.0, 0.0, 0.0], [1.0, -0.5, 2.0]])

    def loss(p):
        return np.sum(np.maximum(x @ p["W"] + p["b"], 0.0) @ readout)

    def gradient(at_zero):
        def grad(p):
            z = x @ p["W"] + p["b"]
            dz = np.where(z == 0, at_zero, z > 0) * readout
            return {"W": x.T @ dz, "b": dz.sum(axis=0)}

        return grad

    params = {"W": weights, "b": np.zeros(4)}
    for at_zero in (0.0, 1.0, 0.5):
        assert check_grad(loss, gradient(at_zero), params).verdict is Verdict.KINK
    assert check_grad(loss, gradient(-1.0), params).verdict is Verdict.MISMATCH
    assert check_grad(loss, gradient(2.0), params).verdict is Verdict.MISMATCH
