"""Functions whose values carry fewer digits than float64: large offsets, float32 inside, values rounded for print."""

import numpy as np

from tests.numerics.table.row import COARSE, elementwise, noisy


def float32_inside(f):
    return lambda x: f(x.astype(np.float32)).astype(np.float64)


OFFSETS = [
    elementwise(
        f"offset-1e{k}",
        lambda x, c=10.0**k: c + x**2,
        lambda x: 2 * x,
        np.array([0.5, -3.0]),
        f"all but {16 - k} digits are lost",
        accuracy=COARSE if k > 10 else 1e-6,
    )
    for k in (4, 6, 8, 10, 12)
] + [
    elementwise(
        "offset-1e13",
        lambda x: 1e13 + x**2,
        lambda x: 2 * x,
        np.array([0.5, -3.0]),
        "last bit worth 0.002",
        accuracy=COARSE,
    ),
    elementwise(
        "offset-1e13-linear",
        lambda x: 1e13 + x,
        lambda x: np.ones_like(x),
        np.array([0.5, -3.0]),
        "last bit worth 0.002, no curvature",
        accuracy=COARSE,
    ),
    elementwise(
        "offset-inside",
        lambda x: (x + 1e8) - 1e8,
        lambda x: np.ones_like(x),
        np.array([0.5, -3.0]),
        "quantised to 1.5e-8, shows no noise below",
    ),
    elementwise(
        "offset-inside-sin",
        lambda x: (np.sin(x) + 1e6) - 1e6,
        np.cos,
        np.array([0.5, -3.0]),
        "quantised to 1e-10",
        accuracy=noisy(1.2e-10),
    ),
    elementwise(
        "argument-1e8",
        lambda x: np.sin(x - 1e8),
        lambda x: np.cos(x - 1e8),
        1e8 + np.array([0.5, 2.0]),
        "x has 8 digits after the point",
    ),
]

QUANTISED = [
    elementwise(
        "float32-inside-sin",
        float32_inside(np.sin),
        np.cos,
        np.array([0.5, -3.0]),
        "noise of 1e-8 in a float64 output",
        accuracy=noisy(6e-8),
    ),
    elementwise(
        "float32-inside-tanh",
        float32_inside(np.tanh),
        lambda x: 1 - np.tanh(x) ** 2,
        np.array([0.5, -1.0]),
        "noise of 1e-8",
        accuracy=noisy(6e-8),
    ),
    elementwise(
        "float32-inside-exp",
        float32_inside(np.exp),
        np.exp,
        np.array([-2.0, 4.0]),
        "noise in proportion to f",
        accuracy=noisy(6e-8),
    ),
    elementwise(
        "rounded-to-1e-9",
        lambda x: np.round(np.sin(x), 9),
        np.cos,
        np.array([0.5, -3.0]),
        "printed and read again",
        accuracy=noisy(1e-9),
    ),
    elementwise(
        "rounded-to-1e-6",
        lambda x: np.round(np.sin(x), 6),
        np.cos,
        np.array([0.5, -3.0]),
        "a staircase of 1e-6",
        accuracy=COARSE,
    ),
    elementwise(
        "float16-inside",
        lambda x: np.sin(x).astype(np.float16).astype(np.float64),
        np.cos,
        np.array([0.5, -1.0]),
        "noise of 2e-4",
        accuracy=COARSE,
    ),
]

ROWS = [*OFFSETS, *QUANTISED]
