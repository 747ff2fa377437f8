"""Which activations are differentiated wrongly? Wrong arguments, forgotten factors, the wrong side of zero."""

from __future__ import annotations

import math

import numpy as np

from reference_impls.known_bugs._bug import Array, Bug, normal


def sigmoid(z: Array) -> Array:
    """Return ``1 / (1 + exp(-z))``, without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * z)))


def sigmoid_backward(da: Array, z: Array) -> Array:
    """Return the gradient of `sigmoid`."""
    a = sigmoid(z)
    return da * a * (1 - a)


def tanh(z: Array) -> Array:
    """Return the hyperbolic tangent."""
    return np.tanh(z)


def tanh_backward(da: Array, z: Array) -> Array:
    """Return the gradient of `tanh`."""
    a = np.tanh(z)
    return np.asarray(da * (1 - a**2))


def relu(z: Array) -> Array:
    """Return ``max(z, 0)``."""
    return np.maximum(z, 0)


def relu_backward(da: Array, z: Array) -> Array:
    """Return the gradient of `relu`, with ReLU'(0) = 0."""
    return da * (z > 0)


def leaky_relu(z: Array, slope: float = 0.1) -> Array:
    """Return z, times `slope` where it is negative."""
    return np.where(z > 0, z, slope * z)


def leaky_relu_backward(da: Array, z: Array, slope: float = 0.1) -> Array:
    """Return the gradient of `leaky_relu`."""
    return da * np.where(z > 0, 1.0, slope)


def elu(z: Array, alpha: float = 1.0) -> Array:
    """Return z where it is positive, ``alpha * (exp(z) - 1)`` elsewhere."""
    return np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))


def elu_backward(da: Array, z: Array, alpha: float = 1.0) -> Array:
    """Return the gradient of `elu`."""
    a = elu(z, alpha)
    return da * np.where(z > 0, 1.0, a + alpha)


def softplus(z: Array) -> Array:
    """Return ``log(1 + exp(z))``."""
    return np.logaddexp(0, z)


def softplus_backward(da: Array, z: Array) -> Array:
    """Return the gradient of `softplus`."""
    return da * sigmoid(z)


_GELU = math.sqrt(2 / math.pi)


def gelu(z: Array) -> Array:
    """Return the Gaussian error linear unit, by way of tanh."""
    return np.asarray(0.5 * z * (1 + np.tanh(_GELU * (z + 0.044715 * z**3))))


def gelu_backward(da: Array, z: Array) -> Array:
    """Return the gradient of `gelu`."""
    x = z
    t = np.tanh(_GELU * (x + 0.044715 * x**3))
    inner = _GELU * (1 + 3 * 0.044715 * x**2)
    return np.asarray(da * 0.5 * (1 + t + x * (1 - t**2) * inner))


def silu(z: Array) -> Array:
    """Return ``z * sigmoid(z)``."""
    return z * sigmoid(z)


def silu_backward(da: Array, z: Array) -> Array:
    """Return the gradient of `silu`."""
    s = sigmoid(z)
    return da * (s + z * s * (1 - s))


def softmax(z: Array) -> Array:
    """Return the softmax of each row."""
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def softmax_backward(da: Array, z: Array) -> Array:
    """Return the gradient of `softmax`."""
    a = softmax(z)
    return np.asarray(a * (da - (da * a).sum(axis=1, keepdims=True)))


def log_softmax(z: Array) -> Array:
    """Return the logarithm of the softmax of each row."""
    shifted = z - z.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def log_softmax_backward(da: Array, z: Array) -> Array:
    """Return the gradient of `log_softmax`."""
    return np.asarray(da - softmax(z) * da.sum(axis=1, keepdims=True))


def clip(x: Array, limit: float = 0.7) -> Array:
    """Return x between -limit and limit."""
    return np.clip(x, -limit, limit)


def clip_backward(da: Array, x: Array, limit: float = 0.7) -> Array:
    """Return the gradient of `clip`."""
    return da * (np.abs(x) < limit)


def cube(x: Array) -> Array:
    """Return the third power."""
    return x**3


def cube_backward(da: Array, x: Array) -> Array:
    """Return the gradient of `cube`."""
    return da * 3 * x**2


Z = normal(4, 3)
ON_THE_KINK = np.array([[-1.5, 0.0, 0.7], [0.0, 2.0, -0.3]])

BUGS = (
    Bug(
        "z for a in sigmoid", sigmoid_backward, "da * a * (1 - a)", "da * z * (1 - z)", "notebook 000",
        "mismatch", "elementwise", "z * (1 - z) in place of a * (1 - a)", sigmoid, inputs=(Z,),
    ),
    Bug(
        "sign of sigmoid", sigmoid_backward, "(1 - a)", "(a - 1)", "everywhere",
        "mismatch", "sign", "flipped", sigmoid, inputs=(Z,),
    ),
    Bug(
        "sigmoid without 1 - a", sigmoid_backward, "da * a * (1 - a)", "da * a", "half of the formula",
        "mismatch", "elementwise", "a in place of a * (1 - a)", sigmoid, inputs=(Z,),
    ),
    Bug(
        "missing chain factor", sigmoid_backward, "da * a * (1 - a)", "da", "the activation forgotten",
        "mismatch", "elementwise", "a * (1 - a) is missing", sigmoid, inputs=(Z,),
    ),
    Bug(
        "cotangent ignored", sigmoid_backward, "da * a * (1 - a)", "a * (1 - a)", "the local derivative alone",
        "mismatch", "cotangent ignored", "cotangent is ignored", sigmoid, inputs=(Z,),
    ),
    Bug(
        "cotangent applied twice", tanh_backward, "da * (1 - a**2)", "da * da * (1 - a**2)", "a factor pasted twice",
        "mismatch", "cotangent twice", "twice", tanh, inputs=(Z,),
    ),
    Bug(
        "z for a in tanh", tanh_backward, "(1 - a**2)", "(1 - z**2)", "notebook 000, with tanh",
        "mismatch", "elementwise", "1 - z**2 in place of 1 - a**2", tanh, inputs=(Z,),
    ),
    Bug(
        "tanh without the square", tanh_backward, "(1 - a**2)", "(1 - a)", "the exponent lost",
        "mismatch", "elementwise", "1 - a in place of 1 - a**2", tanh, inputs=(Z,),
    ),
    Bug(
        "relu on the wrong side", relu_backward, "(z > 0)", "(z < 0)", "a comparison turned round",
        "mismatch", "elementwise", "z < 0 in place of z > 0", relu, inputs=(Z,),
    ),
    Bug(
        "relu not masked", relu_backward, "da * (z > 0)", "da", "the mask forgotten",
        "mismatch", "not zeroed", "where z < 0", relu, inputs=(Z,),
    ),
    Bug(
        "relu'(0) = 1", relu_backward, "(z > 0)", "(z >= 0)", "notebook 004: prose and code disagree; both are legal",
        "kink", "", "", relu, inputs=(ON_THE_KINK,),
    ),
    Bug(
        "relu'(0) = 1/2", relu_backward, "(z > 0)", "(0.5 + 0.5 * np.sign(z))", "the mean of both sides; legal",
        "kink", "", "", relu, inputs=(ON_THE_KINK,),
    ),
    Bug(
        "leaky slope on the wrong side", leaky_relu_backward, "1.0, slope", "slope, 1.0", "arguments of np.where",
        "mismatch", "sides", "the two sides are exchanged", leaky_relu, inputs=(Z,),
    ),
    Bug(
        "elu without its alpha", elu_backward, "a + alpha", "a", "alpha * exp(z) is a + alpha, not a",
        "mismatch", "elementwise", "a in place of", elu, inputs=(Z,),
    ),
    Bug(
        "softplus at the output", softplus_backward, "sigmoid(z)", "sigmoid(softplus(z))",
        "z for a, the other way round",
        "mismatch", "elementwise", "sigmoid(a) in place of sigmoid(z)", softplus, inputs=(Z,),
    ),
    Bug(
        "gelu at the output", gelu_backward, "x = z", "x = gelu(z)", "the cached output taken for the input",
        "mismatch", "as if", "the output in place of z", gelu, inputs=(Z,),
    ),
    Bug(
        "gelu's product rule", gelu_backward, " + x * (1 - t**2) * inner", "", "the first factor's derivative alone",
        "mismatch", "elementwise", "times a / z", gelu, inputs=(Z,),
    ),
    Bug(
        "silu's product rule", silu_backward, "(s + z * s * (1 - s))", "s", "the first factor's derivative alone",
        "mismatch", "elementwise", "times sigmoid(z)", silu, inputs=(Z,),
    ),
    Bug(
        "softmax as if elementwise", softmax_backward, "a * (da - (da * a).sum(axis=1, keepdims=True))",
        "da * a * (1 - a)", "the sigmoid's formula",
        "mismatch", "entry by entry", "times a * (1 - a)", softmax, inputs=(Z,),
    ),
    Bug(
        "softmax summed over the batch", softmax_backward, "axis=1", "axis=0", "axes mistaken for each other",
        "mismatch", "other axis", "a sum is over the wrong axis", softmax, inputs=(Z,),
    ),
    Bug(
        "log-softmax without its normalisation", log_softmax_backward, " * da.sum(axis=1, keepdims=True)", "",
        "the formula for one-hot targets",
        "mismatch", "path", "a sum over axis 1", log_softmax, inputs=(Z,),
    ),
    Bug(
        "clip not masked", clip_backward, "da * (np.abs(x) < limit)", "da",
        "the gradient is not zeroed beyond the clip",
        "mismatch", "not zeroed", "|x| > 0.7", clip, inputs=(normal(5, 4),),
    ),
    Bug(
        "power without its factor", cube_backward, "3 * x**2", "x**2", "the exponent does not come down",
        "mismatch", "factor", "1/3", cube, inputs=(Z,),
    ),
    Bug(
        "power with its own exponent", cube_backward, "3 * x**2", "3 * x**3", "the exponent stays",
        "mismatch", "elementwise", "3 * x**3 in place of 3 * x**2", cube, inputs=(Z,),
    ),
)  # fmt: skip
"""The bugs of these layers."""
