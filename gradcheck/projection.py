"""Does a gradient agree along one direction through many entries? What a first look tells."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gradcheck import kink
from gradcheck.blocks import in_blocks, largest, products
from gradcheck.difference import Level
from gradcheck.layer import Named
from gradcheck.point import Point
from gradcheck.probe import default_step
from gradcheck.report import Comparison, Verdict
from gradcheck.search import Residual

TIGHT = 1e-3
"""Of the relative tolerance: so near, nothing that is worth being seen hides behind the largest entry."""
_STRAIGHT = 1e-4  # of the largest entry: an output's sides that differ by less are on no kink worth another look
_INSIDE = 16.0  # times half a last bit: what rounding inside f may be worth
_STEADY = 0.1
_DROWNS = 10.0  # times what may pass unseen
_BY_CHANCE = 0.05  # of the entries
_CLEARLY = 10.0  # times the noise, a difference is none of it
_PART = 1e-5  # of the derivative: so much is the step's length
_TREAD = 2.0**-9  # a step that is longer than treads of float16


class Projection:
    """A direction through many entries, mostly of one primal, and the first look along it.

    Attributes
    ----------
    largest : float
        The largest share of a single entry in the derivative; of several primals that where it is smallest.
    """

    def __init__(self, point: Point, direction: Named) -> None:
        self.point = point
        self.direction = direction
        self.differences, self.ray = point.along(direction)
        self.step = default_step(max(map(point.eps, direction)), 1.0)
        level, self._bent, self._shown = self.differences.bent_level(self.step)
        self.level = self._with_hidden(level)
        self.expected, self._largest = 0.0, dict.fromkeys(direction, 0.0)
        for name, moves in direction.items():
            for shares in products(moves, point.gradient[name]):
                self.expected += float(shares.sum())
                self._largest[name] = max(self._largest[name], largest(shares))
        self.largest = min(self._largest.values())
        self._finer: Level | None = None

    def show_noise(self) -> None:
        """Reckon with the noise that the second differences show, where that is no more than rounding inside f."""
        if self.level.noise < self._shown <= _INSIDE * self.level.noise:
            self.level = replace(self.level, noise=self._shown)

    def measure_noise(self) -> None:
        """Reckon with the noise that f is seen to have."""
        self.point.measure()
        self.differences.take_noise(self.point.noise)
        self.level = self._with_hidden(replace(self.level, noise=self.differences.noise_at(self.level.step)))
        if self._finer is not None:
            self._finer = self._with_hidden(replace(self._finer, noise=self.differences.noise_at(self._finer.step)))

    def _with_hidden(self, level: Level) -> Level:
        """Return a level that reckons with what outputs hide that have not changed: of 1e13 a last bit is much."""
        return replace(level, noise=level.noise + self.differences.hidden_at(level.step))

    @property
    def finer(self) -> Level:
        """What a finer step shows."""
        if self._finer is None:
            self._finer = self._with_hidden(self.differences.level(self.step / 4))
        return self._finer

    @property
    def _is_bent(self) -> bool:
        return abs(self.level.jump) > 2 * self.level.jump_noise

    @property
    def kinked(self) -> bool:
        """Tell whether the one-sided slopes differ as the step shrinks."""
        return self._is_bent and kink.persists(self.level, self.finer)

    def entries(self, name: str) -> int:
        """Return how many entries of a primal it moves."""
        return int(np.count_nonzero(self.direction[name]))

    @property
    def error(self) -> float:
        """How far the analytic derivative is from the numerical one."""
        return self.expected - self.level.central

    def _hides_treads(self) -> bool:
        """Tell whether an output that stands still over the step moves a little farther on, to both sides.

        It may lie on a tread; beyond a kink it would move to one.
        """
        still = ~self.differences.reached
        if not still.any():
            return False
        sides = (self.ray.at(side * _TREAD)[0][still] for side in (1.0, -1.0))
        return bool(np.any(np.logical_and(*(side != self.point.base[still] for side in sides))))

    def is_off(self, rtol: float) -> bool:
        """Tell whether the two differ by more than noise and what the step's length does to them, though allowed."""
        off = abs(self.error)
        return max(_CLEARLY * self.level.noise, _PART * abs(self.expected)) < off <= rtol * self.largest

    def is_tight(self, rtol: float) -> bool:
        """Tell whether both agree so well that no entry worth being seen hides behind the largest."""
        limit = TIGHT * rtol * self.largest + self.level.noise
        if not abs(self.error) <= limit <= rtol * self.largest:
            return False
        if not self.point.measured and self._hides_treads():
            self.measure_noise()
            return self.is_tight(rtol)
        return self._bent <= _STRAIGHT * self.largest or not self.kinked

    def is_plain(self, rtol: float) -> bool:
        """Tell whether they disagree, and by the same at a finer step: a kink crossing would make that another."""
        error = abs(self.error)
        if self.kinked or not rtol * self.largest + self.level.noise < error < math.inf:
            return False
        off = abs(self.finer.central - self.level.central)
        return off <= _STEADY * error + self.finer.noise and self.finer.noise <= _STEADY * error

    def agreed(self, name: str, rtol: float, explained: Residual | None = None) -> Comparison:
        """Return the comparison of a primal, but for what some entries by themselves explain: a match."""
        explained = explained or Residual(0.0, 0.0)
        bar = self.level.noise + explained.bar
        limit = rtol * self._largest[name] + bar
        return Comparison(
            name,
            None,
            self.expected - explained.value,
            self.level.central,
            bar,
            limit,
            self.step,
            Verdict.MATCH,
            limit=2 * limit / self.shortest(name),
        )

    def drowned(self, name: str, rtol: float) -> npt.NDArray[np.bool_]:
        """Return which of the entries that it moves are claimed to change f by too little to be judged here.

        None, where these are few: beside many others, some are small by chance.
        """
        limit = _DROWNS * (TIGHT * rtol * self.largest + self.level.noise)
        moves, gradient = self.direction[name], self.point.gradient[name]
        small = sum(np.count_nonzero((s != 0) & (np.abs(s) <= limit)) for s in products(moves, gradient))
        if small <= _BY_CHANCE * moves.size:
            return np.zeros(moves.shape, bool)
        shares = np.abs(moves * gradient)
        return np.asarray((shares > 0) & (shares <= limit))

    def shortest(self, name: str) -> float:
        """Return the shortest move of a primal's entries for a step of 1."""
        sizes = (np.abs(each) for each in in_blocks(self.direction[name]))
        return min((float(size.min() or size[size > 0].min(initial=np.inf)) for size in sizes), default=math.inf)
