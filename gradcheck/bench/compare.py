"""What became slower since an earlier report? Beyond what the machine became, and what either run leaves open.

Times are not compared, and a ratio to a single limit not either: where others use the machine, its memory and its units
slow down differently, and each piece of work is made of them in its own way. But no piece of work slows down more than
the slowest of its parts. So a time is compared with every yardstick that was measured in the same blocks (a call, a
copy, a product, an exp, and its own limit); it became slower if it did so beside each of them, in nearly all blocks of
the new run against nearly all of the old, by more than a margin.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from gradcheck.bench.facts import Bench, Measured

__all__ = ["MARGIN", "Change", "Comparison", "compare"]

MARGIN = 1.1
"""A growth within it is none: memory is laid out differently in each process, as is what else is in the caches."""
_MACHINE = ("processor", "cores", "system", "blas", "threads")


@dataclass(frozen=True)
class Change:
    """What became of a cost."""

    section: str
    title: str
    who: str
    before: float
    """Its ratio to the limit."""
    now: float
    growth: float
    """How many times slower it became, beside the yardstick that explains most of it; below 1 if faster."""
    at_least: float
    """The least that it may have grown: by nearly the fastest of the new blocks and nearly the slowest of the old."""
    at_most: float
    """The most: by nearly the slowest of the new blocks and nearly the fastest of the old."""

    @property
    def slower(self) -> bool:
        """Whether it became slower beyond all doubt."""
        return self.at_least > MARGIN

    @property
    def faster(self) -> bool:
        """Whether it became faster beyond all doubt."""
        return self.at_most < 1 / MARGIN


@dataclass(frozen=True)
class Comparison:
    """What became of all costs that both reports have."""

    date: str
    """Of the older report."""
    changes: tuple[Change, ...]
    differences: tuple[str, ...]
    """Between the machines, in words; what was measured on another one is judged only if asked."""
    judged: bool
    drift: dict[str, float]
    """How many times as long as then each yardstick takes: what grew no more than the most of them is not seen."""

    @property
    def slower(self) -> list[Change]:
        """What became slower, most first; nothing if the machines differ and nobody asked."""
        return sorted((each for each in self.changes if self.judged and each.slower), key=lambda each: -each.growth)

    @property
    def faster(self) -> list[Change]:
        """What became faster, most first."""
        return sorted((each for each in self.changes if self.judged and each.faster), key=lambda each: each.growth)


def compare(old: Bench, new: Bench, *, any_machine: bool = False) -> Comparison:
    """Compare what this project's code cost in two runs.

    Parameters
    ----------
    old, new : Bench
        What both have measured is compared.
    any_machine : bool
        Judge it also where the machines, their BLAS or its threads differ.
    """
    before = {(each.section, each.title): each for each in old.measured}
    pairs = [(before.get((each.section, each.title)), each) for each in new.measured]
    changes = tuple(change for was, now in pairs if was is not None for change in _changes(was, now))
    same = all(old.machine.get(name) == new.machine.get(name) for name in _MACHINE)
    drift = _drift([(was, now) for was, now in pairs if was is not None])
    return Comparison(old.date, changes, tuple(_differences(old, new)), same or any_machine, drift)


def _drift(pairs: Sequence[tuple[Measured, Measured]]) -> dict[str, float]:
    """Return the growth of each yardstick, the median of all problems."""
    grown: dict[str, list[float]] = {}
    for was, now in pairs:
        for name in was.yardsticks.keys() & now.yardsticks.keys():
            grown.setdefault(name, []).append(median(now.yardsticks[name]) / median(was.yardsticks[name]))
    return {name: median(factors) for name, factors in sorted(grown.items())}


def _differences(old: Bench, new: Bench) -> Iterator[str]:
    for name in (*_MACHINE, "python"):
        was, now = old.machine.get(name), new.machine.get(name)
        if was != now:
            yield f"{name}: {was} then, {now} now"
    versions = old.machine.get("versions", {}), new.machine.get("versions", {})
    if (was := versions[0].get("numpy")) != (now := versions[1].get("numpy")):
        yield f"numpy: {was} then, {now} now"


def _changes(old: Measured, new: Measured) -> Iterator[Change]:
    for who in new.ours:
        if who in old.costs:
            growths = [
                _growth(was, now)
                for was, now in zip(_beside_yardsticks(old, who), _beside_yardsticks(new, who), strict=True)
            ]
            medians, least, most = zip(*growths, strict=True)
            growth = min(max(1.0, min(medians)), max(medians))
            ratios = old.costs[who].ratio, new.costs[who].ratio
            yield Change(new.section, new.title, who, *ratios, growth, min(least), max(most))


def _beside_yardsticks(each: Measured, who: str) -> list[list[float]]:
    """Return the ratios to the limit and to every yardstick, block by block."""
    yardsticks = [each.costs[each.limit].seconds, *(seconds for _, seconds in sorted(each.yardsticks.items()))]
    return [
        [mine / theirs for mine, theirs in zip(each.costs[who].seconds, yardstick, strict=True)]
        for yardstick in yardsticks
    ]


def _growth(old: Sequence[float], new: Sequence[float]) -> tuple[float, float, float]:
    """Return the growth of a median, the least and the most that it may be."""
    (old_low, old_high), (new_low, new_high) = _nearly_all(old), _nearly_all(new)
    return median(new) / median(old), new_low / old_high, new_high / old_low


def _nearly_all(values: Sequence[float]) -> tuple[float, float]:
    """Return bounds of all values but one in five at either end."""
    ordered, left_out = sorted(values), len(values) // 5
    return ordered[left_out], ordered[len(ordered) - 1 - left_out]
