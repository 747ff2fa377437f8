"""What does one evaluation say of many entries? Rays that move a whole group, and the first look at all of it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gradcheck.difference import CONFIDENCE, Differences, Level
from gradcheck.evaluate import Vector
from gradcheck.layer import Array
from gradcheck.point import Entry, Point
from gradcheck.structure import NONE, Group, Mask

_REMEMBERED = 1 << 23  # numbers of past evaluations that are kept for the next entry of the group
_FAR = 1e-3  # as for single entries: moves beyond this are our own idea
_NEAREST = 0.5**0.5  # mantissas below this are nearer to the smaller power of two, on a logarithmic scale


@dataclass(frozen=True)
class Look:
    """Difference quotients of the entries of a group at one step, as arrays of shape (k,).

    Attributes
    ----------
    step, central : ndarray
        The steps really taken, and the central quotients; NaN where f left its domain.
    jump : ndarray
        Differences of the one-sided slopes.
    noise : ndarray
        Bars for what rounding does to `central`, by any output that the entry may reach.
    """

    step: Array
    central: Array
    jump: Array
    noise: Array

    def level(self, place: int) -> Level:
        """Return what it says of one entry."""
        step, central, jump, noise = (float(each[place]) for each in (self.step, self.central, self.jump, self.noise))
        return Level(step, central, central + 0.5 * jump, central - 0.5 * jump, noise)


class SharedRay:
    """Moves all entries of a group at once, and remembers what f returned.

    Parameters
    ----------
    point : Point
        Where.
    name : str
        The primal.
    group : Group
        Entries that reach no output in common. Each moves in a direction of random sign: a slope that one has on the
        outputs of another, if the group is wrong, comes in with a random sign, and shows.
    deviation : ndarray, shape (k,)
        Standard deviation of the weighted sum of the outputs that each entry reaches.
    """

    def __init__(self, point: Point, name: str, group: Group, deviation: Array) -> None:
        self.group = group
        self._point = point
        self._name = name
        self._array = point.evaluator.point[name]
        self._places = np.unravel_index(group.entries, self._array.shape)
        self._value = self._array[self._places]
        self._scale = np.maximum(1.0, np.abs(self._value.astype(np.float64)))
        mantissa, exponent = np.frexp(self._scale)
        sign = 1.0 - 2.0 * point.rng.integers(0, 2, self._value.shape)
        self._unit = sign * np.ldexp(1.0, exponent - (mantissa < _NEAREST))  # a power of two: exact to move by
        self._deviation = deviation
        self._own: dict[Entry, tuple[int, Array]] | None = None
        self._seen: OrderedDict[float, tuple[Vector, Array]] = OrderedDict()

    def at(self, move: float) -> tuple[Vector, Array]:
        """Evaluate f with every entry moved by so many of its units; return the moves really taken as well."""
        if move not in self._seen:
            moved = self._value + (move * self._unit).astype(self._value.dtype)
            self._array[self._places] = moved
            try:
                outputs = self._point.evaluator.outputs(f"{self._name} moved by {move:+.3g}", far=abs(move) > _FAR)
            finally:
                self._array[self._places] = self._value
            self._seen[move] = outputs, moved.astype(np.float64) - self._value
            while len(self._seen) > 2 and len(self._seen) * outputs.size > _REMEMBERED:
                self._seen.popitem(last=False)
        return self._seen[move]

    def look(self, move: float) -> Look:
        """Take one central difference of every entry, by so many of its units."""
        point = self._point
        (plus, up), (minus, down) = self.at(move), self.at(-move)
        with np.errstate(all="ignore"):
            central = by_owner(self.group, point.cotangent * (plus - minus)) / (up - down)
            bend = by_owner(self.group, point.cotangent * ((plus - point.base) - (point.base - minus)))
            step = 0.5 * np.abs(up - down)
            return Look(step, central, bend / step, CONFIDENCE / step * self._deviation)

    def strays(self) -> bool:
        """Tell whether some evaluation changed an output that none of the entries should reach."""
        nobody = self.group.owner == NONE
        base = self._point.base[nobody]
        return bool(base.size) and any(np.any(outputs[nobody] != base) for outputs, _ in self._seen.values())

    def entry(self, place: int) -> Entry:
        """Return one of the entries by its place in the group."""
        return self._name, tuple(int(axis[place]) for axis in self._places)

    def along(self, entry: Entry) -> Differences | None:
        """Return difference quotients along an entry, over the outputs it reaches; None for one of another group."""
        if self._own is None:
            order = np.argsort(self.group.owner, kind="stable")
            ends = np.searchsorted(self.group.owner[order], np.arange(len(self.group.entries) + 1))
            self._own = {
                self.entry(place): (place, order[start:end]) for place, (start, end) in enumerate(pairwise(ends))
            }
        if entry not in self._own:
            return None
        place, own = self._own[entry]
        point = self._point
        return Differences(
            _MemberRay(self, place, own, self._value[place], float(self._scale[place]), float(self._unit[place])),
            point.base,
            point.cotangent,
            point.noise,
            own,
        )


class _MemberRay:
    """One entry's part of what a group's evaluations say: a `Ray`."""

    def __init__(self, shared: SharedRay, place: int, own: Array, value: float, scale: float, unit: float) -> None:
        self._shared = shared
        self._place = place
        self._own = own
        self._unit = unit
        self.magnitude = abs(float(value))
        self.scale = scale
        self.spacing = float(np.spacing(np.abs(value)))

    def at(self, step: float) -> tuple[Vector, float]:
        """See `Ray.at`."""
        outputs, taken = self._shared.at(step / self._unit)
        return outputs[self._own], float(taken[self._place])


def by_owner(group: Group, values: Vector) -> Array:
    """Sum numbers over the outputs that each entry of a group reaches."""
    return np.bincount(group.owner + 1, values, len(group.entries) + 1)[1:]


def deviations(point: Point, group: Group) -> Array:
    """Return the standard deviation of the weighted sum of the outputs that each entry of a group reaches.

    For one that reaches none, of all outputs: what it may do to them is hidden below their noise.
    """
    variance = np.square(point.cotangent * point.noise)
    each = by_owner(group, variance)
    idle: Mask = np.bincount(group.owner + 1, minlength=len(group.entries) + 1)[1:] == 0
    return np.sqrt(np.where(idle, variance.sum(), each))
