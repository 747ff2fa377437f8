"""Elementary functions and activations at ordinary points: the rows that have to be easy."""

import math

import numpy as np

from tests.numerics.table.functions import erf, gamma, sigmoid, sigmoid_slope, stable_sigmoid
from tests.numerics.table.row import elementwise

ORDINARY = np.array([-2.3, -0.4, 0.0, 0.7, 1.9])
POSITIVE = np.array([0.02, 0.5, 1.0, 3.7, 40.0])
SCALES = np.array([1e-8, -1e-5, 1e-2, 1.0, -1e2, 1e5, 1e8])
LOGISTIC_INSIDE = np.array([-0.9, 0.2, 0.8])

ROWS = [
    elementwise("square", lambda x: x**2, lambda x: 2 * x, ORDINARY, "slope 0 at 0 without a kink"),
    elementwise("cube", lambda x: x**3, lambda x: 3 * x**2, ORDINARY, "odd: slopes equal on both sides, zero at 0"),
    elementwise("power-7", lambda x: x**7, lambda x: 7 * x**6, ORDINARY, "large high derivatives"),
    elementwise("power-2.5", lambda x: x**2.5, lambda x: 2.5 * x**1.5, POSITIVE, "steps of 1 leave the domain"),
    elementwise("exp", np.exp, np.exp, ORDINARY, "all derivatives equal"),
    elementwise("exp-large", np.exp, np.exp, np.array([-30.0, 0.0, 30.0]), "26 orders of magnitude in one array"),
    elementwise("log", np.log, lambda x: 1 / x, POSITIVE, "edge of the domain within reach of the coarse steps"),
    elementwise("log1p", np.log1p, lambda x: 1 / (1 + x), np.array([-0.9, 0.0, 1e-9, 5.0]), "steps beyond -1"),
    elementwise("sqrt", np.sqrt, lambda x: 0.5 / np.sqrt(x), POSITIVE, "steep near 0"),
    elementwise(
        "cbrt", np.cbrt, lambda x: np.cbrt(x) / (3 * x), np.array([-8.0, 0.1, 2.0]), "infinite slope at 0, near by"
    ),
    elementwise("sin", np.sin, np.cos, ORDINARY, "the easiest"),
    elementwise("cos", np.cos, lambda x: -np.sin(x), ORDINARY, "slope exactly 0 at 0, even function"),
    elementwise("tan", np.tan, lambda x: 1 / np.cos(x) ** 2, np.array([-1.2, 0.3, 1.5]), "pole at distance 0.07"),
    elementwise("arctan", np.arctan, lambda x: 1 / (1 + x**2), SCALES, "slopes from 1 to 1e-16"),
    elementwise("arcsin", np.arcsin, lambda x: 1 / np.sqrt(1 - x**2), LOGISTIC_INSIDE, "domain is an interval"),
    elementwise("arctanh", np.arctanh, lambda x: 1 / (1 - x**2), LOGISTIC_INSIDE, "poles on both sides"),
    elementwise("sinh", np.sinh, np.cosh, ORDINARY, "grows fast"),
    elementwise("tanh", np.tanh, lambda x: 1 / np.cosh(x) ** 2, ORDINARY, "an activation"),
    elementwise("sigmoid", sigmoid, sigmoid_slope, ORDINARY, "an activation"),
    elementwise("softplus", lambda z: np.logaddexp(0, z), stable_sigmoid, ORDINARY, "an activation"),
    elementwise(
        "erf", erf, lambda x: 2 / math.sqrt(math.pi) * np.exp(-(x**2)), ORDINARY, "rounding errors of a series"
    ),
    elementwise(
        "gelu",
        lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2))),
        lambda x: 0.5 * (1 + erf(x / math.sqrt(2))) + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi),
        ORDINARY,
        "an activation that cancels for negative x",
    ),
    elementwise(
        "silu",
        lambda x: x * stable_sigmoid(x),
        lambda x: stable_sigmoid(x) * (1 + x * (1 - stable_sigmoid(x))),
        ORDINARY,
        "an activation",
    ),
    elementwise(
        "constant-slope", lambda x: 3 * x, lambda x: np.full(x.shape, 3.0), SCALES, "no truncation at any step"
    ),
    elementwise(
        "bump", lambda x: np.exp(-(x**2)), lambda x: -2 * x * np.exp(-(x**2)), ORDINARY, "vanishes away from 0"
    ),
    elementwise(
        "gamma-function",
        gamma,
        lambda x: np.array([-0.5772156649015329, 0.42278433509846713]),
        np.array([1.0, 2.0]),
        "poles at 0",
    ),
]
