"""Layers of products: linear, bilinear, gated, and others of two or more arguments."""

from __future__ import annotations

import numpy as np

from tests.soak.layers.elementwise import nonzero, sigmoid, sigmoid_slope
from tests.soak.layers.layer import Layer, has_rank, of_rank, sizes, unbroadcast

MATRIX = {"shape": of_rank(2), "accepts": has_rank(2)}


def width(values) -> int:
    return int(values.rng.integers(1, 4))


# ---------------------------------------------------------------------- linear in each argument


def linear(x, w, b):
    return x @ w + b


def linear_vjp(g, x, w, b):
    flat = g.reshape(-1, g.shape[-1])
    return g @ w.T, x.reshape(-1, x.shape[-1]).T @ flat, flat.sum(axis=0)


def linear_jvp(t, x, w, b):
    return t[0] @ w + x @ t[1] + t[2]


def linear_parameters(values, x):
    out = width(values)
    return values(x.shape[-1], out), values(out)


def column_major(x, w, b):  # W @ A + b, the columns being examples
    return w @ x + b


def column_major_vjp(g, x, w, b):
    return w.T @ g, g @ x.T, g.sum(axis=1, keepdims=True)


def column_major_parameters(values, x):
    out = width(values)
    return values(out, x.shape[0]), values(out, 1)


def bilinear(x, a, y):
    return np.einsum("ni,oij,nj->no", x, a, y)


def bilinear_vjp(g, x, a, y):
    return (
        np.einsum("no,oij,nj->ni", g, a, y),
        np.einsum("no,ni,nj->oij", g, x, y),
        np.einsum("no,ni,oij->nj", g, x, a),
    )


def bilinear_jvp(t, x, a, y):
    return bilinear(t[0], a, y) + bilinear(x, t[1], y) + bilinear(x, a, t[2])


def bilinear_parameters(values, x):
    other = width(values)
    return values(width(values), x.shape[1], other), values(x.shape[0], other)


def quadratic(x, a):
    return x @ a @ x


def quadratic_vjp(g, x, a):
    return g * (a @ x + x @ a), g * np.outer(x, x)


def quadratic_jvp(t, x, a):
    return t[0] @ a @ x + x @ t[1] @ x + x @ a @ t[0]


def outer_vjp(g, x, y):
    return g @ y, x @ g


def batched_vjp(g, x, y):
    return g @ y.swapaxes(1, 2), x.swapaxes(1, 2) @ g


# ---------------------------------------------------------------------- elementwise in two arguments


def affine(x, scale, shift):
    return x * scale + shift


def affine_vjp(g, x, scale, shift):
    return g * scale, unbroadcast(g * x, scale.shape), unbroadcast(g, shift.shape)


def affine_jvp(t, x, scale, shift):
    return t[0] * scale + x * t[1] + t[2]


def affine_parameters(values, x):
    shape = values.rng.choice([1, 0], x.ndim) * (np.array(x.shape) - 1) + 1
    return values(*shape), values(*shape)


def divide_vjp(g, x, y):
    return g / y, -g * x / (y * y)


def divide_jvp(t, x, y):
    return t[0] / y - x * t[1] / (y * y)


def hypot_vjp(g, x, y):
    r = np.where(np.hypot(x, y) == 0, 1, np.hypot(x, y)).astype(x.dtype)
    return g * (x / r), g * (y / r)


def atan2_vjp(g, x, y):
    r = np.hypot(x, y)
    return g * (y / r) / r, -g * (x / r) / r


def maximum_vjp(g, x, y):
    share = np.where(x > y, 1, np.where(x < y, 0, 0.5)).astype(x.dtype)
    return g * share, g * (1 - share)


def minimum_vjp(g, x, y):
    share = (x <= y).astype(x.dtype)
    return g * share, g * (1 - share)


def log_add_exp_vjp(g, x, y):
    return g * sigmoid(x - y), g * sigmoid(y - x)


def same_shape(values, x):
    y = values(*x.shape)
    return (np.where(values.rng.random(x.shape) < 0.2, x, y),)  # some ties


def power_vjp(g, x, y):
    return g * y * x ** (y - 1), g * np.log(x) * x**y


def prelu(x, a):
    return np.where(x > 0, x, a * x)


def prelu_vjp(g, x, a):
    return g * np.where(x > 0, x.dtype.type(1), a), np.where(x > 0, 0, g * x).sum(axis=tuple(range(x.ndim - 1))).astype(
        x.dtype
    )


# ---------------------------------------------------------------------- small networks


def residual(x, w):
    return x + np.tanh(x @ w)


def residual_vjp(g, x, w):
    inner = g * (1 - np.tanh(x @ w) ** 2)
    return g + inner @ w.T, x.T @ inner


def residual_jvp(t, x, w):
    return t[0] + (1 - np.tanh(x @ w) ** 2) * (t[0] @ w + x @ t[1])


def perceptron(x, w, b, v):
    return np.maximum(x @ w + b, 0) @ v


def perceptron_vjp(g, x, w, b, v):
    z = x @ w + b
    dz = (g @ v.T) * (z > 0)
    return dz @ w.T, x.T @ dz, dz.sum(axis=0), np.maximum(z, 0).T @ g


def perceptron_parameters(values, x):
    hidden = width(values)
    return values(x.shape[1], hidden), values(hidden), values(hidden, width(values))


def gated(x):
    a, b = np.split(x, 2, axis=-1)
    return a * sigmoid(b)


def gated_vjp(g, x):
    a, b = np.split(x, 2, axis=-1)
    return (np.concatenate([g * sigmoid(b), g * a * sigmoid_slope(b)], axis=-1),)


def maxout(x, w):
    return (x @ w).reshape(len(x), -1, 2).max(axis=-1)


def maxout_vjp(g, x, w):
    z = (x @ w).reshape(len(x), -1, 2)
    dz = np.zeros_like(z)
    np.put_along_axis(dz, z.argmax(axis=-1)[..., None], g[..., None], axis=-1)
    dz = dz.reshape(len(x), -1)
    return dz @ w.T, x.T @ dz


def dropout(x, mask):
    return x * mask / 0.75


def dropout_vjp(g, x, mask):
    return g * mask / 0.75, None


def embedding_vjp(g, table, index):
    d = np.zeros_like(table)
    np.add.at(d, index, g)
    return d, None


def indices(values, x):
    return (values.rng.integers(0, len(x), sizes(values.rng, int(values.rng.integers(1, 3)))),)


LAYERS = [
    Layer("linear", linear, linear_vjp, of_rank(2, 2, 3), linear_parameters, linear_jvp, accepts=has_rank(2, 3)),
    Layer("column_major", column_major, column_major_vjp, parameters=column_major_parameters, **MATRIX),
    Layer("bilinear", bilinear, bilinear_vjp, parameters=bilinear_parameters, jvp=bilinear_jvp, **MATRIX),
    Layer(
        "quadratic",
        quadratic,
        quadratic_vjp,
        of_rank(1),
        lambda values, x: (values(x.size, x.size),),
        quadratic_jvp,
        accepts=has_rank(1),
    ),
    Layer(
        "outer",
        lambda x, y: np.outer(x, y),
        outer_vjp,
        of_rank(1),
        lambda values, x: (values(width(values)),),
        lambda t, x, y: np.outer(t[0], y) + np.outer(x, t[1]),
        accepts=has_rank(1),
    ),
    Layer(
        "batched",
        lambda x, y: x @ y,
        batched_vjp,
        of_rank(3),
        lambda values, x: (values(x.shape[0], x.shape[2], width(values)),),
        lambda t, x, y: t[0] @ y + x @ t[1],
        accepts=has_rank(3),
    ),
    Layer("affine", affine, affine_vjp, of_rank(1, 2, 3), affine_parameters, affine_jvp),
    Layer(
        "multiply",
        lambda x, y: x * y,
        lambda g, x, y: (g * y, g * x),
        of_rank(0, 1, 2),
        same_shape,
        lambda t, x, y: t[0] * y + x * t[1],
    ),
    Layer(
        "divide",
        lambda x, y: x / y,
        divide_vjp,
        of_rank(1, 2),
        lambda values, x: (nonzero(values(*x.shape)),),
        divide_jvp,
    ),
    Layer("hypot", np.hypot, hypot_vjp, of_rank(1, 2), same_shape),
    Layer(
        "atan2", np.arctan2, atan2_vjp, of_rank(1, 2), lambda values, x: (np.abs(values.moderate(*x.shape)),)
    ),  # off its cut
    Layer("maximum", np.maximum, maximum_vjp, of_rank(1, 2), same_shape),
    Layer("minimum", np.minimum, minimum_vjp, of_rank(1, 2), same_shape),
    Layer("log_add_exp", np.logaddexp, log_add_exp_vjp, of_rank(1, 2), same_shape),
    Layer(
        "power",
        lambda x, y: x**y,
        power_vjp,
        of_rank(1, 2),
        lambda values, x: (2 * values.moderate(*x.shape),),
        into=lambda x: np.abs(nonzero(x)),
        accepts=lambda x: bool(np.all(x > 0)),
    ),
    Layer(
        "prelu",
        prelu,
        prelu_vjp,
        of_rank(2, 3),
        lambda values, x: (0.25 * values.moderate(x.shape[-1]),),
        accepts=has_rank(2, 3),
    ),
    Layer(
        "residual",
        residual,
        residual_vjp,
        parameters=lambda values, x: (values(x.shape[1], x.shape[1]),),
        jvp=residual_jvp,
        **MATRIX,
    ),
    Layer("perceptron", perceptron, perceptron_vjp, parameters=perceptron_parameters, **MATRIX),
    Layer(
        "gated",
        gated,
        gated_vjp,
        lambda rng: (*sizes(rng, 1), 2 * int(rng.integers(1, 3))),
        accepts=lambda x: x.ndim > 0 and x.shape[-1] % 2 == 0,
    ),
    Layer(
        "maxout", maxout, maxout_vjp, parameters=lambda values, x: (values(x.shape[1], 2 * width(values)),), **MATRIX
    ),
    Layer("dropout", dropout, dropout_vjp, of_rank(1, 2, 3), lambda values, x: (values.rng.random(x.shape) < 0.75,)),
    Layer("embedding", lambda table, index: table[index], embedding_vjp, of_rank(2), indices, accepts=has_rank(1, 2)),
]
