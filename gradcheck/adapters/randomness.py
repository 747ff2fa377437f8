"""How do random numbers come out the same at every forward? Generators are found, put back, and given back."""

from __future__ import annotations

import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from gradcheck.adapters.generators import Source, find_sources, references
from gradcheck.adapters.graph import resolve, walk
from gradcheck.adapters.inputs import label_of, positional_parameters
from gradcheck.errors import ArgumentError
from gradcheck.report import Verdict

if TYPE_CHECKING:
    from gradcheck.layer import Layer

_WATCHED = 8  # calls of one object in which draws are looked for; later ones cost no more than putting back
_ONE_AT_A_TIME = threading.RLock()  # checks in several threads may draw from one generator: each has it for itself


@dataclass(eq=False)
class _Kept:
    """A source of random numbers with its state when the check began."""

    source: Source
    state: Any
    drawn: bool = False
    after: Any = None

    def put_back(self) -> None:
        self.source.write(self.state)


@dataclass(eq=False)
class _Run:
    """What one object (or pair of functions) draws from, and how often it was called."""

    model: Any
    kept: list[_Kept]
    calls: int = 0
    watched: list[_Kept] = field(default_factory=list)


class Randomness:
    """The random state of one check: the same at the start of every forward, and at its end what it was before.

    A generator is put back from the first forward on that draws from it. What a backward draws goes on from where the
    forward left off, so that a mask redrawn in the backward is another one than the forward's; what only a backward
    draws from is not put back at all, and its results differ from call to call.

    Parameters
    ----------
    *roots : object
        What the check was given: an object, or functions.
    reset : callable, optional
        The user's own, called before each forward: ``reset()``, or ``reset(layer)`` with the object that is called.
    layer : object, optional
        The user's object, of which copies will be called.

    Attributes
    ----------
    drawn, redrawn : dict of str to None
        Names of what forwards were seen to draw from, and backwards after them.
    written : tuple of str
        The argument `reset` as it would be typed, if it was given.

    Raises
    ------
    ArgumentError
        If `reset` cannot be called so.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> def noise():
    ...     return rng.random()
    >>> randomness = Randomness(noise)
    >>> with randomness:
    ...     same = randomness.wrap(noise)
    ...     first, second = same(), same()
    >>> first == second == noise(), list(randomness.drawn)
    (True, ['rng'])
    """

    def __init__(self, *roots: Any, reset: Callable[..., Any] | None = None, layer: Any = None) -> None:
        self.drawn: dict[str, None] = {}
        self.redrawn: dict[str, None] = {}
        self.written = () if reset is None else (f"reset={label_of(reset) or 'reset'}",)
        self._given = (roots, reset, layer)
        self._reset = _validated(reset, layer) if reset is not None else None
        self._roots = roots if layer is None else tuple(root for root in roots if root is not layer)
        self._kept = {source.key: _Kept(source, source.read()) for source in find_sources(*roots)}
        self._runs: dict[int, _Run] = {}
        if layer is None:
            self._runs[id(None)] = _Run(None, list(self._kept.values()))

    def __enter__(self) -> Randomness:
        """Begin the check."""
        if self._kept:
            _ONE_AT_A_TIME.acquire()
            for kept in self._kept.values():
                kept.state = kept.source.read()  # another check may have held it until now
        return self

    def __exit__(self, *raised: object) -> None:
        """Give every generator of the user's back the state in which the check found it."""
        if self._kept:
            try:
                for kept in self._kept.values():
                    if not kept.source.holds(kept.state):
                        kept.put_back()
            finally:
                _ONE_AT_A_TIME.release()

    @property
    def is_state(self) -> bool:
        """True where a forward may change state that is put back before the next."""
        return bool(self._kept) or self._reset is not None

    def recipe(self, adapt: Callable[..., Layer], *given: Any, **keywords: Any) -> Callable[[], Layer]:
        """Return what makes a layer anew, in another process too, with the random state of this check.

        Parameters
        ----------
        adapt : callable
            ``adapt(*given, randomness=randomness, **keywords)`` makes it.
        """
        return partial(_anew, adapt, given, keywords, self._given, [kept.state for kept in self._kept.values()])

    def wrap(self, function: Callable[..., Any], *, marks: bool = True) -> Callable[..., Any]:
        """Return a function that starts from the same random state at each call.

        Parameters
        ----------
        function : callable
            The forward; or a gradient that runs a forward of its own.
        marks : bool
            Whether what it draws from is put back from now on: so for a forward.
        """
        if not self.is_state:
            return function

        @wraps(function)
        def started(*args: Any, **keywords: Any) -> Any:
            with self.start(marks=marks):
                return function(*args, **keywords)

        return started

    @contextmanager
    def start(self, model: Any = None, *, marks: bool = True) -> Iterator[None]:
        """Put the random state back, for a forward or what runs one of its own.

        Parameters
        ----------
        model : object, optional
            The copy of the user's object that is called; None for functions.
        marks : bool
            As in `wrap`.
        """
        run = self._run_of(model)
        watching = run.calls < _WATCHED
        if watching:
            for kept in run.watched:
                if not kept.source.holds(kept.after):
                    self.redrawn[kept.source.name] = None
        for kept in run.kept:
            if kept.drawn:
                kept.put_back()
        if self._reset is not None:
            try:
                self._reset(model)
            except Exception as error:
                error.add_note("gradcheck: raised by reset, which is called before each forward")
                raise
        before = [kept.source.read() for kept in run.kept] if watching else []
        run.watched = []
        yield
        run.calls += 1
        if not watching:
            return
        for kept, state in zip(run.kept, before, strict=True):
            if not kept.source.holds(state) and marks:
                kept.drawn = True
                self.drawn[kept.source.name] = None
            if kept.drawn:
                kept.after = kept.source.read()
                run.watched.append(kept)
        if run.calls == _WATCHED:
            run.kept = [kept for kept in run.kept if kept.drawn]

    def _run_of(self, model: Any) -> _Run:
        run = self._runs.get(id(model))
        if run is None:
            # Never called yet, so its own generators are as they were when it was copied. What it shares with the
            # user's object (through functions, classes, modules) may have been drawn from by another copy.
            sources = find_sources(model, *self._roots)
            kept = [self._kept.get(source.key) or _Kept(source, source.read()) for source in sources]
            run = self._runs[id(model)] = _Run(model, kept)
        return run

    def notes(self, verdict: Verdict) -> tuple[str, ...]:
        """Say what was put back, and of a mismatch that the backward drew too.

        Parameters
        ----------
        verdict : Verdict
            Of the check.

        Returns
        -------
        tuple of str
        """
        notes = []
        if self.drawn:
            notes.append(
                f"the random state of {_listed(self.drawn)} was put back before each forward: a fixed mask is checked"
            )
        again = [name for name in self.redrawn if name in self.drawn]
        if again and verdict is Verdict.MISMATCH:
            notes.append(
                f"the backward draws from {_listed(again)} too: those are other numbers than the forward drew; keep"
                " what the forward drew, and use that"
            )
        return tuple(notes)


def _anew(adapt: Callable[..., Layer], given: Any, keywords: Any, roots: Any, states: list[Any]) -> Layer:
    what, reset, layer = roots
    randomness = Randomness(*what, reset=reset, layer=layer)
    for kept, state in zip(randomness._kept.values(), states, strict=True):
        kept.state = state
        kept.put_back()
    return adapt(*given, **keywords, randomness=randomness)


def _listed(names: Any) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else str(last)


def _validated(reset: Any, layer: Any) -> Callable[[Any], Any]:
    """Return `reset` as a function of the object that is called."""
    if not callable(reset):
        expected = "a function without arguments" + ("" if layer is None else ", or of the layer,")
        raise ArgumentError(
            f"reset was {type(reset).__name__}, which cannot be called; give {expected} that puts back what the forward"
            " changes: its generator, its counters"
        )
    if layer is not None:
        of_copy = _method_of_the_copy(reset, layer)
        if of_copy is not None:
            return of_copy
    required = _required(reset, most=int(layer is not None))
    if required:
        of_layer: Callable[[Any], Any] = reset
        return of_layer
    if layer is not None and any(value is layer for _, value in _referred(reset)):
        raise ArgumentError(
            "reset refers to your layer, but a copy of it is checked, and yours is left alone: let it take the layer"
            " that it is to reset, e.g. reset=lambda layer: layer.seed(0)"
        )
    return lambda model: reset()


def _required(reset: Any, *, most: int, beside: str = "") -> int:
    """Return how many arguments `reset` has to be given; refuse more than `most`."""
    known = positional_parameters(reset)
    if known is None or known[1] <= most:
        return known[1] if known else 0
    names = known[0][: known[1]]
    raise ArgumentError(
        f"reset takes {len(names)} argument{'s' if len(names) > 1 else ''} ({', '.join(names)}){beside}; it is called"
        f" as {'reset() or reset(layer)' if most else 'reset()'}"
    )


def _method_of_the_copy(reset: Any, layer: Any) -> Callable[[Any], Any] | None:
    """Return what calls the same method of a copy, where `reset` is one of the layer or of something inside it."""
    if not isinstance(reset, types.MethodType):
        return None
    owner, function = reset.__self__, reset.__func__
    paths = [place.path for place, value in walk(layer) if value is owner] if owner is not layer else [()]
    if not paths:
        return None
    _required(reset, most=0, beside=" beside the layer")
    return lambda model: function(resolve(model, paths[0]))


def _referred(function: Any) -> Iterator[tuple[Any, Any]]:
    return references(function) if isinstance(function, types.FunctionType) else iter(())
