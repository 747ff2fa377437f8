"""Is an entry that disagrees wrong, or do kinks make it look so? Asked before anybody is accused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from gradcheck.convex import bends_one_way
from gradcheck.excuse import Excuses
from gradcheck.hidden_kink import is_on_a_kink, is_smooth_over, small_kink
from gradcheck.ladder import Estimate
from gradcheck.nearby import SHIFT, Slopes, attained_nearby, slopes_nearby, stays_nearby, steady_nearby
from gradcheck.point import Entry, Point
from gradcheck.probe import default_step
from gradcheck.report import Comparison, Verdict
from gradcheck.report.reasons import BEYOND
from gradcheck.tolerance import agree, allowed

_SAME = 0.2  # slopes nearby that differ by less than this part of an error do not explain it
_ALONE = 1e-3  # of an error: values nearby that differ by less are the same
_BENDS = 1e-3  # nor do they explain an error below this part of the slope: so much they may differ without a kink
_CLOSE = 1e-5  # a kink that is seen over no shorter steps may lie beside the point
_JUMPS = 1e-2  # of an error: kinks that jump by less do not explain it
_FAR_OUTSIDE = 0.1  # of the jump of the slopes, outside everything seen nearby
_ENOUGH = 32  # entries of an array that are wrong nearby too: the rest is not looked at there
_FINER = 2.0**-4
_WITHIN = 0.125  # of a step
_MUCH = 0.1  # of the jump of the slopes: noise that would hide it over steps a little finer
_SMALL_KINK = "its one-sided slopes seem to be {:.6g} and {:.6g}, a kink that is small beside how f bends; move off it"
_SUM_OF_SIDES = 1e-6
_MANY_KINKS = "several kinks meet at or near the point, and the slopes seen do not decide; move the point off them"
_HIDDEN_KINKS = (
    "outside the one-sided slopes of f, but what several kinks at the point may add up to, each of them taking its flat"
    " (or its steep) side; move the point off them"
)


class Accuser:
    """Tells wrong entries from those that only a kink makes look wrong.

    Parameters
    ----------
    point : Point
        Where, with the analytic gradient.
    rtol : float
        Relative tolerance.

    Attributes
    ----------
    on_kinks : set of Entry
        Entries found on a kink, at the point as far as can be told.
    """

    def __init__(self, point: Point, rtol: float) -> None:
        self.point = point
        self.rtol = rtol
        self.on_kinks: set[Entry] = set()
        self._wrong_nearby: Counter[str] = Counter()
        self._excuses = Excuses(point)
        self._mixes_nothing = sum(array.size for array in point.gradient.values()) <= point.base.size

    def accuse(self, entry: Entry, result: Comparison, estimate: Estimate) -> Comparison:
        """Call an entry wrong, unless only a kink makes it look so.

        Where several kinks meet (a whole layer of zero pre-activations), the slopes along one entry do not bound the
        legal values, even where they agree with each other; the convex hull of the gradients at smooth points nearby
        does. The backward must be right at those points.

        Parameters
        ----------
        entry : Entry
            The entry.
        result : Comparison
            Whose error is more than what is allowed.
        estimate : Estimate
            What it was compared with.

        Returns
        -------
        Comparison
            MISMATCH, or KINK or INCONCLUSIVE with the reason.
        """
        name, _ = entry
        if estimate.kinked and (legal := self._by_output(entry, result, estimate)):
            return legal
        may_wave = self._wrong_nearby[name] < _ENOUGH
        if why := self._excuses.excuse(entry, result, estimate, may_wave=may_wave):
            return replace(result, verdict=Verdict.INCONCLUSIVE, reason=why)
        reason = BEYOND if estimate.kinked else ""
        wrong = replace(result, verdict=Verdict.MISMATCH, reason=reason)
        if self._wrong_nearby[name] >= _ENOUGH and not estimate.kinked:
            return wrong
        slopes = slopes_nearby(self.point, entry, max(estimate.high - estimate.low, result.error))
        if slopes.wrong:
            self._wrong_nearby[name] += 1
            return wrong
        if estimate.kinked:
            return self._beyond_both_sides(entry, wrong, estimate, slopes)
        return self._beside_a_slope(entry, wrong, estimate, slopes)

    def at_the_point(self, entry: Entry, estimate: Estimate) -> bool:
        """Tell whether a kink is known to lie at the point, as far as the entry's own size goes, and not beside it."""
        name, index = entry
        return estimate.closest <= _CLOSE * float(self.point.natural(name)[index])

    def as_far_as_is_seen(self, entry: Entry, estimate: Estimate) -> bool:
        """Tell whether over the finest steps that show a kink noise is much: over finer ones, it would hide it."""
        differences = self.point.along_entry(entry)
        level = differences.level(estimate.closest)
        return level.jump_noise > _MUCH * (estimate.high - estimate.low)

    def _beside_a_slope(self, entry: Entry, wrong: Comparison, estimate: Estimate, slopes: Slopes) -> Comparison:
        """Judge an entry off the one slope that f has along it, with a backward that is right all around."""
        # outputs with kinks of opposite sense may cancel in the sum, and so may the kinks of one
        if legal := self._by_output(entry, wrong, estimate):
            return legal
        if sides := small_kink(self.point, entry, wrong, estimate):
            return replace(wrong, verdict=Verdict.INCONCLUSIVE, reason=_SMALL_KINK.format(*sides))
        if slopes.values:
            low, high = min(slopes.values), max(slopes.values)
            bends = _BENDS * max(abs(wrong.analytic), abs(wrong.numerical))
            kinks = high - low > _SAME * wrong.error and wrong.error > bends
            within = self._within(entry, estimate, wrong.error) if kinks else None
            if within is not None and (within.wrong or not within.values):
                return wrong if within.wrong else _unclear(wrong)
            if kinks and not self._bends(entry, wrong.numerical, slopes.values):
                return self._hull(wrong, estimate, low, high) or _unclear(wrong)
        if not is_on_a_kink(self.point, entry):
            return wrong
        if attained_nearby(self.point, entry, wrong.error):
            return _piece(wrong, estimate)
        alone = stays_nearby(self.point, entry, wrong.numerical, _ALONE * wrong.error)
        return wrong if alone else _unclear(wrong)

    def _beyond_both_sides(self, entry: Entry, wrong: Comparison, estimate: Estimate, slopes: Slopes) -> Comparison:
        """Judge an entry outside the two slopes of a kink, with a backward that is right all around."""
        if not slopes.values:
            return _unclear(wrong)
        low, high = min(slopes.values), max(slopes.values)
        jump = estimate.high - estimate.low
        if legal := self._hull(wrong, estimate, low, high):
            return legal
        outside = wrong.analytic - (estimate.high if wrong.analytic > estimate.high else estimate.low)
        bends = _BENDS * max(abs(estimate.low), abs(estimate.high))  # slopes may be so much higher where f bends
        if attained_nearby(self.point, entry, max(jump, high - low), outside if abs(outside) > bends else 0.0):
            return _piece(wrong, estimate)
        if wrong.analytic == 0 or agree(wrong.analytic, estimate.low + estimate.high, 0.0, _SUM_OF_SIDES):
            return replace(wrong, verdict=Verdict.INCONCLUSIVE, reason=_HIDDEN_KINKS)
        if not self.at_the_point(entry, estimate):
            return _unclear(wrong)
        if slopes.are_among(estimate.low, estimate.high):
            outside = max(estimate.low - wrong.analytic, wrong.analytic - estimate.high)
            # one kink, at the point: its two slopes are all there is, where f mixes no kinks of opposite sense
            alone = (entry,) if self._mixes_nothing else ()
            if not steady_nearby(self.point, entry, estimate.closest, 0.1 * outside):
                return wrong if bends_one_way(self.point, alone, jump) else _unclear(wrong)
        outside = max(low - wrong.analytic, wrong.analytic - high)
        return wrong if outside > _FAR_OUTSIDE * jump and bends_one_way(self.point, (), jump) else _unclear(wrong)

    def _bends(self, entry: Entry, here: float, slopes: list[float]) -> bool:
        """Tell whether slopes nearby are others than here because f bends: less so, the nearer one looks."""
        off = max(abs(slope - here) for slope in slopes)
        nearer = slopes_nearby(self.point, entry, max(slopes) - min(slopes), nearer=_FINER).values
        return bool(nearer) and max(abs(slope - here) for slope in nearer) < 0.5 * off

    def _within(self, entry: Entry, estimate: Estimate, error: float) -> Slopes | None:
        """Return the slopes within the step over which f was seen to be smooth, off all kinks; None where it is not.

        What the backward does farther away excuses nothing there: of a large number, such a step may be a small part.
        """
        name, index = entry
        within = _WITHIN * estimate.step / (SHIFT * float(self.point.natural(name)[index]))
        if within >= _FINER or not is_smooth_over(self.point, within * SHIFT):
            return None
        return slopes_nearby(self.point, entry, error, nearer=within)

    def _hull(self, wrong: Comparison, estimate: Estimate, low: float, high: float) -> Comparison | None:
        """Accept an entry that lies between the slopes nearby."""
        margin = 1e-3 * (high - low) + allowed(wrong.analytic, 0.0, estimate.error_bar, self.rtol)
        if not low - margin <= wrong.analytic <= high + margin:
            return None
        bar = 0.5 * (high - low) + margin
        hull = replace(wrong, numerical=0.5 * (low + high), error_bar=bar, allowed=bar)
        return _legal(hull, f"several kinks meet; slopes nearby {low:.6g} to {high:.6g}")

    def _by_output(self, entry: Entry, result: Comparison, estimate: Estimate) -> Comparison | None:
        """Accept an entry that lies between what the sides of its outputs, each by itself, add up to."""
        low, high = self.sides(entry, estimate)
        bar = 0.5 * (high - low) + estimate.error_bar
        legal = replace(result, numerical=0.5 * (low + high), error_bar=bar)
        legal = replace(legal, allowed=allowed(legal.analytic, legal.numerical, bar, self.rtol))
        if not (high - low > _JUMPS * result.error and legal.error <= legal.allowed):
            return None
        if self.at_the_point(entry, estimate):
            self.on_kinks.add(entry)
        return _legal(legal, f"the sides of its outputs, each by itself, add up to {low:.6g} to {high:.6g}")

    def sides(self, entry: Entry, estimate: Estimate) -> tuple[float, float]:
        """Return what the sides of an entry's outputs, each by itself, add up to at least and at most."""
        differences = self.point.along_entry(entry)
        usual = default_step(self.point.eps(entry[0]), differences.ray.scale)
        return differences.sides(max(estimate.closest, min(estimate.step, usual)))


def _piece(wrong: Comparison, estimate: Estimate) -> Comparison:
    bar = wrong.error + estimate.error_bar
    reason = f"several kinks meet; {wrong.analytic:.6g} is the slope of a piece nearby, or between those of two"
    return _legal(replace(wrong, error_bar=bar, allowed=bar), reason)


def _unclear(wrong: Comparison) -> Comparison:
    return replace(wrong, verdict=Verdict.INCONCLUSIVE, reason=_MANY_KINKS)


def _legal(result: Comparison, reason: str) -> Comparison:
    return replace(result, verdict=Verdict.KINK, reason=reason, limit=2 * result.allowed)
