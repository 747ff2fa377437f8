"""Which gradient belongs to which parameter? The naming conventions, and the search for them in an object."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from gradcheck.adapters.graph import (
    PARAMETER_CONTAINERS,
    PARAMETER_GRADIENTS,
    PARAMETER_VALUES,
    Path,
    resolve,
)

GRADIENT_NAMES = (
    "d{0}",
    "d_{0}",
    "grad_{0}",
    "{0}_grad",
    "grad{0}",
    "{0}grad",
    "{0}_gradient",
    "gradient_{0}",
    "{0}_gradients",
    "{0}_grads",
    "grads_{0}",
    "dLd{0}",
    "dL_d{0}",
    "dl_d{0}",
    "dLoss_d{0}",
    "dloss_d{0}",
    "dJ_d{0}",
    "dE_d{0}",
    "dC_d{0}",
    "del_{0}",
    "g_{0}",
    "{0}_g",
    "g{0}",
    "nabla_{0}",
    "partial_{0}",
    "{0}_bar",
)
"""How a gradient is called beside its parameter ``{0}``."""

GRADIENT_CONTAINERS = (
    "grads",
    "gradients",
    "grad",
    "gradient",
    "param_grads",
    "params_grad",
    "parameter_gradients",
    "weight_grads",
    "dparams",
    "d_params",
    "derivatives",
)
"""How a dict or list of gradients is called."""

GRADIENT_METHODS = ("grads", "gradients", "get_grads", "get_gradients")
"""Methods without arguments that return such a dict or list."""

PAIR_METHODS = (
    "params_and_grads",
    "parameters_and_gradients",
    "get_params_and_grads",
    "get_params_and_gradients",
)
"""Methods without arguments that give (parameter, gradient) pairs."""

LISTING_METHODS = ("parameters", "params", "get_params", "get_parameters", "weights")
"""Methods or attributes that give the parameters, in the order of `GRADIENT_METHODS`."""

SYNONYMS = (
    ("W", "w", "weights", "weight", "kernel", "kernels", "filters"),
    ("b", "bias", "biases", "B"),
    ("gamma", "scale"),
    ("beta", "shift"),
)
"""Words for one thing: ``self.weights`` may have its gradient in ``self.dW``."""

BIASES = (
    ("W", "b"),
    ("w", "b"),
    ("weight", "bias"),
    ("weights", "bias"),
    ("weights", "biases"),
    ("kernel", "bias"),
    ("gamma", "beta"),
    ("scale", "shift"),
)
"""What weights and their bias are called."""

FROZEN = {"trainable": False, "requires_grad": False, "frozen": True}
"""What a layer or a parameter says of itself that is not trained."""

MISSING: Any = object()


def gradient_names(name: str) -> Iterator[str]:
    """Give the names that a parameter's gradient may have, most usual first.

    Parameters
    ----------
    name : str
        The parameter's attribute name or key.

    Yields
    ------
    str
        Candidates, synonyms of the parameter's name last.

    Examples
    --------
    >>> list(gradient_names("W"))[:4]
    ['dW', 'd_W', 'grad_W', 'W_grad']
    """
    if name in PARAMETER_VALUES:
        yield from PARAMETER_GRADIENTS
    prefix = "_" if name.startswith("_") else ""
    stem = name.removeprefix("_")
    words = [stem, *(word for group in SYNONYMS if stem in group for word in group if word != stem)]
    for word in words:
        yield from (prefix + template.format(word) for template in GRADIENT_NAMES)
    if prefix:
        yield from (template.format(stem) for template in GRADIENT_NAMES)


def is_forgotten(root: Any, path: Path, trained: Iterable[Path]) -> bool:
    """Tell whether an array without a gradient is the bias of weights that have one.

    Nobody trains weights and not their bias without saying so. Fixed weights with a trained bias are usual, and arrays
    of other names may be buffers.

    Parameters
    ----------
    root : object
        The layer.
    path : tuple of (kind, key)
        Where the array is.
    trained : iterable of path
        Where the parameters are that have a gradient.

    Examples
    --------
    >>> is_forgotten(object(), (("attr", "b1"),), [(("attr", "W1"),)])
    True
    >>> is_forgotten(object(), (("attr", "W1"),), [(("attr", "b1"),)])
    False
    """
    holders = [resolve(root, path[:at]) for at in range(len(path))]
    if any(getattr(holder, name, None) is value for holder in holders for name, value in FROZEN.items()):
        return False
    steps = [
        [(mine[1], its[1]) for mine, its in zip(path, other, strict=True) if mine != its]
        for other in trained
        if len(other) == len(path)
    ]
    return any(
        isinstance(its, str) and weights in its and its.replace(weights, bias, 1) == mine
        for ((mine, its),) in (pairs for pairs in steps if len(pairs) == 1)
        for weights, bias in BIASES
    )


def _keys(holder: Any) -> list[str]:
    if isinstance(holder, Mapping):
        return [key for key in holder if isinstance(key, str)]
    own = list(getattr(holder, "__dict__", {}))
    for cls in type(holder).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        own += [slots] if isinstance(slots, str) else list(slots)
        own += [key for key, value in cls.__dict__.items() if isinstance(value, property)]
    return own


def _renamed(root: Any, path: Path, at: int) -> Iterator[str]:
    """Give the keys beside step `at` that may hold the gradient of what that step holds."""
    key = path[at][1]
    try:
        present = _keys(resolve(root, path[:at]))
    except LookupError:
        return
    names = list(gradient_names(key))
    if key.lstrip("_") in {*PARAMETER_CONTAINERS, "weights"} and at < len(path) - 1:
        names = [*GRADIENT_CONTAINERS, *names, *(f"_{name}" for name in GRADIENT_CONTAINERS)]
    # A synonym that is there itself keeps its own gradient.
    synonyms = {word for group in SYNONYMS if key in group for word in group if word != key and word in present}
    taken = {name for word in synonyms for name in (template.format(word) for template in GRADIENT_NAMES)}
    own = {template.format(key) for template in GRADIENT_NAMES}
    yield from (name for name in names if name in present and (name in own or name not in taken))
    lowered = {name.lower() for name in present}
    if len(lowered) == len(present):
        wanted = {name.lower() for name in own}
        yield from (name for name in present if name.lower() in wanted and name not in own)


def candidate_paths(root: Any, path: Path) -> Iterator[tuple[Path, int]]:
    """Give the paths at which the gradient of the parameter at `path` may lie.

    Parameters
    ----------
    root : object
        The layer.
    path : tuple of (kind, key)
        Where the parameter is.

    Yields
    ------
    tuple of (kind, key), int
        A path, most likely first, and the length of the part that leads to the object that owns the gradient.
    """
    for at in reversed(range(len(path))):
        kind, key = path[at]
        tail = path[at + 1 :]
        if isinstance(key, str):
            for name in _renamed(root, path, at):
                yield (*path[:at], (kind, name), *tail), at
                if tail and isinstance(tail[-1][1], str):
                    for last in gradient_names(tail[-1][1]):
                        yield (*path[:at], (kind, name), *tail[:-1], (tail[-1][0], last)), at
            if tail and kind == "attr":
                yield from (((*path[:at], ("call", name), *tail), at) for name in GRADIENT_METHODS)
        # A container of gradients beside the parameter, or further up, keyed by the parameter's name.
        rest = path[at:]
        keys = [str(key) for _, key in rest]
        labels = list(dict.fromkeys([".".join(keys), keys[-1], "_".join(keys)]))
        for container in GRADIENT_CONTAINERS:
            for step in (("attr", container), ("attr", f"_{container}")):
                try:
                    held = resolve(root, (*path[:at], step))
                except LookupError:
                    continue
                if not isinstance(held, Mapping):
                    continue
                for label in labels:
                    names = [label, *(name for name in gradient_names(label) if name in held)]
                    yield from (((*path[:at], step, ("item", name)), at) for name in names if name in held)


def is_gradient(value: Any) -> bool:
    """Tell whether a value can be a gradient: a numeric array, a number, or None for one not yet computed."""
    if isinstance(value, np.ndarray):
        return not value.dtype.hasobject
    return value is None or (isinstance(value, (int, float, np.number)) and not isinstance(value, bool))


def unwrap(value: Any) -> Any:
    """Return the array inside a Parameter-like wrapper, or the value itself."""
    if not isinstance(value, np.ndarray):
        for name in PARAMETER_VALUES:
            inner = getattr(value, name, None)
            if isinstance(inner, np.ndarray):
                return inner
    return value


def read(root: Any, path: Path) -> Any:
    """Return what lies at a gradient's path, or `MISSING`."""
    try:
        return unwrap(resolve(root, path))
    except (LookupError, TypeError):
        return MISSING


def find_gradients(root: Any, paths: Iterable[Path]) -> list[tuple[Path, int]]:
    """Find where the gradient of one parameter lies, after a backward.

    Parameters
    ----------
    root : object
        The layer.
    paths : iterable of paths
        All the places of the parameter.

    Returns
    -------
    list of (path, int)
        One for every object that owns one, as from `candidate_paths`.
    """
    found: dict[Path, tuple[Path, int]] = {}
    for path in paths:
        for candidate, owner in candidate_paths(root, path):
            value = MISSING if candidate in paths else read(root, candidate)
            if value is not MISSING and is_gradient(value) and path[:owner] not in found:
                found[path[:owner]] = (candidate, owner)
    return list(found.values())


def listed_pairs(root: Any) -> Iterator[tuple[Any, Path]]:  # a branch for each way of listing
    """Give parameters with the paths of their gradients, where methods of the object itself pair them.

    Parameters
    ----------
    root : object
        The layer, after a backward.

    Yields
    ------
    ndarray, path
        A parameter (the live array) and where its gradient is: from ``params_and_grads()`` and its likes, or
        from two methods that list parameters and gradients in one order (or under the same keys).
    """
    for name in PAIR_METHODS:
        if callable_without_arguments(root, name):
            for i, pair in enumerate(resolve(root, (("call", name),))):
                if isinstance(pair, tuple) and len(pair) == 2:  # a pair
                    yield unwrap(pair[0]), (("call", name), ("item", i), ("item", 1))
    for listing in LISTING_METHODS:
        step: Path = (("call", listing),) if callable_without_arguments(root, listing) else (("attr", listing),)
        parameters = read(root, step)
        for name in (*GRADIENT_METHODS, *GRADIENT_CONTAINERS):
            way: Path = (("call", name),) if callable_without_arguments(root, name) else (("attr", name),)
            gradients = read(root, way)
            if isinstance(parameters, Mapping) and isinstance(gradients, Mapping):
                for key in parameters:
                    for label in (key, *(gradient_names(key) if isinstance(key, str) else ())):
                        if label in gradients:
                            yield unwrap(parameters[key]), (*way, ("item", label))
                            break
            elif _parallel(parameters, gradients):
                yield from ((unwrap(value), (*way, ("item", i))) for i, value in enumerate(parameters))


def _parallel(a: Any, b: Any) -> bool:
    return isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b)


def listed_names(root: Any) -> dict[int, str]:
    """Give the names under which an object itself lists its parameters, by the identity of the array.

    Parameters
    ----------
    root : object
        The layer; its ``parameters`` or ``params`` (a dict, a property or a method without arguments) is
        looked at.

    Returns
    -------
    dict of int to str
        From ``id(array)`` to the key.
    """
    for listing in LISTING_METHODS:
        step: Path = (("call", listing),) if callable_without_arguments(root, listing) else (("attr", listing),)
        parameters = read(root, step)
        if isinstance(parameters, Mapping) and all(isinstance(key, str) for key in parameters):
            arrays = {
                id(unwrap(value)): key for key, value in parameters.items() if isinstance(unwrap(value), np.ndarray)
            }
            if arrays:
                return arrays
    return {}


def callable_without_arguments(root: Any, name: str) -> bool:
    """Tell whether an object has a method of that name that needs no argument."""
    method = getattr(root, name, None)
    if not callable(method):
        return False
    try:
        inspect.signature(method).bind()
    except (TypeError, ValueError):
        return False
    return True
