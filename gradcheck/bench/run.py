"""What does ``gradcheck bench`` measure? The limits, the kernels, the steps, the notebooks and the checks."""

from __future__ import annotations

import datetime
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import gradcheck
from gradcheck.bench import checks, kernels, limits, notebooks, steps
from gradcheck.bench.facts import Bench, Notebook
from gradcheck.bench.machine import machine
from gradcheck.bench.measure import FULL, QUICK, Meter, Problem, Settings
from gradcheck.bench.peers import missing, one_thread, require
from gradcheck.errors import ArgumentError

__all__ = ["Run", "prepare"]


class Run:
    """A run of ``gradcheck bench``: first `measure`, then `measure_again` as often as one likes.

    Parameters
    ----------
    problems : list of Problem
        To be measured.
    settings : Settings
        How often.
    full : bool
        Whether these are all problems.
    """

    def __init__(self, problems: list[Problem], settings: Settings, *, full: bool) -> None:
        self.titles = [problem.title for problem in problems]
        self.total = settings.blocks * len(problems)
        """How often `measure` tells of something."""
        self.blocks = settings.blocks
        """How often `measure_again` tells of each problem."""
        self._full = full
        self._meter = Meter(problems, settings, limits.yardsticks())
        self._with_notebooks = any(problem.section == "notebooks" for problem in problems)
        if self._with_notebooks:
            self.total += len(notebooks.NOTEBOOKS)
        self._notebooks: tuple[Notebook, ...] = ()
        self._began = time.perf_counter()

    def measure(self, told: Callable[[str], object] = lambda title: None) -> Bench:
        """Measure everything.

        Parameters
        ----------
        told : callable
            Called with a title whenever something is done.
        """
        bench = self.measure_again(self.titles, told)
        if not self._with_notebooks:
            return bench
        with _quietly():
            for name in notebooks.NOTEBOOKS:
                self._notebooks += (notebooks.notebook(name),)
                told(name)
        return replace(bench, notebooks=self._notebooks, seconds=time.perf_counter() - self._began)

    def measure_again(self, titles: Sequence[str], told: Callable[[str], object] = lambda title: None) -> Bench:
        """Measure some problems as often as before, and return all that was found so far.

        Parameters
        ----------
        titles : sequence of str
            Of the problems.
        told : callable
            Called with a title whenever something is done.
        """
        with _quietly():
            self._meter.take(titles, told)
            return Bench(
                version=gradcheck.__version__,
                date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
                full=self._full,
                machine=machine(),
                missing=tuple(missing()),
                measured=tuple(self._meter.facts()),
                notebooks=self._notebooks,
                seconds=time.perf_counter() - self._began,
            )


@contextmanager
def _quietly() -> Iterator[None]:
    """Hold everyone to one thread, and keep the peers' warnings for themselves."""
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def prepare(*, full: bool = False, only: str = "") -> Run:
    """Return a run that is still to be measured.

    Parameters
    ----------
    full : bool
        More rounds, and the checks of many entries: some ten minutes.
    only : str
        Problems whose section or title has it, ``"sigmoid"`` or ``"steps"``; the limits are measured always.

    Raises
    ------
    MissingDependencyError
        If what measuring or writing needs is not installed.
    ArgumentError
        If no problem has it.

    Examples
    --------
    >>> prepare(only="steps: 4-3-1, float64").titles[-1]
    '4-3-1, float64'
    """
    require()
    everything = [*kernels.problems(), *steps.problems(), *notebooks.problems(), *checks.problems(full=full)]
    chosen = [problem for problem in everything if only in f"{problem.section}: {problem.title}"]
    if not chosen:
        raise ArgumentError(f'nothing to measure has "{only}" in its name, as "steps: 4-3-1, float64" has')
    return Run([*limits.problems(), *chosen], FULL if full else QUICK, full=full)
