"""What is a layer of the zoo? A right forward, its pullback from the mathematics, and the inputs that it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]


class Values(Protocol):
    """Where a layer's parameters come from; see `tests.soak.draw`."""

    rng: np.random.Generator

    def __call__(self, *shape: int) -> Array:
        """Draw numbers of the case's kind, or ordinary ones."""

    def moderate(self, *shape: int) -> Array:
        """Draw numbers of magnitude 0.5 to 1.5, for what must not be near zero."""


def _no_parameters(values: Values, x: Array) -> tuple[Array, ...]:
    return ()


def _as_it_is(x: Array) -> Array:
    return x


def _anywhere(x: Array) -> bool:
    return True


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer: ``f(x, *parameters)`` returns an array or a tuple of arrays."""

    name: str
    f: Callable[..., Any]
    vjp: Callable[..., tuple[Any, ...]]
    """``vjp(cotangent, x, *parameters)``: one gradient for each input, None for integers and booleans."""
    shape: Callable[[np.random.Generator], Shape]
    """Draws a shape for x, where the layer is the first of its network."""
    parameters: Callable[[Values, Array], tuple[Array, ...]] = _no_parameters
    """Draws the parameters that fit x; integers and booleans are constants."""
    jvp: Callable[..., Any] | None = None
    """``jvp(tangents, x, *parameters)``: from the mathematics as well, None where there is none."""
    into: Callable[[Array], Array] = _as_it_is
    """Moves drawn values into the layer's domain."""
    accepts: Callable[[Array], bool] = _anywhere
    """Whether x may come from the layer before."""
    kinks: tuple[float, ...] = ()
    """Values of x at which f has kinks, besides -1, 0 and 1."""
    lowest: str = "float16"
    """The coarsest dtype that f can work in."""
    plain: bool = True
    """Whether its gradient can be had well at ordinary values; f that hides digits or jumps is not plain."""


def sizes(rng: np.random.Generator, count: int, largest: int = 4) -> Shape:
    """Draw lengths of axes; every fourth is 1."""
    return tuple(1 if rng.random() < 0.25 else int(n) for n in rng.integers(1, largest + 1, count))


def of_rank(*ranks: int, largest: int = 4) -> Callable[[np.random.Generator], Shape]:
    """Return a drawer of shapes of one of some ranks."""
    return lambda rng: sizes(rng, int(rng.choice(ranks)), largest)


def has_rank(*ranks: int) -> Callable[[Array], bool]:
    """Return whether an array has one of some ranks, as `Layer.accepts` wants it."""
    return lambda x: x.ndim in ranks


def unbroadcast(g: Array, shape: Shape) -> Array:
    """Sum a gradient over the axes along which its primal was broadcast."""
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1 != g.shape[i]), keepdims=True)
