"""How does a check run? From an adapted layer, by way of contract and comparisons, to a report."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gradcheck.analytic import Analytic
from gradcheck.blocks import largest
from gradcheck.compare import compare
from gradcheck.contract import examine, examine_multiple
from gradcheck.declared import Declared, declare
from gradcheck.errors import ArgumentError
from gradcheck.evaluate import BudgetSpent, Evaluator
from gradcheck.explain import explain_shapes
from gradcheck.layer import Array, BrokenContract, Layer, Named
from gradcheck.misshapen import look_into
from gradcheck.options import Options
from gradcheck.parts import from_parts, is_inexact, number, parts
from gradcheck.probe import signed
from gradcheck.report import Explanation, Report, Verdict, Violation


class _NotFiniteError(Exception):
    """The outputs at the given inputs are not finite; carries the place."""


Instead = Callable[[Evaluator, Named, Named], "Report | None"]


def run(layer: Layer, options: Options, *, instead: Instead | None = None) -> Report:
    """Check one adapted layer.

    Parameters
    ----------
    layer : Layer
        From an adapter.
    options : Options
        As given by the user.
    instead : callable, optional
        ``instead(evaluator, cotangents, gradient)`` is asked first, once the contract was kept; where it returns None
        the numbers are compared as they always are.

    Returns
    -------
    Report
    """
    started = time.perf_counter()
    evaluator = Evaluator(layer, layer.primals, options.budget, options.deadline)
    try:
        report = _examine_and_compare(layer, options, evaluator, instead)
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


def _examine_and_compare(layer: Layer, options: Options, evaluator: Evaluator, instead: Instead | None) -> Report:
    rng = np.random.default_rng(options.seed)
    cotangents: Named = {}
    tangents: Named = {}
    declared: dict[str, Declared] = {}

    def vectors(outputs: Named) -> Named:
        evaluator.remember(outputs)
        _require_outputs(layer, evaluator, outputs)
        declared.update(declare(options.pattern, layer, [outputs[name] for name in evaluator.names]))
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
    own = Analytic(layer, evaluator, first.outputs, cotangents)
    told: tuple[Explanation, ...] = ()
    if found.violations and found.misshapen and layer.mode == "vjp":
        look_into(own, found, rng)
        told = explain_shapes(evaluator, first.outputs, cotangents, found.misshapen, loss=not layer.cotangent)
    if found.violations:
        violations, notes = tuple(found.violations), tuple(dict.fromkeys(found.notes))
        return Report(layer.name, Verdict.CONTRACT, violations=violations, notes=notes, explanations=told)
    report = instead(evaluator, cotangents, found.result) if instead else None
    if report is None:
        report = compare(own, found.result, options, rng, declared)
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
