"""Which entries share an evaluation by the pattern that the user declares? Columns of it that have no row in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.errors import ArgumentError
from gradcheck.layer import Array, Layer
from gradcheck.structure import NONE, Group, Indices, Share, word_length


class WrongPatternError(Exception):
    """A declared pattern does not hold: the check begins again, as if there were none.

    Parameters
    ----------
    name : str
        The primal.
    text : str
        What f does against it, for the note.
    """

    def __init__(self, name: str, text: str) -> None:
        super().__init__(f"pattern of {name}: {text}; how entries share evaluations was found by probing instead")
        self.name = name


@dataclass(frozen=True, eq=False)
class Declared:
    """Which entries of a primal share an evaluation, by a declared pattern.

    Attributes
    ----------
    entries : tuple of ndarray of int
        For each group, flat indices into the primal.
    reached, owners : tuple of ndarray of int
        For each group, the outputs that its entries reach, and the place in the group of the one that does.
    outputs : int
        How many numbers f returns.

    Notes
    -----
    Columns are grouped as Curtis, Powell and Reid do it (see `Structure`): in order, each with the first group of whose
    columns none has a row in common with it.
    """

    entries: tuple[Indices, ...]
    reached: tuple[Indices, ...]
    owners: tuple[Indices, ...]
    outputs: int

    @classmethod
    def of(cls, rows: Indices, columns: Indices, shape: tuple[int, int]) -> Declared | None:
        """Group the columns of a matrix of so many rows and columns, given where it is not zero.

        None where there are more groups than half of the columns: too little would be shared.
        """
        most = shape[1] // 2
        if np.bincount(rows, minlength=1).max() > most:  # the columns of one row are all in different groups
            return None
        order = np.argsort(columns, kind="stable")
        rows, columns = rows[order], columns[order]
        colour = np.empty(shape[1], np.intp)
        taken = [0] * shape[0]  # of each row, the groups of its columns: one bit each
        places = iter(rows.tolist())
        for column, count in enumerate(np.bincount(columns, minlength=shape[1]).tolist()):
            own = [next(places) for _ in range(count)]
            used = 0
            for row in own:
                used |= taken[row]
            free = ~used & (used + 1)  # the lowest bit that is not set
            if free.bit_length() > most:
                return None
            colour[column] = free.bit_length() - 1
            for row in own:
                taken[row] |= free
        members = [np.flatnonzero(colour == each) for each in range(int(colour.max()) + 1)]
        place = np.empty(shape[1], np.intp)
        for entries in members:
            place[entries] = np.arange(entries.size)
        by_colour = np.argsort(colour[columns], kind="stable")
        cuts = np.cumsum(np.bincount(colour[columns], minlength=len(members)))[:-1]
        reached, owners = (np.split(each[by_colour], cuts) for each in (rows, place[columns]))
        return cls(tuple(members), tuple(reached), tuple(owners), shape[0])

    def __len__(self) -> int:
        """Return the number of groups."""
        return len(self.entries)

    @property
    def forwards(self) -> int:
        """How many it takes to look at all groups, and to see that f keeps to the pattern."""
        return sum(2 + word_length(entries.size) for entries in self.entries)

    def groups(self, order: Indices | None = None) -> Iterator[Group]:
        """Yield the groups, in the given order of their numbers."""
        for number in range(len(self)) if order is None else order:
            owner = np.full(self.outputs, NONE)
            owner[self.reached[number]] = self.owners[number]
            yield Group(self.entries[number], Share(owner, self.entries[number].size))


def declare(pattern: Mapping[str, Any] | None, layer: Layer, outputs: list[Array]) -> dict[str, Declared]:
    """Read the patterns that a user declares.

    Parameters
    ----------
    pattern : mapping of str to matrix, or None
        As `gradcheck.check_vjp` takes it.
    layer : Layer
        What is checked.
    outputs : list of ndarray
        The floating-point ones at the point.

    Returns
    -------
    dict of str to Declared
        By primal; without those that would save too little.

    Raises
    ------
    ArgumentError
        If a name is unknown, or a matrix has another shape than the Jacobian.
    """
    if not pattern:  # a million outputs need not be gone through
        return {}
    widths = np.concatenate([_widths(array) for array in outputs])
    listing = " + ".join(f"{array.size:,}" for array in outputs)
    found = {}
    for name, matrix in pattern.items():
        if name not in layer.wrt:
            known = ", ".join(map(repr, layer.wrt))
            raise ArgumentError(f"pattern names {name!r}, which is none of what is differentiated; there are {known}")
        primal = layer.primals[name]
        shape, rows, columns = _read(name, matrix)
        expected = (widths.size, primal.size)
        if shape != expected:
            remedy = "transpose it" if shape == expected[::-1] else "flatten outputs and entries in C order"
            raise ArgumentError(
                f"pattern[{name!r}] has shape {shape}; expected {expected}: a row for each number that f returns"
                f" ({listing}), a column for each entry of {name} (shape {primal.shape}); {remedy}"
            )
        rows, columns = _real(rows, widths, columns)
        columns, rows = _real(columns, _widths(primal), rows)
        size = int(_widths(primal).sum())
        declared = Declared.of(rows, columns, (int(widths.sum()), size))
        if declared is not None:
            found[name] = declared
    return found


def _widths(array: Array) -> Indices:
    """Return how many real numbers each entry is made of."""
    return np.full(array.size, 1 + (array.dtype.kind == "c"))


def _real(places: Indices, widths: Indices, others: Indices) -> tuple[Indices, Indices]:
    """Return the real numbers that entries at some places are made of, and what stands beside them as often."""
    first, times = np.cumsum(widths) - widths, widths[places]
    nth = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
    return np.repeat(first[places], times) + nth, np.repeat(others, times)


def _read(name: str, matrix: Any) -> tuple[tuple[int, ...], Indices, Indices]:
    """Return the shape of a matrix, and the rows and columns where it is not zero."""
    is_sparse = not isinstance(matrix, np.ndarray) and hasattr(matrix, "nonzero") and hasattr(matrix, "shape")
    places = matrix.nonzero() if is_sparse else None
    if not isinstance(places, tuple) or len(places) != 2:  # a list, or a tensor of another library
        try:
            matrix = np.asarray(matrix)
        except ValueError as error:
            raise ArgumentError(f"pattern[{name!r}] is no matrix ({error}); give one of booleans or numbers") from error
        if matrix.ndim != 2 or matrix.dtype.kind not in "buifc":
            raise ArgumentError(
                f"pattern[{name!r}] has shape {matrix.shape} and dtype {matrix.dtype}; expected a matrix of booleans or"
                " numbers, or a sparse one with nonzero() and shape: a row for each number that f returns, a column for"
                " each entry"
            )
        places = matrix.nonzero()
    rows, columns = (np.asarray(each, np.intp).ravel() for each in places)
    return tuple(int(n) for n in matrix.shape), rows, columns
