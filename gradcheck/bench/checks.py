"""Which gradients are checked to see what that costs? Layers of several sizes, all right: there is nothing to say."""
# matrices are capitals

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from gradcheck.bench.measure import Problem
from gradcheck.check import check_vjp

__all__ = ["FAMILIES", "Gradient", "gradients", "problems"]

Array = np.ndarray[Any, np.dtype[Any]]
UNIT = "forward and backward"
MODES: tuple[Literal["full", "fast"], ...] = ("full", "fast")
MANY = 10**5
"""Entries, from which on a full check is left to ``--full``."""


def sigmoid(z: Array) -> Any:
    """Take one evaluation for all entries."""
    return 1 / (1 + np.exp(-z))


def sigmoid_backward(da: Array, z: Array) -> Any:
    """Return the pullback of `sigmoid`."""
    a = sigmoid(z)
    return da * a * (1 - a)


def dense(x: Array, w: Array, b: Array) -> Any:
    """Return outputs in which the entries of a row or a column meet."""
    return x @ w + b


def dense_backward(dy: Array, x: Array, w: Array, b: Array) -> tuple[Any, Any, Any]:
    """Return the pullback of `dense`."""
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


X, Y = np.random.default_rng(0).normal(size=(32, 64)), np.random.default_rng(1).integers(0, 2, (32, 1))


def mlp(w1: Array, b1: Array, w2: Array, b2: Array) -> Any:
    """Return a loss in which all entries meet: none can share an evaluation."""
    z = np.tanh(X @ w1 + b1) @ w2 + b2
    return np.mean(np.logaddexp(0, z) - Y * z)


def mlp_backward(g: Any, w1: Array, b1: Array, w2: Array, b2: Array) -> tuple[Any, ...]:
    """Return the pullback of `mlp`."""
    a = np.tanh(X @ w1 + b1)
    dz = g * (sigmoid(a @ w2 + b2) - Y) / len(Y)
    dh = dz @ w2.T * (1 - a**2)
    return X.T @ dh, dh.sum(axis=0), a.T @ dz, dz.sum(axis=0)


FAMILIES: dict[str, tuple[Callable[..., Any], Callable[..., Any], list[list[tuple[int, ...]]]]] = {
    "sigmoid": (sigmoid, sigmoid_backward, [[(4, 3)], [(50, 20)], [(100, 100)], [(1000, 1000)]]),
    "dense": (
        dense,
        dense_backward,
        [[(n, k), (k, m), (m,)] for n, k, m in [(8, 16, 4), (32, 64, 64), (64, 256, 256)]],
    ),
    "MLP loss": (mlp, mlp_backward, [[(64, h), (h,), (h, 1), (1,)] for h in (4, 16, 64)]),
}
"""Of each family of functions: f, its backward, and the shapes of its inputs, smallest first."""


@dataclass(frozen=True, eq=False)
class Gradient:
    """A function, its right pullback and a point."""

    family: str
    size: str
    f: Callable[..., Any]
    vjp: Callable[..., Any]
    inputs: tuple[Array, ...]

    @property
    def entries(self) -> int:
        """How many numbers the gradients have."""
        return sum(x.size for x in self.inputs)

    def calls(self) -> dict[str, Callable[[], object]]:
        """Return one forward and one backward, and the checks in both modes, as calls without arguments."""
        cotangent = np.ones(np.shape(self.f(*self.inputs)))
        return {
            UNIT: lambda: (self.f(*self.inputs), self.vjp(cotangent, *self.inputs)),
            **{mode: partial(check_vjp, self.f, self.vjp, *self.inputs, mode=mode) for mode in MODES},
        }


def gradients() -> list[Gradient]:
    """Return them all; `size` is made of the lengths of the first input and, for a layer, its output."""
    rng = np.random.default_rng(0)
    found = []
    for family, (f, vjp, sizes) in FAMILIES.items():
        for shapes in sizes:
            inputs = tuple(rng.normal(size=shape) for shape in shapes)
            size = " x ".join(map(str, (*shapes[0], *shapes[1][1:]) if len(shapes) == 3 else shapes[0]))
            found.append(Gradient(family, size, f, vjp, inputs))
    return found


def problems(*, full: bool) -> list[Problem]:
    """Return the checks; those of many entries only if `full`."""
    found = []
    for each in gradients():
        if full or each.entries <= MANY:
            work = {"family": each.family, "size": each.size, "entries": each.entries}
            title = f"{each.family} {each.size}"
            found.append(Problem("checks", title, each.calls, UNIT, MODES, (), work))
    return found
