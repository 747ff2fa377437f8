"""Could rounding inside f make a right value look wrong, or a vague estimate let a wrong one pass? Says how."""

from __future__ import annotations

import math

from gradcheck import kink
from gradcheck.difference import Differences, Estimate, Level

INSIDE = 4.0
"""Last bits of f's range that rounding inside it may cost."""
_TREAD = 0.1  # a jump of rounding inside f that moves the quotient by this part of an error may hide the rest of it
_HEIGHTS = 2.0  # of a tread: what it hides at most
_NEAR_EDGE = 30.0  # times the distance of an edge: slopes over such steps tell which way the treads lead
_FAR_AWAY = 64.0  # a step, in units of the ray, over which f is asked whether it moves at all
_BISECTIONS = 24  # that narrow an edge down to far less than the next tread is wide
_BEYOND_EDGE = 2.0**-12  # of the distance to an edge
_CLEARLY = 10.0  # so many times its noise a difference must be off
_STEADY = 0.1  # of an error: so little the quotient may change with the step


def rounded_away(
    analytic: float, differences: Differences, levels: list[Level], estimate: Estimate, inside: float
) -> str:
    """Say how rounding inside f may hide the slope that an analytic value claims; empty where it cannot.

    Parameters
    ----------
    analytic : float
        The claim, which disagrees with the estimate.
    differences : Differences
        Along the entry.
    levels : list of Level
        The ladder, coarse to fine.
    estimate : Estimate
        Without a kink.
    inside : float
        How high a jump of f may be that is mere rounding of numbers as large as f gets.
    """
    gap = abs(analytic - estimate.value)
    if estimate.value == 0 and _between_treads(analytic, differences, levels):
        return "f climbs in treads here, and the point lies on one: what it does in between is rounded away"
    height = kink.nearby_jump(levels, estimate, gap, differences.level)
    coarser = [each.central for each in levels if each.step > estimate.step and math.isfinite(each.central)]
    if height and estimate.value == 0 and kink.beside(levels) is None and min(coarser) <= analytic <= max(coarser):
        return f"f is a staircase here: flat at the point, with a step of height {height:.2g} nearby"
    tread = kink.nearby_jump(levels, estimate, _TREAD * gap, differences.level)
    if 0 < tread <= inside:
        return f"f jumps by {tread:.1g} nearby, which rounding inside it may well do, and is even between"
    coarse = kink.rough(levels, estimate, analytic)
    if coarse is not None:
        return (
            f"f is rough: its slope is {coarse.value:.6g} over steps of {coarse.step:.1g} and {estimate.value:.6g}"
            f" over {estimate.step:.1g}"
        )
    return ""


def forgotten(analytic: float, differences: Differences, level: Level, estimate: Estimate) -> str:
    """Say that the first look, and one at a smaller step, contradict what a much vaguer estimate would let pass.

    Parameters
    ----------
    analytic : float
        The claim, which agrees with the estimate.
    differences : Differences
        Along the entry.
    level : Level
        The first look.
    estimate : Estimate
        Without a kink.

    Returns
    -------
    str
        Empty where they do not.
    """
    error = abs(analytic - level.central)
    if not (_CLEARLY * level.noise < error < estimate.error_bar < math.inf):
        return ""
    finer = differences.level(level.step / 4)
    if abs(finer.central - level.central) > _STEADY * error or _CLEARLY * finer.noise >= error:
        return ""
    return f"off by {error:.2g} at two small steps, more than noise, and the rest is vaguer"


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
