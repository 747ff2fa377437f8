"""Is the point on a kink, and which slopes are legal there? One-sided evidence."""

from __future__ import annotations

import math

from gradcheck.difference import Estimate, Level, best

# J ~ h**p with p = 1 where f is smooth, 0 at a kink, -1 at a jump, between the last two where a slope is infinite.
PERSISTS_BELOW = 0.5
INFINITE_BELOW = -0.25
JUMPS_BELOW = -0.75
_EVIDENCE = 4  # so many of the finest steps decide of what kind a point is


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
    """
    usable = [level for level in levels if math.isfinite(level.central)]
    if not usable:
        return best(levels)
    sharp = [k for k in range(len(usable) - 1) if persists(usable[k], usable[k + 1])]
    if not sharp:
        return best(levels)
    finest = sharp[-1] + 1
    jump = abs(usable[finest].jump)
    for k in range(finest + 1, len(usable)):
        if abs(usable[k].jump) < 0.5 * jump and usable[k].jump_noise < 0.25 * jump:
            return best(usable[k:])
    run = _run_ending_at(sharp)
    powers = [_power(usable[k], usable[k + 1]) for k in run[-_EVIDENCE:]]
    if min(powers) < INFINITE_BELOW:
        jumps = powers[-1] < JUMPS_BELOW
        return Estimate.none("f jumps at the point" if jumps else "the slope of f is infinite at the point", usable[finest])
    return _interval(usable[run[0] : finest + 1])


def beside(levels: list[Level]) -> Estimate | None:
    """Return the interval of the finest kink that the ladder saw, though the point may lie beside it; None if none."""
    usable = [level for level in levels if math.isfinite(level.central)]
    sharp = [k for k in range(len(usable) - 1) if persists(usable[k], usable[k + 1])]
    if not sharp:
        return None
    run = _run_ending_at(sharp)
    if len(run) < 2 or min(_power(usable[k], usable[k + 1]) for k in run[-_EVIDENCE:]) < INFINITE_BELOW:  # noqa: PLR2004  # one pair of levels is no run
        return None
    return _interval(usable[run[0] : sharp[-1] + 2])


def persists(coarse: Level, fine: Level) -> bool:
    """Tell whether the difference of the one-sided slopes stays as the step shrinks, beyond noise."""
    seen = abs(coarse.jump) > 2 * coarse.jump_noise and abs(fine.jump) > 2 * fine.jump_noise
    return seen and _power(coarse, fine) < PERSISTS_BELOW


def _power(coarse: Level, fine: Level) -> float:
    """Return p of J ~ h**p between two levels."""
    if coarse.jump == 0 or fine.jump == 0 or coarse.step <= fine.step:
        return math.inf
    return math.log(abs(fine.jump / coarse.jump)) / math.log(fine.step / coarse.step)


def _run_ending_at(sharp: list[int]) -> list[int]:
    run = [sharp[-1]]
    for k in reversed(sharp[:-1]):
        if k != run[0] - 1:
            break
        run.insert(0, k)
    return run


def _interval(levels: list[Level]) -> Estimate:
    """Return the interval of one-sided slopes, each at the level where it is known best."""
    forward, forward_bar, step = _limit([(level.forward, 2 * level.noise, level.step) for level in levels])
    backward, backward_bar, _ = _limit([(level.backward, 2 * level.noise, level.step) for level in levels])
    low, high = min(forward, backward), max(forward, backward)
    return Estimate(0.5 * (low + high), max(forward_bar, backward_bar), step, low, high, kinked=True)


def _limit(slopes: list[tuple[float, float, float]]) -> tuple[float, float, float]:
    """Extrapolate a one-sided slope, linear in the step, to 0: (value, bar, step) of the best level."""
    choices = []
    for (coarse, _, wide), (fine, noise, step) in zip(slopes, slopes[1:], strict=False):
        ratio = wide / step
        limit = (ratio * fine - coarse) / (ratio - 1)
        choices.append((limit, abs(limit - fine) + 3 * noise, step))
    return min(choices, key=lambda choice: choice[1])
