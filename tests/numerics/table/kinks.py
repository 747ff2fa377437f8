"""Functions of one variable exactly on a kink: every slope between the one-sided ones is legal, none outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tests.numerics.table.row import Row


class Kink(NamedTuple):
    """A function with one kink: at `at`, of slope `left` on one side and `right` on the other."""

    id: str
    f: Callable[..., Any]
    at: float
    slope: Callable[[Any, float], Any]
    """slope(x, value): the derivative, with `value` in place of it at the kink."""
    left: float
    right: float
    why: str
    taken: float = 0.5
    """The convention that the row has: 0 for the slope on the left, 1 for that on the right."""

    def value(self, share: float) -> float:
        """Return the slope at a share of the way from the left one to the right one."""
        return self.left + share * (self.right - self.left)

    def vjp(self, share: float) -> Callable[[Any, Any], Any]:
        """Return the pullback that takes the slope at such a share on the kink."""
        return lambda g, x: g * self.slope(x, self.value(share))

    def row(self) -> Row:
        """Return the kink as a row: one entry on it, one in the smooth."""
        return Row(
            f"{self.id}-on-its-kink",
            self.f,
            self.vjp(self.taken),
            (np.array([self.at, self.at + 0.5]),),
            self.why,
            expect="kink",
            wrong={"beyond-the-right": self.vjp(1.5), "beyond-the-left": self.vjp(-0.5)},
        )


def steps(at, left, right):
    """Return the slope of a function of two straight pieces."""
    return lambda x, value: np.where(x == at, value, np.where(x < at, left, right))


def hard_swish(x):
    return x * np.clip(x + 3, 0, 6) / 6


def hard_swish_slope(at):
    return lambda x, value: np.where(x == at, value, np.where(x < -3, 0, np.where(x > 3, 1, (2 * x + 3) / 6)))


KINKS = [
    Kink("relu", lambda x: np.maximum(x, 0.0), 0.0, steps(0, 0, 1), 0.0, 1.0, "what a difference calls 0.5", 0.0),
    Kink(
        "leaky-relu",
        lambda x: np.where(x > 0, x, 0.01 * x),
        0.0,
        steps(0, 0.01, 1),
        0.01,
        1.0,
        "neither slope is 0",
        0.0,
    ),
    Kink(
        "abs", np.abs, 0.0, steps(0, -1, 1), -1.0, 1.0, "np.sign gives 0, the middle: the difference agrees by accident"
    ),
    Kink(
        "negative-abs",
        lambda x: -3 * np.abs(x),
        0.0,
        steps(0, 3, -3),
        3.0,
        -3.0,
        "concave: the interval is reversed",
        1.0,
    ),
    Kink("hinge", lambda x: np.maximum(0.0, 1 - x), 1.0, steps(1, -1, 0), -1.0, 0.0, "a kink away from 0", 1.0),
    Kink(
        "clip-above",
        lambda x: np.minimum(x, 1.0),
        1.0,
        steps(1, 1, 0),
        1.0,
        0.0,
        "torch passes the cotangent at the bound",
        0.0,
    ),
    Kink(
        "clip-both",
        lambda x: np.clip(x, -1.0, 1.0),
        -1.0,
        lambda x, v: np.where(x == -1, v, np.where(np.abs(x) < 1, 1, 0)),
        0.0,
        1.0,
        "the other bound is within reach of coarse steps",
        1.0,
    ),
    Kink(
        "kink-at-100",
        lambda x: np.abs(x - 100.0),
        100.0,
        steps(100, -1, 1),
        -1.0,
        1.0,
        "far from 0: steps in proportion to x",
        0.25,
    ),
    Kink(
        "sum-of-smooth-and-kink",
        lambda x: np.sin(x) + np.abs(x),
        0.0,
        lambda x, v: np.where(x == 0, v, np.cos(x) + np.sign(x)),
        0.0,
        2.0,
        "the smooth part bends beside the kink",
        0.75,
    ),
    Kink(
        "curved-sides",
        lambda x: np.where(x > 0, np.exp(np.minimum(x, 1)) - 1, x**2),
        0.0,
        lambda x, v: np.where(x == 0, v, np.where(x > 0, np.exp(np.minimum(x, 1)) * (x < 1), 2 * x)),
        0.0,
        1.0,
        "one-sided slopes that have to be extrapolated",
        1.0,
    ),
    Kink("steep", lambda x: 1e6 * np.maximum(x, 0.0), 0.0, steps(0, 0, 1e6), 0.0, 1e6, "slopes far from 1", 1.0),
    Kink(
        "flat",
        lambda x: 1e-6 * np.maximum(x, 0.0),
        0.0,
        steps(0, 0, 1e-6),
        0.0,
        1e-6,
        "slopes far from 1, to the other side",
        0.0,
    ),
]

MORE = [
    Kink(
        "hard-swish-at-minus-3",
        hard_swish,
        -3.0,
        hard_swish_slope(-3.0),
        0.0,
        -0.5,
        "reported as a bug of torch's -0.5, which is legal: pytorch#147801",
        1.0,
    ),
    Kink(
        "hard-swish-at-3",
        hard_swish,
        3.0,
        hard_swish_slope(3.0),
        1.5,
        1.0,
        "torch's 1.5, the slope on the left: pytorch#147801",
        0.0,
    ),
    Kink(
        "relu6-at-6",
        lambda x: np.clip(x, 0.0, 6.0),
        6.0,
        lambda x, v: np.where(x == 6, v, (x > 0) & (x < 6)),
        1.0,
        0.0,
        "the quantised networks' activation",
        1.0,
    ),
    Kink(
        "hard-sigmoid",
        lambda x: np.clip(x / 6 + 0.5, 0, 1),
        -3.0,
        lambda x, v: np.where(x == -3, v, (np.abs(x) < 3) / 6),
        0.0,
        1 / 6,
        "x / 6 is not exact: the kink is known to the last bit only",
        0.0,
    ),
    Kink(
        "soft-shrink",
        lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
        0.5,
        lambda x, v: np.where(x == 0.5, v, np.abs(x) > 0.5),
        0.0,
        1.0,
        "proximal operator of the 1-norm, on its threshold",
        0.0,
    ),
    Kink(
        "prelu-negative-slope",
        lambda x: np.where(x > 0, x, -2.0 * x),
        0.0,
        steps(0, -2, 1),
        -2.0,
        1.0,
        "slopes of opposite sign: 0 is legal too",
        2 / 3,
    ),
    Kink(
        "pinball",
        lambda x: np.maximum(0.9 * x, -0.1 * x),
        0.0,
        steps(0, -0.1, 0.9),
        -0.1,
        0.9,
        "the quantile loss at a residual of exactly 0",
        0.0,
    ),
    Kink(
        "triangle-wave",
        lambda x: np.abs(x - np.round(x)),
        0.0,
        lambda x, v: np.where(x == 0, v, np.sign(x - np.round(x))),
        -1.0,
        1.0,
        "more kinks at every half: its neighbour stands on one of them too",
        0.5,
    ),
    Kink(
        "epsilon-insensitive",
        lambda x: np.maximum(np.abs(x) - 0.1, 0),
        0.1,
        lambda x, v: np.where(x == 0.1, v, np.where(np.abs(x) > 0.1, np.sign(x), 0)),
        0.0,
        1.0,
        "support vector regression, on the edge of its tube",
        0.3,
    ),
    Kink(
        "kink-of-1e-3-on-slope-1",
        lambda x: x + 1e-3 * np.abs(x),
        0.0,
        lambda x, v: np.where(x == 0, v, 1 + 1e-3 * np.sign(x)),
        0.999,
        1.001,
        "one-sided slopes that differ by 0.2 %",
        1.0,
    ),
    Kink(
        "elu-of-alpha-2",
        lambda x: np.where(x > 0, x, 2 * np.expm1(np.minimum(x, 0))),
        0.0,
        lambda x, v: np.where(x == 0, v, np.where(x > 0, 1, 2 * np.exp(np.minimum(x, 0)))),
        2.0,
        1.0,
        "elu is smooth for alpha = 1 only",
        0.0,
    ),
    Kink(
        "log1p-of-abs",
        lambda x: np.log1p(np.abs(x)),
        0.0,
        lambda x, v: np.where(x == 0, v, np.sign(x) / (1 + np.abs(x))),
        -1.0,
        1.0,
        "a penalty, curved on both sides of its kink",
        0.5,
    ),
]

ROWS = [kink.row() for kink in [*KINKS, *MORE]]
