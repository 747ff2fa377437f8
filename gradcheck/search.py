"""Which entries make a projection disagree? Boxes of entries, narrowed by centroids and halved until few are left."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from gradcheck.difference import Level
from gradcheck.judge import Judge
from gradcheck.layer import Array
from gradcheck.point import Entry, Point
from gradcheck.probe import default_step, power_of_two, signed
from gradcheck.report import Comparison, Verdict
from gradcheck.sight import Doubt
from gradcheck.tolerance import agree

OFF = 1e-3
"""How far a point is moved off its kinks, relative to its entries."""
MOST = 64
"""A search ends with so many entries found."""
_EVALUATIONS = 1500  # or when it has spent so many
_FEW, _PICKED = 4, 16  # so many entries of a box are looked at, at random
_DENSE, _NAMED = 4, 8  # so many of these, if wrong, stand for the others; more than that tell nothing new
_SURE = 4.0  # times its bar: a residual whose centroid is worth asking for
_AXES = 2  # so many are tried for one that shows a half to be right
_NARROWER = 0.25  # of an axis: a window worth looking at by itself
_ONE_BY_ONE = 1  # so many wrong entries are judged by themselves; the next together, a handful of evaluations for all
_STEADY = 0.1  # of the smallest error among several
_BENT = 0.2
_DECADES = 2.0  # errors judged together differ by no more
_COARSE, _FINE_ENOUGH, _FINEST = 2.0**6, 2.0**-3, 2.0**-10  # of the first step: an error that is the same is no kink's

Box = tuple[slice, ...]


@dataclass(frozen=True)
class Residual:
    """How far the analytic derivative along a direction is from the numerical one, and what that is known to."""

    value: float
    bar: float

    def __sub__(self, other: Residual) -> Residual:
        """Return what is left for the rest of the entries."""
        return Residual(self.value - other.value, self.bar + other.bar)

    @property
    def seen(self) -> bool:
        """Tell whether it is more than its bar."""
        return abs(self.value) > self.bar


class Search:
    """Looks for the entries of one primal that a projection disagrees by.

    Parameters
    ----------
    judge : Judge
        For the single entries.
    name : str
        The primal.
    direction : ndarray
        Of the projection; entries that it does not move are left out.
    most : int
        Entries to be found at most.

    Attributes
    ----------
    found : dict of Entry to Comparison
        The entries that disagree by themselves, with their verdicts.
    notes : list of str
        What part of the array is wrong as a whole.

    Notes
    -----
    One evaluation pair says by how much the entries of a box (a slice of every axis) are wrong together. With weights
    that grow along an axis it says where on that axis the error has its centre: for one wrong entry that is its index,
    for a wrong row its row. A box with several is halved, at one pair a time, since what is not in one half is in the
    other. Entries found are subtracted from what is looked for.

    Boxes only suggest; every entry is measured by itself, the first few by all that `Judge` knows, and the others, if
    those are wrong, together: weighted so that each has the same share, their errors must add up to the same at steps
    a thousand times shorter and at a point beside, to within a part of one of them.
    """

    def __init__(self, judge: Judge, name: str, direction: Array, most: int = MOST) -> None:
        self.found: dict[Entry, Comparison] = {}
        self.notes: list[str] = []
        self._judge = judge
        self._point = judge.point
        self._name = name
        self._direction = direction
        self._most = most
        self._last = judge.point.evaluator.forward_calls + _EVALUATIONS
        self._step = default_step(judge.point.eps(name), 1.0)
        self._outer: Box = tuple(slice(0, length) for length in direction.shape)
        self._errors: dict[Entry, Residual] = {}
        self._waiting: list[tuple[Entry, Level]] = []
        self._right: set[Entry] = set()

    def run(self, total: Residual) -> None:
        """Search, given by how much all entries are off together."""
        self._point.measure()
        boxes = [(self._outer, total)]
        while boxes and not self._ended():
            boxes.sort(key=lambda each: abs(each[1].value))
            box, residual = boxes.pop()
            if residual.seen:
                boxes += self._look_into(box, residual)
        self._judge_waiting()

    def explained(self) -> Residual:
        """Return by how much the entries found are wrong together."""
        shares = [(float(self._direction[entry[1]]), error) for entry, error in self._errors.items()]
        return Residual(sum(u * e.value for u, e in shares), sum(abs(u) * e.bar for u, e in shares))

    def _ended(self) -> bool:
        return len(self._errors) >= self._most or self._point.evaluator.forward_calls >= self._last

    # ------------------------------------------------------------------ boxes

    def _look_into(self, box: Box, residual: Residual) -> list[tuple[Box, Residual]]:
        """Narrow a box, name its entries, or halve it; return the boxes that remain."""
        if _is_single(box):
            self._of_entry(box)
            return []
        narrow = self._narrowed(box, residual)
        if narrow != box:
            inside = self._of_entry(narrow) if _is_single(narrow) else self._measured(narrow)
            rest = residual - inside
            if not rest.seen:  # all of it
                return [] if _is_single(narrow) else [(narrow, inside)]
            residual = rest if _is_single(narrow) else residual
        wrong, looked_at = self._sample(box)
        if wrong < looked_at and box == self._outer:
            self._outer = self._trimmed(box)
            if self._outer != box:
                return [(self._outer, residual)]
        if wrong >= _DENSE:
            where = f"{self._name}{_written(box, self._direction.shape)}"
            all_over = "looks wrong all over" if wrong == looked_at else "is wrong in many places"
            self.notes.append(f"{where} {all_over}: {wrong} of {looked_at} of its entries picked at random are")
            return []
        return self._halved(box, residual)

    def _halved(self, box: Box, residual: Residual) -> list[tuple[Box, Residual]]:
        """Return two halves of a box: along its longest axis, or the next if that shows one half to be right."""
        tried = []
        lengths = [part.stop - part.start for part in box]
        for axis in sorted(range(len(box)), key=lambda a: -lengths[a])[:_AXES]:
            if lengths[axis] > 1:
                one, other = _halves(box, axis)
                part = self._measured(one)
                tried.append([(one, part), (other, residual - part)])
                if not all(half.seen for _, half in tried[-1]):
                    return tried[-1]
        return tried[0]

    def _narrowed(self, box: Box, residual: Residual) -> Box:
        """Return the part of a box where its error lies if it lies in one place of some axis."""
        if abs(residual.value) <= _SURE * residual.bar:
            return box
        narrow = list(box)
        for axis, part in enumerate(box):
            length = part.stop - part.start
            if length == 1:
                continue
            unit = 2.0 ** math.ceil(math.log2(length))  # a power of two: the weights have few digits
            weights = (2 * np.arange(length) + 1 - length) / unit
            moment = self._measured(box, weights.reshape([-1] + [1] * (len(box) - axis - 1)))
            centre = moment.value / residual.value
            place = 0.5 * (centre * unit + length - 1)
            off = 0.5 * unit * (moment.bar + abs(centre) * residual.bar) / abs(residual.value)
            if not math.isfinite(place + off):
                continue
            low, high = max(math.ceil(place - off), 0), min(math.floor(place + off), length - 1)
            if low <= high and (high - low + 1 <= _NARROWER * length or high == low):
                narrow[axis] = slice(part.start + low, part.start + high + 1)
        return tuple(narrow)

    def _measured(self, box: Box, weights: Array | None = None) -> Residual:
        """Return by how much the entries of a box are wrong together."""
        point, name = self._point, self._name
        direction = np.zeros(self._direction.shape)
        direction[box] = self._direction[box] if weights is None else self._direction[box] * weights
        differences, ray = point.along({name: direction})
        level = differences.level(self._step)
        off = point.directional({name: direction}) - level.central + ray.slip(self._step, point.gradient)
        off -= sum(error.value * float(direction[entry[1]]) for entry, error in self._errors.items())
        if not math.isfinite(off):
            return Residual(math.inf, math.inf)  # nothing can be said
        largest = float(np.max(np.abs(direction[box] * point.gradient[name][box]), initial=0.0))
        return Residual(off, self._judge.rtol * largest + level.noise)

    def _sample(self, box: Box) -> tuple[int, int]:
        """Look at some entries of a box at random; return how many of them are wrong, and how many were looked at.

        No more than a few where these are right.
        """
        moved = np.flatnonzero(self._direction[box])
        wrong = 0
        few = _FEW if box == self._outer else 1
        places = self._point.rng.choice(moved, min(_PICKED, moved.size), replace=False)
        for k, place in enumerate(places, start=1):
            offset = np.unravel_index(place, self._direction[box].shape)
            index = tuple(part.start + int(i) for part, i in zip(box, offset, strict=True))
            wrong += self._is_off((self._name, index))
            if wrong == _NAMED or (k >= few and not wrong):
                return wrong, k
        return wrong, len(places)

    def _trimmed(self, box: Box) -> Box:
        """Cut off what is right at the ends of each axis."""
        for axis in range(len(box)):
            for from_start in (True, False):
                part = box[axis]
                clean, seen = 0, part.stop - part.start
                middle = seen // 8
                while clean < middle < seen:
                    end = slice(part.start, part.start + middle) if from_start else slice(part.stop - middle, part.stop)
                    if not self._measured(_with(box, axis, end)).seen:
                        clean = middle
                    elif clean:
                        seen = middle
                    else:
                        break  # there is little to cut off
                    middle = (clean + seen) // 2
                left = slice(part.start + clean, part.stop) if from_start else slice(part.start, part.stop - clean)
                box = _with(box, axis, left)
        return box

    # ------------------------------------------------------------------ entries

    def _of_entry(self, box: Box) -> Residual:
        """Look at the one entry of a box, if nobody has; return by how much it is wrong."""
        entry = self._name, tuple(part.start for part in box)
        share = float(self._direction[entry[1]])
        if not share or entry in self._errors or not self._is_off(entry):
            return Residual(0.0, 0.0)
        return Residual(self._errors[entry].value * share, self._errors[entry].bar * abs(share))

    def _is_off(self, entry: Entry) -> bool:
        """Tell whether an entry's own first difference disagrees; judge it, or let it wait for others."""
        if entry in self._errors or entry in self._right:
            return entry in self._errors
        point, rtol = self._point, self._judge.rtol
        differences = point.along_entry(entry)
        level = differences.level(default_step(point.eps(self._name), differences.ray.scale))
        analytic = point.analytic(entry)
        if agree(analytic, level.central, level.noise, rtol) or not math.isfinite(level.central):
            self._right.add(entry)
            return False
        self._errors[entry] = Residual(analytic - level.central, level.noise + rtol * abs(analytic))
        if len(self.found) < _ONE_BY_ONE or not self._all_wrong():
            self.found[entry] = self._judged(entry)
        else:
            self._waiting.append((entry, level))
        return True

    def _all_wrong(self) -> bool:
        return all(c.verdict is Verdict.MISMATCH for c in self.found.values())

    def _judged(self, entry: Entry) -> Comparison:
        outcome = self._judge.entry(entry)
        return self._judge.together([outcome])[0] if isinstance(outcome, Doubt) else outcome

    def _judge_waiting(self) -> None:
        """Judge the entries whose first difference is off: together, where they are like those judged so far."""
        waiting, self._waiting = self._waiting, []
        sizes = [abs(self._errors[entry].value) * self._point.reach(entry) for entry, _ in waiting]
        groups: dict[int, list[tuple[Entry, Level]]] = {}
        for each, size in zip(waiting, sizes, strict=True):
            groups.setdefault(int(math.log10(max(sizes) / size) / _DECADES), []).append(each)
        for group in groups.values():
            together = self._all_wrong() and self._are_wrong_together(group)
            for entry, level in group:
                if together:
                    self.found[entry] = _wrong(entry, self._point.analytic(entry), level, self._judge.rtol)
                else:
                    self.found[entry] = self._judged(entry)

    def _are_wrong_together(self, group: list[tuple[Entry, Level]]) -> bool:
        """Tell whether several errors add up to the same at all steps and at a point beside, each with the same share.

        An error that only a kink or a jump makes is another at some of these, and so is what rounding makes.
        """
        point, step = self._point, self._step
        errors = np.array([self._errors[entry].value for entry, _ in group])
        least = min(abs(error) * point.reach(entry) for error, (entry, _) in zip(errors, group, strict=True))
        shares = least * np.abs(signed(point.rng, errors.shape))
        smallest, total = float(shares.min()), float(shares.sum())
        direction = np.zeros(self._direction.shape)
        for (entry, _), share, error in zip(group, shares, errors, strict=True):
            direction[entry[1]] = share / error

        def same(step: float) -> bool:
            differences, ray = point.along({self._name: direction})
            level = differences.level(step)
            off = point.directional({self._name: direction}) - level.central + ray.slip(step, point.gradient)
            bent = step <= self._step and abs(level.jump) > _BENT * smallest + level.jump_noise
            return not bent and abs(off - total) <= _STEADY * smallest + min(level.noise, 0.5 * smallest)

        noise = max(level.noise * point.reach(entry) for entry, level in group)
        finest = max(_FINEST, power_of_two(4 * noise / smallest))
        steps = (_COARSE, math.sqrt(finest), finest)
        if finest > _FINE_ENOUGH or not all(same(power_of_two(share * step)) for share in steps):
            return False
        with moved_off(point) as finite:
            return finite and same(step)


def _wrong(entry: Entry, analytic: float, level: Level, rtol: float) -> Comparison:
    limit = rtol * max(abs(analytic), abs(level.central)) + level.noise
    return Comparison(
        *entry, analytic, level.central, level.noise, limit, level.step, Verdict.MISMATCH, limit=2 * limit
    )


def _is_single(box: Box) -> bool:
    return all(part.stop - part.start == 1 for part in box)


def _halves(box: Box, axis: int) -> tuple[Box, Box]:
    middle = (box[axis].start + box[axis].stop) // 2
    before, after = slice(box[axis].start, middle), slice(middle, box[axis].stop)
    return _with(box, axis, before), _with(box, axis, after)


def _with(box: Box, axis: int, part: slice) -> Box:
    return (*box[:axis], part, *box[axis + 1 :])


def _written(box: Box, shape: Iterable[int]) -> str:
    """Write a box as an index: ``"[3, :]"``; empty for the whole array."""
    parts = []
    for part, length in zip(box, shape, strict=True):
        first, last = part.start or "", part.stop if part.stop < length else ""
        parts.append(str(part.start) if part.stop - part.start == 1 else f"{first}:{last}")
    return f"[{', '.join(parts)}]" if set(parts) != {":"} else ""


@contextmanager
def moved_off(point: Point) -> Iterator[bool]:
    """Move the whole point a little, to where nothing is tied or zero by construction; tell whether f is finite there.

    Outputs and gradient are those of the moved point inside the context.
    """
    evaluator = point.evaluator
    with point.away(stays=True) as at:
        for name in point.gradient:  # constants stay where they are
            shift = OFF * point.natural(name) * signed(point.rng, at[name].shape)
            evaluator.point[name][...] = at[name] + shift.astype(at[name].dtype)
        with np.errstate(all="ignore"):
            moved = point.again()
        outputs = evaluator.outputs("all inputs moved off their kinks")
        point.base, point.gradient = outputs, moved
        yield bool(np.isfinite(outputs).all()) and all(bool(np.isfinite(array).all()) for array in moved.values())
