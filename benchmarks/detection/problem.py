"""What is each checker asked? A function, a pullback that is right or wrong, and a point."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.numerics.table.row import Row, twins

Array = np.ndarray[Any, np.dtype[Any]]


class NotRunError(Exception):
    """A checker cannot be asked this."""


@dataclass(frozen=True, eq=False)
class Problem:
    """One question: is this pullback right?"""

    topic: str
    row: str
    id: str
    """The row's own for its right pullback, else with the twin's name behind it."""
    f: Callable[..., Any]
    vjp: Callable[..., Any]
    inputs: tuple[Any, ...]
    right: bool
    expect: str
    """Of the row: ``"match"``, ``"kink"``, or ``"inconclusive"`` where f has no derivative or its values hide it."""

    @property
    def kind(self) -> str:
        """Of the question: one of `KINDS`."""
        if not self.right:
            return "wrong, hidden" if self.expect == "inconclusive" else "wrong"
        return {"match": "smooth", "kink": "kink", "inconclusive": "hidden"}[self.expect]

    @property
    def seed(self) -> int:
        """For checkers that draw from a generator of ours: depends on the problem's name alone."""
        return zlib.crc32(self.id.encode())


KINDS = ("smooth", "kink", "hidden", "wrong", "wrong, hidden")
"""Right pullbacks where f is smooth, on kinks, and where f has no derivative or its values hide it; wrong ones elsewhere,
and there."""


def problems(rows: Iterable[Row], topics: Mapping[str, str] | None = None) -> list[Problem]:
    """Return the right pullback of each row and then its wrong twins; `topics` of rows, by their names."""
    found = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for row in rows:
            topic = (topics or {}).get(row.id, "")
            found.append(Problem(topic, row.id, row.id, row.f, row.vjp, row.inputs, True, row.expect))
            found.extend(
                Problem(topic, row.id, twin.id, row.f, twin.vjp, row.inputs, False, row.expect) for twin in twins(row)
            )
    return found


class Real:
    """A problem for checkers that know arrays of one floating-point dtype and nothing else.

    Inputs without a derivative (labels, indices, masks) are closed over; lower precision is widened, as the checkers'
    documentations ask for: they see no error that is made in low precision only.
    """

    def __init__(self, problem: Problem, dtype: Any = np.float64) -> None:
        self._problem = problem
        arrays = [np.asarray(value) for value in problem.inputs]
        if any(array.dtype.kind == "c" for array in arrays):
            raise NotRunError("complex inputs")
        self._which = [k for k, array in enumerate(arrays) if array.dtype.kind == "f"]
        self.points = [np.array(arrays[k], dtype=dtype, order="C") for k in self._which]
        self.seed = problem.seed

    def _all(self, points: Sequence[Array]) -> list[Any]:
        inputs = list(self._problem.inputs)
        for k, point in zip(self._which, points, strict=True):
            inputs[k] = point
        return inputs

    def f(self, *points: Array) -> Any:
        """Return what f returns, lists as tuples: an array or a tuple of arrays."""
        result = self._problem.f(*self._all(points))
        return tuple(map(np.asarray, result)) if isinstance(result, (tuple, list)) else np.asarray(result)

    def sample(self) -> Any:
        """Return what f returns at the point, uncounted: whoever calls these checkers knows the shapes of f's output."""
        f = getattr(self._problem.f, "__wrapped__", self._problem.f)
        result = f(*self._all(self.points))
        return tuple(map(np.asarray, result)) if isinstance(result, (tuple, list)) else np.asarray(result)

    def gradients(self, cotangent: Any, *points: Array) -> list[Array]:
        """Return one gradient for each of `points`."""
        result = self._problem.vjp(cotangent, *self._all(points))
        arrays = [np.asarray(g) for g in result] if isinstance(result, (tuple, list)) else [np.asarray(result)]
        if len(arrays) == len(points):
            return arrays
        if len(arrays) == len(self._problem.inputs):
            return [arrays[k] for k in self._which]
        raise ValueError(f"the pullback returned {len(arrays)} arrays for {len(points)} inputs")

    def cotangent(self) -> Any:
        """Return a random cotangent in the structure of f's output, the same each time."""
        rng = np.random.default_rng(self.seed)
        result = self.sample()
        if isinstance(result, tuple):
            return tuple(rng.normal(size=output.shape) for output in result)
        return np.asarray(rng.normal(size=result.shape))


def inner(a: Any, b: Any) -> float:
    """The inner product of two arrays, or of two tuples of arrays."""
    if isinstance(a, tuple):
        return sum(inner(x, y) for x, y in zip(a, b, strict=True))
    return float(np.sum(np.multiply(a, b, dtype=float)))
