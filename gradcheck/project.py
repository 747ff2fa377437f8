"""Does a whole gradient agree, for the price of a few evaluations? Projections, searched where they disagree."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import numpy.typing as npt

from gradcheck import kink
from gradcheck.blocks import largest, products
from gradcheck.evaluate import BudgetSpent
from gradcheck.full import full
from gradcheck.judge import BY_LUCK, Judge
from gradcheck.layer import Array, Named
from gradcheck.point import Entry, Point
from gradcheck.probe import default_step, exact
from gradcheck.projection import TIGHT, Projection
from gradcheck.report import Comparison, Verdict
from gradcheck.rounded import forgotten
from gradcheck.search import MOST, OFF, Residual, Search, moved_off
from gradcheck.settle import settle_along
from gradcheck.tally import Tally
from gradcheck.treads import FINE_TREAD, STAIRCASE, climbs

SMALL = 64
"""Primals of so few entries are judged entry by entry as soon as a projection does not settle them."""
_CULPRITS = 32  # a projection that is not plain is halved until so many entries are found
_SAMPLED = 4  # so many of the entries on kinks are judged one by one
_DECADES = 2.0  # entries whose shares lie farther apart than this are projected apart, if together they do not agree
_VAGUELY = 1e-3  # of the largest entry: what is known to no better is not left to a projection in small primals
_WORSE = 10.0  # times what would have been promised, had the first look agreed
_UNEXPLAINED = "the projection disagrees, and no single entry explains it: use mode='full'"
_VAGUE = "noise drowns the projection: give the outputs themselves, not their sum, or more digits"
_SHARP = 1e-2  # a bar of the first step up to this part of the largest entry needs no ladder
_MEANINGFUL = 0.1
_PLAINLY = 10.0  # times its noise, a slope is none of it
_SHORT, _ALIKE = 2.0**-4, 0.5  # of a long step: another one; of a slope over that, how far the other's may be off


@dataclass(frozen=True)
class _Zeros:
    """What entries do of which exactly nothing is claimed, moved by themselves.

    Attributes
    ----------
    climbs : float
        The slope at which f climbs treads there; 0 where it does not.
    moves : bool
        Whether f has another slope than 0 there, over a step that is long for one.
    """

    climbs: float
    moves: bool


_NO_ZEROS = _Zeros(0.0, False)


def at_once(judge: Judge, names: Iterable[str]) -> dict[str, Tally]:
    """Judge several primals by a projection of all of them, where it agrees as tightly as one of each would have to.

    Errors of several do not cancel under random moves. Primals that are moved together are in all no larger than the
    largest: that is what a projection takes of memory.

    Returns
    -------
    dict of str to Tally
        Of the primals that this settles; the others are left to `fast`.
    """
    point, settled = judge.point, dict[str, Tally]()
    sizes = {name: point.gradient[name].size for name in names}
    groups: list[list[str]] = []
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        room = (group for group in groups if sum(sizes[each] for each in (*group, name)) <= max(sizes.values()))
        group = next(room, None)
        groups.append([name]) if group is None else group.append(name)
    for group in groups:
        if len(group) == 1 or not all(largest(point.gradient[name]) > point.hidden / judge.rtol for name in group):
            continue
        before = point.evaluator.forward_calls
        try:
            look = Projection(point, {name: exact(point.rng, point.evaluator.point[name]) for name in group})
            look.show_noise()
            drowns = any(look.drowned(name, judge.rtol).any() for name in group)
            tight = look.is_tight(judge.rtol) and not drowns
            zeros = _zeros(point, look.direction) if tight else _NO_ZEROS
            tight = tight and not (zeros.climbs or zeros.moves)
        except BudgetSpent:
            break
        if tight:
            settled |= {name: Tally([look.agreed(name, judge.rtol)], judged=sizes[name]) for name in group}
            settled[group[0]].forward_calls = point.evaluator.forward_calls - before
    return settled


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
    Where the projection disagrees by the same at a finer step, the entries responsible are searched for at once, and
    it is asked what they leave unexplained. Elsewhere entries of comparable size are projected by themselves, and where
    one such projection disagrees, it is taken again at a point moved off all kinks. If it agrees there, the point
    itself has kinks (or is wrong at this very point): some of the entries responsible are judged one by one. If it
    disagrees there as well, the entries responsible are searched for there, where no kink is in the way.
    """
    tally = Tally()
    point = judge.point
    before = point.evaluator.forward_calls
    given = point.gradient[name]
    whole = exact(point.rng, point.evaluator.point[name])
    try:
        if not math.isfinite(largest(given)):  # judged by itself: in a sum it would drown, or spoil, all the rest
            finite = np.isfinite(given)
            bad: list[Entry] = [(name, tuple(int(i) for i in index)) for index in np.argwhere(~finite)[:MOST]]
            tally.comparisons += judge.entries(bad).comparisons
            whole *= finite
            point.gradient[name] = np.where(finite, given, 0.0)
        if not _judge_as_a_whole(judge, name, whole, tally):
            point.gradient[name] = given
            tally = full(judge, name)
    except BudgetSpent:
        tally.left_out = given.size - tally.judged
    finally:
        point.gradient[name] = given
    tally.forward_calls = point.evaluator.forward_calls - before
    return tally


def _judge_as_a_whole(judge: Judge, name: str, whole: Array, tally: Tally) -> bool:
    """Judge a primal by projections, into the tally; False where that fails and every entry can be judged instead."""
    point = judge.point
    look = Projection(point, {name: whole})
    if look.is_off(judge.rtol):  # so is a factor of all entries, where they add up to little by chance
        other = exact(point.rng, point.evaluator.point[name]) * (whole != 0)
        look = max(look, Projection(point, {name: other}), key=lambda each: abs(each.error))
        whole = look.direction[name]
    look.show_noise()
    tight = look.is_tight(judge.rtol)
    promised = judge.rtol * look.largest + look.level.noise  # had it agreed
    if not tight:
        look.measure_noise()  # rounding of the last bit is the least of it
        tight = look.is_tight(judge.rtol)
    small = whole.size <= SMALL
    zeros = _zeros(point, look.direction)
    if small and (zeros.climbs or zeros.moves):
        return False
    if tight and not zeros.moves and _drowned_agree(look, name, judge.rtol):
        _agree(look, name, judge.rtol, zeros.climbs, tally)
        return True
    if not small and _searched(judge, look, name, tally):
        return True
    scale = look.largest
    for block in _blocks(np.abs(whole * point.gradient[name]), zeros.moves):
        if not block.all():
            look = Projection(point, {name: np.where(block, whole, 0.0)})
        total = _project(look, name, judge.rtol, scale)
        if small and (total.allowed > _VAGUELY * scale or total.allowed > _WORSE * promised):
            return False  # a few forwards more tell better
        if total.verdict is Verdict.MATCH:
            tally.comparisons.append(total)
            tally.judged += look.entries(name)
        elif small:
            return False
        elif total.reason == _VAGUE:
            tally.comparisons.append(total)
        elif block.all() or not _searched(judge, look, name, tally):
            _resolve(judge, look, name, total, tally)
    return True


def _agree(look: Projection, name: str, rtol: float, slope: float, tally: Tally) -> None:
    """Put into the tally that a projection agrees; undecided are those of which nothing is claimed, if they climb."""
    agreed = look.agreed(name, rtol)
    tally.comparisons.append(agreed)
    tally.judged += look.entries(name)
    if slope:
        reason = STAIRCASE.format(slope)
        tally.comparisons.append(
            replace(agreed, analytic=0.0, numerical=slope, verdict=Verdict.INCONCLUSIVE, reason=reason)
        )
        tally.judged -= int(np.count_nonzero(look.point.gradient[name] == 0))


def _drowned_agree(look: Projection, name: str, rtol: float) -> bool:
    """Tell whether those entries agree by themselves that drown in what others make noisy."""
    drowned = look.drowned(name, rtol)
    if not drowned.any():
        return True
    alone = Projection(look.point, {name: np.where(drowned, look.direction[name], 0.0)})
    return _project(alone, name, rtol, look.point.last_bit * look.largest / rtol).verdict is Verdict.MATCH


def _zeros(point: Point, direction: Named) -> _Zeros:
    """Move by themselves those entries of which exactly nothing is claimed."""
    nothing = {name: np.where(point.gradient[name] == 0, array, 0.0) for name, array in direction.items()}
    if not any(array.any() for array in nothing.values()):
        return _NO_ZEROS
    differences = point.along(nothing)[0]
    slope = climbs(differences, point.last_bit)
    long = differences.level(FINE_TREAD * differences.ray.scale)
    if slope or not abs(long.central) > _PLAINLY * long.noise:
        return _Zeros(slope, moves=False)
    short = differences.level(_SHORT * FINE_TREAD * differences.ray.scale)
    alike = abs(long.central - short.central) <= _ALIKE * abs(long.central)  # another where one leads over kinks
    return _Zeros(slope, moves=alike and abs(short.central) > _PLAINLY * short.noise)


def _searched(judge: Judge, look: Projection, name: str, tally: Tally) -> bool:
    """Search for the entries by which a look disagrees, if it does so plainly; tell whether that settles it."""
    if not look.is_plain(judge.rtol):
        return False
    search = Search(judge, name, look.direction[name])
    try:
        search.run(Residual(look.error, judge.rtol * look.largest + look.level.noise))
    finally:
        found = list(search.found.values())
        wrong = any(c.verdict is Verdict.MISMATCH for c in found)
        tally.comparisons += found if wrong else []
        tally.judged += len(found) if wrong else 0
    rest = look.agreed(name, TIGHT * judge.rtol, search.explained())
    if rest.error > rest.allowed:
        rest = look.agreed(name, judge.rtol, search.explained())
    if rest.error <= rest.allowed:
        tally.comparisons += [rest] if wrong else [*found, rest]
        tally.judged += look.entries(name) - (len(found) if wrong else 0)
        return True
    tally.notes += search.notes if wrong else []
    return wrong


def _blocks(shares: Array, zeros_apart: bool) -> Iterator[npt.NDArray[np.bool_]]:
    """Yield masks of the entries whose shares of a projection are of comparable size: none may drown another.

    What is exactly zero goes with the smallest that is not, or apart.
    """
    most = float(np.max(shares, initial=0.0))
    if most == 0 or not math.isfinite(most):
        yield np.ones(shares.shape, bool)
        return
    with np.errstate(divide="ignore"):
        decade = np.asarray(np.floor(np.log10(most / shares) / _DECADES))
    decade[shares == 0] = np.max(decade[shares > 0]) + zeros_apart
    for each in np.unique(decade):
        yield decade == each


def _resolve(judge: Judge, look: Projection, name: str, total: Comparison, tally: Tally) -> None:
    """Find out why a projection disagrees where it is not plain; fills the tally."""
    direction = look.direction[name]
    beside: Comparison | None = None
    suspects: list[Entry] = []
    found: dict[Entry, Comparison] = {}
    with moved_off(judge.point) as moved:
        if moved:
            there = Projection(judge.point, look.direction)
            beside = _project(there, name, judge.rtol)
            if beside.verdict is not Verdict.MATCH:
                search = Search(judge, name, direction)
                search.run(Residual(there.error, judge.rtol * there.largest + there.level.noise))
                found = search.found
                suspects = list(found)
    everywhere = np.flatnonzero(direction)
    if suspects:
        comparisons = judge.entries(suspects).comparisons
        if Verdict.MISMATCH not in {c.verdict for c in comparisons}:
            comparisons = [
                replace(c, reason=f"{c.reason or 'wrong'}, at a point moved by {OFF:.0e} off its kinks")
                for c in found.values()
                if c.verdict is Verdict.MISMATCH
            ]
    else:
        settled = beside is not None and beside.verdict is Verdict.MATCH
        culprits = _descend(judge, name, direction, everywhere, _SAMPLED if settled else _CULPRITS)
        comparisons = judge.entries(culprits).comparisons
        verdicts = {c.verdict for c in comparisons}
        if settled and beside is not None and Verdict.KINK in verdicts and Verdict.worst(verdicts).ok:
            tally.comparisons += [*comparisons, replace(beside, reason=f"at a point moved by {OFF:.0e} off its kinks")]
            tally.judged += len(everywhere)
            return
    if Verdict.MISMATCH not in {c.verdict for c in comparisons}:
        comparisons.append(replace(total, verdict=Verdict.INCONCLUSIVE, reason=_UNEXPLAINED))
    tally.judged += sum(c.index is not None for c in comparisons)
    tally.comparisons += comparisons


def _project(look: Projection, name: str, rtol: float, scale: float = 0.0) -> Comparison:
    """Compare along one direction; MATCH or, accusing nobody, INCONCLUSIVE.

    `scale` is the largest share of any entry of the array: beside it a block may be practically zero.
    """
    point, level, expected, most = look.point, look.level, look.expected, look.largest
    value, bar, step, kinked = level.central, level.noise, look.step, look.kinked
    # The tolerance is that of the largest single entry, whatever their number.
    limit = rtol * most + bar
    steepest, doubtful, could = 0.0, False, 0.0
    sharp = bar <= max(_SHARP * most, rtol * abs(expected))
    enough = max(_MEANINGFUL * most, rtol * scale)
    if not kinked and not (abs(expected - value) <= limit and sharp):
        settled = settle_along(point, look.direction, lambda estimate: estimate.error_bar <= enough)
        doubtful = bool(forgotten(expected, look.differences, level, settled.estimate))
        estimate, steepest = settled.estimate, settled.steepest
        if sharp and abs(value - estimate.value) <= BY_LUCK * limit:  # an error could have agreed with the first look
            could = abs(value - estimate.value) + limit
        value, bar, step, kinked = estimate.value, estimate.error_bar, estimate.step, estimate.kinked
        limit = rtol * most + bar
    null = most == 0 and bar <= 1e-9 * max(point.size, steepest)
    known = bar <= enough or null
    agrees = not kinked and not doubtful and abs(expected - value) <= limit < math.inf
    good = agrees and known
    reason = "" if good else _VAGUE if agrees else _UNEXPLAINED
    verdict = Verdict.MATCH if good else Verdict.INCONCLUSIVE
    shown = limit if math.isfinite(limit) else math.inf
    limit = max(2 * shown, could) / look.shortest(name)
    return Comparison(name, None, expected, value, bar, shown, step, verdict, reason, limit)


def _disagrees(point: Point, direction: Named, rtol: float) -> bool:
    """Tell cheaply whether a part of a projection disagrees as the whole does, or is on a kink.

    At two steps: a real error stays, and so does a kink.
    """
    expected, most = point.directional(direction), _largest(point, direction)
    differences, ray = point.along(direction)
    step = default_step(max(point.eps(name) for name in direction), 1.0)
    levels = differences.level(step), differences.level(step / 16)
    if kink.persists(*levels):
        return True
    return all(
        abs(level.central - ray.slip(level.step, point.gradient) - expected) > rtol * most + level.noise
        for level in levels
    )


def _largest(point: Point, direction: Named) -> float:
    """Return the largest contribution of a single entry to the derivative along a direction."""
    shares = (products(array, point.gradient[name]) for name, array in direction.items())
    return max(map(largest, chain.from_iterable(shares)), default=0.0)


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
