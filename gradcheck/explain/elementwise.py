"""Is an elementwise factor confused with another? ``z * (1 - z)`` in place of ``a * (1 - a)``: both sides are named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from weakref import WeakKeyDictionary

import numpy as np

from gradcheck.explain.evidence import Evidence, Guess
from gradcheck.explain.expressions import ONE, Expression, expressions, matches, telling, written
from gradcheck.explain.factors import plain
from gradcheck.explain.places import laid_over, subject
from gradcheck.layer import Array

_SAMPLE = 24  # entries by which pairs are sifted; what is left is compared on all
_PAIRS = 4.0  # decimal digits that trying all pairs is worth
_ONE_SIDED = 2.5
_NEARLY = 1e-2  # a cast to float16 does no more, relative to an entry
_GRID = 1e-12
_SYMBOLS = 6  # arrays that expressions are made of
_LARGEST = 20_000  # entries that all of them are compared on
_MADE: WeakKeyDictionary[Evidence, list[Expression]] = WeakKeyDictionary()


def confused(e: Evidence) -> Iterator[Guess]:
    """Suspect that the cotangent is multiplied with one expression where another belongs."""
    yield from _confused(e, everywhere=True)


def confused_in_places(e: Evidence) -> Iterator[Guess]:
    """Suspect the same of the wrong entries alone: a branch of the function, as in ELU."""
    yield from _confused(e, everywhere=False)


def _confused(e: Evidence, *, everywhere: bool) -> Iterator[Guess]:
    base = _base(e)
    if base is None:
        return
    made = _made(e)
    with np.errstate(all="ignore"):
        used, right = e.analytic / base, e.numerical / base
    where = e.nonzero if everywhere else e.wrong
    if where.sum() < 2:
        return  # any expression is a multiple of one number
    bars = 8 * e.bars / np.abs(base)
    found = list(matches(used, where, made, bars))
    wanted = list(matches(right, where, made, bars)) if found else []
    if found and wanted:
        (one, number), (other, times) = min(
            ((one, other) for one in found for other in wanted),
            key=lambda pair: (
                sum(_fitted(number) for _, number in pair),
                *(number < 0 for _, number in pair),
                *_rank(pair[0][0], pair[1][0]),
            ),
        )
        text = f"{written(one, number)} in place of {written(other, times)}"
        if one.text == ONE and number == 1:
            text = f"the factor {written(other, times)} is missing: the cotangent is passed on as it is"
        yield _guess(e, text, base * number * one.values, number, everywhere=everywhere)


def off_by(e: Evidence) -> Iterator[Guess]:
    """Suspect that the ratio of the two gradients is that of two expressions, or one expression."""
    where = np.argwhere(e.wrong)
    with np.errstate(all="ignore"):
        ratio = e.analytic / e.numerical
    if not 2 <= len(where) <= _LARGEST or not np.isfinite(ratio[e.wrong]).all() or np.any(ratio[e.wrong] == 0):
        return
    made = [each for each in _made(e) if telling(each, e.wrong)]
    sample = tuple(where[np.linspace(0, len(where) - 1, min(_SAMPLE, len(where))).astype(int)].T)
    table = np.array([each.values[sample] for each in made])
    usable = np.flatnonzero(np.isfinite(table).all(axis=1) & (table != 0).all(axis=1))
    with np.errstate(all="ignore"):
        # log |ratio| = log |p| - log |q| + constant, and the signs likewise
        logs = np.log(np.abs(table[usable]))
        gap = logs[:, None, :] - logs[None, :, :] - np.log(np.abs(ratio[sample]))
        spread = np.max(gap, axis=2) - np.min(gap, axis=2)
    pairs = [(made[usable[i]], made[usable[j]]) for i, j in np.argwhere(spread < 1e-5) if i != j]
    for one, other in sorted(pairs, key=lambda pair: _rank(*pair))[:8]:
        with np.errstate(all="ignore"):
            quotient = ratio * other.values / one.values
        number = float(np.median(quotient[e.wrong]))
        if not number or not np.isfinite(number):
            continue
        if abs(abs(number) - 1) < 1e-6:
            number = float(np.sign(number))
        with np.errstate(all="ignore"):
            predicted = number * e.numerical * one.values / other.values
        if other.text == ONE:
            text = f"a factor {written(one, number)} too many"
        elif one.text == ONE:
            text = f"the factor {written(other, 1 / number)} is missing"
        else:
            text = f"{written(one, number)} in place of {written(other, 1.0)}"
        yield _guess(e, text, predicted, number, everywhere=False)


def passed_on(e: Evidence) -> Iterator[Guess]:
    """Suspect an elementwise backward: the cotangent times an expression, which is not what belongs there."""
    base = _base(e)
    if base is None or not e.cotangents or base.size < 2:
        return
    with np.errstate(all="ignore"):
        used = e.analytic / base
    bars = 8 * e.bars / np.abs(base)
    for one, number in matches(used, e.nonzero, _made(e), bars):
        factor = "unchanged" if one.text == ONE and number == 1 else f"times {written(one, number)}"
        if e.elementwise:
            legend = _legend(e, factor)
            name = "elementwise"
            text = f"it is the cotangent {factor}{legend}: a term or a factor of the derivative is missing"
        else:
            name = "entry by entry"
            text = (
                f"it is the cotangent {factor}{_legend(e, factor)}, entry by entry, as if each output depended on its"
                " own entry alone"
            )
        yield Guess(name, text, base * number * one.values, fitted=_fitted(number), odds=_ONE_SIDED)
        return


def coarse(e: Evidence) -> Iterator[Guess]:
    """Suspect a cast on the way: the values are nearly right, and have the digits of a coarser dtype."""
    with np.errstate(all="ignore"):
        if np.any(np.abs(e.analytic - e.numerical)[e.wrong] > _NEARLY * np.abs(e.numerical)[e.wrong]):
            return
        base = _base(e)
        for values in (e.analytic, e.analytic / base) if base is not None else (e.analytic,):
            some = np.asarray(values[e.nonzero], np.float64)
            telling = np.abs(some * 64 - np.round(some * 64)) > _GRID  # numbers of few digits are on any grid
            for dtype in (np.dtype(np.float16), np.dtype(np.float32)):
                if telling.sum() >= 2 and np.all(
                    np.abs(some.astype(dtype).astype(np.float64) - some) <= _GRID * np.abs(some)
                ):
                    text = f"its values have the digits of {dtype} only: something is cast on the way"
                    yield Guess("precision", text, e.analytic, proof=5.0 * int(telling.sum()))
                    return


def not_stopped(e: Evidence) -> Iterator[Guess]:
    """Suspect that the cotangent is let through at some of the entries where f is flat."""
    base = _base(e)
    if base is None or np.any(np.abs(e.numerical[e.wrong]) > e.bars[e.wrong]):
        return
    with np.errstate(all="ignore"):
        used = e.analytic / base
    text = f"{subject(e)} should be zero: f does not change there"
    for one, number in matches(used, e.wrong, _made(e), 8 * e.bars / np.abs(base)):
        predicted = base * number * one.values
        yield Guess("not zeroed", text, predicted, everywhere=False, fitted=_fitted(number), odds=_ONE_SIDED)


def other_mask(e: Evidence) -> Iterator[Guess]:
    """Suspect another mask than the forward's: factors of 0 and one number in both gradients, in other places."""
    base = _base(e)
    if base is None or not e.cotangents:
        return
    with np.errstate(all="ignore"):
        used = np.where(e.nonzero, e.analytic / base, 0.0)
        right = np.where(np.abs(e.numerical) > e.bars, e.numerical / base, 0.0)
    number = float(np.max(np.abs(right)))
    both = np.stack([used, right])[:, e.known]
    two = np.isclose(both, 0, atol=1e-9) | np.isclose(both, number, rtol=1e-6)
    if number and two.all() and np.any((used == 0) & e.wrong) and np.any((used != 0) & e.wrong):
        text = "some entries are let through that the forward stops, and others not: the mask is not the forward's"
        yield Guess("other mask", text, base * np.where(used == 0, 0.0, number), odds=0.31 * e.analytic.size)


def _base(e: Evidence) -> Array | None:
    """Return what an elementwise layer multiplies its derivative with: the cotangent, 1 for a loss."""
    if not e.cotangents:
        return np.ones(e.shape) if e.output is not None and e.output.size == 1 else None
    base = e.cotangent
    if base is None or base.dtype.kind == "c" or base.shape != e.shape or not np.all(base):
        return None
    return base.astype(np.float64)


def _made(e: Evidence) -> list[Expression]:
    if e not in _MADE:
        symbols = [
            (text, values) for text, values in e.symbols if not values.ndim or laid_over(values, e.shape) is not None
        ]
        _MADE[e] = expressions([*symbols[:_SYMBOLS], *e.hidden], e.shape) if e.analytic.size <= _LARGEST else []
    return _MADE[e]


def _rank(one: Expression, other: Expression) -> tuple[int, bool, int]:
    """Order pairs: one array first, then one shape with two arguments, then single factors, then two of one array."""
    if {one.shape, other.shape} == {ONE, "{u}"}:
        kind = 0
    elif one.shape == other.shape and one.shape not in ("quotient", "product"):
        kind = 1
    elif ONE in (one.text, other.text):
        kind = 4 if "quotient" in (one.shape, other.shape) else 2
    else:
        kind = 3
    of_two = kind == 3 and bool(one.argument and other.argument) and one.argument != other.argument
    return kind, of_two, one.place + other.place


def _guess(e: Evidence, text: str, predicted: Array, number: float, *, everywhere: bool) -> Guess:
    place = subject(e)
    where = "" if place in ("every entry", "the gradient") else f" ({place.removeprefix('every entry ')})"
    said = text + _legend(e, text) + where
    return Guess("elementwise", said, predicted, everywhere=everywhere, fitted=_fitted(number), odds=_PAIRS)


def _legend(e: Evidence, text: str) -> str:
    """Say what the output's letter stands for, where it occurs."""
    used = e.output is not None and e.output.size > 1 and re.search(rf"\b{e.output_name}\b", text)
    return f" ({e.output_name}: the output)" if used and e.output_name != "output" else ""


def _fitted(number: float) -> int:
    return int("." in plain(number) or "e" in plain(number))
