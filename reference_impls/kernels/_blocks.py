"""How does a kernel get by without temporaries as large as its inputs? Block by block, in scratch that is kept.

All the ufuncs of a kernel run over one block before the next is looked at. A call costs about as much as 500 elements,
and far more on a busy machine: so blocks are large, and what fits into one is not cut at all.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from reference_impls._arguments import Array

BLOCK = 2**17
"""Elements: half a MiB in float32, one in float64. Fewer cost calls, more fall out of the caches."""
KEPT = 64  # arrays of different shapes; as many again, of those used before, until they are wanted

__all__ = ["Array", "as_floating", "blocks", "elementwise", "new", "ones", "scratch", "zeros"]


class _Scratch(threading.local):
    """Each thread has its own: NumPy lets others run inside a ufunc."""

    def __init__(self) -> None:
        self.recent: dict[Any, Array] = {}
        self.before: dict[Any, Array] = {}


_SCRATCH = _Scratch()


def scratch(shape: tuple[int, ...], dtype: npt.DTypeLike, slot: int = 0) -> Array:
    """Return an array, at most a block, whose values are anybody's: it is handed out again by the next call.

    A kernel that needs several at once numbers them: `slot`.
    """
    key = (shape, dtype, slot)
    found = _SCRATCH.recent.get(key)
    if found is None:
        found = _SCRATCH.before.pop(key, None)
        if found is None:
            found = np.empty(shape, dtype)
        if len(_SCRATCH.recent) >= KEPT:
            _SCRATCH.before, _SCRATCH.recent = _SCRATCH.recent, {}
        _SCRATCH.recent[key] = found
    return found


@lru_cache(maxsize=KEPT)
def zeros(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return zeros, at most a block, that nobody can write to: a ufunc is faster on two arrays than on one and 0."""
    result = np.zeros(shape, dtype)
    result.setflags(write=False)
    return result


@lru_cache(maxsize=KEPT)
def ones(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return ones that nobody can write to: a matrix product with them is the fastest sum over an axis."""
    result = np.ones(shape, dtype)
    result.setflags(write=False)
    return result


def as_floating(values: npt.ArrayLike, like: Array | None = None) -> Array:
    """Return an array of floating numbers, copied only if it must be; in the dtype of `like`, if that is given."""
    if type(values) is np.ndarray and values.dtype.kind == "f" and (like is None or values.dtype == like.dtype):
        return values
    dtype = np.result_type(np.asarray(values) if like is None else like, np.float16)
    return np.asarray(values, dtype=dtype)


def new(*operands: Array) -> Array:
    """Return an array for what the operands, broadcast, come to."""
    if all(operand.shape == operands[0].shape for operand in operands):
        return np.empty_like(operands[0], subok=False)
    shape = np.broadcast_shapes(*(operand.shape for operand in operands))
    return np.empty(shape, operands[0].dtype)


def elementwise(kernel: Callable[..., object], out: Array, *operands: Array) -> Array:
    """Run ``kernel(out, *operands)``, an elementwise one, on arrays of any size and layout; return `out`.

    `out` may be one of the operands, if the kernel writes to it last; it may not overlap one otherwise.
    """
    if out.size <= BLOCK:
        kernel(out, *operands)
    else:
        for part in blocks(out, *(np.broadcast_to(operand, out.shape) for operand in operands)):
            kernel(*part)
    return out


def blocks(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """Cut arrays of one shape into parts of at most a block, in the same way."""
    if arrays[0].size <= BLOCK:
        yield arrays
        return
    if all(array.flags.c_contiguous for array in arrays):
        arrays = tuple(array.reshape(-1) for array in arrays)
    elif all(array.flags.f_contiguous for array in arrays):
        arrays = tuple(array.T.reshape(-1) for array in arrays)
    length = len(arrays[0])
    rows = BLOCK * length // arrays[0].size
    for start in range(0, length, max(rows, 1)):
        if rows > 0:
            yield tuple(array[start : start + rows] for array in arrays)
        else:
            yield from blocks(*(array[start] for array in arrays))
