"""What do workers see ahead of the judge? First looks at groups and single entries, taken where the layer was sent."""

from __future__ import annotations

import hashlib
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import numpy as np

from gradcheck.declared import Declared
from gradcheck.evaluate import Evaluator, Vector
from gradcheck.layer import Layer
from gradcheck.parts import as_double
from gradcheck.point import Entry, Point
from gradcheck.shared import Look, Movable, SharedRay
from gradcheck.sight import Sight
from gradcheck.structure import Structure
from gradcheck.workers import Crew, Lent

_LEAST, _MOST = 8, 512  # probes that are sent together
_ROUNDS = 4  # so many times are all workers given something: what one round finds out can spare the next
_WORTH, _WORTH_PROCESSES = 0.5, 2.0  # seconds of evaluations: for less, no threads or processes are started
_AT_ONCE = 1.5  # times as long as one evaluation do two take in two threads, where threads are of use
_TRIES = 3


@dataclass(eq=False, repr=False)
class Setting:
    """A layer at its point, as it is sent to where it is evaluated.

    Attributes
    ----------
    remake : callable
        See `Layer.remake`.
    shares_state : bool
        See `Layer.shares_state`.
    double : bool
        Whether it is evaluated in float64, whatever its own dtype.
    cotangent, noise : ndarray, shape (m,)
        As those of a `Point`.
    digest : bytes
        Of the outputs at the point: they must be the same, bit for bit, wherever the layer is evaluated.
    last_bit : float
        That of a `Point`.
    process : int
        Where it comes from.
    """

    remake: Callable[[], Layer] | None
    shares_state: bool
    double: bool
    cotangent: Vector
    noise: Vector
    digest: bytes
    last_bit: float
    process: int = field(default_factory=os.getpid)
    _points: dict[int, Point] = field(default_factory=dict)

    @classmethod
    def of(cls, layer: Layer, point: Point) -> Setting:
        """Return it for a layer that can be made anew, at the point of a check."""
        double = any(point.evaluator.given[name].dtype != array.dtype for name, array in layer.primals.items())
        digest = _digest(point.base)
        return cls(layer.remake, layer.shares_state, double, point.cotangent, point.noise, digest, point.last_bit)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what each worker makes for itself."""
        return self.__dict__ | {"_points": {}}

    def point(self) -> Point:
        """Return the point, made once in each thread, with a layer of its own.

        Raises
        ------
        RuntimeError
            Where evaluating here is not the same as where it comes from.
        """
        thread = threading.get_ident()
        if thread not in self._points:
            self._points[thread] = self.made()
        return self._points[thread]

    def made(self) -> Point:
        """Make it."""
        if self.shares_state and self.process == os.getpid():
            raise RuntimeError("threads would share state that the forward keeps")
        if self.remake is None:
            raise RuntimeError("the layer cannot be made anew")
        layer = self.remake()
        primals = {name: as_double(array) if self.double else array for name, array in layer.primals.items()}
        evaluator = Evaluator(layer, primals)
        with np.errstate(all="ignore"):
            outputs = evaluator.run().outputs
        evaluator.remember(outputs)
        base = evaluator.flatten(outputs)
        if _digest(base) != self.digest:
            raise RuntimeError("the forward returns other numbers there than here")
        point = Point(evaluator, base, np.zeros(base.shape), self.cotangent, {}, dict, np.random.default_rng())
        point.noise, point.last_bit = self.noise, self.last_bit
        return point


def _digest(base: Vector) -> bytes:
    return hashlib.blake2b(base.tobytes()).digest()


@dataclass(frozen=True, eq=False)
class Plan:
    """What is moved in groups, and which: descriptions, from which every worker makes the same moves.

    Attributes
    ----------
    name : str
        The primal.
    structure : Structure or Declared
        Its groups.
    drawn : dict
        The state of the generator from which `Movable` draws the signs.
    """

    name: str
    structure: Structure | Declared
    drawn: Mapping[str, Any]


def is_ready(setting: Setting, _: object) -> bool:
    """Tell a worker to get ready; raises where it cannot."""
    return bool(setting.point())


def look_at_groups(setting: Setting, plan: Plan, task: tuple[Sequence[int], float, bool]) -> list[Look | None]:
    """Take first looks, in a worker.

    Parameters
    ----------
    setting : Setting
        Where.
    plan : Plan
        Of which primal.
    task : tuple of list of int, float, bool
        Numbers of groups; the move; and whether both sides are looked at.

    Returns
    -------
    list of Look or None
        One for each group; None where outputs changed that none of the group should reach.
    """
    numbers, move, both = task
    point = setting.point()
    point.rng.bit_generator.state = plan.drawn
    movable = Movable(point, plan.name)
    looks: list[Look | None] = []
    for group in plan.structure.groups(np.array(numbers)):
        shared = SharedRay(movable, group)
        look = shared.look(move) if both else shared.glance(move)
        looks.append(None if both and shared.strays() else look)
    return looks


def look_at_entries(setting: Setting, task: tuple[Sequence[Entry]]) -> list[Sight]:
    """Take first looks at single entries, in a worker."""
    point = setting.point()
    return [Sight.of(point, entry, point.along_entry(entry)) for entry in task[0]]


class Looks:
    """First looks that workers take ahead of the judge, in the order in which he asks.

    They settle what agrees at its first look. The judge evaluates everything else himself, and counts what he would
    have evaluated without workers: reports do not depend on them, and a worker that errs, or is lost, costs time only.

    Parameters
    ----------
    layer : Layer
        What is checked.
    point : Point
        Where.
    workers : int, or an object with ``submit`` or ``map``, or None
        As `gradcheck.check_vjp` takes it.

    Attributes
    ----------
    idle : str
        Why nobody works, where nobody can.
    """

    def __init__(self, layer: Layer, point: Point, workers: Any) -> None:
        self.idle = ""
        self._layer = layer
        self._point = point
        self._workers = workers
        self._stack = ExitStack()
        self._crew: Crew | None = None
        self._lent: tuple[Vector, Lent] | None = None

    def __enter__(self) -> Looks:
        """Begin; workers start when there is something to do."""
        return self

    def __exit__(self, *raised: object) -> None:
        """End what was started."""
        self._stack.close()

    @property
    def notes(self) -> list[str]:
        """What the reader should know: why workers did nothing, or what they lost."""
        why = self.idle or (self._crew.lost if self._crew else "")
        return [f"workers: {why}; what they did not do was done here"] if why else []

    def groups(self, plan: Plan, numbers: Sequence[int], move: float, *, both: bool) -> Iterator[Look | None]:
        """Yield looks at groups in order, to both sides or one; None where there is none to be had, and at the end."""
        return self._ahead(look_at_groups, numbers, 1 + both, (move, both), plan)

    def entries(self, entries: Sequence[Entry]) -> Iterator[Sight | None]:
        """Yield looks at entries in order; None where there is none to be had, and at the end."""
        return self._ahead(look_at_entries, entries, 2)

    def _ahead(
        self,
        work: Callable[..., Any],
        probes: Sequence[Any],
        evaluations: int,
        details: tuple[Any, ...] = (),
        plan: Plan | None = None,
    ) -> Iterator[Any]:
        """Yield what workers find of each probe, round by round: while they work, nothing is evaluated here."""
        crew = self._crew = self._crew or self._hired(len(probes) * evaluations)
        if crew is not None:
            length = min(max(_LEAST, math.ceil(len(probes) / (_ROUNDS * crew.size))), _MOST)
            chunks = [probes[start : start + length] for start in range(0, len(probes), length)]
            with ExitStack() as stack:
                plans = [stack.enter_context(crew.lending(plan))] if plan else []
                for start in range(0, len(chunks), crew.size):
                    given, noise = chunks[start : start + crew.size], self._point.noise
                    found = list(crew.map(work, [(chunk, *details) for chunk in given], [self._setting(crew), *plans]))
                    if all(looks is None for looks in found):
                        break  # nor would it be better the next time
                    for chunk, looks in zip(given, found, strict=True):
                        for look in looks or repeat(None, len(chunk)):
                            yield look if noise is self._point.noise else None
        yield from repeat(None)

    def _setting(self, crew: Crew) -> Lent:
        """Lend the setting, and anew where noise was measured again."""
        noise = self._point.noise
        if self._lent is None or self._lent[0] is not noise:
            setting = Setting.of(self._layer, self._point)
            self._lent = noise, self._stack.enter_context(crew.lending(setting))
        return self._lent[1]

    def _hired(self, evaluations: int) -> Crew | None:
        """Return who works: threads where they evaluate at the same time, processes where these can be sent the layer.

        None where nobody can, or where it is not worth starting anybody.
        """
        if self._workers in (None, 1) or self.idle:
            return None
        if not isinstance(self._workers, int):
            return self._stack.enter_context(Crew.of(self._workers))
        alone = self._seconds()
        seconds = alone * evaluations
        if seconds < _WORTH:
            return None
        setting = Setting.of(self._layer, self._point)
        try:
            if not self._layer.shares_state and _at_once(setting) < _AT_ONCE * alone:
                return self._stack.enter_context(Crew.of(self._workers))
        except Exception as error:  # what can be called here cannot be made anew
            self.idle = f"{type(error).__name__}: {error}"
            return None
        if seconds < _WORTH_PROCESSES:
            return None
        with ExitStack() as trial:
            crew = trial.enter_context(Crew.of(self._workers, "processes"))
            lent = trial.enter_context(crew.lending(setting))
            if next(crew.map(is_ready, [None], [lent])):
                self._lent = setting.noise, lent
                self._stack.push(trial.pop_all())
                return crew
        if self._layer.shares_state:
            self.idle = f"no process can be sent the layer ({crew.lost}), and threads would share its state"
            return None
        return self._stack.enter_context(Crew.of(self._workers))

    def _seconds(self) -> float:
        """Return how long one evaluation takes; it is not counted, for it tells the check nothing."""
        evaluator = self._point.evaluator
        before = evaluator.forward_calls
        seconds = _fastest(lambda: _evaluate(self._point))
        evaluator.forward_calls = before
        return seconds


def _at_once(setting: Setting) -> float:
    """Return how long two evaluations take in two threads."""
    points = setting.made(), setting.made()
    with ThreadPoolExecutor(2) as pool:
        return _fastest(lambda: list(pool.map(_evaluate, points)))


def _evaluate(point: Point) -> None:
    for _ in range(_TRIES):
        point.evaluator.outputs("nothing")


def _fastest(work: Callable[[], object]) -> float:
    """Return the seconds that one of `_TRIES` evaluations takes."""
    times = []
    for _ in range(_TRIES):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times) / _TRIES
