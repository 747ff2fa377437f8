"""How are an object's forward and backward called? The methods, their arguments, and running them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from gradcheck.adapters.inputs import positional_parameters
from gradcheck.adapters.randomness import Randomness
from gradcheck.errors import ArgumentError
from gradcheck.layer import Named, name_outputs

FORWARD = (
    "forward",
    "forward_pass",
    "forward_propagation",
    "forward_prop",
    "forward_propagate",
    "forwards",
    "feedforward",
    "feed_forward",
    "fprop",
    "fwd",
    "__call__",
)
BACKWARD = (
    "backward",
    "backward_pass",
    "backward_propagation",
    "backward_prop",
    "backward_propagate",
    "backpropagation",
    "backpropagate",
    "backprop",
    "back_prop",
    "backwards",
    "bprop",
    "bwd",
    "back",
)
LOSS = (
    "loss",
    "compute_loss",
    "compute_cost",
    "cost",
    "calculate_loss",
    "calculate",
    "loss_fn",
    "get_loss",
    "objective",
)
GRADIENT = (
    "gradients",
    "gradient",
    "grad",
    "grads",
    "compute_gradients",
    "compute_gradient",
    "loss_gradient",
)
LOSS_AND_GRADIENT = (
    "compute_loss_and_gradients",
    "compute_loss_and_grads",
    "compute_loss_and_gradient",
    "loss_and_gradients",
    "loss_and_gradient",
    "loss_and_grads",
    "loss_and_grad",
    "cost_and_gradients",
    "cost_and_gradient",
    "loss_gradient",
)
"""Methods that return a loss, and return its gradients beside it or leave them in the parameters."""
DERIVATIVE = ("derivative", "gradient", "grad", "prime", "deriv", "d", "df", *BACKWARD)
OUTPUT = ("output", "outputs", "out", "y", "Y", "A", "a", "Z", "z", "activation", "result")
"""Where a forward that returns nothing leaves its output."""

Role = Literal["cotangent", "input", "targets", "output", "prediction", "cache", "rate"]
_ROLES: tuple[tuple[Role, re.Pattern[str]], ...] = (
    ("rate", re.compile(r"^(lr|alpha|eta|(learning|learn|l)_?rate|rate|step_?size)$", re.I)),
    ("cache", re.compile(r"^(cache\w*|ctx|context|saved\w*|memory|tape)$", re.I)),
    (
        "targets",
        re.compile(
            r"^(y|t|y_?(true|train|batch|real|target)\w*|t_?(true|batch|train)|targets?|true_?\w*|labels?|lbls?"
            r"|expected\w*|desired\w*|truth|ground_?truth|actual\w*|gt)$",
            re.I,
        ),
    ),
    ("output", re.compile(r"^(y_?hat|y_?pred\w*|pred\w*|probs?|probabilities|logits?|scores?)$", re.I)),
)


def role_of(name: str, inputs: Sequence[str]) -> Role:
    """Tell from its name what a backward's parameter stands for; a name that says nothing is the cotangent.

    Parameters
    ----------
    name : str
        The parameter.
    inputs : sequence of str
        The forward's parameters.

    Returns
    -------
    str
        One of ``"cotangent"``, ``"input"``, ``"targets"``, ``"output"``, ``"cache"``, ``"rate"``.

    Examples
    --------
    >>> [role_of(name, ["X"]) for name in ("X", "dout", "y_true", "learning_rate")]
    ['input', 'cotangent', 'targets', 'rate']
    """
    if name in inputs:
        return "input"
    return next((role for role, pattern in _ROLES if pattern.match(name)), "cotangent")


def is_target_name(name: str) -> bool:
    """Tell whether a name is usual for the targets of a loss."""
    return role_of(name, ()) == "targets"


@dataclass(frozen=True, eq=False)
class State:
    """What one forward leaves for its backward, beside what the object itself keeps."""

    arguments: Mapping[str, Any]
    returned: Any
    cache: Any = None
    outputs: Named = field(default_factory=dict)
    derivative: Any = None


@dataclass(frozen=True, eq=False)
class Calling:
    """How one object is called.

    Attributes
    ----------
    forward, backward : str
        Method names; empty where the loss method does that work.
    inputs : tuple of str
        The primals that forward takes, in order.
    feed : tuple of (role, name)
        What backward takes, in order.
    loss : callable or None
        ``loss(model, arguments, returned) -> scalar``.
    loss_first : bool
        The loss method runs the forward itself; the derivative runs forward again before backward.
    gradient : str
        The method that takes inputs and targets and returns the parameters' gradients.
    elementwise : bool
        Backward returns ``f'(x)`` and is multiplied by the cotangent.
    cotangent : bool
        False where the derivative is that of a scalar loss.
    targets : Any
        For losses, where they were given beside the inputs.
    cached : bool
        Forward returns ``(output, cache)``.
    optional : bool
        Backward's cotangent has a default.
    notes : tuple of str
        For the reader.
    calls : list of two int
        Counts the forward and backward calls made so far.
    randomness : Randomness
        Puts the random state back before each forward.
    """

    forward: str
    backward: str
    inputs: tuple[str, ...]
    feed: tuple[tuple[Role, str], ...] = ()
    loss: Callable[[Any, Mapping[str, Any], Any], Any] | None = None
    loss_first: bool = False
    gradient: str = ""
    elementwise: bool = False
    cotangent: bool = True
    targets: Any = None
    cached: bool = False
    optional: bool = False
    notes: tuple[str, ...] = ()
    calls: list[int] = field(default_factory=lambda: [0, 0])
    randomness: Randomness = field(default_factory=Randomness)

    @property
    def updates(self) -> bool:
        """Whether backward takes a learning rate, and so is expected to update the parameters itself."""
        return any(role == "rate" for role, _ in self.feed)

    def run_forward(self, model: Any, arguments: Mapping[str, Any]) -> State:
        """Run the forward.

        Parameters
        ----------
        model : object
            The layer.
        arguments : dict of str to object
            Its inputs by name.

        Returns
        -------
        State
            With the outputs by name.
        """
        self.calls[0] += 1
        with self.randomness.start(model):
            return self._forward(model, arguments)

    def _forward(self, model: Any, arguments: Mapping[str, Any]) -> State:
        values = [arguments[name] for name in self.inputs]
        if self.loss is not None and self.loss_first:
            result = self.loss(model, arguments, None)
            derivative = None
            if (
                isinstance(result, tuple) and len(result) == 2 and not self.backward and not self.gradient
            ):  # (loss, grads)
                result, derivative = result
            elif isinstance(result, tuple) and result:
                result = result[0]
            return State(arguments, None, None, {"loss": np.asarray(result)}, derivative)
        returned = getattr(model, self.forward)(*values)
        cache = None
        if self.cached and isinstance(returned, tuple) and len(returned) > 1:
            returned, cache = returned[:-1] if len(returned) > 2 else returned[0], returned[-1]
        if returned is None:
            returned = left_output(model, self.forward)
        if self.loss is not None:
            return State(arguments, returned, cache, {"loss": np.asarray(self.loss(model, arguments, returned))})
        return State(arguments, returned, cache, name_outputs(returned))

    def run_backward(self, model: Any, state: State, cotangents: Named | None) -> Any:
        """Run the backward that belongs to a forward, and return what it returns.

        Parameters
        ----------
        model : object
            The layer, right after `run_forward`.
        state : State
            From `run_forward`.
        cotangents : dict of str to ndarray
            One for each output; not looked at for a loss.

        Returns
        -------
        object
            Untouched, but for an elementwise derivative, which is multiplied by the cotangent.
        """
        self.calls[1] += 1
        if self.gradient:
            values = [state.arguments[name] for name in self.inputs]
            if self.targets is not None:
                values.append(self.targets)
            with self.randomness.start(model, marks=False):  # it runs a forward of its own
                return getattr(model, self.gradient)(*values)
        if not self.backward:
            return state.derivative
        returned = state.returned
        if self.loss_first:
            self.calls[0] += 1
            with self.randomness.start(model):
                returned = getattr(model, self.forward)(*(state.arguments[name] for name in self.inputs))
        method = getattr(model, self.backward)
        slots = [name for role, name in self.feed if role == "cotangent"]
        packed = pack(cotangents, returned) if cotangents is not None and slots and self.cotangent else None
        several = iter(packed if len(slots) > 1 and isinstance(packed, tuple) else [packed])
        values = []
        for role, name in self.feed:
            if role == "cotangent":
                values.append(next(several))
            elif role == "input":
                values.append(state.arguments[name])
            elif role == "targets":
                values.append(state.arguments.get(name, self.targets))
            elif role == "prediction":
                # A loss with an activation of its own wants what that gave, and leaves it as its output.
                left = getattr(model, "__dict__", {}).get("output")
                values.append(
                    left
                    if left is not None and np.shape(left) == np.shape(state.arguments[name])
                    else state.arguments[name]
                )
            elif role == "rate":
                values.append(1.0)  # so that the change of a parameter is its gradient
            else:
                values.append(state.cache if role == "cache" else returned)
        result = method(*values)
        if self.elementwise and cotangents is not None:
            return next(iter(cotangents.values())) * result
        return result


def pack(cotangents: Named, returned: Any) -> Any:
    """Give cotangents in the structure in which the forward returned its outputs."""
    if isinstance(returned, Mapping):
        return {key: cotangents[str(key)] for key in returned}
    if list(cotangents) == ["output"]:
        return cotangents["output"]
    return tuple(cotangents.values())


def left_output(model: Any, forward: str) -> Any:
    """Return the output that a forward which returns nothing left in an attribute.

    Raises
    ------
    ArgumentError
        If there is none of the usual names.
    """
    own = getattr(model, "__dict__", {})
    for name in OUTPUT:
        if isinstance(own.get(name), np.ndarray):
            return own[name]
    raise ArgumentError(
        f"layer: {type(model).__name__}.{forward} returned None, and left no array in any of {', '.join(OUTPUT)}; "
        "let it return its output"
    )


def method_of(model: Any, names: Sequence[str]) -> str:
    """Return the first of these names that is a method (or a callable attribute) of an object, or ``""``."""
    for name in names:
        if name == "__call__":
            if "__call__" in dir(type(model)):
                return name
        elif callable(getattr(model, name, None)):
            return name
    return ""


def required(method: Any) -> list[str]:
    """Return the names of a method's required positional parameters."""
    known = positional_parameters(method)
    return known[0][: known[1]] if known else []
