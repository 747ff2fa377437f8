"""Is it the right gradient of a slightly other layer? A flipped kernel, a shifted input, an exchanged one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from gradcheck.explain.evidence import Evidence, Guess
from gradcheck.explain.order import shifted
from gradcheck.layer import Array

_ENOUGH = 2  # directions on which a prediction is tested
_LARGEST = 6  # primals looked at
_ODDS = 3.0  # decimal digits that trying so many values is worth


def elsewhere(e: Evidence) -> Iterator[Guess]:
    """Suspect that the gradient is right where one of the primals has another value."""
    if not np.isfinite(e.analytic).all():
        return
    directions = [e.measure.sketch(e.name, k)[0] for k in range(_ENOUGH)]
    for name, array in list(e.values.items())[:_LARGEST]:
        if array.dtype.kind != "f" or not array.size:
            continue
        for text, value in _values(e, name, array):
            if np.array_equal(value, array):
                continue
            with e.measure.at({name: value}):
                slopes = np.array([e.measure.slope({e.name: direction}) for direction in directions])
            if np.isfinite(slopes).all():
                yield e.along("as if", f"it is the gradient for {text}", slopes @ e.measure.weights, odds=_ODDS)


def turned(e: Evidence) -> Iterator[Guess]:
    """Suspect that rows and columns are mistaken for each other: it is that of the input transposed."""
    v = e.cotangent
    if e.analytic.ndim != 2 or v is None or v.shape != e.shape or e.shape[0] != e.shape[1] or not e.cotangents:
        return
    directions = [e.measure.sketch(e.name, k)[0] for k in range(_ENOUGH)]
    with e.measure.at({e.name: e.values[e.name].T}):
        slopes = np.array([e.measure.slope({e.name: direction.T}) for direction in directions])
    if np.isfinite(slopes).all():
        text = "it is that of the layer along the other axis: rows and columns are mistaken for each other"
        yield e.along("other axis", text, slopes @ v.T.ravel(), odds=1.5)


def _values(e: Evidence, name: str, array: Array) -> Iterator[tuple[str, Array]]:
    """Yield what may stand in a primal's place, with words for it."""
    if e.output is not None and e.output.shape == array.shape and e.output.size > 1:
        yield f"the output in place of {name}", e.output
    for other, value in e.values.items():
        if other != name and value.shape == array.shape:
            yield f"{other} in place of {name}", value
    axes = [axis for axis in range(array.ndim) if array.shape[axis] > 1]
    for axis in axes:
        yield f"{name} flipped along axis {axis}", np.flip(array, axis)
    if len(axes) > 1:
        yield f"{name} flipped along its last two axes", np.flip(array, (-2, -1))
        if array.shape[-1] == array.shape[-2]:
            yield f"{name} transposed", np.swapaxes(array, -1, -2)
    for axis in axes:
        text = f"{name} shifted by one along axis {axis}: an index, a padding or a stride is off by one"
        for by in (1, -1):
            yield text, shifted(array, by, axis)
            yield text, np.roll(array, by, axis)
    for text, change in _CHANGES:
        value = change(array)
        if np.isfinite(value).all():
            yield text.format(name), value
    for axis in axes:
        mean = array.mean(axis, keepdims=True)
        yield f"{name} averaged along axis {axis}", np.broadcast_to(mean, array.shape)
        yield f"{name} less its mean along axis {axis}", array - mean


_CHANGES: tuple[tuple[str, Callable[[Array], Array]], ...] = (
    ("-{0} in place of {0}", np.negative),
    ("{} cut to whole numbers", np.trunc),
    ("{} rounded to whole numbers", np.round),
    ("{} rounded to float16", lambda x: x.astype(np.float16).astype(np.float64)),
    ("{} rounded to float32", lambda x: x.astype(np.float32).astype(np.float64)),
    ("2 * {0} in place of {0}", lambda x: 2 * x),
    ("{0} / 2 in place of {0}", lambda x: x / 2),
    ("{0}**2 in place of {0}", np.square),
    ("1 / {0} in place of {0}", lambda x: 1 / x),
    ("{} = 0", np.zeros_like),
    ("{} = 1", np.ones_like),
    ("abs({0}) in place of {0}", np.abs),
)
