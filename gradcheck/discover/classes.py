"""How is an object of a class made, and called? Sizes and arrays guessed from the names of its parameters."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from gradcheck.adapters.calling import FORWARD, LOSS, LOSS_AND_GRADIENT, is_target_name, method_of
from gradcheck.adapters.inputs import positional_parameters
from gradcheck.adapters.objects import adapt_object, at_a_generic_point
from gradcheck.case import Case
from gradcheck.discover.functions import Cannot
from gradcheck.discover.guess import (
    fit,
    fits_better,
    is_loss_name,
    is_recurrent,
    labels,
    quiet,
    role,
    setting,
)
from gradcheck.layer import Array

N_IN, N_HIDDEN, N_OUT = 3, 4, 2

_SIZES: tuple[tuple[re.Pattern[str], Any], ...] = (
    (
        re.compile(
            r"^(layer_?sizes?|sizes|dims|layer_?dims|dimensions|architecture|layers|shapes|units_list|topology)$",
            re.I,
        ),
        "sizes",
    ),
    (re.compile(r"^(hidden_?(sizes|dims|layers|units_list))$", re.I), "hidden sizes"),
    (re.compile(r"^(vocab\w*|num_embeddings|n_(words|tokens|vocab)|V)$"), 5),
    (re.compile(r"^(filter_?size|kernel_?size|ksize|k_?size|kernel|fh|fw|k)$", re.I), 3),
    (re.compile(r"^(pool\w*)$", re.I), 2),
    (re.compile(r"(hidden|n_?hid|n_h\b|^h$|^n_h$|d_h|state_size|d_hidden)", re.I), N_HIDDEN),
    (re.compile(r"(out|class|neuron|unit|filter|^m$|^n_y$|^d2$|^n2$|width|^n_o$|^fan_?o)", re.I), N_OUT),
    (re.compile(r"(in|feature|channel|size|dim|^n$|^d$|^n_x$|^d1$|^n1$|^nx$|shape|^c$)", re.I), N_IN),
)
_SPECIAL: tuple[tuple[re.Pattern[str], Callable[[], Any]], ...] = (
    (re.compile(r"^(rng|generator|random|random_generator)$"), lambda: np.random.default_rng(0)),
    (re.compile(r"^(gamma|beta)$"), lambda: np.random.default_rng(1).normal(size=N_IN)),
    (re.compile(r"^(lr|learning_?rate|eta)$", re.I), lambda: 0.1),
    (re.compile(r"^(name|id|label)$"), lambda: "layer"),
    (re.compile(r"^(dtype)$"), lambda: np.float64),
)


def class_case(
    name: str,
    cls: type,
    module_functions: Mapping[str, Callable[..., Any]],
    others: Sequence[type] = (),
    *,
    seed: int = 0,
) -> Case:
    """Make an object of a class and find inputs for it.

    Parameters
    ----------
    name : str
        For the case.
    cls : type
        With a forward and a backward.
    module_functions : dict of str to callable
        What else the module defines: a loss for a model whose backward takes targets.
    others : sequence of type
        The module's classes, for one that takes layers.
    seed : int
        Of the inputs, and of numpy's global generator while the object is made (it is put back afterwards).

    Returns
    -------
    Case
        ``check_layer`` with the object and inputs.

    Raises
    ------
    Cannot
        If the object cannot be made, or called with any of the inputs tried.
    """
    best: tuple[int, Case | None] = (-1, None)
    errors: list[str] = []
    before: list[Array] | None = None
    made = 0
    for values in chain(constructors(cls), _with_layers(cls, others, seed)):
        try:
            with quiet():
                layer = _make(cls, values, seed)
        except Exception as error:  # the next guess may do
            errors.append(f"{cls.__name__}({', '.join(map(_brief, values))}) raised {type(error).__name__}: {error}")
            continue
        made += 1
        for inputs, options in _calls(layer, module_functions, seed):
            score = fit(partial(adapt_object, layer, inputs, **options))
            if score > max(best[0], 0) and (before is None or fits_better(inputs, before, best[0])):
                before = inputs
                best = (score, Case.layer(name, layer, *inputs, **options))
            if score == 2:  # every gradient has its primal's shape
                break
        if best[0] == 2:  # see above
            break
    if best[1] is not None:
        return _at_a_generic_point(best[1], seed)
    if made:
        why = _why(layer, seed)
        several = losses_of(module_functions)
        if "targets" in why and len(several) > 1:
            why += f" (the module has several losses: {', '.join(several)}; which is meant cannot be told)"
        raise Cannot(f"{cls.__name__} was made, but could not be called forward and backward: {why}")
    raise Cannot(f"{cls.__name__} could not be made: {errors[0] if errors else 'no constructor was found'}")


def _at_a_generic_point(case: Case, seed: int) -> Case:
    """Return a case of an object made here with ones in no parameter; as it is, if it does not stand that."""
    layer, *inputs = case.args
    try:
        with quiet():
            moved = at_a_generic_point(layer, inputs, np.random.default_rng(seed), **case.options)
            adapt_object(moved, inputs, **case.options)
    except Exception:  # the user's code, at values that it did not choose
        return case
    return Case.layer(case.name, moved, *inputs, **case.options)


def is_base(cls: type, others: Sequence[type]) -> bool:
    """Tell whether a class only serves as the base of others: its forward or backward is not written yet."""
    if any(other is not cls and issubclass(other, cls) for other in others):
        return True
    for method in (*FORWARD, "backward"):
        body = vars(cls).get(method)
        if inspect.isfunction(body) and "NotImplementedError" in body.__code__.co_names:
            return True
    return False


def _make(cls: type, values: Sequence[Any], seed: int) -> Any:
    # Objects that draw from the global generator are made the same way every time, and leave it as it was.
    state = np.random.get_state()  # noqa: NPY002  # the user's code uses it
    np.random.seed(seed)  # noqa: NPY002  # see above
    try:
        return cls(*values)
    finally:
        np.random.set_state(state)  # noqa: NPY002  # see above


def constructors(cls: type) -> Iterator[list[Any]]:
    """Give argument lists to try for a class, the most likely first.

    Parameters
    ----------
    cls : type
        Its ``__init__`` is looked at.

    Yields
    ------
    list
        Positional arguments for the required parameters.
    """
    known = positional_parameters(cls)
    names = known[0][: known[1]] if known else []
    if not names:
        yield []
        return
    for weight, bias in (((N_IN, N_OUT), (N_OUT,)), ((N_IN, N_OUT), (1, N_OUT)), ((N_OUT, N_IN), (N_OUT, 1))):
        yield [_argument(name, weight, bias) for name in names]
        if not any(role(name) in "wb" for name in names):
            break
    numbers = [N_IN, N_OUT, 3, 1, 1]
    yield (numbers + [1] * len(names))[: len(names)]
    if len(names) == 1:
        yield [[N_IN, N_HIDDEN, N_OUT]]
        yield [(N_IN,)]
    yield [N_IN] * len(names)


def _with_layers(cls: type, others: Sequence[type], seed: int) -> Iterator[list[Any]]:
    """Give a container the module's own layers, as many as can be chained."""
    known = positional_parameters(cls)
    names = known[0][: known[1]] if known else []
    if len(names) != 1 or not re.match(r"^(layers?_?(list)?|modules|blocks|stages|steps)$", names[0]):
        return
    x: Any = np.random.default_rng(seed).normal(size=(5, N_IN))
    layers = []
    for other in others:
        for values in () if other is cls else constructors(other):
            try:
                with quiet():
                    layer = _make(other, values, seed)
                    out = getattr(layer, method_of(layer, FORWARD))(x)
            except Exception:  # the next may fit
                continue
            if isinstance(out, np.ndarray) and out.ndim == x.ndim and out.dtype == x.dtype:
                layers.append(layer)
                x = out
                break
    if layers:
        yield [layers]


def _argument(  # one return a kind of parameter
    name: str, weight: tuple[int, ...], bias: tuple[int, ...]
) -> Any:
    rng = np.random.default_rng(len(name))
    for pattern, make in _SPECIAL:
        if pattern.match(name):
            return make()
    if role(name) == "w" and name.lower() not in ("width",) and len(name) < 8:  # W, Wx, weights
        if is_recurrent(name):
            return rng.normal(size=(weight[-1], weight[-1]))
        return rng.normal(size=weight)
    if role(name) == "b":
        return rng.normal(size=bias)
    for pattern, size in _SIZES:
        if pattern.search(name):
            if size == "sizes":
                return [N_IN, N_HIDDEN, N_OUT]
            return [N_HIDDEN] if size == "hidden sizes" else size
    known, value = setting(name)
    return value if known else N_IN


def _calls(
    layer: Any, functions: Mapping[str, Callable[..., Any]], seed: int
) -> Iterator[tuple[list[Array], dict[str, Any]]]:
    """Give inputs, and a loss with targets where the model needs them."""
    forward = method_of(layer, FORWARD)
    names = _required(getattr(layer, forward)) if forward else []
    lossy = method_of(layer, (*LOSS, *LOSS_AND_GRADIENT))
    if not forward:
        names = _required(getattr(layer, lossy)) if lossy else []
        known = positional_parameters(getattr(layer, lossy)) if lossy else None
        names = names if len(names) > 1 or known is None else known[0][:2]
    names = names or ["x"]
    loss = is_loss_name(type(layer).__name__) or not forward
    rng = np.random.default_rng(seed)
    plain = not any(isinstance(value, np.ndarray) for value in getattr(layer, "__dict__", {}).values())
    for shapes in _shapes(names, plain=plain):
        primals = [_value(name, shape, rng, loss=loss) for name, shape in zip(names, shapes, strict=True)]
        yield primals, {}
    if not forward or len(names) > 1:
        return
    losses = list(losses_of(functions).values())
    for (x,) in list(_shapes(["x"]))[:3]:
        primal = rng.normal(size=x)
        try:
            with quiet():
                shape = np.shape(getattr(layer, forward)(primal))
        except Exception:  # the next shape may do
            continue
        indices = np.arange(x[0]) % 2
        for targets in (labels(shape, rng), indices):
            if lossy:
                yield [primal, targets], {}
            if len(losses) == 1:
                yield [primal], {"targets": targets, "loss": losses[0]}


def losses_of(functions: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """Return the functions that look like ``loss(prediction, targets)``."""
    return {
        name: function
        for name, function in functions.items()
        if is_loss_name(name)
        and len(_required(function)) == 2  # (prediction, targets)
        and not re.search(r"back|grad|prime|deriv|^d_|^d[A-Z]|delta", name)
    }


def _required(method: Any) -> list[str]:
    known = positional_parameters(method)
    return known[0][: known[1]] if known else []


def _shapes(names: Sequence[str], *, plain: bool = False) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Shapes that go with the sizes of `constructors`; columns before vectors for a `plain` layer without arrays.

    A layer with a bias of shape ``(2,)`` runs on a column too, but only by broadcasting.
    """
    states = [role(name) == "h" for name in names]
    targets = [is_target_name(name) and len(names) > 1 for name in names]
    vectors: tuple[tuple[int, ...], ...] = ((5,), (2, 7, N_IN), (N_IN,), (N_IN, 1), (6, 6))
    vectors = tuple(sorted(vectors, key=lambda shape: shape != (N_IN, 1))) if plain else vectors
    for x in ((5, N_IN), (N_IN, 5), (2, N_IN, 6, 6), (2, 6, 6, N_IN), *vectors):
        if any(states):
            for hidden in (N_HIDDEN, N_OUT, N_IN):
                h = (x[0], hidden) if x[-1] == N_IN else (hidden, *x[1:])
                yield tuple(h if state else x for state in states)
        elif any(targets):
            for t in (x, x[:1], (x[0], 1), (x[0], N_OUT), (N_OUT, *x[1:]), (1, *x[1:])):
                yield tuple(t if target else x for target in targets)
        else:
            yield (x,) * len(names)
    if len(names) == 2:  # a product, (A, B)
        yield (5, 3), (3, 2)


def _value(name: str, shape: tuple[int, ...], rng: np.random.Generator, *, loss: bool) -> Array:
    known, value = setting(name)
    if known and not (loss and name == "p"):
        return np.asarray(value)
    if role(name) == "i" or (loss and is_target_name(name)):
        return labels(shape, rng)
    if loss and shape:
        return np.asarray(rng.uniform(0.1, 0.9, shape))
    return np.asarray(rng.normal(size=shape))


def _why(layer: Any, seed: int) -> str:
    inputs = next(iter(_calls(layer, {}, seed)), ([], {}))[0]
    try:
        with quiet():
            adapted = adapt_object(layer, inputs)
            adapted(adapted.primals)[1]({})
    except Exception as error:  # it is what the reader wants to know
        shapes = ", ".join(str(value.shape) for value in inputs)
        return f"with inputs of shape {shapes}, {type(error).__name__}: {error}"
    return "no gradient was found"


def _brief(value: Any) -> str:
    return f"array{value.shape}" if isinstance(value, np.ndarray) else repr(value)
