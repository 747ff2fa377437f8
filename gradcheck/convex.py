"""Is f convex or concave around the point? Then its one-sided slopes bound every legal subgradient."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

import numpy as np

from gradcheck.evaluate import Vector
from gradcheck.layer import Array, Named
from gradcheck.point import Entry, Point
from gradcheck.probe import signed

_REACH = 2.0**-17  # how far around the point f is looked at, in units of its entries: kinks show, curvature does not
_ALONE = 64  # so many entries are moved one by one, so that a few kinks that bend the other way do not drown
_PAIRS = 192  # and so many times some of them together
_ONE_WAY = 32  # and so many times up, and down: of tied ones that decides who is the largest of those that went down
_DECADES = 2.0  # over which movements are spread, so that now this kink lies between and now that
_FLAT = 1e-3  # of the jump of the slopes: so much a pair may bend the other way, for curvature
_RESOLVED = 3e-3  # of the jump over the longest movement: noise has to be less
_BENDING = 0.25  # this part of the pairs has to bend at all


def bends_one_way(point: Point, entries: Collection[Entry], jump: float) -> bool:
    """Tell whether f bends one way only, as far as many pairs of nearby points show.

    For a convex function (or a concave one) every subgradient g obeys ``M <= <g, d> <= P`` along every direction d,
    with the backward and the forward slope at the point. Where kinks bend both ways these slopes bound nothing.

    Parameters
    ----------
    point : Point
        Left as it is.
    entries : collection of Entry
        What is moved; all primals where it is empty.
    jump : float
        How much slopes differ over the kink, for an entry moved by 1.
    """
    sizes = _sizes(point, entries)
    noise = 10.0 * float(np.linalg.norm(point.cotangent * point.noise))
    if noise > _RESOLVED * jump * _REACH * max(float(np.max(size, initial=0.0)) for size in sizes.values()):
        return False  # a kink that bends the other way could not be seen
    signs: list[int] = []

    with point.away() as at:

        def f(move: Named) -> Vector:
            for name, shift in move.items():
                point.evaluator.point[name][...] = at[name] + shift.astype(at[name].dtype)
            return point.evaluator.outputs("moved a little, in pairs")

        for moved, way in _masks(point, sizes, bool(entries)):
            middle = {name: _spread(point, size, way) for name, size in moved.items()}
            half = {name: _spread(point, size) for name, size in moved.items()}
            bend = (
                f({name: middle[name] + half[name] for name in sizes})
                - 2 * f(middle)
                + f({name: middle[name] - half[name] for name in sizes})
            )
            value = float(point.cotangent @ bend)
            if not np.isfinite(value):
                return False
            reach = max(float(np.max(np.abs(shift), initial=0.0)) for shift in half.values())  # large ones may stay
            signs.append(0 if abs(value) <= noise + _FLAT * jump * reach else (1 if value > 0 else -1))
            if len({sign for sign in signs if sign}) > 1:
                return False
    return sum(map(abs, signs)) >= _BENDING * len(signs)


def _sizes(point: Point, entries: Collection[Entry]) -> Named:
    """Return how far each entry may move; zeros where it stays."""
    if not entries:
        return {name: point.natural(name) for name in point.gradient}
    sizes: Named = {}
    for name, index in entries:
        sizes.setdefault(name, np.zeros(point.gradient[name].shape))[index] = float(point.natural(name)[index])
    return sizes


def _masks(point: Point, sizes: Named, alike: bool) -> Iterator[tuple[Named, int]]:
    """Yield the sizes with all but some entries at zero: single ones first, then more and fewer of them at random.

    Of every other pair all are moved as far as the smallest of them, if they are to be moved `alike` as well: a kink
    that a small entry has a say in would lie beside all others.

    And which way the middle of a pair lies: for most to all sides, for the last ones up or down in all of them.
    """
    places = [(name, int(i)) for name, size in sizes.items() for i in np.flatnonzero(size)]
    drawn = [([place], 0, False) for place in point.rng.permutation(len(places))[:_ALONE]]
    for k, way in enumerate([0] * _PAIRS + [1, 1, -1, -1] * (_ONE_WAY // 2)):
        share = 2.0 ** -point.rng.uniform(0.0, math.log2(max(len(places), 2)))
        drawn.append((np.flatnonzero(point.rng.random(len(places)) < share).tolist(), way, alike and k % 2 > 0))
    for subset, way, evenly in drawn:
        moved = {name: np.zeros(size.shape) for name, size in sizes.items()}
        chosen = [places[k] for k in subset]
        least = min((float(sizes[name].flat[i]) for name, i in chosen), default=0.0)
        for name, i in chosen:
            moved[name].flat[i] = least if evenly else sizes[name].flat[i]
        yield moved, way


def _spread(point: Point, size: Array, way: int = 0) -> Array:
    """Draw movements of all sizes over some decades: now this entry goes farthest and now that.

    All of them go up or down where `way` is 1 or -1.
    """
    return (
        _REACH * size * 10.0 ** -point.rng.uniform(0.0, _DECADES, size.shape) * (way or signed(point.rng, size.shape))
    )
