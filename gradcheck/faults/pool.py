"""How is a job kept from costing more than itself? Processes that are started again when one is lost."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

from gradcheck.faults.worker import Job, Lost

_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class Process:
    """One worker process, started when first used and again after it was lost."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def do(self, job: Job, time_limit: float | None = None) -> Any:
        """Return what came of a job.

        Parameters
        ----------
        job : Job
            For the worker.
        time_limit : float, optional
            Seconds; the process is ended then.

        Returns
        -------
        object
            The answer, or `Lost`.
        """
        process = self._process = self._process or _start()
        late = threading.Event()

        def give_up() -> None:
            late.set()
            _end(process)

        timer = threading.Timer(time_limit, give_up) if time_limit else None
        try:
            if timer:
                timer.start()
            pickle.dump(replace(job, path=tuple(sys.path)), process.stdin)  # type: ignore[arg-type]  # a pipe
            process.stdin.flush()  # type: ignore[union-attr]  # as above
            return pickle.load(process.stdout)  # type: ignore[arg-type]  # as above
        except (EOFError, OSError, pickle.UnpicklingError):
            self.close()
            return Lost(f"not done after {time_limit:g} seconds" if late.is_set() else "the interpreter crashed")
        finally:
            if timer:
                timer.cancel()
                timer.join()
            if late.is_set() or not hasattr(os, "fork"):
                self.close()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            _end(self._process)
            for pipe in (self._process.stdin, self._process.stdout):
                with suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]  # as above
            self._process.wait()
            self._process = None


def each(items: Sequence[Any], work: Callable[[Process, Any], Any], workers: int) -> Iterator[Any]:
    """Yield ``work(process, item)`` for each item, in order, with as many processes as there are workers."""
    local = threading.local()
    processes = []

    def do(item: Any) -> Any:
        if not hasattr(local, "process"):
            local.process = Process()
            processes.append(local.process)
        return work(local.process, item)

    crew = ThreadPoolExecutor(workers)
    try:
        yield from crew.map(do, items)
    finally:
        crew.shutdown(cancel_futures=True)
        for process in processes:
            process.close()


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "gradcheck.faults.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # One thread each, as several work side by side; nothing beside the user's files either.
        env={**os.environ, **_ONE_THREAD, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        start_new_session=True,  # it is ended with all that it has started
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
