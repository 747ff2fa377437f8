"""How is a function with its derivative made into a check? Settings are bound, inputs are found by trying."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gradcheck.adapters.calling import is_target_name
from gradcheck.adapters.functions import adapt_function
from gradcheck.adapters.inputs import positional_parameters
from gradcheck.case import Case
from gradcheck.discover.guess import (
    fit,
    fits_better,
    is_loss_name,
    quiet,
    runs,
    setting,
    shape_ladder,
    values,
)
from gradcheck.discover.pairs import Pair

_ACTIVATION = re.compile(r"^(a|s|sig|y|o|h|out|output|outputs|act|activations?|activated|result|a_out)$", re.I)
"""What a derivative calls its argument when it wants the function's output in place of its input."""
_TRIES = 40


class Cannot(Exception):  # noqa: N818  # a finding for the reader, not an error of the program
    """A layer was found, but not how to call it; the message says what was tried."""


def function_case(name: str, pair: Pair, *, seed: int = 0) -> Case:
    """Find inputs for a pair of functions.

    Parameters
    ----------
    name : str
        For the case.
    pair : Pair
        The function and its derivative.
    seed : int
        Of the inputs.

    Returns
    -------
    Case
        ``check_vjp`` or ``check_jvp`` with inputs at which the function runs.

    Raises
    ------
    Cannot
        If the function runs at none of the inputs tried.
    """
    names = _arguments(pair.forward)
    loss = is_loss_name(_name(pair.forward)) or is_loss_name(_name(pair.derivative))
    # p is the prediction of a loss, and a rate elsewhere.
    bound = [key for key in names if setting(key)[0] and len(names) > 1 and not (loss and key == "p")]
    free = [key for key in bound if not isinstance(setting(key)[1], float)]
    found: list[_Found] = []
    # A slope or a scale is a setting, unless the derivative has a gradient for it too.
    for settings in [bound] if free == bound else [bound, free]:
        found += _search(pair, names, settings, loss=loss, seed=seed)
        if found and max(one.score for one in found) == 2:  # every gradient has its primal's shape
            break
    if not found:
        raise Cannot(f"{_name(pair.forward)}({', '.join(names)}) ran at none of the inputs guessed for it")
    best = max(found, key=lambda one: one.score)
    make = Case.jvp if pair.mode == "jvp" else Case.vjp
    return make(name, best.forward, best.derivative, *best.inputs)


def loss_and_gradient(name: str, function: Callable[..., Any]) -> Pair:
    """Take a function that returns ``(loss, gradient)`` apart, into a loss and its gradient.

    Parameters
    ----------
    name : str
        For the case.
    function : callable
        Returns a scalar and the gradient of its first argument, or the gradients of all of them.

    Returns
    -------
    Pair
        Both call the function; both raise TypeError where it returns something else.
    """
    names = _arguments(function)

    def part(at: int) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            result = function(*args)
            if not (isinstance(result, tuple) and len(result) == 2 and np.ndim(result[0]) == 0):
                raise TypeError(f"{name} returns no (loss, gradient)")
            return result[at]

        return _dressed(call, function, names)

    return Pair(name, part(0), part(1), "vjp")


@dataclass(frozen=True, eq=False)
class _Found:
    score: int
    forward: Callable[..., Any]
    derivative: Callable[..., Any]
    inputs: list[Any]


def _search(pair: Pair, names: Sequence[str], bound: Sequence[str], *, loss: bool, seed: int) -> list[_Found]:
    """Try shapes with some parameters bound to their settings; the last found fits best."""
    primals = [key for key in names if key not in bound]
    scalars = [key for key in primals if setting(key)[0] and len(primals) > 1 and not (loss and key == "p")]
    if not primals:
        return []
    forward, derivative = pair.forward, pair.derivative
    if bound:
        settings = {key: setting(key)[1] for key in bound}
        forward, derivative = _bind(forward, names, settings), _bind_derivative(derivative, settings)
    derivative = _through_output(forward, derivative, primals)
    found: list[_Found] = []
    for ladder in list(shape_ladder(primals, loss=loss))[:_TRIES]:
        if set(ladder) != set(primals):
            continue
        shapes = {key: () if key in scalars else ladder[key] for key in primals}
        for targets in _target_choices(forward, shapes, loss=loss, seed=seed):
            arrays = [*values(shapes, loss=loss, seed=seed, targets=targets).values()]
            if not runs(forward, arrays):
                continue
            score = fit(partial(adapt_function, forward, derivative, arrays, mode=pair.mode))
            if not found or (score > found[-1].score and fits_better(arrays, found[-1].inputs, found[-1].score)):
                found.append(_Found(score, forward, derivative, arrays))
        if found and found[-1].score == 2:  # see above
            break
    return found


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _arguments(function: Callable[..., Any]) -> list[str]:
    inner = function.pyfunc if isinstance(function, np.vectorize) else function
    known = positional_parameters(inner)
    if known is None:
        return ["x"]
    return known[0][: known[1]] or known[0][:1] or (["x"] if known[2] else [])


def _target_choices(
    forward: Callable[..., Any], shapes: dict[str, tuple[int, ...]], *, loss: bool, seed: int
) -> list[list[str]]:
    """Choose which inputs are targets: by name, in what is called like a loss or returns a scalar."""
    named = [name for name in shapes if is_target_name(name)]
    if not named or len(named) == len(shapes):
        return [[]]
    if not loss:
        try:
            with quiet():
                result = forward(*values(shapes, loss=False, seed=seed).values())
        except Exception:  # then perhaps it needs integers
            return [named]
        if any(np.ndim(value) for value in shapes.values()) and np.ndim(result) == 0 and not isinstance(result, tuple):
            return [named]
        return [[]]
    return [named]


def _bind(function: Callable[..., Any], names: Sequence[str], settings: dict[str, Any]) -> Callable[..., Any]:
    """Give a function its settings, leaving the other positional parameters."""
    free = [name for name in names if name not in settings]

    def bound(*args: Any) -> Any:
        given = {**copy.deepcopy(settings), **dict(zip(free, args, strict=True))}
        return function(*(given[name] for name in names))

    return _dressed(bound, function, free)


def _bind_derivative(derivative: Callable[..., Any], settings: dict[str, Any]) -> Callable[..., Any]:
    known = positional_parameters(derivative)
    if known is None or not set(known[0]) & set(settings):
        return derivative
    return _bind(derivative, [n for i, n in enumerate(known[0]) if i < known[1] or n in settings], {
        name: value for name, value in settings.items() if name in known[0]
    })  # fmt: skip


def _dressed(function: Callable[..., Any], like: Callable[..., Any], names: Sequence[str]) -> Callable[..., Any]:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    function.__name__ = function.__qualname__ = _name(like)
    function.__module__ = getattr(like, "__module__", __name__)
    function.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in names])  # type: ignore[attr-defined]  # read by inspect
    return function


def _through_output(
    forward: Callable[..., Any], derivative: Callable[..., Any], primals: Sequence[str]
) -> Callable[..., Any]:
    """Give a derivative the output where its parameter is called so: ``tanh(z)``, ``tanh_prime(a)``.

    Only the names decide. Where both functions call it ``x``, it gets the input, and ``x * (1 - x)`` for a
    sigmoid is a mismatch.
    """
    known = positional_parameters(derivative)
    if known is None or len(primals) != 1 or primals[0] in known[0]:
        return derivative
    names = known[0][: known[1]]
    wanted = [name for name in names if _ACTIVATION.match(name)]
    if len(wanted) != 1 or len(names) > 2 or _ACTIVATION.match(primals[0]):  # (a) or (dA, A)
        return derivative
    at = names.index(wanted[0])

    def through(*args: Any) -> Any:
        given = list(args)
        # The cotangent keeps its place, the input's place is taken by the output.
        given[at] = forward(given[at])
        return derivative(*given)

    return _dressed(through, derivative, [*names[:at], primals[0], *names[at + 1 :]])
