"""How do state, dtypes and edges of domains break a layer? Stale caches, sums between calls, casts, NaN, zeros."""

from __future__ import annotations

from typing import Any

import numpy as np

from reference_impls.known_bugs._bug import Array, Bug, normal


class Square:
    """A layer that keeps what its backward needs."""

    def __init__(self) -> None:
        self.w = np.array([2.0, -1.0, 0.5])
        self.dw = np.zeros(3)
        self.x: Any = None

    def forward(self, x: Array) -> Array:
        """Return ``w x**2``."""
        self.x = x
        return self.w * x**2

    def backward(self, dy: Array) -> Array:
        """Return the gradient of x; leave the other in `dw`."""
        self.dw = (dy * self.x**2).sum(axis=0)
        return np.asarray(dy * 2 * self.w * self.x)


class Dropout:
    """A layer that sets half of its inputs to zero."""

    def __init__(self) -> None:
        self.keep, self.rng = 0.5, np.random.default_rng(0)

    def forward(self, x: Array) -> Array:
        """Return x with some entries dropped, the others scaled up."""
        self.mask = self.rng.random(x.shape) < self.keep
        return x * self.mask / self.keep

    def backward(self, dy: Array) -> Array:
        """Return the gradient of x."""
        return dy * self.mask / self.keep


def cached_exp(x: Array) -> Array:
    """Return ``exp(x)``."""
    return np.exp(x)


def cached_exp_backward(dy: Array, x: Array) -> Array:
    """Return the gradient of `cached_exp`."""
    y = np.exp(x)
    return dy * y


def low_variance(x: Array) -> Array:
    """Return the variance of each row."""
    return np.asarray(x.var(axis=1))


def low_variance_backward(dy: Array, x: Array) -> Array:
    """Return the gradient of `low_variance`."""
    centred = x - x.mean(axis=1, keepdims=True)
    return np.asarray(2 * dy[:, None] * centred / x.shape[1])


def safe_log(x: Array) -> Array:
    """Return the logarithm, 0 where x is not positive."""
    return np.log(np.where(x > 0, x, 1.0))


def safe_log_backward(dy: Array, x: Array) -> Array:
    """Return the gradient of `safe_log`."""
    inside = np.where(x > 0, x, 1.0)
    return np.where(x > 0, dy / inside, 0.0)


def half_power(x: Array) -> Array:
    """Return ``x * sqrt(|x|)``."""
    return x * np.sqrt(np.abs(x))


def half_power_backward(dy: Array, x: Array) -> Array:
    """Return the gradient of `half_power`."""
    return dy * 1.5 * np.sqrt(np.abs(x))


def length(x: Array) -> Array:
    """Return the length of each row."""
    return np.asarray(np.linalg.norm(x, axis=1))


def length_backward(dy: Array, x: Array) -> Array:
    """Return the gradient of `length`: 0 at 0, where the length has a kink."""
    r = np.linalg.norm(x, axis=1, keepdims=True)
    return dy[:, None] * x / np.where(r > 0, r, 1.0)


def power(x: Array, p: Array) -> Array:
    """Return ``x ** p``, x not negative."""
    return x**p


def power_backward(dy: Array, x: Array, p: Array) -> tuple[Array, Array]:
    """Return the gradients of `power`."""
    logs = np.log(np.where(x > 0, x, 1.0))
    return dy * p * x ** (p - 1), dy * x**p * logs


BATCH = (normal(4, 3),)
SINGLE = normal(4, 3).astype(np.float32)
SOME_NEGATIVE = np.array([0.5, -1.0, 2.0, -0.3, 3.0])
WITH_ZERO = np.array([0.0, 0.5, -2.0, 1.5])
ZERO_ROW = np.array([[0.0, 0.0], [0.3, -0.4], [1.0, 2.0]])
POWERS = (np.array([0.0, 0.5, 2.0]), np.array([2.0, 3.0, 2.5]))

BUGS = (
    Bug(
        "accumulated between calls", Square, "self.dw = (", "self.dw += (", "zero_grad forgotten",
        "contract", "accumulation", "accumulated", inputs=BATCH,
    ),
    Bug(
        "stale cache", Square, "self.x = x\n", "self.x = x if self.x is None else self.x\n",
        "cached once, at the first call",
        "contract", "stale", "", inputs=BATCH,
    ),
    Bug(
        "cached input changed in place", Square, "self.x = x\n", "self.x = x\n        x *= 1.5\n",
        "an in-place operation",
        "contract", "mutation", "changed in place", inputs=BATCH,
    ),
    Bug(
        "cotangent changed in place", cached_exp_backward, "return dy * y", "dy *= y\n    return dy", "dy *= y",
        "contract", "mutation", "changed in place", cached_exp, inputs=BATCH,
    ),
    Bug(
        "mask redrawn in backward", Dropout, "return dy * self.mask",
        "return dy * (self.rng.random(dy.shape) < self.keep)",
        "another mask than the forward's",
        "mismatch", "other mask", "not the forward's", inputs=(normal(5, 4),),
    ),
    Bug(
        "dropout without 1/keep", Dropout, "return dy * self.mask / self.keep", "return dy * self.mask",
        "inverted in the forward only",
        "mismatch", "factor", "1/2", inputs=(normal(5, 4),),
    ),
    Bug(
        "dropout without its mask", Dropout, "return dy * self.mask / self.keep", "return dy / self.keep",
        "the mask forgotten",
        "mismatch", "not zeroed", "a = 0", inputs=(normal(5, 4),),
    ),
    Bug(
        "integer truncation", cached_exp_backward, "return dy * y", "return (dy * y).astype(int)", "an integer array",
        "contract", "dtype", "cut its fraction off", cached_exp, inputs=BATCH,
    ),
    Bug(
        "truncated cache", cached_exp_backward, "y = np.exp(x)", "y = np.exp(x.astype(int))",
        "an integer array on the way",
        "mismatch", "as if", "x cut to whole numbers", cached_exp, inputs=(2 * normal(4, 3),),
    ),
    Bug(
        "float16 on the way", cached_exp_backward, "y = np.exp(x)", "y = np.exp(x.astype(np.float16))",
        "a cast down, and back up",
        "mismatch", "precision", "float16", cached_exp, inputs=BATCH,
    ),
    Bug(
        "cancellation in float32", low_variance_backward, "centred = x - x.mean(axis=1, keepdims=True)",
        "centred = ((x + x.dtype.type(1e5)) - (x + x.dtype.type(1e5)).mean(axis=1, keepdims=True))",
        "right in float64, wrong in float32",
        "mismatch", "precision", "right in float64", low_variance, inputs=(SINGLE,),
    ),
    Bug(
        "where with NaN on the dead branch", safe_log_backward, "dy / inside", "dy * np.sqrt(x) / inside ** 1.5",
        "np.where evaluates both branches; legal, as the dead one is dropped",
        "match", "", "", safe_log, inputs=(SOME_NEGATIVE,),
    ),
    Bug(
        "NaN times zero", safe_log_backward, "np.where(x > 0, dy / inside, 0.0)", "(x > 0) * dy / np.sqrt(x) ** 2",
        "NaN times 0 is NaN",
        "contract", "finite", "nan", safe_log, inputs=(SOME_NEGATIVE,),
    ),
    Bug(
        "zero divided by zero", length_backward, "np.where(r > 0, r, 1.0)", "r", "the norm of a zero row",
        "contract", "finite", "nan", length, inputs=(ZERO_ROW,),
    ),
    Bug(
        "root at zero", half_power_backward, "1.5 * np.sqrt(np.abs(x))", "1.5 * np.abs(x) / np.sqrt(np.abs(x))",
        "0 / 0 at 0",
        "contract", "finite", "nan", half_power, inputs=(WITH_ZERO,),
    ),
    Bug(
        "logarithm at zero", power_backward, "np.log(np.where(x > 0, x, 1.0))", "np.log(x)", "0 * log 0",
        "contract", "finite", "nan", power, inputs=POWERS,
    ),
    Bug(
        "power's exponent for its base", power_backward, "dy * p * x ** (p - 1)", "dy * x ** (p - 1)",
        "the exponent does not come down",
        "mismatch", "elementwise", "p is missing", power,
        inputs=(np.array([0.3, 0.5, 2.0, 1.2]), np.array([2.0, 3.0, 2.5, 1.5])),
    ),
)  # fmt: skip
"""The bugs of these layers."""
