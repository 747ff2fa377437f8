"""What do analytic values beside the point tell of one at the point? What rounding left of it, and how far it holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager

import numpy as np
import numpy.typing as npt

from gradcheck import noise
from gradcheck.point import Entry, Point, scale_of
from gradcheck.probe import signed

_REPEATS = 4
_EXACT, _ROUNDED = (2, 4, 8), (3, 5, 7)  # times the cotangent
_BESIDE = 8.0  # last bits of an entry
_PARTS = (1.0, 0.37, 0.71, 0.13, 0.043)  # of a step: few values of a wave may be alike by accident
_MORE_PARTS = (*_PARTS, 0.57, 0.23, 0.089, 0.83)
_NODES = np.polynomial.legendre.leggauss(8)
_NEAR = 1e-5  # of an entry: a wave that is longer shows in f
_PLAINLY = 0.1  # of what is apart: three values of a wave are not so near each other by accident
_OTHERS = 0.05  # of a value: so far apart are those that rounding draws anew
_SUBTRACTED = 2.0**12  # times the largest number seen: what a backward may subtract
_QUANTA = 16.0  # that its rounding may be off by
_BITS_BY_CHANCE = 2.0**-4  # low bits of one value may be empty by accident
_NEARBY = (2.0**-20, 2.0**-8)  # as a part of the entries: a float32 inside takes what is less for the same


def rests(point: Point) -> dict[str, npt.NDArray[np.bool_]]:
    """Tell of each analytic entry whether it is a rest of rounding: no multiple of the cotangent, as a derivative is.

    For 2, 4 and 8 times the cotangent, products that are not rounded, it is: a formula that is not linear is not.
    """
    with np.errstate(all="ignore"):
        exact = [(times, point.again(times=times)) for times in _EXACT]
        others = [point.gradient, *(point.again(times=times) for times in _ROUNDED)]
        found = {}
        for name, gradient in point.gradient.items():
            is_multiple = np.all([several[name] == times * gradient for times, several in exact], axis=0)
            values = np.stack([several[name] for several in others])
            bends = np.abs(np.diff(values, 2, axis=0)).max(axis=0)
            found[name] = is_multiple & (bends > _OTHERS * np.abs(values).max(axis=0))
    return found


def is_residue(point: Point, entry: Entry) -> bool:
    """Tell whether an analytic entry is all that rounding leaves of larger numbers: it is another nearby.

    Last bits of the inputs may be lost in larger numbers, and rounding go the same way each time; so the point is
    moved farther than that.
    """
    analytic = point.analytic(entry)
    largest = max(*point.scale.values(), point.size / point.reach(entry))
    if abs(analytic) <= math.sqrt(float(np.finfo(point.gradient[entry[0]].dtype).eps)) * largest:
        for part in _NEARBY:
            with closing(_moved(point, entry, part)) as others:  # the point is put back before anybody else looks
                if any(abs(each - analytic) > 0.5 * abs(analytic) for each in others):
                    return True
        return False
    # a large one may be another nearby for kinks: then it is one of few
    values = np.sort([analytic, *_moved(point, entry, _NEARBY[0])])
    return bool(np.all(np.diff(values) > _OTHERS * abs(analytic)))


def holds_over(point: Point, entry: Entry, longest: float) -> float:
    """Return over how long a step of the entry, on both sides, its analytic value stays about the same.

    From there on it predicts other changes of f, which may cancel these: a wave's do. At a kink it is another on
    each side.
    """
    alike, step = 0.5 * abs(point.analytic(entry)), longest
    least = _last_bit(point, entry)
    with _claims_along(point, entry) as value:
        beside = {side: value(_BESIDE * side * least) for side in (1.0, -1.0)}
        while step > least:
            if all(abs(value(side * part * step) - beside[side]) <= alike for part in _PARTS for side in beside):
                break
            step /= 16
    return step


def mean_holds_over(point: Point, entry: Entry, longest: float, apart: float) -> float:
    """Return over how long a step, up to the longest, an analytic entry is about its own mean on both sides.

    Where that is another, by more than `apart`, a central difference over such a step does not show it: f is a wave.
    At the point alone a claim may be odd, so means are compared with one of points right beside it. Most claims stay,
    and that costs three backwards to see.
    """
    name, index = entry
    near = min(longest, _NEAR * float(point.natural(name)[index]))
    least, step = _BESIDE * _last_bit(point, entry), longest
    with _claims_along(point, entry) as value:

        def mean(move: float) -> float:
            return 0.5 * (value(move) + value(-move))

        values = [value(part * near) for part in _PARTS[:3]]
        if max(values) - min(values) <= _PLAINLY * apart:
            return longest
        beside = mean(least)
        while step > least and not all(abs(mean(part * step) - beside) <= apart for part in _MORE_PARTS):
            step /= 4
    return max(step, least)


def mean_over(point: Point, entry: Entry, step: float) -> float:
    """Return the mean of an analytic entry over all that lies within a step, on both sides.

    That is what a central difference over the step shows, if the entry is the derivative of f all the way. Gauss and
    Legendre's rule.
    """
    with _claims_along(point, entry) as value:
        return float(0.5 * sum(weight * value(place * step) for place, weight in zip(*_NODES, strict=True)))


def quantum(point: Point, entry: Entry, error: float) -> float:
    """Return what an analytic entry is a whole multiple of, at points nearby as well; 0 if an error is larger.

    Where a backward subtracts numbers that are so much larger than what remains, that is a multiple of their last
    bits, and off by as much as these are worth. What is rounded to few digits is a multiple too, but of what would
    be the last bit of numbers that are larger than any.
    """
    unit = float(noise.lowest_bit(point.analytic(entry)))
    if error > _QUANTA * unit:
        return 0.0
    eps = float(np.finfo(point.gradient[entry[0]].dtype).eps)
    here = max(point.size, _SUBTRACTED * max(scale_of(point.cotangent), *point.scale.values()))
    largest = max(here, *(_SUBTRACTED * scale_of(point.evaluator.point[name]) for name in point.gradient))
    if unit > largest * eps:
        return 0.0
    moved = list(_moved(point, entry, _NEARBY[-1]))
    coarse = bool(np.all(noise.lowest_bit(np.array(moved)) >= _BITS_BY_CHANCE * unit))
    # one that is the same everywhere may be simple, and a multiple for that
    return unit if coarse and (len(set(moved)) > 1 or unit <= here * eps) else 0.0


def _last_bit(point: Point, entry: Entry) -> float:
    """Return the distance of an entry to the next number."""
    return float(np.spacing(np.abs(point.evaluator.point[entry[0]][entry[1]])))


@contextmanager
def _claims_along(point: Point, entry: Entry) -> Iterator[Callable[[float], float]]:
    """Let an analytic entry be asked for where it has moved by so much; the point is put back at the end."""
    name, index = entry
    with point.away() as at:

        def value(move: float) -> float:
            point.evaluator.point[name][index] = at[name][index] + at[name].dtype.type(move)
            return _claim(point, entry)

        yield value


def _claim(point: Point, entry: Entry) -> float:
    """Return an analytic entry where the point has been moved to."""
    with np.errstate(all="ignore"):
        return float(point.again()[entry[0]][entry[1]])


def _moved(point: Point, entry: Entry, part: float) -> Generator[float, None, None]:
    """Yield an analytic entry at some points at which all inputs have moved by a part of themselves."""
    with point.away() as at:
        for _ in range(_REPEATS):
            for key in point.gradient:  # constants stay
                shift = part * at[key] * signed(point.rng, at[key].shape)
                point.evaluator.point[key][...] = at[key] + shift.astype(at[key].dtype)
            yield _claim(point, entry)
