"""Is every entry of a gradient right? Each is compared; those that reach different outputs share their evaluations."""

from __future__ import annotations

from collections import Counter
from heapq import heappush, heappushpop

import numpy as np

from gradcheck.evaluate import BudgetSpent
from gradcheck.judge import OTHERS_KEPT, SECOND, SUSPICIOUS, Doubt, Judge, Tally
from gradcheck.layer import Array
from gradcheck.point import Entry
from gradcheck.probe import default_step
from gradcheck.report import Comparison, Verdict
from gradcheck.shared import Look, SharedRay, deviations
from gradcheck.structure import Mask, Structure, detect
from gradcheck.tolerance import MEANINGFUL

_ENOUGH = 32  # entries of one verdict that are measured alone as well; wrong ones that are looked into one by one
_APART = 1e-6  # of a slope: what is measured alone and in a group is the same but for noise
_PLAIN = (2.0**6, 2.0**-5, 2.0**-10)  # of the first step: an error that is the same at all of these is no kink's
_STEADY = 0.1  # of an error
_BENT = 0.2


class _WrongStructureError(Exception):
    """Entries that were thought to reach different outputs do not."""


def full(judge: Judge, name: str, *, shuffled: bool = False) -> Tally:
    """Judge every entry of one primal.

    Parameters
    ----------
    judge : Judge
        For the entries that a first look does not settle.
    name : str
        The primal.
    shuffled : bool
        In random order, so that a budget that ends early leaves no whole region out.

    Returns
    -------
    Tally
        Entries that the budget did not reach are not in it, but counted.

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
        structure = None if judge.complex_step else detect(point.evaluator, name, point.base, point.rng)
        if structure is not None:
            tally = _Sharing(judge, name).judge(structure, shuffled=shuffled)
    except BudgetSpent:
        tally = Tally(left_out=size)
    except _WrongStructureError:
        pass
    if tally is None:
        entries: list[Entry] = [(name, index) for index in np.ndindex(point.gradient[name].shape)]
        tally = judge.entries([entries[i] for i in point.rng.permutation(size)] if shuffled else entries)
    tally.forward_calls = point.evaluator.forward_calls - before
    return tally


class _Sharing:
    """Judges the entries of one primal group by group."""

    def __init__(self, judge: Judge, name: str) -> None:
        self._judge = judge
        self._point = judge.point
        self._name = name
        self._gradient = judge.point.gradient[name].ravel()
        self._tally = Tally()
        self._worst: list[tuple[float, int, Comparison]] = []
        self._doubts: list[Doubt] = []
        self._alone: Counter[Verdict] = Counter()

    def judge(self, structure: Structure, *, shuffled: bool) -> Tally:
        """Judge them all."""
        point, tally = self._point, self._tally
        order = point.rng.permutation(len(structure)) if shuffled else None
        step = default_step(point.eps(self._name), 1.0)
        owner, deviation = None, np.zeros(0)
        try:
            point.measure()
            for group in structure.groups(order):
                if group.owner is not owner:
                    owner, deviation = group.owner, deviations(point, group)
                shared = SharedRay(point, self._name, group, deviation)
                self._group(shared, shared.look(step), self._gradient[group.entries], step)
            if self._name in self._judge.misled:
                self._look_again(structure, order, step)
        except BudgetSpent:
            tally.left_out = self._gradient.size - tally.judged - len(self._doubts)
        agreed = self._judge.together(self._doubts)
        tally.judged += sum(c.verdict is not Verdict.INCONCLUSIVE for c in agreed)
        tally.comparisons += [*agreed, *(c for *_, c in self._worst)]
        return tally

    def _group(self, shared: SharedRay, look: Look, analytic: Array, step: float) -> None:
        """Judge a group's entries by a first look at all of them; look into those that it does not settle."""
        if shared.strays():
            raise _WrongStructureError
        rtol, scale = self._judge.rtol, self._point.scale[self._name]
        with np.errstate(invalid="ignore", over="ignore"):
            error = np.abs(analytic - look.central)
            limit = rtol * np.maximum(np.abs(analytic), np.abs(look.central))
            agrees = np.isfinite(error) & (error <= limit)
            sharp = look.noise <= np.maximum(MEANINGFUL * np.abs(analytic), rtol * scale)
            slope = np.abs(look.central) + 0.5 * np.abs(look.jump)
            smooth = np.abs(look.jump) <= np.maximum(SUSPICIOUS * slope, 8 * look.noise)
            good = agrees & sharp & smooth
            doubtful = np.where(agrees, ~sharp, np.isfinite(error) & (error <= limit + look.noise))
        allowed = limit + look.noise
        comparisons = _Comparisons(shared, look, analytic, allowed)
        self._agree(comparisons, good)
        for place in np.flatnonzero(doubtful).tolist():
            self._doubts.append(Doubt(shared.entry(place), look.level(place), float(look.noise[place])))
        left = ~(good | doubtful)
        if left.any():
            self._look_into(comparisons, left, step)

    def _look_again(self, structure: Structure, order: Array | None, step: float) -> None:
        """Judge one by one what agreed with a first look that a finer one contradicts."""
        point, rtol = self._point, self._judge.rtol
        for group in structure.groups(order):
            shared = SharedRay(point, self._name, group, deviations(point, group))
            first, second = shared.look(step), shared.look(step / SECOND)
            analytic = self._gradient[group.entries]
            with np.errstate(invalid="ignore"):
                agreed = np.abs(analytic - first.central) <= rtol * np.abs(first.central)
                off = np.abs(first.central - second.central) > rtol * np.abs(first.central) + first.noise + second.noise
            with point.sharing(shared.along):
                for place in np.flatnonzero(agreed & off).tolist():
                    outcome = self._judge.entry(shared.entry(place))
                    if not isinstance(outcome, Doubt):
                        self._tally.comparisons.append(outcome)
                        self._tally.judged -= outcome.verdict is Verdict.INCONCLUSIVE
                        self._worst = [each for each in self._worst if each[2].index != outcome.index]

    def _agree(self, found: _Comparisons, good: Mask) -> None:
        """Count entries that agree, and keep the worst of them."""
        if not good.any():
            return
        self._tally.judged += int(good.sum())
        self._tally.limit = max(self._tally.limit, 2 * float(found.allowed[good].max()))
        off = good & (found.error > 0)
        excess = np.divide(found.error, found.allowed, out=np.zeros(good.shape), where=off)
        for place in np.argsort(-excess, kind="stable")[:OTHERS_KEPT].tolist():
            if good[place] and (len(self._worst) < OTHERS_KEPT or excess[place] > self._worst[0][0]):
                ranked = (float(excess[place]), -int(found.shared.group.entries[place]), found.at(place, Verdict.MATCH))
                (heappush if len(self._worst) < OTHERS_KEPT else heappushpop)(self._worst, ranked)

    def _look_into(self, found: _Comparisons, left: Mask, step: float) -> None:
        """Judge entries that the first look does not settle one by one, with evaluations that they share."""
        shared = found.shared
        plain: Mask | None = None
        with self._point.sharing(shared.along):
            for place in np.flatnonzero(left).tolist():
                if self._alone[Verdict.MISMATCH] >= _ENOUGH:
                    plain = _plain(found, step) if plain is None else plain
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

    def _verify(self, found: _Comparisons, place: int, verdict: Verdict) -> None:
        """Measure an entry alone as well, if few of its verdict were."""
        if verdict is Verdict.MATCH or self._alone[verdict] >= _ENOUGH:
            return
        self._alone[verdict] += 1
        together = found.look.level(place)
        alone = self._point.along_entry(found.shared.entry(place), alone=True).level(together.step)
        off = abs(alone.central - together.central)
        if off > _APART * abs(alone.central) + alone.noise + together.noise:
            raise _WrongStructureError


class _Comparisons:
    """The entries of a group beside a first look at them."""

    def __init__(self, shared: SharedRay, look: Look, analytic: Array, allowed: Array) -> None:
        self.shared = shared
        self.look = look
        self.analytic = analytic
        self.allowed = allowed
        self.error = np.abs(analytic - look.central)

    def at(self, place: int, verdict: Verdict) -> Comparison:
        """Return one of them."""
        look = self.look
        arrays = (self.analytic, look.central, look.noise, self.allowed, look.step, 2 * self.allowed)
        analytic, central, bar, allowed, step, limit = (float(array[place]) for array in arrays)
        name, index = self.shared.entry(place)
        return Comparison(name, index, analytic, central, bar, allowed, step, verdict, limit=limit)


def _plain(found: _Comparisons, step: float) -> Mask:
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
