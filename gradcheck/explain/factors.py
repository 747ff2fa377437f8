"""Is the gradient right up to a number? A sign, a batch size, the loss itself; or zero, or not zero."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from gradcheck.explain.evidence import TELLING, Evidence, Guess, chance
from gradcheck.explain.places import sides, subject

_CLOSE = 1e-5  # a fitted number so near a named one is it
_FLATNESS = 4.0  # decimal digits that it is worth, of each wrong entry, that f is flat there: two are enough
_CLEARLY = 0.5  # of what is off


def zero(e: Evidence) -> Iterator[Guess]:
    """Suspect that nothing was computed: all wrong entries are zero."""
    if np.all(e.analytic[e.wrong] == 0):
        yield Guess("zero", f"{subject(e)} is zero: its gradient is missing", np.zeros(e.shape), everywhere=False)


def flat(e: Evidence) -> Iterator[Guess]:
    """Suspect that the gradient is not stopped where f is flat: that is where it is wrong, and nowhere else."""
    level = e.known & (np.abs(e.numerical) <= e.bars)
    # on a kink a bar is as wide as its slopes are apart, and 0 may lie between them
    clearly = e.bars <= _CLEARLY * np.abs(e.analytic - e.numerical)
    if np.array_equal(level, e.wrong) and clearly[e.wrong].all():
        text = f"{subject(e)} should be zero: f does not change there"
        if e.typical and not np.any(e.known & ~e.wrong):
            text = f"f does not change with {e.name} here: its gradient should be zero"
        yield Guess("not zeroed", text, e.analytic, proof=_FLATNESS * int(e.wrong.sum()))


def factor(e: Evidence) -> Iterator[Guess]:
    """Suspect one factor: all wrong entries are off by it."""
    constant = _constant(e, np.ones(e.shape, bool))
    if constant is None:
        return
    number, words, hint = constant
    if number == -1:
        yield Guess("sign", f"the sign of {subject(e)} is flipped", -e.numerical, everywhere=False, odds=1.5)
        return
    text = f"{subject(e)} is {words} times what it should be" + (f" ({hint})" if hint else "")
    fitted = int("." in words and not hint)
    yield Guess("factor", text, number * e.numerical, everywhere=False, fitted=fitted, odds=1.5)


def two_factors(e: Evidence) -> Iterator[Guess]:
    """Suspect two factors, one on each side of zero of some array."""
    for words, side in sides(e):
        inside, outside = e.wrong & side, e.wrong & ~side
        if not (inside.any() and outside.any()):
            continue
        one, other = _constant(e, side), _constant(e, ~side)
        if one is None or other is None:
            continue
        text = f"{subject(e)} is {one[1]} times what it should be where {words}, {other[1]} times elsewhere"
        if math.isclose(one[0] * other[0], 1.0, rel_tol=_CLOSE):
            text += ": the two sides are exchanged"
        elif chance(int(inside.sum()), int(e.wrong.sum())) < TELLING:
            continue  # two numbers may lie on the two sides of many things
        predicted = np.where(side, one[0], other[0]) * e.numerical
        yield Guess("sides", text, predicted, everywhere=False, fitted=2, odds=1.5)


def _constant(e: Evidence, where: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> tuple[float, str, str] | None:
    """Return the factor between the gradients at the wrong entries in a place, named; None if there is not one."""
    analytic, numerical, bars = (array[e.wrong & where] for array in (e.analytic, e.numerical, e.bars))
    if not analytic.size or np.any(np.abs(numerical) <= bars) or np.any(analytic == 0):
        return None
    largest = int(np.argmax(np.abs(numerical)))
    ratio = float(analytic[largest] / numerical[largest])
    if np.any(np.abs(analytic - ratio * numerical) > _CLOSE * np.abs(analytic) + 8 * bars * max(1.0, abs(ratio))):
        return None
    return named(e, ratio, max(_CLOSE, 4 * float(bars[largest] / np.abs(numerical[largest]))))


def named(e: Evidence, ratio: float, close: float = _CLOSE) -> tuple[float, str, str]:
    """Return a number exactly, as it is written, and what has that value here; a number that means nothing as it is."""
    near = [number for number in _numbers(e) if math.isclose(number[0], ratio, rel_tol=close)]
    if not near:
        return ratio, plain(ratio), ""
    value, shown, _ = near[0]
    hints = [hint for same, _, hint in near if hint and math.isclose(same, value, rel_tol=1e-9)]
    return value, shown, hints[0] if hints else ""


def plain(value: float) -> str:
    """Write a number as people do: ``1/3``, ``-2``, ``0.123457``.

    Examples
    --------
    >>> plain(1 / 3), plain(-2.0), plain(0.1234567)
    ('1/3', '-2', '0.123457')
    """
    for bottom in (1, 2, 3, 4, 5, 6, 8):
        top = value * bottom
        if math.isfinite(top) and abs(top - round(top)) <= 1e-9 * max(1.0, abs(top)) and 0 < abs(round(top)) <= 12:
            return f"{round(top)}/{bottom}" if bottom > 1 else f"{round(top)}"
    return f"{value:.6g}"


def _numbers(e: Evidence) -> Iterator[tuple[float, str, str]]:
    """Yield the numbers that a gradient is often off by, how they are written, and what has that value here.

    Plain ones come first, then those of the arrays.
    """
    for value in (-1.0, 2.0, 0.5, -2.0, -0.5, 3.0, 1 / 3, 4.0, 0.25):
        yield value, plain(value), ""
    for value, words in ((math.log(2), "ln 2"), (math.log(10), "ln 10")):
        yield value, words, ""
        yield 1 / value, f"1/{words}", ""
    for name, array in (*e.values.items(), *e.outputs.items()):
        label = "the output" if name == "output" else name
        axes = _AXES.get(array.ndim) or [f"slices along axis {i}" for i in range(array.ndim)]
        for n, what in (*zip(array.shape, axes, strict=True), (array.size, "entries")):
            if n > 1:
                for value, words in _of_length(n):
                    yield value, words, f"{label} has {n} {what}"
        if array.size == 1 and array.dtype.kind == "f" and abs(value := float(array.ravel()[0])) > _TINY:
            words = "the loss" if name in e.outputs else name
            yield value, f"{value:.6g}", f"that is {words} itself"
            yield 1 / value, f"{1 / value:.6g}", f"that is one over {words}"
            yield 1 - value, f"{1 - value:.6g}", f"that is 1 - {words}"


def _of_length(n: int) -> Iterator[tuple[float, str]]:
    yield float(n), f"{n}"
    yield 1 / n, f"1/{n}"
    for value, words in ((float(n), f"{n}"), (n / (n - 1), f"{n}/{n - 1}"), ((n - 1) / n, f"{n - 1}/{n}")):
        if math.sqrt(value) % 1:
            yield math.sqrt(value), f"sqrt({words})"
            yield 1 / math.sqrt(value), f"1/sqrt({words})"
    for top, bottom in ((n, n - 1), (n - 1, n)) if n > 2 else ():
        yield top / bottom, f"{top}/{bottom}"


_AXES = {1: ["entries"], 2: ["rows", "columns"]}
_TINY = 1e-6  # a loss below this is no factor that anyone would recognise
