"""What does a first look at one entry show? And what is left in doubt after it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gradcheck import kink
from gradcheck.difference import Differences, Level
from gradcheck.point import Entry, Point
from gradcheck.probe import default_step

SUSPICIOUS = 1e-2
"""One-sided slopes that differ by more than this part of themselves are looked at twice."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A first look at one entry.

    Attributes
    ----------
    level : Level
        Both sides, at its first step.
    unmoved : bool
        Whether no output changed.
    hidden : float
        What the outputs that did not change could hide below their noise.
    """

    level: Level
    unmoved: bool
    hidden: float

    @classmethod
    def of(cls, point: Point, entry: Entry, differences: Differences) -> Sight:
        """Take it."""
        level = differences.level(default_step(point.eps(entry[0]), differences.ray.scale))
        hidden = differences.hidden_at(level.step) if math.isfinite(level.central) else math.inf
        return cls(level, differences.unmoved, hidden)


@dataclass(frozen=True, slots=True)
class Doubt:
    """An entry whose difference drowns in the noise of the first step: agreed within `bar`."""

    entry: Entry
    level: Level
    bar: float


def is_smooth(level: Level) -> bool:
    """Tell whether the one-sided slopes are near each other."""
    jump = abs(level.jump)
    return jump <= SUSPICIOUS * max(abs(level.forward), abs(level.backward)) or jump <= 2 * level.jump_noise


def looks_smooth(differences: Differences, level: Level) -> bool:
    """Tell whether the one-sided slopes are near each other, or come nearer at a smaller step."""
    if not (math.isfinite(level.forward) and math.isfinite(level.backward)):
        return False
    if is_smooth(level):
        return True
    finer = differences.level(level.step / 4)
    return not kink.persists(level, finer) and math.isfinite(finer.central)
