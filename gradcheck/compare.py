"""Do the analytic and the numerical gradient agree? In float64 where the layer computes in it, and else in its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from gradcheck.analytic import Analytic
from gradcheck.choose import choose
from gradcheck.complex_step import ComplexStep
from gradcheck.declared import Declared, WrongPatternError
from gradcheck.evaluate import BudgetSpent
from gradcheck.explain import FEW, MOST, explain
from gradcheck.full import full
from gradcheck.joint import judge_jointly
from gradcheck.judge import Judge
from gradcheck.layer import Named
from gradcheck.looks import Looks
from gradcheck.options import Options
from gradcheck.parts import real_parts
from gradcheck.precision import coarsest, compare_low
from gradcheck.project import SMALL, at_once, fast
from gradcheck.report import Report, Verdict
from gradcheck.summarise import summarise
from gradcheck.tally import Tally
from gradcheck.tolerance import default_rtol
from gradcheck.widened import Widened

_ROUNDS = 1e-3  # of a value: so much a backward may lose by low precision inside it; a tolerance may be wider


def compare(
    own: Analytic, result: Named, options: Options, rng: np.random.Generator, declared: Mapping[str, Declared]
) -> Report:
    """Compare the numbers of a layer whose derivative keeps its contract.

    Parameters
    ----------
    own : Analytic
        The layer's own, at the point.
    result : dict of str to ndarray
        What the derivative returned there.
    options : Options
        As given by the user.
    rng : numpy.random.Generator
        For directions.
    declared : mapping of str to Declared
        How entries of some primals share evaluations, by the user. Where f does not keep to that, the numbers are
        compared as if it had not been declared.
    """
    drawn = rng.bit_generator.state
    try:
        return _compared(own, result, options, rng, declared)
    except WrongPatternError as wrong:
        rng.bit_generator.state = drawn
        others = {name: each for name, each in declared.items() if name != wrong.name}
        report = compare(own, result, options, rng, others)
        return replace(report, notes=(str(wrong), *report.notes))


def _compared(
    own: Analytic, result: Named, options: Options, rng: np.random.Generator, declared: Mapping[str, Declared]
) -> Report:
    layer, evaluator = own.layer, own.evaluator
    mode, why = choose(layer, options, evaluator, evaluator.flatten(own.outputs), declared)
    notes = [why] if why else []
    widened = Widened.of(own)
    if widened is None:
        gradient = result if layer.mode == "vjp" else own.gradient()
        arrays = (
            *gradient.values(),
            *(layer.primals[name] for name in layer.wrt),
            *(own.outputs[name] for name in evaluator.names),
        )
        rtol = options.rtol or default_rtol([array.dtype for array in arrays])
        tallies = _tallies(own, gradient, options, mode, rtol, rng, notes, declared)
        report = summarise(layer, tallies, notes, mode=mode, ended=evaluator.ended)
        return _explained(report, own, gradient, tallies)
    wide = widened.wide
    rtol = options.rtol or default_rtol([])
    try:
        tallies = _tallies(wide, widened.gradient, options, mode, rtol, rng, notes, declared)
    finally:
        evaluator.take_calls(wide.evaluator)
    if options.rtol is None:
        rounds = min(_ROUNDS, default_rtol([array.dtype for array in layer.primals.values()]))
        _spare(tallies, rounds, coarsest(layer))
    low = result if layer.mode == "vjp" else own.gradient()
    try:
        compare_low(widened, low, tallies, options.rtol, allow_kinks=options.allow_kinks)
    except BudgetSpent:
        _undecided(tallies, f"{evaluator.ended} before the {coarsest(layer)} backward was compared")
    notes.append(f"differences taken in float64, the {coarsest(layer)} backward compared with the float64 one")
    report = summarise(layer, tallies, notes, mode=mode, ended=evaluator.ended)
    wide.evaluator.take_calls(evaluator)
    report = _explained(report, wide, widened.gradient, tallies)
    evaluator.take_calls(wide.evaluator)
    return report


def _tallies(
    analytic: Analytic,
    gradient: Named,
    options: Options,
    mode: Literal["full", "fast"],
    rtol: float,
    rng: np.random.Generator,
    notes: list[str],
    declared: Mapping[str, Declared],
) -> dict[str, Tally]:
    """Judge every primal; adds to the notes."""
    layer, point = analytic.layer, analytic.point(gradient, rng)
    complex_step = ComplexStep(point) if options.method == "complex-step" else None
    shuffled = options.budget is not None or options.time_limit is not None
    with Looks(layer, point, None if shuffled or complex_step else options.workers) as looks:
        judge = Judge(point, rtol, options.allow_kinks, complex_step, looks)
        settled = at_once(judge, layer.wrt) if mode == "fast" else {}
        tallies = {
            name: settled.get(name)
            or (fast(judge, name) if mode == "fast" else full(judge, name, declared.get(name), shuffled=shuffled))
            for name in layer.wrt
        }
        if mode == "fast" and judge.on_kinks:
            for name, tally in tallies.items():  # what shares a kink with an entry found there is legal or not with it
                if layer.primals[name].size <= SMALL and any(c.index is None for c in tally.comparisons):
                    tallies[name] = full(judge, name)
        for tally in tallies.values():
            judge.reconsider(tally)
    notes += looks.notes
    if complex_step:
        notes.append(complex_step.note())
    return _jointly(judge, tallies, notes)


def _jointly(judge: Judge, tallies: dict[str, Tally], notes: list[str]) -> dict[str, Tally]:
    """Judge the entries on kinks of all primals together; adds to the notes."""
    everything = [c for tally in tallies.values() for c in tally.comparisons]
    try:
        judged, left_out = judge_jointly(judge.point, judge.on_kinks, everything)
    except BudgetSpent:
        reason = f"{judge.point.evaluator.ended} before entries that share its kink were judged together with it"
        return _undecided(tallies, reason, {Verdict.KINK})
    if left_out:
        notes.append(f"{left_out:,} entries on kinks are too many to move together: each is legal by itself only")
    for name, tally in tallies.items():
        before = tally.undecided
        tally.comparisons = [c for c in judged if c.name == name]
        tally.judged -= tally.undecided - before
    return tallies


def _spare(tallies: dict[str, Tally], rtol: float, dtype: str) -> None:
    """Let what float64 accuses by less than the layer's own precision allows be INCONCLUSIVE.

    A backward may round to that precision inside, whatever it is given: what it keeps of a target, or of a residual.
    """
    for tally in tallies.values():
        for k, c in enumerate(tally.comparisons):
            off = c.verdict is Verdict.MISMATCH and c.error <= rtol * max(abs(c.analytic), abs(c.numerical))
            if off and c.index is not None:
                reason = (
                    f"off in float64, by less than the {rtol:.0e} that {dtype} allows: the backward may round inside"
                )
                tally.comparisons[k] = replace(c, verdict=Verdict.INCONCLUSIVE, reason=reason)
                tally.judged -= 1


def _undecided(
    tallies: dict[str, Tally], reason: str, of: Collection[Verdict] = frozenset(Verdict)
) -> dict[str, Tally]:
    """Let what is ok, of some verdicts, be INCONCLUSIVE for a reason."""
    for tally in tallies.values():
        undecided = [c.verdict.ok and c.verdict in of for c in tally.comparisons]
        tally.comparisons = [
            replace(c, verdict=Verdict.INCONCLUSIVE, reason=reason) if doubtful else c
            for c, doubtful in zip(tally.comparisons, undecided, strict=True)
        ]
        whole = any(c.index is None for c in tally.comparisons)
        tally.judged = 0 if whole else max(0, tally.judged - sum(undecided))
    return tallies


def _explained(report: Report, analytic: Analytic, gradient: Named, tallies: dict[str, Tally]) -> Report:
    """Say of a mismatch what it looks like."""
    if report.verdict is not Verdict.MISMATCH:
        return report
    layer = analytic.layer

    def pull(vectors: Named) -> Named:
        return real_parts(analytic.gradient(vectors))

    told = explain(
        analytic.evaluator,
        analytic.outputs,
        analytic.cotangents,
        real_parts(gradient),
        tallies,
        pull if layer.mode == "vjp" else None,
        loss=not layer.cotangent,
        most=FEW if report.mode == "fast" else MOST,
    )
    return replace(report, explanations=told)
