"""How is a function's hand-written derivative called? Function pairs in the usual argument orders."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gradcheck.adapters.calling import is_target_name
from gradcheck.adapters.inputs import Wrt, choose_wrt, label_of, name_inputs, positional_parameters
from gradcheck.adapters.randomness import Randomness
from gradcheck.errors import ArgumentError
from gradcheck.layer import BrokenContract, Derivative, Layer, Named, is_differentiable, name_outputs

# Names that people give to a cotangent. "dX"-like names are only believed where the position fits as well.
_COTANGENT = re.compile(
    r"^(g|gy|ct|dy|dz|da|dl|d[A-Z]\w*|d_?out\w*|delta\w*|grad\w*|\w+_grad|upstream\w*|\w*cotangent\w*|\w+_bar|dl_\w+)$"
)
_CACHE = re.compile(r"^(cache\w*|ctx|context|saved\w*|residuals?|memory|tape|state)$")

Order = Literal["first", "last", "none", "only", "cache"]
_ORDERS: dict[Order, str] = {
    "first": "vjp(cotangent, *inputs)",
    "last": "vjp(*inputs, cotangent)",
    "none": "gradient(*inputs): a loss gradient or an elementwise derivative, without cotangent",
    "only": "backward(cotangent): a backward that relies on what the last forward stored",
    "cache": "backward(cotangent, cache), the forward returning (output, cache)",
}


@dataclass(frozen=True)
class _Structure:
    """How a forward returned its outputs, so that cotangents can be given in the same way."""

    kind: type | None
    names: tuple[str, ...]

    def pack(self, named: Named) -> Any:
        """Give arrays by output name back in the forward's own structure."""
        if self.kind is None:
            return named[self.names[0]]
        if self.kind is dict:
            return dict(named)
        values = [named[name] for name in self.names]
        return values if self.kind is list else tuple(values)


def _structure(result: Any, outputs: Named) -> _Structure:
    if isinstance(result, Mapping):
        return _Structure(dict, tuple(outputs))
    if isinstance(result, (tuple, list)) and next(iter(outputs), "output") != "output":
        return _Structure(list if isinstance(result, list) else tuple, tuple(outputs))
    return _Structure(None, tuple(outputs))


def argument_order(f: Callable[..., Any], vjp: Callable[..., Any], n_inputs: int) -> Order:
    """Work out from its signature how a derivative wants to be called.

    The documented order, cotangent first, is taken wherever the signature allows it; another is only taken where
    the number of required parameters or unmistakable names rule it out.

    Raises
    ------
    ArgumentError
        If the number of parameters fits none of the orders.
    """
    signature = positional_parameters(vjp)
    if signature is None or (signature[2] and signature[1] <= n_inputs + 1):
        return "first"
    names, required, _ = signature
    own = positional_parameters(f)
    own_names = own[0][:n_inputs] if own else []
    if len(names) > 1 and required <= 2 and any(_CACHE.match(name) for name in names[:2]):  # (cotangent, cache)
        return "cache"
    without = names[:n_inputs] == own_names or (own is None and not _COTANGENT.match(names[0] if names else ""))
    if required == n_inputs + 1 or (required <= n_inputs + 1 <= len(names) and not without):
        ends_so = len(names) > n_inputs and bool(_COTANGENT.match(names[n_inputs]))
        starts_so = bool(names) and bool(_COTANGENT.match(names[0])) and names[0] not in own_names
        return "last" if names[:n_inputs] == own_names and ends_so and not starts_so else "first"
    only = bool(names) and bool(_COTANGENT.match(names[0])) and names[0] not in own_names
    if required == 1 and (only or n_inputs > 1) and not (len(names) == n_inputs and without):
        return "only"
    if required <= n_inputs <= len(names):
        return "none"
    raise ArgumentError(
        f"vjp takes {required if required == len(names) else f'{required} to {len(names)}'} positional arguments "
        f"({', '.join(names) or 'none'}) for {n_inputs} inputs; expected one of: " + "; ".join(_ORDERS.values())
    )


def spread(result: Any, primals: Named, wrt: Sequence[str], what: str = "backward") -> dict[str, object]:
    """Put gradients that came by position (or by name) under the primals' names.

    Parameters
    ----------
    result : array_like, tuple, list or dict
        One gradient for each input; those of integer and boolean inputs may be left out, and so may those not in `wrt`.
    primals : dict of str to ndarray
        All inputs in order.
    wrt : sequence of str
        The inputs that are differentiated.
    what : str
        How to call the derivative in a message.

    Raises
    ------
    BrokenContract
        If the number of gradients fits none of these.
    """
    if isinstance(result, Mapping):
        return {str(key): value for key, value in result.items()}
    orders = [
        list(primals),
        [name for name, array in primals.items() if is_differentiable(array)],
        [name for name in primals if name in wrt],
    ]
    several = isinstance(result, tuple) or (
        # a list is several gradients where it holds arrays, and one array_like where it holds numbers
        isinstance(result, list) and (len(primals) > 1 or any(isinstance(value, np.ndarray) for value in result))
    )
    values = list(result) if several else [result]
    for names in orders:
        if len(names) == len(values):
            return dict(zip(names, values, strict=True))
    expected = orders[1]
    raise BrokenContract(
        "count",
        f"{what} returned {len(values)} {'array' if len(values) == 1 else 'arrays'} for {len(expected)} "
        f"{'input' if len(expected) == 1 else 'inputs'} {tuple(expected)}: return one gradient for each, in this order"
        + (", or name those it returns with wrt=" if len(values) < len(expected) else ""),
    )


def adapt_function(  # the check's own keywords, handed through
    f: Callable[..., Any],
    derivative: Callable[..., Any],
    inputs: Sequence[Any],
    *,
    mode: Literal["vjp", "jvp"] = "vjp",
    names: Sequence[str] | None = None,
    wrt: Wrt = None,
    randomness: Randomness | None = None,
) -> Layer:
    """Make a `Layer` of a function and its vjp or jvp.

    Parameters
    ----------
    f : callable
        ``f(*inputs)`` returns an array, or a tuple, list or dict of arrays.
    derivative : callable
        For ``mode="vjp"``, in any of the orders of `argument_order`; for ``"jvp"``, ``jvp(tangents, *inputs)``.
    inputs : sequence of array_like
        The point.
    mode, names, wrt
        As in `gradcheck.check_vjp`.
    randomness : Randomness, optional
        The check's own, which gives back what is drawn.

    Returns
    -------
    Layer

    Raises
    ------
    ArgumentError
        If an argument cannot be used; the message names it.
    """
    for name, value in (("f", f), (mode, derivative)):
        if not callable(value):
            raise ArgumentError(f"{name} was {type(value).__name__}, which cannot be called; give a function")
    if not inputs:
        raise ArgumentError("no inputs were given; pass the point at which to check after the two functions")
    primals = name_inputs(f, inputs, names)
    chosen = choose_wrt(primals, wrt)
    label = label_of(derivative) or label_of(f) or "function"
    randomness = randomness or Randomness(f, derivative)
    forward = randomness.wrap(f)
    arguments = ", ".join((label_of(f) or "f", label_of(derivative) or mode, *primals, *randomness.written))
    facts: dict[str, Any] = {
        "name": label,
        "primals": primals,
        "reproduce": f"gradcheck.check_{mode}({arguments})",
        "remake": randomness.recipe(adapt_function, f, derivative, inputs, mode=mode, names=names, wrt=wrt),
        "shares_state": randomness.is_state,
    }
    if mode == "jvp":
        return Layer(call=_jvp_call(forward, derivative, chosen), wrt=chosen, mode="jvp", **facts)
    order = argument_order(f, derivative, len(primals))
    if order == "none":
        return _without_cotangent(forward, derivative, chosen, wrt, facts, randomness)
    keeps = order == "only"
    facts["shares_state"] |= keeps
    return Layer(call=_vjp_call(forward, derivative, order, chosen), wrt=chosen, reentrant=not keeps, **facts)


def _vjp_call(f: Callable[..., Any], vjp: Callable[..., Any], order: Order, wrt: Sequence[str]) -> Any:
    cache_first = False
    if order == "cache":
        signature = positional_parameters(vjp)
        cache_first = signature is not None and bool(_CACHE.match(signature[0][0]))

    def call(primals: Named) -> tuple[Named, Derivative]:
        result = f(*primals.values())
        cache = None
        if order == "cache":
            if not isinstance(result, tuple) or len(result) < 2:  # (output, cache)
                raise ArgumentError(
                    f"vjp takes a cache, but f returned {type(result).__name__}; expected a tuple (output, cache)"
                )
            *kept, cache = result
            result = kept[0] if len(kept) == 1 else tuple(kept)
        outputs = name_outputs(result)
        structure = _structure(result, outputs)

        def pullback(cotangents: Named) -> Mapping[str, object]:
            cotangent = structure.pack(cotangents)
            given = tuple(primals.values())
            arguments = {
                "first": (cotangent, *given),
                "last": (*given, cotangent),
                "only": (cotangent,),
                "cache": (cache, cotangent) if cache_first else (cotangent, cache),
            }
            return spread(vjp(*arguments[order]), primals, wrt, label_of(vjp) or "vjp")

        return outputs, pullback

    return call


def _jvp_call(f: Callable[..., Any], jvp: Callable[..., Any], wrt: Sequence[str]) -> Any:
    def call(primals: Named) -> tuple[Named, Derivative]:
        result = f(*primals.values())
        outputs = name_outputs(result)
        structure = _structure(result, outputs)

        def pushforward(tangents: Named) -> Mapping[str, object]:
            given = tuple(
                tangents[name] if name in tangents else np.zeros(array.shape, _tangent_dtype(array.dtype))
                for name, array in primals.items()
            )
            pushed = jvp(given, *primals.values())
            if structure.kind is None:
                return {"output": pushed}
            if isinstance(pushed, Mapping):
                return {str(key): value for key, value in pushed.items()}
            if not isinstance(pushed, (tuple, list)) or len(pushed) != len(outputs):
                count = len(pushed) if isinstance(pushed, (tuple, list)) else 1
                raise BrokenContract(
                    "count",
                    f"jvp returned {count} {'array' if count == 1 else 'arrays'} for {len(outputs)} outputs: "
                    "return one tangent for each, in the same order",
                )
            return dict(zip(outputs, pushed, strict=True))

        return outputs, pushforward

    return call


def _tangent_dtype(dtype: np.dtype[Any]) -> Any:
    return dtype if np.issubdtype(dtype, np.inexact) else np.float64


def _without_cotangent(
    f: Callable[..., Any],
    derivative: Callable[..., Any],
    chosen: tuple[str, ...],
    wrt: Wrt,
    facts: dict[str, Any],
    randomness: Randomness,
) -> Layer:
    """Tell a loss gradient from an elementwise derivative: by whether `f` gives a scalar."""
    primals: Named = facts["primals"]
    outputs = name_outputs(f(*(array.copy() for array in primals.values())))
    notes: tuple[str, ...] = ()
    trials = (1, 0)
    scalar = len(outputs) == 1 and next(iter(outputs.values())).size == 1
    gradient_of_loss = randomness.wrap(derivative, marks=False)  # it runs a forward of its own
    if scalar and wrt is None and len(chosen) > 1:
        # a loss's gradient with respect to its first argument alone, bce_loss_backward(A, Y): Y is the target
        result = gradient_of_loss(*(array.copy() for array in primals.values()))
        trials = (1, 1)
        if not isinstance(result, (tuple, list, Mapping)):
            # of what is not called like a target: mse_prime(y_true, y_pred) is the gradient of y_pred
            prediction = next((name for name in chosen if not is_target_name(name)), chosen[0])
            rest = ", ".join(name for name in chosen if name != prediction)
            chosen = (prediction,)
            notes = (f"{facts['name']} returned one gradient, taken as that of {prediction}; {rest} not checked",)

    def loss_call(primals: Named) -> tuple[Named, Derivative]:
        outputs = name_outputs(f(*primals.values()))

        def gradient(cotangents: Named) -> Mapping[str, object]:
            return spread(gradient_of_loss(*primals.values()), primals, chosen, facts["name"])

        return outputs, gradient

    if scalar:
        return Layer(call=loss_call, wrt=chosen, cotangent=False, notes=notes, trial_calls=trials, **facts)
    shape = next(iter(outputs.values())).shape
    first = chosen[0]
    if len(outputs) != 1 or shape != primals[first].shape:
        raise ArgumentError(
            f"vjp takes no cotangent, yet f is neither a scalar loss nor elementwise: its output has shape {shape}, "
            f"{first!r} has {primals[first].shape}; expected one of: " + "; ".join(_ORDERS.values())
        )
    return Layer(call=_elementwise_call(f, derivative, first, facts["name"]), wrt=(first,), trial_calls=trials, **facts)


def _elementwise_call(f: Callable[..., Any], derivative: Callable[..., Any], first: str, label: str) -> Any:
    def call(primals: Named) -> tuple[Named, Derivative]:
        outputs = name_outputs(f(*primals.values()))

        def pullback(cotangents: Named) -> Mapping[str, object]:
            slope = derivative(*primals.values())
            slope = slope[0] if isinstance(slope, tuple) and len(slope) == 1 else slope
            values = np.asarray(slope)
            shape = primals[first].shape
            if values.shape not in (shape, ()):
                raise BrokenContract(
                    "shape", f"{label} returned shape {values.shape} for an input {first} of shape {shape}"
                )
            # a boolean or integer slope (x > 0) is a number here: it is multiplied, not returned
            return {first: cotangents["output"] * (values.conj() if values.dtype.kind == "c" else values)}

        return outputs, pullback

    return call
