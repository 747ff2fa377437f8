"""Does part of f lie on a tread, so flat that only long steps show its slope? Asked of the backward's own claims."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gradcheck.claims import mean_over
from gradcheck.difference import Differences
from gradcheck.evaluate import BudgetSpent
from gradcheck.point import Entry, Point
from gradcheck.rounded import INSIDE

_HALF = 2.0**-10  # last bit of float16
_AVERAGED = 4.0  # lengths of a tread, over which one edge more or less is little
_SHORTER, _SHORT = 4.0, 2.0**-8  # steps are so many times shorter each time, down to this part of the scale
_SAME, _LEFT = 0.2, 0.3  # of the error
_BENDS = 0.1  # of the error
_AT_ONCE, _STEEP = 2.0**-32, 64.0  # of a step; of slopes
_JUMP = 2.0**-6  # of the error: many outputs may each have an edge of their own
_CLAIMED = 0.5  # of what is missing less beyond an edge: so much the claims may have changed there
_TEETH = (2.0**-4, 2.0**-5, 2.0**-6, 2.0**-7)  # of a step
_HIGHEST = 2.0  # teeth


@dataclass(frozen=True, slots=True)
class _Over:
    """The slope of f over a step, and the mean of what is claimed on the way."""

    step: float
    slope: float
    claimed: float

    @property
    def missing(self) -> float:
        return self.claimed - self.slope

    @property
    def height(self) -> float:
        return abs(self.missing) * self.step


class FlatPart:
    """A part of f that rounding to float32 or float16 holds still, over the steps that show best what the rest does.

    A right backward has the slope of both. Over steps across several edges f does what it claims on the way, but for
    the height of a tread, and over shorter ones it does not. What a backward gets wrong, f does over no step; and where
    it is wrong close to the point alone, it is the claims that jump, and not f.

    Parameters
    ----------
    point : Point
        With the analytic gradient.
    entry : Entry
        Which differs.
    differences : Differences
        Along it.
    numerical : float
        The slope of f without that part.
    """

    def __init__(self, point: Point, entry: Entry, differences: Differences, numerical: float) -> None:
        self._point = point
        self._entry = entry
        self._differences = differences
        self._numerical = numerical
        self._error = point.analytic(entry) - numerical

    def explains(self, step: float) -> bool:
        """Tell whether it explains the error, where the slope of the rest was known over such a step."""
        differences, error = self._differences, abs(self._error)
        differences.explore()
        largest = max(differences.size, float(np.abs(differences.cotangent).max(initial=0.0)))
        tread = INSIDE * _HALF * largest / error
        if not tread > step:
            return False
        longest = _AVERAGED * min(tread, differences.ray.scale)
        shortest = min(longest, max(_SHORT * differences.ray.scale, _AVERAGED * step))
        while longest >= shortest:
            slope = differences.level(longest).central
            # no edge lies within a step over which f does no more than close to the point, but bend
            if abs(slope - self._numerical) <= _LEFT * error or self._but_bends(longest):
                return False
            over = self._over(longest, slope)
            # one edge more or less is twice as much over half the step
            if abs(over.missing) <= _SAME * error and abs(self._over(longest / 2).missing) <= 2 * _SAME * error:
                return self._is_a_tread(self._over(step), over)
            longest /= _SHORTER
        return False

    def _but_bends(self, step: float) -> bool:
        """Tell whether the slopes over a step and shorter ones lead back to the one close to the point."""
        slopes = [self._differences.level(step / part).central for part in (1, 2, 4, 8)]
        ends = [(64 * slopes[k + 2] - 20 * slopes[k + 1] + slopes[k]) / 45 for k in (0, 1)]
        return all(abs(end - self._numerical) <= _BENDS * abs(self._error) for end in ends)  # one may by accident

    def _is_a_tread(self, near: _Over, far: _Over) -> bool:
        """Tell whether what is missing grows up to an edge, where f makes up for it, and in the end is no more."""
        if not self._all_is_missing(near):
            return False
        never_more = min(far.height, self._over(far.step / 2).height)
        teeth = [self._over(part * far.step).height for part in _TEETH]
        least_jump = _JUMP * abs(self._error)
        # closer together than any kink could lead f there
        at_once = max(_AT_ONCE, least_jump / (_STEEP * max(abs(near.slope), abs(self._error))))
        while far.step > near.step * (1 + at_once):
            middle = self._over(math.sqrt(near.step) * math.sqrt(far.step))
            # beyond an edge it comes back little by little, and goes at once at the next
            if self._all_is_missing(middle):
                near = middle
            else:
                far = middle
        jump = abs(far.missing - near.missing)
        by_f = jump > max(least_jump, abs(far.claimed - near.claimed) / _CLAIMED)
        return by_f and never_more <= _HIGHEST * max(near.height, far.height, *teeth)

    def _all_is_missing(self, over: _Over) -> bool:
        return abs(over.missing - self._error) <= _LEFT * abs(self._error)

    def _over(self, step: float, slope: float | None = None) -> _Over:
        slope = self._differences.level(step).central if slope is None else slope
        try:
            return _Over(step, slope, mean_over(self._point, self._entry, step))
        except BudgetSpent:
            raise
        except Exception:  # nobody asked for this step
            return _Over(step, slope, math.nan)
