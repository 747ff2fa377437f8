"""At which step is a derivative known best, and how well? A ladder of steps, and the choice among them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from gradcheck.difference import Differences, Level
from gradcheck.evaluate import Vector
from gradcheck.probe import Ray, power_of_two

_SMALL = 1e-6  # an entry so much smaller than 1 gets steps of its own
_SAFETY = 2.0  # on truncation: enough for errors of first order in the step, of which half a decade shows 2/3
_COMPARED = 3  # a level is judged by its change to the next two
_HUGE = 1e300
_WIDEST = 1e4  # the coarsest step of all, in units of the point
RATIO = math.sqrt(10.0)
"""From one level of the ladder to the next: half a decade."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A numerical derivative.

    Attributes
    ----------
    value : float
        The derivative; at a kink, the middle of the interval.
    error_bar : float
        Half-width of the interval in which the truth lies; inf where nothing can be said. At a kink, how far off
        `low` and `high` can be.
    step : float
        The step it comes from.
    low, high : float
        At a kink, the one-sided slopes in order; elsewhere both are `value`.
    kinked : bool
        The one-sided slopes differ as far down as can be seen.
    closest : float
        The finest step over which they are still seen to differ: how near to the point the kink is known to be.
    reason : str
        Why nothing can be said, where that is so.
    """

    value: float
    error_bar: float
    step: float
    low: float
    high: float
    kinked: bool = False
    reason: str = ""
    closest: float = 0.0

    @classmethod
    def smooth(cls, value: float, error_bar: float, step: float) -> Estimate:
        """Return an estimate at a point without a kink."""
        return cls(value, error_bar, step, value, value)

    @classmethod
    def none(cls, reason: str, level: Level | None = None) -> Estimate:
        """Return the estimate that says nothing but why."""
        value, step = (level.central, level.step) if level else (math.nan, math.nan)
        return cls(value, math.inf, step, value, value, reason=reason)


def steps(ray: Ray, top: float) -> list[float]:
    """Return the ladder's steps, coarse to fine in half decades.

    Parameters
    ----------
    ray : Ray
        Its scale, magnitude and spacing bound the ladder.
    top : float
        The coarsest step as a multiple of the ray's scale.
    """
    bottom = max(1e-13 * ray.scale, 8 * ray.spacing)
    grid = _decades(top * ray.scale, bottom)
    if 0 < ray.magnitude < _SMALL * ray.scale:
        # and once more on the entry's own scale: log at 1e-20 lives there
        grid += _decades(min(ray.magnitude, bottom / RATIO), max(1e-7 * ray.magnitude, 8 * ray.spacing))
    return list(dict.fromkeys(grid))  # near the smallest numbers there are, steps coincide


def _decades(start: float, end: float) -> list[float]:
    """Return powers of two near the half decades from `start` down to `end`."""
    if not 0 < end <= start:
        return []
    count = math.floor(math.log(start / end, RATIO)) + 1
    return [power_of_two(start / RATIO**k) for k in range(count)]


def climb_down(differences: Differences, *, top: float = 1.0, hopeless: float = 0.0) -> list[Level]:
    """Evaluate the ladder, coarse to fine, and stop where noise drowns everything.

    Parameters
    ----------
    differences : Differences
        Along the ray.
    top : float
        As in `steps`.
    hopeless : float
        A magnitude: levels whose noise exceeds a hundred times this, and every slope met so far, end the ladder.
    """
    levels: list[Level] = []
    largest = hopeless
    usable = 0
    for step in steps(differences.ray, top):
        level = differences.level(step)
        levels.append(level)
        if math.isfinite(level.central):
            usable += 1
            if usable > _COMPARED and largest and level.noise > 100 * max(largest, abs(level.central)):
                break
            largest = max(largest, abs(level.central))
    # an output that reacts at some step has noise at every step
    return [replace(level, noise=differences.noise_at(level.step)) for level in levels]


def wider(differences: Differences, levels: list[Level]) -> list[Level]:
    """Return levels at steps still coarser than those of a ladder, coarse to fine."""
    found: list[Level] = []
    step = levels[0].step * 4
    while step <= min(_WIDEST * differences.ray.scale, _HUGE):
        found.insert(0, differences.level(step))
        step *= 4
    return found


def best(levels: list[Level]) -> Estimate:
    """Choose among levels without a kink: the one with the smallest bar that no finer level contradicts.

    Parameters
    ----------
    levels : list of Level
        Coarse to fine, each at about ``1 / sqrt(10)`` of the step before.

    Returns
    -------
    Estimate
        Smooth, or with an infinite bar and a reason.

    Notes
    -----
    The truncation error of a level is estimated by its change to the next two finer ones, its rounding error is its
    noise. Richardson's extrapolation of neighbouring levels competes by the same rule. A coarse plateau is believed
    only if all finer levels agree with it within their noise: that is what finds structure finer than the coarse step
    (a kink nearby, a narrow peak, a fast oscillation).

    References
    ----------
    C. J. F. Ridders, Accurate computation of F'(x) and F'(x) F''(x), Adv. Eng. Softw. 4 (1982), 75-76.
    J. J. Moré and S. M. Wild, Estimating derivatives of noisy simulations, ACM Trans. Math. Softw. 38 (2012), 19.
    """
    usable = [level for level in levels if math.isfinite(level.central)]
    if not usable:
        return Estimate.none("f is not finite on both sides of the point: it lies at the edge of the domain")
    central = np.array([level.central for level in usable])
    noise = np.array([level.noise for level in usable])
    step = np.array([level.step for level in usable])
    plain = _Column(central, noise, step, order=2)
    found = _believed(plain, plain)
    if len(usable) > _COMPARED:
        ratio = (step[:-1] / step[1:]) ** 2
        extrapolated = (ratio * central[1:] - central[:-1]) / (ratio - 1)
        found += _believed(_Column(extrapolated, 1.3 * noise[1:], step[1:], order=4), plain)
    if not found:
        return Estimate.none("the difference quotients settle at no step", usable[-1])
    value, bar, at = min(found, key=lambda choice: choice[1])
    return Estimate.smooth(value, bar, at)


@dataclass(frozen=True)
class _Column:
    """One column of the extrapolation table, coarse to fine; its truncation error is of the given order in the step."""

    values: Vector
    noise: Vector
    step: Vector
    order: int


def _believed(column: _Column, plain: _Column) -> list[tuple[float, float, float]]:
    """Return (value, bar, step) of a column's levels that no finer plain level contradicts."""
    values, step = column.values, column.step
    last = len(values) - 1
    out = []
    for k in range(last + 1):
        near = [k + 1, k + 2] if k + 1 < last else ([k + 1, k - 1] if k < last else [k - 1, k - 2])
        changes = [abs(values[k] - values[j]) for j in near if 0 <= j <= last]
        if not changes:
            continue
        if k:
            # noise can hide the change to the next finer level; the change from the coarser one is larger
            changes.append(abs(values[k] - values[k - 1]) / ((step[k - 1] / step[k]) ** column.order - 1))
        bar = _SAFETY * max(changes) + column.noise[k]
        finer = plain.step < 0.9 * step[k]
        if np.all(np.abs(plain.values[finer] - values[k]) <= plain.noise[finer] + bar):
            out.append((float(values[k]), float(bar), float(step[k])))
    return out
