"""What are the slopes around a kink? Gradients at smooth points nearby bound what is legal where kinks meet."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gradcheck.layer import Named
from gradcheck.point import Entry, Point
from gradcheck.probe import default_step, signed

_SHIFT = 1e-5  # how far the points lie off the kink, in units of the point
_SLACK = 1e-3  # over that distance smooth slopes change by far less than this part of themselves
_CORNERS = 4  # points at which everything is moved at random


@dataclass(frozen=True)
class Slopes:
    """Slopes of one entry at smooth points near the point.

    Attributes
    ----------
    values : list of float
        Numerical ones.
    wrong : int
        How many of these points have an analytic gradient that disagrees.
    """

    values: list[float]
    wrong: int

    @property
    def distinct(self) -> int:
        """Return how many different slopes there are, to a hundredth of their range: two at a single kink."""
        spread = max(self.values) - min(self.values)
        return len(np.unique(np.round(np.array(self.values) / (spread or 1.0), 2)))


def slopes_nearby(point: Point, entry: Entry, jump: float) -> Slopes:
    """Compare analytic and numerical derivative of one entry at points beside the kink that it sits on.

    Parameters
    ----------
    point : Point
        On the kink; left as it is.
    entry : Entry
        The entry.
    jump : float
        Difference of its one-sided slopes: points at which these still differ by a tenth of that are left out.
    """
    name, index = entry
    values, wrong = [], 0
    saved = {key: array.copy() for key, array in point.evaluator.point.items()}
    base = point.base
    try:
        for shift in _shifts(point, saved):
            for key, array in saved.items():
                point.evaluator.point[key][...] = array + shift[key] if key in shift else array
            with np.errstate(all="ignore"):
                gradient = point.again()
            point.base = point.evaluator.outputs("all inputs moved off a kink")
            differences = point.along_entry(entry)
            level = differences.level(1e-2 * default_step(point.eps(name), differences.ray.scale))
            analytic = float(gradient[name][index])
            if not math.isfinite(level.central) or abs(level.jump) > 0.1 * abs(jump):
                continue
            values.append(level.central)
            slack = _SLACK * max(abs(analytic), abs(level.central), abs(jump))
            wrong += abs(analytic - level.central) > slack + level.noise
    finally:
        point.base = base
        for key, array in saved.items():
            point.evaluator.point[key][...] = array
    return Slopes(values, wrong)


def _shifts(point: Point, at: Named) -> Iterator[Named]:
    """Yield small movements off the point: of each primal up, down and at random, and of all together."""
    floats = {
        name: _SHIFT * np.maximum(1.0, np.abs(array))
        for name, array in at.items()
        if array.dtype.kind == "f" and array.size
    }
    for name, size in floats.items():
        for direction in (1.0, -1.0, signed(point.rng, size.shape)):
            yield {name: (size * direction).astype(at[name].dtype)}
    for _ in range(_CORNERS):
        yield {name: (size * signed(point.rng, size.shape)).astype(at[name].dtype) for name, size in floats.items()}
