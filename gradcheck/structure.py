"""Which entries can share one evaluation? Those that reach no output in common: they are moved in groups."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradcheck.evaluate import Vector

Indices = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]

NONE = -1
"""The source of an output that no slice reaches."""


@dataclass(frozen=True)
class Colour:
    """Slices of an axis that reach no output in common.

    Attributes
    ----------
    slices : ndarray of int, shape (k,)
        Their places along the axis.
    source : ndarray of int, shape (m,), or None
        For each output, the place in `slices` of the only one that reaches it, or `NONE`; None where there is one
        slice only, which may reach all.
    """

    slices: Indices
    source: Indices | None


class Share:
    """Which outputs each of some entries reaches, that are moved at once and reach none in common.

    Parameters
    ----------
    owner : ndarray of int, shape (m,)
        For each output, the place of the only entry that reaches it, or `NONE`.
    count : int
        How many entries.

    Attributes
    ----------
    owner : ndarray of int, shape (m,)
        As given.
    nobody : ndarray of int
        The outputs that no entry reaches.
    idle : ndarray of bool, shape (count,)
        The entries that reach no output.
    """

    def __init__(self, owner: Indices, count: int) -> None:
        self.owner = owner
        self.nobody = np.flatnonzero(owner == NONE)
        self.idle = np.bincount(owner + 1, minlength=count + 1)[1:] == 0
        self._count = count
        # where the owners are an axis of the outputs, sums over the others are four times faster than by bincount
        behind = int(np.argmax(owner != owner[0])) or owner.size
        before, rest = divmod(owner.size, count * behind)
        self._layout = (before, count, behind)
        pattern = np.arange(count)[:, None]
        self._regular = not rest and np.array_equal(owner.reshape(self._layout), np.broadcast_to(pattern, self._layout))

    def sums(self, weights: Vector, values: Vector) -> Vector:
        """Return each entry's sum of weighted values, over the outputs that it reaches."""
        if self._regular:
            return np.asarray(np.einsum("ikj,ikj->k", weights.reshape(self._layout), values.reshape(self._layout)))
        return np.asarray(np.bincount(self.owner + 1, weights * values, self._count + 1)[1:])


@dataclass(frozen=True)
class Group:
    """Entries that are moved at once.

    Attributes
    ----------
    entries : ndarray of int, shape (k,)
        Flat indices into the primal.
    share : Share
        Which outputs they reach.
    """

    entries: Indices
    share: Share


@dataclass(frozen=True)
class Structure:
    """Which entries of a primal share an evaluation: colours of the slices of each axis.

    Attributes
    ----------
    shape : tuple of int
        The axes that were looked at: the primal's own, or all of them as one.
    axes : tuple of tuple of Colour
        For each of these axes. Entries whose slices have the same colours are moved at once.
    outputs : int
        How many numbers f returns.

    Notes
    -----
    The columns of a Jacobian that have no row in common are grouped as Curtis, Powell and Reid do it for sparse
    matrices, but axis by axis: an entry's outputs are those that its slice of every axis reaches.

    References
    ----------
    A. R. Curtis, M. J. D. Powell and J. K. Reid, On the estimation of sparse Jacobian matrices, J. Inst. Math. Appl.
    13 (1974), 117-119.
    """

    shape: tuple[int, ...]
    axes: tuple[tuple[Colour, ...], ...]
    outputs: int

    def __len__(self) -> int:
        """Return the number of groups."""
        return math.prod(map(len, self.axes))

    def groups(self, order: Indices | None = None) -> Iterator[Group]:
        """Yield the groups, in the given order of their numbers."""
        counts = [len(axis) for axis in self.axes]
        strides = [math.prod(self.shape[k + 1 :]) for k in range(len(self.shape))]
        known: dict[tuple[int, ...], tuple[Indices, Share]] = {}
        for number in range(len(self)) if order is None else order:
            colours = [axis[k] for axis, k in zip(self.axes, np.unravel_index(number, counts), strict=True)]
            # slices that are moved alone only shift the entries of the others
            key = tuple(id(colour) for colour in colours if colour.source is not None)
            if key not in known:
                known[key] = self._shared(colours, strides)
            entries, share = known[key]
            alone = (
                int(colour.slices[0]) * stride
                for colour, stride in zip(colours, strides, strict=True)
                if colour.source is None
            )
            yield Group(entries + sum(alone), share)

    def _shared(self, colours: list[Colour], strides: list[int]) -> tuple[Indices, Share]:
        """Return the entries of a group, of which single slices are the first, and which outputs they reach."""
        owner, entries = np.zeros(self.outputs, np.intp), np.zeros(1, np.intp)
        unreached = np.zeros(self.outputs, bool)
        for colour, stride in zip(colours, strides, strict=True):
            if colour.source is not None:
                owner = owner * len(colour.slices) + colour.source
                unreached |= colour.source == NONE
                entries = (entries[:, None] + colour.slices * stride).ravel()
        return entries, Share(np.where(unreached, NONE, owner), len(entries))


def in_order(entries: Indices, size: int) -> bool:
    """Tell whether these are all of so many, in order: a view does for them."""
    return entries.size == size and bool((entries == np.arange(size)).all())


def elementwise(size: int, shapes: list[tuple[int, ...]]) -> Group | None:
    """Return the group of all entries of a primal, if outputs of its size were theirs in order; None if none is.

    Parameters
    ----------
    size : int
        Of the primal.
    shapes : list of tuple of int
        Of the outputs.
    """
    sizes = [math.prod(shape) for shape in shapes]
    if size not in sizes:
        return None
    entries = np.arange(size)
    return Group(entries, Share(np.concatenate([entries if n == size else np.full(n, NONE) for n in sizes]), size))


def word_length(length: int) -> int:
    """Return how many bits the code words of so many slices have."""
    return next(bits for bits in itertools.count(1) if math.comb(bits, bits // 2) >= length)


def code_words(length: int, rng: np.random.Generator) -> tuple[Mask, int]:
    """Return a word for each of so many slices, all of one weight, so that two together have a larger one.

    E. Sperner, Ein Satz über Untermengen einer endlichen Menge, Math. Z. 27 (1928), 544-548: no more subsets than
    those of half the size contain none of each other.
    """
    bits = word_length(length)
    weight = max(bits // 2, 1)
    words = np.zeros((length, bits), bool)
    rank = rng.permutation(math.comb(bits, weight))[:length]  # among all words, in the order of a dictionary
    left = np.full(length, weight)
    for bit in range(bits):
        rest = bits - bit - 1
        with_it = np.array([0, *(math.comb(rest, ones - 1) for ones in range(1, weight + 1))])[left]
        words[:, bit] = rank < with_it
        rank = np.where(words[:, bit], rank, rank - with_it)
        left -= words[:, bit]
    return words, weight
