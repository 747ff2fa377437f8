"""Is an entry that disagrees wrong, or do kinks make it look so? Asked before anybody is accused."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np

from gradcheck import kink
from gradcheck.convex import bends_one_way
from gradcheck.difference import Differences
from gradcheck.excuse import Excuses
from gradcheck.ladder import Estimate, climb_down
from gradcheck.layer import Named
from gradcheck.nearby import SHIFT, Slopes, attained_nearby, slopes_nearby, stays_nearby, steady_nearby
from gradcheck.point import Entry, Point
from gradcheck.probe import ProjectionRay, default_step, signed
from gradcheck.report import Comparison, Verdict
from gradcheck.report.reasons import BEYOND
from gradcheck.tolerance import agree, allowed

_SAME = 0.2  # slopes nearby that differ by less than this part of an error do not explain it
_ALONE = 1e-3  # of an error: values nearby that differ by less are the same
_BENDS = 1e-3  # nor do they explain an error below this part of the slope: so much they may differ without a kink
_CLOSE = 1e-5  # a kink that is seen over no shorter steps may lie beside the point
_JUMPS = 1e-2  # of an error: kinks that jump by less do not explain it
_FAR_OUTSIDE = 0.1  # of the jump of the slopes, outside everything seen nearby
_SUMS = 6
_AT_ONCE = 2.0**-37  # a step that no kink beside the point lies within, as far as can be told
_FAR_OFF, _COARSER = 2.0**-12, 2.0**5  # how long it may become where f is too noisy to be seen over it
_NOT_ADDING = 1e-2
_ENOUGH = 32  # entries of an array that are wrong nearby too: the rest is not looked at there
_FINER = 2.0**-4
_WITHIN = 0.125  # of a step
_BENT = 0.1  # of a slope: what the two sides of a random direction differ by where several kinks meet
_FINE, _EVENLY = 0.25, 0.1  # of a step; of that difference: so nearly it shrinks with the step where f but bends
_HALF = 0.5  # of an error
_LONGER = (1.0, 4.0, 16.0)  # steps, over which noise is less
_AMPLIFIED = 40.0  # times the noise of the shortest step, in both extrapolated slopes together
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
        return level.jump_noise > _BENT * (estimate.high - estimate.low)

    def _small_kink(self, entry: Entry, result: Comparison, estimate: Estimate) -> tuple[float, float] | None:
        """Return one-sided slopes, if a value between them is claimed and they differ by less than f bends.

        Over steps at which that is seen, noise hides how far they are apart; both are extrapolated from longer ones.
        """
        differences = self.point.along_entry(entry)
        level = differences.level(estimate.step)
        if abs(level.jump) + level.jump_noise <= _HALF * result.error:
            return None
        found = []
        for longer in _LONGER:
            levels = [differences.level(longer * estimate.step * finer) for finer in (1.0, 0.5, 0.25)]
            forward, forward_bar = _at_zero([level.forward for level in levels])
            backward, backward_bar = _at_zero([level.backward for level in levels])
            bar = forward_bar + backward_bar + _AMPLIFIED * levels[-1].noise
            if math.isfinite(bar):
                found.append((bar, min(forward, backward), max(forward, backward)))
        bar, low, high = min(found, default=(math.inf, 0.0, 0.0))
        differ = high - low > max(2 * bar, _HALF * result.error)
        return (low, high) if differ and low - bar <= result.analytic <= high + bar else None

    def _beside_a_slope(self, entry: Entry, wrong: Comparison, estimate: Estimate, slopes: Slopes) -> Comparison:
        """Judge an entry off the one slope that f has along it, with a backward that is right all around."""
        # outputs with kinks of opposite sense may cancel in the sum, and so may the kinks of one
        if legal := self._by_output(entry, wrong, estimate):
            return legal
        if sides := self._small_kink(entry, wrong, estimate):
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
        if not self._on_a_kink(entry):
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
        if within >= _FINER or not self._is_smooth(within * SHIFT):
            return None
        return slopes_nearby(self.point, entry, error, nearer=within)

    def _is_smooth(self, step: float) -> bool:
        """Tell whether f has one slope on both sides of the point, along some random directions through all entries."""
        point = self.point
        for _ in range(_SUMS):
            direction = {n: point.natural(n) * signed(point.rng, each.shape) for n, each in point.gradient.items()}
            along = point.along(direction)[0]
            level = along.level(step)
            if abs(level.jump) <= _BENT * max(abs(level.forward), abs(level.backward)) + level.jump_noise:
                continue
            finer = along.level(_FINE * step)
            if abs(finer.jump - _FINE * level.jump) > _EVENLY * abs(level.jump) + finer.jump_noise:
                return False
        return True

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

    def _on_a_kink(self, entry: Entry) -> bool:
        """Tell whether the outputs that an entry reaches are on some kink.

        By the two sides of a random direction; and by slopes that do not add up, since a median of three that are tied
        has the same slope on both sides of every direction.
        """
        point = self.point
        reached = point.along_entry(entry, alone=True)
        reached.explore()
        # an entry tied with others may reach nothing alone: then all outputs are looked at
        weights = np.where(reached.reached | reached.unmoved, point.cotangent, 0.0)

        def along(direction: Named) -> Differences:
            return Differences(ProjectionRay(point.evaluator, direction), point.base, weights, point.noise)

        def anywhere() -> Named:
            return {name: point.natural(name) * signed(point.rng, each.shape) for name, each in point.gradient.items()}

        if kink.judge(climb_down(along(anywhere()))).kinked:
            return True
        step, moves = _AT_ONCE, np.zeros(0, bool)
        one = anywhere()
        along_one = along(one)
        for _ in range(_SUMS):
            other = anywhere()
            three = [along_one, along(other), along({name: one[name] + other[name] for name in one})]
            while True:
                (first, second, together), bars = zip(*(each.by_output(step) for each in three), strict=True)
                bar, adding = sum(bars), _NOT_ADDING * np.maximum(np.abs(first), np.abs(second))
                if np.any(np.abs(together - first - second) > 2 * bar + adding):
                    return True
                vague = bar > adding
                if step >= _FAR_OFF or not vague.any():
                    break
                if not moves.size:
                    moves = three[-1].moves(_FAR_OFF) > 0
                if not vague[moves].any():
                    break
                step *= _COARSER  # what lies on a tread does not show
            one, along_one = other, three[1]
        return False


def _at_zero(slopes: list[float]) -> tuple[float, float]:
    """Extrapolate slopes over a step, its half and its quarter to one of 0; return as well how far that may be off."""
    whole, half, quarter = slopes
    line = 2 * quarter - half
    parabola = (8 * quarter - 6 * half + whole) / 3
    return parabola, abs(parabola - line)


def _piece(wrong: Comparison, estimate: Estimate) -> Comparison:
    bar = wrong.error + estimate.error_bar
    reason = f"several kinks meet; {wrong.analytic:.6g} is the slope of a piece nearby, or between those of two"
    return _legal(replace(wrong, error_bar=bar, allowed=bar), reason)


def _unclear(wrong: Comparison) -> Comparison:
    return replace(wrong, verdict=Verdict.INCONCLUSIVE, reason=_MANY_KINKS)


def _legal(result: Comparison, reason: str) -> Comparison:
    return replace(result, verdict=Verdict.KINK, reason=reason, limit=2 * result.allowed)
