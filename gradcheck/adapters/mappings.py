"""How is a loss over a structure of parameters flattened? Nested dicts, lists, tuples and dataclasses of arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from gradcheck.adapters.inputs import Wrt, as_primal, choose_wrt, label_of, positional_parameters
from gradcheck.adapters.randomness import Randomness
from gradcheck.errors import ArgumentError
from gradcheck.layer import BrokenContract, Derivative, Layer, Named, is_differentiable, name_outputs

_MISSING = object()


def _children(node: Any) -> list[tuple[Any, Any]] | None:
    """Return the (key, child) pairs of a container, or None for a leaf."""
    if isinstance(node, Mapping):
        return list(node.items())
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        return [(field.name, getattr(node, field.name)) for field in dataclasses.fields(node)]
    fields = getattr(node, "_fields", None)  # a namedtuple
    if fields is not None and isinstance(node, tuple):
        return list(zip(fields, node, strict=True))
    if isinstance(node, tuple) or (isinstance(node, list) and not _is_array_like(node)):
        return list(enumerate(node))
    return None


def _is_array_like(values: list[Any]) -> bool:
    """Tell a list of numbers (one array, to `numpy.asarray`) from a list of arrays or containers."""
    return bool(values) and all(
        isinstance(value, (int, float, np.number)) or (isinstance(value, list) and _is_array_like(value))
        for value in values
    )


def _join(path: str, key: Any) -> str:
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else str(key)


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    children = _children(node)
    if children is None:
        yield path, node
    else:
        for key, child in children:
            yield from _leaves(child, _join(path, key))


def _is_numeric(leaf: Any) -> bool:
    return isinstance(leaf, (np.ndarray, np.generic, int, float, list)) or hasattr(leaf, "__array__")


def _rebuild(node: Any, path: str, arrays: Named) -> Any:
    """Return the same structure with its arrays replaced."""
    children = _children(node)
    if children is None:
        return arrays.get(path, node)
    built = {key: _rebuild(child, _join(path, key), arrays) for key, child in children}
    if isinstance(node, Mapping):
        try:
            return type(node)(built)  # type: ignore[call-arg]  # every mapping people pass takes a dict
        except TypeError:
            return built
    if dataclasses.is_dataclass(node) and not isinstance(node, type):
        settable = {field.name for field in dataclasses.fields(node) if field.init}
        return dataclasses.replace(node, **{key: value for key, value in built.items() if key in settable})
    if hasattr(node, "_fields"):
        return type(node)(**built)
    return type(node)(built.values())


def _pick(node: Any, path: str, keys: list[Any]) -> object:
    """Follow `keys` into a gradient structure; `_MISSING` where it ends early."""
    for key in keys:
        if isinstance(node, Mapping):
            node = node.get(key, _MISSING)
        elif isinstance(key, int) and isinstance(node, (list, tuple)):
            node = node[key] if key < len(node) else _MISSING
        else:
            node = getattr(node, str(key), _MISSING)
        if node is _MISSING:
            return _MISSING
    return node


def _paths(node: Any, path: str, keys: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    children = _children(node)
    if children is None:
        yield path, keys
    else:
        for key, child in children:
            yield from _paths(child, _join(path, key), [*keys, key])


def adapt_mapping(
    loss: Callable[[Any], Any],
    grad: Callable[[Any], Any],
    params: Any,
    *,
    names: Any = None,
    wrt: Wrt = None,
    randomness: Randomness | None = None,
) -> Layer:
    """Make a `Layer` of a scalar loss over a structure of arrays and its gradient in the same structure.

    Parameters
    ----------
    loss : callable
        ``loss(params)`` returns a scalar.
    grad : callable
        ``grad(params)`` returns the gradient in the structure of `params`; those of integer leaves may be missing.
    params : array_like, or a (nested) dict, list, tuple, namedtuple or dataclass of them
        The point. Leaves that are no numbers (strings, None, functions) are handed through.
    names, wrt
        As in `gradcheck.check_grad`. Names are paths: ``"W"``, ``"layer1.W"``, ``"params[0]"``, ``"layers[0].b"``.
    randomness : Randomness, optional
        The check's own, which gives back what is drawn.

    Returns
    -------
    Layer
        Without cotangent.

    Raises
    ------
    ArgumentError
        If an argument cannot be used; the message names it.
    """
    _require_callable(loss=loss, grad=grad)
    point = _Point.of(loss, params, names, wrt)
    label = label_of(grad) or "gradient"
    randomness = randomness or Randomness(loss, grad)
    forward, backward = randomness.wrap(loss), randomness.wrap(grad, marks=False)  # grad runs a forward of its own

    def call(arrays: Named) -> tuple[Named, Derivative]:
        given = point.rebuild(arrays)
        outputs = name_outputs(forward(given))

        def gradient(cotangents: Named) -> Mapping[str, object]:
            return point.pick(backward(given), label)

        return outputs, gradient

    arguments = ", ".join((label_of(loss) or "loss", label, "params", *randomness.written))
    return Layer(
        name=label,
        call=call,
        primals=point.primals,
        wrt=point.chosen,
        cotangent=False,
        reproduce=f"gradcheck.check_grad({arguments})",
        remake=randomness.recipe(adapt_mapping, loss, grad, params, names=names, wrt=wrt),
        shares_state=randomness.is_state,
    )


def adapt_hvp(
    loss: Callable[[Any], Any],
    grad: Callable[[Any], Any],
    hvp: Callable[[Any, Any], Any],
    params: Any,
    *,
    names: Any = None,
    wrt: Wrt = None,
    randomness: Randomness | None = None,
) -> Layer:
    """Make a `Layer` of a gradient and its hand-written derivative, a Hessian-vector product.

    Parameters
    ----------
    loss : callable
        Names a bare array, as for `adapt_mapping`.
    grad : callable
        ``grad(params)`` returns the gradient in the structure of `params`: the layer's forward.
    hvp : callable
        ``hvp(params, tangent)`` returns the Hessian times the tangent, both in the structure of `params`.
    params, names, wrt, randomness
        As in `adapt_mapping`; the tangent is zero for what `wrt` leaves out.

    Returns
    -------
    Layer
        A pullback: a Hessian is symmetric, so that its products with a vector are both jvp and vjp, and one call gives
        every entry. `as_pushforward` gives the same without that promise.

    Raises
    ------
    ArgumentError
        If an argument cannot be used; the message names it.
    """
    _require_callable(hvp=hvp)
    signature = positional_parameters(hvp)
    if signature is not None and not signature[2] and not signature[1] <= 2 <= len(signature[0]):
        raise ArgumentError(
            f"hvp takes {len(signature[0])} positional arguments ({', '.join(signature[0]) or 'none'}); it is called"
            " as hvp(params, tangent)"
        )
    point = _Point.of(loss, params, names, wrt)
    label, grad_label = label_of(hvp) or "hvp", label_of(grad) or "gradient"
    randomness = randomness or Randomness(grad, hvp)
    forward, product = randomness.wrap(grad), randomness.wrap(hvp, marks=False)

    def call(arrays: Named) -> tuple[Named, Derivative]:
        given = point.rebuild(arrays)
        found = point.pick(forward(given), grad_label)
        outputs = {gradient_name(name): np.asarray(found[name]) for name in point.chosen}

        def pullback(cotangents: Named) -> Mapping[str, object]:
            dtypes = {name: array.dtype if is_differentiable(array) else float for name, array in arrays.items()}
            zeros = {name: np.zeros(array.shape, dtypes[name]) for name, array in arrays.items()}
            tangent = point.rebuild(zeros | {name: cotangents[gradient_name(name)] for name in point.chosen})
            return point.pick(product(given, tangent), label, "product")

        return outputs, pullback

    return Layer(
        name=label,
        call=call,
        primals=point.primals,
        wrt=point.chosen,
        remake=randomness.recipe(adapt_hvp, loss, grad, hvp, params, names=names, wrt=wrt),
        shares_state=randomness.is_state,
    )


def as_pushforward(layer: Layer) -> Layer:
    """Return the layer of `adapt_hvp` as one whose product is a jvp: what it is, were the Hessian not symmetric.

    Parameters
    ----------
    layer : Layer
        From `adapt_hvp`.
    """

    def call(arrays: Named) -> tuple[Named, Derivative]:
        outputs, product = layer(arrays)

        def pushforward(tangents: Named) -> Mapping[str, object]:
            found = product({gradient_name(name): tangent for name, tangent in tangents.items()})
            return {gradient_name(name): value for name, value in found.items()}

        return outputs, pushforward

    return dataclasses.replace(layer, call=call, mode="jvp")


def gradient_name(name: str) -> str:
    """Return what the gradient of a primal is called: ``"db"`` for ``"b"``, ``"layer1.db"`` for ``"layer1.b"``."""
    head, dot, tail = name.rpartition(".")
    return f"{head}{dot}d{tail}"


def _require_callable(**functions: Any) -> None:
    for name, value in functions.items():
        if not callable(value):
            raise ArgumentError(f"{name} was {type(value).__name__}, which cannot be called; give a function")


@dataclasses.dataclass(frozen=True, eq=False)
class _Point:
    """A structure of arrays, taken apart: its arrays by path, and those to differentiate."""

    params: Any
    top: str
    primals: Named
    chosen: tuple[str, ...]
    keys: dict[str, list[Any]]

    @classmethod
    def of(cls, loss: Callable[[Any], Any], params: Any, names: Any, wrt: Wrt) -> _Point:
        """Take `params` apart; see `adapt_mapping`."""
        signature = positional_parameters(loss)
        root = signature[0][0] if signature and signature[0] else "params"
        if isinstance(names, str):
            names = [names]
        structured = _children(params) is not None
        if not structured and names is not None:
            names = list(names)
            if len(names) != 1:
                raise ArgumentError(f"names has {len(names)} entries {tuple(names)} for one array; give one name")
            root = names[0]
        elif names is not None:
            raise ArgumentError(
                "names was given, but params is a structure whose own keys name its arrays; leave it out"
            )
        named = isinstance(params, Mapping) or hasattr(params, "_fields") or dataclasses.is_dataclass(params)
        top = "" if named else root
        leaves = list(_leaves(params, top))
        primals = {path: as_primal(leaf, f"params {path!r}") for path, leaf in leaves if _is_numeric(leaf)}
        paths = [path for path, _ in leaves]
        twice = next((path for path in paths if paths.count(path) > 1), None)
        if twice is not None:
            raise ArgumentError(f"params has two arrays that are both called {twice!r}; rename a key")
        if not structured and not primals:
            primals = {top: as_primal(params, "params")}
        if not primals:
            raise ArgumentError("params holds no arrays; give an array, or a dict, list, tuple or dataclass of arrays")
        return cls(params, top, primals, choose_wrt(primals, wrt), dict(_paths(params, top, [])))

    def rebuild(self, arrays: Named) -> Any:
        """Return the structure with other arrays in it."""
        return _rebuild(self.params, self.top, arrays)

    def pick(self, result: Any, label: str, what: str = "gradient") -> dict[str, object]:
        """Put what came in the structure of `params` under the names of its arrays.

        Raises
        ------
        BrokenContract
            If one that is differentiated is not there.
        """
        found = {name: _pick(result, name, self.keys[name]) for name in self.primals}
        missing = [name for name in self.chosen if found[name] is _MISSING]
        if missing:
            raise BrokenContract(
                "count",
                f"{label} returned no {what} for {', '.join(map(repr, missing))}: return it in the structure of "
                f"params ({', '.join(map(repr, self.chosen))}), or name those it returns with wrt=",
            )
        return {name: value for name, value in found.items() if value is not _MISSING}
