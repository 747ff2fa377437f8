"""Are entries that share a kink legal together? Directions along which a tie moves as one, and f is smooth."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise

import numpy as np

from gradcheck.convex import bends_one_way
from gradcheck.difference import Differences
from gradcheck.evaluate import Vector
from gradcheck.layer import Named
from gradcheck.point import Entry, Point
from gradcheck.probe import signed
from gradcheck.report import Comparison, Verdict
from gradcheck.ties import Ties

_STEP = 2.0**-17
_LITTLE = 2.0**-7  # of an entry: it is moved no farther
_BITS = 2.0**21  # last bits: the finest of all steps, which is 2**11 times shorter, still is many
_NEARBY = 2.0**-3  # of a step, how far off the tie f is looked at
_POINTS = 64
_DECADES = 2.0  # over which movements to these are spread, so that now this kink lies on the way and now that
_EXAMINED = 1024  # so many entries on kinks are looked at together
_OUTPUTS = 64  # so many outputs are looked at one by one
_REMEMBERED = 2**24  # numbers of what entries do to all outputs, and of weights and gradients of single ones
_ALONG = 256  # and along so many directions
_LOPSIDED = 2.0**-10  # of the farthest, the least that an entry is moved: a shorter way is lost in its last bits
_SMOOTH = 1e-3  # slopes that agree to this part of themselves are those of a smooth function at these steps
_WRONG = 1e-2
_ALIKE = 2.5e-3  # slopes nearby, of a size that matters
_WORTH_A_LOOK = 5e-3  # of the sides' distance, outside of which a claim may be wrong
_OUTSIDE = 1e-2  # of the jump along a direction: so far outside the slopes of its two sides


@dataclass(frozen=True)
class _Way:
    """Entries moved together, each so far."""

    entries: tuple[Entry, ...]
    shares: tuple[float, ...]
    by: str

    @classmethod
    def of(cls, entries: Sequence[Entry], shares: Vector, by: str = "") -> _Way | None:
        """Return it with 1 for the one that goes farthest; without those that would hardly move."""
        most = float(np.max(np.abs(shares), initial=0.0))
        if not 0 < most < math.inf:
            return None
        moved = [(e, float(s / most)) for e, s in zip(entries, shares, strict=True) if abs(s) >= _LOPSIDED * most]
        first = math.copysign(1.0, moved[0][1])  # forth and back is the same way
        return cls(tuple(e for e, _ in moved), tuple(first * s for _, s in moved), by)

    def direction(self, point: Point) -> Named:
        direction: Named = {}
        for (name, index), share in zip(self.entries, self.shares, strict=True):
            direction.setdefault(name, np.zeros(point.gradient[name].shape))[index] = share
        return direction

    def largest(self, slopes: Mapping[Entry, float]) -> float:
        """Return the largest of the entries' own slopes, as far as each is moved."""
        return max(abs(share * slopes[entry]) for entry, share in zip(self.entries, self.shares, strict=True))

    def total(self, slopes: Mapping[Entry, float]) -> float:
        """Return what the entries' own slopes add up to, as far as each is moved."""
        return sum(share * slopes[entry] for entry, share in zip(self.entries, self.shares, strict=True))

    def why(self, seen: _Seen, slopes: tuple[float, ...], kinks: Mapping[Entry, Comparison]) -> str:
        """Say how the entries change what is seen, by one slope or by two, and what they claim."""
        names, where = [kinks[entry].entry for entry in self.entries], " for it alone" if seen.alone else ""
        listed = " and ".join(names) if len(names) <= 2 else f"{names[0]} and {len(names) - 1} others"
        what = "a tie" if len(slopes) == 1 else "a kink"
        changes = f"{seen.name} with slope{'s' * (len(slopes) - 1)} {' and '.join(f'{slope:.6g}' for slope in slopes)}"
        claim = f"{seen.claim(self):.6g}"
        if len(names) == 1:
            return f"{what}: {listed} changes {changes}, and its analytic value{where} is {claim}"
        return f"{what}: {self._how}, {listed} change {changes}, and their analytic values{where} add up to {claim}"

    @property
    def _how(self) -> str:
        if self.by:
            return self.by
        if len(set(self.shares)) == 1:
            return "moved together"
        if len({abs(share) for share in self.shares}) == 1:
            return "moved against each other"
        return f"moved by {' and '.join(f'{share:.3g}' for share in self.shares)}"


class _Seen:
    """What weights an output, or several: with the claims for that, and the jumps of the entries' slopes."""

    def __init__(self, point: Point, ties: Ties, entries: Sequence[Entry], name: str = "") -> None:
        self.point, self.name, self.alone = point, name or "f", bool(name)
        self._outputs = np.flatnonzero(point.cotangent)
        weights = np.abs(point.cotangent)
        self.jumps = {entry: float(weights @ ties.jumps(entry)) for entry in entries}
        self.claims = {entry: point.analytic(entry) for entry in entries}
        self._bends: dict[frozenset[Entry], bool] = {}

    def claim(self, way: _Way) -> float:
        """Return the derivative along a way, by the analytic values."""
        return way.total(self.claims)

    def suspects(self, way: _Way, low: Vector, high: Vector) -> bool:
        """Tell whether the claim lies outside the sums of the outputs' sides, given for weights of 1."""
        weights = self.point.cotangent[self._outputs]
        with np.errstate(invalid="ignore"):
            sides = weights * low[self._outputs], weights * high[self._outputs]
            least, most = float(np.minimum(*sides).sum()), float(np.maximum(*sides).sum())
        claim = self.claim(way)
        return max(least - claim, claim - most) > _WORTH_A_LOOK * max(most - least, abs(claim))

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

    Where an entry is on kinks of several outputs, one output's slopes leave room in which another's wrong gradient
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
        The same, with those entries accused that are illegal together.
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
    accused = _accused(point, ties, examined, kinks)
    judged = [
        replace(c, verdict=Verdict.MISMATCH, reason=accused[c.name, c.index])
        if c.index is not None and (c.name, c.index) in accused
        else c
        for c in comparisons
    ]
    return judged, ties.left_out + len(entries) - len(examined)


def _claimed(point: Point, found: Comparison) -> float:
    """Return the sign of what an entry claims; of the middle of its own slopes where it claims nothing."""
    analytic = point.analytic((found.name, found.index or ()))
    return math.copysign(1.0, analytic or found.numerical or 1.0)


def _accused(point: Point, ties: Ties, entries: list[Entry], kinks: Mapping[Entry, Comparison]) -> dict[Entry, str]:
    """Return the entries that are illegal, and why."""
    whole = _Seen(point, ties, entries)
    places = _sharing(point, [ties.jumps(entry) for entry in entries])
    single = [
        _Seen(each, ties, entries, point.evaluator.written(place))
        for place, each in zip(places, point.weighed([_unit(point, place) for place in places]), strict=False)
    ]
    accused: dict[Entry, str] = {}
    for way in chain(_ways(whole, ties.groups(), kinks), _ways_of_outputs(point, single)):
        step = _step(point, way.entries)
        if not step or any(entry in accused for entry in way.entries):
            continue
        ray = point.along(way.direction(point))[1]
        low, high = Differences(ray, point.base, np.ones(point.base.size), point.noise).sides_by_output(step)
        for seen in (whole, *single):
            if not seen.suspects(way, low, high):
                continue
            if not all(_is_seen_from(point, kinks[entry], step) for entry in way.entries):
                break
            if slopes := _slopes_denied(seen, ties, way, step):
                accused |= dict.fromkeys(way.entries, way.why(seen, slopes, kinks))
                break
    return accused


def _sharing(point: Point, jumps: Sequence[Vector]) -> list[int]:
    """Return the outputs to be looked at one by one: on kinks of entries that are on another's as well."""
    shared = np.zeros(point.base.size, bool)
    for of_entry in jumps:
        on = of_entry > 0
        if on.sum() > 1:
            shared |= on
    places = np.flatnonzero(shared & (point.cotangent != 0))
    most = min(_OUTPUTS, _REMEMBERED // (point.base.size + sum(array.size for array in point.gradient.values())))
    return [int(place) for place in point.rng.permutation(places)[:most]] if places.size else []


def _unit(point: Point, place: int) -> Vector:
    weights: Vector = np.zeros(point.base.size)
    weights[place] = 1.0
    return weights


def _ways(whole: _Seen, groups: Iterator[list[Entry]], kinks: Mapping[Entry, Comparison]) -> Iterator[_Way]:
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
        ways = [_Way.of(group, sense * size) for size in sizes for sense in senses]
        yield from dict.fromkeys(way for way in (*ways, _by_claims(whole, group)) if way)


def _ways_of_outputs(point: Point, single: Sequence[_Seen]) -> Iterator[_Way]:
    """Yield the same for each output by itself: two and two of the entries on its kinks, and all as they claim."""
    pairs: list[_Way] = []
    for seen in single:
        entries = [entry for entry, jump in seen.jumps.items() if jump]
        if way := _by_claims(seen, entries):
            yield way
        for two in pairwise(entries):
            lengths = _inverse([seen.jumps[entry] for entry in two])
            pairs += [way for sign in (1.0, -1.0) if (way := _Way.of(two, lengths * (1.0, sign)))]
    distinct = list(dict.fromkeys(pairs))
    for i in point.rng.permutation(len(distinct))[:_ALONG]:
        yield distinct[i]


def _inverse(jumps: Sequence[float]) -> Vector:
    """Return lengths over which all slopes jump alike; 1 for all where one of them would hardly be moved."""
    with np.errstate(divide="ignore"):
        lengths = 1.0 / np.array(jumps)
    return lengths if lengths.min() >= _LOPSIDED * lengths.max() < math.inf else np.ones(len(jumps))


def _by_claims(seen: _Seen, entries: Sequence[Entry]) -> _Way | None:
    return _Way.of(entries, np.array([seen.claims[entry] for entry in entries]), "moved as they claim")


def _step(point: Point, entries: Sequence[Entry]) -> float:
    """Return how far a group is moved: little for the smallest, many last bits for the largest; 0 if none is both."""
    sizes = [float(point.natural(name)[index]) for name, index in entries]
    bits = max(float(np.spacing(np.abs(point.evaluator.point[name][index]))) for name, index in entries)
    step = max(_STEP * min(sizes), _BITS * bits)
    return step if step <= _LITTLE * min(sizes) else 0.0


def _is_seen_from(point: Point, found: Comparison, step: float) -> bool:
    """Tell whether an entry's own kink lies so near the point that a step shows both its sides.

    One that is near for an entry of its size may be far for a smaller one that is moved with it.
    """
    low, high = point.along_entry((found.name, found.index or ()), alone=True).sides(step)
    return high - low >= found.error_bar


def _slopes_denied(seen: _Seen, ties: Ties, way: _Way, step: float) -> tuple[float, ...]:
    """Return the slope that f has along a way, or both, where the claim is not legal beside them; else nothing."""
    point, direction, analytic = seen.point, way.direction(seen.point), seen.claim(way)
    jump = way.largest(seen.jumps)
    level = point.along(direction)[0].level(step)
    low, high = point.along(direction)[0].sides(step)  # outputs take their sides each for itself
    if high - low > _WRONG * jump:
        outside = max(low - analytic, analytic - high)
        if outside <= _OUTSIDE * (high - low) + level.jump_noise:
            return ()
        # a sum of kinks may bend one way along these entries, and the other way where the rest of a tie moves too
        return (low, high) if seen.bends_one_way(ties.around(way.entries), jump) else ()
    numerical = _slope_of_a_tie(point, direction, step, analytic, max(jump, way.largest(seen.claims)))
    return () if numerical is None else (numerical,)


def _slope_of_a_tie(point: Point, direction: Named, step: float, analytic: float, least: float) -> float | None:
    """Return the slope along a direction along which f is smooth and the claim is wrong.

    None if they agree, up to `least`, or if f has other slopes along that direction at points nearby, off the tie: then
    kinks that have nothing to do with each other only happen to cancel at the point.
    """
    numerical = _smooth_slope(point, direction, step, least)
    if numerical is None or abs(analytic - numerical) <= _WRONG * max(abs(analytic), abs(numerical), least):
        return None
    with point.away() as at:
        for _ in range(_POINTS):
            for name in point.gradient:  # constants stay where they are
                spread = 10.0 ** -point.rng.uniform(0.0, _DECADES, at[name].shape)
                shift = _NEARBY * step * spread * signed(point.rng, at[name].shape)
                point.evaluator.point[name][...] = at[name] + shift.astype(at[name].dtype)
            point.base = point.evaluator.outputs("everything moved apart")
            slope = _smooth_slope(point, direction, 2.0**-8 * _NEARBY * step, least)
            if slope is None or abs(slope - numerical) > _ALIKE * max(abs(slope), abs(numerical), least):
                return None
    return numerical


def _smooth_slope(point: Point, direction: Named, step: float, least: float) -> float | None:
    """Return the slope along a direction where its two sides agree, beside `least`; None where they do not."""
    differences, _ = point.along(direction)
    level = differences.level(step)
    if not (math.isfinite(level.forward) and math.isfinite(level.backward)):
        return None
    size = max(abs(level.forward), abs(level.backward), least)
    noise = level.noise + differences.hidden_at(level.step)
    if abs(level.jump) > _SMOOTH * size + level.jump_noise or noise > _SMOOTH * size:
        return None
    return level.central
