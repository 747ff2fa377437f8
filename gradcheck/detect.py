"""Do entries reach the same outputs, whatever f is? Many are moved at once, and it is seen which outputs change."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from gradcheck.evaluate import Evaluator, Vector
from gradcheck.probe import default_step, signed
from gradcheck.structure import NONE, Colour, Indices, Mask, Structure, code_words

FEWEST = 8
"""Entries for which a structure is worth looking for."""
CODED = 4096
"""Of more slices than this, it is tried first whether they come in order, which two evaluations do not deny."""
_LONGEST = 1 << 20  # of more, nothing else is tried
_SAMPLED = 3  # slices that are moved alone to see whether any two of them reach different outputs
_LARGEST_PATTERN = 1 << 27  # entries of a table of which slice reaches which output
_WIDE = 2.0  # the wide move, in units of the entries


def detect(
    evaluator: Evaluator, name: str, base: Vector, rng: np.random.Generator, *, every_pair: bool = False
) -> Structure | None:
    """Find out which entries of a primal reach no output in common.

    Parameters
    ----------
    evaluator : Evaluator
        At the point.
    name : str
        The primal.
    base : ndarray, shape (m,)
        Outputs at the point.
    rng : numpy.random.Generator
        For the moves.
    every_pair : bool
        See any two that reach the same output, however many there are.

    Returns
    -------
    Structure or None
        None where nothing, or too little, would be shared.

    Notes
    -----
    All entries at once, and then the slices of each axis, get code words: subsets of one size of a number of
    evaluations, in which they are moved, each by its own wide step. An output that a single slice reaches changes in
    the evaluations of its word and in no others; one that two reach changes in more. That takes about
    ``log2(n) + 2`` evaluations for n slices, and two more with steps as small as those of the differences, each of
    half of the slices. An axis along which slices do reach the same outputs is looked at slice by slice where some of
    them do not (convolutions, graphs). Outputs are compared bit by bit.

    Of more than 4,096 slices the obvious is tried first: that they belong to the entries, or to the slices of an axis,
    of an output in order, by two evaluations, which miss two in five of single pairs.
    """
    array = evaluator.point[name]
    if array.size < FEWEST or base.size < 2:
        return None
    with evaluator.away():
        look = _Look(evaluator, name, base, rng, every_pair=every_pair)
        if array.size <= min(base.size, _LONGEST if every_pair else CODED):
            everything = look.separate((array.size,), 0)
            if everything is not None:
                return Structure((array.size,), ((everything,),), base.size)
        axes = tuple(look.colours(array.shape, axis) for axis in range(array.ndim))
    found = Structure(array.shape, axes, base.size)
    return found if len(found) <= array.size // 2 else None


class _Look:
    """Moves slices of one primal and sees which outputs change."""

    def __init__(
        self, evaluator: Evaluator, name: str, base: Vector, rng: np.random.Generator, *, every_pair: bool
    ) -> None:
        self._evaluator = evaluator
        self._every_pair = every_pair
        self._name = name
        self._array = evaluator.point[name]
        self._base = base
        self._rng = rng
        self._given = self._array.copy()
        scale = np.maximum(1.0, np.abs(self._given))
        step = default_step(float(np.finfo(self._array.dtype).eps), 1.0)
        self._wide, self._near = (
            (self._given + size * scale * signed(rng, self._array.shape)).astype(self._array.dtype)
            for size in (_WIDE, step)
        )

    def colours(self, shape: tuple[int, ...], axis: int) -> tuple[Colour, ...]:
        """Return the colours of an axis: one if its slices reach different outputs, one for each if nothing helps."""
        length = shape[axis]
        apart = tuple(Colour(np.array([k]), None) for k in range(length))
        if length < 2:
            return apart
        separate = self.separate(shape, axis)
        return (separate,) if separate is not None else self._patterned(shape, axis) or apart

    def separate(self, shape: tuple[int, ...], axis: int) -> Colour | None:
        """Return the colour of all slices of an axis if no two reach the same output; else None."""
        length = shape[axis]
        slices = np.arange(length)
        if length > CODED and not self._every_pair:
            half = self._rng.random(length) < 0.5
            wide = self._changed(shape, axis, np.flatnonzero(half), self._wide)
            if wide.all():
                return None
            source = self._in_order(shape, axis, half, wide)
            if source is not None:
                return Colour(slices, source)
        source = self._decoded(shape, axis) if length <= _LONGEST else None
        return Colour(slices, source) if source is not None and self._holds(shape, axis, slices, source) else None

    def _changed(self, shape: tuple[int, ...], axis: int, slices: Indices, moved: npt.NDArray[np.floating]) -> Mask:
        """Tell which outputs change where some slices of an axis are moved."""
        chosen = np.zeros(shape[axis], bool)
        chosen[slices] = True
        along = [1] * len(shape)
        along[axis] = -1
        where = chosen.reshape(along)
        if shape != self._array.shape:
            where = np.broadcast_to(where, shape).reshape(self._array.shape)
        np.copyto(self._array, moved, where=where)
        try:
            outputs = self._evaluator.outputs(f"some entries of {self._name} moved", far=moved is self._wide)
        finally:
            np.copyto(self._array, self._given, where=where)
        return np.asarray(outputs != self._base)  # NaN, beyond the domain, is a change

    def _decoded(self, shape: tuple[int, ...], axis: int) -> Indices | None:
        """Return each output's only source by code words; None where one has several."""
        length = shape[axis]
        words, weight = code_words(length, self._rng)
        count = np.zeros(self._base.shape, np.intp)
        seen = np.zeros(self._base.shape, np.int64)
        for bit in range(words.shape[1]):
            changed = self._changed(shape, axis, np.flatnonzero(words[:, bit]), self._wide)
            count += changed
            seen |= changed.astype(np.int64) << bit
            if changed.all() or (count > weight).any():  # nearly never does chance give all outputs to one half
                return None
        reached = count == weight
        if not np.all(reached | (count == 0)):
            return None
        numbers = (words.astype(np.int64) << np.arange(words.shape[1])).sum(axis=1)
        order = np.argsort(numbers)
        place = order[np.searchsorted(numbers, seen, sorter=order) % length]
        if np.any(reached & (numbers[place] != seen)):
            return None
        source = np.where(reached, place, NONE)
        return source if reached.all() else self._filled(source, length, shape)

    def _filled(self, source: Indices, length: int, shape: tuple[int, ...]) -> Indices:
        """Give the outputs that nothing moved (a dead ReLU's) to whom they belong by the order of the others."""
        for where, candidates in self._orders(length, len(shape) == 1):
            known = source[where] != NONE
            for candidate in candidates:
                if known.any() and np.array_equal(candidate[known], source[where][known]):
                    source[where] = candidate
                    break
        return source

    def _in_order(self, shape: tuple[int, ...], axis: int, half: Mask, wide: Mask) -> Indices | None:
        """Return each output's source by the order of the slices, if two evaluations do not deny it.

        The first moved `half` of them, and changed the outputs `wide`.
        """
        length = shape[axis]
        near = self._changed(shape, axis, np.flatnonzero(~half), self._near)
        source = np.full(self._base.shape, NONE)
        for where, candidates in self._orders(length, len(shape) == 1):
            if not (wide[where].any() or near[where].any()):
                continue
            for candidate in candidates:
                if not np.any(wide[where] & ~half[candidate]) and not np.any(near[where] & half[candidate]):
                    source[where] = candidate
                    break
            else:
                return None
        return source

    def _orders(self, length: int, flat: bool) -> Iterator[tuple[slice, list[Indices]]]:
        """Yield, for each output array, its place among all outputs and the sources it would have in some order."""
        start = 0
        for shape in self._evaluator.shapes:
            size = math.prod(shape)
            candidates = [np.arange(size)] if flat and size == length else []
            candidates += [
                np.ravel(np.broadcast_to(np.expand_dims(np.arange(length), tuple(range(1, len(shape) - q))), shape))
                for q, n in enumerate(shape)
                if n == length
            ]
            yield slice(start, start + size), candidates
            start += size

    def _patterned(self, shape: tuple[int, ...], axis: int) -> tuple[Colour, ...] | None:
        """Return colours found slice by slice; None where that would not help."""
        length = shape[axis]
        if length <= _SAMPLED or length * self._base.size > _LARGEST_PATTERN:
            return None
        sample = np.linspace(0, length - 1, _SAMPLED).astype(int)  # neighbours are the likeliest to share an output
        rows = {int(k): self._changed(shape, axis, np.array([k]), self._wide) for k in sample}
        if all((rows[int(a)] & rows[int(b)]).any() for a, b in itertools.combinations(sample, 2)):
            return None
        taken: list[Mask] = []
        members: list[list[int]] = []
        for k in range(length):
            row = rows[k] if k in rows else rows.setdefault(k, self._changed(shape, axis, np.array([k]), self._wide))
            for colour, used in enumerate(taken):
                if not (used & row).any():
                    taken[colour] = used | row
                    members[colour].append(k)
                    break
            else:
                taken.append(row.copy())
                members.append([k])
            if len(taken) > length // 2:
                return None
        colours = []
        for slices in map(np.array, members):
            source = np.full(self._base.shape, NONE)
            for place, k in enumerate(slices.tolist()):
                source[rows[k]] = place
            if not self._holds(shape, axis, slices, source):
                return None
            colours.append(Colour(slices, source))
        return tuple(colours)

    def _holds(self, shape: tuple[int, ...], axis: int, slices: Indices, source: Indices) -> bool:
        """Tell whether steps as small as a difference's change only what their sources say, by either half of them."""
        half = self._rng.permutation(len(slices)) % 2 == 0
        for chosen in (half, ~half):
            changed = self._changed(shape, axis, slices[chosen], self._near)
            if np.any(changed & ((source == NONE) | ~chosen[source])):
                return False
        return True
