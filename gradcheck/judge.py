"""Does each entry of a gradient agree with its numerical twin? Cheap first, the ladder for what does not."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from gradcheck import kink, noise
from gradcheck.difference import Differences, Estimate, Level, best, climb_down
from gradcheck.evaluate import BudgetSpent, Evaluator, Vector
from gradcheck.layer import Named
from gradcheck.probe import EntryRay, ProjectionRay, default_step, signed
from gradcheck.report import Comparison, Verdict
from gradcheck.tolerance import agree, allowed, meaningful

Entry = tuple[str, tuple[int, ...]]

_SUSPICIOUS = 1e-2  # one-sided slopes that differ by more than this part of themselves are looked at twice
_WIDE = 1e4  # the coarsest step, in units of the point, that is tried where noise drowns the others
_NULL = 1e-6  # a gradient that moves f by less than this part of its last bit is zero to all intents
_INSENSITIVE = 1e-9  # a bar below this part of f's own size bounds a zero gradient well enough
_CULPRITS = 32  # a projection is searched until so many wrong entries are found
_ALONE = 3  # so few doubtful entries are measured one by one, not together


@dataclass
class Tally:
    """What was found for one primal.

    Attributes
    ----------
    comparisons : list of Comparison
        One for each entry (or projection) looked at.
    judged : int
        Entries judged, directly or as part of a projection.
    forward_calls : int
        Spent on it.
    """

    comparisons: list[Comparison] = field(default_factory=list)
    judged: int = 0
    forward_calls: int = 0


@dataclass(frozen=True)
class _Doubt:
    """An entry whose difference drowns in the noise of the first step."""

    entry: Entry
    analytic: float
    level: Level
    bar: float


class Judge:
    """Compares an analytic gradient with central differences at one point.

    Parameters
    ----------
    evaluator : Evaluator
        At the point; its `remember` was called.
    base : ndarray, shape (m,)
        Outputs at the point.
    eps : ndarray, shape (m,)
        Machine epsilon of each output's dtype.
    cotangent : ndarray, shape (m,)
        Weights of the outputs.
    gradient : dict of str to ndarray
        The analytic gradient, for the primals to be judged.
    again : callable
        ``again(rng)`` returns the analytic gradient at the evaluator's moved point, with the same cotangent.
    rtol : float
        Relative tolerance.
    allow_kinks : bool
        Whether a legal subgradient is ok.
    rng : numpy.random.Generator
        For directions.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # one fact each; a bundle would only rename them
        self,
        evaluator: Evaluator,
        base: Vector,
        eps: Vector,
        cotangent: Vector,
        gradient: Named,
        again: Callable[[], Named],
        rtol: float,
        allow_kinks: bool,
        rng: np.random.Generator,
    ) -> None:
        self._evaluator = evaluator
        self._base = base
        self._eps = eps
        self._cotangent = cotangent
        self._gradient = gradient
        self._again = again
        self._rtol = rtol
        self._allow_kinks = allow_kinks
        self._rng = rng
        self._noise = noise.floor(base, eps)
        self._last_bit = float(eps.max(initial=0.0))
        self._measured = False
        self._spread: Named | None = None
        self._size = float(np.abs(cotangent) @ np.abs(base))
        self._scale = {
            name: float(np.max(np.abs(array[np.isfinite(array)]), initial=0.0)) for name, array in gradient.items()
        }
        self.left_out = 0

    # ------------------------------------------------------------------ every entry

    def full(self, name: str, *, shuffled: bool = False) -> Tally:
        """Judge every entry of one primal.

        Parameters
        ----------
        name : str
            The primal.
        shuffled : bool
            In random order, so that a budget that ends early leaves no whole region out.

        Returns
        -------
        Tally
            Entries that the budget did not reach are not in it, and counted in `left_out`.
        """
        entries = [(name, index) for index in np.ndindex(self._gradient[name].shape)]
        if shuffled:
            entries = [entries[i] for i in self._rng.permutation(len(entries))]
        return self._entries(name, entries)

    def _entries(self, name: str, entries: list[Entry]) -> Tally:
        tally = Tally()
        before = self._evaluator.forward_calls
        doubts: list[_Doubt] = []
        done = 0
        try:
            self._measure()
            for entry in entries:
                outcome = self._first_look(entry)
                if isinstance(outcome, _Doubt):
                    doubts.append(outcome)
                else:
                    tally.comparisons.append(outcome)
                done += 1
            tally.comparisons += self._together(doubts)
        except BudgetSpent:
            self.left_out += len(entries) - len(tally.comparisons)
        tally.judged = sum(c.verdict is not Verdict.INCONCLUSIVE for c in tally.comparisons)
        tally.forward_calls = self._evaluator.forward_calls - before
        return tally

    def _first_look(self, entry: Entry) -> Comparison | _Doubt:
        """Take one central difference; two independent computations do not agree to six digits by accident."""
        analytic = float(self._gradient[entry[0]][entry[1]])
        differences = self._differences(entry)
        step = default_step(self._step_eps(entry[0]), differences.ray.scale)
        level = differences.level(step)
        if not (math.isfinite(level.central) and math.isfinite(analytic)):
            return self._settle(entry, analytic, differences, level)
        hidden = differences.hidden_at(step)
        if differences.unmoved and analytic == 0:
            return _Doubt(entry, analytic, level, hidden)
        if agree(analytic, level.central, 0.0, self._rtol):
            material = not meaningful(analytic, analytic, hidden, self._scale[entry[0]], self._rtol)
            if self._looks_smooth(differences, level) and not (material and differences.explore()):
                return self._compare(entry, analytic, Estimate.smooth(level.central, level.noise, level.step))
            return self._settle(entry, analytic, differences, level)
        if agree(analytic, level.central, level.noise + hidden, self._rtol):
            return _Doubt(entry, analytic, level, level.noise + hidden)
        return self._settle(entry, analytic, differences, level)

    def _looks_smooth(self, differences: Differences, level: Level) -> bool:
        """Tell whether the one-sided slopes are near each other, or come nearer at a smaller step."""
        if not (math.isfinite(level.forward) and math.isfinite(level.backward)):
            return False
        jump = abs(level.jump)
        if jump <= _SUSPICIOUS * max(abs(level.forward), abs(level.backward)) or jump <= 2 * level.jump_noise:
            return True
        finer = differences.level(level.step / 4)
        return not kink.persists(level, finer) and math.isfinite(finer.central)

    # ------------------------------------------------------------------ what drowns in noise

    def _together(self, doubts: list[_Doubt]) -> list[Comparison]:
        """Judge entries that agree within noise, all of them along one direction where that is possible.

        Each on its own would need a ladder; one ladder along a random direction bounds the error of every one of
        them, because errors of single entries do not cancel under random weights.
        """
        clear, vague = [], []
        for doubt in doubts:
            name = doubt.entry[0]
            if meaningful(doubt.analytic, doubt.analytic, doubt.bar, self._scale[name], self._rtol):
                estimate = Estimate.smooth(doubt.level.central, doubt.bar, doubt.level.step)
                clear.append(self._compare(doubt.entry, doubt.analytic, estimate, judged_to=doubt.bar))
            else:
                vague.append(doubt)
        if not vague:
            return clear
        if len(vague) > _ALONE:
            bounds = self._bound(vague)
            if bounds is not None:
                return clear + [
                    self._compare(
                        d.entry,
                        d.analytic,
                        Estimate.smooth(d.level.central, max(d.bar, d.level.noise), d.level.step),
                        judged_to=min(d.bar, bound),
                        among=len(vague),
                    )
                    for d, bound in zip(vague, bounds, strict=True)
                ]
            half = len(vague) // 2
            return clear + self._together(vague[:half]) + self._together(vague[half:])
        return clear + [
            self._settle(d.entry, d.analytic, self._differences(d.entry), d.level, noisy=True) for d in vague
        ]

    def _bound(self, doubts: list[_Doubt]) -> list[float] | None:
        """Bound the error of each of several entries by a ladder along one direction; None where it disagrees."""
        weights = signed(self._rng, (len(doubts),))
        direction: Named = {}
        moves = []
        for doubt, weight in zip(doubts, weights, strict=True):
            name, index = doubt.entry
            array = direction.setdefault(name, np.zeros(self._gradient[name].shape))
            array[index] = weight * max(1.0, abs(float(self._evaluator.point[name][index])))
            moves.append(abs(float(array[index])))
        estimate = self._along(direction)
        expected = self._directional(direction)
        if estimate.kinked or not math.isfinite(estimate.error_bar):
            return None
        if not agree(expected, estimate.value, estimate.error_bar, 0.0):
            return None
        bounds = [(estimate.error_bar + abs(expected - estimate.value)) / move for move in moves]
        vague = not all(
            self._tells(d.entry, d.analytic, 0.0, bound) for d, bound in zip(doubts, bounds, strict=True)
        )
        # A single entry has less truncation than all of them together: worth asking where that could decide.
        return None if vague and len(doubts) <= 4 * _CULPRITS else bounds

    def _along(self, direction: Named) -> Estimate:
        """Climb down the ladder along a direction."""
        self._measure()
        ray = ProjectionRay(self._evaluator, direction)
        differences = Differences(ray, self._base, self._cotangent, self._noise)
        expected = abs(self._directional(direction))
        levels = []
        for level in climb_down(differences, top=1.0, hopeless=expected):
            slip = ray.slip(level.step, self._gradient)
            shifted = (level.central - slip, level.forward - slip, level.backward - slip)
            levels.append(replace(level, central=shifted[0], forward=shifted[1], backward=shifted[2]))
        if differences.unmoved:
            bar = min((differences.hidden_at(level.step) for level in levels), default=math.inf)
            return self._widen(differences, Estimate.smooth(0.0, bar, levels[0].step), levels)
        return self._widen(differences, kink.judge(levels), levels)

    # ------------------------------------------------------------------ the ladder

    def _settle(
        self, entry: Entry, analytic: float, differences: Differences, level: Level, *, noisy: bool = False
    ) -> Comparison:
        """Find out what a disagreement is: an error, a kink, or only the difference quotient's own failing."""
        differences.explore()
        level = replace(level, noise=differences.noise_at(level.step))
        if not noisy and math.isfinite(analytic):
            estimate = self._confirm(analytic, differences, level)
            if estimate is not None:
                return self._compare(entry, analytic, estimate)
        hopeless = abs(analytic) if math.isfinite(analytic) else 0.0
        levels = climb_down(differences, hopeless=hopeless)
        if differences.unmoved:
            bar = min((differences.hidden_at(level.step) for level in levels), default=math.inf)
            estimate = Estimate.smooth(0.0, bar, levels[0].step)
        else:
            estimate = kink.judge(levels)
        slopes = (abs(each.central) for each in levels if math.isfinite(each.central))
        steepest = max(differences.steepest, max(slopes, default=0.0))
        if estimate.value == 0 and not estimate.reason:
            # f stands still here and not farther away: it may round away inside what its values do not show
            estimate = replace(estimate, error_bar=estimate.error_bar + self._last_bit * steepest)
        if not self._tells(entry, analytic, estimate.value, estimate.error_bar, steepest):
            beside = kink.beside(levels)
            if beside is not None and agree(analytic, estimate.value, estimate.error_bar, self._rtol):
                # Noise hides the side of a kink that the point is on: any slope between the two is legal as far as
                # can be seen.
                estimate = beside
            else:
                estimate = self._widen(differences, estimate, levels)
        if not estimate.kinked and not agree(analytic, estimate.value, estimate.error_bar, self._rtol):
            coarse = kink.rough(levels, estimate, analytic)
            if coarse is not None:
                reason = (
                    f"f is rough: its slope is {coarse.value:.6g} over steps of {coarse.step:.1g} and {estimate.value:.6g}"
                    f" over {estimate.step:.1g}"
                )
                estimate = replace(coarse, error_bar=math.inf, reason=reason)
        return self._compare(entry, analytic, estimate, steepest=steepest)

    def _confirm(self, analytic: float, differences: Differences, level: Level) -> Estimate | None:
        """Confirm a plain error cheaply: it must look the same at a coarse step, at the finest that noise allows, between.

        A kink, a fast oscillation or a narrow peak changes the quotient on the way down; then None, and the whole
        ladder is asked.
        """
        error = abs(analytic - level.central)
        if not math.isfinite(error) or agree(analytic, level.central, level.noise, self._rtol):
            return None
        if differences.unmoved or error <= 4 * self._last_bit * differences.steepest:
            return None
        finest = max(level.step * level.noise / (0.05 * error), 1e-10 * differences.ray.scale)
        finest = max(finest, 64 * differences.ray.spacing)
        if finest > 0.1 * level.step:
            return None
        others = (64 * level.step, math.sqrt(finest * level.step), finest)
        levels = [level, *(differences.level(2.0 ** round(math.log2(step))) for step in others)]
        steady = all(
            math.isfinite(each.central)
            and abs(each.central - level.central) <= 0.1 * error
            and (each.step > level.step or abs(each.jump) <= 0.2 * error + each.jump_noise)
            for each in levels
        )
        if not steady:
            return None
        changes = abs(levels[2].central - level.central)
        return Estimate.smooth(level.central, changes + level.noise, level.step)

    def _widen(self, differences: Differences, estimate: Estimate, levels: list[Level]) -> Estimate:
        """Try coarser steps where noise drowned the fine ones and the coarsest so far was the best."""
        if estimate.kinked or not levels or estimate.step < 0.2 * levels[0].step:
            return estimate
        wider = []
        step = levels[0].step * 4
        while step <= _WIDE * differences.ray.scale:
            wider.insert(0, differences.level(step))
            step *= 4
        wide = best(wider + levels) if not differences.unmoved else estimate
        if differences.unmoved and wider:
            return Estimate.smooth(0.0, differences.hidden_at(wider[0].step), wider[0].step)
        return wide if wide.error_bar < estimate.error_bar else estimate

    # ------------------------------------------------------------------ verdicts

    def _tells(
        self, entry: Entry, analytic: float, numerical: float, bar: float, steepest: float = 0.0
    ) -> bool:
        """Tell whether an agreement within `bar` would mean something for this entry.

        `steepest` is the largest slope that the ladder met: a bar far below it bounds a zero gradient well enough.
        """
        name, index = entry
        if not math.isfinite(analytic):
            return math.isfinite(bar)
        if meaningful(analytic, numerical, bar, self._scale[name], self._rtol):
            return True
        reach = max(1.0, abs(float(self._evaluator.point[name][index])))
        null = abs(analytic) * reach <= _NULL * self._last_bit * self._size
        return null and (bar * reach <= _INSENSITIVE * self._size or bar <= _INSENSITIVE * steepest)

    def _compare(
        self,
        entry: Entry,
        analytic: float,
        estimate: Estimate,
        *,
        judged_to: float | None = None,
        among: int = 1,
        steepest: float = 0.0,
    ) -> Comparison:
        """Turn an estimate into a verdict on one entry."""
        name, index = entry
        bar = estimate.error_bar + 0.5 * (estimate.high - estimate.low)
        numerical = estimate.value
        limit = allowed(analytic, numerical, bar, self._rtol)
        result = Comparison(name, index, analytic, numerical, bar, limit, estimate.step, Verdict.MATCH)
        if estimate.reason or not math.isfinite(bar):
            reason = estimate.reason or "the noise of f drowns the derivative at every step"
            return replace(result, verdict=Verdict.INCONCLUSIVE, reason=reason)
        if not math.isfinite(analytic):
            return replace(result, verdict=Verdict.MISMATCH, reason="not finite, where f is smooth")
        if abs(analytic - numerical) > limit:
            limit += self._rounding(entry)
            result = replace(result, allowed=limit)
        if abs(analytic - numerical) > limit:
            if estimate.kinked:
                return self._beside_the_kink(entry, result, estimate)
            return replace(result, verdict=Verdict.MISMATCH)
        if estimate.kinked:
            return self._kink(result, f"one-sided slopes {estimate.low:.6g} and {estimate.high:.6g}")
        if not self._tells(entry, analytic, estimate.value, bar if judged_to is None else judged_to, steepest):
            reason = (
                f"the derivative is known to {bar if judged_to is None else judged_to:.2g} only, too coarse for an "
                f"entry of size {max(abs(analytic), abs(numerical)):.2g}"
            )
            return replace(result, verdict=Verdict.INCONCLUSIVE, reason=reason)
        if among > 1 and judged_to is not None:
            return replace(result, reason=f"known to {judged_to:.2g}, together with {among - 1} others")
        return result

    def _kink(self, result: Comparison, reason: str) -> Comparison:
        if self._allow_kinks:
            return replace(result, verdict=Verdict.KINK, reason=f"on a kink: {reason}")
        return replace(result, verdict=Verdict.INCONCLUSIVE, reason=f"on a kink ({reason}), and allow_kinks=False")

    def _rounding(self, entry: Entry) -> float:
        """Return what rounding can do to the analytic entry itself, by its change under last-bit changes of the point.

        Measured once, for the entries that would be accused. Capped at a small part of the array's size, so that a
        value which is only wrong exactly at the point cannot hide behind it.
        """
        if self._spread is None:
            self._spread = {name: np.zeros(array.shape) for name, array in self._gradient.items()}
            saved = {name: array.copy() for name, array in self._evaluator.point.items()}
            try:
                for _ in range(3):
                    for name, array in saved.items():
                        if array.dtype.kind == "f":
                            eps = float(np.finfo(array.dtype).eps)
                            self._evaluator.point[name][...] = array * (1 + eps * self._rng.choice([-1, 1], array.shape))
                    with np.errstate(all="ignore"):
                        moved = self._again()
                    for name, array in moved.items():
                        if array.shape == self._gradient[name].shape:
                            change = np.abs(array.astype(np.float64) - self._gradient[name])
                            self._spread[name] = np.fmax(self._spread[name], change)
            finally:
                for name, array in saved.items():
                    self._evaluator.point[name][...] = array
        name, index = entry
        cap = math.sqrt(float(np.finfo(self._gradient[name].dtype).eps)) * self._scale[name]
        return min(4.0 * float(self._spread[name][index]), cap)

    def _beside_the_kink(self, entry: Entry, result: Comparison, estimate: Estimate) -> Comparison:
        """Judge an entry outside its interval of one-sided slopes by the gradients of smooth points nearby.

        Where several kinks meet (a whole layer of zero pre-activations), the slopes along one entry do not bound the
        legal values; the convex hull of the gradients nearby does. The backward must be right at those points too.
        """
        name, index = entry
        values, wrong = [], 0
        saved = {key: array.copy() for key, array in self._evaluator.point.items()}
        base = self._base
        try:
            for shift in self._shifts(saved):
                for key, array in saved.items():
                    moved = array + shift[key] if key in shift else array
                    self._evaluator.point[key][...] = moved
                with np.errstate(all="ignore"):
                    gradient = self._again()
                self._base = self._evaluator.outputs("all inputs moved off a kink")
                differences = self._differences(entry)
                level = differences.level(default_step(self._step_eps(name), 1.0) * 1e-2 * differences.ray.scale)
                analytic = float(gradient[name][index])
                if not math.isfinite(level.central) or abs(level.jump) > 0.1 * abs(estimate.high - estimate.low):
                    continue
                values.append(level.central)
                slack = 1e-3 * max(abs(analytic), abs(level.central), estimate.high - estimate.low)
                wrong += abs(analytic - level.central) > slack + level.noise
        finally:
            self._base = base
            for key, array in saved.items():
                self._evaluator.point[key][...] = array
        wide = estimate.high - estimate.low
        margin = 1e-3 * wide + allowed(result.analytic, 0.0, estimate.error_bar, self._rtol)
        if wrong or not values:
            return replace(result, verdict=Verdict.MISMATCH, reason="outside the one-sided slopes of a kink")
        if min(values) - margin <= result.analytic <= max(values) + margin:
            half = 0.5 * (max(values) - min(values))
            hull = replace(
                result,
                numerical=0.5 * (max(values) + min(values)),
                error_bar=half + margin,
                allowed=half + margin,
            )
            return self._kink(hull, f"several kinks meet; slopes nearby {min(values):.6g} to {max(values):.6g}")
        distinct = np.unique(np.round(np.array(values) / (wide or 1.0), 2))
        if len(distinct) <= 2:  # noqa: PLR2004  # one kink: its two slopes are all there is
            return replace(result, verdict=Verdict.MISMATCH, reason="outside the one-sided slopes of a kink")
        reason = "several kinks meet at the point, and the slopes seen nearby do not decide; move the point off them"
        return replace(result, verdict=Verdict.INCONCLUSIVE, reason=reason)

    def _shifts(self, point: Named) -> Iterable[Named]:
        """Yield small movements off the point: of each primal up, down and at random, and of all together."""
        floats = {
            name: 1e-5 * np.maximum(1.0, np.abs(array))
            for name, array in point.items()
            if array.dtype.kind == "f" and array.size
        }
        for name, size in floats.items():
            for direction in (1.0, -1.0, signed(self._rng, size.shape)):
                yield {name: (size * direction).astype(point[name].dtype)}
        for _ in range(4):
            yield {
                name: (size * signed(self._rng, size.shape)).astype(point[name].dtype) for name, size in floats.items()
            }

    # ------------------------------------------------------------------ projections

    def fast(self, name: str) -> Tally:
        """Judge a whole primal by its derivative along one random direction; look for the entries where it disagrees.

        Only single entries are accused: a projection that crosses kinks disagrees for a right gradient too.
        """
        tally = Tally()
        before = self._evaluator.forward_calls
        gradient = self._gradient[name]
        direction = signed(self._rng, gradient.shape) * np.maximum(1.0, np.abs(self._evaluator.point[name]))
        culprits: list[Entry] = []
        try:
            total = self._project({name: direction})
            tally.judged = gradient.size
            if total.verdict is Verdict.MATCH:
                tally.comparisons.append(total)
            else:
                self._descend(name, direction, np.arange(gradient.size), culprits)
                tally.comparisons += self._entries(name, culprits).comparisons
                if not tally.comparisons or Verdict.worst(c.verdict for c in tally.comparisons).ok:
                    kinks = any(c.verdict is Verdict.KINK for c in tally.comparisons)
                    if not kinks:
                        tally.comparisons.append(replace(total, verdict=Verdict.INCONCLUSIVE))
                        tally.judged = len(culprits)
        except BudgetSpent:
            self.left_out += gradient.size - tally.judged
        tally.forward_calls = self._evaluator.forward_calls - before
        return tally

    def _project(self, direction: Named) -> Comparison:
        """Compare along one direction; MATCH or, accusing nobody, INCONCLUSIVE."""
        name = ", ".join(direction)
        expected = self._directional(direction)
        largest = max(
            float(np.max(np.abs(array * self._gradient[key]), initial=0.0)) for key, array in direction.items()
        )
        ray = ProjectionRay(self._evaluator, direction)
        differences = Differences(ray, self._base, self._cotangent, self._noise)
        step = default_step(max(self._step_eps(key) for key in direction), 1.0)
        level = differences.level(step)
        value = level.central - ray.slip(step, self._gradient)
        bar = level.noise
        # The tolerance is that of the largest single entry, whatever their number.
        limit = self._rtol * largest + bar
        if not (abs(expected - value) <= limit and bar <= max(0.01 * largest, self._rtol * abs(expected))):
            estimate = self._along(direction)
            value, bar, step = estimate.value, estimate.error_bar, estimate.step
            limit = self._rtol * largest + bar
            if estimate.kinked:
                limit = math.nan
        good = abs(expected - value) <= limit and (bar <= 0.1 * largest or bar <= _INSENSITIVE * self._size)
        reason = "" if good else "the projection disagrees, and no single entry explains it: use mode='full'"
        verdict = Verdict.MATCH if good else Verdict.INCONCLUSIVE
        return Comparison(name, None, expected, value, bar, limit, step, verdict, reason)

    def _descend(self, name: str, direction: Vector, where: Vector, culprits: list[Entry]) -> None:
        """Halve a set of entries that disagree until single ones remain."""
        if len(culprits) >= _CULPRITS:
            return
        if len(where) == 1:
            culprits.append((name, tuple(int(i) for i in np.unravel_index(int(where[0]), direction.shape))))
            return
        for half in (where[: len(where) // 2], where[len(where) // 2 :]):
            masked = np.zeros(direction.size)
            masked[half] = direction.ravel()[half]
            if self._project({name: masked.reshape(direction.shape)}).verdict is not Verdict.MATCH:
                self._descend(name, direction, half, culprits)

    # ------------------------------------------------------------------ helpers

    def _directional(self, direction: Named) -> float:
        return float(sum(np.sum(self._gradient[name] * array) for name, array in direction.items()))

    def _differences(self, entry: Entry) -> Differences:
        ray = EntryRay(self._evaluator, *entry)
        return Differences(ray, self._base, self._cotangent, self._noise)

    def _step_eps(self, name: str) -> float:
        return max(self._last_bit, float(np.finfo(self._evaluator.point[name].dtype).eps))

    def _measure(self) -> None:
        """Measure the noise of f, once."""
        if self._measured:
            return
        self._measured = True
        point = self._evaluator.point
        direction = {}
        for name in self._gradient:
            size = np.abs(point[name])
            direction[name] = signed(self._rng, size.shape) * np.where(size > 0, size, 1.0)
        ray = ProjectionRay(self._evaluator, direction)
        eps = max(float(np.finfo(point[name].dtype).eps) for name in self._gradient)
        double = float(np.finfo(np.float64).eps)
        spacings = noise.SPACINGS if eps <= double else tuple(s for s in noise.SPACINGS if s > 4 * eps)
        self._noise = noise.measure(lambda t: ray.at(t)[0], self._base, self._eps, spacings=spacings)
