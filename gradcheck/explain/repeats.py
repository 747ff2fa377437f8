"""Is it wrong only where something repeats? Ties of maxima and sorts, indices that occur more than once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcheck.explain.evidence import Evidence, Guess, chance
from gradcheck.layer import Array
from gradcheck.report.reasons import BEYOND, KINK, TIE

REPEATED = (
    "it is wrong only where an index in {} occurs more than once: the contributions overwrite each other; add them up"
    " (np.add.at)"
)
_WHERE_REPEATED = (
    "it is wrong only where an index in {} occurs more than once: are all contributions added up (np.add.at)?"
)


def ties(e: Evidence) -> Iterator[Guess]:
    """Suspect ties: the wrong entries are legal one by one and not together, or have the same value as others."""
    text = (
        "it is wrong only where entries are tied: of tied ones one gets the gradient, or they share it; not each all of"
        " it, nor none any"
    )
    if e.reasons and all(reason.startswith(TIE) for reason in e.reasons):
        yield Guess("ties", text, e.analytic, proof=10.0)
        return
    if any(reason.startswith(KINK) for reason in e.reasons) and all(map(_is_of_a_kink, e.reasons)):
        text = "it is wrong only on a kink that entries or outputs share: no side of it has the slopes that are claimed"
        yield Guess("kink", text, e.analytic, proof=10.0)
        return
    values = e.values[e.name]
    if values.shape != e.shape:
        return
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    tied = counts[inverse].reshape(e.shape) > 1
    if np.array_equal(e.wrong, tied & e.known & e.nonzero):
        yield Guess("ties", text, e.analytic, proof=chance(int(e.wrong.sum()), int(e.known.sum())))


def _is_of_a_kink(reason: str) -> bool:
    return reason.startswith((TIE, KINK, BEYOND))


def repeated(e: Evidence) -> Iterator[Guess]:
    """Suspect repeated indices: the wrong slices are those whose index occurs more than once."""
    for name, index in e.values.items():
        if index.dtype.kind not in "iu" or not index.size or index.min() < 0:
            continue
        for axis, length in enumerate(e.shape):
            if index.max() >= length:
                continue
            often = np.bincount(index.ravel(), minlength=length) > 1
            wrong = np.moveaxis(e.wrong, axis, 0).reshape(length, -1).any(axis=1)
            if not np.array_equal(wrong, often):
                continue
            last = _last_of_each(e, index, axis)
            if last is not None:
                yield Guess("repeats", REPEATED.format(name), last)
            text = _WHERE_REPEATED.format(name)
            yield Guess("repeats", text, e.analytic, proof=chance(int(e.wrong.sum()), int(e.known.sum())))


def _last_of_each(e: Evidence, index: Array, axis: int) -> Array | None:
    """Return the gradient of which each slice has the cotangent of one occurrence alone: the last that was written."""
    if axis or e.cotangent is None or e.cotangent.shape != (*index.shape, *e.shape[1:]):
        return None
    written = np.zeros(e.shape)
    written[index] = e.cotangent
    return written
