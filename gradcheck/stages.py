"""Which stage of a model is the first wrong one? Its stages are checked one by one, from the loss backwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradcheck.adapters.calling import FORWARD, LOSS, LOSS_AND_GRADIENT, method_of
from gradcheck.adapters.graph import copy_object
from gradcheck.adapters.inputs import positional_parameters
from gradcheck.adapters.watching import Watch
from gradcheck.report import Explanation, Report, Verdict

Check = Callable[[Any, Sequence[Any], int | None], Report]
"""``check(stage, inputs, budget)``."""


@dataclass(frozen=True, eq=False)
class Stage:
    """One call of a part of the model.

    Attributes
    ----------
    name : str
        Where it sits: ``"layers[1]"``.
    part : object
        With a forward and a backward of its own.
    inputs : tuple
        Copies of what its forward was given.
    """

    name: str
    part: Any
    inputs: tuple[Any, ...]


def with_stages(report: Report, model: Any, inputs: Sequence[Any], budget: int | None, check: Check) -> Report:
    """Add to the report of a wrong model which of its stages is the first wrong one, where they are visible.

    Parameters
    ----------
    report : Report
        Of the whole model; returned as it is unless its verdict is MISMATCH.
    model : object
        Copied, never changed.
    inputs : sequence
        As the check of the model was given them.
    budget : int, optional
        Forward evaluations at most, those of the report included; a stage's forward counts as one.
    check : callable
        Checks one stage.

    Returns
    -------
    Report
        With an explanation called ``"stage"`` in front: the stage, and what it looks like; or that each stage is right
        by itself. Without one where a stage could not be judged before a wrong one was found.
    """
    if report.verdict is not Verdict.MISMATCH:
        return report
    stages = visible_stages(model, inputs)
    spent = report.forward_calls + 1
    text, judged = "", set[str]()
    for stage in reversed(stages) if len(stages) > 1 else ():
        left = None if budget is None else budget - spent
        if left is not None and left < 1:
            return report
        try:
            found = check(stage.part, stage.inputs, left)
        except Exception:  # nobody asked for the stage by itself: what it raises there is not the report's to tell
            return report
        spent += found.forward_calls
        if any(broken.kind == "count" for broken in found.violations):
            return replace(report, forward_calls=spent)  # the gradient of a parameter is the model's work, perhaps
        if found.verdict in (Verdict.MISMATCH, Verdict.CONTRACT):
            text = f"the first wrong stage, from the loss backwards, is {stage.name} ({type(stage.part).__name__})"
            looks = [one.text for one in found.explanations[:1]] or list(found.violations[:1])
            text += f": {looks[0]}" if looks else ""
            break
        if not found.ok:
            return replace(report, forward_calls=spent)
        judged |= {f"{stage.name}.{line.name}" for line in found.summaries}
    else:
        wrong = {line.name for line in report.summaries if line.verdict is Verdict.MISMATCH}
        own = {name for name in wrong if any(name.startswith(f"{stage.name}.") for stage in stages)}
        if len(stages) < 2 or own - judged:  # a stage's parameter whose gradient it did not show by itself
            return replace(report, forward_calls=spent)
        text = (
            f"each of its {len(stages)} stages is right by itself: what is wrong lies between them, in the backward of"
            f" {type(model).__name__}"
        )
    told = (Explanation("stage", text, 1.0), *report.explanations)
    return replace(report, explanations=told, forward_calls=spent)


def visible_stages(model: Any, inputs: Sequence[Any]) -> list[Stage]:
    """Run a copy of a model's forward, and return the parts that it calls, in order, with what they are given.

    Parameters
    ----------
    model : object
        Its outermost parts with a forward and a backward are its stages.
    inputs : sequence
        As many as its forward takes are given to it.

    Returns
    -------
    list of Stage
        Empty where the model cannot be run so.
    """
    copy, watch = copy_object(model), Watch()
    outer = method_of(copy, FORWARD) or method_of(copy, (*LOSS, *LOSS_AND_GRADIENT))
    if not outer:
        return []
    known = positional_parameters(getattr(copy, outer))
    count = len(inputs) if known is None or known[2] else min(len(inputs), len(known[0]))
    given = [np.array(value) if isinstance(value, np.ndarray) else value for value in inputs[:count]]
    try:
        with np.errstate(all="ignore"), watch.over(copy):
            getattr(copy, outer)(*given)
    except Exception:  # the check knows better how to call it; without stages nothing is said of them
        return []
    return [Stage(call.name, call.stage, call.inputs) for call in watch.calls if call.direction == "forward"]
