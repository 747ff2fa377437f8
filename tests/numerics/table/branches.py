"""Functions with special cases: removable singularities, branches not taken, powers of zero. NaN is the usual mistake."""

import math

import numpy as np

from tests.numerics.table.row import Row, elementwise


def xlogy(x, y):
    return np.where(x == 0, 0.0, x * np.log(np.where(x == 0, 1.0, y)))


def sinc_slope(x):
    small = np.abs(x) < 1e-2
    z = math.pi * np.where(small, 1.0, x)
    series = -(math.pi**2) * x / 3 * (1 - (math.pi * x) ** 2 / 10 + (math.pi * x) ** 4 / 280)
    return np.where(small, series, math.pi * (np.cos(z) / z - np.sin(z) / z**2))


def arctan2_vjp(g, y, x):
    size = x**2 + y**2
    return g * x / size, -g * y / size


def power_vjp(g, x, p):
    return g * p * x ** (p - 1), g * x**p * np.log(x)


def nan_from_the_other_branch(g, x):
    with np.errstate(all="ignore"):
        taken = x < 1
        return g * (taken * 1.0 + (1 - taken) * 0.5 / np.sqrt(x * (x > 1)))


def hypot_vjp(g, a, b):
    return g * a / np.hypot(a, b), g * b / np.hypot(a, b)


def rodrigues(w):
    """Rotation matrix of a rotation vector, by sin(t)/t and (1 - cos(t))/t^2."""
    angle = np.sqrt(np.sum(w**2))
    k = _cross(w)
    return np.eye(3) + np.sinc(angle / np.pi) * k + 0.5 * np.sinc(angle / (2 * np.pi)) ** 2 * k @ k


def rodrigues_vjp_at_0(g, w):
    """The pullback at 0, where the matrix is I + [w] + ...: the antisymmetric part of g."""
    return np.array([g[2, 1] - g[1, 2], g[0, 2] - g[2, 0], g[1, 0] - g[0, 1]])


def _cross(w):
    return np.array([[0, -w[2], w[1]], [w[2], 0, -w[0]], [-w[1], w[0], 0]])


def smooth_division(a, b):
    return np.where(b == 0, 0.0, a / np.where(b == 0, 1.0, b))


ROWS = [
    elementwise(
        "sinc-at-0",
        np.sinc,
        sinc_slope,
        [0.0, 1e-9, 1e-3, 0.5, 1.0],
        "sin(x)/x is NaN at 0, and sinc smooth",
        wrong={
            "nan-at-0": lambda g, x: g * np.where(x == 0, np.nan, sinc_slope(x)),
            "pi-forgotten": lambda g, x: g * sinc_slope(x) / math.pi,
        },
    ),
    elementwise(
        "expm1-over-x",
        lambda x: np.where(x == 0, 1.0, np.expm1(x) / np.where(x == 0, 1.0, x)),
        lambda x: np.where(
            np.abs(x) < 1e-3, 0.5 + x / 3 + x**2 / 8, (x * np.exp(x) - np.expm1(x)) / np.where(x == 0, 1.0, x) ** 2
        ),
        [0.0, 1e-7, 0.5, -2.0],
        "an exponential integrator's phi function, at its removable 0",
        wrong={"zero-at-0": lambda g, x: g * np.where(x == 0, 0, 0.5 + x / 3)},
    ),
    elementwise(
        "log1p-over-x",
        lambda x: np.where(x == 0, 1.0, np.log1p(x) / np.where(x == 0, 1.0, x)),
        lambda x: np.where(
            np.abs(x) < 1e-3,
            -0.5 + 2 * x / 3 - 0.75 * x**2,
            (x / (1 + x) - np.log1p(x)) / np.where(x == 0, 1.0, x) ** 2,
        ),
        [0.0, -1e-8, 0.3],
        "removable singularity",
    ),
    elementwise(
        "branch-not-taken-is-nan",
        lambda x: np.where(x < 1, x, np.sqrt(np.maximum(x, 1))),
        lambda x: np.where(x < 1, 1, 0.5 / np.sqrt(np.maximum(x, 1))),
        [0.0, -2.0, 4.0],
        "jax#347, jax#5798, autograd#802, pytorch#187297: 0 * inf from the other branch",
        wrong={"nan": nan_from_the_other_branch},
    ),
    elementwise(
        "branch-not-taken-overflows",
        lambda x: np.where(x < 15, x, np.exp(np.exp(np.minimum(x, 3)))),
        np.ones_like,
        [10.0, -1.0],
        "tensorflow#38349: the other branch is infinite",
        wrong={"nan": lambda g, x: g * np.where(x == 10, np.nan, 1)},
    ),
    elementwise(
        "guarded-division",
        lambda x: smooth_division(x**3, x),
        lambda x: 2 * x,
        [0.0, 1e-6, -2.0],
        "x ** 3 / x with a guard at 0: the guard's value is the limit",
    ),
    elementwise(
        "square-of-root",
        lambda x: np.sqrt(x**2 + 1e-12),
        lambda x: x / np.sqrt(x**2 + 1e-12),
        [0.0, 1e-6, -1e-5, 0.3],
        "an abs made smooth within 1e-6",
        wrong={"sign": lambda g, x: g * np.sign(x)},
    ),
    elementwise(
        "power-1-at-0",
        lambda x: x**1.0,
        np.ones_like,
        [0.0, -0.0, 2.0],
        "ChainRules once said 0 here: p * y / x is 0 / 0 (ChainRules.jl#513)",
        wrong={"zero": lambda g, x: g * (x != 0)},
    ),
    elementwise(
        "power-2-at-0",
        lambda x: x**2.0,
        lambda x: 2 * x,
        [0.0, -1.5],
        "p * y / x is NaN",
        wrong={"nan": lambda g, x: g * np.where(x == 0, np.nan, 2 * x)},
    ),
    elementwise(
        "power-0",
        lambda x: x**0.0,
        np.zeros_like,
        [0.0, 2.0, -3.0],
        "constantly 1, at 0 too",
        wrong={"one": lambda g, x: g * 1.0},
    ),
    elementwise(
        "power-3-over-2-of-square",
        lambda x: (x**2) ** 1.5,
        lambda x: 3 * x * np.abs(x),
        [0.0, -2.0, 1e-5],
        "abs cubed: the inner slope of 0 meets the outer one",
    ),
    elementwise(
        "negative-zero",
        lambda x: x * np.exp(-x),
        lambda x: (1 - x) * np.exp(-x),
        [-0.0, 0.0],
        "a zero with a sign is a zero",
    ),
    elementwise(
        "entropy-term-near-0",
        lambda p: -p * np.log(p),
        lambda p: -np.log(p) - 1,
        [1e-12, 1e-300, 0.3],
        "x log x as near to 0 as there are numbers",
    ),
    Row(
        "xlogy-at-0",
        xlogy,
        lambda g, x, y: (g * np.log(y), g * x / y),
        (np.array([1e-3, 2.0]), np.array([0.5, 3.0])),
        "by both arguments",
        wrong={"second-forgotten": lambda g, x, y: (g * np.log(y), 0 * g)},
    ),
    Row(
        "xlogy-zero-first",
        lambda y: xlogy(np.array([0.0, 1.0]), y),
        lambda g, y: g * np.array([0.0, 1.0]) / y,
        (np.array([0.7, 0.2]),),
        "0 * log(y) is 0 and stays so",
        wrong={"one": lambda g, y: g / y},
    ),
    Row(
        "arctan2",
        np.arctan2,
        arctan2_vjp,
        (np.array([0.5, -1.0, 1e-8]), np.array([1.0, -2.0, 3.0])),
        "which argument comes first? Signs swapped in Enzyme-JAX#2066",
        wrong={"swapped": lambda g, y, x: (-arctan2_vjp(g, y, x)[0], -arctan2_vjp(g, y, x)[1])},
    ),
    Row(
        "arctan2-on-an-axis",
        np.arctan2,
        arctan2_vjp,
        (np.array([0.0, 1.0]), np.array([2.0, 0.0])),
        "y / x is infinite for one of them",
        wrong={"one-argument": lambda g, y, x: (g / (1 + y**2), 0 * g)},
    ),
    Row(
        "arctan2-on-its-cut",
        np.arctan2,
        arctan2_vjp,
        (np.array([0.0]), np.array([-1.0])),
        "jumps by 2 pi between y = 0 and y < 0",
        expect="inconclusive",
    ),
    *(
        Row(
            f"hypot-of-{size:g}",
            np.hypot,
            hypot_vjp,
            (np.array([3 * size]), np.array([-4 * size])),
            "the squares overflow or vanish, hypot does not",
            wrong={"legs-swapped": lambda g, a, b: hypot_vjp(g, a, b)[::-1]},
        )
        for size in (1e200, 1e-200)
    ),
    Row(
        "power-by-both",
        np.power,
        power_vjp,
        (np.array([0.5, 2.0, 1e-6]), np.array([3.0, -1.5, 0.5])),
        "base and exponent",
        wrong={"exponent-without-log": lambda g, x, p: (power_vjp(g, x, p)[0], g * x**p)},
    ),
    Row(
        "remainder-by-both",
        np.fmod,
        lambda g, x, y: (g.copy(), -g * np.trunc(x / y)),
        (np.array([5.5, -5.5, 0.3]), np.array([2.0, 2.0, -0.7])),
        "by the divisor: -trunc(x / y), often given as 0 (slang#10071) or with floor",
        wrong={
            "divisor-as-constant": lambda g, x, y: (g.copy(), 0 * g),
            "floor": lambda g, x, y: (g.copy(), -g * np.floor(x / y)),
        },
    ),
    Row(
        "division-by-a-small-number",
        np.divide,
        lambda g, a, b: (g / b, -g * a / b**2),
        (np.array([1.0, -2.0]), np.array([1e-8, 0.5])),
        "1 / b at 1e-8: slopes of 1e8 and 1e16",
        wrong={"square-forgotten": lambda g, a, b: (g / b, -g * a / b)},
    ),
    Row(
        "rotation-at-0",
        rodrigues,
        rodrigues_vjp_at_0,
        (np.zeros(3),),
        "Rodrigues' formula divides by the angle, which is 0",
        wrong={"zero": lambda g, w: np.zeros(3), "sign": lambda g, w: -rodrigues_vjp_at_0(g, w)},
    ),
    Row(
        "nan-to-num-guard",
        lambda x: np.nan_to_num(np.log(np.maximum(x, 1e-30))),
        lambda g, x: g / x,
        (np.array([1e-12, 0.5]),),
        "a clamp far below",
        wrong={"clamped": lambda g, x: g / np.maximum(x, 1e-6)},
    ),
]
