"""What do trial calls of an object show? What its forward overwrites and depends on, and what signatures leave open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.adapters.calling import Calling, State
from gradcheck.adapters.candidates import Parameter, differs, float_places
from gradcheck.adapters.graph import Path, call_everywhere
from gradcheck.errors import ArgumentError
from gradcheck.layer import Array, Named, is_differentiable

RESET_METHODS = (
    "zero_grad",
    "zero_grads",
    "clear_grad",
    "clear_grads",
    "zero_gradients",
    "reset_gradients",
    "reset_grads",
)


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


def copies(primals: Named) -> Named:
    """Return arrays of one call's own, which the user's code may write to."""
    return {name: np.array(value, order="K") for name, value in primals.items()}


def cotangents_for(state: State) -> Named:
    """Draw signed random cotangents for a forward's outputs: the same in every trial."""
    rng = np.random.default_rng(0)
    return {
        name: np.asarray(
            rng.uniform(0.5, 1.5, value.shape) * rng.choice((-1.0, 1.0), value.shape),
            dtype=value.dtype if is_differentiable(value) else np.float64,
        )
        for name, value in state.outputs.items()
    }


def find_overwritten(model: Any, calling: Calling, primals: Named, front: str) -> set[Path]:
    """Find what the forward itself writes, by running it at two points: caches, not parameters.

    What changes with every forward of the same inputs is no cache but a parameter that the forward decays: the contract
    will say so.
    """
    initial = {path: np.array(value) for path, (_, value) in float_places(model).items()}
    with trial(front):
        given = copies(primals)
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


def matters(model: Any, calling: Calling, primals: Named, parameter: Parameter) -> bool:
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


def corrected(model: Any, calling: Calling, primals: Named) -> tuple[Calling, list[str]]:
    """Return how an object is called, where trying settles what signatures leave open, and notes.

    Errors of the user's code are left for the real trial.
    """
    if calling.gradient or len(calling.feed) != 1 or calling.feed[0][0] != "cotangent" or calling.loss is not None:
        return calling, []
    name = calling.feed[0][1]
    try:
        state = calling.run_forward(model, copies(primals))
        scalar = all(np.size(value) == 1 for value in state.outputs.values())
        same_name = name == calling.inputs[0] and len(calling.inputs) == 1
        if not (calling.optional and scalar) and not same_name:
            return calling, []
        seen = []
        for factor in (1.0, 2.0):
            state = calling.run_forward(model, copies(primals))
            reset(model)
            cotangents = {key: factor * value for key, value in cotangents_for(state).items()}
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


def _nudged(primals: Named) -> Named:
    """Return inputs nearby."""
    rng = np.random.default_rng(0)
    return {
        name: (value * (1 + 1e-3 * rng.uniform(1, 2, value.shape)) + 1e-6).astype(value.dtype)
        if is_differentiable(value)
        else np.array(value)
        for name, value in primals.items()
    }


def _outputs(model: Any, calling: Calling, primals: Named) -> list[Array]:
    with np.errstate(all="ignore"):
        return [np.array(value) for value in calling.run_forward(model, copies(primals)).outputs.values()]


def _unequal(a: Any, b: Any) -> bool:
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        return len(a) != len(b) or any(_unequal(x, y) for x, y in zip(a, b, strict=True))
    return a is not b and (a is None or b is None or differs(a, b))
