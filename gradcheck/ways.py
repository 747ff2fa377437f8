"""How are entries that share a kink moved together? Each so far, and what they claim that way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from gradcheck.evaluate import Vector
from gradcheck.layer import Named
from gradcheck.point import Entry, Point
from gradcheck.report import Comparison
from gradcheck.report.reasons import ALONE, KINK, TIE

LOPSIDED = 2.0**-10
"""Of the farthest, the least that an entry is moved: a shorter way is lost in its last bits."""
_UNLESS = "unless kinks add up inside, it is wrong"


class Seen(Protocol):
    """What is looked at along a way: f, or one of its outputs."""

    name: str
    alone: bool

    def claim(self, way: Way) -> float:
        """Return the derivative along a way, by the analytic values."""


@dataclass(frozen=True)
class Way:
    """Entries moved together, each so far."""

    entries: tuple[Entry, ...]
    shares: tuple[float, ...]
    by: str

    @classmethod
    def of(cls, entries: Sequence[Entry], shares: Vector, by: str = "") -> Way | None:
        """Return it with 1 for the one that goes farthest; without those that would hardly move."""
        most = float(np.max(np.abs(shares), initial=0.0))
        if not 0 < most < math.inf:
            return None
        moved = [(e, float(s / most)) for e, s in zip(entries, shares, strict=True) if abs(s) >= LOPSIDED * most]
        first = math.copysign(1.0, moved[0][1])  # forth and back is the same way
        return cls(tuple(e for e, _ in moved), tuple(first * s for _, s in moved), by)

    def direction(self, point: Point) -> Named:
        """Return how far each primal's entries go for a step of 1."""
        direction: Named = {name: np.zeros(point.gradient[name].shape) for name, _ in self.entries}
        for (name, index), share in zip(self.entries, self.shares, strict=True):
            direction[name][index] = share
        return direction

    def largest(self, slopes: Mapping[Entry, float]) -> float:
        """Return the largest of the entries' own slopes, as far as each is moved."""
        return max(abs(share * slopes[entry]) for entry, share in zip(self.entries, self.shares, strict=True))

    def total(self, slopes: Mapping[Entry, float]) -> float:
        """Return what the entries' own slopes add up to, as far as each is moved."""
        return sum(share * slopes[entry] for entry, share in zip(self.entries, self.shares, strict=True))

    def why(self, seen: Seen, slopes: tuple[float, ...], kinks: Mapping[Entry, Comparison]) -> str:
        """Say how the entries change what is seen, by one slope or by two, and what they claim."""
        names, where = [kinks[entry].entry for entry in self.entries], f" {ALONE}" if seen.alone else ""
        listed = " and ".join(names) if len(names) <= 2 else f"{names[0]} and {len(names) - 1} others"
        what = TIE if len(slopes) == 1 else KINK
        changes = f"{seen.name} with slope{'s' * (len(slopes) - 1)} {' and '.join(f'{slope:.6g}' for slope in slopes)}"
        claim = f"{seen.claim(self):.6g}"
        if len(names) == 1:
            return f"{KINK}{listed} changes {changes}, and its analytic value{where} is {claim}: {_UNLESS}"
        return f"{what}{self._how}, {listed} change {changes}, and their analytic values{where} add up to {claim}"

    @property
    def _how(self) -> str:
        if self.by:
            return self.by
        if len(set(self.shares)) == 1:
            return "moved together"
        if len({abs(share) for share in self.shares}) == 1:
            return "moved against each other"
        return f"moved by {' and '.join(f'{share:.3g}' for share in self.shares)}"
