"""Does a whole gradient agree, for the price of a few evaluations? Projections, searched where they disagree."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gradcheck import kink
from gradcheck.evaluate import BudgetSpent
from gradcheck.full import full
from gradcheck.judge import BY_LUCK, Judge, Tally
from gradcheck.layer import Array, Named
from gradcheck.point import Entry, Point
from gradcheck.probe import default_step, signed
from gradcheck.report import Comparison, Verdict
from gradcheck.rounded import forgotten
from gradcheck.settle import settle_along

SMALL = 64
"""Primals of so few entries are judged entry by entry as soon as a projection does not settle them."""
_CULPRITS = 32  # a projection is searched until so many wrong entries are found
_SAMPLED = 4  # so many of the entries on kinks are judged one by one
_DECADES = 2.0  # entries whose shares lie farther apart than this are projected apart
_OFF = 1e-3  # how far the point is moved off its kinks, relative to its entries
_UNEXPLAINED = "the projection disagrees, and no single entry explains it: use mode='full'"
_SHARP = 1e-2  # a bar of the first step up to this part of the largest entry needs no ladder
_MEANINGFUL = 0.1


def fast(judge: Judge, name: str) -> Tally:
    """Judge a whole primal by its derivative along one random direction; look for the entries where it disagrees.

    Parameters
    ----------
    judge : Judge
        For the single entries: only these are accused, since a projection that crosses kinks disagrees for a right
        gradient too.
    name : str
        The primal.

    Notes
    -----
    Where the projection disagrees, it is taken again at a point moved off all kinks. If it agrees there, the point
    itself has kinks (or is wrong at this very point): some of the entries responsible are judged one by one. If it
    disagrees there as well, the entries responsible are searched for there, where no kink is in the way.
    """
    tally = Tally()
    point = judge.point
    before = point.evaluator.forward_calls
    given = point.gradient[name]
    finite = np.isfinite(given)
    whole = signed(point.rng, given.shape) * np.maximum(1.0, np.abs(point.evaluator.point[name])) * finite
    gradient = np.where(finite, given, 0.0)
    try:
        # what is not finite is judged by itself: in a sum it would drown, or spoil, all the rest
        bad: list[Entry] = [(name, tuple(int(i) for i in index)) for index in np.argwhere(~finite)[:_CULPRITS]]
        tally.comparisons += judge.entries(bad).comparisons
        point.gradient[name] = gradient
        shares = np.abs(whole * gradient)
        largest = float(np.max(shares, initial=0.0))
        for block in _blocks(shares):
            direction = np.where(block, whole, 0.0)
            total = _project(point, {name: direction}, judge.rtol, largest)
            if total.verdict is Verdict.MATCH:
                tally.comparisons.append(total)
                tally.judged += int(block.sum())
            elif gradient.size <= SMALL:
                point.gradient[name] = given
                tally = full(judge, name)
                break
            else:
                _search(judge, name, direction, np.flatnonzero(block), total, tally)
    except BudgetSpent:
        tally.left_out = gradient.size - tally.judged
    finally:
        point.gradient[name] = given
    tally.forward_calls = point.evaluator.forward_calls - before
    return tally


def _blocks(shares: Array) -> Iterator[npt.NDArray[np.bool_]]:
    """Yield masks of the entries whose shares of a projection are of comparable size: none may drown another.

    What is exactly zero goes with the smallest that is not.
    """
    largest = float(np.max(shares, initial=0.0))
    if largest == 0 or not math.isfinite(largest):
        yield np.ones(shares.shape, bool)
        return
    with np.errstate(divide="ignore"):
        decade = np.asarray(np.floor(np.log10(largest / shares) / _DECADES))
    decade[shares == 0] = np.max(decade[shares > 0])
    for each in np.unique(decade):
        yield decade == each


def _search(
    judge: Judge, name: str, direction: Array, everywhere: npt.NDArray[np.intp], total: Comparison, tally: Tally
) -> None:
    """Find out why a projection disagrees; fills the tally."""
    beside: Comparison | None = None
    suspects: list[Entry] = []
    found: list[Comparison] = []
    with _moved_off(judge.point) as moved:
        if moved:
            beside = _project(judge.point, {name: direction}, judge.rtol)
            if beside.verdict is not Verdict.MATCH:
                suspects = _descend(judge, name, direction, everywhere, _CULPRITS)
                found = judge.entries(suspects).comparisons
    if suspects:
        comparisons = judge.entries(suspects).comparisons
        if Verdict.MISMATCH not in {c.verdict for c in comparisons}:
            comparisons = [
                replace(c, reason=f"{c.reason or 'wrong'}, at a point moved by {_OFF:.0e} off its kinks")
                for c in found
                if c.verdict is Verdict.MISMATCH
            ]
    else:
        settled = beside is not None and beside.verdict is Verdict.MATCH
        culprits = _descend(judge, name, direction, everywhere, _SAMPLED if settled else _CULPRITS)
        comparisons = judge.entries(culprits).comparisons
        verdicts = {c.verdict for c in comparisons}
        if settled and beside is not None and Verdict.KINK in verdicts and Verdict.worst(verdicts).ok:
            tally.comparisons += [*comparisons, replace(beside, reason=f"at a point moved by {_OFF:.0e} off its kinks")]
            tally.judged += len(everywhere)
            return
    if Verdict.MISMATCH not in {c.verdict for c in comparisons}:
        comparisons.append(replace(total, verdict=Verdict.INCONCLUSIVE, reason=_UNEXPLAINED))
    tally.judged += sum(c.index is not None for c in comparisons)
    tally.comparisons += comparisons


@contextmanager
def _moved_off(point: Point) -> Iterator[bool]:
    """Move the whole point a little, to where nothing is tied or zero by construction; tell whether f is finite there.

    Outputs and gradient are those of the moved point inside the context.
    """
    evaluator = point.evaluator
    with point.away() as at:
        for name in point.gradient:  # constants stay where they are
            shift = _OFF * point.natural(name) * signed(point.rng, at[name].shape)
            evaluator.point[name][...] = at[name] + shift.astype(at[name].dtype)
        with np.errstate(all="ignore"):
            moved = point.again()
        outputs = evaluator.outputs("all inputs moved off their kinks")
        point.base, point.gradient = outputs, moved
        yield bool(np.isfinite(outputs).all()) and all(bool(np.isfinite(array).all()) for array in moved.values())


def _project(point: Point, direction: Named, rtol: float, scale: float = 0.0) -> Comparison:
    """Compare along one direction; MATCH or, accusing nobody, INCONCLUSIVE.

    `scale` is the largest share of any entry of the array: beside it a block may be practically zero.
    """
    expected = point.directional(direction)
    largest = _largest(point, direction)
    differences, ray = point.along(direction)
    step = default_step(max(point.eps(name) for name in direction), 1.0)
    level = differences.level(step)
    value, bar = level.central - ray.slip(step, point.gradient), level.noise
    # The tolerance is that of the largest single entry, whatever their number.
    limit = rtol * largest + bar
    steepest, doubtful, could = 0.0, False, 0.0
    sharp = bar <= max(_SHARP * largest, rtol * abs(expected))
    finer = differences.level(step / 4) if abs(level.jump) > 2 * level.jump_noise else level
    kinked = kink.persists(level, finer)
    if not kinked and not (abs(expected - value) <= limit and sharp):
        settled = settle_along(point, direction)
        first = replace(level, central=value)
        doubtful = bool(forgotten(expected, differences, first, settled.estimate))
        estimate, steepest = settled.estimate, settled.steepest
        if sharp and abs(value - estimate.value) <= BY_LUCK * limit:  # an error could have agreed with the first look
            could = abs(value - estimate.value) + limit
        value, bar, step, kinked = estimate.value, estimate.error_bar, estimate.step, estimate.kinked
        limit = rtol * largest + bar
    null = largest == 0 and bar <= 1e-9 * max(point.size, steepest)
    known = bar <= max(_MEANINGFUL * largest, rtol * scale) or null
    good = not kinked and not doubtful and abs(expected - value) <= limit < math.inf and known
    reason = "" if good else _UNEXPLAINED
    verdict = Verdict.MATCH if good else Verdict.INCONCLUSIVE
    shown = limit if math.isfinite(limit) else math.inf
    smallest = min(float(np.min(np.abs(array[array != 0]), initial=np.inf)) for array in direction.values())
    limit = max(2 * shown, could) / smallest
    return Comparison(", ".join(direction), None, expected, value, bar, shown, step, verdict, reason, limit)


def _disagrees(point: Point, direction: Named, rtol: float) -> bool:
    """Tell cheaply whether a part of a projection disagrees as the whole does, or is on a kink.

    At two steps: a real error stays, and so does a kink.
    """
    expected, largest = point.directional(direction), _largest(point, direction)
    differences, ray = point.along(direction)
    step = default_step(max(point.eps(name) for name in direction), 1.0)
    levels = differences.level(step), differences.level(step / 16)
    if kink.persists(*levels):
        return True
    return all(
        abs(level.central - ray.slip(level.step, point.gradient) - expected) > rtol * largest + level.noise
        for level in levels
    )


def _largest(point: Point, direction: Named) -> float:
    """Return the largest contribution of a single entry to the derivative along a direction."""
    return max(float(np.max(np.abs(array * point.gradient[name]), initial=0.0)) for name, array in direction.items())


def _descend(judge: Judge, name: str, direction: Array, where: npt.NDArray[np.intp], most: int) -> list[Entry]:
    """Halve a set of entries that disagree until single ones remain, at most so many."""
    if most <= 0:
        return []
    if len(where) == 1:
        return [(name, tuple(int(i) for i in np.unravel_index(int(where[0]), direction.shape)))]
    found: list[Entry] = []
    middle = len(where) // 2
    for half in (where[:middle], where[middle:]):
        if len(found) >= most:
            break
        masked = np.zeros(direction.size)
        masked[half] = direction.ravel()[half]
        if _disagrees(judge.point, {name: masked.reshape(direction.shape)}, judge.rtol):
            found += _descend(judge, name, direction, half, most - len(found))
    return found
