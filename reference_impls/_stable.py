"""How are the logistic function and its cross-entropy computed without overflow? From exp(-|z|) alone.

All functions are elementwise, keep the dtype (float32 stays float32), warn of nothing up to ``|z| = 1e8`` and
beyond, and have a small *relative* error even in the tails, where ``1 / (1 + exp(-z)) - y`` cancels to zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

__all__ = [
    "Array",
    "cross_entropy",
    "cross_entropy_derivative",
    "probability_cross_entropy",
    "probability_cross_entropy_derivative",
    "sigmoid",
    "sigmoid_derivative",
]


def _tails(z: Array) -> tuple[Array, Array]:
    """Return numbers in the ratio ``sigmoid(z) : sigmoid(-z)``, the larger 1: neither can overflow."""
    return np.exp(np.minimum(z, 0.0)), np.exp(np.minimum(-z, 0.0))


def sigmoid(z: Array) -> Array:
    """Return ``1 / (1 + exp(-z))``.

    Parameters
    ----------
    z : ndarray
        Pre-activations, any shape.

    Returns
    -------
    ndarray
        Same shape and dtype.

    Examples
    --------
    >>> sigmoid(np.array([-1e8, 0.0, 1e8]))
    array([0. , 0.5, 1. ])
    """
    above, below = _tails(z)
    return np.asarray(above / (above + below))


def sigmoid_derivative(z: Array) -> Array:
    """Return ``sigmoid(z) * sigmoid(-z)``, which is ``a * (1 - a)`` without its cancellation at large `z`.

    Parameters
    ----------
    z : ndarray
        Pre-activations, any shape.

    Returns
    -------
    ndarray
        Same shape and dtype.

    Examples
    --------
    >>> sigmoid_derivative(np.array([0.0, 40.0]))
    array([2.50000000e-01, 4.24835426e-18])
    """
    above, below = _tails(z)
    return np.asarray(above * below / (above + below) ** 2)


def _labels(y: npt.ArrayLike, like: Array) -> Array:
    """Return labels in the dtype of what they label: integers would lift float32 to float64."""
    if isinstance(y, np.ndarray) and y.dtype == like.dtype:
        return y
    return np.asarray(y, dtype=np.result_type(like, np.float16))


def cross_entropy(z: Array, y: npt.ArrayLike) -> Array:
    """Return ``-(y ln a + (1 - y) ln(1 - a))`` with ``a = sigmoid(z)``, from the logit `z`.

    Parameters
    ----------
    z : ndarray
        Logits.
    y : array_like
        Labels, 0 to 1, of a shape that broadcasts against `z`.

    Returns
    -------
    ndarray
        One loss per element, in nats.

    Examples
    --------
    >>> cross_entropy(np.array([0.0, 1e8, 1e8]), np.array([1.0, 1.0, 0.0]))
    array([6.93147181e-01, 0.00000000e+00, 1.00000000e+08])
    """
    y = _labels(y, z)
    return np.asarray(y * np.logaddexp(0.0, -z) + (1.0 - y) * np.logaddexp(0.0, z))


def cross_entropy_derivative(z: Array, y: npt.ArrayLike) -> Array:
    """Return the derivative of `cross_entropy` by `z`: ``sigmoid(z) - y`` without its cancellation.

    Parameters
    ----------
    z, y : ndarray
        As for `cross_entropy`.

    Returns
    -------
    ndarray
        One derivative per element.

    Examples
    --------
    >>> cross_entropy_derivative(np.array([0.0, 40.0]), np.array([0.0, 1.0]))
    array([ 5.00000000e-01, -4.24835426e-18])
    """
    y = _labels(y, z)
    above, below = _tails(z)
    return np.asarray(((1.0 - y) * above - y * below) / (above + below))


def probability_cross_entropy(a: Array, y: npt.ArrayLike) -> Array:
    """Return ``-(y ln a + (1 - y) ln(1 - a))`` from the probability `a` itself.

    A probability next to 1 has no digits left for ``1 - a``; where the logit is at hand, use `cross_entropy`.

    Parameters
    ----------
    a : ndarray
        Probabilities, 0 to 1.
    y : array_like
        Labels, 0 to 1, of a shape that broadcasts against `a`.

    Returns
    -------
    ndarray
        One loss per element, in nats: inf where what happened was given the probability 0, nan outside 0 to
        1.

    Examples
    --------
    >>> probability_cross_entropy(np.array([0.5, 1.0, 0.0]), np.array([1, 1, 1]))
    array([ 0.69314718, -0.        ,         inf])
    """
    y = _labels(y, a)
    with np.errstate(divide="ignore", invalid="ignore"):
        return -(np.where(y == 0, 0.0, y * np.log(a)) + np.where(y == 1, 0.0, (1.0 - y) * np.log(1.0 - a)))


def probability_cross_entropy_derivative(a: Array, y: npt.ArrayLike) -> Array:
    """Return the derivative of `probability_cross_entropy` by `a`: ``(1 - y) / (1 - a) - y / a``.

    Parameters
    ----------
    a, y : ndarray
        As for `probability_cross_entropy`.

    Returns
    -------
    ndarray
        One derivative per element, infinite where the loss is.

    Examples
    --------
    >>> probability_cross_entropy_derivative(np.array([0.5, 1.0, 0.0]), np.array([1, 1, 0]))
    array([-2., -1.,  1.])
    """
    y = _labels(y, a)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(y == 1, 0.0, (1.0 - y) / (1.0 - a)) - np.where(y == 0, 0.0, y / a)
