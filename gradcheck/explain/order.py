"""Are the entries right, and in another order? Transposed, flipped, shifted, permuted, exchanged with another array."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from gradcheck.explain.evidence import Evidence, Guess
from gradcheck.layer import Array


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
    undone: list[tuple[str, str, Array]] = []
    for axes in permutations(range(e.analytic.ndim)):
        moved = e.analytic.transpose(axes)
        if axes != tuple(range(e.analytic.ndim)) and moved.shape == e.shape:
            words = "it is transposed" if len(axes) == 2 else f"its axes are permuted: transpose{axes}"
            undone.append(("transposed", words, moved))
    for axis in range(e.analytic.ndim):
        if e.shape[axis] < 2:
            continue
        undone.append(("flipped", f"it is flipped along axis {axis}", np.flip(e.analytic, axis)))
        for by in (1, -1):
            text = f"it is shifted by one along axis {axis}"
            undone.append(("shifted", text, np.roll(e.analytic, by, axis)))
            undone.append(("shifted", text, shifted(e.analytic, by, axis, np.nan)))
    if e.analytic.ndim > 1:
        text = "its entries were put into this shape in another order (reshape for .T)"
        undone.append(("transposed", text, e.analytic.ravel(order="F").reshape(e.shape)))
        undone.append(("transposed", text, e.analytic.reshape(e.shape[::-1]).T))
        undone.append(("flipped", "it is flipped along all axes", np.flip(e.analytic)))
    for name, text, observed in undone:
        predicted = np.where(np.isfinite(observed), e.numerical, 0.0)
        yield Guess(name, text, predicted, np.where(np.isfinite(observed), observed, 0.0), odds=2)


def permuted(e: Evidence) -> Iterator[Guess]:
    """Suspect that the slices along one axis are right, each in the place of another."""
    if not e.known.all():
        return
    for axis in range(e.analytic.ndim):
        size = e.shape[axis]
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
    """Return where each row of one matrix stands in the other, if each stands somewhere, and not all in few places."""
    gaps = np.max(np.abs(found[:, None, :] - right[None, :, :]), axis=2)
    place = np.asarray(np.argmin(gaps, axis=1))
    fits = gaps[np.arange(len(found)), place] <= tolerance
    return place if np.all(fits) and 2 * len(set(place.tolist())) >= len(found) else None


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
