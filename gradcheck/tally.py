"""What was found for one primal? Comparisons, and how many entries they stand for."""

from __future__ import annotations

from dataclasses import dataclass, field

from gradcheck.report import Comparison, Verdict

OTHERS_KEPT = 10
"""So many comparisons of entries that are not wrong are kept, the worst."""


@dataclass
class Tally:
    """What was found for one primal.

    Attributes
    ----------
    comparisons : list of Comparison
        Of entries (or projections) looked at; of many that agree the worst only, see `OTHERS_KEPT`.
    judged : int
        Entries judged, directly or as part of a projection.
    forward_calls : int
        Spent on it.
    left_out : int
        Entries that the budget did not reach.
    limit : float
        Of those that agree and are not in `comparisons`: the smallest error that would have been seen in each.
    notes : list of str
        What else the reader should know.
    """

    comparisons: list[Comparison] = field(default_factory=list)
    judged: int = 0
    forward_calls: int = 0
    left_out: int = 0
    limit: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def undecided(self) -> int:
        """How many of the comparisons are INCONCLUSIVE."""
        return sum(c.verdict is Verdict.INCONCLUSIVE for c in self.comparisons)
