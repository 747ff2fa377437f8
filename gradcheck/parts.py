"""Which real numbers is an array made of? Complex ones are pairs, differentiated as such."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.layer import Array, Named

PARTS = ("real", "imag")


def parts(array: Array) -> Array:
    """Return a real view of a complex array, with a last axis of 2 for real and imaginary part; a real one as it is.

    It shares memory with the array, whatever its order in memory.

    Examples
    --------
    >>> import numpy as np
    >>> z = np.array([1 + 2j, 3j])
    >>> view = parts(z)
    >>> view[1, 0] = 7.0
    >>> view.shape, z[1]
    ((2, 2), np.complex128(7+3j))
    """
    if array.dtype.kind != "c":
        return array
    array = np.asarray(array)
    real = array.real  # its strides are those of the array, its items half as long
    return np.lib.stride_tricks.as_strided(real, (*real.shape, 2), (*real.strides, real.itemsize))


def from_parts(like: Array, numbers: npt.ArrayLike) -> Array:
    """Return an array in the shape and dtype of another, made of these real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from_parts(np.zeros(1, complex), [[1.0, -2.0]])
    array([1.-2.j])
    """
    if like.dtype.kind != "c":
        return np.asarray(numbers).astype(like.dtype, copy=False).reshape(like.shape)
    made = np.zeros(like.shape, like.dtype)
    parts(made)[...] = numbers
    return made


def is_inexact(array: Array) -> bool:
    """Tell whether an array's numbers are real or complex floating-point ones."""
    return array.dtype.kind in "fc"


def is_double(array: Array) -> bool:
    """Tell whether an array is of numpy's own float64 or complex128."""
    return array.dtype in (np.dtype(np.float64), np.dtype(np.complex128))


def same(one: Array, other: Array) -> bool:
    """Tell whether two arrays hold the same, NaN being the same as NaN."""
    return np.array_equal(one, other) or (is_inexact(one) and np.array_equal(one, other, equal_nan=True))


def as_double(array: Array, *, copy: bool = True) -> Array:
    """Return floating-point arrays in double precision, real or complex, constants as they are."""
    if not is_inexact(array):
        return array
    return array.astype(np.float64 if array.dtype.kind == "f" else np.complex128, copy=copy)


def complex_where(like: Array, array: Array) -> Array:
    """Return an array as complex numbers where another is complex; else as it is."""
    return array.astype(np.result_type(array, np.complex64)) if like.dtype.kind == "c" != array.dtype.kind else array


def real_parts(named: Named, *, copy: bool = True) -> Named:
    """Return named arrays as the float64 numbers that they are made of."""
    return {name: parts(as_double(np.asarray(array), copy=copy)) for name, array in named.items()}


def written(name: str, array: Array, index: tuple[int, ...]) -> str:
    """Return an entry of an array's `parts` as one would write it.

    Examples
    --------
    >>> import numpy as np
    >>> written("W", np.zeros((4, 8)), (3, 7)), written("z", np.zeros(2, complex), (1, 1))
    ('W[3, 7]', 'z[1].imag')
    """
    part = f".{PARTS[index[-1]]}" if array.dtype.kind == "c" else ""
    where = ", ".join(map(str, index[: array.ndim]))
    return f"{name}[{where}]{part}" if where else f"{name}{part}"


def eps_of(dtype: npt.DTypeLike) -> float:
    """Return the machine epsilon of a floating-point dtype, real or complex."""
    return float(np.finfo(np.dtype(dtype)).eps)


def number(value: Any) -> float | complex:
    """Return an array's scalar as a Python number."""
    plain = np.asarray(value).item()
    return plain if isinstance(plain, complex) else float(plain)
