"""Beside a kink, however near, one slope is right; and points that look like kinks and are none."""

import numpy as np

from tests.numerics.table.row import Row, elementwise

NEAR = [
    elementwise(
        f"{name}-at-{distance:g}",
        f,
        slope,
        [at + distance, at - distance, at + 0.5],
        f"{distance:g} from the kink: coarse steps straddle it",
        wrong={"other-side": lambda g, x, at=at, slope=slope: g * slope(2 * at - x)},
    )
    for name, f, slope, at in (
        ("relu", lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0, 0.0),
        ("abs", np.abs, np.sign, 0.0),
        ("hinge", lambda x: np.maximum(0, 1 - x), lambda x: (x < 1) * -1.0, 1.0),
    )
    for distance in (1e-3, 1e-6, 1e-9)
] + [
    elementwise(
        "relu-at-1e-12",
        lambda x: np.maximum(x, 0),
        lambda x: (x > 0) * 1.0,
        [1e-12, -1e-12, 0.7],
        "a rounding error away from 0, and yet on one side of it",
    ),
    elementwise(
        "kinks-at-every-distance",
        np.abs,
        np.sign,
        [1e-13, -1e-11, 1e-9, -1e-7, 1e-5, -1e-3, 0.1, -10.0],
        "one array, all distances: what people mean by beside",
    ),
    elementwise(
        "jump-near-by",
        lambda x: np.where(x > 0, 1.0, 0.0) + np.sin(x),
        np.cos,
        [1e-2, -1e-4, 1e-6],
        "f jumps, but not here: away from the jump the right answer is known",
    ),
    elementwise(
        "floor-away-from-its-steps",
        lambda x: x - np.floor(x),
        np.ones_like,
        [0.25, 3.001, -2.5],
        "a sawtooth: slope 1 between the jumps",
        wrong={"zero": lambda g, x: np.zeros_like(x)},
    ),
    elementwise(
        "remainder",
        lambda x: np.mod(x, 0.7),
        np.ones_like,
        [0.5, -3.0, 10.0],
        "jumps all around, none within 0.1",
    ),
    elementwise(
        "clip-inside-and-outside",
        lambda x: np.clip(x, -1, 1),
        lambda x: (np.abs(x) < 1) * 1.0,
        [-1.0001, -0.9999, 0.0, 0.99, 5.0],
        "both sides of both bounds",
        wrong={"passed-through": lambda g, x: g * 1.0},
    ),
]

SMOOTH = [
    elementwise(name, f, slope, x, why)
    for name, f, slope, x, why in (
        ("x|x|", lambda x: x * np.abs(x), lambda x: 2 * np.abs(x), [0.0, -1.0, 1e-9], "odd: no kink at 0"),
        (
            "|x|^1.5",
            lambda x: np.abs(x) ** 1.5,
            lambda x: 1.5 * np.sign(x) * np.sqrt(np.abs(x)),
            [0.0, -1.0, 1e-6],
            "one-sided slopes that meet slowly, as sqrt(h)",
        ),
        (
            "relu-squared",
            lambda x: np.maximum(x, 0.0) ** 2,
            lambda x: 2 * np.maximum(x, 0.0),
            [0.0, -1.0, 1.0],
            "the second derivative jumps, the first does not",
        ),
        (
            "pieces-meet-smoothly",
            lambda x: np.where(x > 0, x**2, x**3),
            lambda x: np.where(x > 0, 2 * x, 3 * x**2),
            [0.0, -1.0, 1.0],
            "a branch is no kink by itself",
        ),
        (
            "huber-on-its-threshold",
            lambda x: np.where(np.abs(x) < 1, 0.5 * x**2, np.abs(x) - 0.5),
            lambda x: np.clip(x, -1, 1),
            [1.0, -1.0, 0.3],
            "quadratic and linear piece meet with one slope",
        ),
        (
            "elu",
            lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
            lambda x: np.where(x > 0, 1, np.exp(np.minimum(x, 0))),
            [0.0, 1.0, -1.0],
            "slope 1 on both sides of 0",
        ),
        (
            "softsign",
            lambda x: x / (1 + np.abs(x)),
            lambda x: 1 / (1 + np.abs(x)) ** 2,
            [0.0, -2.0, 1e-7],
            "abs inside, and yet smooth at 0",
        ),
        (
            "two-kinks-that-cancel",
            lambda x: np.maximum(x, 0) - np.maximum(-x, 0),
            np.ones_like,
            [0.0, 1.0, -1.0],
            "relu(x) - relu(-x) is x",
        ),
        (
            "softplus-as-logaddexp",
            lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
            lambda x: 1 / (1 + np.exp(-x)),
            [0.0, 1e-9, -3.0],
            "max and abs inside, smooth at 0; jax once answered 0 there in place of 0.5: jax#2107",
        ),
    )
]

BUMPS = [
    Row(
        "bump-function-at-its-edge",
        lambda x: np.where(np.abs(x) < 1, np.exp(-1 / np.maximum(1 - x**2, 1e-300)), 0.0),
        lambda g, x: (
            g
            * np.where(
                np.abs(x) < 1,
                np.exp(-1 / np.maximum(1 - x**2, 1e-300)) * -2 * x / np.maximum(1 - x**2, 1e-300) ** 2,
                0.0,
            )
        ),
        (np.array([1.0, 0.9, -0.5, 1.5]),),
        "all derivatives vanish at 1, and f is exactly 0 beyond",
    ),
]

ROWS = [*NEAR, *SMOOTH, *BUMPS]
