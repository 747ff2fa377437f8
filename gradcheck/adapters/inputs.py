"""Which arrays are primals, and which of them are differentiated? Their names too."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from gradcheck.errors import ArgumentError
from gradcheck.layer import Array, Named, is_differentiable

Wrt = str | int | Iterable[str | int] | None


def positional_parameters(function: Callable[..., Any]) -> tuple[list[str], int, bool] | None:
    """Return the names of a callable's positional parameters, how many are required, and whether it takes ``*args``.

    None where Python cannot tell (ufuncs, some builtins).
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = sum(p.default is p.empty for p in positional)
    variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return [p.name for p in positional], required, variadic


def label_of(function: Callable[..., Any]) -> str:
    """Return a callable's name, empty where it has none worth printing."""
    name = getattr(function, "__name__", "")
    return "" if name == "<lambda>" else str(name)


def as_primal(value: Any, name: str) -> Array:
    """Return an own copy of an input as an array.

    Raises
    ------
    ArgumentError
        If numpy cannot make a numeric array of it.
    """
    try:
        array = np.array(value, copy=True, order="K", subok=False)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"{name} was {type(value).__name__}, which numpy cannot turn into an array ({error}); "
            "give an array, or close over it in the function if it is no input"
        ) from error
    if array.dtype == object:
        raise ArgumentError(
            f"{name} became an array of Python objects (from {type(value).__name__}); give numbers of one shape, "
            "or close over it in the function if it is no input"
        )
    return array


def name_inputs(
    function: Callable[..., Any] | None, inputs: Sequence[Any], names: Sequence[str] | str | None, *, skip: int = 0
) -> Named:
    """Put inputs under names: `names` where given, else the function's own parameter names, else ``x0``, ``x1``, ...

    Parameters
    ----------
    function : callable or None
        Its positional parameters name the inputs.
    inputs : sequence
        What `numpy.asarray` takes.
    names : sequence of str, or None
        One name for each input.
    skip : int
        How many parameters of `function` come before the inputs.

    Raises
    ------
    ArgumentError
        If the number of names is not the number of inputs, or a name occurs twice.
    """
    if isinstance(names, str):
        names = [names]
    if names is not None:
        if not isinstance(names, Iterable):
            raise ArgumentError(f"names was {names!r}; expected a sequence of strings, one for each input")
        names = list(names)
        if len(names) != len(inputs):
            raise ArgumentError(
                f"names has {len(names)} entries {tuple(names)} for {len(inputs)} inputs; give one name for each"
            )
        if len(set(names)) != len(names) or not all(isinstance(name, str) and name for name in names):
            raise ArgumentError(f"names was {tuple(names)}; expected different, non-empty strings")
        labels = names
    else:
        signature = positional_parameters(function) if function is not None else None
        known = signature[0][skip:] if signature else []
        labels = [known[i] if i < len(known) else f"x{i}" for i in range(len(inputs))]
        if len(labels) == 1 and not known:
            labels = ["x"]
    return {name: as_primal(value, f"input {name!r}") for name, value in zip(labels, inputs, strict=True)}


def choose_wrt(primals: Named, wrt: Wrt) -> tuple[str, ...]:
    """Return the names of the primals to differentiate.

    Parameters
    ----------
    primals : dict of str to ndarray
        All of them, constants included.
    wrt : str, int, iterable of these, or None
        Names, positions, or prefixes of dotted names (``"layer1"`` for ``"layer1.W"``). None: all that can be.

    Raises
    ------
    ArgumentError
        If a name or position is unknown or of integer or boolean dtype, or if nothing is left.
    """
    listing = ", ".join(f"{name!r} ({array.dtype})" for name, array in primals.items())
    if wrt is None:
        chosen = [name for name, array in primals.items() if is_differentiable(array) and array.size]
        if not chosen:
            raise ArgumentError(
                f"nothing to differentiate: integer and boolean inputs are constants and empty ones have no entries, "
                f"and the inputs are {listing or 'none'}; pass floating-point values, e.g. x.astype(float)"
            )
        return tuple(chosen)
    wanted = _as_list(wrt, listing)
    chosen = []
    order = list(primals)
    for item in wanted:
        matches: list[str]
        if isinstance(item, (int, np.integer)) and not isinstance(item, bool):
            matches = [order[item]] if -len(order) <= item < len(order) else []
        else:
            matches = [name for name in order if name == item] or [
                name for name in order if name.startswith((f"{item}.", f"{item}["))
            ]
        if not matches:
            raise ArgumentError(f"wrt names {item!r}, which is none of the inputs; there are {listing}")
        exact = len(matches) == 1
        for name in matches:
            if not is_differentiable(primals[name]):
                if exact:
                    raise ArgumentError(
                        f"wrt asks for {name!r}, which has dtype {primals[name].dtype}: integer and boolean inputs are"
                        f" constants; pass {name}.astype(float) if it is to be differentiated"
                    )
            elif name not in chosen:
                chosen.append(name)
    if not any(primals[name].size for name in chosen):
        raise ArgumentError(f"wrt={wrt!r} leaves nothing to differentiate; there are {listing}")
    return tuple(chosen)


def _as_list(wrt: str | int | Iterable[str | int], listing: str) -> list[str | int]:
    if isinstance(wrt, (str, int, np.integer)):
        return [wrt]
    try:
        return list(wrt)
    except TypeError:
        raise ArgumentError(f"wrt was {wrt!r}; expected names or positions of inputs; there are {listing}") from None
