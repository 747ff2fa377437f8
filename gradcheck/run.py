"""How does a check run? From an adapted layer, by way of contract and comparisons, to a report."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from gradcheck.blocks import largest
from gradcheck.choose import FULL_UP_TO, choose
from gradcheck.complex_step import ComplexStep
from gradcheck.contract import Findings, examine, examine_multiple
from gradcheck.errors import ArgumentError
from gradcheck.evaluate import BudgetSpent, Evaluator, Pass, Vector, left_domain
from gradcheck.explain import FEW, MOST, explain, explain_shapes
from gradcheck.full import full
from gradcheck.joint import judge_jointly
from gradcheck.judge import Judge
from gradcheck.layer import Array, BrokenContract, Layer, Named
from gradcheck.looks import Looks
from gradcheck.options import Options
from gradcheck.parts import (
    as_double,
    complex_where,
    eps_of,
    from_parts,
    is_double,
    is_inexact,
    number,
    parts,
    real_parts,
)
from gradcheck.point import Point
from gradcheck.precision import coarsest, compare_low, widened
from gradcheck.probe import signed
from gradcheck.project import SMALL, at_once, fast
from gradcheck.report import Explanation, Report, Verdict, Violation
from gradcheck.summarise import summarise
from gradcheck.tally import Tally
from gradcheck.tolerance import default_rtol

_LOOKED_INTO = 16  # entries of a misshapen gradient that are compared, to say more about it


class _NotFiniteError(Exception):
    """The outputs at the given inputs are not finite; carries the place."""


Compare = Callable[[Evaluator, Named, Named], "Report | None"]


def run(layer: Layer, options: Options, *, compare: Compare | None = None) -> Report:
    """Check one adapted layer.

    Parameters
    ----------
    layer : Layer
        From an adapter.
    options : Options
        As given by the user.
    compare : callable, optional
        ``compare(evaluator, cotangents, gradient)`` is asked first, once the contract was kept; where it returns None
        the numbers are compared here.

    Returns
    -------
    Report
    """
    started = time.perf_counter()
    evaluator = Evaluator(layer, layer.primals, options.budget, options.deadline)
    try:
        report = _examine_and_compare(layer, options, evaluator, compare)
    except BudgetSpent:
        note = f"budget={options.budget} was spent before the check was done; leave it out, or give it some hundreds"
        if options.budget is None or evaluator.forward_calls < options.budget:
            note = f"time_limit={options.time_limit} was over before the check was done; leave it out, or give it more"
        report = Report(layer.name, Verdict.INCONCLUSIVE, notes=(note,))
    written = layer.reproduce
    if written.endswith(")"):
        written = f"{written[:-1]}, {options.written()})"
    return replace(
        report,
        notes=(*layer.notes, *report.notes),
        forward_calls=evaluator.forward_calls,
        backward_calls=evaluator.backward_calls,
        seconds=time.perf_counter() - started,
        seed=int(options.seed),
        reproduce=written,
    )


def _examine_and_compare(layer: Layer, options: Options, evaluator: Evaluator, compare: Compare | None) -> Report:
    rng = np.random.default_rng(options.seed)
    cotangents: Named = {}
    tangents: Named = {}

    def vectors(outputs: Named) -> Named:
        evaluator.remember(outputs)
        _require_outputs(layer, evaluator, outputs)
        cotangents.update(_cotangents(layer, outputs, rng))
        if layer.mode == "vjp":
            return cotangents
        tangents.update({name: _signed_like(rng, layer.primals[name]) for name in layer.wrt})
        return tangents

    for name in layer.wrt:
        bad = _not_finite(layer.primals[name])
        if bad is not None:
            where = f"[{', '.join(map(str, bad))}]" if bad else ""
            note = f"{name}{where} is {number(layer.primals[name][bad])}: there is no derivative by it"
            remedy = f"leave {name} out with wrt=, or make the mask that it stands for an input of its own"
            return Report(layer.name, Verdict.INCONCLUSIVE, notes=(f"{note}; {remedy}",))
    try:
        first = evaluator.run(vectors)
        like = {name: layer.primals[name] for name in layer.wrt}
        expected = like if layer.mode == "vjp" else {name: first.outputs[name] for name in evaluator.names}
        given = cotangents if layer.mode == "vjp" else tangents
        found = examine(evaluator, given, first, expected, thorough=options.contract)
        if layer.mode == "jvp" and options.contract and not found.violations:
            examine_multiple(evaluator, tangents, expected, found)
    except _NotFiniteError as place:
        note = f"{place}: nothing can be compared; give inputs at which the output is finite"
        return Report(layer.name, Verdict.INCONCLUSIVE, notes=(note,))
    except BrokenContract as broken:
        violation = Violation(broken.text, broken.kind)
        return Report(layer.name, Verdict.CONTRACT, violations=(violation,))
    told: tuple[Explanation, ...] = ()
    if found.violations and found.misshapen and layer.mode == "vjp":
        _look_into_shapes(layer, evaluator, first, cotangents, found, rng)
        told = explain_shapes(evaluator, first.outputs, cotangents, found.misshapen, loss=not layer.cotangent)
    if found.violations:
        violations, notes = tuple(found.violations), tuple(dict.fromkeys(found.notes))
        return Report(layer.name, Verdict.CONTRACT, violations=violations, notes=notes, explanations=told)
    report = compare(evaluator, cotangents, found.result) if compare else None
    if report is None:
        report = _compare(layer, options, evaluator, first, cotangents, found.result, rng)
    return replace(report, notes=tuple(dict.fromkeys((*found.notes, *report.notes))))


def _require_outputs(layer: Layer, evaluator: Evaluator, outputs: Named) -> None:
    """Refuse outputs that cannot be differentiated, and say where they are not finite."""
    if not evaluator.names:
        listing = ", ".join(f"{name} ({array.dtype})" for name, array in outputs.items()) or "nothing"
        raise ArgumentError(
            f"{layer.name}: the forward returned no floating-point output but {listing}; return floats to differentiate"
        )
    loss = next(iter(outputs.values()))
    if not layer.cotangent and loss.dtype.kind == "c":
        raise ArgumentError(f"{layer.name}: the loss is complex ({loss.dtype}); a loss is real: return its real part")
    if not layer.cotangent and (len(outputs) > 1 or next(iter(outputs.values())).size != 1):
        shapes = ", ".join(str(array.shape) for array in outputs.values())
        raise ArgumentError(f"{layer.name}: the loss returned shape {shapes}; expected a scalar: sum it or average it")
    for name in evaluator.names:
        bad = _not_finite(outputs[name])
        if bad is not None:
            entry = f"{name}[{', '.join(map(str, bad))}]" if bad else name
            raise _NotFiniteError(f"{entry} is {number(outputs[name][bad])} at the given inputs")


def _not_finite(array: Array) -> tuple[int, ...] | None:
    """Return the first entry that is not finite; None if all are."""
    if math.isfinite(largest(parts(array))):
        return None
    return tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])


def _signed_like(rng: np.random.Generator, array: Array) -> Array:
    """Draw signed random numbers in an array's shape and dtype; zeros for what has no derivative."""
    if not is_inexact(array):
        return np.zeros(array.shape)
    return from_parts(array, signed(rng, parts(array).shape))


def _cotangents(layer: Layer, outputs: Named, rng: np.random.Generator) -> Named:
    if layer.weights is not None:
        return {name: array.copy() for name, array in layer.weights.items()}
    if not layer.cotangent:
        return {name: np.ones(array.shape, array.dtype) for name, array in outputs.items()}
    return {name: _signed_like(rng, array) for name, array in outputs.items()}


def _look_into_shapes(
    layer: Layer, evaluator: Evaluator, first: Pass, cotangents: Named, found: Findings, rng: np.random.Generator
) -> None:
    """Say of gradients that only need a reshape whether their values are right: the shape may be the least of it."""
    fitting = {
        name: array.reshape(layer.primals[name].shape)
        for name, array in found.misshapen.items()
        if array.size == layer.primals[name].size
        and 0 < array.size <= FULL_UP_TO
        and not (array.ndim > 1 and array.shape == layer.primals[name].shape[::-1])
    }
    for name, array in fitting.items():
        gradient = parts(as_double(complex_where(layer.primals[name], array)))
        point = Point(
            evaluator,
            evaluator.flatten(first.outputs),
            _output_eps(evaluator, first.outputs),
            evaluator.flatten(cotangents),
            {name: gradient},
            lambda jitter=False, name=name, gradient=gradient: {name: gradient},
            rng,
        )
        entries = [(name, index) for index in np.ndindex(gradient.shape)][:_LOOKED_INTO]
        rtol = default_rtol([found.misshapen[name].dtype, layer.primals[name].dtype])
        verdicts = {c.verdict for c in Judge(point, rtol, allow_kinks=True).entries(entries).comparisons}
        if Verdict.MISMATCH in verdicts:
            text = "; even reshaped its values are wrong: is the sum over the wrong axis?"
        elif verdicts and Verdict.worst(verdicts).ok:
            text = "; reshaped, its values are right"
        else:
            continue
        found.violations = [
            Violation(v + text, v.kind, v.name) if (v.kind, v.name) == ("shape", name) else v for v in found.violations
        ]


def _compare(
    layer: Layer,
    options: Options,
    evaluator: Evaluator,
    first: Pass,
    cotangents: Named,
    result: Named,
    rng: np.random.Generator,
) -> Report:
    """Compare the numbers: the layer's own, or its float64 twin's first where it is of lower precision."""
    notes: list[str] = []
    evaluator.remember(first.outputs)
    mode, why = choose(layer, options, evaluator, evaluator.flatten(first.outputs))
    notes += [why] if why else []
    wide = _Wide.of(layer, evaluator, first, cotangents)
    if wide is None:
        gradient = result if layer.mode == "vjp" else _gradient(layer, evaluator, cotangents)
        dtypes = [array.dtype for array in gradient.values()] + [layer.primals[name].dtype for name in layer.wrt]
        dtypes += [first.outputs[name].dtype for name in evaluator.names]
        rtol = options.rtol or default_rtol(dtypes)
        tallies = _tallies(layer, options, evaluator, first, cotangents, gradient, mode, rtol, rng, notes)
        report = summarise(layer, tallies, notes, mode=mode, ended=evaluator.ended)
        return _explained(report, layer, evaluator, first, cotangents, gradient, tallies)
    rtol = options.rtol or default_rtol([])
    tallies = _tallies(
        layer, options, wide.evaluator, wide.first, wide.cotangents, wide.gradient, mode, rtol, rng, notes
    )
    evaluator.take_calls(wide.evaluator)
    low = result if layer.mode == "vjp" else _gradient(layer, evaluator, cotangents)

    def residuals() -> tuple[Named, Named]:
        coarse = _again(layer, evaluator, cotangents)
        fine = wide.beside(layer, evaluator)
        return {name: array - fine[name] for name, array in coarse.items()}, fine

    try:
        compare_low(
            layer,
            evaluator,
            residuals,
            low,
            real_parts(wide.gradient),
            tallies,
            options.rtol,
            _largest_share(evaluator, first.outputs, cotangents),
            allow_kinks=options.allow_kinks,
        )
    except BudgetSpent:
        notes.append(f"{evaluator.ended} before the {coarsest(layer)} backward was compared")
    notes.append(f"differences taken in float64, the {coarsest(layer)} backward compared with the float64 one")
    report = summarise(layer, tallies, notes, mode=mode, ended=evaluator.ended)
    wide.evaluator.take_calls(evaluator)
    report = _explained(report, layer, wide.evaluator, wide.first, wide.cotangents, wide.gradient, tallies)
    evaluator.take_calls(wide.evaluator)
    return report


def _explained(
    report: Report,
    layer: Layer,
    evaluator: Evaluator,
    first: Pass,
    cotangents: Named,
    gradient: Named,
    tallies: dict[str, Tally],
) -> Report:
    """Say of a mismatch what it looks like."""
    if report.verdict is not Verdict.MISMATCH:
        return report

    def pull(vectors: Named) -> Named:
        return real_parts(_gradient(layer, evaluator, vectors))

    other_cotangents = pull if layer.mode == "vjp" else None
    real, loss = real_parts(gradient), not layer.cotangent
    most = FEW if report.mode == "fast" else MOST
    told = explain(evaluator, first.outputs, cotangents, real, tallies, other_cotangents, loss=loss, most=most)
    return replace(report, explanations=told)


@dataclass(frozen=True)
class _Wide:
    """The same layer at the same point in float64."""

    evaluator: Evaluator
    first: Pass
    cotangents: Named
    gradient: Named

    @classmethod
    def of(cls, layer: Layer, evaluator: Evaluator, first: Pass, cotangents: Named) -> _Wide | None:
        """Return it for a layer of lower precision that also computes in float64, forward and backward; else None."""
        double = widened(layer, evaluator)
        if double is None:
            return None
        wide = {name: as_double(array) for name, array in cotangents.items()}
        try:
            done = double.run()
            gradient = _gradient(layer, double, wide)
        except Exception:  # whatever it raises on float64, the user did not ask it for float64
            return None
        finally:
            evaluator.take_calls(double)
        outputs = [done.outputs[name] for name in evaluator.names]
        if all(is_double(a) and np.isfinite(a).all() for a in outputs) and all(map(is_double, gradient.values())):
            return cls(double, done, wide, gradient)
        return None

    def beside(self, layer: Layer, evaluator: Evaluator) -> Named:
        """Return the gradient in float64 where another evaluator's point has moved to."""
        self.evaluator.take_calls(evaluator)
        try:
            for name in layer.wrt:
                self.evaluator.point[name][...] = evaluator.point[name]
            return _again(layer, self.evaluator, self.cotangents)
        finally:
            evaluator.take_calls(self.evaluator)


def _largest_share(evaluator: Evaluator, outputs: Named, cotangents: Named) -> float:
    """Return the largest weighted output: terms of its size may cancel in a backward."""
    evaluator.remember(outputs)
    return float(np.max(np.abs(evaluator.flatten(outputs) * evaluator.flatten(cotangents)), initial=0.0))


def _again(layer: Layer, evaluator: Evaluator, cotangents: Named) -> Named:
    """Return the analytic gradient at the evaluator's moved point, as real numbers; NaN where it left its domain."""
    try:
        return real_parts(_gradient(layer, evaluator, cotangents, moved="the inputs moved a little"))
    except Exception as error:
        if not left_domain(error):
            raise
        return {name: np.full(evaluator.point[name].shape, np.nan) for name in layer.wrt}


def _gradient(layer: Layer, evaluator: Evaluator, cotangents: Named, moved: str = "") -> Named:
    """Return the analytic gradient at the evaluator's point."""
    if layer.mode == "vjp":
        result = evaluator.run(cotangents, moved=moved).result or {}
        # copies: the user's code may use its arrays again
        return {name: np.array(complex_where(layer.primals[name], np.asarray(result[name]))) for name in layer.wrt}
    weights = evaluator.flatten(cotangents)
    gradient = {}
    for name in layer.wrt:
        columns = np.zeros(evaluator.point[name].shape)
        for index in np.ndindex(columns.shape):
            tangents = {key: np.zeros_like(evaluator.given[key]) for key in layer.wrt}
            parts(tangents[name])[index] = 1
            pushed = evaluator.run(tangents, moved=moved).result or {}
            columns[index] = weights @ evaluator.flatten({key: np.asarray(pushed[key]) for key in evaluator.names})
        gradient[name] = from_parts(as_double(evaluator.given[name]), columns)
    return gradient


def _tallies(
    layer: Layer,
    options: Options,
    evaluator: Evaluator,
    first: Pass,
    cotangents: Named,
    gradient: Named,
    mode: str,
    rtol: float,
    rng: np.random.Generator,
    notes: list[str],
) -> dict[str, Tally]:
    """Judge every primal; adds to the notes."""
    evaluator.remember(first.outputs)

    def again(jitter: bool = False) -> Named:
        vectors = cotangents
        if jitter and layer.mode == "vjp" and layer.cotangent:
            vectors = {name: np.asarray(array * _last_bits(rng, array)) for name, array in cotangents.items()}
        return _again(layer, evaluator, vectors)

    point = Point(
        evaluator,
        evaluator.flatten(first.outputs),
        _output_eps(evaluator, first.outputs),
        evaluator.flatten(cotangents),
        real_parts(gradient, copy=False),
        again,
        rng,
    )
    complex_step = ComplexStep(point) if options.method == "complex-step" else None
    shuffled = options.budget is not None or options.time_limit is not None
    with Looks(layer, point, None if shuffled or complex_step else options.workers) as looks:
        judge = Judge(point, rtol, options.allow_kinks, complex_step, looks)
        settled = at_once(judge, layer.wrt) if mode == "fast" else {}
        tallies = {
            name: settled.get(name) or (fast(judge, name) if mode == "fast" else full(judge, name, shuffled=shuffled))
            for name in layer.wrt
        }
        if mode == "fast" and judge.on_kinks:
            for name, tally in tallies.items():  # what shares a kink with an entry found there is legal or not with it
                if layer.primals[name].size <= SMALL and any(c.index is None for c in tally.comparisons):
                    tallies[name] = full(judge, name)
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
        return tallies
    if left_out:
        notes.append(f"{left_out:,} entries on kinks are too many to move together: each is legal by itself only")
    for name, tally in tallies.items():
        tally.comparisons = [c for c in judged if c.name == name]
    return tallies


def _last_bits(rng: np.random.Generator, array: Array) -> Array:
    """Return factors that change an array's numbers in their last bits."""
    real = parts(array).dtype
    return np.asarray(1 + eps_of(array.dtype) * rng.choice([-1.0, 1.0], array.shape)).astype(real)


def _output_eps(evaluator: Evaluator, outputs: Named) -> Vector:
    each = [np.broadcast_to(eps_of(outputs[name].dtype), parts(outputs[name]).size) for name in evaluator.names]
    return each[0] if len(each) == 1 else np.concatenate(each)
