"""Who does the work? Threads, processes, an executor or a cluster: pieces of work, and what came of each."""

from __future__ import annotations

import os
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from gradcheck.errors import ArgumentError

if TYPE_CHECKING:
    from concurrent.futures import Executor

_MOST_KEPT = 4  # things of former checks that a worker process holds on to
_LONGEST = 200  # letters of another's error
_LOCK = threading.Lock()
_lent: dict[str, Any] = {}
_kept: OrderedDict[str, Any] = OrderedDict()


def require_workers(workers: Any) -> None:
    """Refuse what cannot do any work.

    Parameters
    ----------
    workers : int, or an object with ``submit`` or ``map``, or None
        As `gradcheck.check_vjp` takes it.

    Raises
    ------
    ArgumentError
        If it is anything else.
    """
    usable = workers is None or any(callable(getattr(workers, name, None)) for name in ("submit", "map"))
    if isinstance(workers, int) and not isinstance(workers, bool):
        usable = workers > 0
    if not usable or isinstance(workers, type):
        raise ArgumentError(
            f"workers was {workers!r}; expected a number of workers (1 or more), a concurrent.futures.Executor or a"
            " dask.distributed.Client: something with submit or map"
        )


@dataclass(frozen=True, eq=False)
class Lent:
    """A thing that every worker needs for many pieces of work, and is sent once.

    Attributes
    ----------
    key : str
        What it is called from then on.
    sent : object
        The thing, or what stands for it in a cluster that has it already; None where it cannot be sent.
    """

    key: str
    sent: Any


class _Unknown:
    """The answer of a worker that was not sent yet what it needs."""


class Crew:
    """Those who do pieces of work.

    Parameters
    ----------
    workers : object
        With ``submit`` (a `concurrent.futures.Executor`, a ``dask.distributed.Client``), or with ``map``.
    size : int, optional
        How many there are; asked of `workers` if None.

    Attributes
    ----------
    size : int
        How many pieces of work are done at a time.
    lost : str
        Why a piece of work was lost, the first that was: a worker died, or what it needs could not be sent.
    """

    def __init__(self, workers: Any, size: int | None = None) -> None:
        self._workers = workers
        self._scatters = callable(getattr(workers, "scatter", None))
        self.size = size or _size(workers)
        self.lost = ""

    @classmethod
    @contextmanager
    def of(cls, workers: Any, kind: Literal["threads", "processes"] = "threads") -> Iterator[Crew]:
        """Yield the crew for what a user gave: a number stands for so many of its own, that end with the context."""
        if not isinstance(workers, int):
            yield cls(workers)
            return
        pool = _pool(workers, kind)
        try:
            yield cls(pool, workers)
        finally:
            pool.shutdown(cancel_futures=True)

    @contextmanager
    def lending(self, thing: Any) -> Iterator[Lent]:
        """Let workers have a thing as long as the context lasts; in this process they have it already."""
        key = uuid.uuid4().hex
        sent = thing
        if self._scatters:
            try:
                sent = self._workers.scatter(thing, broadcast=True, hash=False)
            except Exception as error:
                self._lose(error)
                sent = None
        _lent[key] = thing
        try:
            yield Lent(key, sent)
        finally:
            del _lent[key]

    def map(self, work: Callable[..., Any], items: Sequence[Any], lent: Sequence[Lent] = ()) -> Iterator[Any]:
        """Yield what came of each piece of work, in order; None for one that was lost.

        Parameters
        ----------
        work : callable
            ``work(*things, item)``, of a module, so that it can be sent.
        items : sequence
            The pieces.
        lent : sequence of Lent
            The things.
        """
        keys = tuple(each.key for each in lent)
        things = tuple(each.sent for each in lent)
        if not callable(getattr(self._workers, "submit", None)):
            yield from self._mapped(partial(_do, work, keys, things), items)
            return
        begun = [self._begin(work, keys, things if self._scatters else None, item) for item in items]
        try:
            if lent:
                for place, item in enumerate(items):
                    if isinstance(self._result(begun[place]), _Unknown):
                        begun[place] = self._begin(work, keys, things, item)
            for future in begun:
                result = self._result(future)
                yield None if isinstance(result, _Unknown) else result
        finally:
            for future in begun:
                if future is not None:
                    future.cancel()

    def _begin(self, work: Callable[..., Any], keys: tuple[str, ...], things: Any, item: Any) -> Any:
        options = {"pure": False} if self._scatters else {}  # a cluster may know what came of it the last time
        try:
            return self._workers.submit(_do, work, keys, things, item, **options)
        except Exception as error:
            self._lose(error)
            return None

    def _result(self, future: Any) -> Any:
        try:
            return None if future is None else future.result()
        except Exception as error:
            self._lose(error)
            return None

    def _mapped(self, work: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        try:
            results = iter(self._workers.map(work, items))
        except Exception as error:
            self._lose(error)
            results = iter(())
        for _ in items:
            try:
                result = next(results, None)  # it ends where a piece was lost
            except Exception as error:
                result = None
                self._lose(error)
            yield result

    def _lose(self, error: Exception) -> None:
        """Remember why. Whoever asked does the work himself, and so meets what the user's own code raises."""
        self.lost = self.lost or f"{type(error).__name__}: {error}".partition("\n")[0][:_LONGEST]


def _pool(size: int, kind: Literal["threads", "processes"]) -> Executor:
    if kind == "threads":
        from concurrent.futures import ThreadPoolExecutor  # loads when used: options are read wherever gradcheck starts

        return ThreadPoolExecutor(size)
    from concurrent.futures import ProcessPoolExecutor  # as above
    from multiprocessing import get_context  # as above

    return ProcessPoolExecutor(size, mp_context=get_context("spawn"))  # a fork copies locks that are held


def _size(workers: Any) -> int:
    if callable(getattr(workers, "scatter", None)):
        return max(1, int(sum(workers.nthreads().values())))
    size: int | None = getattr(workers, "_max_workers", None)
    return size or os.cpu_count() or 1


def _do(work: Callable[..., Any], keys: Sequence[str], things: Sequence[Any] | None, item: Any) -> Any:
    """Do a piece of work, in a worker, with things that it has or is sent with it."""
    found = []
    for place, key in enumerate(keys):
        with _LOCK:
            if key in _lent:
                found.append(_lent[key])
                continue
            if key not in _kept:
                if things is None or things[place] is None:
                    return _Unknown()
                _kept[key] = things[place]
            found.append(_kept[key])
            _kept.move_to_end(key)
            while len(_kept) > max(_MOST_KEPT, len(keys)):
                _kept.popitem(last=False)
    return work(*found, item)
