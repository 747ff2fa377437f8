"""What came of a case, and of many? Faults, and the figures that have to hold."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gradcheck.report import Report, Verdict
from tests.soak.checking import Corruption, check, draw_corruption
from tests.soak.draw import Case, draw
from tests.soak.layers import ZOO, Layer

ENOUGH = 1000  # ordinary checks, from which on their inconclusive share is a figure
SHARE = 0.01  # of right gradients at ordinary values that may remain undecided

Checker = Callable[[Case, Corruption | None], tuple[Report, list[Any]]]


@dataclass(frozen=True)
class Outcome:
    """What came of one case.

    Attributes
    ----------
    case : Case
        Which.
    right : Report
        Of the right gradient.
    corruption : Corruption or None
        What was made wrong, if anything.
    wrong : Report or None
        Of the wrong gradient.
    faults : tuple of str
        What must not happen, a sentence each.
    """

    case: Case
    right: Report
    corruption: Corruption | None = None
    wrong: Report | None = None
    faults: tuple[str, ...] = ()


def soak(seed: int, zoo: Mapping[str, Layer] = ZOO, checker: Checker = check) -> Outcome:
    """Draw the case of a seed, check it, spoil an entry, and check it again.

    Parameters
    ----------
    seed : int
        Of the case.
    zoo : dict of str to Layer
        To draw from.
    checker : callable
        As `tests.soak.checking.check`; another one is how the soak itself is tested.
    """
    case = draw(seed, zoo)
    right, gradients = checker(case, None)
    if right.verdict in (Verdict.MISMATCH, Verdict.CONTRACT):
        return Outcome(case, right, faults=(f"a right gradient is called {right.verdict.upper()}",))
    corruption = draw_corruption(case, right, gradients)
    if corruption is None:
        return Outcome(case, right)
    wrong, _ = checker(case, corruption)
    faults = []
    if wrong.ok:
        faults.append(
            f"a wrong entry passes as {wrong.verdict.upper()}, limit {right.detection_limit:.2g}: {corruption}"
        )
    name = right.summaries[case.floats.index(corruption.place)].name
    # of entries that only differ together it cannot be said which is wrong
    accused = [
        c
        for c in wrong.comparisons
        if c.verdict is Verdict.MISMATCH
        and (c.name, c.index) != (name, corruption.index)
        and "together" not in c.reason
    ]
    if accused:
        faults.append(f"beside the wrong {name}{list(corruption.index)} the right {accused[0].entry} is accused")
    return Outcome(case, right, corruption, wrong, tuple(faults))


def soak_all(seeds: Iterable[int], zoo: Mapping[str, Layer] = ZOO, checker: Checker = check) -> Tally:
    """Soak many seeds; an engine that raises is at fault as well."""
    tally = Tally()
    for seed in seeds:
        try:
            tally.add(soak(seed, zoo, checker))
        except Exception as error:  # whatever it is: the seed has to be told
            tally.faults.append((seed, f"{type(error).__name__} was raised: {draw(seed, zoo).title}: {error}"))
    return tally


@dataclass
class Tally:
    """The figures of many cases; plain data, so that workers can send it.

    Attributes
    ----------
    verdicts, ordinary : Counter
        Right gradients by verdict: all of them, and those at ordinary values.
    corruptions : Counter
        ``"seen"``, ``"missed"``, ``"undecided"``, ``"not tried"``.
    forwards : list of int
        Forward evaluations of each check of a right gradient.
    faults : list of tuple
        Seed and sentence.
    first : int or None
        The smallest seed.
    """

    verdicts: Counter[str] = field(default_factory=Counter)
    ordinary: Counter[str] = field(default_factory=Counter)
    corruptions: Counter[str] = field(default_factory=Counter)
    forwards: list[int] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)
    first: int | None = None

    def add(self, outcome: Outcome) -> None:
        """Count one case."""
        verdict = outcome.right.verdict.value
        self._begins(outcome.case.seed)
        self.verdicts[verdict] += 1
        if outcome.case.ordinary:
            self.ordinary[verdict] += 1
        self.forwards.append(int(outcome.right.forward_calls))
        wrong = outcome.wrong
        if wrong is None:
            self.corruptions["not tried"] += 1
        else:
            said = "missed" if wrong.ok else "undecided" if wrong.verdict is Verdict.INCONCLUSIVE else "seen"
            self.corruptions[said] += 1
        self.faults += [(outcome.case.seed, f"{fault}: {outcome.case.title}") for fault in outcome.faults]

    def _begins(self, seed: int | None) -> None:
        self.first = min((known for known in (self.first, seed) if known is not None), default=None)

    def merge(self, other: Tally) -> None:
        """Add what another one has counted."""
        self.verdicts += other.verdicts
        self.ordinary += other.ordinary
        self.corruptions += other.corruptions
        self.forwards += other.forwards
        self.faults += other.faults
        self._begins(other.first)

    def plain(self) -> dict[str, Any]:
        """Return the figures as dicts, lists, numbers and strings."""
        return {
            "verdicts": dict(self.verdicts),
            "ordinary": dict(self.ordinary),
            "corruptions": dict(self.corruptions),
            "forwards": self.forwards,
            "faults": [list(fault) for fault in self.faults],
            "first": self.first,
        }

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Tally:
        """Return the tally that `plain` was made of."""
        return cls(
            *(Counter(plain[key]) for key in ("verdicts", "ordinary", "corruptions")),
            forwards=list(plain["forwards"]),
            faults=[(seed, fault) for seed, fault in plain["faults"]],
            first=plain["first"],
        )

    @property
    def undecided_share(self) -> float:
        """The share of right gradients at ordinary values that are INCONCLUSIVE."""
        return self.ordinary["inconclusive"] / max(1, self.ordinary.total())

    def complaints(self) -> list[str]:
        """Return what is wrong with the engine, a line each; none if nothing is."""
        lines = [f"{fault}\n    python -m tests.soak {seed}" for seed, fault in sorted(self.faults)]
        if self.ordinary.total() >= ENOUGH and self.undecided_share > SHARE:
            lines.append(
                f"{self.undecided_share:.2%} of right gradients at ordinary values are INCONCLUSIVE; {SHARE:.0%} may be"
            )
        return lines

    def summary(self) -> list[str]:
        """Return the figures, a line each."""
        return [
            f"checks                  {self.verdicts.total():,} from seed {self.first} on: {_listed(self.verdicts)}",
            f"at ordinary values      {self.ordinary.total():,}: {_listed(self.ordinary)}; "
            f"inconclusive {self.undecided_share:.2%}",
            f"wrong entries           {_listed(self.corruptions)}",
            f"forwards per check      median {statistics.median(self.forwards or [0]):.0f}, most {max(self.forwards, default=0):,}",
        ]


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common()) or "none"
