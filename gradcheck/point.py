"""What is known at the point? Outputs, noise, the analytic gradient and its own rounding: what all judging needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from functools import cached_property

import numpy as np

from gradcheck import noise
from gradcheck.blocks import dot, largest, products
from gradcheck.difference import CONFIDENCE, Differences
from gradcheck.evaluate import Evaluator, Vector
from gradcheck.layer import Array, Named
from gradcheck.probe import EntryRay, ProjectionRay, default_step, natural, signed

Entry = tuple[str, tuple[int, ...]]
"""A primal's name and an index into it."""

_INSENSITIVE = 1e-9  # a bar below this part of f's own size bounds a zero gradient well enough
_UNLIKE = 4.0  # two measurements of the same noise do not differ by more
_FLAT = 1e-6  # a bar below this part of the slopes farther away does so too
_REPEATS = 4
_FARTHER = 2.0**20  # over the finest spacing: a millionth of its size, which resolves a small entry among larger ones
_INSIDE = 16.0  # last bits of a difference inside f
_CANCELLED = 64.0  # last bits of f's own size that terms which cancel may leave of a gradient
_NULL = 1e-6  # a gradient that moves f by less than this part of its last bit is zero to all intents


class Point:
    """One point, with everything that comparing needs to know of it.

    Parameters
    ----------
    evaluator : Evaluator
        At the point; its `remember` was called.
    base : ndarray, shape (m,)
        Outputs at the point.
    eps : ndarray, shape (m,)
        Machine epsilon of each output's dtype.
    cotangent : ndarray, shape (m,)
        Weights of the outputs.
    gradient : dict of str to ndarray
        The analytic gradient, for the primals to be judged, as real float64 numbers in the shapes of
        `Evaluator.point`.
    again : callable
        ``again()`` returns the same at the evaluator's moved point; ``again(jitter=True)`` with the cotangent changed
        in its last bits, ``again(times=3)`` with so many times the cotangent, where there is one to be given.
    rng : numpy.random.Generator
        For directions.
    weigh : callable, optional
        ``weigh(weights)`` yields the gradients at the evaluator's point for other weights of the outputs, each of shape
        (m,); none, where they are not to be had.

    Attributes
    ----------
    noise : ndarray, shape (m,)
        Standard deviation of each output; half a last bit until `measure` was called.
    close_noise : ndarray, shape (m,)
        The same without what only longer spacings show.
    measured : bool
        Whether it was.
    last_bit : float
        The coarsest machine epsilon among the outputs.
    tread : float
        The highest jump of f, at most as high as a tread of float32, that was met where another slope was expected.
    treads : ndarray, shape (m,)
        The highest tread of each output that was met where f stood still, hid what an entry claims, and was longer
        than any that is meant.
    scale : dict of str to float
        The largest finite magnitude in each gradient.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        base: Vector,
        eps: Vector,
        cotangent: Vector,
        gradient: Named,
        again: Callable[..., Named],
        rng: np.random.Generator,
        weigh: Callable[[Sequence[Vector]], Iterable[Named]] | None = None,
    ) -> None:
        self.evaluator = evaluator
        self.base = base
        self.cotangent = cotangent
        self.gradient = gradient
        self.again = again
        self.rng = rng
        self._weigh = weigh
        self.noise = self.close_noise = noise.floor(base, eps)
        self.last_bit = float(eps.max(initial=0.0))
        self._home = base
        self.scale = {name: scale_of(array) for name, array in gradient.items()}
        self._eps = eps
        self._shared: Callable[[Entry], Differences | None] | None = None
        self._ray: tuple[Entry, EntryRay] | None = None
        self._moves_on = False
        self.measured = False
        self.tread = 0.0
        self.treads: Vector = np.zeros(base.shape)
        self._measured_treads = False
        self._spread_measured: Named | None = None

    def analytic(self, entry: Entry) -> float:
        """Return one entry of the analytic gradient."""
        return float(self.gradient[entry[0]][entry[1]])

    @cached_property
    def size(self) -> float:
        """The sum of the outputs' sizes at the point: what f's size is to its weighted sum."""
        return float(sum(np.abs(product).sum() for product in products(self.cotangent, self._home)))

    @cached_property
    def largest(self) -> float:
        """The largest number among primals, outputs and gradients at the point."""
        arrays = (self._home, *(self.evaluator.point[name] for name in self.gradient))
        return max(*map(scale_of, arrays), *self.scale.values())

    @property
    def hidden(self) -> float:
        """What noise can hide of a first difference, by all outputs."""
        return self.unseen / default_step(self.last_bit, 1.0)

    @property
    def unseen(self) -> float:
        """What noise can hide of a change of f, by all outputs."""
        return CONFIDENCE * math.sqrt(sum(each @ each for each in products(self.cotangent, self.noise)))

    def directional(self, direction: Named) -> float:
        """Return the analytic derivative along a direction."""
        return sum(dot(self.gradient[name], array) for name, array in direction.items())

    def reach(self, entry: Entry) -> float:
        """Return the natural length of a step of one entry: 1, or its size where that is larger."""
        return max(1.0, abs(float(self.evaluator.point[entry[0]][entry[1]])))

    def natural(self, name: str) -> Array:
        """Return the sizes of a primal's entries themselves; for zeros, that of a typical entry of the array, or 1."""
        return natural(self.evaluator.point[name])

    def weighed(self, weights: Sequence[Vector]) -> Iterator[Point]:
        """Yield the same point with other weights of the outputs, and their gradient; fewer, where there is none.

        For what asks nothing but f and the gradient itself: `again` still gives that of the point's own weights.
        """
        for each, gradient in zip(weights, self._weigh(weights) if self._weigh else (), strict=False):
            other = copy(self)
            other.cotangent = each
            other.gradient = {name: gradient[name] for name in self.gradient}
            other.scale = {name: scale_of(array) for name, array in other.gradient.items()}
            other._shared = other._ray = other._spread_measured = None
            for name in ("size", "largest"):  # are cached
                other.__dict__.pop(name, None)
            yield other

    @contextmanager
    def away(self, *, stays: bool = False) -> Iterator[Named]:
        """Let the evaluator's point, `base` and `gradient` be changed inside the context; all are put back at the end.

        Yields a copy of the point as it was. Where it `stays` once moved, what is evaluated there is remembered too.
        """
        base, gradient, shared = self.base, self.gradient, self._shared
        self._shared = self._ray = None  # what was evaluated at the point says nothing of another
        moves_on, self._moves_on = self._moves_on, not stays
        try:
            with self.evaluator.away() as at:
                yield at
        finally:
            self.base, self.gradient, self._shared, self._ray = base, gradient, shared, None
            self._moves_on = moves_on

    def eps(self, name: str) -> float:
        """Return the machine epsilon that a first step along a primal is chosen for."""
        return max(self.last_bit, float(np.finfo(self.evaluator.point[name].dtype).eps))

    @contextmanager
    def sharing(self, along: Callable[[Entry], Differences | None]) -> Iterator[None]:
        """Let `along_entry` use evaluations that several entries share, inside the context and at the point itself."""
        before, self._shared = self._shared, along
        try:
            yield
        finally:
            self._shared = before

    def along_entry(self, entry: Entry, *, alone: bool = False) -> Differences:
        """Return difference quotients along one entry, which `alone` is moved by itself."""
        shared = self._shared(entry) if self._shared and not alone else None
        if shared is not None:
            return shared
        if self._moves_on or self._ray is None or self._ray[0] != entry:
            self._ray = entry, EntryRay(self.evaluator, *entry)  # away, the point may have moved on since
        return Differences(self._ray[1], self.base, self.cotangent, self.noise)

    def along(self, direction: Named) -> tuple[Differences, ProjectionRay]:
        """Return difference quotients along a direction, and its ray."""
        ray = ProjectionRay(self.evaluator, direction)
        return Differences(ray, self.base, self.cotangent, self.noise), ray

    def is_null(self, entry: Entry, bar: float, steepest: float) -> bool:
        """Tell whether an entry is zero to all intents, and `bar` small enough to say that of the truth as well.

        Parameters
        ----------
        entry : Entry
            The entry.
        bar : float
            What its numerical derivative is known to.
        steepest : float
            The largest slope that was met farther away.
        """
        reach = self.reach(entry)
        analytic = abs(self.analytic(entry))
        insensitive = bar * reach <= _INSENSITIVE * self.size or bar <= _FLAT * steepest
        if not insensitive and self.size:
            return False
        if analytic == self.size == steepest == 0:
            return True  # f is exactly zero, here and wherever the entry went: there is nothing that could hide a slope
        if analytic == 0:
            return insensitive
        if analytic * reach <= _NULL * self.last_bit * self.size and analytic <= self.last_bit * steepest:
            return insensitive
        # a bias before a batch norm: terms that cancel, and what is left of them is rounding
        cancelled = analytic * reach <= _CANCELLED * self.last_bit * self.size
        return insensitive and cancelled and self._is_rounding(entry)

    def is_still(self, entry: Entry, slope: float, steepest: float) -> bool:
        """Tell whether an entry claims nothing where all that it reaches is exactly zero, and its slope is rounding.

        The squared error of a perfect prediction: its difference of zero is one of two large numbers, and noisier than
        its own size says.

        Parameters
        ----------
        entry : Entry
            The entry.
        slope : float
            What its derivative may be at most.
        steepest : float
            The largest slope that was met farther away.
        """
        if self.analytic(entry) != 0 or slope > _INSIDE * self.last_bit * steepest:
            return False
        differences = self.along_entry(entry)
        differences.explore()
        return differences.size == 0

    def measure(self) -> None:
        """Measure the noise of f, once."""
        if self.measured:
            return
        self.measured = True
        self.noise = self.close_noise = self.noise_here()

    def noise_here(self) -> Vector:
        """Measure the noise of f where the point has been moved to."""
        point = self.evaluator.point
        ray, fine = self._anywhere(farther=_FARTHER)
        finest = noise.POINTS * noise.SPACINGS[0]
        eps = max(float(np.finfo(point[name].dtype).eps) for name in self.gradient)
        double = float(np.finfo(np.float64).eps)
        spacings = noise.SPACINGS if eps <= double else tuple(s for s in noise.SPACINGS if s > 4 * eps)
        return noise.measure(lambda t: (fine if t < finest else ray).at(t)[0], self.base, self._eps, spacings=spacings)

    def noise_along(self, entry: Entry) -> float:
        """Return what noise can hide of a change of f, as far as it shows where that entry alone moves."""
        ray, size = EntryRay(self.evaluator, *entry), float(self.natural(entry[0])[entry[1]])
        deviations = noise.measure(lambda t: ray.at(t * size)[0], self.base, self._eps)
        return CONFIDENCE * float(np.linalg.norm(self.cotangent * deviations))

    def measure_treads(self) -> None:
        """Measure, once, the noise that shows over longer spacings only: asked where levels contradict each other."""
        if self._measured_treads:
            return
        self._measured_treads = True
        ray, _ = self._anywhere()
        treads = noise.treads(lambda t: ray.at(t)[0], self.base, self._eps)
        self.noise = np.where(treads > _UNLIKE * self.noise, treads, self.noise)

    def everywhere(self, names: Iterable[str] | None = None) -> Differences:
        """Return difference quotients along a random direction that moves every entry by its `reach`.

        Parameters
        ----------
        names : iterable of str, optional
            Of the primals to be moved, all by default.
        """
        direction = {
            name: signed(self.rng, self.gradient[name].shape) * np.maximum(1.0, np.abs(self.evaluator.point[name]))
            for name in names or self.gradient
        }
        return self.along(direction)[0]

    def _anywhere(self, *, farther: float = 1.0) -> tuple[ProjectionRay, ProjectionRay]:
        """Return a ray along a random direction, on the scale of the entries; and one for steps of their last bits.

        Along the second, an entry that is small among others goes up to so many times farther.
        """
        usual, fine = {}, {}
        for name in self.gradient:
            size = np.abs(self.evaluator.point[name].astype(np.float64))
            typical = float(np.median(size)) if size.size else 0.0
            signs = signed(self.rng, size.shape)
            usual[name] = signs * np.where(size > 0, size, 1.0)
            fine[name] = signs * np.where(size > 0, np.maximum(size, np.minimum(typical, farther * size)), 1.0)
        return ProjectionRay(self.evaluator, usual), ProjectionRay(self.evaluator, fine)

    def rounding(self, entry: Entry) -> float:
        """Return what rounding can do to the analytic entry itself.

        Capped at a small part of the largest entry, so that a value which is only wrong exactly at the point cannot
        hide behind it.
        """
        name, index = entry
        cap = math.sqrt(float(np.finfo(self.gradient[name].dtype).eps)) * max(self.scale.values())
        return min(4.0 * float(self._spread()[name][index]), cap)

    def _is_rounding(self, entry: Entry) -> bool:
        """Tell whether an analytic entry is no larger than what rounding does to its array."""
        spread = self._spread()[entry[0]]  # of all its entries: one alone may by chance not change
        return abs(self.analytic(entry)) <= 4.0 * float(np.max(spread))

    def _spread(self) -> Named:
        """Measure, once, how the analytic gradient changes where point and cotangent change in their last bits."""
        if self._spread_measured is not None:
            return self._spread_measured
        spread: Named = {name: np.zeros(array.shape) for name, array in self.gradient.items()}
        with self.evaluator.away() as at:
            for _ in range(_REPEATS):
                for name in self.gradient:  # constants stay
                    eps = float(np.finfo(at[name].dtype).eps)
                    bits = self.rng.choice([-1, 1], at[name].shape)
                    self.evaluator.point[name][...] = at[name] * (1 + eps * bits)
                with np.errstate(all="ignore"):
                    moved = self.again(jitter=True)
                for name, array in moved.items():
                    if name in spread:
                        spread[name] = np.fmax(spread[name], np.abs(array - self.gradient[name]))
        self._spread_measured = spread
        return spread


def scale_of(gradient: Array) -> float:
    """Return the largest finite magnitude."""
    size = largest(gradient)
    return size if math.isfinite(size) else largest(gradient[np.isfinite(gradient)])
