"""Which arrays of an object may be its parameters? Those that forward leaves alone, with their gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.adapters.graph import Path, Place, is_float_array, is_number, memory_root, name_of, walk
from gradcheck.adapters.pairing import find_gradients, listed_names, listed_pairs, read
from gradcheck.layer import Array


@dataclass(frozen=True, eq=False)
class Parameter:
    """One array (or number) of an object that its backward differentiates.

    Attributes
    ----------
    name : str
        As in the report.
    value : ndarray
        Own copy of what the user's object holds.
    paths : tuple of paths
        Every place that holds it.
    gradients : tuple of paths
        Where its gradient lies after a backward (several, to be summed, for an array shared by several
        layers). Empty where backward returns it, or applies it itself.
    updated : bool
        Backward gives its gradient only by changing the parameter, with learning rate 1.
    """

    name: str
    value: Array
    paths: tuple[Path, ...]
    gradients: tuple[Path, ...] = ()
    updated: bool = False


def float_places(model: Any) -> dict[Path, tuple[Place, Any]]:
    """Find every place that holds a float array or a float number."""
    return {
        place.path: (place, value)
        for place, value in walk(model)
        if place.path[-1][0] != "call" and (is_float_array(value) or is_number(value)) and settable(place)
    }


def settable(place: Place) -> bool:
    """Tell whether something else can be put at a place (not so in a tuple that is the root)."""
    if isinstance(place.holder, tuple) and place.path[-1][0] == "item":
        return place.parent is not None and settable(place.parent)
    return True


def differs(a: Any, b: Any) -> bool:
    """Tell whether two arrays differ in shape or in any entry; NaNs are equal."""
    return np.shape(a) != np.shape(b) or not np.array_equal(a, b, equal_nan=True)


def find_candidates(
    model: Any, held: Mapping[Path, tuple[Place, Any]], overwritten: set[Path], before: Mapping[Path, Array]
) -> tuple[list[Parameter], list[Parameter]]:
    """Find the arrays that may be parameters: those with a place for their gradient, and those without."""
    groups = _group(held, overwritten)
    listed = [(id(value), path) for value, path in listed_pairs(model) if isinstance(value, np.ndarray)]
    names = listed_names(model)
    paired: list[Parameter] = []
    single: list[Parameter] = []
    for value, paths in groups:
        found = _gradient_paths(model, paths, before)
        if not found and isinstance(value, np.ndarray):
            found = [path for key, path in listed if key == id(value)][:1]
        name = names.get(id(value), "") if isinstance(value, np.ndarray) else ""
        parameter = Parameter(name or _best_name(paths), np.array(before[paths[0]]), tuple(paths), tuple(found))
        (paired if found else single).append(parameter)
    # What serves as a gradient is no parameter, even if it was there before the backward.
    used = {path for p in paired for path in p.gradients}
    arrays = {id(read(model, path)) for path in used}
    values = {paths[0]: value for value, paths in groups}
    return paired, [
        p
        for p in single
        if not used & set(p.paths)
        and not (isinstance(values[p.paths[0]], np.ndarray) and id(values[p.paths[0]]) in arrays)
    ]


def last_word(path: Path) -> str:
    """Return the last attribute name or string key of a path, for a message."""
    return next((key for _, key in reversed(path) if isinstance(key, str)), "W")


def _group(held: Mapping[Path, tuple[Place, Any]], overwritten: set[Path]) -> list[tuple[Any, list[Path]]]:
    """Group the places that hold one and the same array."""
    groups: dict[object, tuple[Any, list[Path]]] = {}
    for path, (_, value) in held.items():
        if path not in overwritten:
            # Equal floats may be one object without belonging together.
            key: object = id(value) if isinstance(value, np.ndarray) else path
            groups.setdefault(key, (value, []))[1].append(path)
    return list(groups.values())


def _gradient_paths(model: Any, paths: Sequence[Path], before: Mapping[Path, Array]) -> list[Path]:
    """Choose among several gradients of one array: what this backward wrote, and the outermost owner's."""
    found = find_gradients(model, paths)

    def is_fresh(path: Path) -> bool:
        value = read(model, path)
        return value is not None and (path not in before or differs(before[path], value))

    found = [pair for pair in found if is_fresh(pair[0])] or found[:1]
    owners = [path[:length] for path, length in found]
    outermost = [
        path
        for (path, _), owner in zip(found, owners, strict=True)
        if not any(len(other) < len(owner) and owner[: len(other)] == other for other in owners)
    ]
    distinct: dict[int, Path] = {}
    for path in outermost:
        distinct.setdefault(id(read(model, path)), path)
    return list(distinct.values())


def _best_name(paths: Sequence[Path]) -> str:
    names = [name_of(path) for path in paths]
    return min(names, key=lambda name: ("[" in name, name.count("."), names.index(name)))


def without_overlap(model: Any, parameters: list[Parameter], notes: list[str]) -> list[Parameter]:
    """Leave out an array of which other parameters are cut out: its entries are checked under their names."""
    arrays = {p.name: read(model, p.paths[0]) for p in parameters}
    kept = []
    for p in parameters:
        whole = arrays[p.name]
        parts = [
            name
            for name, part in arrays.items()
            if name != p.name
            and isinstance(part, np.ndarray)
            and isinstance(whole, np.ndarray)
            and part.size < whole.size
            and memory_root(part) is memory_root(whole)
            and np.may_share_memory(part, whole)
        ]
        if parts:
            notes.append(f"{p.name} shares its memory with {', '.join(parts)}, and is checked under those names")
        else:
            kept.append(p)
    return kept
