"""Whose gradient is which in what a backward returned? Matching by position, by name and by shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np

from gradcheck.adapters.calling import is_target_name
from gradcheck.adapters.pairing import gradient_names, is_gradient, unwrap
from gradcheck.layer import BrokenContract, Named, is_differentiable

_MAX_PERMUTED = 5


def assign(
    result: Any, inputs: Named, parameters: Sequence[tuple[str, tuple[int, ...]]], *, what: str, scalar: bool
) -> dict[str, Any]:
    """Put what a backward returned under the names of inputs and parameters.

    Parameters
    ----------
    result : object
        An array, a tuple or list in the order of the inputs (the parameters' gradients, if returned too,
        behind them), a dict by name (``"W"`` or ``"dW"``), a tuple that ends in such a dict, or None.
    inputs : dict of str to ndarray
        What forward takes, in order; empty where only parameters are differentiated.
    parameters : sequence of (str, shape)
        The parameters whose gradients are to be found here.
    what : str
        How to call the backward in a message.
    scalar : bool
        The output is a loss: nothing need be returned for its targets.

    Returns
    -------
    dict of str to object
        What was returned, untouched.

    Raises
    ------
    BrokenContract
        If the number of gradients fits neither the inputs nor inputs and parameters.
    """
    names = [name for name, _ in parameters]
    if result is None:
        return {}
    if isinstance(result, Mapping):
        return by_name(result, [*inputs, *names])
    result = list(result) if isinstance(result, tuple) or _is_several(result) else [result]
    if len(result) > 1 and isinstance(result[-1], Mapping) and not isinstance(result[0], Mapping):
        # (loss, grads) where only parameters are differentiated, else (dx, grads).
        front = {} if not inputs else assign(tuple(result[:-1]), inputs, (), what=what, scalar=scalar)
        return {**front, **by_name(result[-1], names)}
    if (
        not inputs and len(result) == 2 and _is_several(result[1]) and np.ndim(unwrap(result[0])) == 0
    ):  # (loss, [gradients])
        result = list(result[1])
    flat = list(_flatten(result))
    differentiable = [name for name, array in inputs.items() if is_differentiable(array)]
    untargeted = [name for name in differentiable if not (scalar and is_target_name(name))]
    orders = [list(inputs), differentiable, *([untargeted] if scalar and untargeted else [])]
    for order in orders:
        if order and len(order) == len(flat):
            return dict(zip(order, flat, strict=True))
    if parameters:
        for order in [*orders, []]:
            if len(order) + len(names) == len(flat):
                rest = flat[len(order) :]
                return {
                    **dict(zip(order, flat, strict=False)),
                    **dict(zip(_fit(parameters, rest), rest, strict=True)),
                }
    arrays = f"{len(flat)} {'array' if len(flat) == 1 else 'arrays'}"
    listed = ", ".join(map(repr, differentiable)) + ("," if len(differentiable) == 1 else "")
    raise BrokenContract(
        "count",
        f"{what} returned {arrays} for {len(differentiable)} {'input' if len(differentiable) == 1 else 'inputs'} "
        f"({listed})"
        + (f" and {len(names)} parameters ({', '.join(map(repr, names))})" if names else "")
        + ": return one gradient for each, in the order in which forward takes them",
    )


def _is_several(result: Any) -> bool:
    # A list of numbers is one array_like; a list that holds arrays is several gradients.
    return isinstance(result, (list, tuple)) and any(np.ndim(unwrap(value)) or value is None for value in result)


def _flatten(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, tuple) or _is_several(value):
            yield from _flatten(value)
        else:
            yield value


def _fit(parameters: Sequence[tuple[str, tuple[int, ...]]], values: Sequence[Any]) -> list[str]:
    """Order the parameters' names so that shapes fit, if just one order does; else as held."""
    shapes = [np.shape(unwrap(value)) for value in values]
    names = [name for name, _ in parameters]
    if [shape for _, shape in parameters] == shapes or len(names) > _MAX_PERMUTED:
        return names
    fitting = [order for order in permutations(parameters) if [shape for _, shape in order] == shapes]
    return [name for name, _ in fitting[0]] if len(fitting) == 1 else names


def by_name(result: Mapping[Any, Any], names: Sequence[str]) -> dict[str, Any]:
    """Match the keys of a dict of gradients to names: ``"W"``, ``"dW"``, ``"grad_W"``, nested or dotted.

    Parameters
    ----------
    result : mapping
        Gradients, possibly nested.
    names : sequence of str
        Inputs and parameters.

    Returns
    -------
    dict of str to object
        What was found.

    Examples
    --------
    >>> by_name({"dW": 1.0, "layer1": {"b": 2.0}}, ["W", "layer1.b"])
    {'W': 1.0, 'layer1.b': 2.0}
    """
    flat = dict(_leaves(result, ""))
    lowered: dict[str, str | None] = {}
    for key in flat:
        lowered[key.lower()] = None if key.lower() in lowered else key
    found = {}
    for name in names:
        head, _, last = name.rpartition(".")
        wanted = [name, *gradient_names(name)]
        if head:
            wanted += [f"{head}.{label}" for label in gradient_names(last)]
        wanted += [name.replace(".", "_"), f"d{name.replace('.', '_')}"]
        # A bare last name is only believed where it can mean nothing else.
        if sum(other.rpartition(".")[2] == last for other in names) == 1:
            wanted += [last, *gradient_names(last)]
        exact = next((key for key in wanted if key in flat), None)
        if exact is None and sum(other.lower() == name.lower() for other in names) == 1:
            exact = next((hit for key in wanted if (hit := lowered.get(key.lower()))), None)
        if exact is not None:
            found[name] = flat[exact]
    return found


def _leaves(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            text = str(key) if isinstance(key, str) else f"[{key!r}]"
            yield from _leaves(inner, f"{prefix}.{text}" if prefix and not text.startswith("[") else prefix + text)
    elif isinstance(value, (list, tuple)) and not all(np.ndim(item) == 0 for item in value):
        for i, inner in enumerate(value):
            yield from _leaves(inner, f"{prefix}[{i}]")
    elif is_gradient(unwrap(value)) or isinstance(value, list):
        yield prefix, unwrap(value)
