"""What are softmax, its cross-entropy and the gradient of that? In rows or in columns, a block of examples at a time.

`axis` is that of the classes: 1 for row-major logits, (num_examples, classes), 0 for column-major ones. Dtypes and
`out` are as in `elementwise`. A logit of -inf excludes its class; one of inf, or nan, makes its whole example nan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from reference_impls.kernels._blocks import BLOCK, Array, as_floating, new, scratch

if TYPE_CHECKING:
    from gradcheck import Case

__all__ = ["softmax", "softmax_cross_entropy", "softmax_cross_entropy_backward"]


def softmax(z: Array, *, axis: int = 1, out: Array | None = None) -> Array:
    """Return ``exp(z) / sum(exp(z))`` over the classes.

    Parameters
    ----------
    z : ndarray
        Logits, two axes.
    axis : {1, 0}, optional
        Of the classes.
    out : ndarray, optional
        Where the result goes; may be `z`.

    Returns
    -------
    ndarray
        Probabilities, the shape of `z`. Their relative error is that of ``z - max(z)`` and of a sum over the classes:
        below ``abs(z - max(z)) + classes + 4`` halves of eps.

    Examples
    --------
    >>> softmax(np.array([[0.0, 0.0], [1e8, -np.inf]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    z = as_floating(z)
    return _by_example(_softmax, axis, new(z) if out is None else out, z)


def _softmax(out: Array, z: Array) -> None:
    total = scratch((len(z), 1), z.dtype)
    np.maximum.reduce(z, axis=1, keepdims=True, out=total, initial=-np.inf)
    np.subtract(z, total, out)
    np.exp(out, out)
    np.add.reduce(out, axis=1, keepdims=True, out=total)
    np.divide(out, total, out)


def softmax_cross_entropy(z: Array, y: npt.ArrayLike, *, axis: int = 1, out: Array | None = None) -> Array:
    """Return ``-sum(y ln softmax(z))`` over the classes, for every example.

    Parameters
    ----------
    z : ndarray
        Logits, two axes.
    y : array_like
        Which class it is, as ones and zeros, or the probability of each; the shape of `z`.
    axis : {1, 0}, optional
        Of the classes.
    out : ndarray, optional
        Where the result goes, (num_examples,).

    Returns
    -------
    ndarray
        In nats, (num_examples,): inf where a class that was excluded happened. The error is below ``classes + 4``
        halves of eps, of the larger of 1 and the largest ``abs(z - max(z))``.

    Examples
    --------
    >>> softmax_cross_entropy(np.array([[0.0, 0.0], [1e8, 0.0]]), np.array([[1, 0], [0, 1]]))
    array([6.93147181e-01, 1.00000000e+08])
    """
    z = as_floating(z)
    y = as_floating(y, z)
    out = np.empty(z.shape[1 - axis], z.dtype) if out is None else out
    _by_example(_cross_entropy, axis, np.expand_dims(out, axis), z, y)
    return out


def _cross_entropy(out: Array, z: Array, y: Array) -> None:
    surprise, terms, absent = scratch(z.shape, z.dtype), scratch(z.shape, z.dtype, 1), scratch(z.shape, np.bool_)
    np.maximum.reduce(z, axis=1, keepdims=True, out=out, initial=-np.inf)
    np.subtract(z, out, surprise)
    np.exp(surprise, terms)
    np.add.reduce(terms, axis=1, keepdims=True, out=out)
    np.log(out, out)
    np.subtract(out, surprise, surprise)
    np.multiply(surprise, y, terms)
    np.equal(y, 0.0, absent)
    np.copyto(terms, 0.0, where=absent)
    np.add.reduce(terms, axis=1, keepdims=True, out=out)


def softmax_cross_entropy_backward(z: Array, y: npt.ArrayLike, *, axis: int = 1, out: Array | None = None) -> Array:
    """Return the gradient of the sum of `softmax_cross_entropy` with respect to the logits.

    Parameters
    ----------
    z, y, axis
        As for `softmax_cross_entropy`.
    out : ndarray, optional
        Where the result goes; may be `z`.

    Returns
    -------
    ndarray
        ``softmax(z) * sum(y) - y``, the shape of `z`; the error is that of the softmax, absolute where it is nearly 1.

    Examples
    --------
    >>> softmax_cross_entropy_backward(np.array([[0.0, 0.0]]), np.array([[1, 0]]))
    array([[-0.5,  0.5]])
    """
    z = as_floating(z)
    y = as_floating(y, z)
    return _by_example(_cross_entropy_backward, axis, new(z) if out is None else out, z, y)


def _cross_entropy_backward(out: Array, z: Array, y: Array) -> None:
    probabilities, total = scratch(z.shape, z.dtype, 1), scratch((len(z), 1), z.dtype)
    _softmax(probabilities, z)
    np.add.reduce(y, axis=1, keepdims=True, out=total)
    np.multiply(probabilities, total, probabilities)
    np.subtract(probabilities, y, out)


def _by_example(kernel: Callable[..., object], axis: int, out: Array, z: Array, *others: Array) -> Array:
    """Run ``kernel(out, z, *others)`` on blocks of examples, their classes along the rows; return `out`."""
    arrays = (out, z, *others) if axis == 1 else tuple(array.T for array in (out, z, *others))
    examples, classes = arrays[1].shape
    rows = max(BLOCK // max(classes, 1), 1)
    with np.errstate(invalid="ignore", divide="ignore"):  # an example of nan, or of no class that is left
        for start in range(0, examples, rows):
            kernel(*(array[start : start + rows] for array in arrays))
    return out


def gradcheck_cases() -> Iterable[Case]:
    """Return the cases of the gradient, in both layouts, for labels and for probabilities, and far from 0.

    Examples
    --------
    >>> all(case.run(seed=0).ok for case in gradcheck_cases())
    True
    """
    from gradcheck import Case

    rng = np.random.default_rng(32)
    cases = []
    for axis, layout in ((1, "rows"), (0, "columns")):
        z = rng.normal(scale=2, size=(4, 3))
        for kind, y in (("labels", np.eye(3)[rng.integers(0, 3, 4)]), ("targets", rng.random((4, 3)))):
            for dtype in (np.float64, np.float32):
                laid = (array.astype(dtype) if axis == 1 else array.astype(dtype).T.copy() for array in (z, y))
                logits, targets = laid
                cases.append(
                    Case.grad(
                        f"softmax_cross_entropy_backward, {kind} in {layout}, {np.dtype(dtype)}",
                        lambda z, y=targets, axis=axis: np.sum(softmax_cross_entropy(z, y, axis=axis)),
                        lambda z, y=targets, axis=axis: softmax_cross_entropy_backward(z, y, axis=axis),
                        logits,
                    )
                )
    y = np.eye(3)[[0, 2]]
    far = Case.grad(  # exp of such logits is inf: the largest of a row has to be taken off
        "softmax_cross_entropy_backward, far from 0",
        lambda z: np.sum(softmax_cross_entropy(z, y)),
        lambda z: softmax_cross_entropy_backward(z, y),
        rng.normal(size=(2, 3)) + np.array([[1000.0], [-1000.0]]),
    )
    return [*cases, far]
