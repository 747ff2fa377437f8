"""What is the numerical derivative, once a first look was not enough? The ladder, and what is read off it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from gradcheck import kink
from gradcheck.difference import Differences, Estimate, Level, climb_down
from gradcheck.layer import Named
from gradcheck.point import Entry, Point
from gradcheck.probe import power_of_two
from gradcheck.tolerance import agree, meaningful

_PLATEAU = 0.1  # the bar of a plateau at wide steps, beside its slope
_FAR = 1e-2  # slopes over steps of at least this part of the scale tell how steep f is
_INSIDE = 4.0  # last bits of f's range that rounding inside it may cost
_WAVE = 0.1
_HEIGHTS = 2.0  # of a tread: what it hides at most
_NEAR_EDGE = 30.0
_FAR_AWAY = 64.0
_BISECTIONS = 24
_BEYOND_EDGE = 2.0**-12  # of the distance to an edge
_CLEARLY = 10.0  # so many times its noise a difference must be off
_STEADY = 0.1  # of an error: so little the quotient may change with the step
_TREAD = 0.1  # a jump of rounding inside f that moves the quotient by this part of an error may hide the rest of it
_HUGE = 1e300
_WIDEST = 1e4  # the coarsest step, in units of the point, that is tried where noise drowns the others


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
    plain = _confirm(analytic, differences, level, point.last_bit, rtol)
    if plain is not None:
        return Settled(plain, differences.steepest)
    levels = climb_down(differences, hopeless=abs(analytic) if math.isfinite(analytic) else 0.0)
    estimate = _still(differences, levels) if differences.unmoved else kink.judge(levels)
    steepest = _steepest(differences, levels)
    if not (
        agree(analytic, estimate.value, estimate.error_bar, rtol)
        and tells(point, entry, Settled(estimate, steepest), rtol)
    ):
        before = point.noise
        point.measure_treads()
        if point.noise is not before and not differences.unmoved:
            differences.take_noise(point.noise)
            levels = [replace(each, noise=differences.noise_at(each.step)) for each in levels]
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
    if not estimate.kinked and not agree(analytic, estimate.value, estimate.error_bar, rtol):
        coarse = kink.rough(levels, estimate, analytic)
        inside = _INSIDE * point.last_bit * steepest * differences.ray.scale
        gap = abs(analytic - estimate.value)
        height = kink.nearby_jump(levels, estimate, gap, differences.level)
        coarser = [each.central for each in levels if each.step > estimate.step and math.isfinite(each.central)]
        if estimate.value == 0 and _between_treads(analytic, differences, levels):
            reason = "f climbs in treads here, and the point lies on one: what it does in between is rounded away"
            estimate = replace(estimate, error_bar=math.inf, reason=reason)
        elif (
            height and estimate.value == 0 and kink.beside(levels) is None and min(coarser) <= analytic <= max(coarser)
        ):
            reason = f"f is a staircase here: flat at the point, with a step of height {height:.2g} nearby"
            estimate = replace(estimate, error_bar=math.inf, reason=reason)
        elif 0 < (tread := kink.nearby_jump(levels, estimate, _TREAD * gap, differences.level)) <= inside:
            reason = f"f jumps by {tread:.1g} nearby, which rounding inside it may well do, and is even between"
            estimate = replace(estimate, error_bar=math.inf, reason=reason)
        elif coarse is not None:
            reason = (
                f"f is rough: its slope is {coarse.value:.6g} over steps of {coarse.step:.1g} and {estimate.value:.6g}"
                f" over {estimate.step:.1g}"
            )
            estimate = replace(coarse, error_bar=math.inf, reason=reason)
    elif not estimate.kinked and _told_apart(analytic, differences, level, estimate):
        reason = (
            f"off by {abs(analytic - level.central):.2g} at two small steps, more than noise, and the rest is vaguer"
        )
        estimate = replace(estimate, error_bar=math.inf, reason=reason)
    return Settled(estimate, steepest)


def _between_treads(analytic: float, differences: Differences, levels: list[Level]) -> bool:
    """Tell whether f, where it first moves, stands still again at once: a tread, and not the slope beyond a kink.

    The tread must be high enough to hide what the analytic value predicts, and lead where it points.
    """
    moving = [level.step for level in levels if level.central != 0 or level.jump != 0]
    if not moving and differences.changes(0.0, _FAR_AWAY * differences.ray.scale):
        moving = [_FAR_AWAY * differences.ray.scale]
    still = [level.step for level in levels if level.central == 0 == level.jump and level.step < min(moving, default=0)]
    if not still:
        return False
    least, most = max(still), min(moving)
    for _ in range(_BISECTIONS):
        middle = math.sqrt(least * most)
        if differences.changes(0.0, middle):
            most = middle
        else:
            least = middle
    beyond = differences.level(most * (1 + _BEYOND_EDGE))
    height = max(abs(beyond.forward), abs(beyond.backward)) * beyond.step
    near = [level for level in levels if most <= level.step <= _NEAR_EDGE * most]
    sides = [side for level in (*near, beyond) for side in (level.forward, level.backward)]
    toward = min(sides) < 0 if analytic < 0 else max(sides) > 0
    hidden = abs(analytic) * least <= _HEIGHTS * height and toward
    return hidden and not differences.changes(most * (1 + _BEYOND_EDGE), most * (1 + 4 * _BEYOND_EDGE))


def _told_apart(analytic: float, differences: Differences, level: Level, estimate: Estimate) -> bool:
    """Tell whether the first look, and one at a smaller step, contradict what a much vaguer estimate would let pass."""
    error = abs(analytic - level.central)
    if not (_CLEARLY * level.noise < error < estimate.error_bar < math.inf):
        return False
    finer = differences.level(level.step / 4)
    return abs(finer.central - level.central) <= _STEADY * error and _CLEARLY * finer.noise < error


def settle_along(point: Point, direction: Named) -> Settled:
    """Find the derivative along a direction through many entries, by the whole ladder."""
    point.measure()
    differences, ray = point.along(direction)
    levels = []
    for level in climb_down(differences, hopeless=abs(point.directional(direction))):
        slip = ray.slip(level.step, point.gradient)
        levels.append(
            replace(level, central=level.central - slip, forward=level.forward - slip, backward=level.backward - slip)
        )
    estimate = _still(differences, levels) if differences.unmoved else kink.judge(levels)
    estimate = _widen(differences, estimate, levels, point.directional(direction), 0.0)
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
    if still or differences.unmoved or error * level.step <= _INSIDE * last_bit * differences.steepest * ray.scale:
        return None
    coarse = differences.level(64 * level.step)
    seen = max(abs(each.central) * each.step for each in (coarse, level) if math.isfinite(each.central))
    least = max(level.step * level.noise / (0.5 * error), 64 * ray.spacing)
    # over steps longer than what f changes by in all over the error, a wave of that slope shows none
    finest = min(max(least, 1e-10 * ray.scale), _WAVE * seen / error)
    if finest < least or finest > 0.1 * level.step or 0 < ray.magnitude < 10 * finest:
        return None  # 1/x at 1e-11 has its structure below all of these steps
    between = differences.level(power_of_two(math.sqrt(finest * level.step)))
    fine = differences.level(power_of_two(finest))
    steady = all(
        math.isfinite(each.central) and abs(each.central - level.central) <= 0.1 * error + min(each.noise, 0.5 * error)
        for each in (coarse, between, fine)
    ) and all(abs(each.jump) <= 0.2 * error + each.jump_noise for each in (level, between, fine))
    if not steady:
        return None
    return Estimate.smooth(level.central, abs(between.central - level.central) + level.noise, level.step)


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
    wider: list[Level] = []
    step = levels[0].step * 4
    while step <= min(_WIDEST * differences.ray.scale, _HUGE):
        wider.insert(0, differences.level(step))
        step *= 4
    wide = kink.judge(wider + levels)
    plateau = not wide.kinked and wide.error_bar < min(_PLATEAU * abs(wide.value), estimate.error_bar)
    consistent = agree(wide.value, estimate.value, estimate.error_bar + wide.error_bar, 0.0)
    return wide if plateau and consistent and agree(analytic, wide.value, wide.error_bar, rtol) else estimate
