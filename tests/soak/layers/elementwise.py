"""Functions of one number, beside their derivatives in closed form."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.soak.layers.layer import Array, Layer, of_rank

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
ROOT_2, ROOT_2_PI = math.sqrt(2), math.sqrt(2 * math.pi)
_erf = np.vectorize(math.erf, otypes=[float])


def erf(x: Array) -> Array:
    return np.asarray(_erf(x), dtype=x.dtype)


def sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def sigmoid_slope(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return e / (1 + e) ** 2


def softplus(x: Array) -> Array:
    return np.logaddexp(x.dtype.type(0), x)


def normal_cdf(x: Array) -> Array:
    return 0.5 * (1 + erf(x / ROOT_2))


def tanh_slope(x: Array) -> Array:
    return 1 - np.tanh(x) ** 2


def mish_slope(x: Array) -> Array:
    t = np.tanh(softplus(x))
    return t + x * (1 - t * t) * sigmoid(x)


def gelu_tanh(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_tanh_slope(x: Array) -> Array:
    t = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)


def sinc(x: Array) -> Array:
    safe = np.where(x == 0, 1, x)
    return np.where(x == 0, 1, np.sin(safe) / safe)


def sinc_slope(x: Array) -> Array:
    # The difference of cos and sin/x cancels near 0; the series does not.
    far = np.where(np.abs(x) < 0.1, 1, x)
    series = -x / 3 + x**3 / 30 - x**5 / 840 + x**7 / 45360
    return np.where(np.abs(x) < 0.1, series, (far * np.cos(far) - np.sin(far)) / far**2)


def expm1_below(x: Array) -> Array:
    return np.expm1(np.minimum(x, 0))


def inside(x: Array, low: float, high: float) -> Array:
    return (x > low) & (x < high)


def nonzero(x: Array) -> Array:
    return np.where(x == 0, 1, x)


def positive(x: Array) -> Array:
    return np.abs(nonzero(x))


def is_nonzero(x: Array) -> bool:
    return bool(np.all(x != 0))


def is_positive(x: Array) -> bool:
    return bool(np.all(x > 0))


NONZERO = {"into": nonzero, "accepts": is_nonzero}
POSITIVE = {"into": positive, "accepts": is_positive}
HIDES = {"plain": False, "lowest": "float64"}  # f that hides digits, oscillates or jumps

# name, f, derivative, what else there is to say
TABLE: list[tuple[str, Callable[[Array], Any], Callable[[Array], Any], dict[str, Any]]] = [
    ("scale", lambda x: 3 * x, lambda x: np.full_like(x, 3), {}),
    ("relu", lambda x: np.maximum(x, 0), lambda x: x > 0, {}),
    ("relu_other_side", lambda x: np.where(x >= 0, x, 0), lambda x: x >= 0, {}),
    ("leaky_relu", lambda x: np.where(x > 0, x, 0.01 * x), lambda x: np.where(x > 0, 1, 0.01), {}),
    ("relu6", lambda x: np.clip(x, 0, 6), lambda x: inside(x, 0, 6), {"kinks": (6.0,)}),
    ("elu", lambda x: np.where(x > 0, x, expm1_below(x)), lambda x: np.where(x > 0, 1, np.exp(np.minimum(x, 0))), {}),
    (
        "selu",
        lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * expm1_below(x)),
        lambda x: SELU_SCALE * np.where(x > 0, 1, SELU_ALPHA * np.exp(np.minimum(x, 0))),
        {},
    ),
    (
        "celu",
        lambda x: np.maximum(x, 0) + 2 * expm1_below(x / 2),
        lambda x: np.where(x > 0, 1, np.exp(np.minimum(x, 0) / 2)),
        {},
    ),
    (
        "gelu",
        lambda x: x * normal_cdf(x),
        lambda x: normal_cdf(x) + x * np.exp(-np.minimum(x * x, 1e4) / 2) / ROOT_2_PI,
        {},
    ),
    ("gelu_tanh", gelu_tanh, gelu_tanh_slope, {}),
    ("silu", lambda x: x * sigmoid(x), lambda x: sigmoid(x) * (1 + x * sigmoid(-x)), {}),
    ("mish", lambda x: x * np.tanh(softplus(x)), mish_slope, {}),
    ("softplus", softplus, sigmoid, {}),
    ("log_sigmoid", lambda x: -softplus(-x), lambda x: sigmoid(-x), {}),
    ("tanh", np.tanh, tanh_slope, {}),
    ("tanhshrink", lambda x: x - np.tanh(x), lambda x: np.tanh(x) ** 2, {}),
    ("sigmoid", sigmoid, sigmoid_slope, {}),
    ("sigmoid_as_written", lambda x: 1 / (1 + np.exp(-x)), lambda x: sigmoid(x) * (1 - sigmoid(x)), {}),
    (
        "hard_sigmoid",
        lambda x: np.clip(x / 6 + 0.5, 0, 1),
        lambda x: np.where(inside(x, -3, 3), 1 / 6, 0),
        {"kinks": (-3.0, 3.0)},
    ),
    ("hard_tanh", lambda x: np.clip(x, -1, 1), lambda x: inside(x, -1, 1), {}),
    (
        "hard_swish",
        lambda x: x * np.clip(x + 3, 0, 6) / 6,
        lambda x: np.where(x <= -3, 0, np.where(x >= 3, 1, x / 3 + 0.5)),
        {"kinks": (-3.0, 3.0)},
    ),
    ("softsign", lambda x: x / (1 + np.abs(x)), lambda x: 1 / (1 + np.abs(x)) ** 2, {}),
    (
        "softshrink",
        lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
        lambda x: np.abs(x) > 0.5,
        {"kinks": (-0.5, 0.5)},
    ),
    # A jump: its derivative is that of the side that the point is on.
    ("hardshrink", lambda x: np.where(np.abs(x) > 0.5, x, 0), lambda x: np.abs(x) > 0.5, {"kinks": (0.5,), **HIDES}),
    ("clip", lambda x: np.clip(x, -2, 0.5), lambda x: inside(x, -2, 0.5), {"kinks": (-2.0, 0.5)}),
    ("abs", np.abs, np.sign, {}),
    ("x_abs_x", lambda x: x * np.abs(x), lambda x: 2 * np.abs(x), {}),
    ("maximum_of_one", lambda x: np.maximum(x, 1), lambda x: x > 1, {}),
    ("hinge", lambda x: np.maximum(0, 1 - x), lambda x: np.where(x < 1, -1, 0), {}),
    ("squared_hinge", lambda x: np.maximum(0, 1 - x) ** 2, lambda x: -2 * np.maximum(0, 1 - x), {}),
    (
        "huber",
        lambda x: np.where(np.abs(x) <= 1, 0.5 * x * x, np.abs(x) - 0.5),
        lambda x: np.clip(x, -1, 1),
        {},
    ),
    ("pseudo_huber", lambda x: np.sqrt(1 + x * x) - 1, lambda x: x / np.sqrt(1 + x * x), {}),
    ("log_cosh", lambda x: np.logaddexp(x, -x) - math.log(2), np.tanh, {}),
    ("pinball", lambda x: np.maximum(0.9 * x, -0.1 * x), lambda x: np.where(x > 0, 0.9, -0.1), {}),
    ("sin", np.sin, np.cos, {}),
    ("cos", np.cos, lambda x: -np.sin(x), {}),
    ("sinc", sinc, sinc_slope, {}),
    ("exp", np.exp, np.exp, {}),
    ("expm1", np.expm1, np.exp, {}),
    ("exp_of_minus_square", lambda x: np.exp(-x * x), lambda x: -2 * x * np.exp(-x * x), {}),
    ("log", np.log, lambda x: 1 / x, POSITIVE),
    ("log1p", np.log1p, lambda x: 1 / (1 + x), POSITIVE),
    ("log_abs", lambda x: np.log(np.abs(x)), lambda x: 1 / x, NONZERO),
    ("sqrt", np.sqrt, lambda x: 0.5 / np.sqrt(x), POSITIVE),
    ("rsqrt", lambda x: 1 / np.sqrt(x), lambda x: -0.5 / (x * np.sqrt(x)), POSITIVE),
    ("reciprocal", lambda x: 1 / x, lambda x: -1 / (x * x), NONZERO),
    ("square", lambda x: x * x, lambda x: 2 * x, {}),
    ("cube", lambda x: x**3, lambda x: 3 * x**2, {}),
    ("power_2.5", lambda x: x**2.5, lambda x: 2.5 * x**1.5, POSITIVE),
    ("power_0.3", lambda x: x**0.3, lambda x: 0.3 * x**-0.7, POSITIVE),
    ("xlogx", lambda x: x * np.log(x), lambda x: np.log(x) + 1, POSITIVE),
    ("atan", np.arctan, lambda x: 1 / (1 + x * x), {}),
    ("asinh", np.arcsinh, lambda x: 1 / np.hypot(1, x), {}),
    ("erf", erf, lambda x: 2 / math.sqrt(math.pi) * np.exp(-np.minimum(x * x, 1e4)), {}),
    ("fast_sin", lambda x: np.sin(1e3 * x), lambda x: 1e3 * np.cos(1e3 * x), HIDES),
    ("offset", lambda x: 1e10 + x * x, lambda x: 2 * x, HIDES),
    ("quantised", lambda x: (np.sin(x) + 1e6) - 1e6, np.cos, HIDES),
    (
        "float32_inside",
        lambda x: np.tanh(x.astype(np.float32)).astype(x.dtype),
        tanh_slope,
        {"plain": False, "lowest": "float32"},
    ),
]


def _layer(name: str, f: Callable[[Array], Any], derivative: Callable[[Array], Any], more: dict[str, Any]) -> Layer:
    def forward(x: Array) -> Array:
        return np.asarray(f(x), dtype=x.dtype)

    def slope(x: Array) -> Array:
        return np.asarray(derivative(x), dtype=x.dtype)

    return Layer(
        name,
        forward,
        lambda g, x: (g * slope(x),),
        of_rank(0, 1, 1, 2, 2, 3),
        jvp=lambda tangents, x: tangents[0] * slope(x),
        **more,
    )


LAYERS = [_layer(*row) for row in TABLE]
