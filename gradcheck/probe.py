"""Which direction? Rays through the point along which f is evaluated: single entries, and projections."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Protocol

import numpy as np

from gradcheck.blocks import BLOCK, in_blocks, largest
from gradcheck.evaluate import Evaluator, Vector
from gradcheck.layer import Array, Named

_REMEMBERED = 1 << 22  # numbers
_FAR = 1e-3  # steps beyond this part of a ray's scale are our own idea: the user's code need not be made for them
_SIGN, _EXPONENT, _FRACTION = np.uint64(1 << 63), np.uint64(0x7FF << 52), np.uint64((1 << 52) - 1)  # of a float64
_ONE, _HALF = np.uint64(0x3FF << 52), np.uint64(0x3FE << 52)  # as a float64
_SMALLEST, _LARGEST = 2.0**-1022, 2.0**1000  # beyond these, steps lose their bits or overflow


class Ray(Protocol):
    """A line through the point, parametrised by a step."""

    scale: float
    """The natural length of a step: 1, or the size of what is moved where that is larger."""
    magnitude: float
    """The size of what is moved; 0 where it is zero."""

    @property
    def spacing(self) -> float:
        """The smallest step that is not lost in rounding."""
        ...

    def at(self, step: float) -> tuple[Vector, float]:
        """Evaluate f there; return its outputs and the step really taken after rounding."""
        ...


class EntryRay:
    """Moves one entry of one primal, and remembers what f returned: who judges an entry asks again and again.

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
        self._seen: dict[float, tuple[Vector, float]] = {}

    def at(self, step: float) -> tuple[Vector, float]:
        """See `Ray.at`."""
        if step not in self._seen:
            outputs, taken = self._moved(step)
            if (len(self._seen) + 1) * outputs.size > _REMEMBERED:
                self._seen.clear()
            self._seen[step] = outputs, taken
        return self._seen[step]

    def _moved(self, step: float) -> tuple[Vector, float]:
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
        self._seen: dict[float, Vector] = {}
        self.magnitude = 0.0
        self.scale = 1.0

    @cached_property
    def spacing(self) -> float:
        """See `Ray.spacing`; a first look needs none."""
        return max((_spacing(array) for array in self._base.values()), default=0.0)

    def at(self, step: float) -> tuple[Vector, float]:
        """See `Ray.at`; what rounding does to the single entries is told by `slip`.

        The last two evaluations are remembered: both sides of a step.
        """
        if step not in self._seen:
            if len(self._seen) == 2:
                del self._seen[next(iter(self._seen))]
            self._seen[step] = self._moved(step)
        return self._seen[step], step

    def _moved(self, step: float) -> Vector:
        point = self._evaluator.point
        try:
            for name in self._direction:
                self._move(name, step, point[name])
            label = f"{', '.join(self._direction)} moved by {step:+.3g} along a direction"
            return self._evaluator.outputs(label, far=abs(step) > _FAR)
        finally:
            for name, base in self._base.items():
                point[name][...] = base

    def slip(self, step: float, gradient: Named) -> float:
        """Return what rounding of the moved entries does to the analytic directional difference over ``2 * step``."""
        total = 0.0
        for name, direction in self._direction.items():
            plus, minus = np.empty_like(self._base[name]), np.empty_like(self._base[name])
            self._move(name, step, plus)
            self._move(name, -step, minus)
            total += float(np.sum(gradient[name] * ((plus - minus) - 2 * step * direction)))
        return total / (2 * step)

    def _move(self, name: str, step: float, out: Array) -> None:
        base, direction = self._base[name], self._direction[name]
        if out.dtype == direction.dtype:
            np.multiply(direction, step, out=out)
            out += base
        else:  # rounded once, at the end
            out[...] = base + direction * step


def _spacing(array: Array) -> float:
    """Return the distance of the largest entry to the next number that its dtype knows."""
    return float(np.spacing(array.dtype.type(largest(array))))


def signed(rng: np.random.Generator, shape: tuple[int, ...]) -> Vector:
    """Draw numbers of random sign and magnitude in [0.5, 1.5): never near zero, in nobody's null space.

    Examples
    --------
    >>> import numpy as np
    >>> drawn = np.abs(signed(np.random.default_rng(0), (100,)))
    >>> bool(drawn.min() >= 0.5 and drawn.max() < 1.5)
    True
    """
    size = math.prod(shape)
    if size > BLOCK:  # sign and magnitude from the same bits: random numbers are a good part of what a million cost
        drawn: Vector = np.empty(size)
        for part in in_blocks(drawn):
            bits = rng.bit_generator.random_raw(part.size)
            half = bits & _SIGN
            half |= _HALF
            bits &= _SIGN | _FRACTION
            bits |= _ONE
            np.subtract(bits.view(np.float64), half.view(np.float64), out=part)
        return np.asarray(drawn.reshape(shape))
    magnitude, sign = np.asarray(rng.random(shape)), np.asarray(rng.random(shape))
    magnitude += 0.5
    sign -= 0.5
    return np.copysign(magnitude, sign, out=magnitude)


def exact(rng: np.random.Generator, array: Array) -> Vector:
    """Draw moves for the entries of an array, by steps that are powers of two, which rounding leaves as they are.

    Of random sign, and 1 to 1.5 times the power of two below an entry's size, or 1 if it is smaller; with so few digits
    that a step as short as a difference's, and a hundred times shorter ones, are added without an error, but where they
    lead into the next power of two.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([0.1, -3.0, 1000.0])
    >>> moves = exact(np.random.default_rng(0), x)
    >>> moves.size, bool(np.all((np.abs(moves) >= [1, 2, 512]) & (np.abs(moves) < [1.5, 3, 768])))
    (3, True)
    >>> bool(np.all((x + 2.0**-17 * moves) - x == 2.0**-17 * moves))
    True
    """
    kept = _SIGN | (_FRACTION >> 1) & ~(_FRACTION >> (np.finfo(array.dtype).nmant // 3))
    moves: Vector = np.empty(array.size)
    for move, given in zip(in_blocks(moves), in_blocks(array), strict=True):
        # one draw of random bits gives sign and magnitude
        bits = rng.bit_generator.random_raw(move.size)
        bits &= kept
        size = given.astype(np.float64).view(np.uint64)
        size &= _EXPONENT
        np.bitwise_or(bits, np.maximum(size, _ONE, out=size), out=move.view(np.uint64))
    return np.asarray(moves.reshape(array.shape))


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
