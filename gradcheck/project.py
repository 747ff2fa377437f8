"""Does a whole gradient agree, for the price of a few evaluations? Projections, searched where they disagree."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gradcheck.evaluate import BudgetSpent
from gradcheck.judge import Judge, Tally
from gradcheck.layer import Array, Named
from gradcheck.point import Entry, Point
from gradcheck.probe import default_step, signed
from gradcheck.report import Comparison, Verdict
from gradcheck.settle import settle_along

_CULPRITS = 32  # a projection is searched until so many wrong entries are found
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
    """
    tally = Tally()
    point = judge.point
    before = point.evaluator.forward_calls
    gradient = point.gradient[name]
    direction = signed(point.rng, gradient.shape) * np.maximum(1.0, np.abs(point.evaluator.point[name]))
    try:
        total = _project(point, {name: direction}, judge.rtol)
        tally.judged = gradient.size
        if total.verdict is Verdict.MATCH:
            tally.comparisons.append(total)
        else:
            culprits: list[Entry] = []
            _descend(judge, name, direction, np.arange(gradient.size), culprits)
            tally.comparisons += judge.entries(culprits).comparisons
            if not {Verdict.MISMATCH, Verdict.KINK} & {c.verdict for c in tally.comparisons}:
                tally.comparisons.append(replace(total, verdict=Verdict.INCONCLUSIVE))
                tally.judged = len(culprits)
    except BudgetSpent:
        judge.left_out += gradient.size - len(tally.comparisons)
        tally.judged = len(tally.comparisons)
    tally.forward_calls = point.evaluator.forward_calls - before
    return tally


def _project(point: Point, direction: Named, rtol: float) -> Comparison:
    """Compare along one direction; MATCH or, accusing nobody, INCONCLUSIVE."""
    expected = point.directional(direction)
    largest = max(float(np.max(np.abs(array * point.gradient[name]), initial=0.0)) for name, array in direction.items())
    differences, ray = point.along(direction)
    step = default_step(max(point.eps(name) for name in direction), 1.0)
    level = differences.level(step)
    value, bar = level.central - ray.slip(step, point.gradient), level.noise
    # The tolerance is that of the largest single entry, whatever their number.
    limit = rtol * largest + bar
    kinked = False
    if not (abs(expected - value) <= limit and bar <= max(_SHARP * largest, rtol * abs(expected))):
        estimate = settle_along(point, direction)
        value, bar, step, kinked = estimate.value, estimate.error_bar, estimate.step, estimate.kinked
        limit = rtol * largest + bar
    steepest = differences.steepest
    null = largest == 0 and point.size > 0 and bar <= 1e-9 * max(point.size, steepest)
    good = not kinked and abs(expected - value) <= limit and (bar <= _MEANINGFUL * largest or null)
    reason = "" if good else "the projection disagrees, and no single entry explains it: use mode='full'"
    verdict = Verdict.MATCH if good else Verdict.INCONCLUSIVE
    shown = limit if math.isfinite(limit) else math.inf
    return Comparison(", ".join(direction), None, expected, value, bar, shown, step, verdict, reason)


def _descend(judge: Judge, name: str, direction: Array, where: npt.NDArray[np.intp], culprits: list[Entry]) -> None:
    """Halve a set of entries that disagree until single ones remain."""
    if len(culprits) >= _CULPRITS:
        return
    if len(where) == 1:
        culprits.append((name, tuple(int(i) for i in np.unravel_index(int(where[0]), direction.shape))))
        return
    middle = len(where) // 2
    for half in (where[:middle], where[middle:]):
        masked = np.zeros(direction.size)
        masked[half] = direction.ravel()[half]
        if _project(judge.point, {name: masked.reshape(direction.shape)}, judge.rtol).verdict is not Verdict.MATCH:
            _descend(judge, name, direction, half, culprits)
