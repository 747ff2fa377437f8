"""Which entries share a kink? Those whose effect on f changes where another has moved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from gradcheck.evaluate import Vector
from gradcheck.point import Entry, Point

_STEP = 2.0**-17
_LONGER, _LONGEST = 2.0**4, 2.0**-5  # times as long, until an entry's kink shows above noise
_FEW = 4  # entries that reach the same outputs: all pairs of them
_MANY = 192  # on kinks of the same outputs: more are not searched for partners
_PARTNERS = 8  # so many of an entry are looked for
_CHANGES = 1e-2  # part of an effect by which another's movement has to change it
_SURE = 8.0  # standard deviations of the noise


class Ties:
    """Finds the ties among entries that are on kinks.

    Parameters
    ----------
    point : Point
        On the kinks; left as it is.
    entries : sequence of Entry
        On kinks at the point.
    signs : sequence of float
        The way in which each is moved.
    beside : sequence of Entry
        All on kinks, also those of which it is not known whether they are at the point.

    Attributes
    ----------
    left_out : int
        Entries that were not looked at with all others, because they are too many.
    """

    def __init__(self, point: Point, entries: Sequence[Entry], signs: Sequence[float], beside: Sequence[Entry]) -> None:
        self._point = point
        self._entries = list(entries)
        self._signs = list(signs)
        self._beside = list(beside)
        self._steps: dict[Entry, float] = {}
        both = [self._both_ways(k) for k in range(len(self._entries))]
        self._alone, self._back = [up for up, _ in both], [down for _, down in both]
        self._reached = np.array(
            [(up != 0) | (down != 0) for up, down in zip(self._alone, self._back, strict=True)], bool
        ).reshape(len(self._entries), point.base.size)
        self._place = {entry: k for k, entry in enumerate(self._entries)}
        self._met: dict[frozenset[Entry], list[Entry]] = {}
        self.left_out = 0

    def _both_ways(self, k: int) -> tuple[Vector, Vector]:
        """Return what an entry does to all outputs, forth and back, by a step at which its kink shows above noise."""
        entry, step = self._entries[k], _STEP
        while True:
            self._steps[entry] = step
            up, down = (self._moved(self._ways([k], way)) - self._point.base for way in (1.0, -1.0))
            if step >= _LONGEST or self._differs(up, -down).any():
                return up, down
            step *= _LONGER

    def jumps(self, entry: Entry) -> Vector:
        """Return how far each output's slopes on the two sides of an entry are apart; 0 where that is no kink."""
        k = self._place[entry]
        up, down = self._alone[k], self._back[k]
        return np.where(self._differs(up, -down), np.abs(up + down), 0.0) / self._step(entry)

    def reached(self, entries: Sequence[Entry]) -> npt.NDArray[np.bool_]:
        """Tell which outputs some of the entries move."""
        return np.asarray(self._reached[[self._place[entry] for entry in entries]].any(axis=0))

    def around(self, group: Sequence[Entry]) -> list[Entry]:
        """Return a group and those beside it that have a say in its kinks: with them moved it has other effects."""
        key = frozenset(group)
        if key not in self._met:
            self._met[key] = self._around(group)
        return self._met[key]

    def _around(self, group: Sequence[Entry]) -> list[Entry]:
        both = (1.0, -1.0)
        alone = {way: self._moved(dict.fromkeys(group, way)) - self._point.base for way in both}
        met = list(group)
        for other in self._beside:
            if other in group:
                continue
            for shift in both:
                moved = self._moved({other: shift})
                effects = ((way, self._moved({**dict.fromkeys(group, way), other: shift}) - moved) for way in both)
                if any(self._differs(effect, alone[way]).any() for way, effect in effects):
                    met.append(other)
                    break
        return met

    def groups(self) -> Iterator[list[Entry]]:
        """Yield pairs of tied entries, and then all that are tied with one, where those are more than two."""
        clusters: list[list[int]] = []
        pairs: set[tuple[int, int]] = set()
        for k in range(len(self._entries)):
            sharing = np.flatnonzero((self._reached & self._reached[k]).any(axis=1))
            others = [int(j) for j in sharing if j != k]
            if len(sharing) <= _FEW:
                partners = others
            elif len(sharing) <= _MANY:
                partners = self._partners(k, others, _PARTNERS)
            else:
                self.left_out += 1
                continue
            pairs |= {(min(k, j), max(k, j)) for j in partners}
            if len(partners) > 1:
                clusters.append(sorted([k, *partners]))
        for i, j in sorted(pairs):
            yield [self._entries[i], self._entries[j]]
        for cluster in dict.fromkeys(map(tuple, clusters)):
            yield [self._entries[k] for k in cluster]

    def _partners(self, k: int, others: list[int], most: int) -> list[int]:
        """Return those among others whose movement changes what an entry does, by halving."""
        if not others or most <= 0 or not self._interacts(k, others):
            return []
        if len(others) == 1:
            return others
        middle = len(others) // 2
        found = self._partners(k, others[:middle], most)
        return found + self._partners(k, others[middle:], most - len(found))

    def _interacts(self, k: int, others: list[int]) -> bool:
        """Tell whether others change what an entry does, all moved one way or the other: there one alone may decide."""
        for way, alone in ((1.0, self._alone[k]), (-1.0, self._back[k])):
            effect = self._moved(self._ways([*others, k], way)) - self._moved(self._ways(others, way))
            if self._differs(effect, alone).any():
                return True
        return False

    def _differs(self, effect: Vector, other: Vector) -> npt.NDArray[np.bool_]:
        sure = _SURE * self._point.noise + _CHANGES * np.maximum(np.abs(effect), np.abs(other))
        return np.asarray(np.abs(effect - other) > sure)

    def _step(self, entry: Entry) -> float:
        return self._steps.get(entry, _STEP) * float(self._point.natural(entry[0])[entry[1]])

    def _ways(self, which: Sequence[int], way: float = 1.0) -> dict[Entry, float]:
        return {self._entries[k]: way * self._signs[k] for k in which}

    def _moved(self, ways: Mapping[Entry, float]) -> Vector:
        """Evaluate f with some entries moved together, each its way."""
        point = self._point.evaluator.point
        saved = []
        try:
            for (name, index), way in ways.items():
                saved.append((name, index, point[name][index]))
                point[name][index] = point[name][index] + point[name].dtype.type(way * self._step((name, index)))
            return self._point.evaluator.outputs("entries on kinks moved together")
        finally:
            for name, index, value in saved:
                point[name][index] = value
