"""What does an object differentiate, and where does it leave the results? Found by running a copy."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradcheck.adapters.calling import Calling, State, is_target_name
from gradcheck.adapters.candidates import (
    Parameter,
    differs,
    find_candidates,
    float_places,
    last_word,
    without_overlap,
)
from gradcheck.adapters.graph import Path, resolve
from gradcheck.adapters.pairing import MISSING, gradient_names, is_forgotten, read
from gradcheck.adapters.results import assign
from gradcheck.adapters.trials import copies, corrected, cotangents_for, find_overwritten, matters, reset, trial
from gradcheck.errors import ArgumentError
from gradcheck.layer import Array, BrokenContract, Named, is_differentiable

INPUT_GRADIENTS = (
    "dinputs",
    "dinput",
    "dX",
    "dx",
    "grad_input",
    "grad_inputs",
    "gradInput",
    "input_grad",
    "d_input",
)
"""Where a backward that returns nothing leaves the gradient of its first input."""
_NUMBER = re.compile(r"^_?(b|bias|intercept|w|weight|theta|slope|a|m|c)_?\d*_?$", re.I)
RATES = ("lr", "learning_rate", "alpha", "eta")


@dataclass(frozen=True, eq=False)
class Survey:
    """The result of `survey`.

    Attributes
    ----------
    calling : Calling
        As given, corrected by what the trial showed.
    parameters : tuple of Parameter
        In the order in which the object holds them.
    returned : tuple of str
        Names of the parameters whose gradients backward returns behind (or in place of) those of the inputs.
    left : dict of str to path
        Attributes in which backward leaves input gradients in place of returning them.
    inputs : tuple of str
        The inputs for which a gradient is claimed.
    overwritten : frozenset of paths
        What the forward itself writes: caches.
    lazy : bool
        Parameters come into being at the first forward.
    mutates : bool
        Backward updates parameters, as it is meant to.
    notes : tuple of str
        For the reader.
    trial_calls : tuple of int
        Forward and backward calls made to find all this out.
    """

    calling: Calling
    parameters: tuple[Parameter, ...]
    returned: tuple[str, ...]
    left: Mapping[str, Path]
    inputs: tuple[str, ...]
    overwritten: frozenset[Path]
    lazy: bool
    mutates: bool
    notes: tuple[str, ...]
    trial_calls: tuple[int, int] = (0, 0)


def survey(model: Any, calling: Calling, primals: Named) -> Survey:
    """Run an object forward and backward and see what it differentiates.

    Parameters
    ----------
    model : object
        A copy of the user's object; it is used up.
    calling : Calling
        How it is called.
    primals : dict of str to ndarray
        The inputs, constants included.

    Returns
    -------
    Survey
        What was found.

    Raises
    ------
    ArgumentError
        If the output is no scalar where it has to be, or nothing at all is differentiated.
    """
    kind = type(model).__name__
    front = f"{kind}.{calling.forward or 'loss'}"
    existing = set(float_places(model))
    overwritten = find_overwritten(model, calling, primals, front)
    calling, notes = corrected(model, calling, primals)
    with trial(front):
        state = calling.run_forward(model, copies(primals))
    _require_scalar(calling, state, kind)
    if calling.backward or calling.gradient:
        reset(model)
    held = float_places(model)
    before = {path: np.array(value) for path, (_, value) in held.items()}
    with trial(f"{kind}.{calling.backward or calling.gradient or 'loss'}"):
        result = calling.run_backward(model, state, cotangents_for(state))
    paired, single = find_candidates(model, held, overwritten, before)
    changed = {
        p.name
        for p in (*paired, *single)
        if (now := read(model, p.paths[0])) is not MISSING and differs(now, before[p.paths[0]])
    }
    updated = {p.name for p in (*paired, *single) if p.name in changed and _has_rate(model, calling, p)}
    # Where no gradient was found, an array counts only if the output depends on it; numbers are settings.
    unset = [p for p in paired if all(read(model, path) is None for path in p.gradients)]
    arrays = [p for p in (*unset, *single) if np.ndim(p.value) or p.name in changed or p in unset]
    open_ = [p for p in arrays if matters(model, calling, primals, p)]
    returned = _returned(result, calling, primals, open_)
    if result is not None and not returned:
        # A bias may be a bare number: it counts if a gradient comes back for it.
        numbers = [p for p in single if _NUMBER.match(p.name) and matters(model, calling, primals, p)]
        both = [p for p in single if p in open_ or p in numbers]
        returned = _returned(result, calling, primals, both)
        open_ = both if returned else open_
    trained = [path for p in paired for path in p.paths]
    forgotten = {p.name for p in open_ if any(is_forgotten(model, path, trained) for path in p.paths)}
    parameters = [p for p in paired if p not in unset]
    parameters += _claimed_parameters(open_, returned, updated, forgotten, notes)
    parameters = without_overlap(model, parameters, notes)
    order = {path: i for i, path in enumerate(held)}
    parameters.sort(key=lambda p: min(order.get(path, len(order)) for path in p.paths))
    left = {} if result is not None or calling.gradient else _left(model, calling, before)
    return Survey(
        calling=calling,
        parameters=tuple(parameters),
        returned=returned,
        left=left,
        inputs=_claimed_inputs(result, calling, primals, state, returned, left, bool(parameters), notes, kind),
        overwritten=frozenset(overwritten),
        lazy=any(path not in existing for p in parameters for path in p.paths[:1]),
        mutates=bool(updated),
        notes=(*calling.notes, *notes),
        trial_calls=(calling.calls[0], calling.calls[1]),
    )


def _require_scalar(calling: Calling, state: State, kind: str) -> None:
    shapes = [np.shape(value) for value in state.outputs.values()]
    if calling.cotangent or all(np.prod(shape) == 1 for shape in shapes):
        return
    where, what = ("loss", "loss") if calling.loss is not None else ("layer", f"{kind}.{calling.forward}")
    raise ArgumentError(
        f"{where}: {what} returned an array of shape {shapes[0]} where a scalar is needed, because "
        f"{kind}.{calling.backward or calling.gradient} takes no upstream gradient; pass loss= and targets=, "
        "return the mean or the sum, or give backward a parameter for the upstream gradient"
    )


def _has_rate(model: Any, calling: Calling, parameter: Parameter) -> bool:
    """Tell whether backward is meant to update a parameter: it takes a learning rate, or the layer holds one."""
    holders = [model, *(resolve(model, path[:-1]) for path in parameter.paths)]
    return calling.updates or any(name in getattr(holder, "__dict__", {}) for holder in holders for name in RATES)


def _claimed_parameters(
    open_: Sequence[Parameter], returned: Sequence[str], updated: set[str], forgotten: set[str], notes: list[str]
) -> list[Parameter]:
    """Say where the gradients of arrays come from that matter and have none in the object; note those without.

    One that was forgotten is claimed, and comes from nowhere: the contract will say so.
    """
    claimed = []
    for p in open_:
        if p.name in returned:
            claimed.append(replace(p, gradients=()))
        elif p.name in updated:
            claimed.append(replace(p, gradients=(), updated=True))
        elif p.gradients or p.name in forgotten:
            claimed.append(p)
        else:
            looked = ", ".join(list(gradient_names(last_word(p.paths[0])))[:5])
            notes.append(f"{p.name} has no gradient (looked for {looked}, grads[...], ...): it is not checked")
    return claimed


def _returned(result: Any, calling: Calling, primals: Named, open_: Sequence[Parameter]) -> tuple[str, ...]:
    """Name the parameters whose gradients are in what backward returned."""
    inputs = {} if calling.gradient or not calling.backward else {name: primals[name] for name in calling.inputs}
    shapes = [(p.name, p.value.shape) for p in open_]
    try:
        found = assign(result, inputs, shapes, what="backward", scalar=not calling.cotangent)
    except BrokenContract:
        return ()
    return tuple(p.name for p in open_ if p.name in found)


def _left(model: Any, calling: Calling, before: Mapping[Path, Array]) -> dict[str, Path]:
    """Find input gradients that backward left in attributes."""
    own = getattr(model, "__dict__", {})
    left = {}
    for i, name in enumerate(calling.inputs):
        for label in [*gradient_names(name), *(INPUT_GRADIENTS if i == 0 else ())]:
            path: Path = (("attr", label),)
            if isinstance(own.get(label), np.ndarray) and (path not in before or differs(before[path], own[label])):
                left[name] = path
                break
    return left


def _claimed_inputs(  # all that the trial showed
    result: Any,
    calling: Calling,
    primals: Named,
    state: State,
    returned: Sequence[str],
    left: Mapping[str, Path],
    parameters: bool,
    notes: list[str],
    kind: str,
) -> tuple[str, ...]:
    """Name the inputs for which a gradient is claimed, and say so where none is."""
    differentiable = tuple(name for name in calling.inputs if is_differentiable(primals[name]) and primals[name].size)
    scalar = not calling.cotangent
    inputs = {} if calling.gradient or not calling.backward else {name: primals[name] for name in calling.inputs}
    shapes = [(name, ()) for name in returned]
    found: Mapping[str, Any] = left
    if result is not None:
        try:
            found = assign(result, inputs, shapes, what="backward", scalar=scalar)
        except BrokenContract:
            return differentiable
    names = {name for name in found if name in differentiable}
    if not names:
        if not parameters and differentiable:
            raise ArgumentError(
                f"layer: {kind}.{calling.backward or calling.gradient or 'loss'} returned nothing for its inputs "
                f"({', '.join(differentiable)}), and no parameter with a gradient was found: nothing is claimed "
                "that could be checked; return the input gradients, or store parameter gradients as dW for W, "
                "grads['W'] for params['W'] or .grad on a parameter object"
            )
        if differentiable:
            notes.append(
                f"nothing is returned for the inputs ({', '.join(differentiable)}): only parameters are checked"
            )
        return ()
    size_one = all(np.size(value) == 1 for value in state.outputs.values())
    unclaimed = [name for name in differentiable if found.get(name) is None]
    silent = [name for name in unclaimed if isinstance(result, Mapping) or left or (size_one and is_target_name(name))]
    if silent:
        notes.append(f"no gradient is claimed for {', '.join(silent)}: not checked")
    return tuple(name for name in differentiable if name not in silent)
