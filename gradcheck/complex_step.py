"""What does the imaginary part of ``f(x + ih)`` say? An exact derivative, where f keeps it."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from gradcheck import kink
from gradcheck.difference import Level
from gradcheck.evaluate import BudgetSpent
from gradcheck.parts import eps_of
from gradcheck.point import Entry, Point
from gradcheck.tolerance import agree

_STEP = 1e-30  # its square vanishes beside anything
_OTHERS = (3e-30, 7e-31)  # steps that round otherwise
_BENT = 0.2  # of the change from one difference to a finer one: so far off the limit of both may be
_CONFIRMED = 1e-8  # part of the value that it may be off besides
_TOLD = 0.1  # and it has to be known this well itself
_LAST_BITS = 16.0


class ComplexStep:
    """Derivatives of single entries by a step along the imaginary axis.

    ``Im f(x + ih) / h`` has no cancellation: with h = 1e-30 it is exact to rounding, where f is analytic and computes
    with complex numbers throughout. A cast, an ``abs`` or a comparison drops the imaginary part without a word, so the
    value is never believed alone: `confirmed` compares it with a central difference.

    Parameters
    ----------
    point : Point
        Real inputs and outputs.

    Attributes
    ----------
    taken, dropped : int
        Entries whose value the central difference confirmed, and contradicted.
    refusal : str
        Why f cannot be evaluated at complex inputs; empty where it can.

    References
    ----------
    W. Squire and G. Trapp, Using complex variables to estimate derivatives of real functions, SIAM Rev. 40 (1998),
    110-112. J. Martins, P. Sturdza and J. Alonso, The complex-step derivative approximation, ACM Trans. Math. Softw. 29
    (2003), 245-262.
    """

    def __init__(self, point: Point) -> None:
        self._point = point
        self.taken = 0
        self.dropped = 0
        evaluator = point.evaluator
        kinds = {array.dtype.kind for array in evaluator.given.values()}
        self.refusal = "" if evaluator.real_outputs and "c" not in kinds else "inputs or outputs are complex already"

    def confirmed(self, entry: Entry, level: Level, look: Callable[[float], Level]) -> tuple[float, float] | None:
        """Return an entry's derivative and its error bar; None where the central difference does not confirm it.

        Parameters
        ----------
        entry : Entry
            The entry.
        level : Level
            A central difference along it.
        look : callable
            ``look(step)`` takes another: what the two extrapolate to is what the complex step has to agree with.
        """
        found = self._slope(entry, _STEP)
        if found is None:
            return None
        value, size = found
        if value == 0.0:
            self.dropped += abs(level.central) > level.noise
            return None  # a derivative of zero and a lost imaginary part look alike
        if level.noise > _TOLD * abs(value):
            return None  # the difference drowns: nothing to confirm it by
        finer = look(level.step / 4)
        bends = abs(level.central - finer.central)
        limit = (16 * finer.central - level.central) / 15
        persists = kink.persists(level, finer)
        if persists or not abs(value - limit) <= _BENT * bends + 2 * finer.noise + _CONFIRMED * abs(value):
            self.dropped += 1
            return None
        self.taken += 1
        bar = _LAST_BITS * eps_of(np.float64) * size
        if agree(self._point.analytic(entry), value, bar, 0.0):
            return value, bar
        others = [self._slope(entry, step) for step in _OTHERS]  # how far does rounding inside f go?
        spread = max((abs(other[0] - value) for other in others if other is not None), default=math.inf)
        return value, bar + 4.0 * spread

    def note(self) -> str:
        """Return what the reader has to know of it."""
        if self.refusal:
            return f"method='complex-step' was not used ({self.refusal}): central differences decide"
        said = f"by complex steps: {self.taken:,} {'entry' if self.taken == 1 else 'entries'}"
        if not self.dropped:
            return said
        return (
            f"{said}; at {self.dropped:,} central differences contradict it and decide (the imaginary part is lost on"
            " the way, by abs, max or a cast, or the point is a kink)"
        )

    def _slope(self, entry: Entry, step: float) -> tuple[float, float] | None:
        """Return the weighted derivative and the size of its terms."""
        if self.refusal:
            return None
        try:
            slopes = self._point.evaluator.imaginary(*entry, step)
        except BudgetSpent:
            raise
        except Exception as error:  # whatever it raises, it was not made for complex numbers
            self.refusal = f"f does not take complex inputs: {type(error).__name__}: {error}".splitlines()[0]
            return None
        if slopes is None:
            self.refusal = "f returns no complex numbers at complex inputs"
            return None
        terms = self._point.cotangent * slopes
        return (float(np.sum(terms)), float(np.sum(np.abs(terms)))) if np.isfinite(terms).all() else None
