"""What does ``gradcheck bench`` measure? The limits, the kernels, the steps, the notebooks and the checks."""

from __future__ import annotations

import datetime
import time
import warnings
from collections.abc import Callable

import gradcheck
from gradcheck.bench import checks, kernels, limits, notebooks, steps
from gradcheck.bench.facts import Bench
from gradcheck.bench.machine import machine
from gradcheck.bench.measure import FULL, QUICK, Problem, Settings, measure
from gradcheck.bench.peers import missing, one_thread, require

__all__ = ["Plan", "plan"]


class Plan:
    """What is to be measured, before it is: how many things, and all of them on demand.

    Parameters
    ----------
    problems : list of Problem
        To be measured.
    settings : Settings
        How often.
    full : bool
        Whether these are all problems.
    with_notebooks : bool
        Whether the notebooks' networks are trained as well.
    """

    def __init__(self, problems: list[Problem], settings: Settings, *, full: bool, with_notebooks: bool) -> None:
        self.problems = problems
        self.settings = settings
        self.full = full
        self.with_notebooks = with_notebooks

    @property
    def total(self) -> int:
        """How often `run` tells."""
        return self.settings.blocks * len(self.problems) + self.with_notebooks * len(notebooks.NOTEBOOKS)

    def run(self, told: Callable[[str], object] = lambda title: None) -> Bench:
        """Measure.

        Parameters
        ----------
        told : callable
            Called with a title whenever something is done.
        """
        started = time.perf_counter()
        with one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peers have their own
            measured = measure(self.problems, self.settings, told)
            shown = notebooks.notebooks(told) if self.with_notebooks else []
            here = machine()
        return Bench(
            version=gradcheck.__version__,
            date=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
            full=self.full,
            machine=here,
            missing=tuple(missing()),
            measured=tuple(measured),
            notebooks=tuple(shown),
            seconds=time.perf_counter() - started,
        )


def plan(*, full: bool = False, only: str = "") -> Plan:
    """Return what is to be measured.

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

    Examples
    --------
    >>> [problem.title for problem in plan(only="4-3-1, float64").problems if problem.section != "limits"]
    ['4-3-1, float64']
    """
    require()
    everything = [*kernels.problems(), *steps.problems(), *notebooks.problems(), *checks.problems(full=full)]
    chosen = [problem for problem in everything if only in f"{problem.section}: {problem.title}"]
    return Plan(
        [*limits.problems(), *chosen],
        FULL if full else QUICK,
        full=full,
        with_notebooks=any(problem.section == "notebooks" for problem in chosen),
    )
