"""What is known of a wrong gradient? Both gradients entry by entry, and everything that they were computed from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from gradcheck.explain.measure import SKETCHES, Measure
from gradcheck.layer import Array, Named

Mask = npt.NDArray[np.bool_]

_RTOL = 1e-8  # what a prediction may be off, beside what the numerical gradient is known to
_SLOPES = 1e-7  # the same along random directions, which are measured by one central difference each
_SAFETY = 8.0  # on error bars: they bound what is likely
_ROUNDING = 16.0  # last bits of a gradient in low precision
_SURE = 5.0
"""Decimal digits that must agree beyond those that chance and the fitted numbers explain."""
TELLING = 2.0
"""Decimal digits that a coincidence of some region and some entries has to be worth, for the region to be named."""


@dataclass(frozen=True, eq=False)
class Guess:
    """What one hypothesis says the analytic gradient should be, if it is right.

    Attributes
    ----------
    name : str
        Of the hypothesis.
    text : str
        One sentence for the reader.
    predicted : ndarray
        The wrong gradient as the hypothesis has it; NaN where it says nothing.
    observed : ndarray, optional
        Where it should be found; the analytic gradient if left out.
    error : ndarray, optional
        How far the analytic gradient is from the right one, where that is not known entry by entry.
    everywhere : bool
        Whether it must hold at entries that are right as well.
    fitted : int
        Numbers that were fitted to make it hold: they explain as many entries.
    odds : float
        Decimal digits that trying so many alternatives is worth.
    proof : float, optional
        Decimal digits that a coincidence is worth, where the place of the wrong entries tells, and not their values.
    """

    name: str
    text: str
    predicted: Array
    observed: Array | None = None
    error: Array | None = None
    everywhere: bool = True
    fitted: int = 0
    odds: float = 1.0
    proof: float | None = None


@dataclass(eq=False)
class Evidence:
    """One primal's wrong gradient.

    Attributes
    ----------
    name : str
        The primal.
    analytic, numerical : ndarray
        The two gradients as real numbers; the second is NaN where it is not known.
    wrong : ndarray of bool
        The entries that are known to be wrong.
    bars : ndarray
        What the numerical ones are known to.
    values, outputs : dict of str to ndarray
        All primals, constants included, and all outputs, as the user sees them.
    cotangents : dict of str to ndarray
        Empty for a loss whose gradient takes none.
    measure : Measure
        For what has to be evaluated first.
    others : dict of str to (ndarray, ndarray)
        The analytic and the numerical gradients of the other primals.
    reasons : tuple of str
        What the verdicts on the wrong entries say.
    typical : bool
        Whether what is known stands for all entries: all of them, or some picked at random.
    """

    name: str
    analytic: Array
    numerical: Array
    wrong: Mask
    bars: Array
    values: Named
    outputs: Named
    cotangents: Named
    measure: Measure
    others: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    typical: bool = True

    @cached_property
    def bar(self) -> float:
        """What a numerical one is known to, as a rule."""
        return float(np.median(self.bars))

    @cached_property
    def eps(self) -> float:
        """The machine epsilon that the backward computes with."""
        return float(np.finfo(self.measure.evaluator.point[self.name].dtype).eps)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the gradient."""
        return self.analytic.shape

    @cached_property
    def known(self) -> Mask:
        """Where both gradients are known."""
        return np.asarray(np.isfinite(self.numerical) & np.isfinite(self.analytic))

    @cached_property
    def nonzero(self) -> Mask:
        """Where one of the two is not zero: elsewhere most bugs leave no trace."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.known & ((self.analytic != 0) | (np.abs(self.numerical) > self.bars)))

    @cached_property
    def output(self) -> Array | None:
        """The output, where there is one, and it is real."""
        first = next(iter(self.outputs.values()))
        return first if len(self.outputs) == 1 and first.dtype.kind == "f" else None

    @cached_property
    def cotangent(self) -> Array | None:
        """The cotangent, where there is one output; ones for a loss."""
        if self.output is None:
            return None
        return next(iter(self.cotangents.values())) if self.cotangents else np.ones(self.output.shape)

    @cached_property
    def output_name(self) -> str:
        """What the output is called in a sentence: a, as in textbooks, if no input is called so."""
        return "a" if "a" not in self.values else "output"

    @cached_property
    def symbols(self) -> list[tuple[str, Array]]:
        """What expressions are made of: the primals by name, this one first, and the outputs; real ones."""
        ordered = [self.name, *(name for name in self.values if name != self.name)]
        listed = [(name, self.values[name]) for name in ordered]
        if self.output is not None and self.output.size > 1:
            listed.append((self.output_name, self.output))
        elif len(self.outputs) > 1:
            listed += list(self.outputs.items())
        return [(text, array.astype(np.float64)) for text, array in listed if array.dtype.kind in "fiub"]

    @cached_property
    def hidden(self) -> list[tuple[str, Array]]:
        """What a layer may have computed on its way: activations of this primal that are not its output."""
        z = self.values[self.name]
        if z.dtype.kind != "f":
            return []
        with np.errstate(all="ignore"):
            made = [(f"sigmoid({self.name})", sigmoid(z)), (f"tanh({self.name})", np.tanh(z))]
            return [*made, (f"softmax({self.name})", softmax(z, -1))] if z.ndim else made

    def digits(self, guess: Guess) -> float:
        """Return how many decimal digits of the gradient's errors a guess foretells; 0 where it is wrong.

        Each wrong entry that it has right to within the tolerance is worth ``log10(error / tolerance)``; the entries
        that its fitted numbers could have been chosen for are worth nothing.
        """
        if guess.proof is not None:
            return guess.proof - guess.odds
        predicted = np.asarray(guess.predicted, float)
        observed = self.analytic if guess.observed is None else np.asarray(guess.observed, float)
        rtol = max(_RTOL if guess.error is None else _SLOPES, _ROUNDING * self.eps)
        if guess.error is None:
            predicted = np.broadcast_to(predicted, self.shape)
            where = self.known & (self.wrong | guess.everywhere) & ~np.isnan(predicted)
            if 2 * np.sum(where & self.wrong) < np.sum(self.wrong):
                return 0.0
            with np.errstate(invalid="ignore"):
                error = np.where(self.wrong, np.abs(self.analytic - self.numerical), 0.0)[where]
            predicted, observed = predicted[where], observed[where]
            bars, count = self.bars[where], None
        else:
            predicted, observed, error = map(np.ravel, (predicted, observed, np.abs(guess.error)))
            bars = np.full(error.shape, self.bar)
            count = int(np.sum(self.wrong))  # as many directions as wrong entries are independent of each other
        if not (predicted.size and np.isfinite(predicted).all() and np.isfinite(observed).all()):
            return 0.0
        size = np.maximum(np.abs(predicted), np.abs(observed))
        gain = max(1.0, float(np.max(np.abs(predicted))) / (float(np.nanmax(np.abs(self.numerical))) or 1.0))
        tolerance = rtol * np.maximum(size, 1e-3 * float(size.max())) + _SAFETY * gain * bars + 1e-300
        if np.any(np.abs(predicted - observed) > tolerance):
            return 0.0
        each = np.sort(np.log10(np.maximum(error / tolerance, 1.0)))[:count]
        return float(np.sum(each[: max(len(each) - guess.fitted, 0)])) - guess.odds

    def holds(self, guess: Guess) -> bool:
        """Tell whether a guess is right, and not by chance."""
        return self.digits(guess) >= _SURE

    # ------------------------------------------------------------------ by random directions

    @cached_property
    def elementwise(self) -> bool:
        """True where each output depends on its own entry alone, as far as two halves tell that are moved apart."""
        if self.output is None or self.output.shape != self.shape:
            return False
        half = np.random.default_rng(0).random(self.shape) < 0.5
        for moved in (half, ~half):
            slope = self.measure.slope({self.name: moved.astype(float)})
            if np.any(slope[~moved.ravel()] != 0):
                return False
        return True

    def sketched(self, count: int = SKETCHES) -> tuple[Array, Array] | None:
        """Return the analytic gradient along some random directions, and the slopes of the outputs along each.

        Returns
        -------
        ndarray, shape (count,), and ndarray, shape (count, m); or None
            None where what they say of the right gradient is not what its entries say: there are kinks.
        """
        if not np.isfinite(self.analytic).all():
            return None
        pairs = [self.measure.sketch(self.name, k) for k in range(count)]
        slopes = np.array([slope for _, slope in pairs])
        along = np.array([np.sum(self.analytic * direction) for direction, _ in pairs])
        right = slopes @ self.measure.weights
        if self.known.all():
            wanted = np.array([np.sum(self.numerical * direction) for direction, _ in pairs])
            size = np.array([np.sum(np.abs(self.numerical * direction)) for direction, _ in pairs])
            if not np.all(np.abs(right - wanted) <= 1e-6 * size + 4 * self.bar * self.analytic.size):
                return None
        return (along, slopes) if np.isfinite(slopes).all() else None

    def along(self, name: str, text: str, predicted: Sequence[float] | Array, **more: float) -> Guess:
        """Return a guess of what the gradient is along the first random directions."""
        said = np.asarray(predicted, float)
        pairs = [self.measure.sketch(self.name, k) for k in range(len(said))]
        observed = np.array([np.sum(self.analytic * direction) for direction, _ in pairs])
        right = np.array([slope @ self.measure.weights for _, slope in pairs])
        return Guess(name, text, said, observed, observed - right, **more)  # type: ignore[arg-type]  # fitted is whole


def sigmoid(z: Array) -> Array:
    """Return the logistic function, without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * z)))


def softmax(z: Array, axis: int) -> Array:
    """Return the softmax along an axis."""
    powers = np.exp(z - z.max(axis=axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis=axis, keepdims=True))


def chance(chosen: int, among: int) -> float:
    """Return how many decimal digits it is worth that exactly these entries were chosen among so many.

    Examples
    --------
    >>> round(chance(1, 10), 2), round(chance(10, 20), 2)
    (1.0, 5.27)
    """
    return math.log10(math.comb(among, chosen)) if 0 < chosen <= among else 0.0
