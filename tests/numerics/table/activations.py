"""Activations of today's networks, at their bends and in their tails."""

import math

import numpy as np

from tests.numerics.table.functions import erf, sigmoid, sigmoid_slope, stable_sigmoid
from tests.numerics.table.row import Row, elementwise

ORDINARY = np.array([-2.3, -0.4, 0.0, 0.7, 1.9])
C = math.sqrt(2 / math.pi)
ALPHA, LAMBDA = 1.6732632423543772, 1.0507009873554805


def softplus(x):
    return np.logaddexp(0, x)


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(C * (x + 0.044715 * x**3)))


def gelu_tanh_slope(x):
    t = np.tanh(C * (x + 0.044715 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * C * (1 + 3 * 0.044715 * x**2)


def gelu_slope(x):
    return 0.5 * (1 + erf(x / math.sqrt(2))) + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


def mish_slope(x):
    t = np.tanh(softplus(x))
    return t + x * (1 - t**2) * stable_sigmoid(x)


def swiglu(x, gate):
    return x * gate * stable_sigmoid(gate)


def swiglu_vjp(g, x, gate):
    s = stable_sigmoid(gate)
    return g * gate * s, g * x * s * (1 + gate * (1 - s))


def glu_vjp(g, x, *, slope=True):
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate([g * sigmoid(b), g * a * (sigmoid_slope(b) if slope else sigmoid(b))], axis=-1)


def maxout_vjp(g, x):
    return g[:, None] * (x == x.max(axis=1, keepdims=True))


ROWS = [
    elementwise(
        "mish",
        lambda x: x * np.tanh(softplus(x)),
        mish_slope,
        ORDINARY,
        "three functions nested",
        wrong={"softplus-as-identity": lambda g, x: g * (np.tanh(softplus(x)) + x / np.cosh(softplus(x)) ** 2)},
    ),
    elementwise(
        "gelu-by-tanh",
        gelu_tanh,
        gelu_tanh_slope,
        ORDINARY,
        "differs from the exact gelu by 1e-4: so do their slopes",
        wrong={"exact-gelu": lambda g, x: g * gelu_slope(x)},
    ),
    elementwise(
        "quick-gelu",
        lambda x: x * stable_sigmoid(1.702 * x),
        lambda x: stable_sigmoid(1.702 * x) + 1.702 * x * sigmoid_slope(1.702 * x),
        ORDINARY,
        "an inner factor to forget",
        wrong={"inner-factor-forgotten": lambda g, x: g * (stable_sigmoid(1.702 * x) + x * sigmoid_slope(1.702 * x))},
    ),
    elementwise(
        "gelu-tail",
        lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2))),
        gelu_slope,
        [-7.0, -5.0, 4.0],
        "1 + erf cancels: f is a staircase at -7",
        wrong={"relu": lambda g, x: g * (x > 0)},
    ),
    elementwise(
        "selu",
        lambda x: LAMBDA * np.where(x > 0, x, ALPHA * np.expm1(np.minimum(x, 0))),
        lambda x: LAMBDA * np.where(x > 0, 1, ALPHA * np.exp(np.minimum(x, 0))),
        [-2.0, -1e-6, 1e-6, 3.0],
        "a kink at 0, and entries 1e-6 beside it",
        wrong={"alpha-forgotten": lambda g, x: g * LAMBDA * np.where(x > 0, 1, np.exp(np.minimum(x, 0)))},
    ),
    elementwise(
        "celu",
        lambda x: np.maximum(x, 0) + np.minimum(0, 0.3 * np.expm1(np.minimum(x, 0) / 0.3)),
        lambda x: np.where(x > 0, 1, np.exp(np.minimum(x, 0) / 0.3)),
        [-0.5, 0.0, 1.0],
        "smooth at 0 for every alpha, by two kinks that cancel",
    ),
    elementwise(
        "hard-swish",
        lambda x: x * np.clip(x + 3, 0, 6) / 6,
        lambda x: np.where(x < -3, 0, np.where(x > 3, 1, (2 * x + 3) / 6)),
        [-4.0, -2.999, 0.0, 2.999, 3.001],
        "1e-3 beside its two kinks",
    ),
    elementwise(
        "softplus-with-beta",
        lambda x: np.logaddexp(0, 20 * x) / 20,
        lambda x: stable_sigmoid(20 * x),
        [-1.0, -0.05, 0.0, 0.3, 2.0],
        "nearly a kink: bends within 0.05",
        wrong={"relu": lambda g, x: g * (x > 0)},
    ),
    elementwise(
        "softplus-sharp-as-a-kink",
        lambda x: np.logaddexp(0, 1e8 * x) / 1e8,
        lambda x: stable_sigmoid(1e8 * x),
        [-1e-8, 0.0, 3e-8, 0.5],
        "smooth, and bends within 1e-8",
        wrong={"relu": lambda g, x: g * (x > 0)},
        accuracy=1e-5,
    ),
    elementwise(
        "logistic-of-logit",
        lambda x: sigmoid(np.log(x / (1 - x))),
        np.ones_like,
        [1e-6, 0.3, 0.999],
        "the identity, by way of two saturations",
    ),
    elementwise(
        "snake",
        lambda x: x + np.sin(5 * x) ** 2 / 5,
        lambda x: 1 + np.sin(10 * x),
        [-0.15 * math.pi, 0.3, 2.0],
        "periodic; one entry near a slope of 0",
    ),
    elementwise(
        "gaussian-error-of-log",
        lambda x: erf(np.log(x)),
        lambda x: 2 / math.sqrt(math.pi) * np.exp(-(np.log(x) ** 2)) / x,
        [1e-3, 0.5, 20.0],
        "a chain through a singular derivative",
    ),
    Row(
        "swiglu",
        swiglu,
        swiglu_vjp,
        (np.array([0.3, -1.0, 2.0]), np.array([1.0, 0.2, -4.0])),
        "two inputs, one gated by the other",
        wrong={"gate-as-sigmoid": lambda g, x, gate: (swiglu_vjp(g, x, gate)[0], g * x * stable_sigmoid(gate))},
    ),
    Row(
        "gated-linear-unit",
        lambda x: np.split(x, 2, axis=-1)[0] * sigmoid(np.split(x, 2, axis=-1)[1]),
        glu_vjp,
        (np.array([[0.5, -1.0, 2.0, 0.1]]),),
        "halves of one array",
        wrong={"slope-forgotten": lambda g, x: glu_vjp(g, x, slope=False)},
    ),
    Row(
        "maxout",
        lambda x: x.max(axis=1),
        maxout_vjp,
        (np.array([[0.3, 0.2, -1.0], [-5.0, -4.0, -4.5]]),),
        "one of three wins, by 0.1",
        wrong={"softmax": lambda g, x: g[:, None] * np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)},
    ),
    Row(
        "prelu-by-its-slope",
        lambda x, a: np.where(x > 0, x, a * x),
        lambda g, x, a: (g * np.where(x > 0, 1, a), np.sum(g * np.where(x > 0, 0, x))),
        (np.array([-2.0, 0.5, -0.1]), np.array(0.25)),
        "the slope is a parameter, shared by all entries",
        wrong={"slope-not-summed-right": lambda g, x, a: (g * np.where(x > 0, 1, a), np.sum(g * x))},
    ),
]
