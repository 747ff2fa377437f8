"""Are entries that share a kink legal together? Directions along which a tie moves as one, and f is smooth."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, pairwise

import numpy as np
import numpy.typing as npt

from gradcheck.convex import bends_one_way
from gradcheck.difference import CONFIDENCE, Differences
from gradcheck.evaluate import Vector
from gradcheck.layer import Named
from gradcheck.point import Entry, Point
from gradcheck.probe import power_of_two, signed
from gradcheck.report import Comparison, Verdict
from gradcheck.ties import Ties
from gradcheck.ways import LOPSIDED, Way

_STEP = 2.0**-17
_LITTLE = 2.0**-7  # of an entry: it is moved no farther
_BITS = 2.0**21  # last bits: the finest of all steps, which is 2**11 times shorter, still is many
_NEARBY, _FINE = 2.0**-3, 2.0**-11  # of a step, how far off the tie f is looked at; and over how long a step there
_FARTHEST = 2.0**-4  # of an entry: so far all are moved where noise demands it
_APART = 16.0  # times that fine step, the points lie off at least
_CLEAR = 0.4  # decades of it, that no entry comes nearer
_POINTS = 64
_DECADES = 2.0  # over which movements to these are spread, so that now this kink lies on the way and now that
_EXAMINED = 1024  # so many entries on kinks are looked at together
_OUTPUTS = 64  # so many outputs are looked at one by one
_REMEMBERED = 2**24  # numbers of what entries do to all outputs, and of weights and gradients of single ones
_ALONG = 256  # and along so many directions
_SMOOTH = 1e-3  # slopes that agree to this part of themselves are those of a smooth function at these steps
_WRONG = 1e-2
_ALIKE = 2.5e-3  # slopes nearby, of a size that matters: much nearer each other than a wrong one is to them
_ONE_SIDED = 4.0  # times what rounding does to a central slope, it does to the difference of one-sided ones
_NOISY = "it looks wrong together with others that share its kink, but noise hides too much of f to say so"
_FINER = 0.25  # of a step
_STEADY = 5e-3  # of that jump: the sides are the same over both steps
_OUTSIDE = 1e-2  # of the jump along a direction: so far outside the slopes of its two sides


class _View:
    """f by its own weights of the outputs, or by those of one: what entries claim of it, and how their slopes jump."""

    def __init__(self, point: Point, jumps: Mapping[Entry, float], name: str = "") -> None:
        self.point, self.jumps, self.name, self.alone = point, jumps, name or "f", bool(name)
        self._outputs = np.flatnonzero(point.cotangent)
        self.claims = {entry: point.analytic(entry) for entry in jumps}
        self._bends: dict[frozenset[Entry], bool] = {}

    def claim(self, way: Way) -> float:
        """Return the derivative along a way, by the analytic values."""
        return way.total(self.claims)

    def sides(self, low: Vector, high: Vector) -> tuple[float, float]:
        """Return the sums of the outputs' sides, which are given for weights of 1."""
        weights = self.point.cotangent[self._outputs]
        with np.errstate(invalid="ignore"):
            sides = weights * low[self._outputs], weights * high[self._outputs]
            return float(np.minimum(*sides).sum()), float(np.maximum(*sides).sum())

    def noise(self, reached: npt.NDArray[np.bool_]) -> float:
        """Return what rounding can do to a change of those outputs that are reached."""
        return CONFIDENCE * float(np.linalg.norm((self.point.cotangent * self.point.noise)[reached]))

    def is_kinked(self, way: Way, low: float, high: float) -> bool:
        """Tell whether f has two slopes along a way, beside those of the entries by themselves."""
        return high - low > _WRONG * way.largest(self.jumps)

    def denies(self, way: Way, low: float, high: float, noise: float) -> bool:
        """Tell whether the claim lies outside the slopes on both sides, as far as these alone say."""
        claim = self.claim(way)
        if self.is_kinked(way, low, high):
            least, most = low, high
            if self.alone:  # each side may be a kink of its own: relu(x) - relu(-x) / 2 claims 3/2 by both, 0 by none
                least, most = min(low, low + high, 0.0), max(high, low + high, 0.0)
            return max(least - claim, claim - most) > _OUTSIDE * (high - low) + noise
        sizes = abs(claim), abs(low), abs(high), self.least(way)
        return max(low - claim, claim - high) > _WRONG * max(sizes) + noise

    def least(self, way: Way) -> float:
        """Return the size of the slopes that count along a way: of the entries' jumps, and of their claims."""
        return max(way.largest(self.jumps), way.largest(self.claims))

    def bends_one_way(self, around: Sequence[Entry], jump: float) -> bool:
        """See `convex.bends_one_way`; asked once of the same entries."""
        key = frozenset(around)
        if key not in self._bends:
            self._bends[key] = bends_one_way(self.point, around, jump)
        return self._bends[key]


def judge_jointly(
    point: Point, on_kinks: Collection[Entry], comparisons: Sequence[Comparison]
) -> tuple[list[Comparison], int]:
    """Judge entries on kinks along directions that move several of them together, and for single outputs.

    At a tie of ``maximum(a, b)``, "both get everything" and "neither gets anything" lie inside each entry's own
    interval of slopes and are illegal all the same: moved together, a and b leave the tie a tie, and f has one slope,
    which the two entries must add up to. Where a direction still leads over a kink, as all do for a norm at 0, the
    slopes of its two sides bound what the entries may add up to, if f bends one way only; for a subgradient that is
    too long, that direction is its own.

    Where an entry on a kink reaches several outputs, one output's slopes leave room in which another's wrong gradient
    passes: each is then looked at by itself, with the cotangent that is 1 there and 0 elsewhere.

    Parameters
    ----------
    point : Point
        On the kink; left as it is.
    on_kinks : collection of Entry
        The entries whose kink is at the point, and not only near it.
    comparisons : sequence of Comparison
        All verdicts so far.

    Returns
    -------
    list of Comparison
        The same, with those entries accused that are illegal together; one that only a single output speaks against is
        INCONCLUSIVE.
    int
        How many entries on kinks were too many to be moved together with the others.
    """
    kinks: dict[Entry, Comparison] = {
        (c.name, c.index): c for c in comparisons if c.verdict is Verdict.KINK and c.index is not None
    }
    entries = [entry for entry in kinks if entry in on_kinks]
    if not entries:
        return list(comparisons), 0
    examined = entries[: min(_EXAMINED, max(_REMEMBERED // max(point.base.size, 1), 2))]
    ties = Ties(point, examined, [_claimed(point, kinks[entry]) for entry in examined], list(kinks))
    found = _illegal(point, ties, examined, kinks)
    judged = list(comparisons)
    for place, c in enumerate(comparisons):
        if (c.name, c.index or ()) in found:
            verdict, reason = found[c.name, c.index or ()]
            judged[place] = replace(c, verdict=verdict, reason=reason)
    return judged, ties.left_out + len(entries) - len(examined)


def _claimed(point: Point, found: Comparison) -> float:
    """Return the sign of what an entry claims; of the middle of its own slopes where it claims nothing."""
    analytic = point.analytic((found.name, found.index or ()))
    return math.copysign(1.0, analytic or found.numerical or 1.0)


def _illegal(
    point: Point, ties: Ties, entries: list[Entry], kinks: Mapping[Entry, Comparison]
) -> dict[Entry, tuple[Verdict, str]]:
    """Return the verdict on entries that are illegal, and why.

    A single one may be so for a single output where kinks add up inside, as those of two units that share an input do:
    nothing tells that from a wrong one.
    """
    weights, shared = np.abs(point.cotangent), np.zeros(point.base.size, bool)
    whole_jumps: dict[Entry, float] = {}
    several: list[Entry] = []
    for entry in entries:
        jumps = ties.jumps(entry)
        whole_jumps[entry] = float(weights @ jumps)
        reached = ties.reached([entry])
        if jumps.any() and np.count_nonzero(reached) > 1:  # one output's slopes leave room for another's
            shared |= reached
            several.append(entry)
    whole = _View(point, whole_jumps)
    places = _drawn(point, np.flatnonzero(shared & (weights != 0)))
    of_places = {entry: ties.jumps(entry)[places] for entry in entries} if places else {}
    single = [
        _View(each, {entry: float(jumps[k]) for entry, jumps in of_places.items()}, point.evaluator.written(places[k]))
        for k, each in enumerate(point.weighed([_unit(point, place) for place in places]))
    ]
    found: dict[Entry, tuple[Verdict, str]] = {}
    seen_from: dict[tuple[Entry, float], bool] = {}

    def are_seen_from(moved: tuple[Entry, ...], step: float) -> bool:
        for entry in moved:
            if (entry, step) not in seen_from:
                seen_from[entry, step] = _is_seen_from(point, kinks[entry], step)
        return all(seen_from[entry, step] for entry in moved)

    for way in chain(_ways(whole, ties.groups(), kinks), _ways_of_outputs(point, single, several)):
        least = _step(point, way.entries)
        if not least or any(entry in found for entry in way.entries):
            continue
        ray = point.along(way.direction(point))[1]
        along = Differences(ray, point.base, np.ones(point.base.size), point.noise)
        reached = ties.reached(way.entries)
        looks: dict[float, tuple[Vector, Vector]] = {}
        for seen in (whole, *single):
            noise = seen.noise(reached)
            step = _above_noise(point, way.entries, least, noise, seen.least(way))
            if step not in looks:
                looks[step] = along.sides_by_output(step)
            sides = seen.sides(*looks[step])
            if noise == 0 or not seen.denies(way, *sides, _ONE_SIDED * noise / step):
                continue
            if not are_seen_from(way.entries, step):
                break
            finer = seen.sides(*along.sides_by_output(_FINER * step))
            if slopes := _confirmed(seen, ties, way, step, sides, finer, noise):
                verdict = Verdict.MISMATCH if len(way.entries) > 1 else Verdict.INCONCLUSIVE
                found |= dict.fromkeys(way.entries, (verdict, way.why(seen, slopes, kinks)))
                break
            if len(way.entries) > 1 and _ONE_SIDED * noise > _SMOOTH * seen.least(way) * step:
                found |= dict.fromkeys(way.entries, (Verdict.INCONCLUSIVE, _NOISY))
                break
    return found


def _drawn(point: Point, places: npt.NDArray[np.intp]) -> list[int]:
    """Draw the outputs to be looked at one by one, not more of them than may be remembered."""
    most = min(_OUTPUTS, _REMEMBERED // (point.base.size + sum(array.size for array in point.gradient.values())))
    return [int(place) for place in point.rng.permutation(places)[:most]] if places.size else []


def _unit(point: Point, place: int) -> Vector:
    weights: Vector = np.zeros(point.base.size)
    weights[place] = 1.0
    return weights


def _ways(whole: _View, groups: Iterator[list[Entry]], kinks: Mapping[Entry, Comparison]) -> Iterator[Way]:
    """Yield how entries that are tied are moved together.

    As they claim, and all alike; two against each other as well; by as much, or by the inverse of their own jumps: a
    tie of equal numbers stays one where all move as far, and one of weighted numbers where they matter as much. And in
    proportion to what they claim.
    """
    for group in groups:
        ones = np.ones(len(group))
        claimed = np.array([_claimed(whole.point, kinks[entry]) for entry in group])
        senses = [claimed, ones, *([np.array([1.0, -1.0])] if len(group) == 2 else [])]
        sizes = [ones, _inverse([whole.jumps[entry] for entry in group])]
        ways = [Way.of(group, sense * size) for size in sizes for sense in senses]
        yield from dict.fromkeys(way for way in (*ways, _by_claims(whole, group)) if way)


def _ways_of_outputs(point: Point, single: Sequence[_View], several: Sequence[Entry]) -> Iterator[Way]:
    """Yield how the entries on each output's kinks are moved: all as they claim for it, and two and two.

    And each alone of those that reach several: outputs that have no kink may have been claimed anything.
    """
    if single:
        yield from (way for entry in several if (way := Way.of([entry], np.ones(1))))
    pairs: list[Way] = []
    for seen in single:
        entries = [entry for entry, jump in seen.jumps.items() if jump]
        if way := _by_claims(seen, entries):
            yield way
        for two in pairwise(entries):
            lengths = _inverse([seen.jumps[entry] for entry in two])
            pairs += [way for sign in (1.0, -1.0) if (way := Way.of(two, lengths * (1.0, sign)))]
    distinct = list(dict.fromkeys(pairs))
    for i in point.rng.permutation(len(distinct))[:_ALONG]:
        yield distinct[i]


def _inverse(jumps: Sequence[float]) -> Vector:
    """Return lengths over which all slopes jump alike; 1 for all where one of them would hardly be moved."""
    with np.errstate(divide="ignore"):
        lengths = 1.0 / np.array(jumps)
    return lengths if lengths.min() >= LOPSIDED * lengths.max() < math.inf else np.ones(len(jumps))


def _by_claims(seen: _View, entries: Sequence[Entry]) -> Way | None:
    return Way.of(entries, np.array([seen.claims[entry] for entry in entries]), "moved as they claim")


def _step(point: Point, entries: Sequence[Entry]) -> float:
    """Return how far a group is moved: little for the smallest, many last bits for the largest; 0 if none is both."""
    smallest = _smallest(point, entries)
    bits = max(float(np.spacing(np.abs(point.evaluator.point[name][index]))) for name, index in entries)
    step = max(_STEP * smallest, _BITS * bits)
    return step if step <= _LITTLE * smallest else 0.0


def _smallest(point: Point, entries: Sequence[Entry]) -> float:
    return min(float(point.natural(name)[index]) for name, index in entries)


def _above_noise(point: Point, entries: Sequence[Entry], step: float, noise: float, size: float) -> float:
    """Return a step over which noise is little beside slopes of such a size: longer, where it has to be and may be."""
    most = _FARTHEST * _smallest(point, entries)
    needed = _ONE_SIDED * noise / (_SMOOTH * size) if size else 0.0
    return max(step, power_of_two(min(needed, most))) if needed > step else step


def _is_seen_from(point: Point, found: Comparison, step: float) -> bool:
    """Tell whether an entry's own kink lies so near the point that a step shows both its sides.

    One that is near for an entry of its size may be far for a smaller one that is moved with it.
    """
    low, high = point.along_entry((found.name, found.index or ()), alone=True).sides(step)
    return high - low >= found.error_bar


def _confirmed(
    seen: _View,
    ties: Ties,
    way: Way,
    step: float,
    sides: tuple[float, float],
    finer: tuple[float, float],
    noise: float,
) -> tuple[float, ...]:
    """Return the slopes beside which a claim is illegal: of both sides, or one where they are the same; else nothing.

    Sides bound it only where f bends one way; and not only along these entries: a sum of kinks may bend the other way
    where the rest of a tie moves too. And where they are the same over a finer step: no other kink lies between.
    """
    if seen.is_kinked(way, *sides):
        rounding = _ONE_SIDED * noise / (_FINER * step)
        other = max(abs(a - b) for a, b in zip(sides, finer, strict=True))
        if other > _STEADY * (sides[1] - sides[0]) + rounding:
            return ()
        return sides if seen.bends_one_way(ties.around(way.entries), way.largest(seen.jumps)) else ()
    numerical = _slope_of_a_tie(seen, way, step, noise)
    return () if numerical is None else (numerical,)


def _slope_of_a_tie(seen: _View, way: Way, step: float, noise: float) -> float | None:
    """Return the slope along a way along which f is smooth and the claim is wrong.

    None if f has others that way at points nearby, off the tie: then kinks that have nothing to do with each other
    only happen to cancel at the point.
    """
    point, direction, least = seen.point, way.direction(seen.point), seen.least(way)
    numerical = _smooth_slope(point, direction, step, least, noise)
    if numerical is None:
        return None
    fine = max(_FINE * step, 2 * noise / (_SMOOTH * max(least, abs(numerical))))
    apart = min(_NEARBY / _FINE * fine, _FARTHEST * _smallest(point, way.entries))
    if apart < _APART * fine:
        return None
    decades = min(_DECADES, math.log10(apart / fine) - _CLEAR)
    with point.away() as at:
        for _ in range(_POINTS):
            for name in point.gradient:  # constants stay where they are
                spread = 10.0 ** -point.rng.uniform(0.0, decades, at[name].shape)
                shift = apart * spread * signed(point.rng, at[name].shape)
                point.evaluator.point[name][...] = at[name] + shift.astype(at[name].dtype)
            point.base = point.evaluator.outputs("everything moved apart")
            slope = _smooth_slope(point, direction, fine, least, noise)
            if slope is None or abs(slope - numerical) > _ALIKE * max(abs(slope), abs(numerical), least):
                return None
    return numerical


def _smooth_slope(point: Point, direction: Named, step: float, least: float, noise: float) -> float | None:
    """Return the slope along a direction where its two sides agree, beside `least`; None where they do not."""
    level = point.along(direction)[0].level(step)
    if not (math.isfinite(level.forward) and math.isfinite(level.backward)):
        return None
    size = max(abs(level.forward), abs(level.backward), least)
    if abs(level.jump) > _SMOOTH * size + _ONE_SIDED * noise / step or noise / step > _SMOOTH * size:
        return None
    return level.central
