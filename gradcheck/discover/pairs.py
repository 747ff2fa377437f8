"""Which functions and classes of a module look like a forward with its derivative? Told by names alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np

from gradcheck.adapters.calling import BACKWARD, FORWARD, GRADIENT, LOSS, LOSS_AND_GRADIENT

VJP_NAMES = (
    "{0}backward",
    "{0}backwards",
    "{0}bwd",
    "{0}backprop",
    "{0}bprop",
    "{0}back",
    "{0}vjp",
    "{0}pullback",
    "{0}grad",
    "{0}grads",
    "{0}gradient",
    "{0}gradients",
    "{0}derivative",
    "{0}derivitive",
    "{0}derivate",
    "{0}deriv",
    "{0}der",
    "{0}diff",
    "{0}prime",
    "{0}dx",
    "backward{0}",
    "backprop{0}",
    "bwd{0}",
    "vjp{0}",
    "grad{0}",
    "gradient{0}",
    "gradientof{0}",
    "derivative{0}",
    "derivativeof{0}",
    "deriv{0}",
    "delta{0}",
    "d{0}",
)
"""How the derivative of ``{0}`` may be called; underscores and case do not count."""
JVP_NAMES = ("{0}jvp", "{0}pushforward", "jvp{0}")
FORWARD_NAMES = (
    "{0}",
    "{0}forward",
    "{0}fwd",
    "forward{0}",
    "fwd{0}",
    "{0}forwardpass",
    "{0}fn",
    "{0}function",
)
"""How the forward of the derivative of ``{0}`` may be called."""
PLAIN_PAIRS = (
    *((forward, "backward") for forward in ("forward", "fwd", "f")),
    *((loss, grad) for loss in ("loss", "cost", "objective", "f", "lossfn", "lossfunction", "costfunction")
      for grad in ("gradient", "gradients", "grad", "fprime", "lossgrad")),
    ("forwardpass", "backwardpass"),
    ("forwardprop", "backwardprop"),
    ("forwardpropagation", "backwardpropagation"),
    ("forwardpropagation", "backpropagation"),
    ("fwd", "bwd"),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Pair:
    """A function and what is called like its derivative."""

    name: str
    forward: Callable[..., Any]
    derivative: Callable[..., Any]
    mode: Literal["vjp", "jvp"]


def own_functions(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """Return the public functions that a module defines itself, ``numpy.vectorize`` objects included."""
    found = {}
    for name, value in vars(module).items():
        inner = value.pyfunc if isinstance(value, np.vectorize) else value
        if inspect.isfunction(inner) and inner.__module__ == module.__name__:
            found[name] = value
    return {name: value for name, value in found.items() if not name.startswith("_")}


def own_classes(module: ModuleType) -> dict[str, type]:
    """Return the public classes that a module defines itself."""
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and not name.startswith("_")
    }


def _plain(name: str) -> str:
    return name.lower().replace("_", "")


def find_pairs(functions: dict[str, Callable[..., Any]]) -> Iterator[Pair]:
    """Pair functions with those called like their derivatives.

    Parameters
    ----------
    functions : dict of str to callable
        By name, in the order of definition.

    Yields
    ------
    Pair
        Named after the derivative, in the order in which the derivatives are defined.

    Examples
    --------
    >>> [pair.name for pair in find_pairs({"relu": np.abs, "relu_backward": np.sign, "ReLU_prime": np.sign})]
    ['relu_backward', 'ReLU_prime']
    """
    by_plain: dict[str, list[str]] = {}
    for name in functions:
        by_plain.setdefault(_plain(name), []).append(name)
    for name, derivative in functions.items():
        for mode, forward in _forwards(name, by_plain):
            yield Pair(name, functions[forward], derivative, mode)
            break


def _forwards(name: str, by_plain: dict[str, list[str]]) -> Iterator[tuple[Literal["vjp", "jvp"], str]]:
    plain = _plain(name)
    tables: tuple[tuple[Literal["vjp", "jvp"], tuple[str, ...]], ...] = (
        ("jvp", JVP_NAMES),
        ("vjp", VJP_NAMES),
    )
    for mode, templates in tables:
        for template in templates:
            head, tail = template.split("{0}")
            stem = plain.removeprefix(head).removesuffix(tail)
            if head + stem + tail != plain or not stem:
                continue
            # "delta_loss" belongs to loss, but "dense" is no derivative of "ense", and "div" none of "iv".
            labels = FORWARD_NAMES if template != "d{0}" or name.startswith(("d_", "D_")) else ("{0}",)
            for label in reversed(labels) if tail.startswith("b") else labels:
                for forward in by_plain.get(label.format(stem), ()):
                    if forward != name:
                        yield mode, forward
    for word, other in (("backward", "forward"), ("bwd", "fwd"), ("backward", ""), ("backprop", "forward")):
        if word in plain and plain != word:
            # conv_backward_naive belongs to conv_forward_naive, or to conv_naive.
            yield from (("vjp", forward) for forward in by_plain.get(plain.replace(word, other), ()))
    for forward_plain, backward_plain in PLAIN_PAIRS:
        if plain == backward_plain:
            for forward in by_plain.get(forward_plain, ()):
                yield "vjp", forward


def looks_like_layer(cls: type) -> bool:
    """Tell whether a class has both a forward and a backward, under any of their names.

    Parameters
    ----------
    cls : type
        Any class.

    Returns
    -------
    bool
        Also True for a class with a loss and a gradient method.
    """
    if inspect.isabstract(cls) or getattr(cls, "_is_protocol", False):
        return False
    have = [name for base in cls.__mro__[:-1] for name, value in vars(base).items() if callable(value)]
    forward = any(name in have for name in FORWARD)
    if forward and any(name in have for name in BACKWARD):
        return True
    if any(name in have for name in LOSS) and any(name in have for name in GRADIENT):
        return True
    if any(name in have for name in LOSS_AND_GRADIENT):
        return True
    return forward and any(name in have for name in ("derivative", "gradient", "prime", "deriv"))
