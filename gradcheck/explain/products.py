"""Is it another sum or product of the same arrays? ``dout @ W`` in place of ``dout @ W.T``: both sides are named."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from gradcheck.explain.evidence import Evidence, Guess
from gradcheck.layer import Array

_LARGEST = 2**16  # entries of a product that is worth computing


def products(e: Evidence) -> Iterator[Guess]:
    """Suspect that the gradient is one sum or product of the cotangent and the arrays where another belongs."""
    used = _found(e, e.analytic)
    right = _found(e, e.numerical) if used else []
    for text, values in used[:1] if right else ():
        yield Guess("product", f"{text} in place of {right[0][0]}", values, odds=2)


def product_alone(e: Evidence) -> Iterator[Guess]:
    """Suspect that the gradient is one sum or product alone, whatever belongs there."""
    for text, values in _found(e, e.analytic)[:1]:
        yield Guess("product", f"it is {text}, and no more", values, odds=2)


def _found(e: Evidence, gradient: Array) -> list[tuple[str, Array]]:
    return [(text, values) for text, values in combined(e, e.shape) if _is(gradient, values, e)]


def combined(e: Evidence, shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """Yield sums and products of the cotangent, and of the cotangent and another array, that have as many entries.

    Parameters
    ----------
    e : Evidence
        Of a layer with one output.
    shape : tuple of int
        They are given this shape, if they have it but for axes of length 1.
    """
    v = e.cotangent
    if v is None or not e.cotangents:
        return
    yield from _sums("cotangent", v, shape)
    for name, array in e.symbols:
        if array.ndim == v.ndim == 2:
            for text, one, other in (
                (f"{name}.T @ cotangent", array.T, v),
                (f"cotangent @ {name}.T", v, array.T),
                (f"cotangent.T @ {name}", v.T, array),
                (f"{name} @ cotangent.T", array, v.T),
                (f"cotangent @ {name}", v, array),
                (f"{name} @ cotangent", array, v),
                (f"{name}.T @ cotangent.T", array.T, v.T),
                (f"cotangent.T @ {name}.T", v.T, array.T),
            ):
                if one.shape[1] == other.shape[0] and one.shape[0] * other.shape[1] <= _LARGEST:
                    yield from _shaped(text, one @ other, shape)
        try:
            product = v * array
        except ValueError:
            continue
        if product.size <= _LARGEST and array.size > 1:
            yield from _sums(f"(cotangent * {name})", product, shape)


def _sums(text: str, array: Array, shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """Yield an array and its sums and means over some axes, where they have the shape wanted."""
    for count in range(array.ndim + 1):
        for axes in combinations(range(array.ndim), count):
            words = "axis=" + (str(axes[0]) if count == 1 else str(axes)) if count < array.ndim else ""
            if not count:
                yield from _shaped(text, array, shape)
                if array.ndim == 2 and array.shape[0] == array.shape[1]:
                    yield from _shaped(f"{text}.T", array.T, shape)
                continue
            yield from _shaped(f"{text}.sum({words})", array.sum(axes), shape)
            yield from _shaped(f"{text}.mean({words})", array.mean(axes), shape)
            for end, words in ((0, "[0]"), (-1, "[-1]")) if axes == (0,) else ():
                yield from _shaped(f"{text}{words}", array[end], shape)


def _shaped(text: str, array: Array, shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    if tuple(n for n in array.shape if n != 1) == tuple(n for n in shape if n != 1):
        yield text, array.reshape(shape)


def _is(gradient: Array, values: Array, e: Evidence) -> bool:
    gap = np.abs(gradient - values)[e.known]
    return bool(gap.size and np.all(gap <= 1e-6 * np.abs(values[e.known]) + 8 * e.bars[e.known]))
