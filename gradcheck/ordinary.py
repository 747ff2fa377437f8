"""Is the backward right at ordinary values? Then what rounding may have made of it here is no error."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from gradcheck.evaluate import BudgetSpent, Vector
from gradcheck.layer import Array, Named
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
        self._noises: dict[float, Vector] = {}

    def hides(self, entry: Entry, slope: float) -> bool:
        """Tell whether a slope is below the last bits of f at ordinary values."""
        change = slope * self._point.reach(entry)
        return change <= _SOME * self._point.last_bit * _LARGEST and change <= self._last_bits

    def is_right(self, entry: Entry, error: float) -> bool:
        """Tell whether the entry agrees wherever its slope is known, and is known at one of these values."""
        point, (name, index) = self._point, entry
        right, noise = False, point.noise
        for size, base, gradient in self._places:
            analytic = float(gradient[name][index])
            with point.away() as at:
                self._go(at, size)
                point.base = base
                try:
                    point.noise = self._noise(size)
                    natural = float(point.natural(name)[index])
                    numerical, doubt = slope_of(point, entry, natural, _RIGHT * _KNOWN * abs(analytic), _STEPS)
                except BudgetSpent:
                    raise
                except Exception:  # nobody asked for this point
                    continue
                finally:
                    point.noise = noise
            if numerical == 0 or not doubt <= _KNOWN * _RIGHT * abs(numerical):
                continue
            off = abs(analytic - numerical)
            rounding = _SOME * point.eps(name) * abs(numerical)
            if not off <= min(_RIGHT * abs(numerical), _OFFSET * error + 2 * doubt + rounding):
                return False
            right = True
        return right

    def _noise(self, size: float) -> Vector:
        """Return the noise of f at one of these values, where the point and its base are: another than at the point."""
        if size not in self._noises:
            self._noises[size] = self._point.noise_here()
        return self._noises[size]

    @cached_property
    def _last_bits(self) -> float:
        """Some last bits of f at these values, weighted."""
        weights = _SOME * self._point.last_bit * np.abs(self._point.cotangent)
        return max((float(weights @ np.abs(base)) for _, base, _ in self._places), default=0.0)

    @cached_property
    def _places(self) -> list[tuple[float, Vector, Named]]:
        """The sizes at which all is finite, with f's outputs and the analytic gradient there."""
        point, found = self._point, []
        with point.away() as at:
            for size in SIZES:
                self._go(at, size)
                base = point.evaluator.outputs("all inputs at ordinary values", far=True)
                if not np.all(np.isfinite(base)):
                    continue
                try:
                    with np.errstate(all="ignore"):
                        found.append((size, base, point.again()))
                except BudgetSpent:
                    raise
                except Exception:  # nobody asked for this point
                    continue
        return found

    def _go(self, at: Named, size: float) -> None:
        for name in self._point.gradient:  # constants stay
            self._point.evaluator.point[name][...] = scaled(at[name], size)


def scaled(array: Array, size: float) -> Array:
    """Return an array in its own dtype, scaled so that a typical entry is of this size; zeros stay.

    What would be larger than any number becomes the largest there is.
    """
    sizes = np.abs(array[(array != 0) & np.isfinite(array)]).astype(np.float64)
    if not sizes.size:
        return array
    most = float(np.finfo(array.dtype).max)
    with np.errstate(all="ignore"):
        return np.asarray(np.clip(array / np.median(sizes) * size, -most, most), array.dtype)
