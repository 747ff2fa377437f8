"""Does each entry of a gradient agree with its numerical twin? Cheap first, the ladder for what does not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, repeat
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.accuse import Accuser
from gradcheck.complex_step import ComplexStep
from gradcheck.difference import Differences, Level
from gradcheck.evaluate import BudgetSpent
from gradcheck.ladder import Estimate
from gradcheck.layer import Named
from gradcheck.point import Entry, Point
from gradcheck.probe import signed
from gradcheck.report import Comparison, Verdict
from gradcheck.settle import Settled, settle, settle_along, tells
from gradcheck.sight import Doubt, Sight, is_smooth, looks_smooth
from gradcheck.tally import Tally
from gradcheck.tolerance import agree, allowed, meaningful
from gradcheck.treads import STAIRCASE, climbs

if TYPE_CHECKING:
    from gradcheck.looks import Looks

_CLEAR = 1e-3  # a bar of the first step below this part of an entry is good enough; a ladder would only sharpen it
_ACCUSES = 9.0  # so many more error bars than allowed: noise is measured in one direction, and may be larger in others
BY_LUCK = 4.0
"""A first look so many times farther off than it allows agrees with an error by accident only."""
SECOND = 16.0
"""How many times finer a second look is."""
_TREADS = 4.0  # of such a height together
_MEANINGFUL = 0.25  # of the jump of the slopes: a bar that tells a value between them from one outside
_ALONE = 3  # so few doubtful entries are measured one by one, not together
_WORTH_SPLITTING = 128  # so few doubtful entries are split again where together they are too vague


class Judge:
    """Gives verdicts on single entries.

    Parameters
    ----------
    point : Point
        Where, with the analytic gradient.
    rtol : float
        Relative tolerance.
    allow_kinks : bool
        Whether a legal subgradient is ok.
    complex_step : ComplexStep, optional
        Asked first, where a central difference confirms it.
    looks : Looks, optional
        Workers' first looks.

    Attributes
    ----------
    looks : Looks or None
        As given.
    on_kinks : set of Entry
        Entries found on a kink, at the point as far as can be told.
    misled : set of str
        Primals of which some entry's first step was seen to be too long: others may agree with it by accident.
    """

    def __init__(
        self,
        point: Point,
        rtol: float,
        allow_kinks: bool,
        complex_step: ComplexStep | None = None,
        looks: Looks | None = None,
    ) -> None:
        self.point = point
        self.rtol = rtol
        self.allow_kinks = allow_kinks
        self.complex_step = complex_step
        self.looks = looks
        self._accuser = Accuser(point, rtol)
        self.on_kinks = self._accuser.on_kinks
        self.misled: set[str] = set()
        self._at_once: list[Entry] = []
        self._treads_known: dict[str, float] = {}

    def entries(self, entries: list[Entry], seen: Iterable[Sight | None] = ()) -> Tally:
        """Judge some entries, of which workers may have seen some."""
        tally = Tally()
        evaluator = self.point.evaluator
        before = evaluator.forward_calls
        doubts: list[Doubt] = []
        try:
            self.point.measure()
            for entry, sight in zip(entries, chain(seen, repeat(None)), strict=False):
                outcome = self.entry(entry, sight)
                if isinstance(outcome, Doubt):
                    doubts.append(outcome)
                else:
                    tally.comparisons.append(outcome)
        except BudgetSpent:
            tally.left_out = len(entries) - len(tally.comparisons) - len(doubts)
        doubts += self._look_again(tally.comparisons)
        tally.comparisons += self.together(doubts)
        tally.judged = len(tally.comparisons) - tally.undecided
        tally.forward_calls = evaluator.forward_calls - before
        return tally

    def reconsider(self, tally: Tally) -> None:
        """Judge again what was accused before an entry of another primal met a tread that explains it."""
        if all(self._treads_known.get(c.name, 0.0) == self._treads for c in tally.comparisons):
            return  # none was met since
        before, calls = tally.undecided, self.point.evaluator.forward_calls
        tally.comparisons += self.together(self._look_again(tally.comparisons))
        tally.judged -= tally.undecided - before
        tally.forward_calls += self.point.evaluator.forward_calls - calls

    @property
    def _treads(self) -> float:
        """The height of the treads met so far, on which an entry may seem wrong."""
        return self.point.tread + float(np.abs(self.point.cotangent) @ self.point.treads)

    # ------------------------------------------------------------------ one entry

    def entry(self, entry: Entry, seen: Sight | None = None) -> Comparison | Doubt:
        """Judge one entry; a doubt is left to `together`.

        One central difference is enough where it agrees: two independent computations do not agree to six digits by
        accident. A worker's is taken where it is enough; a disagreement is looked at here.
        """
        analytic = self.point.analytic(entry)
        differences = self.point.along_entry(entry)
        if seen is None or not self._is_enough(entry, seen):
            seen = Sight.of(self.point, entry, differences)
        else:
            self.point.evaluator.forward_calls += 2
        level, hidden = seen.level, seen.hidden
        if not (math.isfinite(level.central) and math.isfinite(analytic)):
            return self._settle(entry, differences, level)
        exact = self.complex_step.confirmed(entry, level, differences.level) if self.complex_step else None
        if exact is not None:
            return self._exactly(entry, Estimate.smooth(*exact, level.step))
        scale = self.point.scale[entry[0]]
        if seen.unmoved and analytic == 0:
            return Doubt(entry, level, hidden)
        if agree(analytic, level.central, 0.0, self.rtol):
            if entry[0] in self.misled and self._by_accident(level, differences.level(level.step / SECOND)):
                return self._settle(entry, differences, level)
            if not self._is_sharp(entry, level.noise):
                return Doubt(entry, level, level.noise + hidden)  # by luck, as far as can be told
            material = not meaningful(analytic, analytic, hidden, scale, self.rtol)
            if looks_smooth(differences, level) and not (material and differences.explore()):
                self._at_once.append(entry)
                return self._compare(entry, Settled(Estimate.smooth(level.central, level.noise, level.step), 0.0))
            return self._settle(entry, differences, level)
        if not agree(analytic, level.central, level.noise, self.rtol):
            return self._settle(entry, differences, level)
        # a sharp one is not looked at again
        if self._is_sharp(entry, level.noise + hidden) and not looks_smooth(differences, level):
            return self._settle(entry, differences, level)
        return Doubt(entry, level, level.noise + hidden)

    def _is_enough(self, entry: Entry, seen: Sight) -> bool:
        """Tell whether an entry can be judged by a first look without evaluating anything."""
        analytic, level, scale = self.point.analytic(entry), seen.level, self.point.scale[entry[0]]
        finite = math.isfinite(level.central) and math.isfinite(level.jump)
        if self.complex_step or not finite or entry[0] in self.misled:
            return False
        if seen.unmoved and analytic == 0:
            return True
        if not agree(analytic, level.central, 0.0, self.rtol):
            sharp = self._is_sharp(entry, level.noise + seen.hidden)
            return agree(analytic, level.central, level.noise, self.rtol) and (not sharp or is_smooth(level))
        if not self._is_sharp(entry, level.noise):
            return True
        return meaningful(analytic, analytic, seen.hidden, scale, self.rtol) and is_smooth(level)

    def _is_sharp(self, entry: Entry, bar: float) -> bool:
        """Tell whether a bar is so small that an agreement within it needs no second look."""
        return bar <= max(_CLEAR * abs(self.point.analytic(entry)), self.rtol * self.point.scale[entry[0]])

    def _exactly(self, entry: Entry, estimate: Estimate) -> Comparison:
        """Compare with a complex step, which neither noise nor large outputs can hide an error from."""
        result = self._comparison(entry, estimate)
        if result.error > result.allowed:
            result = replace(result, allowed=result.allowed + self.point.rounding(entry))
        return replace(result, verdict=Verdict.MISMATCH) if result.error > result.allowed else result

    def _settle(self, entry: Entry, differences: Differences, level: Level) -> Comparison:
        try:
            settled = settle(self.point, entry, differences, level, self.rtol)
            result = self._compare(entry, settled)
            return self._as_the_first_look_could(result, settled.estimate, level) if result.verdict.ok else result
        except BudgetSpent:
            begun = self._comparison(entry, Estimate.smooth(level.central, level.noise, level.step))
            reason = f"{self.point.evaluator.ended} before it could be settled"
            return replace(begun, verdict=Verdict.INCONCLUSIVE, reason=reason)

    def _as_the_first_look_could(self, result: Comparison, estimate: Estimate, level: Level) -> Comparison:
        """Return a comparison that promises no more than its first look: an error could have agreed with that."""
        off = abs(level.central - estimate.value)
        could = allowed(result.analytic, level.central, level.noise, self.rtol)
        if estimate.kinked or not math.isfinite(off):
            return result
        if off > BY_LUCK * could:
            self.misled.add(result.name)
        elif self._is_sharp((result.name, result.index or ()), level.noise):
            return replace(result, limit=max(result.limit, off + could))
        return result

    def _by_accident(self, level: Level, finer: Level) -> bool:
        """Tell whether a quotient changes with the step: then an agreement with it was an accident."""
        return not agree(level.central, finer.central, level.noise + finer.noise, self.rtol)

    def _look_again(self, comparisons: list[Comparison]) -> list[Doubt]:
        """Judge again what agreed at its first look, where other first looks turned out to be misled.

        And what was accused before another entry met a tread that explains it. Returns what is doubtful now.
        """
        names = {c.name for c in comparisons}
        wrong = (c for c in comparisons if c.verdict is Verdict.MISMATCH and c.index is not None)
        treads = {(c.name, c.index or ()) for c in wrong if c.error * c.step <= _TREADS * self._treads}
        again = treads | {entry for entry in self._at_once if entry[0] in self.misled & names}
        self._at_once = [entry for entry in self._at_once if entry not in again]
        kept: list[Comparison] = []
        doubts: list[Doubt] = []
        for found in comparisons:
            entry = found.name, found.index or ()
            try:
                outcome = self.entry(entry) if entry in again else found
            except BudgetSpent:
                reason = f"{self.point.evaluator.ended} before it was looked at again"
                outcome = replace(found, verdict=Verdict.INCONCLUSIVE, reason=reason) if entry in treads else found
            if isinstance(outcome, Doubt):
                doubts.append(outcome)
            else:
                kept.append(outcome)
        promised = 2 * _TREADS * self.point.tread  # a change of f that would not be seen along any of them
        comparisons[:] = [
            replace(c, limit=max(c.limit, promised / c.step)) if promised and c.step > 0 and c.index is not None else c
            for c in kept
        ]
        self._treads_known |= dict.fromkeys(names, self._treads)
        return doubts

    # ------------------------------------------------------------------ what drowns in noise

    def together(self, doubts: list[Doubt]) -> list[Comparison]:
        """Judge doubts: entries that agree within noise, all of them along one direction where that is possible.

        Each on its own would need a ladder; one ladder along a random direction bounds the error of every one of
        them, because errors of single entries do not cancel under random weights.
        """
        try:
            return self._together(doubts)
        except BudgetSpent:
            return [self._agreed(doubt, doubt.bar) for doubt in doubts]

    def _together(self, doubts: list[Doubt]) -> list[Comparison]:
        sharp = [doubt for doubt in doubts if self._is_sharp(doubt.entry, doubt.bar)]
        vague = [doubt for doubt in doubts if not self._is_sharp(doubt.entry, doubt.bar)]
        done = [self._agreed(doubt, doubt.bar) for doubt in sharp if not self._stands(doubt)]
        done += self._still([doubt for doubt in sharp if self._stands(doubt)])
        if len(vague) <= _ALONE:
            return done + [self._settle(d.entry, self.point.along_entry(d.entry), d.level) for d in vague]
        agreed = self._by_one_ladder(vague)
        if agreed is None:
            half = len(vague) // 2
            return done + self._together(vague[:half]) + self._together(vague[half:])
        return done + agreed

    def _stands(self, doubt: Doubt) -> bool:
        """Tell whether an entry claims nothing, and changed nothing."""
        return self.point.analytic(doubt.entry) == 0 == doubt.level.central

    def _still(self, doubts: list[Doubt]) -> list[Comparison]:
        """Give the verdict on entries that claim nothing and change nothing: together they must climb no treads."""
        agreed = [self._agreed(doubt, doubt.bar) for doubt in doubts]
        direction: Named = {}
        for name, index in (doubt.entry for doubt in doubts):
            array = direction.setdefault(name, np.zeros(self.point.gradient[name].shape))
            array[index] = self.point.reach((name, index)) * self.point.rng.choice([-1.0, 1.0])
        slope = climbs(self.point.along(direction)[0], self.point.last_bit) if doubts else 0.0
        if not slope:
            return agreed
        return [replace(c, verdict=Verdict.INCONCLUSIVE, reason=STAIRCASE.format(slope)) for c in agreed]

    def _by_one_ladder(self, doubts: list[Doubt]) -> list[Comparison] | None:
        """Bound the error of each of several entries by a ladder along one direction; None where that fails."""
        weights = signed(self.point.rng, (len(doubts),))
        direction: Named = {}
        moves = []
        for doubt, weight in zip(doubts, weights, strict=True):
            name, index = doubt.entry
            array = direction.setdefault(name, np.zeros(self.point.gradient[name].shape))
            array[index] = weight * self.point.reach(doubt.entry)
            moves.append(abs(float(array[index])))
        expected = self.point.directional(direction)

        def bounds(estimate: Estimate) -> list[float]:
            return [(estimate.error_bar + abs(expected - estimate.value)) / move for move in moves]

        def is_enough(estimate: Estimate) -> bool:
            known = zip(doubts, bounds(estimate), strict=True)
            return all(tells(self.point, d.entry, self._bounded(d, bar), self.rtol) for d, bar in known)

        settled = settle_along(self.point, direction, is_enough)
        estimate = settled.estimate
        if estimate.kinked or not agree(expected, estimate.value, estimate.error_bar, 0.0):
            return None
        if not math.isfinite(estimate.error_bar):
            return None
        agreed = [
            self._agreed(d, min(d.bar, bound), settled.steepest, f", together with {len(doubts) - 1} others")
            for d, bound in zip(doubts, bounds(estimate), strict=True)
        ]
        # fewer entries have less truncation than all of them together: worth splitting where that could decide
        return agreed if all(c.verdict.ok for c in agreed) or len(doubts) > _WORTH_SPLITTING else None

    def _agreed(self, doubt: Doubt, known_to: float, steepest: float = 0.0, others: str = "") -> Comparison:
        """Give the verdict on an entry that agrees within noise and whose error is known to be at most `known_to`."""
        estimate = Estimate.smooth(doubt.level.central, max(doubt.bar, known_to), doubt.level.step)
        comparison = self._comparison(doubt.entry, estimate)
        if not tells(self.point, doubt.entry, self._bounded(doubt, known_to, steepest), self.rtol):
            return self._too_vague(comparison, known_to)
        limit = 2 * allowed(comparison.analytic, comparison.analytic, known_to, self.rtol)
        return replace(comparison, limit=limit, reason=f"known to {known_to:.2g}{others}" if others else "")

    def _bounded(self, doubt: Doubt, known_to: float, steepest: float = 0.0) -> Settled:
        """Return an entry's derivative as what is claimed, known to a bar."""
        return Settled(Estimate.smooth(self.point.analytic(doubt.entry), known_to, doubt.level.step), steepest)

    # ------------------------------------------------------------------ verdicts

    def _comparison(self, entry: Entry, estimate: Estimate) -> Comparison:
        name, index = entry
        analytic = self.point.analytic(entry)
        bar = estimate.error_bar + 0.5 * (estimate.high - estimate.low)
        limit = allowed(analytic, estimate.value, bar, self.rtol)
        # an error must exceed what is allowed twice: its own part of the tolerance, and the numerical value's
        return Comparison(
            name, index, analytic, estimate.value, bar, limit, estimate.step, Verdict.MATCH, limit=2 * limit
        )

    def _compare(self, entry: Entry, settled: Settled) -> Comparison:
        """Turn an estimate into a verdict on one entry."""
        estimate = settled.estimate
        result = self._comparison(entry, estimate)
        if estimate.reason or not math.isfinite(result.error_bar):
            reason = estimate.reason or "the noise of f drowns the derivative at every step"
            return replace(result, verdict=Verdict.INCONCLUSIVE, reason=reason)
        if not math.isfinite(result.analytic):
            where = f"where f is smooth: its slope is {estimate.value:.6g}"
            if estimate.kinked:
                where = f"on a kink: any value from {estimate.low:.6g} to {estimate.high:.6g} would do"
            return replace(result, verdict=Verdict.MISMATCH, reason=where)
        if result.error > result.allowed:
            result = replace(result, allowed=result.allowed + self.point.rounding(entry))
        if result.error > result.allowed:
            if self.point.is_still(entry, abs(result.numerical) + estimate.error_bar, settled.steepest):
                return replace(result, error_bar=result.error, allowed=result.error, limit=2 * result.error)
            few = result.error <= result.allowed + _ACCUSES * estimate.error_bar
            if few and self.point.is_null(entry, result.error + estimate.error_bar, 0.0):
                bar = result.error + estimate.error_bar
                return replace(result, error_bar=bar, allowed=bar, limit=2 * bar)
            if few and not estimate.kinked:
                times = result.error / estimate.error_bar
                reason = f"off by {times:.1f} error bars, of {estimate.error_bar:.2g}: too few to call it wrong"
                return replace(result, verdict=Verdict.INCONCLUSIVE, reason=reason)
            judged = self._accuser.accuse(entry, result, estimate)
            return self._kink(judged, judged.reason) if judged.verdict is Verdict.KINK else judged
        if estimate.kinked:
            if estimate.error_bar > _MEANINGFUL * (estimate.high - estimate.low):
                return self._too_vague(result, estimate.error_bar)
            if self._accuser.at_the_point(entry, estimate) or self._accuser.as_far_as_is_seen(entry, estimate):
                self.on_kinks.add(entry)
            low, high = self._accuser.sides(entry, estimate)  # between these an error would be taken for legal as well
            result = replace(result, limit=max(result.limit, high - low))
            return self._kink(result, f"one-sided slopes {estimate.low:.6g} and {estimate.high:.6g}")
        if not tells(self.point, entry, settled, self.rtol):
            return self._too_vague(result, estimate.error_bar)
        return result

    def _too_vague(self, result: Comparison, known_to: float) -> Comparison:
        size = max(abs(result.analytic), abs(result.numerical))
        reason = f"the derivative is known to {known_to:.2g} only, too coarse for an entry of size {size:.2g}"
        return replace(result, verdict=Verdict.INCONCLUSIVE, reason=reason)

    def _kink(self, result: Comparison, reason: str) -> Comparison:
        if self.allow_kinks:
            return replace(result, verdict=Verdict.KINK, reason=f"on a kink: {reason}")
        return replace(result, verdict=Verdict.INCONCLUSIVE, reason=f"on a kink ({reason}), and allow_kinks=False")
