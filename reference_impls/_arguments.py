"""Are a network's arguments usable? Each is checked here, and a refusal says what was expected."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
MIN_WIDTHS = 2  # one layer needs the width of what goes in and of what comes out

__all__ = ["as_dtype", "as_epochs", "as_examples", "as_generator", "as_layer_sizes", "as_learning_rate"]


def as_layer_sizes(layer_sizes: Iterable[SupportsIndex]) -> tuple[int, ...]:
    """Return the layer sizes as a tuple of at least two positive ints.

    Raises
    ------
    ValueError
        If they are anything else.

    Examples
    --------
    >>> as_layer_sizes([3, 4, 1])
    (3, 4, 1)
    >>> as_layer_sizes([3])
    Traceback (most recent call last):
    ...
    ValueError: layer_sizes=[3]: expected at least two positive integers, e.g. [3, 4, 1]
    """
    try:
        sizes = tuple(operator.index(size) for size in layer_sizes)
    except TypeError:
        sizes = ()
    if len(sizes) < MIN_WIDTHS or min(sizes) < 1:
        raise ValueError(f"layer_sizes={layer_sizes!r}: expected at least two positive integers, e.g. [3, 4, 1]")
    return sizes


def as_dtype(dtype: npt.DTypeLike) -> np.dtype[Any]:
    """Return a real floating dtype.

    Raises
    ------
    ValueError
        If it is not one.

    Examples
    --------
    >>> as_dtype("float32")
    dtype('float32')
    """
    try:
        result = np.dtype(dtype)
    except TypeError as error:
        raise ValueError(f"dtype={dtype!r}: expected a floating dtype such as numpy.float64") from error
    if not np.issubdtype(result, np.floating):
        raise ValueError(f"dtype={result}: expected a floating dtype such as numpy.float64")
    return result


def as_generator(seed: Any) -> np.random.Generator:
    """Return the generator that `seed` stands for; a generator stands for itself.

    Raises
    ------
    ValueError
        If numpy cannot make a generator of it.

    Examples
    --------
    >>> as_generator(0).integers(10, size=3)
    array([8, 6, 5])
    """
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"seed={seed!r}: expected a non-negative integer or a numpy.random.Generator ({error})"
        ) from error


def as_examples(name: str, values: Any, layout: tuple[int | str, ...], dtype: np.dtype[Any]) -> Array:
    """Return an argument as an array of the wanted layout and dtype, copied only if it must be.

    Parameters
    ----------
    name : str
        The argument, for the message.
    values : array_like
        What the caller gave; real numbers.
    layout : tuple of int or str
        The shape wanted; a str names an axis of any length from 1.
    dtype : dtype
        Of the result.

    Returns
    -------
    ndarray
        The examples.

    Raises
    ------
    ValueError
        If the values are not real numbers or lie in another shape.

    Examples
    --------
    >>> as_examples("X", [[1, 2]], ("num_examples", 2), np.dtype(float))
    array([[1., 2.]])
    >>> as_examples("Y", [0, 1], ("num_examples", 1), np.dtype(float))
    Traceback (most recent call last):
    ...
    ValueError: Y has shape (2,), expected (num_examples, 1)
    """
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} has dtype {array.dtype}, expected real numbers")
    fits = array.ndim == len(layout)
    for size, wanted in zip(array.shape, layout, strict=fits):
        fits = fits and (size > 0 if isinstance(wanted, str) else size == wanted)
    if not fits:
        empty = " with at least one example" if array.size == 0 else ""
        raise ValueError(f"{name} has shape {array.shape}, expected ({', '.join(map(str, layout))}){empty}")
    return array.astype(dtype, copy=False)


def as_learning_rate(learning_rate: SupportsFloat) -> float:
    """Return the learning rate as a finite float.

    Raises
    ------
    ValueError
        If it is not a finite number.

    Examples
    --------
    >>> as_learning_rate(1)
    1.0
    """
    try:
        rate = float(learning_rate)
    except (TypeError, ValueError):
        rate = math.nan
    if not math.isfinite(rate):
        raise ValueError(f"learning_rate={learning_rate!r}: expected a finite number, e.g. 0.1")
    return rate


def as_epochs(epochs: SupportsIndex) -> int:
    """Return the number of epochs as an int from 0.

    Raises
    ------
    ValueError
        If it is negative or not an integer.

    Examples
    --------
    >>> as_epochs(100)
    100
    """
    try:
        count = operator.index(epochs)
    except TypeError:
        count = -1
    if count < 0:
        raise ValueError(f"epochs={epochs!r}: expected an integer from 0")
    return count
