"""Which direction? Rays through the point along which f is evaluated: single entries, and projections."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from gradcheck.evaluate import Evaluator, Vector
from gradcheck.layer import Array, Named

_FAR = 1e-3  # steps beyond this part of a ray's scale are our own idea: the user's code need not be made for them
_SMALLEST, _LARGEST = 2.0**-1022, 2.0**1000  # beyond these, steps lose their bits or overflow


class Ray(Protocol):
    """A line through the point, parametrised by a step."""

    scale: float
    """The natural length of a step: 1, or the size of what is moved where that is larger."""
    magnitude: float
    """The size of what is moved; 0 where it is zero."""
    spacing: float
    """The smallest step that is not lost in rounding."""

    def at(self, step: float) -> tuple[Vector, float]:
        """Evaluate f there; return its outputs and the step really taken after rounding."""
        ...


class EntryRay:
    """Moves one entry of one primal.

    Parameters
    ----------
    evaluator : Evaluator
        Whose point is moved, and moved back.
    name : str
        The primal.
    index : tuple of int
        The entry.
    """

    def __init__(self, evaluator: Evaluator, name: str, index: tuple[int, ...]) -> None:
        self._evaluator = evaluator
        self._array = evaluator.point[name]
        self._index = index
        self._label = f"{name}[{', '.join(map(str, index))}]" if index else name
        self._value = self._array[index]
        self.magnitude = abs(float(self._value))
        self.scale = max(1.0, self.magnitude)
        self.spacing = float(np.spacing(np.abs(self._value)))

    def at(self, step: float) -> tuple[Vector, float]:
        """See `Ray.at`."""
        moved = self._value + self._array.dtype.type(step)
        taken = float(moved) - float(self._value)
        self._array[self._index] = moved
        try:
            far = abs(taken) > _FAR * self.scale
            return self._evaluator.outputs(f"{self._label} moved by {taken:+.3g}", far=far), taken
        finally:
            self._array[self._index] = self._value


class ProjectionRay:
    """Moves many entries at once, along a direction.

    Parameters
    ----------
    evaluator : Evaluator
        Whose point is moved, and moved back.
    direction : dict of str to ndarray
        Movement of each primal for a step of 1; zeros stay where they are.
    """

    def __init__(self, evaluator: Evaluator, direction: Named) -> None:
        self._evaluator = evaluator
        self._direction = direction
        self._base = {name: evaluator.point[name].copy() for name in direction}
        self.magnitude = 0.0
        self.scale = 1.0
        self.spacing = max(
            (float(np.max(np.spacing(np.abs(array)), initial=0.0)) for array in self._base.values()),
            default=0.0,
        )

    def at(self, step: float) -> tuple[Vector, float]:
        """See `Ray.at`; what rounding does to the single entries is told by `slip`."""
        point = self._evaluator.point
        try:
            for name, direction in self._direction.items():
                point[name][...] = self._base[name] + direction * step
            label = f"{', '.join(self._direction)} moved by {step:+.3g} along a direction"
            return self._evaluator.outputs(label, far=abs(step) > _FAR), step
        finally:
            for name, base in self._base.items():
                point[name][...] = base

    def slip(self, step: float, gradient: Named) -> float:
        """Return what rounding of the moved entries does to the analytic directional difference over ``2 * step``."""
        total = 0.0
        for name, direction in self._direction.items():
            base = self._base[name]
            taken = (base + direction * step).astype(base.dtype) - (base - direction * step).astype(base.dtype)
            total += float(np.sum(gradient[name] * (taken - 2 * step * direction)))
        return total / (2 * step)


def signed(rng: np.random.Generator, shape: tuple[int, ...]) -> Vector:
    """Draw numbers of random sign and magnitude in [0.5, 1.5): never near zero, in nobody's null space.

    Examples
    --------
    >>> import numpy as np
    >>> drawn = np.abs(signed(np.random.default_rng(0), (100,)))
    >>> bool(drawn.min() >= 0.5 and drawn.max() < 1.5)
    True
    """
    magnitude = rng.uniform(0.5, 1.5, shape)
    return np.asarray(np.where(rng.random(shape) < 0.5, -magnitude, magnitude))


def natural(array: Array) -> Vector:
    """Return the sizes of an array's numbers, in its shape; for zeros, that of a typical one, or 1 if all are zero.

    Examples
    --------
    >>> import numpy as np
    >>> natural(np.array([-3.0, 0.0, 1.0])), natural(np.zeros(2))
    (array([3., 2., 1.]), array([1., 1.]))
    """
    size = np.abs(array.astype(np.float64))
    typical = float(np.median(size[size > 0])) if np.any(size > 0) else 1.0
    return np.asarray(np.where(size > 0, size, typical))


def power_of_two(step: float) -> float:
    """Return the power of two nearest to a step, on a logarithmic scale: exact to add, and to divide by.

    Examples
    --------
    >>> power_of_two(0.3), power_of_two(100.0)
    (0.25, 128.0)
    """
    return 2.0 ** round(math.log2(min(max(step, _SMALLEST), _LARGEST)))


def default_step(eps: float, scale: float) -> float:
    """Return the step of a first central difference: ``eps ** (1/3) * scale``, where truncation and noise balance.

    Examples
    --------
    >>> default_step(2.0**-52, 1.0) == 2.0**-17
    True
    """
    return power_of_two(eps ** (1 / 3) * scale)
