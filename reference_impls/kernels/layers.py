"""What does a linear layer compute, forward and backward, and how does it take its step? In rows and in columns.

Row-major: ``a @ W + b`` with a (num_examples, features_in), W (features_in, features_out), b (1, features_out).
Column-major: ``W @ a + b`` with all three transposed. Products go straight into `out`, which has to be C-contiguous
and of the result's dtype. The gradient for the input is as dear as the forward pass and of no use to a first layer, so
it is a kernel of its own.
"""
# ruff: noqa: N803, N806  # matrices are capitals

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from reference_impls.kernels._blocks import Array, ones

if TYPE_CHECKING:
    from gradcheck import Case

__all__ = [
    "linear",
    "linear_columns",
    "linear_columns_input_gradient",
    "linear_columns_parameter_gradients",
    "linear_input_gradient",
    "linear_parameter_gradients",
]


def linear(a: Array, W: Array, b: Array, *, out: Array | None = None) -> Array:
    """Return ``a @ W + b``, the bias added in place.

    Parameters
    ----------
    a : ndarray
        (num_examples, features_in).
    W : ndarray
        (features_in, features_out).
    b : ndarray
        (1, features_out) or (features_out,).
    out : ndarray, optional
        Where the result goes, (num_examples, features_out).

    Examples
    --------
    >>> linear(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([[5.0]]))
    array([[16.]])
    """
    z: Array = a.dot(W, out)
    return np.add(z, b, z if z.dtype == b.dtype else None)


def linear_parameter_gradients(
    dz: Array, a: Array, *, out: tuple[Array | None, Array | None] = (None, None)
) -> tuple[Array, Array]:
    """Return the gradients with respect to the parameters of `linear`.

    Parameters
    ----------
    dz : ndarray
        Cotangent, (num_examples, features_out).
    a : ndarray
        What `linear` was given.
    out : tuple of two ndarrays, optional
        Where the results go.

    Returns
    -------
    dW, db : ndarray
        (features_in, features_out) and (1, features_out): the sums over the examples, which share the parameters.

    Examples
    --------
    >>> dW, db = linear_parameter_gradients(np.ones((2, 1)), np.array([[1.0, 2.0], [3.0, 4.0]]))
    >>> dW.tolist(), db.tolist()
    ([[4.0], [6.0]], [[2.0]])
    """
    return a.T.dot(dz, out[0]), ones((1, len(dz)), dz.dtype).dot(dz, out[1])


def linear_input_gradient(dz: Array, W: Array, *, out: Array | None = None) -> Array:
    """Return the gradient with respect to the input of `linear`, (num_examples, features_in).

    Parameters
    ----------
    dz : ndarray
        Cotangent, (num_examples, features_out).
    W : ndarray
        What `linear` was given.
    out : ndarray, optional
        Where the result goes.

    Examples
    --------
    >>> linear_input_gradient(np.array([[1.0]]), np.array([[3.0], [4.0]]))
    array([[3., 4.]])
    """
    return dz.dot(W.T, out)


def linear_columns(W: Array, a: Array, b: Array, *, out: Array | None = None) -> Array:
    """Return ``W @ a + b``, the bias added in place.

    Parameters
    ----------
    W : ndarray
        (features_out, features_in).
    a : ndarray
        (features_in, num_examples).
    b : ndarray
        (features_out, 1).
    out : ndarray, optional
        Where the result goes, (features_out, num_examples).

    Examples
    --------
    >>> linear_columns(np.array([[3.0, 4.0]]), np.array([[1.0], [2.0]]), np.array([[5.0]]))
    array([[16.]])
    """
    z: Array = W.dot(a, out)
    return np.add(z, b, z if z.dtype == b.dtype else None)


def linear_columns_parameter_gradients(
    dz: Array, a: Array, *, out: tuple[Array | None, Array | None] = (None, None)
) -> tuple[Array, Array]:
    """Return the gradients with respect to the parameters of `linear_columns`.

    Parameters
    ----------
    dz : ndarray
        Cotangent, (features_out, num_examples).
    a : ndarray
        What `linear_columns` was given.
    out : tuple of two ndarrays, optional
        Where the results go.

    Returns
    -------
    dW, db : ndarray
        (features_out, features_in) and (features_out, 1).

    Examples
    --------
    >>> dW, db = linear_columns_parameter_gradients(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]]))
    >>> dW.tolist(), db.tolist()
    ([[11.0]], [[3.0]])
    """
    return dz.dot(a.T, out[0]), dz.dot(ones((dz.shape[1], 1), dz.dtype), out[1])


def linear_columns_input_gradient(dz: Array, W: Array, *, out: Array | None = None) -> Array:
    """Return the gradient with respect to the input of `linear_columns`, (features_in, num_examples).

    Parameters
    ----------
    dz : ndarray
        Cotangent, (features_out, num_examples).
    W : ndarray
        What `linear_columns` was given.
    out : ndarray, optional
        Where the result goes.

    Examples
    --------
    >>> linear_columns_input_gradient(np.array([[1.0]]), np.array([[3.0, 4.0]]))
    array([[3.],
           [4.]])
    """
    return W.T.dot(dz, out)


def gradcheck_cases() -> Iterable[Case]:
    """Return the cases of both layouts.

    Examples
    --------
    >>> all(case.run(seed=0).ok for case in gradcheck_cases())
    True
    """
    from gradcheck import Case

    rng = np.random.default_rng(33)
    cases = []
    for n in (1, 5):
        for dtype in (np.float64, np.float32):
            a, W, b = (rng.normal(size=shape).astype(dtype) for shape in ((n, 3), (3, 4), (1, 4)))
            cases += [
                Case.vjp(
                    f"linear, {n} examples, {np.dtype(dtype)}",
                    linear,
                    lambda dz, a, W, b: (linear_input_gradient(dz, W), *linear_parameter_gradients(dz, a)),
                    a,
                    W,
                    b,
                ),
                Case.vjp(
                    f"linear_columns, {n} examples, {np.dtype(dtype)}",
                    linear_columns,
                    lambda dz, W, a, b: _columns_gradients(dz, W, a),
                    W.T.copy(),
                    a.T.copy(),
                    b.T.copy(),
                ),
            ]
    return cases


def _columns_gradients(dz: Array, W: Array, a: Array) -> tuple[Array, Array, Array]:
    dW, db = linear_columns_parameter_gradients(dz, a)
    return dW, linear_columns_input_gradient(dz, W), db
