"""Is every entry of a gradient right? Each is compared; those that reach different outputs share their evaluations."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import heappush, heappushpop
from itertools import repeat
from typing import Any

import numpy as np

from gradcheck.blocks import BLOCK, blocks
from gradcheck.declared import Declared, WrongPatternError
from gradcheck.detect import FEWEST, detect
from gradcheck.difference import CONFIDENCE, Differences, Level
from gradcheck.evaluate import BudgetSpent
from gradcheck.judge import SECOND, Judge
from gradcheck.layer import Array
from gradcheck.looks import Plan
from gradcheck.parts import written
from gradcheck.point import Entry, Point
from gradcheck.probe import default_step, power_of_two, signed
from gradcheck.report import Comparison, Verdict
from gradcheck.shared import Look, Movable, SharedRay, in_turns
from gradcheck.sight import SUSPICIOUS, Doubt
from gradcheck.structure import Indices, Mask, Structure
from gradcheck.tally import OTHERS_KEPT, Tally
from gradcheck.tolerance import MEANINGFUL

_ENOUGH = 32  # entries of one verdict that are measured alone as well; wrong ones that are looked into one by one
_APART = 1e-6  # of a slope: what is measured alone and in a group is the same but for noise
_PLAIN = (2.0**6, 2.0**-5, 2.0**-10)  # of the first step: an error that is the same at all of these is no kink's
_CLEAR = 0.1  # of an error: noise up to that leaves no doubt
_STEADY = 0.1  # of an error
_FINEST, _SPACINGS = 1e-10, 64  # as fine as single entries are looked at before they are accused
_STRAIGHT = 4 * CONFIDENCE  # standard deviations of the outputs: a bend that noise makes
_WIDE = 2.0  # units: as far as entries are moved to find out what they reach, where smaller moves drown in noise
_TINY = float(np.finfo(np.float64).tiny)
_BENT = 0.2


class _WrongStructureError(Exception):
    """Entries that were thought to reach different outputs do not."""

    def __init__(self, why: str = "what some entries do alone is not what they do together with others") -> None:
        super().__init__(why)


def full(judge: Judge, name: str, declared: Declared | None = None, *, shuffled: bool = False) -> Tally:
    """Judge every entry of one primal.

    Parameters
    ----------
    judge : Judge
        For the entries that a first look does not settle.
    name : str
        The primal.
    declared : Declared, optional
        Which entries share evaluations, by the user.
    shuffled : bool
        In random order, so that a budget that ends early leaves no whole region out.

    Returns
    -------
    Tally
        Entries that the budget did not reach are not in it, but counted.

    Raises
    ------
    WrongPatternError
        Where f does not keep to what is declared.

    Notes
    -----
    A wrong guess of the structure costs evaluations, never a verdict: the entries of a group move in directions of
    random sign, so that what one does to another's outputs makes that other disagree; and entries that disagree are
    measured alone as well. Where the two differ, every entry is judged by itself.
    """
    point = judge.point
    before = point.evaluator.forward_calls
    size = point.gradient[name].size
    tally = None
    try:
        rays = None if judge.complex_step else _rays(point, name, shuffled=shuffled, declared=declared)
        if rays is not None:
            tally = _Sharing(judge, name, trusted=declared is None).tally(rays)
    except BudgetSpent:
        tally = Tally(left_out=size)
    except _WrongStructureError as wrong:
        if declared is not None:
            raise WrongPatternError(name, str(wrong)) from None
    if tally is None:
        entries: list[Entry] = [(name, index) for index in np.ndindex(point.gradient[name].shape)]
        seen = judge.looks.entries(entries) if judge.looks and not shuffled else ()
        tally = judge.entries([entries[i] for i in point.rng.permutation(size)] if shuffled else entries, seen)
    tally.forward_calls = point.evaluator.forward_calls - before
    return tally


@dataclass(frozen=True, eq=False)
class _Groups:
    """The rays of a primal's groups, as often as they are gone through."""

    movable: Movable
    structure: Structure | Declared
    order: Indices | None
    drawn: Mapping[str, Any]

    def __iter__(self) -> Iterator[SharedRay]:
        return (SharedRay(self.movable, group) for group in self.structure.groups(self.order))


def _rays(point: Point, name: str, *, shuffled: bool, declared: Declared | None) -> Iterable[SharedRay] | None:
    """Return the rays of a primal's groups; None where its entries share no evaluations."""
    if declared is None and (point.gradient[name].size < FEWEST or point.base.size < 2):
        return None
    point.measure()
    drawn = point.rng.bit_generator.state
    movable = Movable(point, name)
    if declared is not None:
        return _Groups(movable, declared, point.rng.permutation(len(declared)) if shuffled else None, drawn)
    even = movable.is_even
    if even and not movable.is_blind(_step(point, name)):
        one_by_one = in_turns(movable, _step(point, name))
        if one_by_one is not None:
            return [one_by_one]
    structure = detect(point.evaluator, name, point.base, point.rng, every_pair=not even)
    if structure is None:
        return None
    order = point.rng.permutation(len(structure)) if shuffled else None
    return _Groups(movable, structure, order, drawn)


def _step(point: Point, name: str) -> float:
    return default_step(point.eps(name), 1.0)


class _Sharing:
    """Judges the entries of one primal group by group."""

    def __init__(self, judge: Judge, name: str, *, trusted: bool) -> None:
        self._judge = judge
        self._trusted = trusted
        self._point = judge.point
        self._name = name
        self._gradient = judge.point.gradient[name].ravel()
        self._step = _step(judge.point, name)
        self._tally = Tally()
        self._worst: list[tuple[float, int, Comparison]] = []
        self._doubts: list[Doubt] = []
        self._alone: Counter[Verdict] = Counter()
        self._left_alone = False

    def tally(self, rays: Iterable[SharedRay]) -> Tally:
        """Judge them all."""
        tally = self._tally
        affine = False
        ahead: Iterator[Look | None] = repeat(None)
        try:
            for number, shared in enumerate(rays):
                if number == 1:  # with one group, one side would save nothing
                    affine = _is_affine(self._point, self._name, self._step)
                    ahead = self._ahead(rays, both=not affine)
                self._group(shared, next(ahead), affine=affine)
            if self._name in self._judge.misled:
                for shared in rays:
                    self._look_again(shared)
        except BudgetSpent:
            tally.left_out = self._gradient.size - tally.judged - len(self._doubts)
        agreed = self._judge.together(self._doubts)
        tally.judged += sum(c.verdict is not Verdict.INCONCLUSIVE for c in agreed)
        tally.comparisons += [*agreed, *(c for *_, c in self._worst)]
        return tally

    def _ahead(self, rays: Iterable[SharedRay], *, both: bool) -> Iterator[Look | None]:
        """Return what workers see of each group but the first."""
        if self._judge.looks is None or not isinstance(rays, _Groups) or rays.order is not None:
            return repeat(None)
        plan = Plan(self._name, rays.structure, rays.drawn)
        return self._judge.looks.groups(plan, range(1, len(rays.structure)), self._step, both=both)

    def _group(self, shared: SharedRay, seen: Look | None, *, affine: bool) -> None:
        """Judge a group's entries by a first look at all of them; look into those that it does not settle.

        A worker's look is taken where it settles all of them.
        """
        if not self._trusted:
            self._keep_to_pattern(shared)
        analytic = self._gradient[shared.group.entries]
        if seen is not None:
            found = _Compared(self._judge, shared, seen, analytic)
            if found.good.all():
                self._point.evaluator.forward_calls += 1 if affine else 2
                self._agree(found)
                return
        if affine:
            found = _Compared(self._judge, shared, shared.glance(self._step), analytic)
            if found.good.all():
                self._agree(found)
                return
        found = _Compared(self._judge, shared, shared.look(self._step), analytic)
        if shared.strays():
            raise _WrongStructureError
        self._agree(found)
        for place in np.flatnonzero(found.doubtful).tolist():
            self._doubts.append(Doubt(shared.entry(place), found.look.level(place), float(found.look.noise[place])))
        left = ~(found.good | found.doubtful)
        if left.any():
            self._look_into(found, left)

    def _keep_to_pattern(self, shared: SharedRay) -> None:
        """See that the entries of a group reach no output but their own, which nobody but the user has said yet."""
        leak = shared.leak(_WIDE if shared.movable.is_blind(self._step) else self._step)
        if leak is None:
            return
        evaluator = self._point.evaluator
        output = evaluator.written(leak.output)
        if leak.entry is None:
            raise _WrongStructureError(f"{output} changes though none of the entries declared for it is moved")
        name, index = leak.entry
        entry = written(name, evaluator.given[name], index)
        raise _WrongStructureError(f"{entry} reaches {output}, which is not declared")

    def _look_again(self, shared: SharedRay) -> None:
        """Judge one by one what agreed with a first look that a finer one contradicts."""
        found = _Compared(self._judge, shared, shared.look(self._step), self._gradient[shared.group.entries])
        first, second = found.look, shared.look(self._step / SECOND)
        with np.errstate(invalid="ignore"):
            near = self._judge.rtol * np.abs(first.central) + first.noise + second.noise
            misled = found.good & (np.abs(first.central - second.central) > near)
        with self._point.sharing(shared.along):
            for place in np.flatnonzero(misled).tolist():
                outcome = self._judge.entry(shared.entry(place))
                if not isinstance(outcome, Doubt):
                    self._tally.comparisons.append(outcome)
                    self._tally.judged -= outcome.verdict is Verdict.INCONCLUSIVE
                    self._worst = [each for each in self._worst if each[2].index != outcome.index]

    def _agree(self, found: _Compared) -> None:
        """Count entries that agree, and keep the worst of them."""
        good = found.good
        excess = np.divide(found.error, found.allowed, out=np.zeros(good.shape), where=good & (found.error > 0))
        self._tally.judged += int(np.count_nonzero(good))
        self._tally.limit = max(self._tally.limit, 2 * float(np.max(found.allowed, where=good, initial=0.0)))
        if len(self._worst) == OTHERS_KEPT and excess.max() <= self._worst[0][0]:
            return
        for place in _highest(excess, OTHERS_KEPT):
            if good[place] and (len(self._worst) < OTHERS_KEPT or excess[place] > self._worst[0][0]):
                entry = int(found.shared.group.entries[place])
                ranked = (float(excess[place]), -entry, found.at(place, Verdict.MATCH))
                (heappush if len(self._worst) < OTHERS_KEPT else heappushpop)(self._worst, ranked)

    def _look_into(self, found: _Compared, left: Mask) -> None:
        """Judge entries that the first look does not settle one by one, with evaluations that they share."""
        shared = found.shared
        plain: Mask | None = None
        with self._point.sharing(shared.along):
            for place in np.flatnonzero(left).tolist():
                if self._alone[Verdict.MISMATCH] >= _ENOUGH:
                    if plain is None:
                        plain = self._plain_ones(found)
                    if plain[place]:
                        self._tally.comparisons.append(found.at(place, Verdict.MISMATCH))
                        self._tally.judged += 1
                        continue
                outcome = self._judge.entry(shared.entry(place))
                if isinstance(outcome, Doubt):
                    self._doubts.append(outcome)
                    continue
                self._verify(found, place, outcome.verdict)
                self._tally.comparisons.append(outcome)
                self._tally.judged += outcome.verdict is not Verdict.INCONCLUSIVE

    def _plain_ones(self, found: _Compared) -> Mask:
        """Tell which entries of a group may be accused by what they share."""
        if not self._left_alone:  # nearer to the point than the first looks as well; once, for it takes a dozen
            if found.shared.leak(_PLAIN[-1] * self._step):
                raise _WrongStructureError
            self._left_alone = True
        return _plain(found, self._step)

    def _verify(self, found: _Compared, place: int, verdict: Verdict) -> None:
        """Measure an entry alone as well, if few of its verdict were; if it is to be accused, in any case."""
        if verdict is Verdict.MATCH or (verdict is not Verdict.MISMATCH and self._alone[verdict] >= _ENOUGH):
            return
        self._alone[verdict] += 1
        entry, together = found.shared.entry(place), found.look.level(place)
        differences = self._point.along_entry(entry, alone=True)
        alone = differences.level(together.step)
        noise = alone.noise + together.noise
        if abs(alone.central - together.central) > _APART * abs(alone.central) + noise:
            raise _WrongStructureError
        if verdict is Verdict.MISMATCH and self._may_hide(differences, alone, noise, float(found.error[place])):
            with self._point.sharing(lambda entry: None):
                outcome = self._judge.entry(entry)
            if isinstance(outcome, Doubt) or outcome.verdict is not Verdict.MISMATCH:
                raise _WrongStructureError

    def _may_hide(self, differences: Differences, alone: Level, noise: float, error: float) -> bool:
        """Tell whether an entry may do to others' outputs what its first step does not show: below noise, or nearer."""
        ray = differences.ray
        finest = max(_FINEST * ray.scale, _SPACINGS * ray.spacing, alone.step * noise / (_STEADY * error))
        if noise > _CLEAR * error or finest >= alone.step:
            return True
        fine = differences.level(power_of_two(finest))
        return not abs(fine.central - alone.central) <= 2 * _STEADY * error + fine.noise


class _Compared:
    """The entries of a group beside a first look at them.

    Attributes
    ----------
    good : ndarray of bool, shape (k,)
        They agree, where f is smooth, and noise could not have made them agree.
    doubtful : ndarray of bool, shape (k,)
        They agree within noise.
    error, allowed : ndarray, shape (k,)
        As those of a `Comparison`.
    """

    def __init__(self, judge: Judge, shared: SharedRay, look: Look, analytic: Array) -> None:
        self.shared = shared
        self.look = look
        self._analytic = analytic
        rtol, scale = judge.rtol, judge.point.scale[shared.name]
        self.error, self.allowed = np.empty(analytic.size), np.empty(analytic.size)
        self.good, self.doubtful = np.empty(analytic.size, bool), np.empty(analytic.size, bool)
        with np.errstate(invalid="ignore", over="ignore"):
            for block in blocks(analytic.size):
                central, noise, jump = look.central[block], look.noise[block], np.abs(look.jump[block])
                claimed, seen = np.abs(analytic[block]), np.abs(central)
                self.error[block] = error = np.abs(analytic[block] - central)
                limit = rtol * np.maximum(claimed, seen)
                self.allowed[block] = allowed = limit + noise
                finite = np.isfinite(error)
                agrees = finite & (error <= limit)
                sharp = noise <= np.maximum(MEANINGFUL * claimed, rtol * scale)
                smooth = jump <= np.maximum(SUSPICIOUS * (seen + 0.5 * jump), 8 * noise)
                self.good[block] = agrees & sharp & smooth
                self.doubtful[block] = np.where(agrees, ~sharp, finite & (error <= allowed))

    def at(self, place: int, verdict: Verdict) -> Comparison:
        """Return one of them."""
        look = self.look
        arrays = (self._analytic, look.central, look.noise, self.allowed, look.step, 2 * self.allowed)
        analytic, central, bar, allowed, step, limit = (float(array[place]) for array in arrays)
        name, index = self.shared.entry(place)
        return Comparison(name, index, analytic, central, bar, allowed, step, verdict, limit=limit)


def _highest(values: Array, most: int) -> list[int]:
    """Return the places of the highest values, highest first, of equals the first ones; so many at most."""
    places = np.arange(values.size)
    if values.size > BLOCK:  # a million need not be sorted
        least = -np.partition(-values, most)[most]
        above, ties = np.flatnonzero(values > least), np.flatnonzero(values == least)
        places = np.sort(np.concatenate([above, ties[:most]]))
    return [int(each) for each in places[np.argsort(-values[places], kind="stable")][:most]]


def _is_affine(point: Point, name: str, step: float) -> bool:
    """Tell whether both sides of a random direction through all entries have one slope: no bend, and no kink, in any.

    Then one side of each entry shows what there is to see.
    """
    shape = point.gradient[name].shape
    direction = signed(point.rng, shape) * np.maximum(1.0, np.abs(point.evaluator.point[name]))
    ray = point.along({name: direction})[0].ray
    (plus, _), (minus, _) = ray.at(step), ray.at(-step)
    with np.errstate(all="ignore"):
        bend = (plus - point.base) - (point.base - minus)
        bends = np.linalg.norm(bend / (point.noise + _TINY))  # by their own: large outputs hide no other's kink
    return bool(bends <= _STRAIGHT * math.sqrt(bend.size))


def _plain(found: _Compared, step: float) -> Mask:
    """Tell which entries are off by as much at a coarse step, at a fine one, and between, where f does not bend."""
    error = found.error
    with np.errstate(invalid="ignore"):
        plain = np.asarray(error > found.allowed + found.look.noise)
        for share in (1.0, *_PLAIN):
            look = found.shared.look(share * step)
            plain &= look.noise <= 0.5 * error
            plain &= np.abs(look.central - found.look.central) <= _STEADY * error + look.noise
            if share <= 1:
                plain &= np.abs(look.jump) <= _BENT * error + 4 * look.noise
    return plain
