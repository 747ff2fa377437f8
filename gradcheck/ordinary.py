"""Is the backward right at ordinary values? Then what rounding may have made of it here is no error."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from functools import cached_property

import numpy as np

from gradcheck.evaluate import BudgetSpent
from gradcheck.layer import Array
from gradcheck.nearby import ABOVE, BELOW, slope_of
from gradcheck.point import Entry, Point

SIZES = (1.0, 0.25, 4.0)
"""Of the typical entry of each array, at ordinary values."""
_RIGHT = 1e-2  # of a slope: so near it a right value comes
_OFFSET = 0.5  # of an error: an entry that is off by as much there is off everywhere
_SOME = 16.0  # last bits
_LARGEST = 2.0**20  # f is no larger than that at ordinary values, or not looked at there
_KNOWN = 0.1
_STEPS = (*BELOW, *ABOVE)  # the longer ones where f is noisy


class OrdinaryValues:
    """The points at which each array has the pattern of the given one, and a typical entry of an ordinary size.

    Where f saturates it may be tiny, and exact as far as its values show, though it is what large numbers leave inside:
    ``p * log(p)`` of a softmax, one of whose outputs rounds to 1. What is lost then is less than a last bit of f at
    ordinary values; a formula that is wrong is wrong there as well.

    Parameters
    ----------
    point : Point
        Where an entry disagrees; left as it is.
    """

    def __init__(self, point: Point) -> None:
        self._point = point

    def excuse(self, entry: Entry, error: float) -> bool:
        """Tell whether an error is below the last bits of f at ordinary values, and the entry right at some of them."""
        change = error * self._point.reach(entry)
        least = _SOME * self._point.last_bit * _LARGEST
        return change <= least and change <= self._last_bits and self._is_right(entry, error)

    @cached_property
    def _last_bits(self) -> float:
        """Some last bits of f at these values, weighted."""
        weights = _SOME * self._point.last_bit * np.abs(self._point.cotangent)
        return max((float(weights @ np.abs(self._point.base)) for _ in self._places()), default=0.0)

    def _is_right(self, entry: Entry, error: float) -> bool:
        """Tell whether the entry agrees wherever its slope is known, and is known at one of these values."""
        name, index = entry
        right = False
        with closing(self._places()) as places:  # the point is put back before anybody else looks
            for _ in places:
                try:
                    with np.errstate(all="ignore"):
                        analytic = float(self._point.again()[name][index])
                    size = float(self._point.natural(name)[index])
                    numerical, doubt = slope_of(self._point, entry, size, _RIGHT * _KNOWN * abs(analytic), _STEPS)
                except BudgetSpent:
                    raise
                except Exception:  # nobody asked for this point
                    continue
                if numerical == 0 or not doubt <= _KNOWN * _RIGHT * abs(numerical):
                    continue
                off = abs(analytic - numerical)
                rounding = _SOME * self._point.eps(name) * abs(numerical)
                if off > min(_RIGHT * abs(numerical), _OFFSET * error + 2 * doubt + rounding):
                    return False
                right = True
        return right

    def _places(self) -> Generator[None, None, None]:
        """Move the point, and f's outputs with it, to each of these values in turn."""
        with self._point.away() as at:
            for size in SIZES:
                for name in self._point.gradient:  # constants stay
                    self._point.evaluator.point[name][...] = scaled(at[name], size)
                self._point.base = self._point.evaluator.outputs("all inputs at ordinary values", far=True)
                if np.all(np.isfinite(self._point.base)):
                    yield


def scaled(array: Array, size: float) -> Array:
    """Return an array in its own dtype, scaled so that a typical entry is of this size; zeros stay."""
    sizes = np.abs(array[(array != 0) & np.isfinite(array)])
    return (array * (size / np.median(sizes))).astype(array.dtype) if sizes.size else array
