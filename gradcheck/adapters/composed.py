"""What is a model composed of? Its stages and what lies between them, each a layer by itself, as the model uses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradcheck.adapters.graph import copy_object
from gradcheck.adapters.watching import Call, Watch
from gradcheck.errors import ArgumentError
from gradcheck.layer import Array, Derivative, Layer, Named, Part

_ROUNDING = 1e-12  # of the largest entry: what a stage gives by itself is what it gives in the model, up to this
Adapt = Callable[[Any, Array], Layer]
"""``adapt(stage, input)``."""


def parts_of(layer: Layer, cotangents: Named, gradient: Named, adapt: Adapt) -> list[Part]:
    """Take a model apart into its stages and what lies between them.

    Parameters
    ----------
    layer : Layer
        The model, whose `fresh().call` has the object as its `model`.
    cotangents : dict of str to ndarray
        Of its outputs.
    gradient : dict of str to ndarray
        What it gave for them: the analytic gradient.
    adapt : callable
        Makes a layer of a stage and its input.

    Returns
    -------
    list of Part
        In the order of the forward, each with the cotangent that the model's backward gives it. If each of them is
        right, then so is the model: its gradient was seen to be what they give, one behind the other. Empty where that
        is not so, or cannot be seen: the stages must take and return one array each, be called once, and hold all
        parameters.
    """
    if layer.fresh is None:
        return []
    watch = Watch()
    bound: Any = layer.fresh().call
    primals = {name: np.array(array, order="K") for name, array in layer.primals.items()}
    with watch.over(bound.model):
        outputs, derivative = bound(primals)
        derivative(cotangents)
    chain = _chain(watch.calls)
    head = next((n for n in primals if chain and np.array_equal(primals[n], chain[0].given)), None)
    if len(chain) < 2 or head is None:
        return []
    try:
        stages = [_of_stage(stage, head if stage is chain[0] else "", gradient, adapt) for stage in chain]
    except (ArgumentError, _NotComposedError):
        return []
    if {name for part in stages for name in part.names.values()} != set(gradient):
        return []
    parts: list[Part] = []
    between = _Between(bound, watch, primals, cotangents, layer.wrt)
    for k, (stage, following) in enumerate(zip(chain, (*chain[1:], None), strict=True)):
        parts.append(stages[k])
        entered = outputs if following is None else {"output": following.given}
        weights = cotangents if following is None else {"output": _known(following.passed)}
        straight = len(entered) == 1 and _is(entered, stage.returned) and _is(weights, stage.cotangent)
        if not between.depends_on(stage, following, chain[:k], entered, head, straight=straight):
            return []
        if not straight:
            parts.append(Part(between.layer(stage, following, weights, scalar=not layer.cotangent), {}))
    return parts


def _is(named: Named, array: Array) -> bool:
    return np.array_equal(next(iter(named.values())), array)


class _NotComposedError(Exception):
    """What the stages give by themselves is not what the model gives."""


@dataclass(frozen=True, eq=False)
class _Stage:
    """A stage's forward and backward in the model: ``returned = f(given)``, ``passed = vjp(cotangent)``."""

    name: str
    stage: Any
    given: Array
    returned: Array
    cotangent: Array
    passed: Array | None


def _chain(calls: list[Call]) -> list[_Stage]:
    """Return the stages in the order of the forward; empty where they are not called one behind the other."""
    backward = [call for call in calls if call.direction == "backward"][::-1]
    first = next((k for k, call in enumerate(calls) if call.direction == "backward"), 0)
    forward = [call for call in calls[:first] if call.direction == "forward"][-len(backward) :]
    names = [call.name for call in forward]
    if names != [call.name for call in backward] or len(set(names)) < len(names):
        return []
    stages: list[_Stage] = []
    for there, back in zip(forward, backward, strict=True):
        if there.given is None or there.gave is None or back.given is None or (stages and back.gave is None):
            return []
        stages.append(_Stage(there.name, there.stage, there.given, there.gave, back.given, back.gave))
    return stages


def _of_stage(stage: _Stage, head: str, gradient: Named, adapt: Adapt) -> Part:
    """Return a stage as a part, if by itself it gives what it gives in the model.

    Parameters
    ----------
    stage : _Stage
        The stage.
    head : str
        The model's name for the stage's input; empty where that is another stage's output.
    gradient : dict of str to ndarray
        The model's.
    adapt : callable
        Makes a layer of it.
    """
    layer = adapt(copy_object(stage.stage), stage.given)
    x = next(iter(layer.primals))
    names = {p: f"{stage.name}.{p}" for p in layer.wrt if p != x and f"{stage.name}.{p}" in gradient}
    if head in gradient:
        names[x] = head
    chosen = tuple(name for name in layer.wrt if name in names or (name == x and not head))
    outputs, derivative = layer({name: array.copy(order="K") for name, array in layer.primals.items()})
    weights = dict.fromkeys(outputs, stage.cotangent)
    passed = derivative({name: array.copy() for name, array in weights.items()})
    expected = {name: gradient[label] for name, label in names.items()}
    if stage.passed is not None:
        expected[x] = stage.passed
    if len(outputs) != 1 or not _same(next(iter(outputs.values())), stage.returned):
        raise _NotComposedError
    if not all(name in passed and _same(passed[name], array) for name, array in expected.items()):
        raise _NotComposedError
    if head in gradient and not _same(expected[x], gradient[head]):
        raise _NotComposedError
    name = f"{stage.name} ({type(stage.stage).__name__})"
    return Part(replace(layer, name=name, wrt=chosen, weights=weights, fresh=None), names)


def _same(one: Any, other: Array) -> bool:
    """Tell whether two results are the same up to rounding."""
    one = np.asarray(one)
    if one.shape != other.shape or not np.isfinite(other).all():
        return False
    near = _ROUNDING if other.dtype.itemsize > 4 or other.dtype.kind == "c" else np.sqrt(_ROUNDING)
    return bool(np.max(np.abs(one - other), initial=0.0) <= near * np.max(np.abs(other), initial=0.0))


@dataclass(frozen=True, eq=False)
class _Between:
    """The model with another array in place of what one stage returns: a function of it."""

    bound: Any
    watch: Watch
    primals: Named
    cotangents: Named
    wrt: tuple[str, ...]

    def depends_on(
        self,
        stage: _Stage,
        following: _Stage | None,
        earlier: list[_Stage],
        entered: Named,
        head: str,
        *,
        straight: bool,
    ) -> bool:
        """Tell whether what follows a stage depends on what that returns and, up to the next stage, on nothing else.

        Everything before is moved: inputs, all parameters, and what the stages before return. A connection that skips a
        stage shows, and so does a parameter that is used twice. Where the following stage gets just what this one
        returns, that is moved as well, and must arrive.
        """
        rng = np.random.default_rng(0)
        primals = {name: _moved(rng, a) if name in self.wrt else a for name, a in self.primals.items()}
        returned = _moved(rng, stage.returned) if straight else stage.returned
        self.watch.calls.clear()
        self.watch.instead = {("forward", other.name): _moved(rng, other.returned) for other in earlier}
        self.watch.instead["forward", stage.name] = returned
        try:
            with np.errstate(all="ignore"), self.watch.over(self.bound.model):
                outputs, _ = self.bound(primals)
        except Exception:  # nobody asked for that point: the model is checked as a whole
            return False
        if following is not None:
            outputs = {"output": _known(self.watch.last("forward", following.name).given)}
        arrived = {next(iter(outputs)): returned} if straight else entered
        first = next(call for call in self.watch.calls if call.direction == "forward")
        begins = first.given is not None and np.array_equal(first.given, primals[head])
        return begins and all(np.array_equal(outputs[name], array) for name, array in arrived.items())

    def layer(self, stage: _Stage, following: _Stage | None, weights: Named, *, scalar: bool) -> Layer:
        """Return what lies between a stage and the following one, or the end of the model.

        Parameters
        ----------
        stage, following : _Stage
            The following one is None for the end.
        weights : dict of str to ndarray
            The cotangents that come from there.
        scalar : bool
            The model is a loss.
        """
        x = f"output of {stage.name}"

        def call(primals: Named) -> tuple[Named, Derivative]:
            self.watch.calls.clear()
            self.watch.instead = {("forward", stage.name): primals[x]}
            with self.watch.over(self.bound.model):
                outputs, derivative = self.bound(self.primals)
            if following is not None:
                outputs = {"output": _known(self.watch.last("forward", following.name).given)}

            def pullback(cotangents: Named) -> Mapping[str, object]:
                if following is not None:
                    self.watch.instead["backward", following.name] = cotangents["output"].copy()
                with self.watch.over(self.bound.model):
                    derivative(self.cotangents if following is not None else cotangents)
                return {x: _known(self.watch.last("backward", stage.name).given)}

            return outputs, pullback

        name = f"from {stage.name} to {following.name}" if following is not None else f"behind {stage.name}"
        loss = scalar and following is None
        return Layer(
            name,
            call,
            {x: stage.returned.copy()},
            (x,),
            cotangent=not loss,
            reentrant=False,
            weights=None if loss else weights,
        )


def _moved(rng: np.random.Generator, array: Array) -> Array:
    """Return an array with every number moved by a few percent, zeros by a few hundredths."""
    step = rng.uniform(0.02, 0.05, array.shape) * rng.choice([-1.0, 1.0], array.shape)
    return np.asarray(array + np.where(array == 0, 1.0, array) * step).astype(array.dtype)


def _known(array: Array | None) -> Array:
    if array is None:
        raise _NotComposedError
    return array
