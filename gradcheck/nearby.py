"""What are the slopes around a kink? Gradients at smooth points nearby bound what is legal where kinks meet."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np

from gradcheck.layer import Named
from gradcheck.point import Entry, Point
from gradcheck.probe import default_step, signed

SHIFT = 1e-5
"""How far the points lie off the kink, in units of the point."""
_FINE = 1e-2  # of a first step: slopes nearby are taken over less than the distance to the kink
BELOW = (1.0, 2.0**4, 2.0**-6, 2.0**-12)  # multiples of a step that stays on one side of the kink
# of one that may cross it: only agreement proves anything then
ABOVE = (2.0**5, 2.0**10, 2.0**15, 2.0**20)
_SLACK = 1e-3  # of the gap
_UNKNOWN = 0.1  # of the gap
_ALIKE = 0.02  # of the jump: slopes that near each other are the same one
_REST = 1e-4  # movement of the rest, where one primal goes up or down as a whole
_CORNERS = 4  # points at which everything is moved at random
_TRIES = 64  # points at which the backward is asked whether it takes the same value there
_DECADES = 3.0  # over which their movements are spread, so that now this entry decides and now that


@dataclass(frozen=True)
class Slopes:
    """Slopes of one entry at smooth points near the point.

    Attributes
    ----------
    values : list of float
        Numerical ones that the analytic gradient agrees with.
    wrong : bool
        The analytic gradient is wrong at one of these points: then nothing else is asked.
    """

    values: list[float]
    wrong: bool

    def are_among(self, low: float, high: float) -> bool:
        """Tell whether all of them are one of two slopes, those of the two sides of a single kink."""
        near = _ALIKE * (high - low)
        return all(min(abs(value - low), abs(value - high)) <= near for value in self.values)


def slope_of(
    point: Point, entry: Entry, size: float, enough: float, factors: tuple[float, ...] = BELOW
) -> tuple[float, float]:
    """Return the slope of an entry, and how far two small steps, their sides and their noise leave it open.

    Other kinks may lie near: steps are tried in turn until the slope is known well enough.
    """
    differences = point.along_entry(entry)
    explored = False
    step = min(_FINE * default_step(point.eps(entry[0]), 1.0), 0.1 * SHIFT) * size
    found = (math.nan, math.inf)
    for factor in factors:
        fine, coarse = differences.level(factor * step), differences.level(4 * factor * step)
        if not (explored or differences.reached.all()):
            explored = True
            differences.explore()
        if math.isfinite(fine.central) and math.isfinite(coarse.central):
            changes = (abs(coarse.central - fine.central), abs(fine.jump), abs(coarse.jump))
            found = min(found, (fine.central, max(differences.noise_at(fine.step), *changes)), key=lambda each: each[1])
        if found[1] <= enough:
            break
    return found


def slopes_nearby(point: Point, entry: Entry, gap: float, *, nearer: float = 1.0) -> Slopes:
    """Compare analytic and numerical derivative of one entry at smooth points beside the one where they disagree.

    Parameters
    ----------
    point : Point
        Left as it is.
    entry : Entry
        The entry.
    gap : float
        What has to be told apart, the disagreement or the jump of the slopes: points where the slope is not known to a
        tenth of that, for noise or another kink, are left out.
    nearer : float
        How far the points lie off, as a part of the usual distance.
    """
    name, index = entry
    values: list[float] = []
    size = float(point.natural(name)[index])  # of the point itself: a zero moved by 1e-9 is no entry of size 1e-9
    with point.away() as at:
        for shift, generic in _shifts(point, at, nearer):
            for key in shift:
                point.evaluator.point[key][...] = at[key] + shift[key]
            with np.errstate(all="ignore"):
                gradient = point.again()
            point.base = point.evaluator.outputs("all inputs moved off a kink")
            analytic = float(gradient[name][index])
            for steps in (BELOW, ABOVE):
                numerical, doubt = slope_of(point, entry, nearer * size, _UNKNOWN * gap, steps)
                if doubt > _UNKNOWN * gap:
                    continue  # steps below the shift drown in noise: longer ones do not, where nothing else is near
                if abs(analytic - numerical) <= _SLACK * gap + 2 * doubt:
                    values.append(numerical)
                elif generic and steps is BELOW:
                    return Slopes(values, wrong=True)
                break
    return Slopes(values, wrong=False)


def attained_nearby(point: Point, entry: Entry, gap: float, outside: float = 0.0) -> bool:
    """Tell whether the analytic derivative of an entry is also that of a smooth point nearby, and right there.

    Then it is a legal subgradient, as a limit of gradients. Where kinks meet at random distances below what any step
    can resolve, the backward at the point is that of one of many pieces, and not of those that larger steps see.
    Or it lies between such a one and slopes that are known.

    Parameters
    ----------
    point : Point
        Left as it is.
    entry : Entry
        The entry.
    gap : float
        As in `slopes_nearby`.
    outside : float
        How far the entry lies above slopes that are known, or below them if negative; where that is not 0, a slope
        farther on the same side will do.
    """
    analytic = point.analytic(entry)
    size = float(point.natural(entry[0])[entry[1]])  # of the point itself, not of where it is moved to
    with closing(_claims_nearby(point, entry)) as claims:
        for claim in claims:
            farther = math.copysign(1.0, outside) * (claim - analytic) if outside else 0.0
            if not (abs(claim - analytic) <= _SLACK * gap or farther > 0.0):
                continue
            point.base = point.evaluator.outputs("all inputs moved off a kink")
            numerical, doubt = slope_of(point, entry, size, _UNKNOWN * gap)
            if doubt <= _UNKNOWN * gap and abs(claim - numerical) <= _SLACK * gap + 2 * doubt:
                return True
    return False


def stays_nearby(point: Point, entry: Entry, value: float, tolerance: float) -> bool:
    """Tell whether the analytic derivative of an entry is the same value everywhere around the point.

    Then no kink that it shares is there, whatever others do: those of another term of a sum are none of its own.

    Parameters
    ----------
    point : Point
        Left as it is.
    entry : Entry
        The entry.
    value : float
        The value.
    tolerance : float
        How far off it may be.
    """
    with closing(_claims_nearby(point, entry)) as claims:
        return all(abs(claim - value) <= tolerance for claim in claims)


def _claims_nearby(point: Point, entry: Entry) -> Generator[float, None, None]:
    """Yield an analytic entry at points off kinks, to all sides and at many distances; the point stays there."""
    name, index = entry
    sizes = {key: point.natural(key) for key in point.gradient}  # of the point itself, not of where it is moved to
    with point.away() as at:
        for way in islice(cycle((0, 1, -1)), _TRIES):  # what several share shows where all go one way
            for key in point.gradient:
                spread = 10.0 ** -point.rng.uniform(0.0, _DECADES, at[key].shape)
                shift = SHIFT * sizes[key] * spread * (way or signed(point.rng, at[key].shape))
                point.evaluator.point[key][...] = at[key] + shift.astype(at[key].dtype)
            with np.errstate(all="ignore"):
                claim = float(point.again()[name][index])
            yield claim


def steady_nearby(point: Point, entry: Entry, distance: float, tolerance: float) -> bool:
    """Tell whether the analytic derivative of an entry is the same a little to one side of the point.

    Then the backward does not see the point as a kink: one that the differences see lies beside it, nearer than they
    can tell.

    Parameters
    ----------
    point : Point
        Left as it is.
    entry : Entry
        The entry.
    distance : float
        How near a kink is known to be; the entry is moved by a small part of that.
    tolerance : float
        How far values that are the same may lie apart.
    """
    name, index = entry
    with point.away() as at:
        value = at[name][index]
        shift = max(1e-3 * distance, 64 * float(np.spacing(np.abs(value))))
        for side in (shift, -shift):
            point.evaluator.point[name][index] = value + side
            with np.errstate(all="ignore"):
                moved = float(point.again()[name][index])
            if abs(moved - point.analytic(entry)) <= tolerance:
                return True
    return False


def _shifts(point: Point, at: Named, nearer: float) -> Iterator[tuple[Named, bool]]:
    """Yield small movements off the point, and whether they are generic: everything at random, so that nothing is tied.

    In the others one primal goes up or down as a whole, by far more than the rest: that reaches legal values which
    random movements rarely do (a bias that is lowered switches a whole layer off), but leaves other kinks near.
    """
    floats = {name: nearer * SHIFT * point.natural(name) for name in point.gradient}  # constants stay where they are
    mains: list[tuple[str, float]] = [("", 0.0)] * _CORNERS
    mains += [(name, sign) for name in floats for sign in (1.0, -1.0)]
    for main, sign in mains:
        share = 1.0 if not main else _REST
        shift = {
            name: size * (share * signed(point.rng, size.shape) + (sign if name == main else 0.0))
            for name, size in floats.items()
        }
        yield {name: array.astype(at[name].dtype) for name, array in shift.items()}, not main
