"""Are entries that share a kink legal together? Directions along which a tie moves as one, and f is smooth."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np

from gradcheck import kink
from gradcheck.convex import bends_one_way
from gradcheck.layer import Named
from gradcheck.point import Entry, Point
from gradcheck.probe import signed
from gradcheck.report import Comparison, Verdict
from gradcheck.ties import Ties

_STEP = 2.0**-17
_LITTLE = 2.0**-7  # of an entry: it is moved no farther
_BITS = 2.0**21  # last bits: the finest of all steps, which is 2**11 times shorter, still is many
_NEARBY = 2.0**-3  # of a step, how far off the tie f is looked at
_POINTS = 16
_EXAMINED = 1024  # so many entries on kinks are looked at together
_SMOOTH = 1e-3  # slopes that agree to this part of themselves are those of a smooth function at these steps
_WRONG = 1e-2
_OUTSIDE = 0.1  # of the jump along a direction: so far outside the slopes of its two sides


def judge_jointly(
    point: Point, on_kinks: Collection[Entry], comparisons: Sequence[Comparison]
) -> tuple[list[Comparison], int]:
    """Judge entries on kinks along directions that move several of them together.

    At a tie of ``maximum(a, b)``, "both get everything" and "neither gets anything" lie inside each entry's own
    interval of slopes and are illegal all the same: moved together, a and b leave the tie a tie, and f has one slope,
    which the two entries must add up to. Where a direction still leads over a kink, as all do for a norm at 0, the
    slopes of its two sides bound what the entries may add up to, if f bends one way only.

    Parameters
    ----------
    point : Point
        On the kink; left as it is.
    on_kinks : collection of Entry
        The entries whose kink is at the point, and not only near it.
    comparisons : sequence of Comparison
        All verdicts so far.

    Returns
    -------
    list of Comparison
        The same, with those entries accused that are illegal together.
    int
        How many entries on kinks were too many to be moved together with the others.
    """
    kinks: dict[Entry, Comparison] = {
        (c.name, c.index): c for c in comparisons if c.verdict is Verdict.KINK and c.index is not None
    }
    entries = [entry for entry in kinks if entry in on_kinks]
    if len(entries) < 2:
        return list(comparisons), 0
    accused: dict[Entry, str] = {}
    ties = Ties(
        point, entries[:_EXAMINED], [_claimed(point, kinks[entry]) for entry in entries[:_EXAMINED]], list(kinks)
    )
    for group in ties.groups():
        if any(entry in accused for entry in group):
            continue
        jump = max(2 * kinks[entry].error_bar for entry in group)
        least = max(jump, *(abs(point.analytic(entry)) for entry in group))
        step = _step(point, group)
        if not step:
            continue
        for signs in _signs(point, group, kinks):
            found = _together(point, ties, group, signs, step, jump, least)
            if not (found and all(_is_seen_from(point, kinks[entry], step) for entry in group)):
                continue
            names = [kinks[entry].entry for entry in group]
            listed = " and ".join(names) if len(names) == 2 else f"{names[0]} and {len(names) - 1} others"
            how = "together" if len(set(signs)) == 1 else "against each other"
            accused |= dict.fromkeys(group, f"a tie: moved {how}, {listed} {found}")
            break
    judged = [
        replace(c, verdict=Verdict.MISMATCH, reason=accused[c.name, c.index])
        if c.index is not None and (c.name, c.index) in accused
        else c
        for c in comparisons
    ]
    return judged, ties.left_out + max(len(entries) - _EXAMINED, 0)


def _claimed(point: Point, found: Comparison) -> float:
    """Return the sign of what an entry claims; of the middle of its own slopes where it claims nothing."""
    analytic = point.analytic((found.name, found.index or ()))
    return math.copysign(1.0, analytic or found.numerical or 1.0)


def _signs(point: Point, group: list[Entry], kinks: dict[Entry, Comparison]) -> Iterator[tuple[float, ...]]:
    """Yield the signs by which entries are moved together: those of their claims, and all alike.

    An entry that claims nothing is moved the way in which its own slopes lie.
    """
    alike = (1.0,) * len(group)
    claimed = tuple(_claimed(point, kinks[entry]) for entry in group)
    yield from dict.fromkeys((claimed, alike))


def _step(point: Point, group: list[Entry]) -> float:
    """Return how far a group is moved: little for the smallest, many last bits for the largest; 0 if none is both."""
    sizes = [float(point.natural(name)[index]) for name, index in group]
    bits = max(float(np.spacing(np.abs(point.evaluator.point[name][index]))) for name, index in group)
    step = max(_STEP * min(sizes), _BITS * bits)
    return step if step <= _LITTLE * min(sizes) else 0.0


def _is_seen_from(point: Point, found: Comparison, step: float) -> bool:
    """Tell whether an entry's own kink lies so near the point that a step shows both its sides.

    One that is near for an entry of its size may be far for a smaller one that is moved with it.
    """
    low, high = point.along_entry((found.name, found.index or ()), alone=True).sides(step)
    return high - low >= found.error_bar


def _together(
    point: Point, ties: Ties, group: list[Entry], signs: tuple[float, ...], step: float, jump: float, least: float
) -> str:
    """Say how entries moved together change f, and what they claim, where the claim is illegal; else nothing."""
    direction: Named = {}
    for (name, index), sign in zip(group, signs, strict=True):
        direction.setdefault(name, np.zeros(point.gradient[name].shape))[index] = sign
    analytic = point.directional(direction)
    level = point.along(direction)[0].level(step)
    low, high = point.along(direction)[0].sides(step)  # outputs take their sides each for itself
    if high - low > _WRONG * jump or kink.persists(level, point.along(direction)[0].level(step / 4)):
        outside = max(low - analytic, analytic - high)
        if outside <= _OUTSIDE * (high - low) + level.jump_noise:
            return ""
        # a sum of kinks may bend one way along these entries, and the other way where the rest of a tie moves too
        if not bends_one_way(point, ties.around(group), jump):
            return ""
        return f"change f with slopes {low:.6g} and {high:.6g}, and their analytic values add up to {analytic:.6g}"
    numerical = _slope_of_a_tie(point, direction, step, analytic, least)
    if numerical is None:
        return ""
    return f"change f with slope {numerical:.6g}, and their analytic values add up to {analytic:.6g}"


def _slope_of_a_tie(point: Point, direction: Named, step: float, analytic: float, least: float) -> float | None:
    """Return the slope along a direction along which f is smooth and the claim is wrong.

    None if they agree, up to `least`, or if f has other slopes along that direction at points nearby, off the tie: then
    kinks that have nothing to do with each other only happen to cancel at the point.
    """
    numerical = _smooth_slope(point, direction, step)
    if numerical is None or abs(analytic - numerical) <= _WRONG * max(abs(analytic), abs(numerical), least):
        return None
    with point.away() as at:
        for _ in range(_POINTS):
            for name in point.gradient:  # constants stay where they are
                shift = _NEARBY * step * signed(point.rng, at[name].shape)
                point.evaluator.point[name][...] = at[name] + shift.astype(at[name].dtype)
            point.base = point.evaluator.outputs("everything moved apart")
            slope = _smooth_slope(point, direction, 2.0**-8 * _NEARBY * step)
            if slope is None or abs(slope - numerical) > _WRONG * max(abs(slope), abs(numerical)):
                return None
    return numerical


def _smooth_slope(point: Point, direction: Named, step: float) -> float | None:
    """Return the slope along a direction where its two sides agree; None where they do not."""
    differences, _ = point.along(direction)
    level = differences.level(step)
    if not (math.isfinite(level.forward) and math.isfinite(level.backward)):
        return None
    size = max(abs(level.forward), abs(level.backward))
    if abs(level.jump) > _SMOOTH * size + level.jump_noise or level.noise > _SMOOTH * size:
        return None
    return level.central
