"""Where is the backward pass? The cases are run once, and it is watched which functions and lines only it reaches."""

from __future__ import annotations

import os
import sys
import types
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.case import Case
from gradcheck.discover.search import CASES
from gradcheck.faults.gradients import vectors_for
from gradcheck.faults.layers import layers_of

Place = tuple[str, str]
"""A file and a function's qualified name."""

Lines = dict[Place, set[int]]
Alike = dict[Place, set[tuple[str, str]]]


@dataclass
class Trace:
    """What one case runs.

    Attributes
    ----------
    forward : set of Place
        Functions that its forward enters.
    backward : dict of Place to set of int
        Functions of the derivative, with the lines that ran: those that it enters, with their helpers from the same
        file and the methods that they call. A helper from elsewhere is looked at in its own file's cases.
    alike : dict of Place to set of (str, str)
        For these, the variables that had the same shape when the function returned.
    """

    forward: set[Place] = field(default_factory=set)
    backward: Lines = field(default_factory=lambda: defaultdict(set))
    alike: Alike = field(default_factory=lambda: defaultdict(set))


def watch(case: Case, files: set[str]) -> Trace:
    """Run a case's layers once and see which functions the derivative enters and the forward does not.

    Parameters
    ----------
    case : Case
        What to run.
    files : set of str
        Real paths; functions of other files are not looked at.

    Returns
    -------
    Trace
        Whose `backward` holds only functions that are no part of the forward.
    """
    trace = Trace()
    with layers_of(case) as layers, np.errstate(all="ignore"):
        for layer in layers:
            forward: Lines = defaultdict(set)
            with _watching(files, forward, defaultdict(set), everywhere=True):
                outputs, derivative = layer(layer.primals)
            with _watching(files, trace.backward, trace.alike):
                derivative(vectors_for(layer, layer.primals, outputs, np.random.default_rng(0)))
            trace.forward |= set(forward)
    for place in [*trace.backward]:
        if place in trace.forward or place[1].split(".")[0] == CASES:
            del trace.backward[place]
            trace.alike.pop(place, None)
    return trace


@contextmanager
def _watching(files: set[str], lines: Lines, alike: Alike, *, everywhere: bool = False) -> Iterator[None]:
    """Note the lines that run and the variables that are alike; of helpers in other files only `everywhere`."""
    known: dict[types.CodeType, Place | None] = {}

    def place_of(code: types.CodeType) -> Place | None:
        if code not in known:
            file = os.path.realpath(code.co_filename)
            # a comprehension, or a lambda, is a piece of the function that it stands in
            known[code] = (file, code.co_qualname.split(".<locals>.<")[0]) if file in files else None
        return known[code]

    def belongs(place: Place, frame: types.FrameType) -> bool:
        """Tell whether a function is the derivative itself, or a helper of one in the same file, called back too."""
        callers = []
        caller = frame.f_back
        while caller is not None:
            callers.append(place_of(caller.f_code))
            caller = caller.f_back
        by = [place for place in callers if place is not None]
        is_method = "." in place[1].partition(".<locals>")[0]
        return not by or (is_method and by[0] in lines) or any(other in lines and other[0] == place[0] for other in by)

    def on_call(frame: types.FrameType, event: str, argument: Any) -> Any:
        place = place_of(frame.f_code)
        if place is None or not (everywhere or belongs(place, frame)):
            return None
        lines[place].add(frame.f_lineno)
        return on_line

    def on_line(frame: types.FrameType, event: str, argument: Any) -> Any:
        place = place_of(frame.f_code)
        if place is not None and event == "line":
            lines[place].add(frame.f_lineno)
        if place is not None and event == "return":
            alike[place] |= set(_alike(frame.f_locals))
        return on_line

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        yield
    finally:
        sys.settrace(before)


def _alike(variables: dict[str, Any]) -> Iterator[tuple[str, str]]:
    shapes = {name: value.shape for name, value in variables.items() if isinstance(value, np.ndarray)}
    for one, shape in shapes.items():
        for other, its in shapes.items():
            if one != other and shape == its:
                yield one, other
