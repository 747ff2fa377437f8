"""Is a term missing, or one too many? Weight decay, the path around a layer, the path through a mean or a variance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcheck.explain.evidence import Evidence, Guess, softmax
from gradcheck.explain.factors import plain
from gradcheck.explain.places import laid_over
from gradcheck.layer import Array

_EXACTLY, _ROUGHLY = 1e-5, 0.5  # parts of a sum's terms: what rounding leaves of it, and what the eps of a variance
_EQUAL = 1e-7  # errors that differ by less than this part of the largest one are the same
_WRITTEN = 7  # letters of a number that somebody may have written, as 0.00025; others come of a computation
_LARGEST = 200_000  # numbers of a system of equations that is worth solving
_MANY = 2.0  # decimal digits that the number of terms tried is worth


def one_term(e: Evidence) -> Iterator[Guess]:
    """Suspect that a multiple of one array is missing, or too many."""
    off = np.where(e.known, e.analytic - np.nan_to_num(e.numerical), 0.0)
    for text, values, meaning in _terms(e):
        term = np.where(e.known, values, 0.0)
        size = float(np.sum(term * term))
        if not np.isfinite(size) or size == 0:
            continue
        number = float(np.sum(off * term)) / size
        if abs(abs(number) - 1) < 1e-6:
            number = float(np.sign(number))
        if not number:
            continue
        shown = text if abs(number) == 1 else f"{plain(abs(number))} * {text}".removesuffix(" * 1")
        said = f"the term {shown} is missing" if number < 0 else f"a term {shown} too many"
        if meaning and len(plain(abs(number))) <= _WRITTEN:
            said += f": {meaning}"
        yield Guess("term", said, e.numerical + number * values, fitted=int(abs(number) != 1), odds=_MANY)


def along_slices(e: Evidence) -> Iterator[Guess]:
    """Suspect the path through a mean or a variance: errors that are constant, or a multiple of the input.

    Only where f does not change when a slice is shifted as a whole, for a mean; and for a variance, where it hardly
    does when one is scaled: the right gradient tells both.
    """
    own, ones = e.values[e.name], np.ones(e.shape)
    for over, words in _slices(e):
        if np.any(np.any(e.nonzero, over) & ~np.any(e.wrong, over)):
            continue  # a path that is missing in some slices is missing in all
        centred = own - own.mean(axis=over, keepdims=True)
        shifts = _cancels(e.numerical, over, _EXACTLY)
        scales = shifts and _cancels(e.numerical * centred, over, _ROUGHLY)
        for columns, likely, off, wrong in (
            ((ones,), shifts, "off by a constant", f"the path through the mean over {words} is missing or wrong"),
            (
                (centred,),
                scales,
                f"off by a multiple of {e.name} - mean({e.name})",
                f"the path through the variance over {words} is missing or wrong",
            ),
            *(
                (
                    (values,),
                    True,
                    f"off by a multiple of {text}",
                    f"a term {text} * (a sum over {words}) is missing or wrong",
                )
                for text, values in _summed(e, over)
            ),
            (
                (ones, centred),
                scales,
                f"off by a constant and a multiple of {e.name}",
                f"the paths through the mean and the variance over {words} are missing or wrong",
            ),
            (
                (e.numerical, centred),
                scales,
                f"right up to a factor and a multiple of {e.name}",
                f"the variance over {words} is not the forward's (another eps, m - 1 for m, or no division by it)",
            ),
        ):
            if likely:
                yield from _by_least_squares("path", f"{off} along {words}: {wrong}", e, columns, over)


def off_along_slices(e: Evidence) -> Iterator[Guess]:
    """Say that the error is the same all along each slice, where that tells of no mean."""
    for over, words in _slices(e):
        yield from _by_least_squares(
            "off along slices", f"off by a constant along {words}", e, (np.ones(e.shape),), over
        )


def _slices(e: Evidence) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yield along which axes there may be a mean, the widest first, and what they are called; none of complex ones."""
    shape, ndim = e.shape, e.analytic.ndim
    if e.values[e.name].shape != shape:
        return
    if ndim > 2:
        yield tuple(range(1, ndim)), "all axes but the first"
        yield (0, *range(2, ndim)), "all axes but axis 1"
    if ndim > 3:
        yield tuple(range(2, ndim)), "all axes but the first two"
    for axis in range(ndim):
        if shape[axis] > 2:
            yield (axis,), f"axis {axis}"


def _cancels(terms: Array, over: tuple[int, ...], part: float) -> bool:
    """Tell whether the sums over some axes are as good as zero: a small part of what is summed."""
    return bool(np.all(np.abs(terms.sum(over)) <= part * np.abs(terms).sum(over)))


def _summed(e: Evidence, over: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """Yield what a forgotten sum over some axes leaves a multiple of in each slice, as in a softmax."""
    softmax = (f"exp({e.output_name})", np.exp(e.output)) if e.output is not None else ("", np.zeros(0))
    for text, values in (*e.symbols, softmax, *e.hidden):
        spread = laid_over(values, e.shape)
        if spread is not None and np.isfinite(spread).all() and np.any(np.ptp(spread, axis=over)):
            yield text, spread


def along_both(e: Evidence) -> Iterator[Guess]:
    """Suspect a sum over the wrong axis: an array times a number for each row and one for each column."""
    if e.analytic.ndim != 2 or not e.known.all() or e.analytic.size * sum(e.shape) > _LARGEST:
        return
    rows, columns = (np.eye(n) for n in e.shape)
    off = (e.analytic - e.numerical).ravel()
    for text, values in (("", np.ones(e.shape)), *e.symbols, *e.hidden):
        spread = laid_over(values, e.shape)
        if spread is None or not np.isfinite(spread).all():
            continue
        numbers = np.concatenate([np.repeat(rows, e.shape[1], axis=0), np.tile(columns, (e.shape[0], 1))], axis=1)
        basis = spread.reshape(-1, 1) * numbers
        fit = (basis @ np.linalg.lstsq(basis, off, rcond=1e-10)[0]).reshape(e.shape)
        what = f"off by {text} times a number" if text else "off by a number"
        said = f"{what} for each row and one for each column: a sum is over the wrong axis"
        yield Guess("other axis", said, e.numerical + fit, fitted=sum(e.shape) - 1, odds=_MANY)


def in_groups(e: Evidence) -> Iterator[Guess]:
    """Suspect the path through the mean over groups of entries, whichever they are: the error is the same in each."""
    if not e.known.all():
        return
    off = (e.analytic - e.numerical).ravel()
    order = np.argsort(off)
    gaps = np.diff(off[order]) > _EQUAL * float(np.max(np.abs(off)))
    group = np.zeros(off.size, int)
    group[order] = np.concatenate([[0], np.cumsum(gaps)])
    sizes = np.bincount(group)
    if len(sizes) < 2 or sizes.min() < 2:
        return
    right = e.numerical.ravel()
    if not np.all(np.abs(np.bincount(group, right)) <= _EXACTLY * np.bincount(group, np.abs(right))):
        return  # f changes where a group is shifted as a whole: there is no mean that is taken off
    means = np.bincount(group, off) / sizes
    if np.any(np.abs(means) <= _EQUAL * np.max(np.abs(means))):
        return  # a mean that some groups have and others not
    text = (
        f"off by the same amount within each of {len(sizes)} groups of entries of {e.name}: the path through the mean"
        " over a group is missing or wrong"
    )
    yield Guess("path", text, e.numerical + means[group].reshape(e.shape), fitted=len(sizes), odds=_MANY)


def _by_least_squares(
    name: str, text: str, e: Evidence, columns: tuple[Array, ...], over: tuple[int, ...]
) -> Iterator[Guess]:
    """Fit the error in every slice by columns of numbers."""
    if not e.known.all():
        return
    ends = tuple(range(-len(over), 0))

    def rows(array: Array) -> Array:
        moved = np.moveaxis(array, over, ends)
        return moved.reshape(-1, int(np.prod([e.shape[a] for a in over])))

    basis = np.stack([rows(column) for column in columns], axis=-1)
    target = rows(e.analytic - e.numerical)
    size = np.maximum(np.max(np.abs(basis), axis=1, keepdims=True), 1e-300)
    basis = basis / size
    fit = (basis @ (np.linalg.pinv(basis, rcond=1e-10) @ target[..., None]))[..., 0]
    order = np.moveaxis(e.analytic, over, ends).shape
    predicted = e.numerical + np.moveaxis(fit.reshape(order), ends, over)
    yield Guess(name, text, predicted, fitted=len(fit) * len(columns), odds=_MANY)


def _terms(e: Evidence) -> Iterator[tuple[str, Array, str]]:
    """Yield what may have been left out or added, with what it stands for."""
    shape = e.shape
    own = e.values[e.name]
    if own.shape == shape and own.dtype.kind == "f":
        yield e.name, own, "weight decay?"
    if e.cotangents and e.cotangent is not None and e.cotangent.shape == shape and e.cotangent.dtype.kind == "f":
        yield "cotangent", e.cotangent, "the path around the layer (residual, skip)?"
    yield "1", np.ones(shape), ""
    if own.shape == shape and own.dtype.kind == "f":
        yield f"sign({e.name})", np.sign(own), "L1 penalty?"
    for text, values in e.symbols:
        spread = laid_over(values, shape)
        if spread is not None and text != e.name:
            yield text, spread, ""
    for text, array in e.values.items():
        if array.dtype.kind in "iu" and array.ndim == 1 and len(shape) == 2 and array.size == shape[0]:
            hot = np.arange(shape[1]) == array[:, None]
            yield f"one_hot({text})", hot.astype(float), "the path through the right class"
    if own.shape == shape and own.ndim and own.dtype.kind == "f":
        for axis in {own.ndim - 1, 0}:
            yield f"softmax({e.name})", softmax(own, axis), "the path through the normalisation (log-sum-exp)"
