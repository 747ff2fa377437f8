"""What is the numerical derivative, once a first look was not enough? The ladder, and what is read off it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from gradcheck import kink
from gradcheck.claims import holds_over
from gradcheck.difference import Differences, Level
from gradcheck.ladder import Estimate, climb_down, wider
from gradcheck.layer import Named
from gradcheck.noise import SINGLE
from gradcheck.point import Entry, Point
from gradcheck.probe import default_step, power_of_two
from gradcheck.rounded import INSIDE, forgotten, rounded_away
from gradcheck.tolerance import agree, meaningful
from gradcheck.treads import FAR, STAIRCASE, between_treads, climbs, jump_off

_CLEARLY = 10.0  # so many times its noise a first look must be off 0
_PLATEAU = 0.1  # the bar of a plateau at wide steps, beside its slope
_FAR = 1e-2  # slopes over steps of at least this part of the scale tell how steep f is
_OTHERS = 4.0  # times as large as the tread that was met others may be
_WIDE = 0.125  # of the scale: a step over which treads are met
_AMPLIFIED = 2.0**12  # last bits of numbers near 1
_TOLD = 0.1  # of the jump of two slopes
_SIDE = "a kink lies beside the point, where the slope is {:.6g}, or at it, as far as noise shows: {:.6g} to {:.6g}"
_WAVE = 0.1  # of the length of a wave that has the slope of the error and the height of what f was seen to change


@dataclass(frozen=True, slots=True)
class Settled:
    """A numerical derivative with the largest slope met on the way, which says what is small for this function."""

    estimate: Estimate
    steepest: float


def tells(point: Point, entry: Entry, settled: Settled, rtol: float) -> bool:
    """Tell whether an agreement within an estimate's bar would mean something for an entry."""
    analytic, estimate = point.analytic(entry), settled.estimate
    if not math.isfinite(analytic):
        return math.isfinite(estimate.error_bar)
    scale = point.scale[entry[0]]
    return meaningful(analytic, estimate.value, estimate.error_bar, scale, rtol) or point.is_null(
        entry, estimate.error_bar, settled.steepest
    )


def settle(point: Point, entry: Entry, differences: Differences, level: Level, rtol: float) -> Settled:
    """Find the derivative along an entry whose first difference quotient did not settle it.

    Parameters
    ----------
    point : Point
        With its noise measured.
    entry : Entry
        The entry.
    differences : Differences
        Along it.
    level : Level
        The first look.
    rtol : float
        Relative tolerance.
    """
    analytic = point.analytic(entry)
    differences.explore()
    level = replace(level, noise=differences.noise_at(level.step))
    plain = _confirm(analytic, differences, level, point.last_bit, rtol) if not point.tread else None
    if plain is not None:
        return Settled(plain, differences.steepest)
    # a short wave looks like treads: what agrees without them is no accident, whatever another entry asked for
    differences.take_noise(point.close_noise)
    levels = climb_down(differences, hopeless=abs(analytic) if math.isfinite(analytic) else 0.0)
    estimate = first = _still(differences, levels) if differences.unmoved else kink.judge(levels)
    steepest = _steepest(differences, levels)
    if _stands(estimate, level) or not (
        agree(analytic, estimate.value, estimate.error_bar, rtol)
        and tells(point, entry, Settled(estimate, steepest), rtol)
    ):
        point.measure_treads()
        if point.noise is not point.close_noise and not differences.unmoved:
            differences.take_noise(point.noise)
            levels = [replace(each, noise=differences.noise_at(each.step)) for each in levels]
            estimate = kink.judge(levels)
    point.tread = max(point.tread, _tread_left(differences, estimate, level, point.last_bit))
    if point.tread and estimate.value != 0:
        level, *levels = _noisier([level, *levels], point.tread)
        estimate = kink.judge(levels)
    if estimate.value == 0 and not estimate.reason:
        # f stands still here and not farther away: it may round away inside what its values do not show
        # (in terms as large as the entry itself times the slopes farther away)
        inside = point.last_bit * steepest * max(1.0, differences.ray.magnitude / estimate.step)
        estimate = replace(estimate, error_bar=estimate.error_bar + inside)
    if not tells(point, entry, Settled(estimate, steepest), rtol):
        beside = kink.beside(levels)
        if beside is not None and agree(analytic, estimate.value, estimate.error_bar, rtol):
            # Noise hides the side of a kink that the point is on: any slope between the two is legal as far as can
            # be seen.
            return Settled(beside, steepest)
        estimate = _widen(differences, estimate, levels, analytic, rtol)
    if estimate.kinked:
        denied = not (first.kinked or agree(analytic, first.value, first.error_bar, rtol))
        if denied and _is_a_side(first, estimate):
            estimate = replace(first, error_bar=math.inf, reason=_SIDE.format(first.value, estimate.low, estimate.high))
        return Settled(estimate, steepest)
    if agree(analytic, estimate.value, estimate.error_bar, rtol):
        negligible = point.last_bit * max(point.scale[entry[0]], point.size / point.reach(entry))
        reason = _contradicted(analytic, differences, levels, estimate, level, point.last_bit, negligible)
    else:
        reason = _treads_hide(point, entry, differences, levels) if estimate.value == 0 else ""
        largest = max(steepest * differences.ray.scale, differences.size, _ones(differences))
        reason = reason or rounded_away(analytic, differences, levels, estimate, largest, point.last_bit)
    return Settled(replace(estimate, error_bar=math.inf, reason=reason) if reason else estimate, steepest)


def _is_a_side(estimate: Estimate, kinked: Estimate) -> bool:
    """Tell whether a slope is that of one side of a kink, and known well enough to tell it from the other's."""
    off = min(abs(estimate.value - kinked.low), abs(estimate.value - kinked.high))
    bar = estimate.error_bar + kinked.error_bar
    return off <= bar <= _TOLD * (kinked.high - kinked.low)


def settle_along(point: Point, direction: Named, is_enough: Callable[[Estimate], bool]) -> Settled:
    """Find the derivative along a direction through many entries, by the whole ladder.

    Parameters
    ----------
    point : Point
        With the analytic gradient.
    direction : dict of str to ndarray
        Movement of each primal for a step of 1.
    is_enough : callable
        Whether an agreement with an estimate would tell. Then wider steps are not tried: they are believed only where
        they agree with the gradient, and a wrong one would be compared with the estimate as it is.
    """
    point.measure()
    differences, ray = point.along(direction)
    levels = []
    for level in climb_down(differences, hopeless=abs(point.directional(direction))):
        slip = ray.slip(level.step, point.gradient)
        levels.append(
            replace(level, central=level.central - slip, forward=level.forward - slip, backward=level.backward - slip)
        )
    estimate = _still(differences, levels) if differences.unmoved else kink.judge(levels)
    if levels:
        first = min(levels, key=lambda level: abs(math.log(level.step / default_step(point.last_bit, ray.scale))))
        if tread := _tread_left(differences, estimate, first, point.last_bit):
            levels = _noisier(levels, tread)
            estimate = kink.judge(levels)
    if not is_enough(estimate):
        estimate = _widen(differences, estimate, levels, point.directional(direction), 0.0)
    if estimate.value == 0 and not estimate.reason and (slope := climbs(differences, point.last_bit)):
        estimate = replace(estimate, error_bar=math.inf, reason=STAIRCASE.format(slope))
    return Settled(estimate, _steepest(differences, levels))


def _steepest(differences: Differences, levels: list[Level]) -> float:
    """Return the largest slope met: one-sided ones too, since central ones cancel at an extremum."""
    far = [each for each in levels if each.step >= _FAR * differences.ray.scale]  # near a jump any slope is met
    slopes = (abs(slope) for each in far for slope in (each.forward, each.backward) if math.isfinite(slope))
    return max(differences.steepest, max(slopes, default=0.0))


def _confirm(analytic: float, differences: Differences, level: Level, last_bit: float, rtol: float) -> Estimate | None:
    """Confirm a plain error cheaply: it must look the same at a coarse step, at the finest, and between.

    A kink, a fast oscillation, a narrow peak or rounding inside f changes the quotient on the way down; then None, and
    the whole ladder is asked.
    """
    error = abs(analytic - level.central)
    if not math.isfinite(error) or agree(analytic, level.central, level.noise, rtol):
        return None
    ray = differences.ray
    still = level.central == 0 == level.jump
    if still or differences.unmoved or error * level.step <= INSIDE * last_bit * differences.steepest * ray.scale:
        return None
    coarse = differences.level(64 * level.step)
    seen = max(abs(each.central) * each.step for each in (coarse, level) if math.isfinite(each.central))
    least = max(level.step * level.noise / (0.5 * error), 64 * ray.spacing)
    # over steps longer than what f changes by in all over the error, a wave of that slope shows none
    finest = min(max(least, 1e-10 * ray.scale), _WAVE * seen / error)
    if finest < least or finest > 0.1 * level.step or 0 < ray.magnitude < max(10 * finest, level.step):
        return None  # 1/x at 1e-11 has its structure below all of these steps
    between = differences.level(power_of_two(math.sqrt(finest * level.step)))
    fine = differences.level(power_of_two(finest))
    steady = all(
        math.isfinite(each.central) and abs(each.central - level.central) <= 0.1 * error + min(each.noise, 0.5 * error)
        for each in (coarse, between, fine)
    ) and all(abs(each.jump) <= 0.2 * error + each.jump_noise for each in (level, between, fine))
    if not steady or _stands_farther(analytic, differences, coarse, error, last_bit):
        return None
    return Estimate.smooth(level.central, abs(between.central - level.central) + level.noise, level.step)


def _stands_farther(analytic: float, differences: Differences, coarse: Level, error: float, last_bit: float) -> bool:
    """Tell whether an error, small beside numbers near 1, is what stands still over all steps up to a coarse one."""
    bits = last_bit * _ones(differences)
    if error * coarse.step > _AMPLIFIED * bits:
        return False
    wide = differences.level(_WIDE * differences.ray.scale)
    if abs(wide.central - coarse.central) <= abs(wide.central - analytic):
        return False
    return jump_off(coarse.central, differences, coarse.step, wide.step, last_bit * differences.size) > 0


def _contradicted(
    analytic: float,
    differences: Differences,
    levels: list[Level],
    estimate: Estimate,
    level: Level,
    last_bit: float,
    negligible: float,
) -> str:
    """Say how longer steps contradict an estimate that an analytic value agrees with; empty where they do not."""
    if abs(analytic - level.central) > negligible and (reason := forgotten(analytic, differences, level, estimate)):
        return reason
    if estimate.value != 0:
        return ""
    if _stands(estimate, level) and between_treads(level.central, differences, levels, lambda _: math.inf) is not None:
        return f"f climbs in treads: it stands still over {estimate.step:.1g}, and not over {level.step:.1g}"
    slope = climbs(differences, last_bit)
    return STAIRCASE.format(slope) if slope else ""


def _treads_hide(point: Point, entry: Entry, differences: Differences, levels: list[Level]) -> str:
    """Say that the treads on which f stands still may hide what an entry claims.

    The point is told of those that nobody means: so low that rounding to float32 makes them, or so long that only huge
    numbers do.
    """
    analytic = point.analytic(entry)
    found = between_treads(
        analytic, differences, levels, lambda longest: holds_over(point, entry, longest), point.largest
    )
    if found is None:
        return ""
    step, heights = found
    height = float(np.abs(differences.cotangent) @ heights)
    if height <= INSIDE * SINGLE * max(differences.size, _ones(differences)):
        point.tread = max(point.tread, height)
    if step > FAR * differences.ray.scale or step <= INSIDE * point.last_bit * point.largest:
        point.treads = np.maximum(point.treads, differences.everywhere(heights))
    return "f climbs in treads here, and the point lies on one: what it does in between is rounded away"


def _stands(estimate: Estimate, level: Level) -> bool:
    """Tell whether f stands still on one tread, and has climbed over the first step."""
    return estimate.value == 0 and abs(level.central) > _CLEARLY * level.noise


def _ones(differences: Differences) -> float:
    """Return the largest weight of an output: f may be made of numbers near 1, as 1 + erf(-6) is."""
    return float(np.abs(differences.cotangent).max(initial=0.0))


def _tread_left(differences: Differences, estimate: Estimate, first: Level, last_bit: float) -> float:
    """Return the height of the jump by which f leaves a slope, on the way to a first look that shows another; else 0.

    That is noise, where it is no higher than a tread of float32: part of f lies on one, the rest alone has that slope.
    Where all of f stands still other questions are asked.
    """
    off = abs(first.central - estimate.value) if estimate.value != 0 else 0.0
    if estimate.kinked or not _CLEARLY * max(first.noise, estimate.error_bar) < off < math.inf:
        return 0.0
    jump = jump_off(estimate.value, differences, estimate.step, first.step, last_bit * differences.size)
    return jump if jump <= INSIDE * SINGLE * max(differences.size, _ones(differences)) else 0.0


def _noisier(levels: list[Level], change: float) -> list[Level]:
    """Return levels that reckon with such a change of f as noise: others may be a few times as large."""
    return [replace(level, noise=max(level.noise, _OTHERS * change / level.step)) for level in levels]


def _still(differences: Differences, levels: list[Level]) -> Estimate:
    """Return the estimate for a function that no step has moved: 0, as exactly as its last bit allows."""
    bars = [differences.hidden_at(level.step) for level in levels]
    return Estimate.smooth(0.0, min(bars, default=math.inf), levels[0].step if levels else math.nan)


def _widen(differences: Differences, estimate: Estimate, levels: list[Level], analytic: float, rtol: float) -> Estimate:
    """Try coarser steps where noise drowned the fine ones and the coarsest so far was the best.

    Over wide steps every bounded function has slopes that tend to zero, and one that bends has two: only a plateau well
    away from zero, without a kink, counts. It is no slope at the point: where it agrees with the analytic value that
    is no accident, where it does not it proves nothing.
    """
    drowned = not estimate.reason and levels and estimate.step > 0.2 * levels[0].step
    if estimate.kinked or differences.unmoved or not drowned:
        return estimate
    wide = kink.judge(wider(differences, levels) + levels)
    plateau = not wide.kinked and wide.error_bar < min(_PLATEAU * abs(wide.value), estimate.error_bar)
    consistent = agree(wide.value, estimate.value, estimate.error_bar + wide.error_bar, 0.0)
    return wide if plateau and consistent and agree(analytic, wide.value, wide.error_bar, rtol) else estimate
