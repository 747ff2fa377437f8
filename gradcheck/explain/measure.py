"""How does f move in directions that nobody has looked at yet? Evaluations spent on explaining, counted like all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from gradcheck.evaluate import BudgetSpent, Evaluator, Vector
from gradcheck.layer import Array, Named
from gradcheck.probe import ProjectionRay, default_step, signed

_SEED = 7  # of directions: an explanation does not depend on the check's own seed
SKETCHES = 4
"""Random directions along which a gradient is compared with what a hypothesis says of it: six digits each."""


class Measure:
    """Evaluates f, and the backward, beyond what the check itself did.

    Parameters
    ----------
    evaluator : Evaluator
        At the point; its `remember` was called.
    cotangents : dict of str to ndarray
        What the analytic gradient was taken with.
    pull : callable or None
        ``pull(cotangents)`` returns the analytic gradients for other cotangents, as real numbers; None where that
        costs a call for each entry.
    """

    def __init__(self, evaluator: Evaluator, cotangents: Named, pull: Callable[[Named], Named] | None) -> None:
        self.evaluator = evaluator
        self.weights = evaluator.flatten(cotangents)
        self.pull = pull
        self._known: dict[tuple[str, int], tuple[Array, Vector]] = {}

    def affords(self, evaluations: int) -> bool:
        """Tell whether so many evaluations are left."""
        budget = self.evaluator.budget
        return budget is None or self.evaluator.forward_calls + evaluations <= budget

    def slope(self, direction: Named) -> Vector:
        """Return the derivative of every output along a direction, shape (m,); NaN where f left its domain."""
        ray = ProjectionRay(self.evaluator, direction)
        eps = max(float(np.finfo(self.evaluator.point[name].dtype).eps) for name in direction)
        step = default_step(eps, 1.0)
        try:
            with np.errstate(all="ignore"):
                return (ray.at(step)[0] - ray.at(-step)[0]) / (2 * step)
        except BudgetSpent:
            raise
        except Exception:  # nobody asked for f there: it says nothing, and nothing is said of it
            return np.full(self.weights.shape, np.nan)

    def sketch(self, name: str, k: int) -> tuple[Array, Vector]:
        """Return the k-th random direction of a primal, and the slopes of the outputs along it; measured once."""
        if (name, k) not in self._known:
            direction = directions(self.evaluator.point[name].shape)(k)
            self._known[name, k] = direction, self.slope({name: direction})
        return self._known[name, k]

    @contextmanager
    def at(self, values: Named) -> Iterator[None]:
        """Let some primals have other values inside the context."""
        with self.evaluator.away():
            for name, value in values.items():
                self.evaluator.point[name][...] = value
            yield


def directions(shape: tuple[int, ...]) -> Callable[[int], Array]:
    """Return a drawer of random directions, the same ones at every call.

    Examples
    --------
    >>> draw = directions((2, 3))
    >>> draw(1).shape, bool((draw(1) == draw(1)).all()), bool((draw(0) == draw(1)).any())
    ((2, 3), True, False)
    """
    return lambda k: signed(np.random.default_rng([_SEED, k]), shape)
