"""Who runs code with a fault in it? A process of its own, so that a crash or an endless loop costs that fault alone.

``python -m gradcheck.faults.worker`` reads jobs from its standard input and writes what came of each to its standard
output, pickled. Every job runs in a fork of the process, which knows nothing of the jobs before; where there are no
forks, the process ends after each job and is started again.

The file with the fault is compiled in memory, in place of what is on disk, whoever imports it and in whatever way.
"""

from __future__ import annotations

import importlib
import linecache
import os
import pickle
import sys
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from typing import Any

_DONE = 99  # a fork's exit code when its answer is on the way: user code may leave with any other


@dataclass(frozen=True)
class Job:
    """A piece of work for a process of its own.

    Attributes
    ----------
    work : str
        ``"module:function"``.
    arguments : tuple
        For it.
    file, source : str
        A file, and the text that is to be taken in its place; none where they are empty.
    path : tuple of str
        What ``sys.path`` has to be.
    """

    work: str
    arguments: tuple[Any, ...] = ()
    file: str = ""
    source: str = ""
    path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lost:
    """The answer that a job has not given, and why: its time was over, or the interpreter crashed."""

    why: str


@dataclass(frozen=True)
class Broken:
    """The answer of a job that raised what it should not: nothing is known of the code that it was to judge."""

    why: str


def put_in_place(file: str, source: str) -> None:
    """Have a file imported as if it held another text; the file itself is neither read nor changed.

    Parameters
    ----------
    file : str
        Its real path.
    source : str
        What to compile in its place.
    """
    usual = SourceFileLoader.get_code

    def get_code(loader: SourceFileLoader, name: str) -> Any:
        if os.path.realpath(loader.path) == file:
            return compile(source, loader.path, "exec", dont_inherit=True)
        return usual(loader, name)

    # Every loader of source files goes through this method: dotted names, files by their path, pytest's import modes.
    SourceFileLoader.get_code = get_code  # type: ignore[method-assign, assignment]  # as said
    # No time of change: whoever asks for the source gets this one, and does not look at the file.
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)


def serve() -> None:
    """Do jobs until there are no more."""
    jobs, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):  # the user's code prints what it likes, and reads nothing
        os.dup2(nothing, stream)
    sys.dont_write_bytecode = True
    while True:
        try:
            job = pickle.load(jobs)
        except EOFError:
            return
        if not hasattr(os, "fork"):
            _answer(answers, job)
            return
        child = os.fork()
        if child == 0:
            _answer(answers, job)
            os._exit(_DONE)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code != _DONE:
            _send(answers, Lost(f"the interpreter ended with {f'signal {-code}' if code < 0 else f'code {code}'}"))


def _answer(answers: Any, job: Job) -> None:
    sys.path[:] = job.path
    if job.file:
        put_in_place(job.file, job.source)
    module, _, function = job.work.partition(":")
    try:
        _send(answers, getattr(importlib.import_module(module), function)(*job.arguments))
    except BaseException as error:  # sys.exit in the user's code too
        _send(answers, Broken(f"{type(error).__name__}: {error}".partition("\n")[0]))


def _send(answers: Any, answer: Any) -> None:
    answers.write(pickle.dumps(answer))  # only then: what cannot be pickled leaves nothing behind
    answers.flush()


if __name__ == "__main__":
    for name in ("gradcheck.faults.judge", "pytest"):
        importlib.import_module(name)  # once for all forks
    # By its name: what is pickled here must be called there as it is here.
    importlib.import_module("gradcheck.faults.worker").serve()
