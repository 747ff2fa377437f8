"""What are the logistic function, softplus and ReLU, forward and backward? Without overflow, without temporaries.

All take arrays of any shape and layout, keep the dtype (integers become floating), return `out`, or a new array where
none is given, and may work in place: `out` may be any of the inputs. They warn of nothing, let nan through, and are
the limits at -inf and inf.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from reference_impls.kernels._blocks import Array, as_floating, elementwise, new, scratch, zeros
from reference_impls.kernels._signs import negative_magnitude

if TYPE_CHECKING:
    from gradcheck import Case

WIDE = 128
"""From here on, one row of zeros that stays in the nearest cache is better than an array of them."""

__all__ = [
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "sigmoid_backward_from_output",
    "sigmoid_derivative",
    "softplus",
    "softplus_backward",
]


def sigmoid(z: Array, *, out: Array | None = None) -> Array:
    """Return ``1 / (1 + exp(-z))``.

    Parameters
    ----------
    z : ndarray
        Pre-activations.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray
        Within 4 units in the last place; 0 where it would be smaller than the smallest normal number.

    Examples
    --------
    >>> sigmoid(np.array([-1e8, 0.0, 1e8]))
    array([0. , 0.5, 1. ])
    """
    z = as_floating(z)
    with np.errstate(over="ignore"):  # exp(-z) = inf is as right as any number above 1e308
        return elementwise(_sigmoid, new(z) if out is None else out, z)


def _sigmoid(out: Array, z: Array) -> None:
    np.negative(z, out)
    np.exp(out, out)
    np.add(out, 1.0, out)
    np.divide(1.0, out, out)


def sigmoid_derivative(z: Array, *, out: Array | None = None) -> Array:
    """Return the slope of `sigmoid` at `z`: ``a * (1 - a)`` without its cancellation where a is almost 1.

    Parameters
    ----------
    z, out : ndarray
        As for `sigmoid`.

    Returns
    -------
    ndarray
        Within 6 units in the last place.

    Examples
    --------
    >>> sigmoid_derivative(np.array([0.0, 40.0]))
    array([2.50000000e-01, 4.24835426e-18])
    """
    z = as_floating(z)
    return elementwise(_sigmoid_derivative, new(z) if out is None else out, z)


def _sigmoid_derivative(out: Array, z: Array) -> None:
    """Take e / (1 + e)^2 with e = exp(-|z|)."""
    below = scratch(out.shape, out.dtype)
    negative_magnitude(z, out)
    np.exp(out, out)
    np.add(out, 1.0, below)
    np.multiply(below, below, below)
    np.divide(out, below, out)


def sigmoid_backward(da: Array, z: Array, *, out: Array | None = None) -> Array:
    """Return the gradient with respect to the input of `sigmoid`, from that input.

    Parameters
    ----------
    da : ndarray
        Cotangent, the shape of `z`.
    z : ndarray
        What `sigmoid` was given.
    out : ndarray, optional
        Where the result goes.

    Examples
    --------
    >>> sigmoid_backward(np.array([2.0]), np.array([0.0]))
    array([0.5])
    """
    z = as_floating(z)
    return elementwise(_sigmoid_backward, new(z) if out is None else out, da, z)


def _sigmoid_backward(out: Array, da: Array, z: Array) -> None:
    slope = scratch(out.shape, out.dtype, 1)
    _sigmoid_derivative(slope, z)
    np.multiply(da, slope, out)


def sigmoid_backward_from_output(da: Array, a: Array, *, out: Array | None = None) -> Array:
    """Return the gradient with respect to the input of `sigmoid`, from its *output*: no exp, fewer digits near 1.

    Parameters
    ----------
    da : ndarray
        Cotangent, the shape of `a`.
    a : ndarray
        What `sigmoid` returned: the activation, not the pre-activation.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray
        ``da * a * (1 - a)``.

    Examples
    --------
    >>> sigmoid_backward_from_output(np.array([2.0]), np.array([0.5]))
    array([0.5])
    """
    a = as_floating(a)
    return elementwise(_sigmoid_backward_from_output, new(a) if out is None else out, da, a)


def _sigmoid_backward_from_output(out: Array, da: Array, a: Array) -> None:
    slope = scratch(out.shape, out.dtype)
    np.subtract(1.0, a, slope)
    np.multiply(slope, a, slope)
    np.multiply(da, slope, out)


def softplus(z: Array, *, out: Array | None = None) -> Array:
    """Return ``log(1 + exp(z))``.

    Parameters
    ----------
    z : ndarray
        Any real numbers.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray
        Within 4 units in the last place.

    Examples
    --------
    >>> softplus(np.array([-50.0, 0.0, 1e8]))
    array([1.92874985e-22, 6.93147181e-01, 1.00000000e+08])
    """
    z = as_floating(z)
    return elementwise(_softplus, new(z) if out is None else out, z)


def _softplus(out: Array, z: Array) -> None:
    """Take log1p(exp(-|z|)) + max(z, 0)."""
    correction = scratch(out.shape, out.dtype)
    negative_magnitude(z, correction)
    np.exp(correction, correction)
    np.log1p(correction, correction)
    _relu(out, z)
    np.add(out, correction, out)


def softplus_backward(da: Array, z: Array, *, out: Array | None = None) -> Array:
    """Return the gradient with respect to the input of `softplus`: its slope is `sigmoid`.

    Parameters
    ----------
    da : ndarray
        Cotangent, the shape of `z`.
    z : ndarray
        What `softplus` was given.
    out : ndarray, optional
        Where the result goes.

    Examples
    --------
    >>> softplus_backward(np.array([2.0]), np.array([0.0]))
    array([1.])
    """
    z = as_floating(z)
    with np.errstate(over="ignore"):
        return elementwise(_softplus_backward, new(z) if out is None else out, da, z)


def _softplus_backward(out: Array, da: Array, z: Array) -> None:
    slope = scratch(out.shape, out.dtype)
    _sigmoid(slope, z)
    np.multiply(da, slope, out)


def relu(z: Array, *, out: Array | None = None) -> Array:
    """Return the positive part of `z`.

    Parameters
    ----------
    z : ndarray
        Any real numbers; integers stay integers.
    out : ndarray, optional
        Where the result goes.

    Examples
    --------
    >>> relu(np.array([[-5, 4], [0, 1]]))
    array([[0, 4],
           [0, 1]])
    """
    return elementwise(_relu, new(z) if out is None else out, z)


def _relu(out: Array, z: Array) -> None:
    wide = z.ndim > 1 and z.shape[-1] >= WIDE
    np.maximum(z, zeros(z.shape[-1:] if wide else z.shape, z.dtype), out=out)


def relu_backward(da: Array, z: Array, *, out: Array | None = None) -> Array:
    """Return the gradient with respect to the input of `relu`; its slope at 0 is taken as 0.

    Parameters
    ----------
    da : ndarray
        Cotangent, the shape of `z`.
    z : ndarray
        What `relu` was given, or what it returned: both are positive at the same places.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray
        ``da * (z > 0)``, in the dtype of `da`.

    Examples
    --------
    >>> relu_backward(np.array([2.0, 3.0]), np.array([0.0, 4.0]))
    array([0., 3.])
    """
    return elementwise(_relu_backward, new(da, z) if out is None else out, da, z)


def _relu_backward(out: Array, da: Array, z: Array) -> None:
    is_open = scratch(out.shape, da.dtype, 2)  # of one dtype: a product with booleans would convert them piece by piece
    np.greater(z, 0.0, is_open)
    np.multiply(da, is_open, out)


def gradcheck_cases() -> Iterable[Case]:
    """Return the cases of every backward, in rows, in columns, in float32 and where it saturates.

    Examples
    --------
    >>> all(case.run(seed=0).ok for case in gradcheck_cases())
    True
    """
    from gradcheck import Case

    rng = np.random.default_rng(30)
    pairs = {
        "sigmoid_backward": (sigmoid, sigmoid_backward),
        "sigmoid_backward_from_output": (sigmoid, lambda da, z: sigmoid_backward_from_output(da, sigmoid(z))),
        "softplus_backward": (softplus, softplus_backward),
        "relu_backward": (relu, relu_backward),
    }
    cases = []
    for name, (forward, backward) in pairs.items():
        cases += [
            Case.vjp(f"{name}, rows", forward, backward, rng.normal(size=(4, 3))),
            Case.vjp(f"{name}, columns", forward, backward, np.asfortranarray(3 * rng.normal(size=(3, 5)))),
            Case.vjp(f"{name}, float32", forward, backward, rng.normal(size=(2, 3)).astype(np.float32)),
            # where exp(z) is inf, an algebraically equal formula is nan
            Case.vjp(f"{name}, saturated", forward, backward, np.array([-1000.0, -40.0, 1000.0])),
        ]
    return cases
