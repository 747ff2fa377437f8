"""Is a term missing, or one too many? Weight decay, the path around a layer, the path through a mean or a variance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcheck.explain.evidence import Evidence, Guess
from gradcheck.explain.factors import plain
from gradcheck.explain.places import laid_over
from gradcheck.layer import Array

_EQUAL = 1e-7  # errors that differ by less than this part of the largest one are the same
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
        fitted = int(abs(number) != 1)
        yield Guess(
            "term", said + (f": {meaning}" if meaning else ""), e.numerical + number * values, fitted=fitted, odds=_MANY
        )


def along_slices(e: Evidence) -> Iterator[Guess]:
    """Suspect the path through a mean or a variance: errors that are constant, or a multiple of the input."""
    own = e.values[e.name]
    for axis in range(e.analytic.ndim):
        length = e.shape[axis]
        if length < 3 or own.shape != e.shape:
            continue
        axes: list[tuple[int | tuple[int, ...], str]] = [(axis, f"axis {axis}")]
        if e.analytic.ndim > 2 and axis == e.analytic.ndim - 1:
            axes.append((tuple(range(1, e.analytic.ndim)), "all axes but the first"))
        if e.analytic.ndim > 2 and axis == 0:
            axes.append((tuple(i for i in range(e.analytic.ndim) if i != 1), "all axes but axis 1"))
        for over, words in axes:
            centred = own - own.mean(axis=over, keepdims=True)
            ones = np.ones(e.shape)
            for columns, text in (
                (
                    (ones,),
                    f"off by a constant along {words}: the path through the mean over {words} is missing or wrong",
                ),
                (
                    (centred,),
                    f"off by a multiple of {e.name} - mean({e.name}) along {words}: the path through the variance"
                    f" over {words} is missing or wrong",
                ),
                (
                    (ones, centred),
                    f"off by a constant and a multiple of {e.name} along {words}: the paths through the mean and"
                    f" the variance over {words} are missing or wrong",
                ),
                *_sums_of(e, words),
                (
                    (e.numerical, ones, centred),
                    f"right up to a factor and a multiple of {e.name} along {words}: the variance over {words} is"
                    " not the forward's (another eps, or m - 1 for m)",
                ),
            ):
                yield from _by_least_squares(e, columns, over, text)


def _sums_of(e: Evidence, words: str) -> Iterator[tuple[tuple[Array, ...], str]]:
    """Yield what a forgotten sum over an axis leaves: a multiple of an array in each slice, as in a softmax."""
    softmax = (f"exp({e.output_name})", np.exp(e.output)) if e.output is not None else ("", np.zeros(0))
    for text, values in (*e.symbols, softmax, *e.hidden):
        spread = laid_over(values, e.shape)
        if spread is not None and text != e.name and np.isfinite(spread).all():
            yield (
                (spread,),
                f"off by a multiple of {text} along {words}: a term {text} * (a sum over {words}) is missing or wrong",
            )


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
    means = np.bincount(group, off) / sizes
    text = (
        f"off by the same amount within each of {len(sizes)} groups of entries of {e.name}: the path through the mean"
        " over a group is missing or wrong"
    )
    yield Guess("path", text, e.numerical + means[group].reshape(e.shape), fitted=len(sizes), odds=_MANY)


def _by_least_squares(
    e: Evidence, columns: tuple[Array, ...], over: int | tuple[int, ...], text: str
) -> Iterator[Guess]:
    """Fit the error in every slice by columns of numbers."""
    if not e.known.all():
        return
    last = (over,) if isinstance(over, int) else over
    ends = tuple(range(-len(last), 0))

    def rows(array: Array) -> Array:
        moved = np.moveaxis(array, last, ends)
        return moved.reshape(-1, int(np.prod([e.shape[a] for a in last])))

    basis = np.stack([rows(column) for column in columns], axis=-1)
    target = rows(e.analytic - e.numerical)
    size = np.maximum(np.max(np.abs(basis), axis=1, keepdims=True), 1e-300)
    basis = basis / size
    fit = (basis @ (np.linalg.pinv(basis, rcond=1e-10) @ target[..., None]))[..., 0]
    order = np.moveaxis(e.analytic, last, ends).shape
    predicted = e.numerical + np.moveaxis(fit.reshape(order), ends, last)
    yield Guess("path", text, predicted, fitted=len(fit) * len(columns), odds=_MANY)


def _terms(e: Evidence) -> Iterator[tuple[str, Array, str]]:
    """Yield what may have been left out or added, with what it stands for."""
    shape = e.shape
    own = e.values[e.name]
    if own.shape == shape and own.dtype.kind == "f":
        yield e.name, own, "weight decay?"
    if e.cotangents and e.cotangent is not None and e.cotangent.shape == shape and e.cotangent.dtype.kind == "f":
        yield "cotangent", e.cotangent, "the path around the layer (residual, skip)?"
    yield "1", np.ones(shape), ""
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
            powers = np.exp(own - own.max(axis=axis, keepdims=True))
            soft = powers / powers.sum(axis=axis, keepdims=True)
            yield f"softmax({e.name})", soft, "the path through the normalisation (log-sum-exp)"
