"""Is an entry that disagrees wrong, or do kinks make it look so? Asked before anybody is accused."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from gradcheck import kink
from gradcheck.convex import bends_one_way
from gradcheck.difference import Differences
from gradcheck.evaluate import Vector
from gradcheck.ladder import Estimate, climb_down
from gradcheck.layer import Array, Named
from gradcheck.nearby import Slopes, attained_nearby, slopes_nearby, steady_nearby
from gradcheck.noise import SPACINGS
from gradcheck.point import Entry, Point
from gradcheck.probe import ProjectionRay, default_step, signed
from gradcheck.report import Comparison, Verdict
from gradcheck.rounded import Grain
from gradcheck.tolerance import agree, allowed

_SAME = 0.2  # slopes nearby that differ by less than this part of an error do not explain it
_BENDS = 1e-3  # nor do they explain an error below this part of the slope: so much they may differ without a kink
_CLOSE = 1e-5  # a kink that is seen over no shorter steps may lie beside the point
_BEYOND = 10.0  # steps so many times longer than the entries themselves see f from afar
_WITHIN = 1e-2  # steps so much smaller than the entries see no structure on their scale
_FAR_OUTSIDE = 0.1  # of the jump of the slopes, outside everything seen nearby
_SUMS = 6
_AT_ONCE = 2.0**-37  # a step that no kink beside the point lies within, as far as can be told
_NOT_ADDING = 1e-2
_ENOUGH = 32  # entries of an array that are wrong nearby too: the rest is not looked at there
_FINER = 2.0**-4
_NEARLY_ALL = 0.05
_SHOWN = 0.02  # of the noise
_UNDERFLOWS = 1e-200
_SOME = 16.0  # last bits of the largest input or output
_WIDTHS = 8.0  # of a step over which f stands still: so far its slope may belong to another point
_FAR, _ODD = 2.0, 0.37  # times the scale of an entry; the second is no multiple of anything
_FARTHEST = 64.0  # times the scale of an entry, on both sides
_SUM_OF_SIDES = 1e-6
_TOO_WIDE = "noise hides the difference over steps as small as the entry itself; longer ones see f from too far away"
_HIDDEN = (
    "outputs too large to show so small a change may hide the difference: give them on their own, or at smaller values"
)
_TOO_SMALL = "so small that products of two such numbers underflow"
_STILL = "f stands still here, and the change that the analytic value predicts is below what rounding inside f may hide"
_PARTLY_STILL = "some outputs of f stand still here, and the error is below what rounding inside f may hide of them"
_BENDS_ON_A_TREAD = "f stands still over steps so long that its slope changes as much: its inputs are rounded inside"
_RESIDUE = "f stands still here, and what is claimed is another value at each point nearby: what rounding leaves of it"
_COARSE = (
    "the analytic value is a multiple of {0:.2g}, here and nearby: what a backward that subtracts large numbers leaves"
)
_CANCELS = "smaller than the last bit of the slopes farther away: a backward that subtracts such numbers loses it"
_WAVE = "f may be a wave that goes up and down within the steps that noise allows, or noise"
_WAVE_LENGTH = 0.1  # of the length of a wave: steps so short show its slope
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
        self._grain: Grain | None = None
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
        name, index = entry
        if estimate.kinked and (legal := self._by_output(entry, result, estimate)):
            return legal
        sizes = self.point.natural(name)
        # small by chance among entries of one size, or one of many sizes, each with a scale of its own?
        natural = max(float(sizes[index]), float(np.quantile(sizes, 0.25)))
        if estimate.step > _BEYOND * natural and (
            self._drowns(entry, result.error, _WITHIN * natural)
            or self._adds_up_to_nothing(entry, result.error, natural)
        ):
            return replace(result, verdict=Verdict.INCONCLUSIVE, reason=_TOO_WIDE)
        if max(abs(result.analytic), abs(result.numerical)) < _UNDERFLOWS:
            return replace(result, verdict=Verdict.INCONCLUSIVE, reason=_TOO_SMALL)
        if how := self._rounds_away(entry, result, estimate):
            return replace(result, verdict=Verdict.INCONCLUSIVE, reason=how)
        if abs(result.numerical) <= estimate.error_bar and self.point.is_residue(entry):
            return replace(result, verdict=Verdict.INCONCLUSIVE, reason=_RESIDUE)
        if not estimate.kinked and (quantum := self.point.quantum(entry, result.error)):
            return replace(result, verdict=Verdict.INCONCLUSIVE, reason=_COARSE.format(quantum))
        if result.analytic == 0 and self._cancels(entry, abs(result.numerical) + estimate.error_bar):
            return replace(result, verdict=Verdict.INCONCLUSIVE, reason=_CANCELS)
        if self._may_be_a_wave(entry, result, 0.0 if estimate.kinked else estimate.step):
            return replace(result, verdict=Verdict.INCONCLUSIVE, reason=_WAVE)
        reason = "outside the one-sided slopes of a kink" if estimate.kinked else ""
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

    def _beside_a_slope(self, entry: Entry, wrong: Comparison, estimate: Estimate, slopes: Slopes) -> Comparison:
        """Judge an entry off the one slope that f has along it, with a backward that is right all around."""
        # outputs with kinks of opposite sense may cancel in the sum, and so may the kinks of one
        if legal := self._by_output(entry, wrong, estimate):
            return legal
        if slopes.values:
            low, high = min(slopes.values), max(slopes.values)
            bends = _BENDS * max(abs(wrong.analytic), abs(wrong.numerical))
            if high - low > _SAME * wrong.error and wrong.error > bends and not self._bends(entry, high - low):
                return self._hull(wrong, estimate, low, high) or _unclear(wrong)
        if not self._on_a_kink(entry):
            return wrong
        return _piece(wrong, estimate) if attained_nearby(self.point, entry, wrong.error) else _unclear(wrong)

    def _beyond_both_sides(self, entry: Entry, wrong: Comparison, estimate: Estimate, slopes: Slopes) -> Comparison:
        """Judge an entry outside the two slopes of a kink, with a backward that is right all around."""
        if not slopes.values:
            return _unclear(wrong)
        low, high = min(slopes.values), max(slopes.values)
        jump = estimate.high - estimate.low
        if legal := self._hull(wrong, estimate, low, high):
            return legal
        if attained_nearby(self.point, entry, max(jump, high - low)):
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

    def _bends(self, entry: Entry, spread: float) -> bool:
        """Tell whether slopes nearby differ because f bends: then they differ less, the nearer one looks."""
        nearer = slopes_nearby(self.point, entry, spread, nearer=_FINER).values
        return bool(nearer) and max(nearer) - min(nearer) < 0.5 * spread

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
        differences = self.point.along_entry(entry)
        usual = default_step(self.point.eps(entry[0]), differences.ray.scale)
        low, high = differences.sides(max(estimate.closest, min(estimate.step, usual)))
        bar = 0.5 * (high - low) + estimate.error_bar
        legal = replace(result, numerical=0.5 * (low + high), error_bar=bar)
        legal = replace(legal, allowed=allowed(legal.analytic, legal.numerical, bar, self.rtol))
        if not (high - low > _WITHIN * result.error and legal.error <= legal.allowed):
            return None
        if self.at_the_point(entry, estimate):
            self.on_kinks.add(entry)
        return _legal(legal, f"the sides of its outputs, each by itself, add up to {low:.6g} to {high:.6g}")

    def _rounds_away(self, entry: Entry, result: Comparison, estimate: Estimate) -> str:
        """Say how a change too small for rounding inside f could be lost where outputs stand still; else nothing.

        Below their last bits (of 1e14 one is worth more than most changes), or on the treads that their values are seen
        to lie on; where all of f is flat, below the last bits of its own inputs too.
        """
        point, step = self.point, estimate.step
        is_flat = abs(result.numerical) <= estimate.error_bar
        longest = max(step, point.reach(entry))
        if is_flat and self._adds_up_to_nothing(entry, result.error, longest, is_wave=not estimate.kinked):
            return _STILL
        # what is known not to react may do so below its last bit, and count where that is worth much
        differences = point.along_entry(entry, alone=is_flat or result.error * step <= point.unseen)
        if not (is_flat or estimate.kinked) and _is_within_a_tread(differences, step, result.error):
            return _BENDS_ON_A_TREAD
        lengths = np.where(differences.moves(step) == 0, step, 0.0)
        if result.error <= differences.lost(lengths):
            _stretch(differences, lengths, longest)
            if result.error <= differences.lost(lengths):
                return _HIDDEN
        if not is_flat and lengths.any():
            differences.explore()
            reacts = differences.reached | (differences.moves(_FARTHEST * differences.ray.scale) > 0)
            lengths[~reacts] = 0.0  # what never reacts hides nothing beside what does
        if not lengths.any():
            return ""
        _stretch(differences, lengths, longest)
        if self._grain is None:
            self._grain = Grain(point)
        if not self._grain.hides(result.error, differences.everywhere(lengths)):
            return ""
        return _STILL if is_flat else _PARTLY_STILL

    def _adds_up_to_nothing(self, entry: Entry, slope: float, longest: float, *, is_wave: bool = True) -> bool:
        """Tell whether a slope changes f by less than last bits of its inputs and outputs over a step of the entry.

        Or over a shorter one, from where on the analytic value is another, if changes may be as those of a wave.
        """
        largest = max(float(np.max(np.abs(array), initial=0.0)) for array in (self.point.base, *self._inputs()))
        lost = max(_SOME * self.point.last_bit * largest, self.point.unseen) / slope
        return longest < lost or (is_wave and self.point.holds_over(entry, longest) < lost)

    def _cancels(self, entry: Entry, slope: float) -> bool:
        """Tell whether a slope may well be lost in a difference of slopes such as f has farther away."""
        differences = self.point.along_entry(entry)
        farther = _FAR * differences.ray.scale
        steepest = float(np.abs(differences.cotangent) @ differences.moves(farther)) / farther
        return slope <= _SOME * self.point.last_bit * steepest

    def _inputs(self) -> list[Array]:
        return [self.point.evaluator.point[name] for name in self.point.gradient]

    def _may_be_a_wave(self, entry: Entry, result: Comparison, step: float) -> bool:
        """Tell whether f may be a wave that is too short for the step which an entry was compared at (0: at a kink).

        A wave of the height of what f was seen to change by, with a slope that is off by the error, is as long as the
        one over the other; and what was measured as noise may be one, if it is nearly all of f.
        """
        differences = self.point.along_entry(entry)
        differences.explore()
        ray = differences.ray
        noise = differences.noise_at(1.0)
        bits = _SOME * self.point.last_bit * differences.size  # what changes by no more is rounded, and no wave
        span = 0.0
        for part in (_FAR, _ODD):  # a wave may be at zero wherever steps are even
            span = max(span, float(np.abs(differences.cotangent) @ differences.moves(part * ray.scale)))
            if noise <= max(_NEARLY_ALL * span, bits):
                break
        else:
            return True
        shortest = SPACINGS[0] * float(self.point.natural(entry[0])[entry[1]])
        rounded = max(bits, _SOME * self.point.last_bit * span)
        changes = (
            result.error * shortest > _SHOWN * noise > _SHOWN * rounded and abs(result.numerical) <= result.error_bar
        )
        if step > 0 and changes and self.point.noise_along(entry) > bits:
            return True  # what the finest table of differences took for noise changes as much as is claimed
        longest = _WAVE_LENGTH * span / result.error
        if step <= longest or span <= bits:
            return False
        level = differences.level(max(longest, 8 * ray.spacing))
        return not abs(level.central - result.numerical) + level.noise <= 0.5 * result.error

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
        for _ in range(_SUMS):
            one, other = anywhere(), anywhere()
            both = {name: one[name] + other[name] for name in one}
            first, second, together = (along(direction).level(_AT_ONCE) for direction in (one, other, both))
            off = abs(together.central - first.central - second.central)
            noise = first.noise + second.noise + together.noise
            if off > 2 * noise + _NOT_ADDING * max(abs(first.central), abs(second.central)):
                return True
        return False

    def _drowns(self, entry: Entry, error: float, step: float) -> bool:
        """Tell whether an error is less than noise makes of a difference at some step."""
        differences = self.point.along_entry(entry)
        differences.explore()
        return error <= differences.noise_at(step) + differences.hidden_at(step)


def _stretch(differences: Differences, lengths: Vector, longest: float) -> None:
    """Lengthen the steps over which outputs are seen to stand still, as far as they do; those of 0 stay so."""
    step = float(lengths.max(initial=0.0))
    still = (lengths == step) & (lengths > 0)
    while step < longest and still.any():
        step = min(4 * step, longest)
        still &= differences.moves(step) == 0
        lengths[still] = step


def _is_within_a_tread(differences: Differences, step: float, error: float) -> bool:
    """Tell whether f stands still over steps so long that its slope changes by an error: rounded inputs do that."""
    level = differences.level(step)
    while error <= _WIDTHS * abs(level.jump) / level.step * step:
        if not differences.moves(step).any():
            return True
        step /= 2
    return False


def _piece(wrong: Comparison, estimate: Estimate) -> Comparison:
    bar = wrong.error + estimate.error_bar
    reason = f"several kinks meet; {wrong.analytic:.6g} is the slope of a piece nearby"
    return _legal(replace(wrong, error_bar=bar, allowed=bar), reason)


def _unclear(wrong: Comparison) -> Comparison:
    return replace(wrong, verdict=Verdict.INCONCLUSIVE, reason=_MANY_KINKS)


def _legal(result: Comparison, reason: str) -> Comparison:
    return replace(result, verdict=Verdict.KINK, reason=reason, limit=2 * result.allowed)
