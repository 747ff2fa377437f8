"""How exact is f? Its noise, per output element, measured and not assumed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.blocks import blocks
from gradcheck.evaluate import Vector

# Spacings of the sampled points, relative to the inputs: the finest that resolves an output measures it. The coarse
# ones are for outputs that are quantised, (z + 1e8) - 1e8 or float32 inside, and show no noise below their quantum.
SPACINGS = tuple(2.0**-k for k in (42, 34, 27, 20, 14))
POINTS = 7
ORDERS = (4, 5, 6)
_RESOLVED = 5  # of the 6 consecutive differences, so many must be non-zero
_REGULAR = 0.02  # how far from whole multiples of its lowest step a staircase may be
_LEVEL = 1e-5  # of a step: what varies less is smooth
_EVEN = 0.25  # of a step: what climbs so evenly after having stood still jumps over many treads at once
_COARSEST = 2.0**-7  # beside the values: a grid coarser than any number format's is a staircase that f means to be
_DISTINCT = 3  # so many different values do not share empty low bits by accident
_COARSE, _PLACES, _BESIDE = 2.0**-8, (2, 4, 6), 2.0**-20  # a spacing at which float16's treads are climbed, and
# points there with others beside them: what stands still between these too lies on treads, and does not just bend
_FINE = 2.0**-11  # beside the values: deviations of treads so low may be rounding's, to float16 at the most
_FAR = (-(2.0**-9), -0.125, 0.5, -0.5)
WIDE = (2.0, -2.0, 64.0)
"""Steps so wide, in units of the inputs, that what reacts at all reacts."""
_ALIKE = 4.0  # estimates of the orders that lie within this factor of each other
_INSIDE = 16.0  # last bits
_WAVES = 0.05  # of how far f moves over wide steps
SINGLE = float(np.finfo(np.float32).eps)
_UNIFORM = 12**-0.5  # standard deviation of rounding to a grid, in units of its width


def floor(outputs: Vector, eps: Vector) -> Vector:
    """Return the least noise to be reckoned with: half a unit in the last place.

    Parameters
    ----------
    outputs : ndarray, shape (m,)
        Values of f.
    eps : ndarray, shape (m,)
        Machine epsilon of each element's own dtype.

    Returns
    -------
    ndarray, shape (m,)
        Standard deviations.
    """
    least = np.empty(outputs.shape)
    for block in blocks(outputs.size):
        np.multiply(0.5 * eps[block], np.abs(outputs[block]), out=least[block])
    return least


def measure(
    along: Callable[[float], Vector],
    base: Vector,
    eps: Vector,
    *,
    spacings: tuple[float, ...] = SPACINGS,
) -> Vector:
    """Measure the noise of every output element by ECnoise's difference tables.

    Parameters
    ----------
    along : callable
        ``along(t)`` evaluates f at ``x + t * u`` for a direction u on the scale of x; returns shape (m,), NaN outside
        the domain.
    base : ndarray, shape (m,)
        ``along(0)``.
    eps : ndarray, shape (m,)
        Machine epsilon of each element's dtype: noise is never taken to be below ``eps / 2 * |f|``.
    spacings : tuple of float
        Distances between sampled points, finest first.

    Returns
    -------
    ndarray, shape (m,)
        Standard deviation of each element's noise.

    Notes
    -----
    Points lie on one side of x only, so that a kink at x itself is not mistaken for noise. For a function that is
    smooth over 7 points, differences of order k vanish like the k-th power of the spacing, and what is left is noise:
    ``sigma**2 = (k!)**2 / (2k)! * mean(differences_k**2)``. An element is resolved by the first spacing at which its
    neighbouring values differ; coarser ones would mistake curvature for noise.

    Differences can be too regular to show the noise: a staircase climbed in equal steps has none of higher order, and
    a saturated one does not move at all. So the values themselves are looked at as well: where all of them leave
    their low bits empty, they lie on a coarser grid than their dtype's, and are rounded to it.

    References
    ----------
    J. J. Moré and S. M. Wild, Estimating computational noise, SIAM J. Sci. Comput. 33 (2011), 1292-1314.

    Examples
    --------
    >>> import numpy as np
    >>> f = lambda t: np.array([np.float64(np.float32(np.sin(1 + t)))])  # float32 inside
    >>> sigma = measure(f, f(0.0), np.array([2.0**-52]))
    >>> bool(1e-9 < sigma[0] < 1e-7)
    True
    """
    sigma = floor(base, eps)
    open_ = np.ones(base.shape, bool)
    stood = np.zeros(base.shape)  # the longest step so far over which it stood still
    seen = [base]
    for spacing in spacings:
        values = [base, *(along(k * spacing) for k in range(1, POINTS))]
        seen += values[1:]
        for block in blocks(base.size):
            table = np.stack([value[block] for value in values])
            with np.errstate(invalid="ignore", over="ignore"):
                noise, moved = _shown(table, stood[block] / spacing, _COARSEST)
            inside = np.isfinite(table).all(axis=0)
            np.maximum(sigma[block], noise, out=sigma[block], where=open_[block] & inside)
            stood[block][inside & (moved == 0)] = (POINTS - 1) * spacing
            # what has stood still and climbs without showing a tread is looked at again
            open_[block] &= ~(inside & (moved >= _RESOLVED) & ((stood[block] == 0) | (noise > 0)))
        if not open_.any():
            break
    else:
        values = [base, *(along(k * _COARSE) for k in range(1, POINTS))]
        beside = [along(k * _COARSE + _BESIDE) for k in _PLACES]
        seen += [*values[1:], *beside, *(along(step) for step in _FAR)]
        for block in blocks(base.size):
            table = np.stack([value[block] for value in values])
            with np.errstate(invalid="ignore", over="ignore"):
                noise, _ = _shown(table, stood[block] / _COARSE, _FINE)
            treads = np.all([each[block] == values[k][block] for k, each in zip(_PLACES, beside, strict=True)], axis=0)
            inside = open_[block] & (stood[block] > 0) & treads & np.isfinite(table).all(axis=0)
            np.maximum(sigma[block], noise, out=sigma[block], where=inside)
    for block in blocks(base.size):
        width = _grid(np.stack([value[block] for value in seen]), sigma[block] / _UNIFORM)
        np.maximum(sigma[block], _UNIFORM * width, out=sigma[block])
    return sigma


def _shown(table: Vector, stood: Vector, most: float) -> tuple[Any, Any]:
    """Return the noise that a table of neighbouring values shows (7 by m), and in how many steps each element moved.

    What has `stood` still (m: over steps of which part of the spacing; 0 where it has not) shows noise only where it
    climbs a staircase, and `most` of its largest value.
    """
    first = table[1:] - table[:-1]
    moved = (first != 0).sum(axis=0)
    noise = length(_by_order(table)) / math.sqrt(len(ORDERS))
    still = stood > 0
    if still.any():
        first, shown, stood = first[:, still], noise[still], stood[still]
        size = np.abs(first)
        typical = np.median(size, axis=0)
        always = moved[still] == POINTS - 1
        climbs = always & _uneven(first) & (shown <= _EVEN * typical)
        # Differences of many treads each may all be the same, and show none. With a kink on the way the first is less.
        less = np.abs(2 * first[1] - first[2]) - size[0]
        bends = np.ptp(first[1:] - first[:-1], axis=0)
        evenly = always & (bends <= _REGULAR * typical) & (less <= 0.5 * stood * typical)
        shown = np.where(evenly, np.fmax(shown, _UNIFORM * typical * np.sqrt(stood)), shown)
        rounded = _staircase(first) | climbs | evenly
        noise[still] = np.where(rounded & (shown <= most * np.abs(table[:, still]).max(axis=0)), shown, 0.0)
    return noise, moved


def treads(along: Callable[[float], Vector], base: Vector, eps: Vector) -> Vector:
    """Measure the noise that only longer spacings show: a rounded factor is even over the width of its treads.

    So is the ``1 + erf(x)`` of a GELU's tail: over less than a tread nothing but the other factor changes, smoothly,
    and f looks exact. And rounding errors at equally spaced points can be regular by accident. What the longer
    spacings show is believed where it has no order (estimates of all orders alike, changes of sign), and is no more
    than rounding could do: to f's values farther away or to its inputs; or by a float32 inside to its values here, and
    to its inputs where f stood still over a finer spacing, if it looks alike over a hundred times longer ones. A ripple
    is not noise, nor is a kink.

    Parameters
    ----------
    along, base, eps
        As in `measure`.

    Returns
    -------
    ndarray, shape (m,)
        Standard deviation of each element's noise as far as it shows; 0 where it does not.
    """
    with np.errstate(all="ignore"):
        wide = np.stack([base, *(along(step) for step in WIDE)])
        wide = np.where(np.isfinite(wide), wide, base)
        largest, span = np.abs(wide).max(axis=0), np.ptp(wide, axis=0)
        slope = np.zeros(base.shape)  # for a step that moves every input by its own size
        before = np.zeros(base.shape)  # what the spacing before has shown
        stood = np.zeros(base.shape, bool)  # over a finer spacing
        sigma = np.zeros(base.shape)
        for spacing in SPACINGS[1:]:
            table = np.stack([base, *(along(k * spacing) for k in range(1, POINTS))])
            slope = np.fmax(slope, np.median(np.abs(np.diff(table, axis=0)), axis=0) / spacing)
            levels = _by_order(table)
            disorderly = levels.max(axis=0) <= _ALIKE * levels.min(axis=0)
            lowest = np.diff(table, n=min(ORDERS), axis=0)
            disorderly &= (lowest > 0).any(axis=0) & (lowest < 0).any(axis=0)
            # beside a kink all but the point itself are in order
            disorderly &= length(lowest) <= _ALIKE * length(lowest[1:])
            noise = np.where(disorderly, length(levels) / math.sqrt(len(ORDERS)), 0.0)
            stays = (noise <= _ALIKE * before) & (before <= _ALIKE * noise)
            # a wave shorter than the spacings looks like noise as well, and is nearly all that f does
            stays &= noise <= _WAVES * span
            size = np.fmax(
                np.abs(table).max(axis=0), np.where(stood, slope, 0.0)
            )  # of values; of what inputs do to them
            single = np.where(stays, SINGLE * size, 0.0)
            explained = noise <= np.fmax(_INSIDE * eps * np.fmax(largest, slope), single)
            sigma = np.where(explained, np.fmax(sigma, noise), sigma)
            before = noise
            stood |= (table == base).all(axis=0)
    return np.asarray(sigma)


def single(values: Any) -> Vector:
    """Return float32's last bit of elements whose values all fit into it, 0 for others.

    Where f stands still, its own last bit says little: what has shown no more digits than float32 has may have no more.

    Parameters
    ----------
    values : ndarray, shape (k, m)
        Values of each of m elements at k points; those that are not finite do not count.
    """
    finite = np.isfinite(values)
    with np.errstate(over="ignore", invalid="ignore"):
        fits = (values.astype(np.float32) == values) | ~finite
    largest = np.max(np.abs(values), axis=0, initial=0.0, where=finite)
    return np.asarray(np.where(fits.all(axis=0), SINGLE * largest, 0.0))


def _by_order(table: Vector) -> Any:
    """Return the noise that the differences of each of the orders tell of (orders by m)."""
    differences: Any = table
    levels = []
    for order in range(1, max(ORDERS) + 1):
        differences = differences[1:] - differences[:-1]
        if order in ORDERS:
            gamma = math.factorial(order) ** 2 / math.factorial(2 * order)
            levels.append(math.sqrt(gamma / len(differences)) * length(differences))
    return np.stack(levels)


def length(values: Any) -> Any:
    """Return the Euclidean length along the first axis, without overflow on the way."""
    largest = np.abs(values).max(axis=0, initial=0.0)
    unit = np.where((largest > 0) & np.isfinite(largest), largest, 1.0)
    return unit * np.sqrt(np.sum(np.square(values / unit), axis=0))


def _staircase(first: Vector) -> Any:
    """Tell which elements climb in steps of one height, from their consecutive differences (6 by m).

    What stood still at a finer spacing either lies on a grid, and then climbs in multiples of its width, or has a flat
    piece that ends nearby (a clip, a ReLU), and what it does beyond is not noise.
    """
    size = np.abs(first)
    height = np.where(size > 0, size, np.inf).min(axis=0)
    multiples = size / np.where(np.isfinite(height), height, 1.0)
    regular = (np.abs(multiples - np.round(multiples)) < _REGULAR).all(axis=0)
    differs = np.ptp(multiples, axis=0) > 0.5  # else they tell nothing of a height
    return regular & differs & ((size > 0).sum(axis=0) >= _DISTINCT)


def _uneven(first: Vector) -> Any:
    """Tell which consecutive differences bend unevenly beyond the first: where only that is off there is a kink."""
    beyond = first[1:]
    return np.ptp(beyond[1:] - beyond[:-1], axis=0) > _LEVEL * np.median(np.abs(beyond), axis=0)


def _grid(values: Any, least: Vector) -> Vector:
    """Return the width of the grid of powers of two that all values of an element lie on.

    Parameters
    ----------
    values : ndarray, shape (k, m)
        k values of each of m elements.
    least : ndarray, shape (m,)
        Widths up to this are of no interest.

    Returns
    -------
    ndarray, shape (m,)
        0 where too few values are known, or where it is not wider.
    """
    found, width = np.zeros(least.size), np.full(least.size, np.inf)
    wide = np.arange(least.size)
    for each in values:  # one value that has bits to the last is enough: few elements remain after a few
        width[wide] = np.fmin(width[wide], lowest_bit(each[wide]))
        wide = wide[width[wide] > least[wide]]
        if not wide.size:
            return found
    left = values[:, wide]
    ordered = np.sort(left, axis=0)
    distinct = 1 + (ordered[1:] > ordered[:-1]).sum(axis=0)
    rounded = (distinct >= _DISTINCT) & (width[wide] <= _COARSEST * np.abs(left).max(axis=0, initial=0.0))
    found[wide[rounded]] = width[wide[rounded]]
    return found


def lowest_bit(values: Any) -> Any:
    """Return the worth of the lowest bit that is set in each value; inf for zero, and for what is not finite."""
    mantissa, exponent = np.frexp(np.where(np.isfinite(values), values, 0.0))
    whole = (mantissa * 2.0**53).astype(np.int64)
    low = (whole & -whole).astype(np.float64)
    return np.where(whole != 0, np.ldexp(low, exponent - 53), np.inf)
