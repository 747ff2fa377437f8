"""Which numbers does a case hold? Kinds of values, from ordinary ones to those that hurt."""

from __future__ import annotations

import numpy as np

from tests.soak.layers.layer import Array

ORDINARY = ("ordinary", "integers", "zeros")
"""Kinds of ordinary scale: where nearly every right gradient has to be decided."""
KINDS = {
    "ordinary": 0.30,
    "integers": 0.12,
    "zeros": 0.12,
    "beside kinks": 0.14,
    "tiny": 0.08,
    "huge": 0.08,
    "mixed": 0.08,
    "saturated": 0.08,
}
"""How often each kind is drawn."""
SMALL_RANGE = ("ordinary", "integers", "zeros", "beside kinks")
"""What float16 can hold without a layer's squares running over."""
NO_HUGE = (*SMALL_RANGE, "tiny", "saturated")
"""The same for float32."""


def draw_kind(rng: np.random.Generator, dtype: np.dtype) -> str:
    """Draw a kind that a dtype can hold."""
    allowed = {"float16": SMALL_RANGE, "float32": NO_HUGE}.get(dtype.name, tuple(KINDS))
    weights = np.array([KINDS[kind] for kind in allowed])
    return str(rng.choice(allowed, p=weights / weights.sum()))


def draw_values(rng: np.random.Generator, kind: str, shape: tuple[int, ...], kinks: tuple[float, ...]) -> Array:
    """Draw numbers of a kind.

    Parameters
    ----------
    rng : Generator
        Where randomness comes from.
    kind : str
        One of `KINDS`.
    shape : tuple of int
        Of the array.
    kinks : tuple of float
        Where the function has kinks; ``"beside kinks"`` draws half of the entries at 10**-1 ... 10**-14 from one.
    """
    base = rng.normal(size=shape) * 10 ** rng.uniform(-1, 1)
    if kind == "tiny":
        return rng.normal(size=shape) * 1e-8
    if kind == "huge":
        return rng.normal(size=shape) * 1e8
    if kind == "mixed":
        return rng.normal(size=shape) * 10 ** rng.uniform(-8, 8, shape)
    if kind == "saturated":
        return rng.choice([-1, 1], shape) * rng.uniform(8, 40, shape)
    if kind == "integers":
        return rng.integers(-3, 4, shape).astype(float)
    if kind == "zeros":
        return np.where(rng.random(shape) < 0.4, 0.0, base)
    if kind == "beside kinks":
        near = rng.choice([-1.0, 0.0, 1.0, *kinks], shape) + rng.choice([-1, 1], shape) * 10 ** rng.uniform(
            -14, -1, shape
        )
        return np.where(rng.random(shape) < 0.5, near, base)
    return base


class Source:
    """Draws a network's parameters: of the case's kind, or ordinary ones of magnitude 1."""

    def __init__(self, rng: np.random.Generator, kind: str, dtype: np.dtype) -> None:
        self.rng = rng
        self.dtype = dtype
        self._kind = kind if rng.random() < 0.3 else None

    def __call__(self, *shape: int) -> Array:
        """Draw an array."""
        drawn = self.rng.normal(size=shape) if self._kind is None else draw_values(self.rng, self._kind, shape, ())
        return np.asarray(drawn, dtype=self.dtype)

    def moderate(self, *shape: int) -> Array:
        """Draw an array of magnitude 0.5 to 1.5, of random sign."""
        return np.asarray(self.rng.choice([-1, 1], shape) * self.rng.uniform(0.5, 1.5, shape), dtype=self.dtype)


def laid_out(rng: np.random.Generator, array: Array) -> Array:
    """Return an array's values in C order, in Fortran order, or as every other entry of a larger buffer."""
    way = rng.random()
    if way < 0.6 or array.ndim == 0:
        return array
    if way < 0.8:
        return np.asfortranarray(array)
    buffer = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    view = buffer[..., ::2]
    view[...] = array
    return view
