"""Which of its parts does a model call, and with what? Their forwards and backwards are watched on a copy of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Literal

import numpy as np

from gradcheck.adapters.calling import BACKWARD, FORWARD, method_of
from gradcheck.adapters.graph import name_of, walk
from gradcheck.layer import Array

Direction = Literal["forward", "backward"]


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a stage: a part of a model with a forward and a backward of its own.

    Attributes
    ----------
    direction : {"forward", "backward"}
        Which of them was called.
    name : str
        Where the stage sits: ``"layers[1]"``.
    stage : object
        The stage.
    inputs : tuple
        What it was given by position; arrays are copies.
    returned : object
        What it returned; an array is a copy.
    """

    direction: Direction
    name: str
    stage: Any
    inputs: tuple[Any, ...]
    returned: Any

    @property
    def given(self) -> Array | None:
        """The only input, if that is a floating-point array."""
        return _float_array(self.inputs)

    @property
    def gave(self) -> Array | None:
        """What it returned, if that is one floating-point array."""
        return _float_array(self.returned if isinstance(self.returned, tuple) else (self.returned,))


@dataclass
class Watch:
    """Writes down the calls of a model's outermost stages, and lets other values stand for what they return.

    Attributes
    ----------
    calls : list of Call
        In order. Those with keywords are left out.
    instead : dict of (direction, name) to ndarray
        What a stage is to return.

    Examples
    --------
    >>> class Double:
    ...     def forward(self, x):
    ...         return 2 * x
    ...     def backward(self, g):
    ...         return 2 * g
    >>> class Model:
    ...     def __init__(self):
    ...         self.layers = [Double(), Double()]
    ...     def forward(self, x):
    ...         return self.layers[1].forward(self.layers[0].forward(x))
    >>> model, watch = Model(), Watch()
    >>> with watch.over(model):
    ...     model.forward(3.0)
    12.0
    >>> [(call.name, call.inputs) for call in watch.calls]
    [('layers[0]', (3.0,)), ('layers[1]', (6.0,))]
    """

    calls: list[Call] = field(default_factory=list)
    instead: dict[tuple[Direction, str], Array] = field(default_factory=dict)
    _running: bool = False

    @contextmanager
    def over(self, model: Any) -> Iterator[None]:
        """Watch a model's stages inside the context; the model is put back at its end."""
        patched: list[tuple[Any, str]] = []
        for place, part in list(walk(model)):
            if isinstance(part, (np.ndarray, type)) or not hasattr(part, "__dict__"):
                continue
            forward, backward = method_of(part, FORWARD), method_of(part, BACKWARD)
            if forward and backward and forward != "__call__":
                name = name_of(place.path)
                vars(part)[forward] = self._watched("forward", name, part, getattr(part, forward))
                vars(part)[backward] = self._watched("backward", name, part, getattr(part, backward))
                patched += [(part, forward), (part, backward)]
        try:
            yield
        finally:
            for part, method in patched:
                vars(part).pop(method, None)

    def last(self, direction: Direction, name: str) -> Call:
        """Return the last call of a stage."""
        return next(call for call in reversed(self.calls) if (call.direction, call.name) == (direction, name))

    def _watched(self, direction: Direction, name: str, stage: Any, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(*given: Any, **keywords: Any) -> Any:
            if self._running:  # outermost ones only: what is inside them is looked at when they are checked
                return method(*given, **keywords)
            self._running = True
            copies = tuple(_copy(value) for value in given)
            try:
                returned = method(*given, **keywords)
            finally:
                self._running = False
            returned = self.instead.get((direction, name), returned)
            if not keywords:
                self.calls.append(Call(direction, name, stage, copies, _copy(returned)))
            return returned

        return call


def _copy(value: Any) -> Any:
    return np.array(value) if isinstance(value, np.ndarray) else value


def _float_array(values: tuple[Any, ...]) -> Array | None:
    """Return the only one of some values if it is a floating-point array."""
    (value,) = values if len(values) == 1 else (None,)
    return value if isinstance(value, np.ndarray) and value.dtype.kind in "fc" else None
