"""What may a piece of code draw random numbers from? Generators and seeds that it holds, or refers to by name."""

from __future__ import annotations

import dis
import random
import re
import sys
import types
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice
from typing import Any

import numpy as np

from gradcheck.adapters.graph import Path, Place, children, name_of

_SEED = re.compile(r"^_?(\w+_)?(seed|random_state)$")
_LIBRARIES = frozenset(
    {"numpy", "scipy", "pandas", "torch", "jax", "jaxlib", "autograd", "pytest", "_pytest", *sys.stdlib_module_names}
)
"""Their functions are not looked into: what they draw from is handed to them, or is one of the global generators."""
_LOADS = ("LOAD_GLOBAL", "LOAD_NAME")
_MOST = 20_000  # things looked at: a layer has fewer, a framework or a list of numbers is not searched to its end

_NUMPY = np.random.get_state.__self__  # type: ignore[attr-defined]  # the one that np.random.rand draws from
_PYTHON = random.random.__self__  # type: ignore[attr-defined]
_GLOBAL = {id(_NUMPY): "numpy.random", id(_PYTHON): "random"}


@dataclass(frozen=True, eq=False)
class Source:
    """Something that decides which random numbers come next, and whose state can be read and written.

    Attributes
    ----------
    name : str
        For the reader: ``"rng"``, ``"layers[0].rng"``, ``"numpy.random"``.
    key : hashable
        The same for the same generator, however it was come by.
    holder : object
        The generator, so that its state is not outlived by its identity; of a seed, the place that holds it.
    read : callable
        ``read()`` returns the state.
    write : callable
        ``write(state)`` puts one back.
    """

    name: str
    key: Hashable
    holder: Any
    read: Callable[[], Any]
    write: Callable[[Any], None]

    def holds(self, state: Any) -> bool:
        """Tell whether the state is still the given one."""
        return _same(self.read(), state)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return bool(one.keys() == other.keys()) and all(_same(value, other[key]) for key, value in one.items())
    return bool(np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other)


def find_sources(*roots: Any) -> list[Source]:
    """Find what objects and functions may draw random numbers from.

    Parameters
    ----------
    *roots : object
        Objects: everything that they hold is looked at, and the methods of their classes. Functions: what they close
        over, their defaults, and the global names that they use, other functions among them.

    Returns
    -------
    list of Source
        ``numpy.random.Generator``, ``RandomState`` and bit generators, ``random.Random``, the global generators behind
        ``numpy.random.rand`` and ``random.random``, and whole numbers in attributes called ``seed`` and the like;
        nearest first, each once.

    Examples
    --------
    >>> class Dropout:
    ...     def __init__(self):
    ...         self.rng = np.random.default_rng(0)
    >>> layer = Dropout()
    >>> [source.name for source in find_sources(layer, lambda x: layer.rng.normal(size=x.shape) * np.random.rand())]
    ['rng', 'numpy.random']
    """
    found: dict[Hashable, Source] = {}
    seen: dict[int, Any] = {}
    queue: deque[tuple[Path, Any, Any]] = deque(((), root, None) for root in roots)
    looked = 0
    while queue and looked < _MOST:
        path, value, holder = queue.popleft()
        looked += 1
        source = _source(path, value, holder)
        if source is not None:
            found.setdefault(source.key, source)
        elif id(value) not in seen and not _is_plain(value):
            seen[id(value)] = value
            base = () if isinstance(value, types.FunctionType) else path  # its variables have names of their own
            inside = islice(_inside(value), _MOST)
            queue.extend(((*base, *steps), inner, value) for steps, inner in inside)
    return list(found.values())


def _is_plain(value: Any) -> bool:
    """Tell whether there is nothing inside: numbers, text, arrays of numbers, modules and classes."""
    if isinstance(value, np.ndarray):
        return bool(value.dtype != object)
    return value is None or isinstance(value, (str, bytes, int, float, complex, np.generic, types.ModuleType, type))


def _source(path: Path, value: Any, holder: Any) -> Source | None:
    name = _GLOBAL.get(id(value)) or name_of(path) or type(value).__name__
    if isinstance(value, np.random.Generator):
        return _of_bits(name, value.bit_generator)
    if isinstance(value, np.random.BitGenerator):
        return _of_bits(name, value)
    if isinstance(value, np.random.RandomState):
        return Source(name, id(value), value, partial(value.get_state, legacy=False), value.set_state)
    if isinstance(value, random.Random) and not isinstance(value, random.SystemRandom):
        return Source(name, id(value), value, value.getstate, value.setstate)
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if whole and path and path[-1][0] == "attr" and _SEED.match(str(path[-1][1])):
        place = Place(path, holder)
        if holder is not None and path[-1][1] in getattr(holder, "__dict__", {}):
            return Source(name, (id(holder), path[-1][1]), place, place.get, place.set)
    return None


def _of_bits(name: str, bits: Any) -> Source:
    return Source(name, id(bits), bits, lambda: bits.state, lambda state: setattr(bits, "state", state))


def _inside(value: Any) -> Iterator[tuple[Path, Any]]:
    """List what can be reached from a thing at once, and the steps that lead there (none for what it merely wraps)."""
    if isinstance(value, types.FunctionType):
        yield from references(value)
        return
    if isinstance(value, partial):
        yield (), value.func
        yield from (((("attr", str(key)),), item) for key, item in (*enumerate(value.args), *value.keywords.items()))
        return
    if isinstance(value, (types.MethodType, types.BuiltinMethodType)):  # no getattr on what may make attributes up
        yield (), value.__self__
        yield (), getattr(value, "__func__", None)
        return
    yield from (((step,), inner) for step, inner in children(value))
    if type(value).__module__.partition(".")[0] not in _LIBRARIES:
        for name, inner in _of_class(type(value)):
            yield ((("attr", name),) if not isinstance(inner, types.FunctionType) else ()), inner


def _of_class(cls: type) -> Iterator[tuple[str, Any]]:
    """List the attributes of a class and the functions of its methods; not what only makes an object."""
    for base in cls.__mro__:
        for name, value in vars(base).items() if base is not object else ():
            if name not in ("__init__", "__new__", "__dict__", "__weakref__"):
                for inner in (value, getattr(value, "__func__", None), getattr(value, "fget", None)):
                    if inner is not None:
                        yield name, inner


def references(function: types.FunctionType) -> Iterator[tuple[Path, Any]]:
    """List what a function refers to: what it closes over, its defaults, and the globals whose names it uses.

    Parameters
    ----------
    function : function
        Written in Python. Nothing is listed for one of a library.

    Yields
    ------
    path, object
        The name, as a path of one step, and the thing. What a name is of a module (``config.rng``, ``np.random.rand``)
        is listed under its own name.
    """
    if str(function.__module__).partition(".")[0] in _LIBRARIES:
        return
    yield from _named(zip(function.__code__.co_freevars, map(_contents, function.__closure__ or ()), strict=False))
    defaults = function.__defaults__ or ()
    code = function.__code__
    yield from _named(zip(code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount], defaults, strict=True))
    yield from _named((function.__kwdefaults__ or {}).items())
    modules: list[types.ModuleType] = []
    loaded, attributes = _names_used(code)
    for name in loaded:
        value = function.__globals__.get(name)
        if isinstance(value, types.ModuleType):
            modules.append(value)
        elif value is not None:
            yield (("attr", name),), value
    for module in modules:  # grows: numpy has random, which has rand
        for name in attributes:
            value = vars(module).get(name)
            if isinstance(value, types.ModuleType):
                if value not in modules:
                    modules.append(value)
            elif value is not None:
                yield (("attr", name),), value


def _named(pairs: Iterable[tuple[str, Any]]) -> Iterator[tuple[Path, Any]]:
    return (((("attr", name),), value) for name, value in pairs)


def _contents(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


@lru_cache(maxsize=1024)
def _names_used(code: types.CodeType) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names that code looks up among the globals, and all names, attributes among them."""
    loaded = {str(step.argval): None for step in dis.get_instructions(code) if step.opname in _LOADS}
    every = dict.fromkeys(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):  # a function, a comprehension inside
            more_loaded, more = _names_used(constant)
            loaded |= dict.fromkeys(more_loaded)
            every |= dict.fromkeys(more)
    return tuple(loaded), tuple(every)
