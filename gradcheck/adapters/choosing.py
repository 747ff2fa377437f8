"""By which convention is an object called? The choice, from the names of its methods and their parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gradcheck.adapters.calling import (
    BACKWARD,
    DERIVATIVE,
    FORWARD,
    GRADIENT,
    LOSS,
    LOSS_AND_GRADIENT,
    Calling,
    Role,
    is_target_name,
    method_of,
    required,
    role_of,
)
from gradcheck.adapters.inputs import positional_parameters
from gradcheck.errors import ArgumentError

_UPSTREAM = re.compile(r"^(d_?out\w*|d[A-Z]\w*|dl_?d\w*|grad\w*|\w+_grad(ient)?|upstream\w*|\w*cotangent\w*|d_\w+)$")


_INPUT = re.compile(r"^(x|x_?(train|batch|in)|inputs?|data)$", re.I)


_PREDICTION = re.compile(r"^(output|outputs|out|o|a|a\d|a_?l|z)$", re.I)


def with_loss(calling: Calling, model: Any, loss: Any, targets: Any, target_name: str | None) -> Calling:
    """Make a model with predictions and targets a scalar loss.

    Parameters
    ----------
    calling : Calling
        The model's forward and backward.
    model : object
        The model, for its own loss method.
    loss : callable or None
        ``loss(prediction, targets) -> scalar``; None to look for the model's own.
    targets : array_like or None
        The targets, if not among the inputs.
    target_name : str or None
        Their name, if among the inputs.

    Returns
    -------
    Calling
        With `Calling.loss` set.

    Raises
    ------
    ArgumentError
        If there is no loss, or no telling how it is called.
    """
    kind = type(model).__name__

    def goal(arguments: Mapping[str, Any]) -> Any:
        return arguments[target_name] if target_name is not None else targets

    if loss is not None:
        return replace(
            calling,
            loss=lambda model, arguments, returned: loss(returned, goal(arguments)),
            cotangent=False,
            targets=targets,
        )
    name = next((name for name in LOSS if _takes_targets(getattr(model, name, None))), "")
    if not name:
        raise ArgumentError(
            f"loss was not given, and {kind} has no loss method ({', '.join(LOSS)}): {kind}.{calling.backward} "
            "takes targets, so pass loss=, a function of (prediction, targets) that returns a scalar"
        )
    own = getattr(model, name)
    method = own.forward if not callable(own) else own
    names = required(method)
    through_forward = "forward" if not callable(own) else None

    def call(model: Any, *values: Any) -> Any:
        method = getattr(model, name)
        return (getattr(method, through_forward) if through_forward else method)(*values)

    roles = [role_of(parameter, calling.inputs) for parameter in names]
    if len(names) == 1:
        return replace(
            calling,
            loss=lambda model, arguments, returned: call(model, goal(arguments)),
            cotangent=False,
            targets=targets,
        )
    swapped = roles[0] == "targets" and roles[1] != "targets"
    first = names[1] if swapped else names[0]
    if first in calling.inputs or _INPUT.match(first):
        order = [*calling.inputs]

        def loss_of_inputs(model: Any, arguments: Mapping[str, Any], returned: Any) -> Any:
            values = [*(arguments[name] for name in order if name != target_name), goal(arguments)]
            return call(model, *(reversed(values) if swapped else values))

        return replace(calling, loss=loss_of_inputs, loss_first=True, cotangent=False, targets=targets)

    def loss_of_prediction(model: Any, arguments: Mapping[str, Any], returned: Any) -> Any:
        values = [returned, goal(arguments)]
        return call(model, *(reversed(values) if swapped else values))

    return replace(calling, loss=loss_of_prediction, cotangent=False, targets=targets)


def _takes_targets(method: Any) -> bool:
    method = method if callable(method) else getattr(method, "forward", None)
    return callable(method) and 1 <= len(required(method)) <= 3  # (X, Y), (prediction, targets), (targets)


def work_out(model: Any, names: tuple[str, ...], loss: Any, targets: Any) -> Calling:  # noqa: PLR0912, PLR0915  # one return a convention
    """Choose the convention by which an object is called, from the names of methods and parameters.

    Parameters
    ----------
    model : object
        The layer.
    names : tuple of str
        The names of the inputs, in order.
    loss, targets : callable, array_like or None
        As `gradcheck.check_layer` takes them.

    Returns
    -------
    Calling
        Not yet tried.

    Raises
    ------
    ArgumentError
        If no convention fits, or several do.
    """
    kind = type(model).__name__
    forward, backward = method_of(model, FORWARD), method_of(model, BACKWARD)
    lossy, gradient = method_of(model, LOSS), method_of(model, GRADIENT)
    n = len(names)
    takes = positional_parameters(getattr(model, forward)) if forward else None
    fits = bool(forward) and (takes is None or takes[2] or takes[1] <= n <= len(takes[0]))
    # What stands behind the inputs that forward takes: targets.
    extra = bool(forward) and takes is not None and not takes[2] and n == len(takes[0]) + 1
    if lossy and targets is None and loss is None and (extra or not backward) and n > 1:
        method, grad = getattr(model, lossy), getattr(model, gradient) if gradient else None
        if grad is not None and len(required(grad)) in (n, n - 1) and len(required(method)) <= n:
            return Calling(
                forward,
                "",
                names,
                loss=_method_loss(lossy, names),
                loss_first=True,
                gradient=gradient,
                cotangent=False,
            )
        if not backward:
            return Calling(forward, "", names, loss=_method_loss(lossy, names), loss_first=True, cotangent=False)
    both = method_of(model, LOSS_AND_GRADIENT)
    if both and not backward and n > 1:
        return Calling(forward, "", names, loss=_method_loss(both, names), loss_first=True, cotangent=False)
    if forward and not backward:
        derivative = method_of(model, DERIVATIVE)
        if derivative:
            return Calling(forward, derivative, names, (("input", names[0]),), elementwise=True)
    if not forward or not backward:
        have = [name for name in dir(model) if not name.startswith("_") and callable(getattr(model, name, None))]
        raise ArgumentError(
            f"layer: {kind} has no {'forward' if not forward else 'backward'} method (looked for "
            f"{', '.join(FORWARD if not forward else BACKWARD)}; it has {', '.join(have) or 'no methods'}); name "
            "it so, or use check_vjp with two functions"
        )
    if not fits and not extra:
        wanted = takes[0] if takes else []
        raise ArgumentError(
            f"inputs: {kind}.{forward} takes {len(wanted)} ({', '.join(wanted) or 'none'}), {n} were given; call "
            f"check_layer(layer, {', '.join(wanted)})"
        )
    inputs = names[: n - 1] if extra else names
    own_names = takes[0] if takes else []
    parameters = required(getattr(model, backward))
    known = positional_parameters(getattr(model, backward))
    further = known[0][known[1] :] if known else []
    roles: list[tuple[Role, str]] = []
    for parameter in parameters:
        position = own_names.index(parameter) if parameter in own_names[: len(inputs)] else -1
        role = "input" if position >= 0 else role_of(parameter, inputs)
        if role == "cotangent" and _INPUT.match(parameter) and len(parameters) > 1:
            role, position = "input", 0
        if role == "cotangent" and _PREDICTION.match(parameter) and len(parameters) > 1:
            role = "output"
        if role == "input":
            roles.append((role, inputs[position] if position >= 0 else parameter))
        else:
            roles.append((role, names[-1] if role == "targets" and extra else parameter))
    if len(roles) == 1 and roles[0][0] in ("input", "output"):
        # One argument is the cotangent, whatever it is called; a trial tells an elementwise f'(x).
        roles = [("cotangent", parameters[0])]
    if parameters and {role for role, _ in roles} <= {"input", "rate", "cache"} and len(inputs) == 1:
        roles = [(("cotangent", name) if role == "input" else (role, name)) for role, name in roles]
    roles = _with_prediction(roles, inputs)
    calling = Calling(
        forward,
        backward,
        inputs,
        (*roles, *_optional(further, inputs, taken=bool(roles))),
        cached=any(role == "cache" for role, _ in roles),
        loss=_method_loss("calculate", inputs) if _is_prediction(roles) and hasattr(model, "calculate") else None,
        cotangent=any(role == "cotangent" for role, _ in roles)
        or (not roles and bool(further) and role_of(further[0], inputs) == "cotangent"),
        optional=not roles,
    )
    wants = any(role == "targets" for role, _ in roles)
    if extra:
        if not wants and parameters:
            raise ArgumentError(
                f"inputs: {kind}.{forward} takes {len(own_names)} ({', '.join(own_names)}), {n} were given, and "
                f"{kind}.{backward}({', '.join(parameters)}) takes no targets; leave out {names[-1]!r}"
            )
        return with_loss(replace(calling, inputs=inputs), model, loss, None, names[-1])
    if targets is not None or loss is not None:
        if targets is None:
            raise ArgumentError("targets was not given: loss= is called as loss(prediction, targets), so pass targets=")
        upstream = [name for role, name in calling.feed if role == "cotangent"]
        if not wants and upstream:
            if _UPSTREAM.match(upstream[0]):
                raise ArgumentError(
                    f"{'loss' if loss is not None else 'targets'} was given, but "
                    f"{kind}.{backward}({', '.join(parameters)}) takes an upstream gradient, not targets; leave "
                    "out loss= and targets="
                )
            feed = (("targets", n) if r == "cotangent" else (r, n) for r, n in calling.feed)
            calling = replace(calling, feed=tuple(feed))  # type: ignore[arg-type]  # literals widened by the generator
        return with_loss(calling, model, loss, targets, None)
    if wants:
        raise ArgumentError(
            f"targets was not given: {kind}.{backward}({', '.join(parameters)}) seems to take targets; pass "
            f"targets= (and loss=, a function of (prediction, targets), if {kind} has no loss method), or rename "
            "the parameter to dout if it is an upstream gradient"
        )
    return calling


def _with_prediction(roles: list[tuple[Role, str]], inputs: Sequence[str]) -> list[tuple[Role, str]]:
    """Tell the prediction from an upstream gradient in a loss's ``backward(values, y_true)``."""
    given = [name for role, name in roles if role == "input"]
    open_ = [name for role, name in roles if role == "cotangent"]
    predictions = [name for name in inputs if not is_target_name(name)]
    if (
        len(open_) != 1
        or _UPSTREAM.match(open_[0])
        or len(predictions) != 1
        or len(roles) != len(inputs)
        or not any(is_target_name(name) for name in given)
    ):
        return roles
    return [("prediction", predictions[0]) if role == "cotangent" else (role, name) for role, name in roles]


def _is_prediction(roles: Sequence[tuple[Role, str]]) -> bool:
    return any(role == "prediction" for role, _ in roles)


def _optional(names: Sequence[str], inputs: Sequence[str], *, taken: bool) -> tuple[tuple[Role, str], ...]:
    """Choose what to give of a backward's optional parameters: a cotangent or a learning rate."""
    if not names:
        return ()
    role = role_of(names[0], inputs)
    return ((role, names[0]),) if role == "rate" or (role == "cotangent" and not taken) else ()


def _method_loss(name: str, inputs: tuple[str, ...]) -> Callable[[Any, Mapping[str, Any], Any], Any]:
    return lambda model, arguments, returned: getattr(model, name)(*(arguments[key] for key in inputs))
