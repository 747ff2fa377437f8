"""How do normalisations go wrong? Paths through the mean and the variance, another variance, the wrong axis."""

from __future__ import annotations

import numpy as np

from reference_impls.known_bugs._bug import Array, Bug, normal

EPS = 1e-3


def batch_norm(x: Array, gamma: Array, beta: Array) -> Array:
    """Return each column with mean beta and standard deviation gamma."""
    return np.asarray(gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + EPS) + beta)


def batch_norm_backward(dy: Array, x: Array, gamma: Array, beta: Array) -> tuple[Array, Array, Array]:
    """Return the gradients of `batch_norm`."""
    std = np.sqrt(x.var(axis=0) + EPS)
    hat = (x - x.mean(axis=0)) / std
    dhat = dy * gamma
    mean_path = dhat.mean(axis=0)
    variance_path = hat * (dhat * hat).mean(axis=0)
    return (dhat - mean_path - variance_path) / std, (dy * hat).sum(axis=0), dy.sum(axis=0)


def layer_norm(x: Array) -> Array:
    """Return each row with mean 0 and standard deviation 1."""
    return np.asarray((x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + EPS))


def layer_norm_backward(dy: Array, x: Array) -> Array:
    """Return the gradient of `layer_norm`."""
    axis = 1
    std = np.sqrt(x.var(axis=axis, keepdims=True) + EPS)
    hat = (x - x.mean(axis=axis, keepdims=True)) / std
    means = dy.mean(axis=axis, keepdims=True), (dy * hat).mean(axis=axis, keepdims=True)
    return np.asarray((dy - means[0] - hat * means[1]) / std)


def rms_norm(x: Array) -> Array:
    """Return each row by the root of its mean square."""
    return np.asarray(x / np.sqrt((x**2).mean(axis=1, keepdims=True) + EPS))


def rms_norm_backward(dy: Array, x: Array) -> Array:
    """Return the gradient of `rms_norm`."""
    root = np.sqrt((x**2).mean(axis=1, keepdims=True) + EPS)
    hat = x / root
    return np.asarray((dy - hat * (dy * hat).mean(axis=1, keepdims=True)) / root)


def unit(x: Array) -> Array:
    """Return each row by its length."""
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))


def unit_backward(dy: Array, x: Array) -> Array:
    """Return the gradient of `unit`."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    y = x / length
    return np.asarray((dy - y * (dy * y).sum(axis=1, keepdims=True)) / length)


BATCH = (normal(6, 3), normal(3), normal(3, seed=1))

BUGS = (
    Bug(
        "batch norm without the mean path", batch_norm_backward, "dhat - mean_path", "dhat", "the mean as a constant",
        "mismatch", "path", "through the mean over axis 0", batch_norm, inputs=BATCH,
    ),
    Bug(
        "batch norm without the variance path", batch_norm_backward, " - variance_path", "",
        "the variance as a constant",
        "mismatch", "path", "through the variance over axis 0", batch_norm, inputs=BATCH,
    ),
    Bug(
        "batch norm with both as constants", batch_norm_backward, "(dhat - mean_path - variance_path)", "dhat",
        "dy * gamma / std",
        "mismatch", "path", "mean and the variance over axis 0", batch_norm, inputs=BATCH,
    ),
    Bug(
        "batch norm with biased variance", batch_norm_backward, "std = np.sqrt(x.var(axis=0) + EPS)",
        "std = np.sqrt(x.var(axis=0, ddof=1) + EPS)", "m - 1 for m",
        "mismatch", "path", "variance over axis 0 is not the forward's", batch_norm, inputs=BATCH,
    ),
    Bug(
        "batch norm without gamma", batch_norm_backward, "dhat = dy * gamma", "dhat = dy", "the scale's factor",
        "mismatch", "elementwise", "gamma is missing", batch_norm, inputs=BATCH,
    ),
    Bug(
        "sums for means", batch_norm_backward, "(dhat * hat).mean(axis=0)", "(dhat * hat).sum(axis=0)", "1/m forgotten",
        "mismatch", "path", "through the variance", batch_norm, inputs=BATCH,
    ),
    Bug(
        "layer norm over the wrong axis", layer_norm_backward, "axis = 1", "axis = 0", "axes mistaken for each other",
        "mismatch", "other axis", "along the other axis", layer_norm, inputs=(normal(4, 4),),
    ),
    Bug(
        "layer norm, eps outside the root", layer_norm_backward, "std = np.sqrt(x.var(axis=axis, keepdims=True) + EPS)",
        "std = np.sqrt(x.var(axis=axis, keepdims=True)) + EPS", "another denominator than the forward's",
        "mismatch", "path", "variance over axis 1 is not the forward's", layer_norm, inputs=(normal(4, 6),),
    ),
    Bug(
        "layer norm without 1/std", layer_norm_backward, "hat * means[1]) / std", "hat * means[1])", "the last factor",
        "mismatch", "path", "the forward's", layer_norm, inputs=(normal(4, 6),),
    ),
    Bug(
        "rms norm as a constant", rms_norm_backward, "(dy - hat * (dy * hat).mean(axis=1, keepdims=True))", "dy",
        "the root as a constant",
        "mismatch", "entry by entry", "a / x", rms_norm, inputs=(normal(4, 6),),
    ),
    Bug(
        "unit vectors without the projection", unit_backward, "(dy - y * (dy * y).sum(axis=1, keepdims=True))", "dy",
        "the length as a constant",
        "mismatch", "entry by entry", "a / x", unit, inputs=(normal(4, 6),),
    ),
)  # fmt: skip
"""The bugs of these layers."""
