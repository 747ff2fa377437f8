"""Is the point on a kink, and which slopes are legal there? One-sided evidence."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from gradcheck.difference import Level
from gradcheck.ladder import Estimate, best

# J ~ h**p with p = 1 where f is smooth, 0 at a kink, -1 at a jump, between the last two where a slope is infinite.
PERSISTS_BELOW = 0.5
INFINITE_BELOW = -0.25
JUMPS_BELOW = -0.75
_EVIDENCE = 4  # so many of the finest steps decide of what kind a point is
_STEADY = 0.2  # how far powers of neighbouring steps may lie apart to be one law, and not scattered noise
_BISECTIONS = 8
_ABRUPT = 1e-2  # of the distance to a plateau, what is left of it one level later
_AT_EDGE = 0.1  # of what f is off at the coarse step: other jumps may lie between, and a kink leaves far less
_BY_CHANCE = 4.0
_ANOTHER = 0.5  # of the jump of the finest slopes: one that lies farther from theirs is another
_INFLATIONS = (1.0, 10.0, 1e2, 1e3, 1e4, 1e5, 1e6)


def judge(levels: list[Level]) -> Estimate:
    """Turn a ladder into a numerical derivative: smooth, kinked, or none.

    Parameters
    ----------
    levels : list of Level
        Coarse to fine.

    Returns
    -------
    Estimate
        `kinked` with its interval of one-sided slopes where these differ as far down as can be seen. A kink at a
        distance shows at coarse steps only: those are left out.

    Notes
    -----
    With forward slope P(h) and backward slope M(h) the difference J(h) = P(h) - M(h) is proportional to h where f is
    smooth. Any value between P and M is a Clarke subgradient of a convex or concave function of one variable.

    Levels that follow no law at all mean that the noise was measured too small (rounding errors at equally spaced
    points can be regular by accident): the bars are then widened until the levels are consistent with each other.
    """
    with np.errstate(all="ignore"):  # quotients of values near the largest number overflow on the way
        return _judge_inflated([level for level in levels if math.isfinite(level.central)])


def _judge_inflated(usable: list[Level]) -> Estimate:
    first: Estimate | None = None
    for factor in _INFLATIONS:
        estimate, lawful = _judge([replace(level, noise=level.noise * factor) for level in usable])
        first = first or estimate
        if not usable:
            return estimate
        if lawful:
            worthless = factor > 1 and estimate.error_bar > abs(usable[0].central)
            return first if worthless else _sharper(usable, factor, estimate)
    return first or best(usable)


def _sharper(usable: list[Level], factor: float, estimate: Estimate) -> Estimate:
    """Return what a little more noise makes of the levels, where that is sharper: a fine one may be off by chance."""
    if estimate.kinked or estimate.reason:
        return estimate
    noisier, lawful = _judge([replace(level, noise=level.noise * factor * _BY_CHANCE) for level in usable])
    better = lawful and not noisier.kinked and not noisier.reason and noisier.error_bar < estimate.error_bar
    return noisier if better else estimate


def _judge(usable: list[Level]) -> tuple[Estimate, bool]:
    """Judge with the noise as given; tell whether the levels followed a law."""
    sharp = [k for k in range(len(usable) - 1) if persists(usable[k], usable[k + 1])]
    if not sharp:
        growth = _growth(usable)
        if growth is not None:
            return Estimate.none(_singular(growth), usable[-1]), True
        estimate = best(usable)
        return estimate, not estimate.reason
    finest = sharp[-1] + 1
    jump = abs(usable[finest].jump)
    for k in range(finest + 1, len(usable)):
        if abs(usable[k].jump) < 0.5 * jump and usable[k].jump_noise < 0.25 * jump:
            estimate = best(usable[k:])
            return estimate, not estimate.reason
    run = _run_ending_at(sharp)[-_EVIDENCE:]
    powers = [_power(usable[k], usable[k + 1]) for k in run]
    signs = {usable[k].jump > 0 for k in [*run, finest]}
    lawful = len(run) > 1 and len(signs) == 1 and max(powers) - min(powers) < _STEADY
    if min(powers) < INFINITE_BELOW:
        return Estimate.none(_singular(powers[-1]), usable[finest]), lawful
    interval = _interval(usable[_run_ending_at(sharp)[0] : finest + 1])
    for k in range(finest + 1, len(usable)):
        outside = max(interval.low - usable[k].central, usable[k].central - interval.high)
        if outside > interval.error_bar + 2 * usable[k].noise:
            # too fine to see the slopes' difference, but their mean has left the interval: the kink lay beside
            estimate = best(usable[k:])
            return estimate, not estimate.reason
    return interval, lawful


def rough(levels: list[Level], estimate: Estimate, analytic: float, share: float) -> Estimate | None:
    """Return what the coarse levels say where they speak for an analytic value that the fine ones contradict.

    Both are smooth then, and neither is to be believed: so does a function behave that rounds inside in steps larger
    than its own last bit, such as ``x * (1 + erf(x))`` at -8. Near a kink the coarse levels are not smooth. They have
    to be known to a share of the gap between the two, and come as near to the value.
    """
    gap = abs(analytic - estimate.value)
    for k in range(_EVIDENCE, len(levels)):
        coarse = judge(levels[:k])
        settled = not coarse.kinked and coarse.error_bar < share * gap
        if settled and coarse.step > estimate.step and abs(coarse.value - analytic) < share * gap:
            return coarse
    return None


def _singular(power: float) -> str:
    return "f jumps at the point" if power < JUMPS_BELOW else "the slope of f is infinite at the point"


def _growth(levels: list[Level]) -> float | None:
    """Return p < 0 where the slopes themselves grow like h**p at the finest steps; None where they do not.

    So they do at a jump whose value at the point lies half-way, sign(0) = 0, and the one-sided slopes do not differ.
    """
    finest = levels[-_EVIDENCE:]
    if len(finest) < _EVIDENCE or any(not abs(level.central) > 2 * level.noise for level in finest):
        return None
    if any(coarse.step <= fine.step for coarse, fine in pairwise(finest)):
        return None
    powers = [
        (math.log(abs(fine.central)) - math.log(abs(coarse.central))) / math.log(fine.step / coarse.step)
        for coarse, fine in pairwise(finest)
    ]
    lawful = max(powers) < INFINITE_BELOW and max(powers) - min(powers) < _STEADY
    return powers[-1] if lawful else None


def nearby_jump(levels: list[Level], estimate: Estimate, gap: float, look: Callable[[float], Level]) -> float:
    """Return the height of a jump of f at the edge of the plateau that an estimate comes from; 0 where there is none.

    Quotients that approach a slope smoothly come nearer by a factor of 10 with every level, and beside a kink they
    leave it gradually; beside a jump they are off by all of it at one level, and exact at the next.

    Parameters
    ----------
    levels : list of Level
        Coarse to fine.
    estimate : Estimate
        Read off the fine ones.
    gap : float
        Only jumps that move the quotient by more than this count.
    look : callable
        ``look(step)`` takes another difference: nearer and nearer to the edge a jump keeps its height, a kink does not.
    """
    usable = [level for level in levels if math.isfinite(level.central)]
    for coarse, fine in pairwise(level for level in usable if level.step >= estimate.step):
        off = abs(coarse.central - estimate.value)
        if off > gap + 4 * coarse.noise and abs(fine.central - estimate.value) <= fine.noise + min(_ABRUPT * off, gap):
            return _height_at_the_edge(estimate.value, coarse, fine, look)
    return 0.0


def _height_at_the_edge(value: float, coarse: Level, fine: Level, look: Callable[[float], Level]) -> float:
    """Return how much f is off a slope just beyond the edge that lies between two steps; 0 where that is little."""
    height = abs(coarse.central - value) * coarse.step
    least, most, at_edge = fine.step, coarse.step, height
    for _ in range(_BISECTIONS):
        level = look(math.sqrt(least) * math.sqrt(most))
        off = abs(level.central - value) * level.step
        if off <= _ABRUPT * height + level.noise * level.step:
            least = level.step
        else:
            most, at_edge = level.step, off
    return height if at_edge > _AT_EDGE * height else 0.0


def beside(levels: list[Level]) -> Estimate | None:
    """Return the interval of the finest kink that the ladder saw, though the point may lie beside it; None if none."""
    usable = [level for level in levels if math.isfinite(level.central)]
    sharp = [k for k in range(len(usable) - 1) if persists(usable[k], usable[k + 1])]
    if not sharp:
        return None
    run = _run_ending_at(sharp)[:-1]  # the last pair may straddle the kink
    powers = [_power(usable[k], usable[k + 1]) for k in run[-_EVIDENCE:]]
    if len(run) < 2 or min(powers) < INFINITE_BELOW or max(powers) - min(powers) > _STEADY:
        return None
    return _interval(usable[run[0] : run[-1] + 2])


def persists(coarse: Level, fine: Level) -> bool:
    """Tell whether the difference of the one-sided slopes stays as the step shrinks, beyond noise."""
    seen = abs(coarse.jump) > 2 * coarse.jump_noise and abs(fine.jump) > 2 * fine.jump_noise
    return seen and _power(coarse, fine) < PERSISTS_BELOW


def _power(coarse: Level, fine: Level) -> float:
    """Return p of J ~ h**p between two levels."""
    ratio = abs(fine.jump / coarse.jump) if coarse.jump else 0.0
    if not 0 < ratio < math.inf or coarse.step <= fine.step:
        return math.inf
    return math.log(ratio) / math.log(fine.step / coarse.step)


def _run_ending_at(sharp: list[int]) -> list[int]:
    run = [sharp[-1]]
    for k in reversed(sharp[:-1]):
        if k != run[0] - 1:
            break
        run.insert(0, k)
    return run


def _interval(levels: list[Level]) -> Estimate:
    """Return the interval of one-sided slopes, each at the level where it is known best."""
    slack = _ANOTHER * abs(levels[-1].jump)
    forward, forward_bar, step = _limit([(level.forward, 2 * level.noise, level.step) for level in levels], slack)
    backward, backward_bar, _ = _limit([(level.backward, 2 * level.noise, level.step) for level in levels], slack)
    low, high = min(forward, backward), max(forward, backward)
    return Estimate(
        0.5 * (low + high), max(forward_bar, backward_bar), step, low, high, kinked=True, closest=levels[-1].step
    )


def _limit(slopes: list[tuple[float, float, float]], slack: float) -> tuple[float, float, float]:
    """Extrapolate a one-sided slope, linear in the step, to 0: (value, bar, step) of the best level.

    Of those only that no finer level leaves by more than the slack: over steps far longer than a wave all slopes are
    small, and near each other.
    """
    choices = []
    for k, ((coarse, _, wide), (fine, noise, step)) in enumerate(pairwise(slopes)):
        ratio = wide / step
        limit = (ratio * fine - coarse) / (ratio - 1)
        bar = abs(limit - fine) + 3 * noise
        if all(abs(finer - limit) <= bar + rounding + slack for finer, rounding, _ in slopes[k + 2 :]):
            choices.append((limit, bar, step))
    return min(choices, key=lambda choice: choice[1])
