"""Does f have a kink that an entry's own two slopes do not show? Asked along other directions, and longer steps."""

from __future__ import annotations

import math

import numpy as np

from gradcheck import kink
from gradcheck.difference import Differences
from gradcheck.ladder import Estimate, climb_down
from gradcheck.layer import Named
from gradcheck.point import Entry, Point
from gradcheck.probe import ProjectionRay, signed
from gradcheck.report import Comparison

_SUMS = 6
_AT_ONCE = 2.0**-37  # a step that no kink beside the point lies within, as far as can be told
_FAR_OFF, _COARSER = 2.0**-12, 2.0**5  # how long it may become where f is too noisy to be seen over it
_NOT_ADDING = 1e-2
_BENT = 0.1  # of a slope: what the two sides of a random direction differ by where several kinks meet
_FINE, _EVENLY = 0.25, 0.1  # of a step; of that difference: so nearly it shrinks with the step where f but bends
_HALF = 0.5  # of an error
_LONGER = (1.0, 4.0, 16.0)  # steps, over which noise is less
_AMPLIFIED = 40.0  # times the noise of the shortest step, in both extrapolated slopes together


def is_on_a_kink(point: Point, entry: Entry) -> bool:
    """Tell whether the outputs that an entry reaches are on some kink.

    By the two sides of a random direction; and by slopes that do not add up, since a median of three that are tied
    has the same slope on both sides of every direction.
    """
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
    one = anywhere()
    along_one = along(one)
    for _ in range(_SUMS):
        other = anywhere()
        along_other, along_both = along(other), along({name: one[name] + other[name] for name in one})
        if not _adds_up(along_one, along_other, along_both):
            return True
        one, along_one = other, along_other
    return False


def _adds_up(one: Differences, other: Differences, both: Differences) -> bool:
    """Tell whether the slopes along two directions add up to the one along both, as far as noise shows."""
    step, moves = _AT_ONCE, np.zeros(0, bool)
    while True:
        (first, second, together), bars = zip(*(each.by_output(step) for each in (one, other, both)), strict=True)
        bar, adding = sum(bars), _NOT_ADDING * np.maximum(np.abs(first), np.abs(second))
        if np.any(np.abs(together - first - second) > 2 * bar + adding):
            return False
        vague = bar > adding
        if step >= _FAR_OFF or not vague.any():
            return True
        if not moves.size:
            moves = both.moves(_FAR_OFF) > 0  # what lies on a tread does not show over shorter steps
        if not vague[moves].any():
            return True
        step *= _COARSER


def is_smooth_over(point: Point, step: float) -> bool:
    """Tell whether f has one slope on both sides of the point, along some random directions through all entries."""
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


def small_kink(point: Point, entry: Entry, result: Comparison, estimate: Estimate) -> tuple[float, float] | None:
    """Return one-sided slopes, if a value between them is claimed and they differ by less than f bends.

    Over steps at which that is seen, noise hides how far they are apart; both are extrapolated from longer ones.
    """
    differences = point.along_entry(entry)
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


def _at_zero(slopes: list[float]) -> tuple[float, float]:
    """Extrapolate slopes over a step, its half and its quarter to one of 0; return as well how far that may be off."""
    whole, half, quarter = slopes
    line = 2 * quarter - half
    parabola = (8 * quarter - 6 * half + whole) / 3
    return parabola, abs(parabola - line)
