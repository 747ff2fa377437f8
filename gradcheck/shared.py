"""What does one evaluation say of many entries? Rays that move a whole group, and the first look at all of it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gradcheck.detect import CODED
from gradcheck.difference import CONFIDENCE, Differences, Level
from gradcheck.evaluate import Vector
from gradcheck.layer import Array
from gradcheck.point import Entry, Point
from gradcheck.probe import signed
from gradcheck.structure import NONE, Group, Indices, Share, code_words, elementwise, in_order
from gradcheck.tolerance import default_rtol

_REMEMBERED = 1 << 23  # numbers of past evaluations that are kept for the next entry of the group
_EVEN = 4.0  # times
_STEEP = 1e3  # times: of a slope so much smaller, a thousandth could hide in the tolerance of the largest
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


@dataclass(frozen=True)
class Leak:
    """An output that changes though no entry that should reach it is moved.

    Attributes
    ----------
    output : int
        Which, of all outputs as one vector.
    entry : Entry or None
        One that changes it by itself; None where none was found that does.
    """

    output: int
    entry: Entry | None


class Movable:
    """A primal whose entries can be moved in groups.

    Parameters
    ----------
    point : Point
        Where, with its noise measured.
    name : str
        The primal.

    Notes
    -----
    Each entry moves in a direction of random sign: a slope that one has on the outputs of another, if a group is wrong,
    comes in with a random sign, and shows.
    """

    def __init__(self, point: Point, name: str) -> None:
        self.point = point
        self.name = name
        array = point.evaluator.point[name]
        self.shape = array.shape
        self.flat = array.reshape(-1) if array.flags.c_contiguous else array.flat
        self.value = array.ravel()
        self.scale = np.maximum(1.0, np.abs(self.value.astype(np.float64)))
        mantissa, exponent = np.frexp(self.scale)
        sign = 1.0 - 2.0 * point.rng.integers(0, 2, self.value.shape)
        self.unit = sign * np.ldexp(1.0, exponent - (mantissa < _NEAREST))  # a power of two: exact to move by
        self._share: Share | None = None
        self._deviation = np.zeros(0)

    def deviation(self, share: Share) -> Array:
        """Return the standard deviation of each entry's weighted sum of outputs.

        For one that reaches none, of all outputs: what it may do to them is hidden below their noise.
        """
        if share is not self._share:
            variance = np.square(self.point.cotangent * self.point.noise)
            each = share.sums(np.ones(variance.shape), variance)
            self._share, self._deviation = share, np.sqrt(np.where(share.idle, variance.sum(), each))
        return self._deviation

    @property
    def is_even(self) -> bool:
        """True where what one entry does to another's outputs shows there, as small as it may be beside its slope.

        All move about as far (of very many that is taken for granted), and none is much steeper than another.
        """
        length = np.abs(self.unit)
        if self.value.size <= CODED and length.max() > _EVEN * length.min():
            return False
        rise = np.abs(self.point.gradient[self.name].ravel() * self.unit)
        rise = rise[(rise > 0) & np.isfinite(rise)]
        return not rise.size or bool(rise.max() <= _STEEP * rise.min())

    def is_blind(self, move: float) -> bool:
        """Tell whether noise could hide, at this move, slopes that are not small beside the gradient."""
        noise = CONFIDENCE / move * float(np.linalg.norm(self.point.cotangent * self.point.noise))
        return noise > default_rtol([self.value.dtype]) * self.point.scale[self.name]


class SharedRay:
    """Moves all entries of a group at once, and remembers what f returned.

    Parameters
    ----------
    movable : Movable
        The primal.
    group : Group
        Entries that reach no output in common.

    Attributes
    ----------
    movable, group
        As given.
    name : str
        The primal's.
    """

    def __init__(self, movable: Movable, group: Group) -> None:
        self.group = group
        self.name = movable.name
        self.movable = movable
        self._where = slice(None) if in_order(group.entries, movable.value.size) else group.entries
        self._value = np.array(movable.value[self._where])  # no view: the point moves
        self._unit = movable.unit[self._where]
        self._own: dict[Entry, tuple[int, Array]] | None = None
        self._seen: OrderedDict[float, tuple[Vector, Array]] = OrderedDict()

    def at(self, move: float) -> tuple[Vector, Array]:
        """Evaluate f with every entry moved by so many of its units; return the moves really taken as well."""
        if move not in self._seen:
            self.remember(move, *self.moved(move))
        return self._seen[move]

    def moved(self, move: float | Array) -> tuple[Vector, Array]:
        """As `at`, but remember nothing; every entry may have a move of its own."""
        flat, evaluator = self.movable.flat, self.movable.point.evaluator
        moved = self._value + (move * self._unit).astype(self._value.dtype)
        flat[self._where] = moved
        try:
            largest = float(np.max(np.abs(move)))
            outputs = evaluator.outputs(
                f"some entries of {self.movable.name} moved by up to {largest:.3g}", far=largest > _FAR
            )
        finally:
            flat[self._where] = self._value
        return outputs, np.subtract(moved, self._value, dtype=np.float64)

    def remember(self, move: float, outputs: Vector, taken: Array) -> None:
        """Keep what f returned at a move, and the oldest no longer if that is much."""
        self._seen[move] = outputs, taken
        while len(self._seen) > 2 and len(self._seen) * outputs.size > _REMEMBERED:
            self._seen.popitem(last=False)

    def glance(self, move: float) -> Look:
        """Take one quotient of every entry, to one side of the point: enough where f is affine."""
        point, share = self.movable.point, self.group.share
        outputs, taken = self.at(move)
        with np.errstate(all="ignore"):
            slope = share.sums(point.cotangent, outputs - point.base) / taken
        step = np.abs(taken)
        return Look(step, slope, np.zeros(step.shape), 2 * CONFIDENCE / step * self.movable.deviation(share))

    def look(self, move: float) -> Look:
        """Take one central difference of every entry, by so many of its units."""
        point, share = self.movable.point, self.group.share
        (plus, up), (minus, down) = self.at(move), self.at(-move)
        with np.errstate(all="ignore"):
            central = share.sums(point.cotangent, plus - minus) / (up - down)
            bend = share.sums(point.cotangent, (plus - point.base) - (point.base - minus))
        step = 0.5 * np.abs(up - down)
        return Look(step, central, bend / step, CONFIDENCE / step * self.movable.deviation(share))

    def strays(self) -> bool:
        """Tell whether some evaluation changed an output that none of the entries should reach."""
        nobody = self.group.share.nobody
        return bool(nobody.size) and any(
            np.any(outputs[nobody] != self.movable.point.base[nobody]) for outputs, _ in self._seen.values()
        )

    def leak(self, move: float) -> Leak | None:
        """Move entries by code words; return an output that changes though none that should reach it is moved, if any.

        Every move is of another size and sign: what equal ones do to an output might cancel.
        """
        point, owner, count = self.movable.point, self.group.share.owner, len(self.group.entries)
        words, _ = code_words(count, point.rng)
        for chosen in words.T:
            moves = move * signed(point.rng, (count,)) * chosen
            outputs, _ = self.moved(moves)
            changed = (outputs != point.base) & ((owner == NONE) | ~chosen[owner])
            if changed.any():
                output = int(changed.argmax())
                return Leak(output, self._by_whom(output, moves, np.flatnonzero(chosen)))
        return None

    def _by_whom(self, output: int, moves: Array, places: Indices) -> Entry | None:
        """Return one of these entries that changes an output by itself; None if none does, or f leaves its domain."""

        def change(some: Indices) -> bool:
            few = np.zeros(moves.shape)
            few[some] = moves[some]
            outputs, _ = self.moved(few)
            return bool(np.isfinite(outputs[output]) and outputs[output] != self.movable.point.base[output])

        while len(places) > 1:
            half = len(places) // 2
            places = places[:half] if change(places[:half]) else places[half:]
        nothing = places[:0]
        seen = [change(some) for some in (places, places, nothing, nothing)]  # f may not return the same bits twice
        return self.entry(int(places[0])) if seen == [True, True, False, False] else None

    def entry(self, place: int) -> Entry:
        """Return one of the entries by its place in the group."""
        index = np.unravel_index(self.group.entries[place], self.movable.shape)
        return self.movable.name, tuple(int(i) for i in index)

    def along(self, entry: Entry) -> Differences | None:
        """Return difference quotients along an entry, over the outputs it reaches; None for one of another group."""
        owner, entries = self.group.share.owner, self.group.entries
        if self._own is None:
            order = np.argsort(owner, kind="stable")
            ends = np.searchsorted(owner[order], np.arange(len(entries) + 1))
            self._own = {self.entry(k): (k, order[start:end]) for k, (start, end) in enumerate(pairwise(ends))}
        if entry not in self._own:
            return None
        place, own = self._own[entry]
        point = self.movable.point
        scale = float(self.movable.scale[entries[place]])
        ray = _MemberRay(self, place, own, self._value[place], scale, float(self._unit[place]))
        return Differences(ray, point.base, point.cotangent, point.noise, own)


def in_turns(movable: Movable, move: float) -> SharedRay | None:
    """Move all entries of a primal that f treats one by one, each both ways, and see that each is left alone by others.

    Parameters
    ----------
    movable : Movable
        The primal.
    move : float
        In units of its entries.

    Returns
    -------
    SharedRay or None
        With both sides of this move evaluated; None where an output changes with more than its own entry.

    Notes
    -----
    Three evaluations: in each a third of the entries goes up, a third down, and a third rests, in turns. Outputs of the
    shape of the primal belong to its entries in order; those of resting entries, and all others, must not change.
    """
    point = movable.point
    group = elementwise(movable.value.size, point.evaluator.shapes)
    if group is None:
        return None
    shared = SharedRay(movable, group)
    owner = group.share.owner
    turn = point.rng.integers(0, 3, movable.value.size).astype(np.int8)
    owned = turn if in_order(owner, turn.size) else np.where(owner == NONE, NONE, turn[owner])
    sides = {side: (point.base.copy(), np.zeros(movable.value.shape)) for side in (1, -1)}
    for shift in range(3):
        places = {1: (3 - shift) % 3, -1: (4 - shift) % 3}  # who goes up, who goes down
        ways = np.zeros(3)
        ways[[*places.values()]] = move, -move
        outputs, taken = shared.moved(ways[turn])
        still = (owned != places[1]) & (owned != places[-1])
        if np.any((outputs != point.base) & still):
            return None
        for side, (seen, went) in sides.items():
            np.copyto(went, taken, where=turn == places[side])
            np.copyto(seen, outputs, where=owned == places[side])
    for side, (seen, went) in sides.items():
        shared.remember(side * move, seen, went)
    return shared


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
