"""Could rounding inside f make a right value look wrong, or a vague estimate let a wrong one pass? Says how."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from gradcheck import kink, noise
from gradcheck.difference import Differences, Level
from gradcheck.evaluate import Vector
from gradcheck.ladder import Estimate, wider
from gradcheck.layer import Named
from gradcheck.point import Point
from gradcheck.treads import TREADS, first_tread

INSIDE = 4.0
"""Last bits of f's range that rounding inside it may cost."""
_LOOKS = (2.0**-40, 2.0**-9, 0.3, 1.3, 5.1, 70.0)  # in units of the inputs: where f's values are looked at
_NEAR, _NEARER = 0.05, 0.5  # of a gap: so near a claim is what coarse levels settle on, or at least nearer
_TREAD = 0.1  # a jump of rounding inside f that moves the quotient by this part of an error may hide the rest of it
_CLEARLY = 10.0  # so many times its noise a difference must be off
_HIGHEST = 2.0**-9  # of f's values: treads of float16, and of float64 beside 1e13
_FEW = 4
_STEADY = 0.1  # of an error: so little the quotient may change with the step


def rounded_away(
    analytic: float,
    differences: Differences,
    levels: list[Level],
    estimate: Estimate,
    largest: float,
    last_bit: float,
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
    largest : float
        How large f gets farther away: a few last bits of that are mere rounding, and of float32's if what lies beyond
        speaks for the claim.
    last_bit : float
        Of f's dtype.
    """
    gap = abs(analytic - estimate.value)
    height = kink.nearby_jump(levels, estimate, gap, differences.level)
    coarser = [each.central for each in levels if each.step > estimate.step and math.isfinite(each.central)]
    if height and estimate.value == 0 and kink.beside(levels) is None and min(coarser) <= analytic <= max(coarser):
        return f"f is a staircase here: flat at the point, with a step of height {height:.2g} nearby"
    tread = kink.nearby_jump(levels, estimate, _TREAD * gap, differences.level)
    if 0 < tread <= INSIDE * last_bit * largest:
        return f"f jumps by {tread:.1g} nearby, which rounding inside it may well do, and is even between"
    if estimate.value != 0 and levels:
        levels = wider(differences, levels) + levels  # some terms may have stood still over most steps so far
        tread = tread or kink.nearby_jump(levels, estimate, _TREAD * gap, differences.level)
    in_single = 0 < tread <= INSIDE * noise.SINGLE * largest
    if in_single:  # such a tread is the noise of what lies beyond
        levels = [replace(level, noise=max(level.noise, tread / level.step)) for level in levels]
    coarse = kink.rough(levels, estimate, analytic, _NEARER if in_single else _NEAR)
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
    noise = level.noise * level.step / finer.step  # the first look's own: waves may have been taken for more since
    if abs(finer.central - level.central) > _STEADY * error or _CLEARLY * noise >= error:
        return ""
    return f"off by {error:.2g} at two small steps, more than noise, and the rest is vaguer"


class Grain:
    """The height of the treads that f's weighted outputs may lie on, as far as its values far and wide show.

    Float32's last bit where they show no more digits than that; else that of the first tread that moving all inputs
    leads each output to, if it is no higher: where f means to be a staircase its treads are. Inputs are moved at
    random, and all towards zero and away from it: what is saturated in all of them stays so under most random moves.
    And those of each primal by themselves: what is smooth in another hides the treads. And some entries alone: others
    may keep f where it is.

    Parameters
    ----------
    point : Point
        At the point itself.
    """

    def __init__(self, point: Point) -> None:
        self._point = point
        own = {name: point.evaluator.point[name].astype(np.float64) for name in point.gradient}
        alone = [point.everywhere([name]) for name in own] if len(own) > 1 else []
        self._ways = [_Way(point, along) for along in (point.everywhere(), point.along(own)[0], *alone)]
        self._weights = np.abs(point.cotangent)
        self._heights: list[Vector] | None = None

    def hides(self, slope: float, lengths: Vector) -> bool:
        """Tell whether a slope may be lost on the treads of outputs that stand still over such lengths (0 do not)."""
        with np.errstate(divide="ignore"):
            weights = np.where(lengths > 0, self._weights / lengths, 0.0)

        def most(heights: list[Vector]) -> float:
            return float(max(weights @ each for each in heights))

        if slope > TREADS * most([way.most for way in self._ways]):
            return False
        if self._heights is None:
            self._ways += [_Way(self._point, self._point.along(only)[0], few=True) for only in self._steepest()]
            self._heights = [way.heights() for way in self._ways]
        return slope <= TREADS * most(self._heights)

    def _steepest(self) -> list[Named]:
        """Return the directions of those entries of which the analytic gradient claims most."""
        directions = []
        for name, array in self._point.gradient.items():
            sizes = np.where(np.isfinite(array), np.abs(array), 0.0)
            for place in np.argsort(-sizes, axis=None, kind="stable")[:_FEW]:
                index = tuple(map(int, np.unravel_index(place, array.shape)))
                only = np.zeros(array.shape)
                only[index] = self._point.reach((name, index))
                directions.append({name: only})
        return directions


class _Way:
    """The treads that are met where inputs are moved one way: all of them, or few, which tell nothing of what stays."""

    def __init__(self, point: Point, along: Differences, *, few: bool = False) -> None:
        self._along = along
        looks = np.stack([[along.ray.at(side * step)[0] for side in (1.0, -1.0)] for step in _LOOKS])
        seen = np.where(np.isfinite(looks), looks, point.base)
        self._moved = np.any(seen != point.base, axis=1)
        counts = self._moved.any(axis=0) | (not few)
        single = noise.single(seen.reshape(-1, point.base.size))
        self._single: Vector = np.where(counts, single, 0.0)
        # what is 0 here may be made of ones: log(1), 1 - tanh(20)
        self._highest = _HIGHEST * float(np.abs(seen).max(initial=1.0))
        self.most = np.maximum(self._single, self._highest)

    def heights(self) -> Vector:
        """Measure that of each output: those that move at once are on no tread."""
        if self._single.any():
            return self._single
        before, heights = self._moved[0], np.zeros(self._single.shape)
        for least, most, moved in zip(_LOOKS, _LOOKS[1:], self._moved[1:], strict=False):
            first = moved & ~before
            if first.any() and (found := first_tread(self._along, least, most, first)):
                highest = float(found[1].max())  # those that move a little farther on move as far
                own = np.where(found[1] > 0, found[1], highest)
                heights[first] = np.where(own <= self._highest, own, 0.0)
            before |= moved
        return heights
