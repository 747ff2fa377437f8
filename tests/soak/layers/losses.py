"""Losses: predictions and what they should have been to one number."""

from __future__ import annotations

import numpy as np

from tests.soak.layers.elementwise import sigmoid, softplus
from tests.soak.layers.layer import Layer, has_rank, of_rank
from tests.soak.layers.normalising import log_softmax, softmax
from tests.soak.layers.products import same_shape

ANY = {"shape": of_rank(1, 2), "accepts": has_rank(1, 2)}
MATRIX = {"shape": of_rank(2), "accepts": has_rank(2)}


def of_difference(name, f, slope, kinks=()):
    """A mean over entries of a function of prediction minus target; both have gradients."""

    def loss(x, y):
        return f(x - y).mean(dtype=x.dtype)

    def vjp(g, x, y):
        d = (g * slope(x - y) / x.size).astype(x.dtype)
        return d, -d

    def jvp(t, x, y):
        return np.asarray((slope(x - y) * (t[0] - t[1])).mean(dtype=x.dtype))

    return Layer(name, loss, vjp, parameters=same_shape, jvp=jvp, kinks=kinks, **ANY)


def binary(values, x):
    return (values.rng.integers(0, 2, x.shape),)


def labels(values, x):
    return (values.rng.integers(0, x.shape[1], len(x)),)


def bce(x, y):
    return -(np.where(y == 1, np.log(x), np.log(1 - x))).mean(dtype=x.dtype)


def bce_vjp(g, x, y):
    return (g * np.where(y == 1, -1 / x, 1 / (1 - x)) / x.size).astype(x.dtype), None


def bce_with_logits(x, y):
    return (softplus(x) - x * y.astype(x.dtype)).mean(dtype=x.dtype)


def bce_with_logits_vjp(g, x, y):
    return g * (sigmoid(x) - y.astype(x.dtype)) / x.size, None


def cross_entropy(x, y):
    return -log_softmax(x)[np.arange(len(x)), y].mean(dtype=x.dtype)


def cross_entropy_vjp(g, x, y):
    p = softmax(x)
    p[np.arange(len(x)), y] -= 1
    return g * p / len(x), None


def soft_cross_entropy(x, t):  # targets are logits as well, and learn
    return -(softmax(t) * log_softmax(x)).sum() / len(x)


def soft_cross_entropy_vjp(g, x, t):
    q, logs = softmax(t), log_softmax(x)
    dt = -q * (logs - (q * logs).sum(axis=1, keepdims=True))
    return g * (softmax(x) - q) / len(x), g * dt / len(x)


def multiclass_hinge(x, y):
    margins = np.maximum(0, x - x[np.arange(len(x)), y][:, None] + 1)
    margins[np.arange(len(x)), y] = 0
    return margins.sum() / len(x)


def multiclass_hinge_vjp(g, x, y):
    rows = np.arange(len(x))
    over = (x - x[rows, y][:, None] + 1 > 0).astype(x.dtype)
    over[rows, y] = 0
    over[rows, y] = -over.sum(axis=1)
    return g * over / len(x), None


def cosine(x, y):
    return (x * y).sum() / (np.sqrt((x * x).sum() + 1e-6) * np.sqrt((y * y).sum() + 1e-6))


def cosine_vjp(g, x, y):
    a, b = np.sqrt((x * x).sum() + 1e-6), np.sqrt((y * y).sum() + 1e-6)
    c = (x * y).sum() / (a * b)
    return g * (y / (a * b) - c * x / (a * a)), g * (x / (a * b) - c * y / (b * b))


def poisson(x, y):
    return (np.exp(x) - y.astype(x.dtype) * x).mean(dtype=x.dtype)


def gaussian(x, log_variance):  # with a learned variance
    return 0.5 * (log_variance + x * x * np.exp(-log_variance)).mean(dtype=x.dtype)


def gaussian_vjp(g, x, log_variance):
    inverse = np.exp(-log_variance)
    return g * x * inverse / x.size, g * 0.5 * (1 - x * x * inverse) / x.size


def triplet(x, near, far):
    return np.maximum(0, ((x - near) ** 2).sum(axis=1) - ((x - far) ** 2).sum(axis=1) + 1).sum()


def triplet_vjp(g, x, near, far):
    on = g * (((x - near) ** 2).sum(axis=1) - ((x - far) ** 2).sum(axis=1) + 1 > 0).astype(x.dtype)[:, None]
    return 2 * on * (far - near), -2 * on * (x - near), 2 * on * (x - far)


LAYERS = [
    of_difference("squared_error", np.square, lambda d: 2 * d),
    of_difference("absolute_error", np.abs, np.sign),
    of_difference(
        "smooth_l1", lambda d: np.where(np.abs(d) < 1, 0.5 * d * d, np.abs(d) - 0.5), lambda d: np.clip(d, -1, 1)
    ),
    of_difference("quantile_loss", lambda d: np.maximum(0.25 * d, -0.75 * d), lambda d: np.where(d > 0, 0.25, -0.75)),
    of_difference("log_cosh_error", lambda d: np.logaddexp(d, -d), np.tanh),
    Layer(
        "bce",
        bce,
        bce_vjp,
        parameters=binary,
        into=lambda x: np.clip(sigmoid(x), 1e-4, 1 - 1e-4),
        shape=of_rank(1, 2),
        accepts=lambda x: x.ndim in (1, 2) and bool(np.all((x > 1e-6) & (x < 1 - 1e-6))),
    ),
    Layer("bce_with_logits", bce_with_logits, bce_with_logits_vjp, parameters=binary, **ANY),
    Layer("cross_entropy", cross_entropy, cross_entropy_vjp, parameters=labels, **MATRIX),
    Layer(
        "soft_cross_entropy",
        soft_cross_entropy,
        soft_cross_entropy_vjp,
        parameters=lambda values, x: (values(*x.shape),),
        **MATRIX,
    ),
    Layer("multiclass_hinge", multiclass_hinge, multiclass_hinge_vjp, parameters=labels, **MATRIX),
    Layer("cosine_similarity", cosine, cosine_vjp, parameters=same_shape, **ANY),
    Layer(
        "poisson",
        poisson,
        lambda g, x, y: (g * (np.exp(x) - y.astype(x.dtype)) / x.size, None),
        parameters=binary,
        **ANY,
    ),
    Layer("gaussian", gaussian, gaussian_vjp, parameters=lambda values, x: (values.moderate(*x.shape),), **ANY),
    Layer("triplet", triplet, triplet_vjp, parameters=lambda values, x: (values(*x.shape), values(*x.shape)), **MATRIX),
]
