"""Is a float32 or float16 backward right? Differences are taken in float64, and the two backwards compared."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gradcheck.evaluate import Evaluator
from gradcheck.judge import Tally
from gradcheck.layer import Array, Layer, Named
from gradcheck.parts import as_double, eps_of, is_inexact, parts
from gradcheck.report import Comparison, Verdict
from gradcheck.summarise import MISMATCHES_KEPT
from gradcheck.tolerance import default_rtol

_DOUBLE = eps_of(np.float64)
_REPEATS = 4
_UNDERFLOW = 1e3  # products of a few numbers underflow before their result does


def coarsest(layer: Layer) -> str:
    """Return the name of the coarsest dtype among the primals to differentiate."""
    return max((layer.primals[name].dtype for name in layer.wrt), key=eps_of).name


def widened(layer: Layer, evaluator: Evaluator) -> Evaluator | None:
    """Return an evaluator at the same point in float64, None for a layer that is float64 already.

    It goes on with the counts and the budget of the given one.
    """
    if all(eps_of(array.dtype) <= _DOUBLE for array in layer.primals.values() if is_inexact(array)):
        return None
    double = Evaluator(layer, {name: as_double(array) for name, array in layer.primals.items()}, evaluator.budget)
    double.take_calls(evaluator)
    return double


def compare_low(
    layer: Layer,
    evaluator: Evaluator,
    again: Callable[[], Named],
    low: Named,
    high: Named,
    tallies: dict[str, Tally],
    rtol: float | None,
    share: float,
) -> None:
    """Compare a low-precision gradient with the float64 one that was compared with differences; adds to the tallies.

    Parameters
    ----------
    layer : Layer
        In its own precision.
    evaluator : Evaluator
        At the point, in the layer's own precision.
    again : callable
        ``again()`` returns the low-precision gradient at the evaluator's moved point, as real float64 numbers.
    low, high : dict of str to ndarray
        The two gradients; `high` as the real numbers that it is made of.
    tallies : dict of str to Tally
        Entries that are wrong in low precision only are put first, in place of what was found for them.
    rtol : float, optional
        Relative tolerance; by dtype if None.
    share : float
        The largest weighted output.

    Notes
    -----
    A right backward differs by its rounding, and cancellation can make that larger than any relative tolerance. It is
    measured by how the gradient changes when the point moves by last bits, and never taken to be more than the square
    root of the dtype's epsilon beside the largest entry of all gradients, nor less than a few last bits of that or
    of the largest weighted output: terms of such size may have cancelled, as in ``1 - tanh(x) ** 2``. What underflows
    may be lost.
    """
    spread: Named | None = None
    largest = max((float(np.abs(array).max(initial=0.0)) for array in high.values()), default=0.0)
    for name, tally in tallies.items():
        coarse, fine = parts(low[name]).astype(np.float64), high[name]
        relative = rtol or default_rtol([low[name].dtype, layer.primals[name].dtype])
        limit = relative * np.maximum(np.abs(coarse), np.abs(fine))
        finite = np.isfinite(coarse) & np.isfinite(fine)
        if np.all(finite & (np.abs(coarse - fine) <= limit)):
            tally.comparisons = [_limited(c, 2 * limit) for c in tally.comparisons]
            continue
        if spread is None:
            spread = _spread(evaluator, again, low)
        eps = eps_of(low[name].dtype)
        tiny = float(np.finfo(low[name].dtype).tiny)
        typical = float(np.sqrt(np.mean(spread[name] ** 2)))  # for entries that by chance did not move
        measured = np.minimum(8 * spread[name] + 4 * typical, math.sqrt(eps) * largest)
        rounding = measured + 4 * eps * max(largest, share) + _UNDERFLOW * tiny
        wrong = ~(finite & (np.abs(coarse - fine) <= limit + rounding))
        failing = {c.index for c in tally.comparisons if c.verdict is Verdict.MISMATCH}
        places = [tuple(int(i) for i in place) for place in np.argwhere(wrong)]
        found = [
            Comparison(
                name,
                place,
                float(coarse[place]),
                float(fine[place]),
                float(rounding[place]),
                float(limit[place] + rounding[place]),
                0.0,
                Verdict.MISMATCH,
                f"right in float64, wrong in {low[name].dtype}",
            )
            for place in places[:MISMATCHES_KEPT]
            if place not in failing
        ]
        replaced = {c.index for c in found}
        others = (c for c in tally.comparisons if c.index not in replaced)
        tally.comparisons = found + [_limited(c, 2 * (limit + rounding)) for c in others]


def _limited(comparison: Comparison, limits: Array) -> Comparison:
    """Return a comparison that says what the low precision would have let pass."""
    if not comparison.verdict.ok:
        return comparison
    limit = float(limits[comparison.index] if comparison.index is not None else limits.max(initial=0.0))
    return replace(comparison, limit=max(limit, comparison.limit))


def _spread(evaluator: Evaluator, again: Callable[[], Named], low: Named) -> Named:
    """Measure the rounding of a low-precision backward by its change under last-bit changes of the point."""
    rng = np.random.default_rng(0)
    saved = {name: evaluator.point[name].copy() for name in low}  # constants stay where they are
    spread = {name: np.zeros(parts(array).shape) for name, array in low.items()}
    try:
        for _ in range(_REPEATS):
            for name, array in saved.items():
                if is_inexact(array):
                    eps = eps_of(array.dtype)
                    evaluator.point[name][...] = array * (1 + eps * rng.choice([-1, 1], array.shape))
            with np.errstate(all="ignore"):
                moved = again()
            for name, array in moved.items():
                spread[name] = np.fmax(spread[name], np.abs(array - parts(low[name]).astype(np.float64)))
    finally:
        for name, array in saved.items():
            evaluator.point[name][...] = array
    return spread
