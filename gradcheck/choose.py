"""Every entry, or projections? What ``mode="auto"`` picks: by what every entry would cost, in forwards."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Literal

import numpy as np

from gradcheck.declared import Declared
from gradcheck.detect import detect
from gradcheck.evaluate import BudgetSpent, Evaluator, Vector
from gradcheck.layer import Layer
from gradcheck.options import Options

FULL_UP_TO = 10_000
"""``mode="auto"`` probes every entry of primals with at most so many entries in all."""
_FORWARDS = 1200
"""Of larger ones too, where that takes no more forwards than this."""
# A count and not a time: the same check has the same report on a busy machine. So many forwards of a layer of 100,000
# entries take about half a second; a loss of so many entries, which shares none, would take 200,000.
_LOOKING = 200  # forwards spent on finding out
_SHARE = 0.5  # of a time limit, that probing every entry may be expected to take


def choose(
    layer: Layer, options: Options, evaluator: Evaluator, base: Vector, declared: Mapping[str, Declared]
) -> tuple[Literal["full", "fast"], str]:
    """Choose a mode.

    Parameters
    ----------
    layer : Layer
        What is checked.
    options : Options
        As given by the user.
    evaluator : Evaluator
        At the point.
    base : ndarray, shape (m,)
        Outputs there.
    declared : mapping of str to Declared
        How entries of some primals share evaluations, by the user.

    Returns
    -------
    mode : {"full", "fast"}
        The user's own choice, if there is one.
    note : str
        What was chosen and why, for the report; empty where there is nothing to explain.
    """
    if options.mode != "auto":
        return options.mode, ""
    size = sum(evaluator.point[name].size for name in layer.wrt)
    if size <= FULL_UP_TO:
        return "full", ""
    started, before = time.perf_counter(), evaluator.forward_calls
    forwards = _forwards(layer, options, evaluator, base, declared)
    if forwards is None:
        return "fast", (
            f"{size:,} entries, too few of which can share an evaluation: judged by random projections"
            " (mode='full' probes all)"
        )
    if options.time_limit is not None:
        each = (time.perf_counter() - started) / max(evaluator.forward_calls - before, 1)
        if forwards * each > _SHARE * options.time_limit:
            return "fast", (
                f"{size:,} entries: judged by random projections, since about {forwards:,} forwards for every entry"
                f" would take too much of time_limit={options.time_limit}"
            )
    return "full", f"{size:,} entries: each was probed, since about {forwards:,} forwards do for all of them"


def _forwards(
    layer: Layer, options: Options, evaluator: Evaluator, base: Vector, declared: Mapping[str, Declared]
) -> int | None:
    """Return what every entry would cost; None where that is too much, or too much to find out."""
    given = evaluator.budget
    most = _FORWARDS if given is None else min(_FORWARDS, given - evaluator.forward_calls)
    last = evaluator.forward_calls + min(_LOOKING, most // 4)
    rng = np.random.default_rng([options.seed, 1])  # the check draws the same numbers whatever was looked at here
    forwards = 0
    evaluator.budget = last
    try:
        for name in sorted(layer.wrt, key=lambda name: -evaluator.point[name].size):
            size = evaluator.point[name].size
            if name in declared:
                forwards += declared[name].forwards
            else:
                structure = detect(evaluator, name, base, rng) if 2 * size > most - forwards else None
                forwards += 2 * (size if structure is None else len(structure))
            if forwards > most:
                return None
    except BudgetSpent:
        return None
    finally:
        evaluator.budget = given
    return forwards
