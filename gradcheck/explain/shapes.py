"""What does a gradient of the wrong shape look like? Sums that are missing, over the wrong axis, or too many."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations

import numpy as np

from gradcheck.explain.evidence import Evidence, Guess
from gradcheck.explain.products import combined
from gradcheck.layer import Array


def misshapen(e: Evidence, found: Array) -> Iterator[Guess]:
    """Yield what turns a gradient of the wrong shape into the right one, or what the two are sums of.

    Parameters
    ----------
    e : Evidence
        Whose `analytic` is only a place to put what was undone.
    found : ndarray
        The gradient as it came.
    """
    for name, text, mended in _mended(found, e.shape):
        yield Guess(name, text, e.numerical, mended, np.abs(mended) + np.abs(e.numerical))
    right = [text for text, values in combined(e, e.shape) if _same(values, e.numerical, e)]
    used = [text for text, values in combined(e, found.shape) if _same(values, found, e)]
    if used and right:
        yield Guess(
            "product", f"{used[0]} in place of {right[0]}", found, found, np.abs(found) + float(np.max(np.abs(found)))
        )


def _mended(found: Array, shape: tuple[int, ...]) -> Iterator[tuple[str, str, Array]]:
    for count in range(1, found.ndim + 1):
        for axes in combinations(range(found.ndim), count):
            if any(found.shape[axis] == 1 for axis in axes):
                continue
            words = f"axis {axes[0]}" if count == 1 else f"axes {axes}"
            for verb, reduced in (("sum", found.sum(axes)), ("mean", found.mean(axes))):
                if reduced.size == int(np.prod(shape)) and _fits(reduced.shape, shape):
                    text = f"the {verb} over {words} is missing: with it, all values are right"
                    yield "sum missing", text, reduced.reshape(shape)
    for axes in permutations(range(found.ndim)):
        if axes != tuple(range(found.ndim)) and found.transpose(axes).shape == shape:
            text = "it is transposed" if found.ndim == 2 else f"its axes are permuted: transpose{axes} mends it"
            yield "transposed", f"{text}; the values are right", found.transpose(axes)
    if found.size == int(np.prod(shape)):
        yield "reshaped", "the values are right, in another shape", found.reshape(shape)
        if found.ndim > 1:
            yield "transposed", "the values are right, transposed and in another shape", found.T.reshape(shape)


def _fits(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return tuple(n for n in one if n != 1) == tuple(n for n in other if n != 1)


def _same(values: Array, wanted: Array, e: Evidence) -> bool:
    return bool(np.allclose(values, wanted, rtol=1e-6, atol=8 * float(np.max(e.bars)), equal_nan=False))
