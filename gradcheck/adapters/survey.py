"""What does an object differentiate, and where does it leave the results? Found by running a copy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
from gradcheck.adapters.graph import (
    Path,
    call_everywhere,
    resolve,
)
from gradcheck.adapters.pairing import (
    MISSING,
    gradient_names,
    is_forgotten,
    read,
)
from gradcheck.adapters.results import assign
from gradcheck.errors import ArgumentError
from gradcheck.layer import Array, BrokenContract, Named, is_differentiable

RESET_METHODS = (
    "zero_grad",
    "zero_grads",
    "clear_grad",
    "clear_grads",
    "zero_gradients",
    "reset_gradients",
    "reset_grads",
)
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


@contextmanager
def trial(what: str) -> Iterator[None]:
    """Add to an exception of the user's code which call raised it."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, ArgumentError):
            error.add_note(f"gradcheck: raised by {what} in a trial call with the given inputs")
        raise


def reset(model: Any) -> None:
    """Call what the object has for clearing its gradients."""
    for method in RESET_METHODS:
        try:
            if call_everywhere(model, method):
                return
        except TypeError:  # it wants arguments: not the method meant
            continue


def _copies(primals: Named) -> Named:
    return {name: np.array(value, order="K") for name, value in primals.items()}


def _nudged(primals: Named) -> Named:
    rng = np.random.default_rng(0)
    return {
        name: (value * (1 + 1e-3 * rng.uniform(1, 2, value.shape)) + 1e-6).astype(value.dtype)
        if is_differentiable(value)
        else np.array(value)
        for name, value in primals.items()
    }


def _cotangents(state: State) -> Named:
    rng = np.random.default_rng(0)
    return {
        name: np.asarray(
            rng.uniform(0.5, 1.5, value.shape) * rng.choice((-1.0, 1.0), value.shape),
            dtype=value.dtype if is_differentiable(value) else np.float64,
        )
        for name, value in state.outputs.items()
    }


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
    overwritten = _overwritten(model, calling, primals, front)
    calling, notes = _settle(model, calling, primals)
    with trial(front):
        state = calling.run_forward(model, _copies(primals))
    _require_scalar(calling, state, kind)
    if calling.backward or calling.gradient:
        reset(model)
    held = float_places(model)
    before = {path: np.array(value) for path, (_, value) in held.items()}
    with trial(f"{kind}.{calling.backward or calling.gradient or 'loss'}"):
        result = calling.run_backward(model, state, _cotangents(state))
    paired, single = find_candidates(model, held, overwritten, before)
    changed = {
        p.name
        for p in (*paired, *single)
        if (now := read(model, p.paths[0])) is not MISSING and differs(now, before[p.paths[0]])
    }
    updated = {p.name for p in (*paired, *single) if p.name in changed and has_rate(model, calling, p)}
    # Where no gradient was found, an array counts only if the output depends on it; numbers are settings.
    unset = [p for p in paired if all(read(model, path) is None for path in p.gradients)]
    arrays = [p for p in (*unset, *single) if np.ndim(p.value) or p.name in changed or p in unset]
    open_ = [p for p in arrays if _matters(model, calling, primals, p)]
    returned = _returned(result, calling, primals, open_)
    if result is not None and not returned:
        # A bias may be a bare number: it counts if a gradient comes back for it.
        numbers = [p for p in single if _NUMBER.match(p.name) and _matters(model, calling, primals, p)]
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
        inputs=_claimed(result, calling, primals, state, returned, left, bool(parameters), notes, kind),
        overwritten=frozenset(overwritten),
        lazy=any(path not in existing for p in parameters for path in p.paths[:1]),
        mutates=bool(updated),
        notes=(*calling.notes, *notes),
        trial_calls=(calling.calls[0], calling.calls[1]),
    )


def _overwritten(model: Any, calling: Calling, primals: Named, front: str) -> set[Path]:
    """Find what the forward itself writes, by running it at two points: caches, not parameters.

    What changes with every forward of the same inputs is no cache but a parameter that the forward decays: the contract
    will say so.
    """
    initial = {path: np.array(value) for path, (_, value) in float_places(model).items()}
    with trial(front):
        given = _copies(primals)
        calling.run_forward(model, given)
    first = {path: (value, np.array(value)) for path, (_, value) in float_places(model).items()}
    with trial(front):
        calling.run_forward(model, given)
    again = {path: np.array(value) for path, (_, value) in float_places(model).items()}
    evolving = {path for path in initial if path in again and path in first and differs(first[path][1], again[path])}
    try:
        with np.errstate(all="ignore"):
            calling.run_forward(model, _nudged(primals))
    except Exception:  # only a second look at what forward overwrites; the user hears of real errors
        pass
    second = {path: np.array(value) for path, (_, value) in float_places(model).items()}
    return {
        path
        for path, (value, copied) in first.items()
        if path not in evolving
        and (
            path not in second
            or differs(copied, second[path])
            or (path in initial and differs(initial[path], copied))
            or (isinstance(value, np.ndarray) and any(np.may_share_memory(value, array) for array in given.values()))
        )
    }


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


def has_rate(model: Any, calling: Calling, parameter: Parameter) -> bool:
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


def _settle(  # one return a question
    model: Any, calling: Calling, primals: Named
) -> tuple[Calling, list[str]]:
    """Settle by trying what signatures leave open; errors of the user's code are left for the real trial."""
    if calling.gradient or len(calling.feed) != 1 or calling.feed[0][0] != "cotangent" or calling.loss is not None:
        return calling, []
    name = calling.feed[0][1]
    try:
        state = calling.run_forward(model, _copies(primals))
        scalar = all(np.size(value) == 1 for value in state.outputs.values())
        same_name = name == calling.inputs[0] and len(calling.inputs) == 1
        if not (calling.optional and scalar) and not same_name:
            return calling, []
        seen = []
        for factor in (1.0, 2.0):
            state = calling.run_forward(model, _copies(primals))
            reset(model)
            cotangents = {key: factor * value for key, value in _cotangents(state).items()}
            seen.append([calling.run_backward(model, state, cotangents)])
            seen[-1] += [np.array(value) for _, value in float_places(model).values()] if calling.optional else []
    except Exception:  # see above
        return calling, []
    if same_name and not calling.optional:
        once, twice = (np.asarray(values[0], dtype=float) for values in seen)
        if once.shape == twice.shape and not np.allclose(twice, 2 * once, rtol=1e-3, atol=0.0):
            return replace(calling, feed=(("input", name),), elementwise=True), []
        return calling, []
    if len(seen[0]) == len(seen[1]) and not any(_unequal(a, b) for a, b in zip(*seen, strict=True)):
        method = f"{type(model).__name__}.{calling.backward}"
        note = f"{method} ignores {name}: right only for the last layer, where it is 1"
        return replace(calling, feed=(), cotangent=False), [note]
    return calling, []


def _unequal(a: Any, b: Any) -> bool:
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        return len(a) != len(b) or any(_unequal(x, y) for x, y in zip(a, b, strict=True))
    return a is not b and (a is None or b is None or differs(a, b))


def _outputs(model: Any, calling: Calling, primals: Named) -> list[Array]:
    with np.errstate(all="ignore"):
        return [np.array(value) for value in calling.run_forward(model, _copies(primals)).outputs.values()]


def _matters(model: Any, calling: Calling, primals: Named, parameter: Parameter) -> bool:
    """Tell whether the output depends on a parameter, by changing it."""
    places = [place for path, (place, _) in float_places(model).items() if path in parameter.paths]
    if not places:
        return False
    old = [place.get() for place in places]
    try:
        base = _outputs(model, calling, primals)
        for place in places:
            # Unequal changes: a softmax does not notice the same shift of every bias.
            place.set(parameter.value * 1.25 + 0.125 * np.random.default_rng(0).uniform(1, 2, parameter.value.shape))
        return any(_unequal(a, b) for a, b in zip(base, _outputs(model, calling, primals), strict=True))
    except Exception:  # a value it does not stand: it looked at it
        return True
    finally:
        for place, value in zip(places, old, strict=True):
            place.set(value)


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


def _claimed(  # all that the trial showed
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
