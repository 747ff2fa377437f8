"""Which expressions are tried? A small grammar in the inputs and the output, and which of them a factor is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gradcheck.explain.evidence import TELLING, Mask, chance, sigmoid
from gradcheck.explain.factors import plain
from gradcheck.layer import Array

_NEAR = 1e-6


@dataclass(frozen=True, eq=False)
class Expression:
    """One expression with its values.

    Attributes
    ----------
    text : str
        As one would type it: ``"z * (1 - z)"``.
    shape : str
        The same with a blank for what it is made of: two expressions of one shape differ in their argument only.
    values : ndarray
        Broadcast to the gradient's shape; NaN or infinite outside its domain.
    argument : str
        What it is made of, if that is one primal or output.
    place : int
        In the list of all: simple ones come first.
    """

    text: str
    shape: str
    values: Array
    argument: str = ""
    place: int = 0


FORMS: tuple[tuple[str, Callable[[Array], Array]], ...] = (
    ("{u}", lambda u: u),
    ("{u} * (1 - {u})", lambda u: u * (1 - u)),
    ("(1 - {u}**2)", lambda u: 1 - u**2),
    ("(1 - {u})", lambda u: 1 - u),
    ("(1 + {u})", lambda u: 1 + u),
    ("(1 + {u}**2)", lambda u: 1 + u**2),
    ("{u}**2", lambda u: u**2),
    ("{u}**3", lambda u: u**3),
    ("1 / {u}", lambda u: 1 / u),
    ("1 / {u}**2", lambda u: 1 / u**2),
    ("1 / (1 - {u})", lambda u: 1 / (1 - u)),
    ("1 / (1 + {u})", lambda u: 1 / (1 + u)),
    ("sqrt({u})", np.sqrt),
    ("1 / sqrt({u})", lambda u: 1 / np.sqrt(u)),
    ("({u} > 0)", lambda u: (u > 0).astype(float)),
    ("({u} < 0)", lambda u: (u < 0).astype(float)),
    ("sign({u})", np.sign),
    ("abs({u})", np.abs),
    ("exp({u})", np.exp),
    ("exp(-{u})", lambda u: np.exp(-u)),
    ("log({u})", np.log),
    ("cos({u})", np.cos),
    ("sin({u})", np.sin),
    ("1 / (1 + {u}**2)", lambda u: 1 / (1 + u**2)),
    ("1 / (1 - {u}**2)", lambda u: 1 / (1 - u**2)),
    ("1 / sqrt(1 + {u}**2)", lambda u: 1 / np.sqrt(1 + u**2)),
    ("1 / sqrt(1 - {u}**2)", lambda u: 1 / np.sqrt(1 - u**2)),
    ("1 / (1 + abs({u}))", lambda u: 1 / (1 + np.abs(u))),
    ("1 / (1 + abs({u}))**2", lambda u: 1 / (1 + np.abs(u)) ** 2),
    ("sigmoid({u})", sigmoid),
    ("(1 - sigmoid({u}))", lambda u: 1 - sigmoid(u)),
    ("tanh({u})", np.tanh),
    ("sigmoid({u}) * (1 - sigmoid({u}))", lambda u: sigmoid(u) * (1 - sigmoid(u))),
    ("(1 - tanh({u})**2)", lambda u: 1 - np.tanh(u) ** 2),
    ("(1 - tanh({u}))", lambda u: 1 - np.tanh(u)),
)
"""Derivatives that textbooks have, and what is mistaken for them; simple ones first."""

ONE = "1"


def expressions(symbols: Sequence[tuple[str, Array]], shape: tuple[int, ...]) -> list[Expression]:
    """Return all expressions in these arrays that can be broadcast to a shape, ``1`` first, simple ones before others.

    Examples
    --------
    >>> import numpy as np
    >>> found = expressions([("z", np.array([0.5, 2.0]))], (2,))
    >>> [(each.text, each.values.tolist()) for each in found[:3]]
    [('1', [1.0, 1.0]), ('z', [0.5, 2.0]), ('z * (1 - z)', [0.25, -2.0])]
    """
    made = [Expression(ONE, ONE, np.ones(shape))]
    with np.errstate(all="ignore"):
        for form, function in FORMS:
            for text, values in symbols:
                spread = _spread(function(values), shape)
                if spread is not None:
                    made.append(Expression(form.format(u=text), form, spread, text if text.isidentifier() else ""))
        several = [(text, spread) for text, values in symbols if (spread := _spread(values, shape)) is not None]
        for i, (one, first) in enumerate(several):
            for other, second in several[i + 1 :]:
                made.append(Expression(f"{one} * {other}", "product", first * second))
                made.append(Expression(f"({one} - {other})", "difference", first - second))
                made.append(Expression(f"({other} - {one})", "difference", second - first))
                made.append(
                    Expression(
                        f"({one} - {other}) / ({one} * (1 - {one}))", "error", (first - second) / (first * (1 - first))
                    )
                )
                made.append(Expression(f"{one} / {other}", "quotient", first / second))
                made.append(Expression(f"{other} / {one}", "quotient", second / first))
    return [replace(each, place=place) for place, each in enumerate(made)]


def _spread(values: Array, shape: tuple[int, ...]) -> Array | None:
    try:
        return np.broadcast_to(values, shape)
    except ValueError:
        return None


def matches(target: Array, where: Mask, made: Sequence[Expression], bars: Array) -> Iterator[tuple[Expression, float]]:
    """Yield the expressions that a target is a multiple of, in a place, with the multiple; 1 and -1 exactly.

    Parameters
    ----------
    target : ndarray
        A factor.
    where : ndarray of bool
        The entries to look at.
    made : sequence of Expression
        From `expressions`.
    bars : ndarray
        What the target is known to.
    """
    wanted = target[where]
    for each in made:
        values = each.values[where]
        if not values.size or not np.isfinite(values).all() or not np.any(values) or not telling(each, where):
            continue
        largest = int(np.argmax(np.abs(values)))
        number = float(wanted[largest] / values[largest])
        if abs(abs(number) - 1) < _NEAR:
            number = 1.0 if number > 0 else -1.0
        tolerance = _NEAR * np.maximum(np.abs(wanted), abs(number) * np.abs(values)) + bars[where]
        if number and np.all(np.abs(wanted - number * values) <= tolerance):
            yield each, number


def telling(each: Expression, where: Mask) -> bool:
    """Tell whether an expression's values in a place could hardly be matched by chance: a mask of few entries could."""
    values = each.values[where]
    if each.text == ONE or not values.size:
        return True
    low, high = values == np.min(values), values == np.max(values)
    return not np.all(low | high) or chance(int(np.sum(low)), values.size) >= TELLING


def written(expression: Expression, number: float) -> str:
    """Write a multiple of an expression.

    Examples
    --------
    >>> import numpy as np
    >>> z = Expression("z", "{u}", np.ones(1))
    >>> written(z, 1.0), written(z, -1.0), written(z, 0.5), written(Expression("1", "1", np.ones(1)), 2.0)
    ('z', '-z', '1/2 * z', '2')
    """
    if expression.text == ONE:
        return plain(number)
    bare = expression.text
    if bare.startswith("(") and bare.endswith(")") and _closes(bare) == len(bare) - 1:
        bare = bare[1:-1]
    return {1.0: bare, -1.0: f"-{expression.text}"}.get(number, f"{plain(number)} * {expression.text}")


def _closes(text: str) -> int:
    """Return where the bracket that a text begins with is closed."""
    depth = 0
    for place, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if not depth:
            return place
    return -1
