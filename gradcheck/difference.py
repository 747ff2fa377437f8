"""What is the slope over a step? Quotients to either side and between them, with a bar for what rounding does."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradcheck.blocks import blocks, largest
from gradcheck.evaluate import Vector
from gradcheck.noise import WIDE, length
from gradcheck.probe import Ray

# Five standard deviations of a difference of two evaluations, halved by the central quotient.
CONFIDENCE = 5.0 / math.sqrt(2.0)
_SECOND = 6.0  # the variance of a second difference, in that of one evaluation
_SQUARES = 1e-200, 1e200  # sums of squares that neither overflow nor lose what is small


@dataclass(frozen=True, slots=True)
class Level:
    """Difference quotients at one step.

    Attributes
    ----------
    step : float
        The step taken (the mean of the two sides').
    central, forward, backward : float
        Quotients, contracted with the cotangent; NaN where f left its domain.
    noise : float
        Bar for what rounding does to `central`; to `forward` and `backward` it does twice that.
    """

    step: float
    central: float
    forward: float
    backward: float
    noise: float

    @property
    def jump(self) -> float:
        """Difference of the one-sided slopes: proportional to the step where f is smooth, constant at a kink."""
        return self.forward - self.backward

    @property
    def jump_noise(self) -> float:
        """Bar for what rounding does to `jump`."""
        return 4.0 * self.noise


class Differences:
    """Difference quotients of the contracted outputs along one ray.

    Attributes
    ----------
    reached : ndarray of bool, shape (m,)
        The outputs that some step has changed so far.
    steepest : float
        The largest mean slope that `explore` met.
    cotangent : ndarray, shape (m,)
        As given.

    Parameters
    ----------
    ray : Ray
        Where to evaluate.
    base : ndarray, shape (m,)
        Outputs at the point.
    cotangent : ndarray, shape (m,)
        Weights of the outputs.
    noise : ndarray, shape (m,)
        Standard deviation of each output.
    outputs : slice or ndarray of int
        Those of the m that the ray returns: the others are known not to react to it.
    """

    def __init__(
        self,
        ray: Ray,
        base: Vector,
        cotangent: Vector,
        noise: Vector,
        outputs: slice | npt.NDArray[np.intp] = slice(None),
    ) -> None:
        self.ray = ray
        self._outputs = outputs
        self._base = base[outputs]
        self._all = base.size
        self.cotangent = cotangent[outputs]
        self.take_noise(noise)
        self.reached = np.zeros(self._base.shape, bool)
        self.steepest = 0.0

    def take_noise(self, noise: Vector) -> None:
        """Reckon with this standard deviation of each of the m outputs from now on."""
        self._noise = noise[self._outputs]

    @property
    def unmoved(self) -> bool:
        """True while no step has changed any output."""
        return not self.reached.any()

    @property
    def size(self) -> float:
        """The weighted size at the point of the outputs that some step has changed so far."""
        return float(np.abs(self.cotangent[self.reached]) @ np.abs(self._base[self.reached]))

    def explore(self) -> bool:
        """Find out which outputs react at all, by wide steps; tell whether new ones showed.

        An output whose last bit is worth more than a small step's effect stays as it is and hides its part of the
        derivative: only a wide step shows that it has one.
        """
        before = int(self.reached.sum())
        for step in WIDE:
            moved, taken = self.ray.at(step * self.ray.scale)
            with np.errstate(invalid="ignore", over="ignore"):
                change = moved - self._base
                change = np.where(np.isfinite(change), change, 0.0)  # beyond the domain there are no slopes
                self.steepest = max(self.steepest, abs(float(self.cotangent @ change) / taken))
            self.reached |= change != 0
        return int(self.reached.sum()) > before

    def noise_at(self, step: float) -> float:
        """Bar for what rounding does to a central quotient at this step, over the outputs that reacted so far."""
        return CONFIDENCE / step * self._deviation(self.reached)

    def hidden_at(self, step: float) -> float:
        """Bar on the derivative that the outputs which did not react so far could hide below their noise."""
        return CONFIDENCE / step * self._deviation(~self.reached)

    def lost(self, lengths: Vector) -> float:
        """Bar on the derivative that outputs could hide which stand still over steps of such lengths; 0 do not."""
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes = np.where(lengths > 0, self.cotangent * self._noise / lengths, 0.0)
        return CONFIDENCE * _length(slopes)

    def lost_on(self, treads: Vector, lengths: Vector) -> float:
        """Return the slope that treads of such heights, of all m, could hide of these outputs over such lengths."""
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes = np.where(lengths > 0, np.abs(self.cotangent) * treads[self._outputs] / lengths, 0.0)
        return float(slopes.sum())

    def everywhere(self, values: Vector) -> Vector:
        """Return values of these outputs as values of all m, 0 of those known not to react."""
        of_all = np.zeros(self._all)
        of_all[self._outputs] = values
        return of_all

    def _deviation(self, chosen: npt.NDArray[np.bool_]) -> float:
        """Return the standard deviation of the weighted sum of some outputs."""
        return math.hypot(*(self._deviation_of(block, chosen[block]) for block in blocks(chosen.size)))

    def _deviation_of(self, block: slice, chosen: npt.NDArray[np.bool_]) -> float:
        """Return the same of some outputs of a block."""
        each = self.cotangent[block] * self._noise[block]
        return _length(each if chosen.all() else each[chosen])

    def changes(self, step: float, other: float) -> bool:
        """Tell whether f differs at all between two steps, on either side."""
        return any(
            not np.array_equal(self.ray.at(side * step)[0], self.ray.at(side * other)[0], equal_nan=True)
            for side in (1.0, -1.0)
        )

    def moves(self, step: float) -> Vector:
        """Return how far each output moves over a step, on the side where it moves farther; 0 beyond f's domain."""
        with np.errstate(invalid="ignore", over="ignore"):
            sides = [np.abs(self.ray.at(side * step)[0] - self._base) for side in (1.0, -1.0)]
        return np.asarray(np.fmax(0.0, np.fmax(*sides)))

    def level(self, step: float) -> Level:
        """Evaluate both sides.

        Parameters
        ----------
        step : float
            Intended step; the one really taken is used.
        """
        return self._level(step, None)

    def bent_level(self, step: float) -> tuple[Level, float, float]:
        """Evaluate both sides; return as well how far the one-sided slopes of the outputs, weighted, are apart.

        Of a single output, at most; and of all, a root of the sum of squares, as the bar on a central quotient that it
        is if f is straight and they are apart by nothing but noise.
        """
        apart: list[tuple[float, float]] = []
        level = self._level(step, apart)
        most, squares = max((most for most, _ in apart), default=0.0), sum(squares for _, squares in apart)
        return level, most / level.step, CONFIDENCE / level.step * math.sqrt(squares / _SECOND)

    def _level(self, step: float, apart: list[tuple[float, float]] | None) -> Level:
        """Evaluate both sides; add to `apart`, block by block, the largest bend of an output and the sum of squares."""
        plus, up = self.ray.at(step)
        minus, down = self.ray.at(-step)
        down = -down
        if up <= 0 or down <= 0:
            return Level(step, math.nan, math.nan, math.nan, math.inf)
        forward = backward = central = 0.0
        deviations = []
        # Differences are taken per output before they are weighted: they cancel exactly where nothing changed.
        with np.errstate(invalid="ignore", over="ignore"):
            for block in blocks(plus.size):
                there, base, back = plus[block], self._base[block], minus[block]
                weights, reached = self.cotangent[block], self.reached[block]
                rise, fall = there - base, base - back
                forward += self._weighted(rise, weights, reached)
                backward += self._weighted(fall, weights, reached)
                if apart is not None:
                    rise -= fall
                    rise *= weights
                    apart.append((largest(rise), float(rise @ rise)))
                central += float(weights @ np.subtract(there, back, out=fall))
                deviations.append(self._deviation_of(block, reached))
        # Random signs of the cotangent make the noise of the outputs add like independent noise does.
        noise = CONFIDENCE / min(up, down) * math.hypot(*deviations)
        return Level(0.5 * (up + down), central / (up + down), forward / up, backward / down, noise)

    def _weighted(self, change: Vector, weights: Vector, reached: npt.NDArray[np.bool_]) -> float:
        """Return the weighted sum of some outputs' changes; remember which of them did change."""
        total = float(weights @ change)
        if not reached.all():
            moved = change != 0
            if not math.isfinite(total):
                moved &= ~np.isnan(change)
            reached |= moved
        return total

    def sides(self, step: float) -> tuple[float, float]:
        """Return the least and the largest sum of slopes that takes either side of each output, each for itself.

        A backward takes its side of every kink by itself, whatever the others do: where outputs have kinks of
        opposite sense at the same point, these sums are legal, though they may lie beyond both slopes of the whole.

        Parameters
        ----------
        step : float
            Intended step.
        """
        low, high = self.sides_by_output(step)
        return float(low.sum()), float(high.sum())

    def sides_by_output(self, step: float) -> tuple[Vector, Vector]:
        """Return each output's share of these sums: its mean slope twice where it has no kink."""
        forward, backward, noise = self._sides_of_outputs(step)
        finer = self._sides_of_outputs(step / 4)
        with np.errstate(invalid="ignore"):
            jump, left = np.abs(forward - backward), np.abs(finer[0] - finer[1])
            # stays as the step shrinks: what grows is the tread of a staircase, or a jump
            stays = (left > 0.5 * jump) & (left < 2 * jump)
            seen = jump > 2 * noise
            kinked = seen & (left > 2 * finer[2]) & stays
            beside = seen & (left <= 0.5 * jump)  # a kink between the two steps, or f bends
            smooth = 0.5 * np.where(beside, finer[0] + finer[1], forward + backward)
            low = np.where(kinked, np.minimum(forward, backward), smooth)
            high = np.where(kinked, np.maximum(forward, backward), smooth)
        return low, high

    def by_output(self, step: float) -> tuple[Vector, Vector]:
        """Return each output's share of the central slope, and bars on what rounding does to them."""
        forward, backward, noise = self._sides_of_outputs(step)
        return 0.5 * (forward + backward), 0.25 * noise

    def _sides_of_outputs(self, step: float) -> tuple[Vector, Vector, Vector]:
        """Return each output's share of the forward and the backward slope, and bars on what rounding does to them."""
        plus, up = self.ray.at(step)
        minus, down = self.ray.at(-step)
        with np.errstate(invalid="ignore", over="ignore"):
            forward = self.cotangent * (plus - self._base) / up
            backward = self.cotangent * (self._base - minus) / -down
        return forward, backward, 4.0 * CONFIDENCE * np.abs(self.cotangent * self._noise) / up


def _length(values: Vector) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        squares = float(values @ values)
    return math.sqrt(squares) if _SQUARES[0] < squares < _SQUARES[1] else float(length(values))
