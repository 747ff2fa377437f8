"""Is a float32 or float16 backward right? Differences are taken in float64, and the two backwards compared."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from gradcheck.analytic import Analytic
from gradcheck.evaluate import BudgetSpent
from gradcheck.layer import Array, Layer, Named
from gradcheck.ordinary import SIZES, scaled
from gradcheck.parts import eps_of, parts, real_parts
from gradcheck.probe import natural, signed
from gradcheck.report import Comparison, Verdict
from gradcheck.summarise import MISMATCHES_KEPT
from gradcheck.tally import Tally
from gradcheck.tolerance import MEANINGFUL, default_rtol
from gradcheck.widened import Widened

_REPEATS = 8
_FEW = 32.0  # last bits of the largest entry, or of the largest weighted output, that terms which cancel may leave
_FARTHER = 2.0**-9  # every other point lies so far away
_LAST_BITS = 8  # so far away points are looked at: off a tie that rounding made
_MOSTLY = 0.5  # of them, where an entry is right: then it is at a tie in low precision, and beside it in float64
_ROUGHLY = 1e-2
_LIKE = 64.0  # times as much as the forward, relatively, a backward may lose
_LOSES = 4.0  # times less than the forward, relatively, are the last bits of the numbers inside
_MOST = 0.1  # of the largest entry: so much at most
_WILD = 4.0  # times as far as the float64 gradient was seen to go
_UNDERFLOW = 1e3  # products of a few numbers underflow before their result does


def coarsest(layer: Layer) -> str:
    """Return the name of the coarsest dtype among the primals to differentiate."""
    return max((layer.primals[name].dtype for name in layer.wrt), key=eps_of).name


def compare_low(
    widened: Widened, low: Named, tallies: dict[str, Tally], rtol: float | None, *, allow_kinks: bool = True
) -> None:
    """Compare a low-precision gradient with the float64 one that was compared with differences; adds to the tallies.

    Parameters
    ----------
    widened : Widened
        At the point.
    low : dict of str to ndarray
        The gradient in the layer's own precision.
    tallies : dict of str to Tally
        Entries that are wrong in low precision only are put first, in place of what was found for them.
    rtol : float, optional
        Relative tolerance; by dtype if None.
    allow_kinks : bool
        Whether an entry on a tie is ok.

    Notes
    -----
    A right backward differs by its rounding, and cancellation can make that larger than any relative tolerance. It is
    measured by how much the difference changes when the point moves by last bits: that of an error stays. It is never
    taken to be more than the square root of the dtype's epsilon beside the largest entry of all gradients there, or
    than what the forward loses if that is more (an offset of 1e5 inside both), nor
    less than a few last bits of that or of the largest weighted output: terms of such size may have cancelled, as in
    ``1 - tanh(x) ** 2``. Nor less than a few times what the forward loses, where that is more than last bits. What
    underflows may be lost.

    Where a low-precision gradient is larger than any in float64, at all of these points, and another at each, it
    is what rounding leaves of zero: undecided. So is what is no farther off than the float64 gradient goes when the
    inputs change in their last bits: the function is to blame, and not its backward.

    So is what is right at ordinary values, where f in low precision does not change at all if an entry moves by its own
    size: ``log(cosh(x))`` at 1e-8 has lost its digits before anything else is computed.

    Where the two agree at most points a few last bits away, the point itself lies on a tie in low precision and beside
    it in float64: nothing is wrong.
    """
    beside: list[tuple[Named, Named]] | None = None
    ordinary: list[tuple[Named, Named]] | None = None
    high = real_parts(widened.gradient)
    largest, share = _largest(high), _largest_share(widened.own)
    lost_of_f = _off(widened)
    for name, tally in tallies.items():
        coarse, fine = parts(low[name]).astype(np.float64), high[name]
        # a directional derivative is a number of its own, and put into float64 arrays
        dtype = max(low[name].dtype, widened.own.layer.primals[name].dtype, key=eps_of)
        relative = rtol or default_rtol([dtype])
        limit = relative * np.maximum(np.abs(coarse), np.abs(fine))
        finite = np.isfinite(coarse) & np.isfinite(fine)
        if np.all(finite & (np.abs(coarse - fine) <= limit)):
            _limit(tally, 2 * limit)
            continue
        if beside is None:
            beside = _residuals_beside(widened)
            # at a perfect prediction all gradients vanish, and what they are sums of does not
            largest = max([largest, *(_largest(fine) for _, fine in beside)])
        eps, tiny = eps_of(dtype), float(np.finfo(dtype).tiny)
        # a point nearby at which the backward has left its domain says nothing
        inside = [off[name] for off, _ in beside if np.isfinite(off[name][finite]).all()]
        around = np.where(finite, np.stack([coarse - fine, *inside]), 0.0)
        changes, typical = _changes(around)
        measured = np.minimum(changes, largest * min(max(math.sqrt(eps), _LIKE * lost_of_f), _MOST))
        rounding = measured + _FEW * max(eps, lost_of_f / _LOSES) * max(largest, share) + _UNDERFLOW * tiny
        with np.errstate(invalid="ignore"):
            right = np.abs(around) <= limit + rounding
        tied = finite & ~right[0] & (np.sum(right[1:], axis=0) >= max(1.0, _MOSTLY * len(inside)))
        zero = finite & ~right[0] & ~tied & (np.abs(around[0]) <= changes) & (largest < typical)
        moves = np.stack([np.abs(there[name] - fine) for _, there in beside[1::2]])  # by last bits
        loose = finite & ~right[0] & ~tied & ~zero & (np.abs(around[0]) <= _WILD * np.max(moves, axis=0))
        # far off, within a bar that any wrong value would have met as well: it is more than the largest of the array
        size = np.maximum(np.abs(coarse), np.abs(fine))
        vague = right[0] & (np.abs(around[0]) > np.fmax(limit, MEANINGFUL * size))
        vague &= rounding > _largest({name: fine})
        lost = finite & ~right[0] & ~tied & ~zero & ~loose
        if lost.any():
            ordinary = _at_ordinary_values(widened) if ordinary is None else ordinary
            lost &= _agree(ordinary, name, relative)
            lost = _not_shown(widened, name, lost)
        failing = {c.index for c in tally.comparisons if c.verdict is Verdict.MISMATCH}
        tie = Verdict.KINK if allow_kinks else Verdict.INCONCLUSIVE
        found = []
        for where, verdict, reason in (
            (
                ~(right[0] | tied | zero | loose | lost) | ~finite,
                Verdict.MISMATCH,
                f"right in float64, wrong in {dtype}",
            ),
            (zero, Verdict.INCONCLUSIVE, f"another in {dtype} at each point nearby: what rounding leaves of zero"),
            (loose, Verdict.INCONCLUSIVE, f"in float64 too it changes as much with the inputs' last bits in {dtype}"),
            (
                vague,
                Verdict.INCONCLUSIVE,
                f"terms so large may cancel that an error as large would be rounding in {dtype}",
            ),
            (
                lost,
                Verdict.INCONCLUSIVE,
                f"f in {dtype} does not change with an entry so small, and it is right at ordinary values",
            ),
            (tied, tie, f"on a kink: a tie in {dtype} that is none in float64; a few last bits away the two agree"),
        ):
            bars = rounding + (np.abs(coarse - fine) if verdict is not Verdict.MISMATCH else 0.0)
            for place in [tuple(int(i) for i in place) for place in np.argwhere(where)][:MISMATCHES_KEPT]:
                if place not in failing:
                    bar = float(bars[place])
                    allowed = float(limit[place]) + bar
                    values = float(coarse[place]), float(fine[place])
                    found.append(Comparison(name, place, *values, bar, allowed, 0.0, verdict, reason, 2 * allowed))
        replaced = {c.index for c in found}
        tally.comparisons = [c for c in tally.comparisons if c.index not in replaced]
        _limit(tally, 2 * (limit + rounding))
        tally.comparisons = found + tally.comparisons


def _changes(around: Array) -> tuple[Array, float]:
    """Return how much differences of two backwards change from point to point, and how much they typically do.

    Without the first point, the given one, if there are others: an error at this very point is no rounding.
    """
    others = around[1:] if len(around) > 1 else around
    spread = np.max(np.abs(others - np.median(others, axis=0)), axis=0)
    typical = float(np.sqrt(np.mean(spread**2)))  # for entries that by chance did not change
    return (4 * spread + 4 * typical if len(around) > 1 else np.full(spread.shape, np.inf)), typical


def _limit(tally: Tally, limits: Array) -> None:
    """Let a tally say what the low precision would have let pass."""
    tally.comparisons = [_limited(c, limits) for c in tally.comparisons]
    if tally.limit:
        tally.limit = max(tally.limit, float(limits.max(initial=0.0)))


def _limited(comparison: Comparison, limits: Array) -> Comparison:
    """Return a comparison that says what the low precision would have let pass."""
    if not comparison.verdict.ok:
        return comparison
    limit = float(limits[comparison.index] if comparison.index is not None else limits.max(initial=0.0))
    return replace(comparison, limit=max(limit, comparison.limit))


def _largest(named: Named) -> float:
    return max(
        (float(np.max(np.abs(array), initial=0.0, where=np.isfinite(array))) for array in named.values()), default=0.0
    )


def _largest_share(own: Analytic) -> float:
    """Return the largest weighted output: terms of its size may cancel in a backward."""
    flatten = own.evaluator.flatten
    return float(np.max(np.abs(flatten(own.outputs) * flatten(own.cotangents)), initial=0.0))


def _at_ordinary_values(widened: Widened) -> list[tuple[Named, Named]]:
    """Return low-precision less float64 gradients, and the latter, at ordinary values."""
    evaluator = widened.own.evaluator
    found = []
    with evaluator.away() as at:
        for size, sign in product(SIZES, (1, -1)):  # what is least on one side of 0 is most on the other
            for key in evaluator.layer.wrt:
                evaluator.point[key][...] = sign * scaled(at[key], size)
            try:
                with np.errstate(all="ignore"):
                    found.append(widened.residuals())
            except BudgetSpent:
                raise
            except Exception:  # nobody asked for this point
                continue
    return found


def _agree(ordinary: list[tuple[Named, Named]], name: str, rtol: float) -> Any:
    """Tell of which entries both gradients are about the same at ordinary values, and not nothing at one of them."""
    right: Any = bool(ordinary)
    known: Any = False
    for off, high in ordinary:
        largest = _largest(high)
        wrong = np.abs(off[name]) > _ROUGHLY * np.abs(high[name]) + rtol * largest
        right = right & ~wrong
        known = known | (np.isfinite(off[name]) & (np.abs(high[name]) > _ROUGHLY * largest))
    return right & known


def _not_shown(widened: Widened, name: str, where: Array) -> Array:
    """Tell of which of some entries f in low precision shows nothing: it is the same where they move by their size."""
    own = widened.own
    evaluator = own.evaluator
    base, sizes = evaluator.flatten(own.outputs), natural(evaluator.point[name])
    found = np.zeros_like(where)
    with evaluator.away() as at:
        for place in [tuple(place) for place in np.argwhere(where)][:MISMATCHES_KEPT]:
            evaluator.point[name][place] = at[name][place] + sizes[place].astype(at[name].dtype)
            found[place] = np.array_equal(evaluator.outputs("an entry moved by its size", far=True), base)
            evaluator.point[name][place] = at[name][place]
    return found


def _off(widened: Widened) -> float:
    """Return how far the low-precision outputs are off, as a part of the largest."""
    low, high = (each.evaluator.flatten(each.outputs) for each in (widened.own, widened.wide))
    with np.errstate(all="ignore"):
        off = float(np.max(np.abs(low - high), initial=0.0) / np.max(np.abs(high), initial=0.0))
    return off if math.isfinite(off) else 0.0


def _residuals_beside(widened: Widened) -> list[tuple[Named, Named]]:
    """Return low-precision less float64 gradients, and the latter, at points some last bits away and farther."""
    rng = np.random.default_rng(0)
    evaluator = widened.own.evaluator
    found = []
    with evaluator.away() as at:
        for k in range(_REPEATS):
            for name in evaluator.layer.wrt:
                array = at[name]
                bits = rng.integers(1, _LAST_BITS, array.shape, endpoint=True) * rng.choice([-1, 1], array.shape)
                # what hardly changes, such as a batch of two normalised, rounds in the same way a few bits away
                share = eps_of(array.dtype) * bits if k % 2 else _FARTHER * signed(rng, array.shape)
                evaluator.point[name][...] = array * (1 + share)
            with np.errstate(all="ignore"):
                found.append(widened.residuals())
    return found
