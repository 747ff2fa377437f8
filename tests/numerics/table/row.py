"""What is a row of the table? A function, its true pullback, the point, and what has to be said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Vjp = Callable[..., Any]

COARSE = 0.1
"""The accuracy budget where rounding inside f leaves its slope a digit or two: an error of 1 % may stay undecided."""


@dataclass(frozen=True, eq=False)
class Row:
    """One function at one point, with the truth."""

    id: str
    f: Callable[..., Any]
    """``f(*inputs)`` in plain NumPy: an array, or a tuple of arrays."""
    vjp: Vjp
    """``vjp(cotangent, *inputs)``: the true pullback, by closed form or mpmath, never by the engine."""
    inputs: tuple[Any, ...]
    why: str
    """What makes it hard, or why it must be easy."""
    expect: str = "match"
    """``"match"``, ``"kink"`` (the pullback is a legal subgradient), or ``"inconclusive"`` where f's values hide it."""
    accuracy: float = 1e-6
    """Accuracy budget: how near the numerical derivative has to come to the truth, beside the largest entry of its
    array. 1 % of the largest entry must be seen where this is below 0.005."""
    wrong: dict[str, Vjp] = field(default_factory=dict)
    """Wrong twins that people really write, by name; each must be caught."""
    unaccused: frozenset[str] = frozenset()
    """Those of them that must not pass, but need not be accused: wrong at a crossing of several kinks only."""


def noisy(noise: float) -> float:
    """Return the accuracy budget of a row whose f carries noise of a size, both beside the values.

    The best central difference leaves about ``noise ** (2/3)`` (Moré and Wild 2012): a budget of twenty times that.
    """
    return 20 * noise ** (2 / 3)


def elementwise(
    id: str,  # the row's own word
    f: Callable[[Any], Any],
    slope: Callable[[Any], Any],
    x: Any,
    why: str,
    **others: Any,
) -> Row:
    """Return the row of an elementwise function of one array, by its derivative."""
    return Row(id, f, lambda g, x: g * slope(x), (np.asarray(x, float),), why, **others)


@dataclass(frozen=True, eq=False)
class Twin:
    """A row's pullback with an error in it."""

    row: Row
    name: str
    vjp: Vjp
    accused: bool
    """Whether MISMATCH is demanded (CONTRACT where it returns NaN); else it is enough that it does not pass."""

    @property
    def id(self) -> str:
        return f"{self.row.id}-{self.name}"


def gradients(vjp: Vjp, *arguments: Any) -> list[np.ndarray]:
    """Return a pullback's result as a list of float arrays, one for each input that has a gradient."""
    result = vjp(*arguments)
    return [
        np.array(g, dtype=np.result_type(g, np.float16)) for g in (result if isinstance(result, tuple) else (result,))
    ]


def typical(row: Row) -> list[np.ndarray]:
    """Return the true gradients for a cotangent of signs +, -, +, ... and sizes that differ."""
    with np.errstate(all="ignore"):  # branches not taken may overflow
        outputs = row.f(*row.inputs)
        cotangent = tuple(map(_signs, outputs)) if isinstance(outputs, tuple) else _signs(outputs)
        return gradients(row.vjp, cotangent, *row.inputs)


def spoilt(row: Row, change: Callable[[np.ndarray], Any]) -> Vjp:
    """Return the row's pullback with one entry changed: the largest of its `typical` gradients."""
    at = typical(row)
    which = int(np.argmax([np.max(np.abs(g), initial=0.0) for g in at]))
    index = np.unravel_index(int(np.argmax(np.abs(at[which]))), at[which].shape)

    def vjp(*arguments: Any) -> Any:
        result = row.vjp(*arguments)
        arrays = gradients(row.vjp, *arguments)
        arrays[which][index] = change(arrays[which][index])
        return tuple(arrays) if isinstance(result, tuple) else arrays[0]

    return vjp


def _signs(output: Any) -> np.ndarray:
    output = np.asarray(output)
    number = np.arange(output.size).reshape(output.shape)
    return (np.where(number % 2, -1.0, 1.0) * (1 + number % 5 / 7)).astype(np.result_type(output, np.float16))


def vanishes(row: Row) -> bool:
    """Tell whether the whole gradient is zero to rounding: a wrong sign is no error there."""
    with np.errstate(all="ignore"):
        outputs = row.f(*row.inputs)
    size = max(float(np.max(np.abs(o), initial=0.0)) for o in (outputs if isinstance(outputs, tuple) else (outputs,)))
    reach = max(1.0, *(float(np.max(np.abs(x), initial=0.0)) for x in row.inputs))
    return max(float(np.max(np.abs(g), initial=0.0)) for g in typical(row)) * reach <= 1e-14 * size


def twins(row: Row) -> Iterator[Twin]:
    """Yield the row's wrong twins: those of its own, and one entry wrong where f is smooth and says enough."""
    for name, vjp in row.wrong.items():
        yield Twin(row, name, vjp, accused=row.expect != "inconclusive" and name not in row.unaccused)
    if row.expect == "kink" or vanishes(row):
        return
    smooth = row.expect == "match"
    if "sign" not in row.wrong:
        yield Twin(row, "sign", spoilt(row, lambda g: -g), accused=smooth)
    if smooth and row.accuracy < 0.005:
        yield Twin(row, "one-percent", spoilt(row, lambda g: 1.01 * g), accused=True)
