"""The engine's specification where f is smooth: (function, derivative in closed form, points, why it is hard).

Each row's right derivative must never be accused, and passes unless the row is marked as undecidable. Its wrong twins,
one entry 1 % off and one entry of the wrong sign, must never pass.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from gradcheck import Verdict, check_grad, check_jvp, check_vjp

erf = np.vectorize(math.erf, otypes=[float])
gamma = np.vectorize(math.gamma, otypes=[float])


class Row(NamedTuple):
    """One function with its true derivative."""

    id: str
    f: Callable[..., Any]
    slope: Callable[..., Any]
    x: Any
    why: str
    undecidable: bool = False
    """Rounding inside f hides its derivative: nobody can know it from f's values."""
    coarse: bool = False
    """The derivative is known, but to no better than a few per cent: an error of 1 % may be INCONCLUSIVE."""


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sigmoid_slope(z):
    e = np.exp(-np.abs(z))
    return e / (1 + e) ** 2


def stable_sigmoid(z):
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def float32_inside(f):
    return lambda x: f(x.astype(np.float32)).astype(np.float64)


ORDINARY = np.array([-2.3, -0.4, 0.0, 0.7, 1.9])
POSITIVE = np.array([0.02, 0.5, 1.0, 3.7, 40.0])
SCALES = np.array([1e-8, -1e-5, 1e-2, 1.0, -1e2, 1e5, 1e8])
LOGISTIC_INSIDE = np.array([-0.9, 0.2, 0.8])

ELEMENTARY = [
    Row("square", lambda x: x**2, lambda x: 2 * x, ORDINARY, "slope 0 at 0 without a kink"),
    Row("cube", lambda x: x**3, lambda x: 3 * x**2, ORDINARY, "odd: slopes equal on both sides, zero at 0"),
    Row("power-7", lambda x: x**7, lambda x: 7 * x**6, ORDINARY, "large high derivatives"),
    Row("power-2.5", lambda x: x**2.5, lambda x: 2.5 * x**1.5, POSITIVE, "steps of 1 leave the domain"),
    Row("exp", np.exp, np.exp, ORDINARY, "all derivatives equal"),
    Row("exp-large", np.exp, np.exp, np.array([-30.0, 0.0, 30.0]), "26 orders of magnitude in one array"),
    Row("log", np.log, lambda x: 1 / x, POSITIVE, "edge of the domain within reach of the coarse steps"),
    Row("log1p", np.log1p, lambda x: 1 / (1 + x), np.array([-0.9, 0.0, 1e-9, 5.0]), "steps beyond -1"),
    Row("sqrt", np.sqrt, lambda x: 0.5 / np.sqrt(x), POSITIVE, "steep near 0"),
    Row("cbrt", np.cbrt, lambda x: np.cbrt(x) / (3 * x), np.array([-8.0, 0.1, 2.0]), "infinite slope at 0, near by"),
    Row("sin", np.sin, np.cos, ORDINARY, "the easiest"),
    Row("cos", np.cos, lambda x: -np.sin(x), ORDINARY, "slope exactly 0 at 0, even function"),
    Row("tan", np.tan, lambda x: 1 / np.cos(x) ** 2, np.array([-1.2, 0.3, 1.5]), "pole at distance 0.07"),
    Row("arctan", np.arctan, lambda x: 1 / (1 + x**2), SCALES, "slopes from 1 to 1e-16"),
    Row("arcsin", np.arcsin, lambda x: 1 / np.sqrt(1 - x**2), LOGISTIC_INSIDE, "domain is an interval"),
    Row("arctanh", np.arctanh, lambda x: 1 / (1 - x**2), LOGISTIC_INSIDE, "poles on both sides"),
    Row("sinh", np.sinh, np.cosh, ORDINARY, "grows fast"),
    Row("tanh", np.tanh, lambda x: 1 / np.cosh(x) ** 2, ORDINARY, "an activation"),
    Row("sigmoid", sigmoid, sigmoid_slope, ORDINARY, "an activation"),
    Row("softplus", lambda z: np.logaddexp(0, z), stable_sigmoid, ORDINARY, "an activation"),
    Row("erf", erf, lambda x: 2 / math.sqrt(math.pi) * np.exp(-(x**2)), ORDINARY, "rounding errors of a series"),
    Row(
        "gelu",
        lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2))),
        lambda x: 0.5 * (1 + erf(x / math.sqrt(2))) + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi),
        ORDINARY,
        "an activation that cancels for negative x",
    ),
    Row(
        "silu",
        lambda x: x * stable_sigmoid(x),
        lambda x: stable_sigmoid(x) * (1 + x * (1 - stable_sigmoid(x))),
        ORDINARY,
        "an activation",
    ),
    Row("constant-slope", lambda x: 3 * x, lambda x: np.full(x.shape, 3.0), SCALES, "no truncation at any step"),
    Row("bump", lambda x: np.exp(-(x**2)), lambda x: -2 * x * np.exp(-(x**2)), ORDINARY, "vanishes away from 0"),
    Row(
        "gamma-function",
        gamma,
        lambda x: np.array([-0.5772156649015329, 0.42278433509846713]),
        np.array([1.0, 2.0]),
        "poles at 0",
    ),
]

SATURATED = [
    Row(
        "tanh-saturated",
        np.tanh,
        lambda x: 1 / np.cosh(x) ** 2,
        np.array([-12.0, -6.0, 0.5, 6.0, 12.0]),
        "slopes of 1e-10 beside 1",
    ),
    Row(
        "sigmoid-saturated",
        stable_sigmoid,
        sigmoid_slope,
        np.array([-20.0, -10.0, 0.1, 10.0, 20.0]),
        "slopes of 1e-9 beside 0.25",
    ),
    Row(
        "sigmoid-negative-tail",
        stable_sigmoid,
        sigmoid_slope,
        np.array([-30.0, -25.0]),
        "every slope 1e-11, and still known",
    ),
    Row(
        "sigmoid-positive-tail",
        stable_sigmoid,
        sigmoid_slope,
        np.array([34.0, 36.0]),
        "f rounds to 1 - k * 1e-16: its slope is below its last bit",
        undecidable=True,
    ),
    Row(
        "softplus-tails",
        lambda z: np.logaddexp(0, z),
        stable_sigmoid,
        np.array([-40.0, -3.0, 3.0, 40.0]),
        "slope 4e-18 beside 1",
    ),
    Row(
        "log-sigmoid-tails",
        lambda z: -np.logaddexp(0, -z),
        lambda z: stable_sigmoid(-z),
        np.array([-40.0, 0.3, 40.0]),
        "the same, mirrored",
    ),
    Row(
        "gaussian-tail",
        lambda x: np.exp(-(x**2)),
        lambda x: -2 * x * np.exp(-(x**2)),
        np.array([0.5, 4.0, 6.0]),
        "slopes of 1e-15 beside 1",
    ),
]

POLES = [
    Row(
        "inverse",
        lambda x: 1 / x,
        lambda x: -1 / x**2,
        np.array([-0.01, 0.001, 0.5, 3.0]),
        "pole at 1e-3: coarse steps cross it",
    ),
    Row(
        "inverse-at-1e-6",
        lambda x: 1 / x,
        lambda x: -1 / x**2,
        np.array([1e-6, 2.0]),
        "pole at 1e-6, slope 1e12 beside 0.25",
    ),
    Row("inverse-square", lambda x: x**-2.0, lambda x: -2 * x**-3.0, np.array([0.05, -0.3, 7.0]), "even pole"),
    Row("log-at-1e-8", np.log, lambda x: 1 / x, np.array([1e-8, 1e-4]), "the default step is larger than x"),
    Row(
        "sqrt-at-1e-10",
        np.sqrt,
        lambda x: 0.5 / np.sqrt(x),
        np.array([1e-10, 1.0]),
        "the default step is larger than x",
    ),
    Row(
        "logit",
        lambda p: np.log(p / (1 - p)),
        lambda p: 1 / (p * (1 - p)),
        np.array([1e-6, 0.3, 0.999]),
        "poles at both ends",
    ),
    Row("x-log-x", lambda x: x * np.log(x), lambda x: 1 + np.log(x), np.array([1e-9, 0.1, 2.0]), "infinite slope at 0"),
    Row(
        "power-1.5-near-0",
        lambda x: np.abs(x) ** 1.5,
        lambda x: 1.5 * np.sign(x) * np.sqrt(np.abs(x)),
        np.array([-1e-3, 1e-4, 0.2]),
        "infinite curvature near by",
    ),
]

OFFSETS = [
    Row(
        f"offset-1e{k}",
        lambda x, c=10.0**k: c + x**2,
        lambda x: 2 * x,
        np.array([0.5, -3.0]),
        f"all but {16 - k} digits are lost",
        coarse=k > 10,
    )
    for k in (4, 6, 8, 10, 12)
] + [
    Row(
        "offset-1e13",
        lambda x: 1e13 + x**2,
        lambda x: 2 * x,
        np.array([0.5, -3.0]),
        "last bit worth 0.002",
        undecidable=True,
    ),
    Row(
        "offset-1e13-linear",
        lambda x: 1e13 + x,
        lambda x: np.ones_like(x),
        np.array([0.5, -3.0]),
        "last bit worth 0.002, no curvature",
        coarse=True,
    ),
    Row(
        "offset-inside",
        lambda x: (x + 1e8) - 1e8,
        lambda x: np.ones_like(x),
        np.array([0.5, -3.0]),
        "quantised to 1.5e-8, shows no noise below",
    ),
    Row("offset-inside-sin", lambda x: (np.sin(x) + 1e6) - 1e6, np.cos, np.array([0.5, -3.0]), "quantised to 1e-10"),
    Row(
        "argument-1e8",
        lambda x: np.sin(x - 1e8),
        lambda x: np.cos(x - 1e8),
        1e8 + np.array([0.5, 2.0]),
        "x has 8 digits after the point",
    ),
]

OSCILLATION = [
    Row(
        f"sin-of-1e{k}-x",
        lambda x, w=10.0**k: np.sin(w * x),
        lambda x, w=10.0**k: w * np.cos(w * x),
        np.array([0.3, 1.7]),
        "the default step spans whole periods" if k > 4 else "coarse steps span periods",
    )
    for k in (3, 4, 5, 6, 7)
] + [
    Row(
        "ripple",
        lambda x: x + 1e-6 * np.sin(1e5 * x),
        lambda x: 1 + 0.1 * np.cos(1e5 * x),
        np.array([0.3, 1.7]),
        "a ripple too small to see in f, worth 10 % of the slope",
    ),
    Row(
        "chirp",
        lambda x: np.sin(1 / x),
        lambda x: -np.cos(1 / x) / x**2,
        np.array([0.01, 0.3]),
        "period shrinks towards 0",
    ),
    Row(
        "narrow-peak",
        lambda x: np.exp(-(((x - 0.3) / 1e-5) ** 2)),
        lambda x: -2 * (x - 0.3) / 1e-10 * np.exp(-(((x - 0.3) / 1e-5) ** 2)),
        np.array([0.3 + 5e-6, 0.3 - 1e-5]),
        "all of f happens within 1e-5",
    ),
]

QUANTISED = [
    Row(
        "float32-inside-sin", float32_inside(np.sin), np.cos, np.array([0.5, -3.0]), "noise of 1e-8 in a float64 output"
    ),
    Row(
        "float32-inside-tanh",
        float32_inside(np.tanh),
        lambda x: 1 - np.tanh(x) ** 2,
        np.array([0.5, -1.0]),
        "noise of 1e-8",
    ),
    Row("float32-inside-exp", float32_inside(np.exp), np.exp, np.array([-2.0, 4.0]), "noise in proportion to f"),
    Row("rounded-to-1e-9", lambda x: np.round(np.sin(x), 9), np.cos, np.array([0.5, -3.0]), "printed and read again"),
    Row(
        "rounded-to-1e-6",
        lambda x: np.round(np.sin(x), 6),
        np.cos,
        np.array([0.5, -3.0]),
        "a staircase of 1e-6",
        coarse=True,
    ),
    Row(
        "float16-inside",
        lambda x: np.sin(x).astype(np.float16).astype(np.float64),
        np.cos,
        np.array([0.5, -1.0]),
        "noise of 2e-4",
        coarse=True,
    ),
]

SCALED = [
    Row("scales-1e-8-to-1e8", lambda x: x**2, lambda x: 2 * x, SCALES, "16 orders of magnitude in one array"),
    Row("scales-cubed", lambda x: x**3, lambda x: 3 * x**2, np.array([1e-4, -1.0, 1e4]), "slopes from 3e-8 to 3e8"),
    Row(
        "all-1e-7",
        lambda x: 1e-7 * np.sin(x),
        lambda x: 1e-7 * np.cos(x),
        ORDINARY,
        "an absolute tolerance would hide it",
    ),
    Row("all-1e-20", lambda x: 1e-20 * np.sin(x), lambda x: 1e-20 * np.cos(x), ORDINARY, "the same, further down"),
    Row("all-1e20", lambda x: 1e20 * np.sin(x), lambda x: 1e20 * np.cos(x), ORDINARY, "and further up"),
    Row("tiny-inputs", lambda x: x**2, lambda x: 2 * x, np.array([1e-8, -3e-9]), "steps far larger than x"),
    Row(
        "one-beside-1e-9",
        lambda x: x * np.array([1.0, 1e-9]),
        lambda x: np.array([1.0, 1e-9]),
        np.array([0.3, 0.7]),
        "one small gradient beside one large",
    ),
]

TABLE = [*ELEMENTARY, *SATURATED, *POLES, *OFFSETS, *OSCILLATION, *QUANTISED, *SCALED]
rows = pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in TABLE])
pytestmark = pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value", "ignore:divide by zero")


def largest(row):
    """Return the entry with the largest slope: an error there is never lost beside others."""
    return int(np.argmax(np.abs(row.slope(row.x))))


def spoilt(row, factor, index):
    def slope(x):
        values = np.array(row.slope(x), dtype=float)
        values[index] *= factor
        return values

    return slope


@rows
def test_right_derivative_is_never_accused(row):
    report = check_vjp(row.f, lambda g, x: g * row.slope(x), row.x)
    assert report.verdict not in (Verdict.MISMATCH, Verdict.CONTRACT), f"{row.why}\n{report}"
    assert report.verdict is not Verdict.KINK, f"{row.why}\n{report}"
    assert report.ok or row.undecidable or row.coarse, f"{row.why}\n{report}"


@rows
def test_right_derivative_of_the_sum_is_never_accused(row):
    """The entries' values add up: the noise of the largest drowns what the smallest do."""
    report = check_grad(lambda x: np.sum(row.f(x)), row.slope, row.x)
    assert report.verdict not in (Verdict.MISMATCH, Verdict.CONTRACT, Verdict.KINK), f"{row.why}\n{report}"


@rows
def test_right_jvp_is_never_accused(row):
    report = check_jvp(row.f, lambda t, x: t[0] * row.slope(x), row.x)
    assert report.verdict not in (Verdict.MISMATCH, Verdict.CONTRACT, Verdict.KINK), f"{row.why}\n{report}"
    assert report.ok or row.undecidable or row.coarse, f"{row.why}\n{report}"


@rows
@pytest.mark.parametrize("factor", [1.01, -1.0], ids=["1-percent", "sign"])
def test_wrong_twin_never_passes(row, factor):
    wrong = spoilt(row, factor, largest(row))
    report = check_vjp(row.f, lambda g, x: g * wrong(x), row.x)
    if row.coarse and factor > 0:
        # What passes all the same must lie below what the report says that it could have seen.
        error = 0.01 * abs(row.slope(row.x)[largest(row)])
        assert not report.ok or error < report.detection_limit, f"{row.why}\n{report}"
        return
    assert not report.ok, f"{row.why}\n{report}"
    if not row.undecidable:
        accused = [c.index for c in report.comparisons if c.verdict is Verdict.MISMATCH]
        assert accused == [(largest(row),)], f"{row.why}\n{report}"


@rows
def test_projection_of_the_wrong_twin_keeps_its_word(row):
    """One projection for the whole array: an error that passes lies below what the report says it could have seen."""
    wrong = spoilt(row, -1.0, largest(row))
    report = check_vjp(row.f, lambda g, x: g * wrong(x), row.x, mode="fast")
    error = 2 * abs(row.slope(row.x)[largest(row)])
    assert not report.ok or error < report.detection_limit, f"{row.why}\n{report}"


@rows
def test_every_entry_of_the_wrong_sign_is_never_passed(row):
    """The smallest entry too: where its slope cannot be told from its opposite, the check must not say that it can."""
    for index in range(len(row.x)):
        slope = row.slope(row.x)
        beside = 1e-6 * np.max(np.abs(slope))  # what is none beside the others may be passed over, or not
        if abs(slope[index]) <= beside:
            continue
        wrong = spoilt(row, -1.0, index)
        report = check_vjp(row.f, lambda g, x, wrong=wrong: g * wrong(x), row.x)
        assert not report.ok, f"entry {index}; {row.why}\n{report}"


def test_table_is_a_specification():
    assert len({row.id for row in TABLE}) == len(TABLE) >= 60
    assert all(row.why for row in TABLE)
