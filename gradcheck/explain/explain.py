"""Which hypotheses are tried, in which order, and which of them are told? Cheap ones first, none that does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from gradcheck.evaluate import BudgetSpent, Evaluator
from gradcheck.explain.asif import elsewhere, turned
from gradcheck.explain.elementwise import (
    coarse,
    confused,
    confused_in_places,
    not_stopped,
    off_by,
    other_mask,
    passed_on,
)
from gradcheck.explain.evidence import Evidence, Guess
from gradcheck.explain.factors import factor, flat, two_factors, zero
from gradcheck.explain.measure import Measure
from gradcheck.explain.order import exchanged, permuted, rearranged
from gradcheck.explain.products import product_alone, products
from gradcheck.explain.pullbacks import homogeneity, independent, not_transposed, other_cotangent, slices
from gradcheck.explain.repeats import repeated, ties
from gradcheck.explain.shapes import misshapen
from gradcheck.explain.terms import along_both, along_slices, in_groups, off_along_slices, one_term
from gradcheck.layer import Named
from gradcheck.parts import as_double
from gradcheck.report import Explanation, Verdict
from gradcheck.tally import Tally

Hypothesis = Callable[[Evidence], Iterable[Guess]]

HYPOTHESES: tuple[Hypothesis, ...] = (
    zero,
    factor,
    homogeneity,
    exchanged,
    rearranged,
    ties,
    repeated,
    flat,
    two_factors,
    confused,
    products,
    not_stopped,
    other_mask,
    coarse,
    one_term,
    confused_in_places,
    off_by,
    permuted,
    not_transposed,
    passed_on,
    product_alone,
    other_cotangent,
    slices,
    turned,
    independent,
    elsewhere,
    along_slices,
    in_groups,
    off_along_slices,
    along_both,
)
"""Tried one after the other until one holds: special ones before general ones, and those that cost evaluations late."""

MOST = 600
"""Evaluations spent on explaining one report, at most."""
FEW = 6
"""The same where the check itself takes few: most that can be told of single entries is told without any."""
_SAMPLE = 24  # entries of a larger one that are differentiated for the purpose
_LOW = "right in float64, wrong in "  # how the comparison in low precision begins its reason
_ELSEWHERE = "at a point moved"  # how a comparison at another point ends its reason
_MEASURED = 300  # entries of a misshapen gradient's primal, of which each costs two evaluations


@dataclass(frozen=True)
class _Found:
    name: str
    text: str
    primals: tuple[str, ...]
    entries: int


def explain(
    evaluator: Evaluator,
    outputs: Named,
    cotangents: Named,
    gradient: Named,
    tallies: Mapping[str, Tally],
    pull: Callable[[Named], Named] | None,
    *,
    loss: bool,
    most: int = MOST,
) -> tuple[Explanation, ...]:
    """Say what the wrong entries look like.

    Parameters
    ----------
    evaluator : Evaluator
        At the point. What is evaluated counts there; where its budget ends, what was found by then is told.
    outputs, cotangents : dict of str to ndarray
        Of the pass that gave the gradient.
    gradient : dict of str to ndarray
        The analytic one, as real float64 numbers.
    tallies : dict of str to Tally
        The verdicts on its entries.
    pull : callable or None
        The analytic gradients for other cotangents; see `gradcheck.explain.measure.Measure`.
    loss : bool
        Whether the gradient takes no cotangent.
    most : int
        Evaluations that may be spent.

    Returns
    -------
    tuple of Explanation
        Best first, at most one for each primal; `Explanation.fit` is the part of the wrong entries it explains. None
        where nothing wrong is found, or nothing fits.
    """
    measure = Measure(evaluator, cotangents, pull)
    given, last = evaluator.budget, evaluator.forward_calls + most
    evaluator.budget = last if given is None else min(given, last)
    evidence: list[Evidence] = []
    found: list[_Found] = []
    with suppress(BudgetSpent):
        for name, tally in tallies.items():
            if any(c.verdict is Verdict.MISMATCH for c in tally.comparisons):
                evidence.append(_evidence(name, measure, outputs, {} if loss else cotangents, gradient, tally))
        both = {e.name: (e.analytic, e.numerical) for e in evidence}
        for e in evidence:
            e.others = both
            if e.wrong.any():
                found += _best(e)
    evaluator.budget = given
    total = sum(int(e.wrong.sum()) for e in evidence)
    return _told(found, total, several=len(gradient) > 1)


def explain_shapes(
    evaluator: Evaluator, outputs: Named, cotangents: Named, misshapen_ones: Named, *, loss: bool
) -> tuple[Explanation, ...]:
    """Say what gradients of the wrong shape look like.

    Parameters
    ----------
    evaluator, outputs, cotangents, loss
        As in `explain`.
    misshapen_ones : dict of str to ndarray
        The gradients as they came, by primal.

    Returns
    -------
    tuple of Explanation
    """
    measure = Measure(evaluator, cotangents, None)
    found: list[_Found] = []
    with suppress(BudgetSpent):
        for name, array in misshapen_ones.items():
            primal = evaluator.point[name]
            if not 0 < primal.size <= _MEASURED or array.dtype.kind != "f" or not np.isfinite(array).all():
                continue
            numerical = np.zeros(primal.shape)
            for index in np.ndindex(primal.shape):
                numerical[index] = _entry(measure, name, index)
            if not np.isfinite(numerical).all():
                continue
            bar = _bar(measure, outputs)
            wrong = np.ones(primal.shape, bool)
            own = {} if loss else cotangents
            e = Evidence(
                name,
                numerical,
                numerical,
                wrong,
                np.full(primal.shape, bar),
                dict(evaluator.given),
                outputs,
                own,
                measure,
            )
            best = next((guess for guess in misshapen(e, array.astype(np.float64)) if e.holds(guess)), None)
            if best is not None:
                found.append(_Found(best.name, best.text, (name,), primal.size))
    total = sum(evaluator.point[name].size for name in misshapen_ones)
    return _told(found, total, several=len(evaluator.point) > 1)


def _best(e: Evidence) -> Iterator[_Found]:
    """Yield what the first hypothesis that holds says."""
    low = {reason.removeprefix(_LOW) for reason in e.reasons if reason.startswith(_LOW)}
    if low and all(reason.startswith(_LOW) for reason in e.reasons):
        text = f"it is right in float64 and wrong in {low.pop()}: digits are lost on the way, or it overflows"
        yield _Found("precision", text, (e.name,), int(e.wrong.sum()))
        return
    with np.errstate(all="ignore"):
        for hypothesis in HYPOTHESES:
            for guess in hypothesis(e):
                if e.holds(guess):
                    yield _Found(guess.name, guess.text, (e.name,), int(e.wrong.sum()))
                    return


def _told(found: list[_Found], total: int, *, several: bool) -> tuple[Explanation, ...]:
    """Put what is said of several primals together, the one that explains most first."""
    merged: dict[tuple[str, str], _Found] = {}
    for one in found:
        before = merged.get((one.name, one.text))
        names, entries = (before.primals, before.entries) if before else ((), 0)
        merged[one.name, one.text] = _Found(one.name, one.text, (*names, *one.primals), entries + one.entries)
    ordered = sorted(merged.values(), key=lambda one: -one.entries)
    return tuple(
        Explanation(
            one.name, f"{_names(one.primals)}: {one.text}" if several else one.text, one.entries / max(total, 1)
        )
        for one in ordered
    )


def _names(names: tuple[str, ...]) -> str:
    if len(names) > 4:
        names = (*names[:3], f"{len(names) - 3} more")
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _evidence(
    name: str, measure: Measure, outputs: Named, cotangents: Named, gradient: Named, tally: Tally
) -> Evidence:
    """Put together what the judge found of one primal; of a large one, a few entries more."""
    analytic = np.asarray(gradient[name], np.float64)
    # where every entry was judged, those that agree need not all be listed
    undecided = sum(c.verdict is Verdict.INCONCLUSIVE for c in tally.comparisons)
    each = all(c.index is not None for c in tally.comparisons) and tally.judged + undecided >= analytic.size
    numerical = analytic.copy() if each else np.full(analytic.shape, np.nan)
    wrong = np.zeros(analytic.shape, bool)
    bars = np.full(analytic.shape, np.nan)
    reasons = []
    for c in tally.comparisons:
        if c.index is None:
            continue
        if c.verdict not in (Verdict.MATCH, Verdict.MISMATCH) or _ELSEWHERE in c.reason:
            numerical[c.index] = np.nan
            continue
        wrong[c.index] = c.verdict is Verdict.MISMATCH
        # what agrees is known better from the analytic side than from a first look
        numerical[c.index] = c.numerical if wrong[c.index] else analytic[c.index]
        if wrong[c.index]:
            bars[c.index] = c.error_bar
            reasons.append(c.reason)
    bar = float(np.nanmedian(bars)) if reasons else _bar(measure, outputs)
    unknown = np.argwhere(np.isnan(numerical) & np.isfinite(analytic))
    rare = len(unknown) > 0.5 * analytic.size
    typical = not rare or measure.affords(2 * _SAMPLE)
    if rare and typical:
        rng = np.random.default_rng(0)
        for place in unknown[rng.permutation(len(unknown))[:_SAMPLE]]:
            index = tuple(int(i) for i in place)
            value = _entry(measure, name, index)
            off = abs(value - analytic[index]) > 1e-5 * max(abs(value), abs(analytic[index])) + 10 * bar
            wrong[index] = off
            numerical[index] = value if off else analytic[index]
    bars[np.isnan(bars)] = bar
    given = measure.evaluator.given
    values = {key: as_double(array) for key, array in given.items() if array.dtype.kind in "fiub"}
    values.setdefault(name, as_double(measure.evaluator.point[name]))
    outputs, cotangents = ({key: as_double(a) for key, a in named.items()} for named in (outputs, cotangents))
    return Evidence(
        name,
        analytic,
        numerical,
        wrong,
        bars,
        values,
        outputs,
        cotangents,
        measure,
        reasons=tuple(reasons),
        typical=typical,
    )


def _entry(measure: Measure, name: str, index: tuple[int, ...]) -> float:
    """Return one entry of the numerical gradient by one central difference."""
    direction = np.zeros(measure.evaluator.point[name].shape)
    direction[index] = 1.0
    return float(measure.slope({name: direction}) @ measure.weights)


def _bar(measure: Measure, outputs: Named) -> float:
    """Return what rounding makes of a central difference, roughly."""
    size = float(np.abs(measure.evaluator.flatten(outputs)) @ np.abs(measure.weights))
    return 1e-10 * max(size, 1e-300)


__all__ = ["FEW", "HYPOTHESES", "MOST", "explain", "explain_shapes"]
