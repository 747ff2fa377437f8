"""Which arrays does an object hold, and where? Walking, copying and rewriting a graph of Python objects."""

from __future__ import annotations

import copy
import types
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gradcheck.errors import ArgumentError
from gradcheck.layer import Array

Step = tuple[Literal["attr", "item", "call"], Any]
Path = tuple[Step, ...]

PARAMETER_CONTAINERS = frozenset({"params", "parameters", "_params", "_parameters", "param"})
"""Attributes that hold parameters by name; they add nothing to a parameter's own name."""
PARAMETER_VALUES = ("data", "value", "_data", "_value", "val", "array")
"""Where a Parameter-like object keeps its array."""
PARAMETER_GRADIENTS = ("grad", "_grad", "gradient", "_gradient")
"""Where a Parameter-like object keeps its gradient."""

_OPAQUE = (
    types.ModuleType,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    type,
    np.random.Generator,
    np.random.RandomState,
    np.random.BitGenerator,
    np.dtype,
    str,
    bytes,
    int,
    complex,
)


@dataclass(frozen=True, eq=False)
class Place:
    """One spot of an object graph that holds a float array (or a float number), and can be given another.

    Attributes
    ----------
    path : tuple of (kind, key)
        The way from the root.
    holder : object
        The object, dict, list or tuple whose last step it is.
    parent : Place or None
        Where `holder` itself sits, if `holder` is a tuple and has to be replaced as a whole.
    """

    path: Path
    holder: Any
    parent: Place | None = None

    @property
    def key(self) -> Any:
        """The last step's attribute name, key or index."""
        return self.path[-1][1]

    def get(self) -> Any:
        """Return what is there now."""
        if self.parent is not None:
            return self.parent.get()[self.key]
        if self.path[-1][0] == "item":
            return self.holder[self.key]
        return _attribute(self.holder, self.key)

    def set(self, value: Any) -> None:
        """Put something else there, past any ``__setattr__`` (which may register, check or freeze)."""
        if self.parent is not None:
            old = self.parent.get()
            items = [*old[: self.key], value, *old[self.key + 1 :]]
            self.parent.set(type(old)._make(items) if hasattr(old, "_make") else type(old)(items))
        elif self.path[-1][0] == "item":
            self.holder[self.key] = value
        elif self.key in getattr(self.holder, "__dict__", {}):
            vars(self.holder)[self.key] = value
        else:
            object.__setattr__(self.holder, self.key, value)


def _attribute(holder: Any, key: str) -> Any:
    own = getattr(holder, "__dict__", {})
    return own[key] if key in own else getattr(holder, key)


def is_number(value: object) -> bool:
    """Tell whether a value is a bare float, which may be a parameter of shape ()."""
    return isinstance(value, (float, complex, np.inexact))


def is_float_array(value: object) -> bool:
    """Tell whether a value is an array of floating dtype."""
    return isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.inexact)


def children(value: Any) -> Iterator[tuple[Step, Any]]:
    """List what an object holds: attributes (slots too), entries of dicts, lists, tuples and object arrays.

    Parameters
    ----------
    value : object
        Anything.

    Yields
    ------
    (kind, key), object
        The step that leads to it, and the thing itself. Nothing for modules, classes, functions and
        generators.
    """
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            yield from ((("item", index), value[index]) for index in np.ndindex(value.shape))
        return
    if isinstance(value, _OPAQUE) or value is None:
        return
    if isinstance(value, Mapping):
        yield from ((("item", key), value[key]) for key in list(value))
    elif isinstance(value, (list, tuple, deque)):
        yield from ((("item", i), item) for i, item in enumerate(value))
    own = getattr(value, "__dict__", None)
    if own:
        yield from ((("attr", key), item) for key, item in list(own.items()))
    for cls in type(value).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if slot not in ("__dict__", "__weakref__") and hasattr(value, slot):
                yield ("attr", slot), getattr(value, slot)


def walk(root: Any) -> Iterator[tuple[Place, Any]]:
    """Visit everything reachable from an object, nearest first, every mutable thing once.

    Parameters
    ----------
    root : object
        Where to begin.

    Yields
    ------
    Place, object
        Where a thing sits, and the thing. An array held in several places is visited at each of them.

    Examples
    --------
    >>> class Dense:
    ...     def __init__(self):
    ...         self.W, self.sizes = np.zeros((2, 3)), [2, 3]
    >>> [name_of(place.path) for place, value in walk(Dense()) if isinstance(value, np.ndarray)]
    ['W']
    """
    seen = {id(root)}
    queue: deque[tuple[Path, Any, Place | None]] = deque([((), root, None)])
    while queue:
        path, holder, at = queue.popleft()
        # A tuple cannot be changed in place: what it holds is replaced through the tuple's own place.
        immutable = isinstance(holder, tuple)
        for step, value in children(holder):
            place = Place((*path, step), holder, at if immutable and step[0] == "item" else None)
            yield place, value
            if isinstance(value, np.ndarray) and value.dtype != object:
                continue
            # Tuples are walked once per place, because each place has to be rewritten on its own.
            if not isinstance(value, tuple):
                if id(value) in seen:
                    continue
                seen.add(id(value))
            queue.append((place.path, value, place))


def resolve(root: Any, path: Path) -> Any:
    """Follow a path; a step ``("call", name)`` calls a method without arguments.

    Parameters
    ----------
    root : object
        Where the path begins.
    path : tuple of (kind, key)
        The steps.

    Returns
    -------
    object
        What is there.

    Raises
    ------
    LookupError
        If there is no such thing.
    """
    value = root
    for kind, key in path:
        if kind == "item":
            if not isinstance(value, (Mapping, list, tuple, deque, np.ndarray)):
                raise LookupError(key)
            if isinstance(value, Mapping) and key not in value:
                raise LookupError(key)  # a defaultdict would make the entry up
            try:
                value = value[key]
            except (TypeError, IndexError) as missing:
                raise LookupError(key) from missing
        else:
            try:
                value = getattr(value, key)
            except AttributeError as missing:
                raise LookupError(key) from missing
            if kind == "call":
                if not callable(value):
                    raise LookupError(key)
                value = value()
                value = list(value) if isinstance(value, Iterator) else value
    return value


def name_of(path: Path) -> str:
    """Write a path as a name: ``"layer1.W"``, ``"layers[0].W"``, ``"W1"`` for ``params["W1"]``.

    Parameters
    ----------
    path : tuple of (kind, key)
        The steps.

    Returns
    -------
    str
        Attributes and string keys are joined by dots, other keys and positions stand in brackets. Containers
        called ``params`` or ``parameters`` are left out in front of a string key, as is a Parameter's
        ``.data`` or ``.value``.
    """
    steps = list(path)
    if len(steps) > 1 and steps[-1][0] == "attr" and steps[-1][1] in PARAMETER_VALUES:
        steps.pop()
    text = ""
    for i, (_, key) in enumerate(steps):
        followed = i + 1 < len(steps) and isinstance(steps[i + 1][1], str)
        if followed and isinstance(key, str) and key in PARAMETER_CONTAINERS:
            continue
        if isinstance(key, str):
            text += f".{key}" if text else key
        else:
            text += f"[{', '.join(map(str, key)) if isinstance(key, tuple) else key!r}]"
    return text


def memory_root(array: Array) -> Array:
    """Return the array that owns the memory another one looks into (itself, if it is no view)."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def copy_object(layer: Any) -> Any:
    """Copy an object with everything it holds, keeping every sharing of memory among its arrays.

    Parameters
    ----------
    layer : object
        Anything `copy.deepcopy` can copy.

    Returns
    -------
    object
        The copy. An array held in two places is one array there too; arrays that were views of one another
        (a flat parameter vector and the matrices cut out of it) are views again, which `copy.deepcopy` alone
        undoes.

    Raises
    ------
    ArgumentError
        If it cannot be copied (it holds an open file, a lock, a generator, ...).
    """
    memo: dict[int, Any] = {}
    families: dict[int, list[Array]] = {}
    for _, value in walk(layer):
        if isinstance(value, types.ModuleType):
            memo[id(value)] = value
        elif type(value) is np.ndarray and value.dtype != object:
            families.setdefault(id(memory_root(value)), []).append(value)
    for members in families.values():
        distinct = list({id(array): array for array in members}.values())
        if len(distinct) > 1:
            memo.update(zip(map(id, distinct), rebase(distinct), strict=True))
    try:
        return copy.deepcopy(layer, memo)
    except Exception as error:
        raise ArgumentError(
            f"layer: this {type(layer).__name__} cannot be copied ({type(error).__name__}: {error}), and a check "
            "must not touch yours: take what cannot be copied (files, locks, generators) out of it, or give it a "
            "__deepcopy__ method"
        ) from error


def rebase(members: list[Array], dtype: np.dtype[Any] | None = None) -> list[Array]:
    """Copy arrays that share memory so that the copies share it in the same way.

    Parameters
    ----------
    members : list of ndarray
        Views of one memory.
    dtype : dtype, optional
        For the copies; only if all of the members have one dtype and none is read as another.

    Returns
    -------
    list of ndarray
        The copies, writable, in the same order.
    """
    bounds = [_byte_bounds(array) for array in members]
    low, high = min(first for first, _ in bounds), max(last for _, last in bounds)
    old = members[0].dtype
    new = old if dtype is None else np.dtype(dtype)
    buffer = np.zeros(-(-(high - low) // old.itemsize) * new.itemsize, dtype=np.uint8)
    copies = []
    for array in members:
        offset, strides = array.__array_interface__["data"][0] - low, array.strides
        if new != old:
            # Distances in items hold after a change of dtype, distances in bytes do not.
            offset = offset // old.itemsize * new.itemsize
            strides = tuple(stride // old.itemsize * new.itemsize for stride in strides)
        kind = array.dtype if new == old else new
        view: Array = np.ndarray(array.shape, kind, buffer=buffer.data, offset=offset, strides=strides)
        view[...] = array
        copies.append(view)
    return copies


def _byte_bounds(array: Array) -> tuple[int, int]:
    # numpy's own function of this name moved between 1.x and 2.x.
    spans = [(n - 1) * stride for n, stride in zip(array.shape, array.strides, strict=True)] if array.size else []
    start: int = array.__array_interface__["data"][0]
    return start + sum(s for s in spans if s < 0), start + sum(s for s in spans if s > 0) + array.itemsize


def call_everywhere(root: Any, method: str) -> bool:
    """Call a method without arguments on the outermost objects that have it; tell whether there was one."""
    own = getattr(root, method, None)
    if callable(own):
        own()
        return True
    called = False
    for _, value in list(walk(root)):
        own = None if isinstance(value, (np.ndarray, *_OPAQUE)) else getattr(value, method, None)
        if callable(own):
            own()
            called = True
    return called
