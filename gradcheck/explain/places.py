"""Where is a gradient wrong? A row, a side of zero, beyond a limit, where entries repeat: said in words."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from gradcheck.explain.evidence import TELLING, Evidence, Mask, chance
from gradcheck.layer import Array

_CHOSEN = 1.5  # digits that choosing a limit of some array costs
_VALUES = 12  # labels of so many values are looked at one by one


def subject(e: Evidence) -> str:
    """Say which entries are wrong, as the subject of a sentence: ``"every entry"``, ``"W[2, :]"``.

    Entries that are zero in both gradients do not count: most bugs leave no trace there.
    """
    wrong, visible = e.wrong, e.nonzero
    if e.analytic.size == 1:
        return "the gradient"
    if e.typical:
        if bool(np.all(wrong[visible])):
            return "every entry"
        place = slice_of(e) or _region_phrase(e)
        if place:
            return place
    where = np.argwhere(wrong)
    if len(where) == 1:
        return f"{e.name}[{', '.join(map(str, where[0]))}]"
    if e.known.all():
        return f"each of the {len(where)} wrong entries"
    return "each wrong entry looked at"


def slice_of(e: Evidence) -> str:
    """Return the one slice of the array that is wrong, and all of it: ``"W[:, 1]"``; empty where there is none."""
    for axis in range(e.analytic.ndim):
        if e.shape[axis] < 2 or e.analytic.size == e.shape[axis]:
            continue
        for i in np.unique(np.argwhere(e.wrong)[:, axis]) if e.wrong.any() else ():
            inside = np.zeros(e.shape, bool)
            inside[(slice(None),) * axis + (i,)] = True
            if np.array_equal(e.wrong[e.nonzero], inside[e.nonzero]):
                return f"{e.name}[{', '.join(str(i) if a == axis else ':' for a in range(e.analytic.ndim))}]"
    return ""


def _region_phrase(e: Evidence) -> str:
    found = region(e)
    return f"every entry where {found[0]}" if found and found[1] >= TELLING else ""


def region(e: Evidence) -> tuple[str, float] | None:
    """Return the region that is exactly what is wrong, and how many digits that is worth; None if there is none.

    Examples of its words: ``"x < 0"``, ``"|x| > 0.5"``, ``"y = 1"``.
    """
    wrong = e.wrong & e.nonzero
    worth = chance(int(wrong.sum()), int(e.nonzero.sum()))
    for kind, odds in ((_labels, 0.0), (sides, 0.0), (_limits, _CHOSEN)):
        for text, mask in kind(e):
            if np.array_equal((mask & e.nonzero)[e.known], wrong[e.known]):
                return text, worth - odds
    return None


def sides(e: Evidence) -> Iterator[tuple[str, Mask]]:
    """Yield where each real array is positive, and where it is not."""
    for text, values in _laid_over(e):
        yield f"{text} > 0", values > 0
        yield f"{text} < 0", values < 0
        yield f"{text} <= 0", values <= 0
        yield f"{text} = 0", values == 0


def _labels(e: Evidence) -> Iterator[tuple[str, Mask]]:
    """Yield where each constant (labels, masks) has each of its values."""
    for name, values in e.values.items():
        if values.dtype.kind not in "iub" and len(np.unique(values)) > 2:
            continue
        spread = laid_over(values, e.shape)
        for value in np.unique(values)[:_VALUES] if spread is not None else ():
            yield f"{name} = {value:g}" if values.dtype.kind != "b" else f"{name} is {value}", spread == value


def _limits(e: Evidence) -> Iterator[tuple[str, Mask]]:
    """Yield beyond which value of an array the wrong entries lie, if they lie beyond one."""
    wrong, right = e.wrong & e.nonzero, ~e.wrong & e.nonzero
    if not (wrong.any() and right.any()):
        return
    for text, values in _laid_over(e):
        for words, size in ((f"|{text}|", np.abs(values)), (text, values)):
            for sign, sense in ((">", size), ("<", -size)):
                low, high = float(np.max(sense[right])), float(np.min(sense[wrong]))
                if low < high:
                    limit = roundest(low, high) * (1 if sign == ">" else -1)
                    yield f"{words} {sign} {limit:g}", (size > limit) if sign == ">" else (size < limit)


def roundest(low: float, high: float) -> float:
    """Return the number with the fewest digits between two others.

    Examples
    --------
    >>> roundest(0.482, 0.513), roundest(-2.3, 3.1), roundest(3.11, 3.16)
    (0.5, 0.0, 3.15)
    """
    if low < 0 < high:
        return 0.0
    scale = math.floor(math.log10(max(abs(low), abs(high), 1e-300)))
    for digits in range(17):
        unit = 10.0 ** (scale - digits)
        candidate = math.floor(high / unit) * unit if low < 0 else math.ceil(low / unit) * unit
        half = 0.5 * 10.0 * unit  # five is rounder than one to four
        if low < round(0.5 * (low + high) / half) * half < high:
            return float(f"{round(0.5 * (low + high) / half) * half:.12g}")
        if low < candidate < high:
            return float(f"{candidate:.12g}")
    return 0.5 * (low + high)


def _laid_over(e: Evidence) -> Iterator[tuple[str, Array]]:
    for text, values in e.symbols:
        spread = laid_over(values, e.shape)
        if spread is not None:
            yield text, spread


def laid_over(values: Array, shape: tuple[int, ...]) -> Array | None:
    """Return an array broadcast to a shape, None where that does not fit."""
    try:
        return np.broadcast_to(values, shape) if values.ndim and values.size > 1 else None
    except ValueError:
        return None
