"""Does f stand still here, and climb farther on? Treads, jumps and staircases, and what they may hide."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.difference import Differences, Level
from gradcheck.evaluate import Vector

TREADS = 2.0
"""Heights of a tread: what lies between may be off by so many."""
FAR = 2.0**20
"""Times the scale of an entry: no staircase that is meant has treads so long, but huge numbers swallow such steps."""
FINE_TREAD = 2.0**-9
"""In units of the ray: treads so short may be float16's."""
STAIRCASE = (
    "f climbs in treads so fine that rounding may make them: 0 is its slope on a tread, and {:.3g} that across them;"
    " which is meant, its values do not tell"
)
_EDGES = (1.0, 2.0, 4.0)  # times the distance of the first edge, at which a rise and a fall may coincide
_NEAR_EDGE = 30.0  # times the distance of an edge: slopes over such steps tell which way the treads lead
_FAR_AWAY = 64.0  # a step, in units of the ray, over which f is asked whether it moves at all
_BISECTIONS = 24  # that narrow an edge down to far less than the next tread is wide
_OWN = 16.0  # last bits: what f may be off by for its own rounding
_JUMP = 4.0  # times what f was off before: a jump, and not a bend
_BESIDE_JUMP = 2.0**-10  # so little farther f is off by as much beyond a jump, and by far more beyond a kink
_BEYOND_EDGE = 2.0**-12  # of the distance to an edge
_FINEST_TREAD = 2.0**-30  # finer ones are looked for elsewhere
_SHORT = (2.0**-15, 2.0**-19, 2.0**-22)  # of an entry: treads of float32 are shorter than the last
_STEPS, _MOSTLY = 8, 0.75  # over so many of such steps, what is on longer treads mostly stands still
_WIDER = 2.0**10  # times as long: over such a step it does not
_CLIMBS = (2.0**-5, 2.0**-4)  # over steps so long it climbs
_EVENLY = 0.3  # of a slope: so near each other are those of what climbs evenly


def first_tread(
    differences: Differences, least: float, most: float, of: Any = slice(None)
) -> tuple[float, Vector] | None:
    """Return where f, which stands still over one step and moves over another, first moves, and how far each output.

    Only outputs `of` some places are looked at. None where it goes on moving from there: then it is the slope beyond a
    kink, and no tread that rounding made.
    """
    for _ in range(_BISECTIONS):
        middle = math.sqrt(least) * math.sqrt(most)
        if differences.moves(middle)[of].any():
            most = middle
        else:
            least = middle
    beyond = most * (1 + _BEYOND_EDGE)
    heights = np.fmax(differences.moves(most), differences.moves(beyond))[of]
    farther = differences.moves(most * (1 + 4 * _BEYOND_EDGE))[of]
    # a slope would go on four times as far; at the edges of several terms together, rounding may go to and fro
    stands = np.all((farther <= 3 * heights.max(initial=0.0)) | (heights == 0))  # another may come to its own edge
    return (beyond, heights) if stands else None


def _stands(differences: Differences, step: float) -> bool:
    """Tell whether f is the same over a step and over one a little longer."""
    return bool(np.array_equal(differences.moves(step), differences.moves(step * (1 + _BEYOND_EDGE))))


def climbs(differences: Differences, last_bit: float) -> float:
    """Return the slope at which f, which stands still here, climbs in treads so fine that rounding may make them.

    0 where it does not, or where these are but its own last bits. Beyond an edge it stands still again: a kink nearby
    is no tread.
    """
    scale = differences.ray.scale
    fine = differences.level(FINE_TREAD * scale)
    if fine.forward == 0 or fine.backward == 0:
        return 0.0
    coarse, coarser = (differences.level(step * scale).central for step in _CLIMBS)
    if coarser == 0 or not abs(coarse - coarser) <= _EVENLY * abs(coarser):
        return 0.0
    least = fine.step
    while differences.moves(least).any():
        least /= 16
        if least <= max(differences.ray.spacing, _FINEST_TREAD * scale):
            return 0.0
    found = first_tread(differences, least, fine.step)
    own = TREADS * last_bit * np.abs(differences.ray.at(0.0)[0])
    return coarse if found and np.any(found[1] > own) else 0.0


def jump_off(slope: float, differences: Differences, least: float, most: float, bits: float) -> float:
    """Return the height of the jump by which f leaves a slope that it has over one step and not over a longer one.

    Then part of it lies on a tread, and only the rest has that slope. 0 where it leaves little by little, as a wave
    does.
    """

    def off(step: float) -> float:
        return abs(differences.level(step).central - slope) * step

    tiny, height = max(2 * off(least), _OWN * bits), off(most)
    if not (least < most and height > tiny):
        return 0.0
    for _ in range(_BISECTIONS):
        middle = math.sqrt(least) * math.sqrt(most)
        here = off(middle)
        if tiny < here <= _JUMP * tiny:
            return 0.0  # little by little
        if here > tiny:
            most, height = middle, here
        else:
            least = middle
    # beyond a kink f goes on leaving
    stays = off(most * (1 + _BESIDE_JUMP)) <= 2 * _JUMP * height
    return height if height > _JUMP * tiny and stays else 0.0


def is_staircase(differences: Differences, last_bit: float) -> bool:
    """Tell whether f stands still here but for jumps, over lengths that no rounding to float32 has."""
    length = differences.ray.magnitude or differences.ray.scale
    with np.errstate(invalid="ignore", over="ignore"):
        return any(_stands_mostly(differences, short * length, last_bit) for short in _SHORT)


def _stands_mostly(differences: Differences, short: float, last_bit: float) -> bool:
    """Tell whether f stands still between most of some points so far apart."""
    values = np.stack([differences.ray.at(k * short)[0] for k in range(-_STEPS, _STEPS + 1)])
    wide = _WIDER * short
    jumps = np.abs(np.diff(values, axis=0))
    # what does not jump here lies on a tread that is at least as high as its slope leads on the way
    height = np.where(jumps.any(axis=0), jumps.max(axis=0), 2 * _STEPS * short / wide * differences.moves(wide))
    moves = height > TREADS * last_bit * np.abs(values).max(axis=0)
    return bool(moves.any()) and float(np.mean(jumps[:, moves] == 0)) >= _MOSTLY


def between_treads(
    analytic: float,
    differences: Differences,
    levels: list[Level],
    holds: Callable[[float], float],
    largest: float = 0.0,
) -> tuple[float, Vector] | None:
    """Return where f first moves and stands still again at once, and how high the tread of each output is there.

    None where it does not, which is the slope beyond a kink. The tread must be high enough to hide what a slope
    predicts, and lead where it points; or others that do not move yet must be, if they lie on treads of that height.
    Or what it predicts is another soon, and less till then: ``holds(longest)`` returns after how long a step.
    """
    found = _edge(differences, levels, largest)
    if found is None:
        return None
    step, heights = found
    beyond = [differences.level(times * step) for times in _EDGES if times == 1 or _stands(differences, times * step)]
    near = [level for level in levels if step <= level.step <= _NEAR_EDGE * step]
    sides = [side for level in (*near, beyond[0]) for side in (level.forward, level.backward)]
    highest = max(max(abs(level.forward), abs(level.backward)) for level in beyond)
    others = np.abs(differences.cotangent[differences.reached & (heights == 0)])
    hidden = (
        (abs(analytic) <= TREADS * highest and (min(sides) < 0 if analytic < 0 else max(sides) > 0))
        or abs(analytic) * step <= TREADS * float(heights.max() * others.sum())
        or abs(analytic) * holds(max(1.0, step)) <= TREADS * highest * step
    )
    return found if hidden else None


def _edge(differences: Differences, levels: list[Level], largest: float) -> tuple[float, Vector] | None:
    """Return the first tread beyond the longest step over which f stands still, on the ladder or far beyond it.

    Farther than that f is moved only where numbers are so much larger than the entry that they may swallow such steps:
    a function that counts them down in a loop may never return.
    """
    moving = min((level.step for level in levels if level.central != 0 or level.jump != 0), default=math.inf)
    still = max((level.step for level in levels if level.central == 0 == level.jump and level.step < moving), default=0)
    if not still:
        return None
    scale = differences.ray.scale
    steps = [_FAR_AWAY * scale, *((largest, largest * largest) if largest > FAR * scale else ())]
    for farther in steps if moving == math.inf else ():
        if still < farther < math.inf and differences.moves(farther).any():
            moving = farther
            break
        still = max(still, farther)
    found = first_tread(differences, still, moving) if moving < math.inf else None
    return found if found and np.isfinite(found[1]).all() else None
