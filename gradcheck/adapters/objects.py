"""How does an object with forward and backward become a layer? `adapt_object` puts the pieces together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from gradcheck.adapters.calling import BACKWARD, FORWARD, LOSS, LOSS_AND_GRADIENT, is_target_name, method_of, required
from gradcheck.adapters.candidates import Parameter, float_places
from gradcheck.adapters.choosing import work_out
from gradcheck.adapters.composed import parts_of
from gradcheck.adapters.graph import Path, Place, copy_object, is_float_array, memory_root, rebase, resolve
from gradcheck.adapters.inputs import Wrt, choose_wrt, name_inputs, positional_parameters
from gradcheck.adapters.pairing import MISSING, read
from gradcheck.adapters.randomness import Randomness
from gradcheck.adapters.results import assign
from gradcheck.adapters.survey import RATES, Survey, survey
from gradcheck.adapters.trials import reset, trial
from gradcheck.errors import ArgumentError
from gradcheck.layer import Array, Derivative, Layer, Named


def adapt_object(  # the check's own keywords, handed through
    layer: Any,
    inputs: Sequence[Any],
    *,
    names: Sequence[str] | None = None,
    wrt: Wrt = None,
    loss: Any = None,
    targets: Any = None,
    accumulates: bool = False,
    randomness: Randomness | None = None,
) -> Layer:
    """Make a `Layer` of an object with a forward and a backward, and of the parameters it holds.

    Parameters
    ----------
    layer : object
        It is copied and never changed. Understood are

        - ``forward(*inputs)`` with ``backward(dout)`` that returns the gradients of the inputs (an array, a
          tuple in order, a dict by name, or None for none) or leaves them in ``dinputs`` or ``dX``;
        - ``forward(X)`` with ``backward(Y)``, given `targets` and `loss` (or a loss method of its own);
        - ``forward(X, Y)`` that returns a scalar, with ``backward()`` or ``backward(dout=1)``;
        - ``loss(X, Y)`` with ``gradients(X, Y)``, or ``loss(X, Y)`` that returns ``(loss, gradients)``;
        - ``backward(dout, learning_rate)`` that updates the parameters at once.

        Gradients of parameters are found as ``dW``, ``grad_W``, ``W_grad``, ``dLdW`` and the like beside
        ``W``, in ``grads`` beside ``params`` (dicts or lists), as ``.grad`` of parameter objects with
        ``.data`` or ``.value``, from methods that list them, and behind those of the inputs in what backward
        returns. Layers may be nested in attributes, lists, tuples and dicts.
    inputs : sequence of array_like
        What forward takes, targets included where it (or the loss method) takes them. Integers are constants.
    names : sequence of str, optional
        For the inputs; forward's parameter names otherwise.
    wrt : str, int or iterable of these, optional
        Names of inputs, names of parameters (``"layer1.W"``, ``"layers[0].W"``), beginnings of such names
        (``"layer1"``) or positions.
    loss : callable, optional
        ``loss(prediction, targets)``, a scalar, for a model whose backward takes targets.
    targets : array_like, optional
        For `loss`, or for the object's own loss method.
    accumulates : bool
        Backward adds to the gradients that are there: they are set to zero before each call.
    randomness : Randomness, optional
        The check's own, which gives back what is drawn.

    Returns
    -------
    Layer
        Not reentrant; parameters are primals beside the inputs.

    Raises
    ------
    ArgumentError
        If the object cannot be copied or called in any of these ways, or if nothing is left to differentiate.

    Examples
    --------
    >>> class Dense:
    ...     def __init__(self):
    ...         self.W = np.ones((3, 2))
    ...     def forward(self, X):
    ...         self.X = X
    ...         return X @ self.W
    ...     def backward(self, dout):
    ...         self.dW = self.X.T @ dout
    ...         return dout @ self.W.T
    >>> layer = adapt_object(Dense(), [np.ones((4, 3))])
    >>> layer.wrt
    ('X', 'W')
    """
    if isinstance(layer, type):
        raise ArgumentError(f"layer: {layer.__name__} is a class; make an object of it first: {layer.__name__}(...)")
    if randomness is None:
        randomness = Randomness(layer, loss, layer=layer)
    pristine = copy_object(layer)
    goal = None if targets is None else np.array(targets)
    primals = _name_inputs(pristine, inputs, names, given=goal is not None)
    calling = replace(work_out(pristine, tuple(primals), loss, goal), randomness=randomness)
    found = survey(copy_object(pristine), calling, primals)
    taken = set(primals)
    labels = {p.name: f"self.{p.name}" if p.name in taken else p.name for p in found.parameters}
    everything = {**primals, **{labels[p.name]: np.array(p.value, order="K") for p in found.parameters}}
    claimed = (*found.inputs, *(labels[p.name] for p in found.parameters))
    chosen = choose_wrt(everything, claimed if wrt is None and claimed else wrt)
    kind = type(layer).__name__

    keywords = {"names": names, "wrt": wrt, "loss": loss, "targets": targets, "accumulates": accumulates}
    remake = randomness.recipe(adapt_object, layer, inputs, **keywords)

    def build() -> Layer:
        bound = _Bound(copy_object(pristine), found, labels, primals, accumulates=accumulates)
        return Layer(
            name=kind,
            call=bound,
            primals={name: np.array(value, order="K") for name, value in everything.items()},
            wrt=chosen,
            cotangent=found.calling.cotangent,
            reentrant=False,
            fresh=build,
            remake=remake,
            shares_state=randomness.is_state,
            notes=found.notes,
            trial_calls=found.trial_calls,
            reproduce=f"gradcheck.check_layer({', '.join((f'{kind}(...)', *primals, *randomness.written))})",
            parts=lambda cotangents, gradient: parts_of(build(), cotangents, gradient, _adapt_stage),
        )

    return build()


def at_a_generic_point(layer: Any, inputs: Sequence[Any], rng: np.random.Generator, **keywords: Any) -> Any:
    """Return a copy of an object in which no parameter is one number all over, as ``gamma = ones`` is.

    Where it is 1, a backward that forgets to multiply by it is right.

    Parameters
    ----------
    layer, inputs, **keywords
        As for `adapt_object`.
    rng : numpy.random.Generator
        For the factors, from 1/4 to 1/2: signs, zeros and what must not exceed 1 stay so, and none rounds to 1.
    """
    bound = cast(_Bound, adapt_object(layer, inputs, **keywords).call)
    model = copy_object(layer)  # the bound one has been tried out
    held = float_places(model)
    for parameter in bound.found.parameters:
        value = parameter.value
        if value.size > 1 and value.flat[0] != 0 and np.all(value == value.flat[0]):
            factors = rng.uniform(0.25, 0.5, value.shape)
            _slot(parameter, held, bound.found).set((value * factors).astype(value.dtype))
    return model


def _adapt_stage(stage: Any, given: Array) -> Layer:
    return adapt_object(stage, [given])


def _name_inputs(layer: Any, inputs: Sequence[Any], names: Sequence[str] | None, *, given: bool) -> Named:
    """Name the inputs after the parameters of forward, or of the loss method where forward takes fewer."""
    forward, lossy = method_of(layer, FORWARD), method_of(layer, (*LOSS, *LOSS_AND_GRADIENT))
    method = getattr(layer, forward or lossy) if forward or lossy else None
    known = positional_parameters(method) if method is not None else None
    if names is not None or known is None or known[2] or len(inputs) <= len(known[0]):
        return name_inputs(method, inputs, names)
    labels = list(known[0])
    for other in (method_of(layer, BACKWARD), lossy):
        labels += [name for name in required(getattr(layer, other)) if other and is_target_name(name)] if other else []
    labels = list(dict.fromkeys([*labels, "targets", *(f"x{i}" for i in range(len(inputs)))]))
    return name_inputs(method, inputs, labels[: len(inputs)])


class _Slot:
    """A parameter of one copy of the object: where to write it."""

    def __init__(self, parameter: Parameter, places: Sequence[Place], family: Sequence[Place]) -> None:
        self.parameter = parameter
        self.places = places
        self.family = family

    def set(self, value: Array) -> None:
        """Give every place this very array; write into memory that other arrays look into."""
        if not self.family:
            for place in self.places:
                place.set(value)
            return
        current = self.places[0].get()
        if current.dtype != value.dtype:
            distinct = {id(array): array for array in (place.get() for place in self.family)}
            copies = dict(zip(distinct, rebase(list(distinct.values()), value.dtype), strict=True))
            for place in self.family:
                place.set(copies[id(place.get())])
            current = self.places[0].get()
        current[...] = value


class _Bound:
    """One copy of the user's object as `Layer.call`."""

    def __init__(
        self, model: Any, found: Survey, labels: Mapping[str, str], primals: Named, *, accumulates: bool
    ) -> None:
        self.model = model
        self.found = found
        self.labels = labels
        self.accumulates = accumulates
        self.shapes = [(p.name, p.value.shape) for p in found.parameters if p.name in found.returned]
        kind = type(model).__name__
        self.what = f"{kind}.{found.calling.backward or found.calling.gradient or 'loss'}"
        if found.lazy:
            with trial(f"{kind}.{found.calling.forward}"):
                found.calling.run_forward(model, {name: np.array(value) for name, value in primals.items()})
        if found.mutates:
            _set_rates(model, found.parameters)
        held = float_places(model)
        self.slots = [_slot(p, held, found) for p in found.parameters]

    def __call__(self, primals: Named) -> tuple[Named, Derivative]:
        for slot in self.slots:
            value = primals[self.labels[slot.parameter.name]]
            # A backward that updates the parameters gets copies: to change them is its convention.
            slot.set(np.array(value) if self.found.mutates else value)
        calling = self.found.calling
        state = calling.run_forward(self.model, {name: primals[name] for name in self._inputs(primals)})

        def derivative(cotangents: Named) -> Mapping[str, object]:
            return self._backward(state, cotangents, primals)

        return state.outputs, derivative

    def _inputs(self, primals: Named) -> list[str]:
        own = set(self.labels.values())
        return [name for name in primals if name not in own]

    def _backward(self, state: Any, cotangents: Named, primals: Named) -> Mapping[str, object]:
        found, calling = self.found, self.found.calling
        if calling.backward or calling.gradient:
            reset(self.model)
        if self.accumulates:
            self._zero()
        before = {p.name: np.array(read(self.model, p.paths[0])) for p in found.parameters if p.updated}
        result = calling.run_backward(self.model, state, cotangents)
        inputs = {} if calling.gradient or not calling.backward else {n: primals[n] for n in calling.inputs}
        gradients: dict[str, object] = {
            self.labels.get(name, name): value
            for name, value in assign(result, inputs, self.shapes, what=self.what, scalar=not calling.cotangent).items()
        }
        if result is None:
            gradients |= {name: read(self.model, path) for name, path in found.left.items()}
        for p in found.parameters:
            if p.updated:
                gradients[self.labels[p.name]] = before[p.name] - read(self.model, p.paths[0])
            elif p.gradients:
                gradients[self.labels[p.name]] = _gather([read(self.model, path) for path in p.gradients])
        return {name: value for name, value in gradients.items() if value is not MISSING}

    def _zero(self) -> None:
        for p in self.found.parameters:
            for path in p.gradients:
                value = read(self.model, path)
                if isinstance(value, np.ndarray):
                    value[...] = 0


def _gather(values: Sequence[Any]) -> Any:
    """Copy a gradient, which the object may write into later; add up those of a shared parameter."""
    known = [value for value in values if value is not MISSING and value is not None]
    if not known:
        return None if None in values else MISSING
    total = np.array(known[0]) if isinstance(known[0], np.ndarray) else known[0]
    for value in known[1:]:
        total = total + value
    return total


def _slot(parameter: Parameter, held: Mapping[Path, tuple[Place, Any]], found: Survey) -> _Slot:
    places = [held[path][0] for path in parameter.paths if path in held]
    values = {id(held[path][1]) for path in parameter.paths if path in held}
    array = held[parameter.paths[0]][1]
    if not is_float_array(array):
        return _Slot(parameter, places, ())
    family = [
        place
        for path, (place, value) in held.items()
        if isinstance(value, np.ndarray)
        and path not in found.overwritten
        and memory_root(value) is memory_root(array)
        and np.may_share_memory(value, array)
    ]
    shared = any(id(place.get()) not in values for place in family)
    if not shared:
        return _Slot(parameter, places, ())
    # All that look into one memory move together, whether they overlap with this parameter or not.
    whole = [
        place
        for path, (place, value) in held.items()
        if isinstance(value, np.ndarray)
        and path not in found.overwritten
        and memory_root(value) is memory_root(array)
        and value.dtype == array.dtype
    ]
    return _Slot(parameter, places, whole)


def _set_rates(model: Any, parameters: Sequence[Parameter]) -> None:
    """Make a stored learning rate 1, so that an update shows the gradient to full precision."""
    holders = [resolve(model, path[:-1]) for p in parameters if p.updated for path in p.paths]
    for holder in [model, *holders]:
        own = getattr(holder, "__dict__", {})
        for name in RATES:
            if isinstance(own.get(name), (int, float)):
                own[name] = 1.0
