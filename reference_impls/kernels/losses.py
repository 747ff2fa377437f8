"""What is the binary cross-entropy, and what are its gradients? From probabilities, and from logits.

Shapes, layouts, dtypes and `out` are as in `elementwise`. Labels are numbers from 0 to 1, not only 0 and 1; those of
another dtype are converted to that of what they are compared with.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from reference_impls.kernels._blocks import Array, as_floating, elementwise, new, scratch
from reference_impls.kernels._signs import negative_magnitude, signed

if TYPE_CHECKING:
    from gradcheck import Case

__all__ = ["bce", "bce_backward", "bce_with_logits", "bce_with_logits_backward"]


def bce(a: Array, y: npt.ArrayLike, *, out: Array | None = None) -> Array:
    """Return ``-(y ln a + (1 - y) ln(1 - a))``, the binary cross-entropy of the probability `a`.

    A probability next to 1 has no digits left for ``1 - a``; where the logit is at hand, use `bce_with_logits`.

    Parameters
    ----------
    a : ndarray
        Probabilities, 0 to 1.
    y : array_like
        Labels, 0 to 1, of a shape that broadcasts against `a`.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray
        One loss per element, in nats, within 4 units in the last place: inf where what happened was given the
        probability 0.

    Examples
    --------
    >>> bce(np.array([0.5, 1.0, 0.0]), np.array([1, 0, 0]))
    array([0.69314718,        inf, 0.        ])
    """
    a = as_floating(a)
    y = as_floating(y, a)
    with np.errstate(divide="ignore", invalid="ignore"):
        return elementwise(_bce, new(a, y) if out is None else out, a, y)


def _bce(out: Array, a: Array, y: Array) -> None:
    """Add the two terms, each 0 where its factor is, whatever its logarithm."""
    happened, other, absent = (
        scratch(out.shape, out.dtype),
        scratch(out.shape, out.dtype, 1),
        scratch(out.shape, np.bool_),
    )
    np.log(a, happened)
    np.multiply(happened, y, happened)
    np.equal(y, 0.0, absent)
    np.copyto(happened, 0.0, where=absent)
    np.negative(a, other)
    np.log1p(other, other)
    np.equal(y, 1.0, absent)
    np.subtract(1.0, y, out)
    np.multiply(other, out, other)
    np.copyto(other, 0.0, where=absent)
    np.add(happened, other, out)
    np.subtract(0.0, out, out)


def bce_backward(a: Array, y: npt.ArrayLike, *, out: Array | None = None) -> Array:
    """Return the derivative of `bce` by `a`: ``(1 - y) / (1 - a) - y / a``.

    Parameters
    ----------
    a, y, out
        As for `bce`.

    Returns
    -------
    ndarray
        One derivative per element, infinite where the loss is.

    Examples
    --------
    >>> bce_backward(np.array([0.5, 1.0, 0.0]), np.array([1, 1, 0]))
    array([-2., -1.,  1.])
    """
    a = as_floating(a)
    y = as_floating(y, a)
    with np.errstate(divide="ignore", invalid="ignore"):
        return elementwise(_bce_backward, new(a, y) if out is None else out, a, y)


def _bce_backward(out: Array, a: Array, y: Array) -> None:
    happened, other, absent = (
        scratch(out.shape, out.dtype),
        scratch(out.shape, out.dtype, 1),
        scratch(out.shape, np.bool_),
    )
    np.divide(y, a, happened)
    np.equal(y, 0.0, absent)
    np.copyto(happened, 0.0, where=absent)
    np.subtract(1.0, a, other)
    np.equal(y, 1.0, absent)
    np.subtract(1.0, y, out)
    np.divide(out, other, other)
    np.copyto(other, 0.0, where=absent)
    np.subtract(other, happened, out)


def bce_with_logits(z: Array, y: npt.ArrayLike, *, out: Array | None = None) -> Array:
    """Return ``bce(sigmoid(z), y)`` from the logit `z`, exact where the sigmoid saturates.

    Parameters
    ----------
    z : ndarray
        Logits.
    y : array_like
        Labels, 0 to 1, of a shape that broadcasts against `z`.
    out : ndarray, optional
        Where the result goes.

    Returns
    -------
    ndarray
        One loss per element, in nats: within 4 units in the last place for the labels 0 and 1; for those between, of
        the larger of the loss and ``abs(z)``.

    Examples
    --------
    >>> bce_with_logits(np.array([0.0, 1e8, 1e8]), np.array([1.0, 1.0, 0.0]))
    array([6.93147181e-01, 0.00000000e+00, 1.00000000e+08])
    """
    z = as_floating(z)
    y = as_floating(y, z)
    with np.errstate(invalid="ignore"):  # 0 * inf, which is 0 here
        return elementwise(_bce_with_logits, new(z, y) if out is None else out, z, y)


def _bce_with_logits(out: Array, z: Array, y: Array) -> None:
    """Take log1p(exp(-|z|)) + w |z|, with w = 1 - y for a positive logit and y for a negative one: what is missed."""
    missed, product, correction = (
        scratch(out.shape, out.dtype),
        scratch(out.shape, out.dtype, 1),
        scratch(out.shape, out.dtype, 2),
    )
    _decided_less_label(missed, z, y)
    np.multiply(missed, z, product)
    negative_magnitude(missed, missed)
    np.fmax(product, missed, out=product)  # a logit of inf that misses nothing: not nan, unless the label is
    negative_magnitude(z, correction)
    np.exp(correction, correction)
    np.log1p(correction, correction)
    np.add(product, correction, out)


def _decided_less_label(out: Array, z: Array, y: Array) -> None:
    """Take (1 if z is positive else 0) - y, by the sign bit: +0 and -0 are decided differently, as by copysign."""
    signed(0.5, z, out)
    np.add(out, 0.5, out)
    np.subtract(out, y, out)


def bce_with_logits_backward(z: Array, y: npt.ArrayLike, *, out: Array | None = None) -> Array:
    """Return the derivative of `bce_with_logits` by `z`: ``sigmoid(z) - y`` without its cancellation, with one exp.

    Parameters
    ----------
    z, y, out
        As for `bce_with_logits`.

    Returns
    -------
    ndarray
        One derivative per element: within 4 units in the last place for the labels 0 and 1, of 1 for those between.
        Dearer than the subtraction by a third, whose result at a confident right answer is nothing but rounding.

    Examples
    --------
    >>> bce_with_logits_backward(np.array([0.0, 40.0]), np.array([0.0, 1.0]))
    array([ 5.00000000e-01, -4.24835426e-18])
    """
    z = as_floating(z)
    y = as_floating(y, z)
    return elementwise(_bce_with_logits_backward, new(z, y) if out is None else out, z, y)


def _bce_with_logits_backward(out: Array, z: Array, y: Array) -> None:
    """Take d - copysign(r, z) with d = (z > 0) - y, exact, and r = sigmoid(-|z|), at most a half."""
    rest, other = scratch(out.shape, out.dtype), scratch(out.shape, out.dtype, 1)
    negative_magnitude(z, rest)
    np.exp(rest, rest)
    np.add(rest, 1.0, other)
    np.divide(rest, other, rest)
    signed(rest, z, other)
    _decided_less_label(rest, z, y)
    np.subtract(rest, other, out)


def gradcheck_cases() -> Iterable[Case]:
    """Return the cases of every gradient, in rows, in columns and in float32.

    Examples
    --------
    >>> all(case.run(seed=0).ok for case in gradcheck_cases())
    True
    """
    from gradcheck import Case

    rng = np.random.default_rng(31)
    cases = []
    for layout, laid in {"rows": np.ascontiguousarray, "columns": np.asfortranarray}.items():
        for dtype in map(np.dtype, ("float64", "float32")):
            z = laid(rng.normal(scale=3, size=(4, 3)).astype(dtype))
            a = laid(rng.uniform(0.05, 0.95, (4, 3)).astype(dtype))
            for kind, y in {"labels": rng.integers(0, 2, (4, 3)), "targets": rng.random((4, 3))}.items():
                where = f"{kind} in {layout}, {dtype}"
                cases += [
                    Case.grad(
                        f"bce_backward, {where}",
                        lambda a, y=y: np.sum(bce(a, y)),
                        lambda a, y=y: bce_backward(a, y),
                        a,
                    ),
                    Case.grad(
                        f"bce_with_logits_backward, {where}",
                        lambda z, y=y: np.sum(bce_with_logits(z, y)),
                        lambda z, y=y: bce_with_logits_backward(z, y),
                        z,
                    ),
                ]
    return cases
