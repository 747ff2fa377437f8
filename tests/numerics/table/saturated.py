"""Saturated functions: slopes that are tiny beside their neighbours, or below the last bit of f."""

import numpy as np

from tests.numerics.table.functions import sigmoid_slope, stable_sigmoid
from tests.numerics.table.row import elementwise

ROWS = [
    elementwise(
        "tanh-saturated",
        np.tanh,
        lambda x: 1 / np.cosh(x) ** 2,
        np.array([-12.0, -6.0, 0.5, 6.0, 12.0]),
        "slopes of 1e-10 beside 1",
    ),
    elementwise(
        "sigmoid-saturated",
        stable_sigmoid,
        sigmoid_slope,
        np.array([-20.0, -10.0, 0.1, 10.0, 20.0]),
        "slopes of 1e-9 beside 0.25",
    ),
    elementwise(
        "sigmoid-negative-tail",
        stable_sigmoid,
        sigmoid_slope,
        np.array([-30.0, -25.0]),
        "every slope 1e-11, and still known",
    ),
    elementwise(
        "sigmoid-positive-tail",
        stable_sigmoid,
        sigmoid_slope,
        np.array([34.0, 36.0]),
        "f rounds to 1 - k * 1e-16: its slope is below its last bit",
        expect="inconclusive",
    ),
    elementwise(
        "softplus-tails",
        lambda z: np.logaddexp(0, z),
        stable_sigmoid,
        np.array([-40.0, -3.0, 3.0, 40.0]),
        "slope 4e-18 beside 1",
    ),
    elementwise(
        "log-sigmoid-tails",
        lambda z: -np.logaddexp(0, -z),
        lambda z: stable_sigmoid(-z),
        np.array([-40.0, 0.3, 40.0]),
        "the same, mirrored",
    ),
    elementwise(
        "gaussian-tail",
        lambda x: np.exp(-(x**2)),
        lambda x: -2 * x * np.exp(-(x**2)),
        np.array([0.5, 4.0, 6.0]),
        "slopes of 1e-15 beside 1",
    ),
]
