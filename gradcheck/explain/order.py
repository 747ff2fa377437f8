"""Are the entries right, and in another order? Transposed, flipped, shifted, permuted, exchanged with another array."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations

import numpy as np

from gradcheck.explain.evidence import Evidence, Guess
from gradcheck.layer import Array

_LARGEST = 10**6  # numbers that comparing each slice with each makes
Move = Callable[[Array], Array]


def exchanged(e: Evidence) -> Iterator[Guess]:
    """Suspect that two gradients are exchanged."""
    for name, (analytic, numerical) in e.others.items():
        if numerical.size != e.analytic.size or name == e.name:
            continue
        back = np.array_equal(np.isfinite(numerical), np.isfinite(e.numerical)) and np.allclose(
            analytic.ravel(), e.numerical.ravel(), rtol=1e-6, atol=float(np.max(e.bars))
        )
        text = f"it is the gradient of {name}" + (", and that of the other: the two are exchanged" if back else "")
        if back:
            text = f"the gradients of {' and '.join(sorted((e.name, name)))} are exchanged"
        yield Guess("exchanged", text, numerical.reshape(e.shape), odds=2)


def rearranged(e: Evidence) -> Iterator[Guess]:
    """Suspect that the array is transposed, flipped or shifted as a whole."""
    for name, text, move, back in _moves(e.shape):
        if e.known.all():
            yield Guess(name, text, move(e.numerical), odds=2)
            continue
        # of a large array only a sample is known: what was moved is moved back to it
        observed, spread = back(e.analytic), np.abs(e.numerical - np.nanmedian(e.numerical))
        seen = e.known & np.isfinite(observed) & e.wrong
        error = np.minimum(np.abs(e.analytic - e.numerical), spread)
        everywhere = e.known & np.isfinite(observed)
        told = np.where(seen, error, 0)[everywhere]
        yield Guess(name, text, e.numerical[everywhere], observed[everywhere], told, odds=2)


def _moves(shape: tuple[int, ...]) -> Iterator[tuple[str, str, Move, Move]]:
    """Yield ways of moving an array's entries, each with a name, words and the way back; NaN where nothing comes in."""
    ndim = len(shape)
    for axes in permutations(range(ndim)):
        if axes != tuple(range(ndim)) and tuple(shape[a] for a in axes) == shape:
            words = "it is transposed" if ndim == 2 else f"its axes are permuted: transpose{axes}"
            inverse = tuple(int(a) for a in np.argsort(axes))
            yield "transposed", words, partial(np.transpose, axes=axes), partial(np.transpose, axes=inverse)
    for axis in range(ndim):
        if shape[axis] < 2:
            continue
        flip = partial(np.flip, axis=axis)
        yield "flipped", f"it is flipped along axis {axis}", flip, flip
        text = f"it is shifted by one along axis {axis}"
        for by in (1, -1):
            yield "shifted", text, partial(np.roll, shift=by, axis=axis), partial(np.roll, shift=-by, axis=axis)
            there, home = (partial(shifted, by=way, axis=axis, fill=np.nan) for way in (by, -by))
            yield "shifted", text, there, home
    if ndim > 1:
        yield "flipped", "it is flipped along all axes", np.flip, np.flip
        text = "its entries were put into this shape in another order (reshape for .T)"
        for one, other in ((_reshaped, _read_by_columns), (_read_by_columns, _reshaped)):
            yield "transposed", text, one, other


def _reshaped(array: Array) -> Array:
    return array.T.reshape(array.shape)


def _read_by_columns(array: Array) -> Array:
    return array.reshape(array.shape[::-1]).T


def permuted(e: Evidence) -> Iterator[Guess]:
    """Suspect that the slices along one axis are right, each in the place of another."""
    if not e.known.all():
        return
    for axis in range(e.analytic.ndim):
        size = e.shape[axis]
        if size * e.analytic.size > _LARGEST:
            continue
        found = np.moveaxis(e.analytic, axis, 0).reshape(size, -1)
        right = np.moveaxis(e.numerical, axis, 0).reshape(size, -1)
        place = _places(found, right, 8 * float(np.max(e.bars)) + 1e-6 * float(np.max(np.abs(right))))
        if place is None:
            continue
        predicted = np.take(e.numerical, place, axis)
        moved = int(np.sum(place != np.arange(size)))
        order = f" {tuple(int(i) for i in place)}" if size <= 12 else ""
        what = "entries" if e.analytic.ndim == 1 else f"slices along axis {axis}"
        text = f"its {what} are right, and in another order{order}: an inverse permutation, or another order of blocks"
        # which of `size` slices each one is could be chosen to fit
        yield Guess("permuted", text, predicted, odds=1 + moved * np.log10(size))


def _places(found: Array, right: Array, tolerance: float) -> Array | None:
    """Return where each row of one matrix stands in the other, each in a place of its own; None if they do not."""
    free = np.max(np.abs(found[:, None, :] - right[None, :, :]), axis=2) <= tolerance
    place = np.zeros(len(found), int)
    for i, fits in enumerate(free):
        if not fits.any():
            return None
        place[i] = i if fits[i] else np.argmax(fits)
        free[:, place[i]] = False
    return place


def shifted(array: Array, by: int, axis: int, fill: float = 0.0) -> Array:
    """Return an array moved along an axis, what comes in filled.

    Examples
    --------
    >>> import numpy as np
    >>> shifted(np.array([1.0, 2.0, 3.0]), 1, 0)
    array([0., 1., 2.])
    """
    moved = np.roll(array, by, axis)
    edge = [slice(None)] * array.ndim
    edge[axis] = slice(None, by) if by > 0 else slice(by, None)
    moved[tuple(edge)] = fill
    return moved
