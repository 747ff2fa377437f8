"""Is a gradient right around its point too? Is a Hessian-vector product its derivative? One report of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from gradcheck.adapters.mappings import as_pushforward, gradient_name
from gradcheck.errors import ArgumentError
from gradcheck.layer import Derivative, Layer, Named
from gradcheck.options import Options
from gradcheck.parts import is_inexact, parts
from gradcheck.probe import natural, signed
from gradcheck.report import Report, Verdict, Violation
from gradcheck.report.merge import merge
from gradcheck.run import run

_STEP = 1e-2  # of an entry's natural size: far beyond rounding, near enough for the loss to be much the same
_KEPT = 1000  # comparisons, as in a single report


def run_second_order(gradient: Layer, product: Layer | None, options: Options) -> Report:
    """Check a gradient at its point and on both sides of it, and a Hessian-vector product at the point.

    Parameters
    ----------
    gradient : Layer
        From `gradcheck.adapters.mappings.adapt_mapping`.
    product : Layer or None
        From `gradcheck.adapters.mappings.adapt_hvp`.
    options : Options
        As given by the user; a budget is for all of it.

    Returns
    -------
    Report
        Of reports: the gradient's own; those at the two points beside it, whose comparisons are named ``"nearby W"``;
        the product's, whose are named ``"H v of W"``.
    """
    at_point = run(gradient, options)
    reports, notes = [at_point], []
    spent = at_point.forward_calls
    if at_point.verdict in (Verdict.CONTRACT, Verdict.MISMATCH):
        notes.append("the second order was not looked at: mend the gradient first")
    else:
        for sign, side in ((1.0, "forth"), (-1.0, "back")):
            done, outside = _beside(gradient, sign, side, options, at_point, spent)
            spent += done.forward_calls
            if outside:
                notes.append(f"not checked a step {side}: {outside}")
            else:
                reports.append(_nearby(done, at_point))
        if len(reports) == 1:
            reports.append(Report(f"{gradient.name}, a step away", Verdict.INCONCLUSIVE, notes=tuple(notes)))
        verdict = Verdict.worst(report.verdict for report in reports)
        if product is not None and verdict in (Verdict.CONTRACT, Verdict.MISMATCH):
            # What is not the derivative of a wrong gradient may be that of the right one.
            notes.append(f"{product.name} was not checked: mend the gradient first, whose derivative it is to be")
        elif product is not None:
            # The gradient of a loss has a symmetric Jacobian, for which one pullback gives every entry.
            layer = product if verdict.ok else as_pushforward(product)
            done = _run(layer, options, at_point, spent)
            spent += done.forward_calls
            reports.append(_of_product(done, product.wrt))
    rows = sorted(
        (row for report in reports for row in report.comparisons), key=lambda row: (-row.verdict.severity, -row.excess)
    )
    whole = merge(gradient.name, reports, notes=notes)
    return replace(whole, comparisons=tuple(rows[:_KEPT]), forward_calls=spent, reproduce=at_point.reproduce)


def _run(layer: Layer, options: Options, at_point: Report, spent: int) -> Report:
    """Check a layer with what is left of the budget."""
    if options.budget is None:
        return run(layer, options)
    left = options.budget - spent
    if left < 1:
        note = f"budget={options.budget} was spent before this was looked at; leave it out, or give it some hundreds"
        nothing = Report(layer.name, Verdict.INCONCLUSIVE, notes=(note,), seed=at_point.seed)
        return replace(nothing, reproduce=at_point.reproduce)
    report = run(layer, replace(options, budget=left))
    # The user gave one budget, for all of it: that is the one to quote.
    notes = [note.replace(f"budget={left} was spent", f"budget={options.budget} was spent") for note in report.notes]
    return replace(report, notes=tuple(notes), reproduce=at_point.reproduce)


@dataclass(eq=False)
class _Watched:
    """A loss at a point that nobody asked for: what is needed to tell whether that is in its domain."""

    call: Callable[[Named], tuple[Named, Derivative]]
    calls: int = 0
    finite: bool | None = None  # at the point itself, the first that it is called at
    raised: Exception | None = None

    def __call__(self, primals: Named) -> tuple[Named, Derivative]:
        self.calls += 1
        try:
            outputs, derivative = self.call(primals)
        except Exception as error:
            self.raised = error
            raise
        if self.finite is None:
            self.finite = all(bool(np.isfinite(array).all()) for array in outputs.values() if is_inexact(array))
        return outputs, derivative


def _beside(
    gradient: Layer, sign: float, side: str, options: Options, at_point: Report, spent: int
) -> tuple[Report, str]:
    """Check the gradient a step beside its point; with it, why that is outside the domain of the loss, if it is."""
    rng = np.random.default_rng([options.seed, 2])
    moved = {key: array.copy(order="K") for key, array in gradient.primals.items()}
    for key in gradient.wrt:
        numbers = parts(moved[key])
        numbers[...] = numbers + sign * _STEP * signed(rng, numbers.shape) * natural(numbers)
    loss = _Watched(gradient.call)
    name = f"{gradient.name}, a step {side}"
    try:
        with np.errstate(all="ignore"):
            beside = replace(gradient, call=loss, primals=moved, remake=gradient.moved_to(moved))
            report = _run(beside, options, at_point, spent)
    except ArgumentError as error:  # what the loss returns there cannot be differentiated
        outside = str(error)
    except Exception as error:
        if error is not loss.raised:
            _add_place(error, side)
            raise
        outside = f"the loss raised {type(error).__name__}: {error}".removesuffix(": ")
    else:
        return replace(report, name=name), "the loss has no finite value there" if loss.finite is False else ""
    return Report(name, Verdict.INCONCLUSIVE, notes=(outside,), forward_calls=loss.calls), outside


def _add_place(error: Exception, side: str) -> None:
    """Say of an exception of the gradient's own at which point it was raised: not the one that the user gave."""
    notes = getattr(error, "__notes__", [])
    error.__notes__ = [note.replace("with the given inputs", "with other inputs than the given ones") for note in notes]
    error.add_note(
        f"gradcheck: at a point a step {side} of the given one, where order=2 checks too, and where the loss is finite"
    )


def _nearby(report: Report, at_point: Report) -> Report:
    """Name the comparisons of a point beside, and say so where they are wrong though those at the point are right."""
    right = {line.name for line in at_point.summaries if line.verdict.ok}
    wrong = [line.name for line in report.summaries if line.verdict is Verdict.MISMATCH and line.name in right]
    if wrong:
        note = (
            f"{', '.join(wrong)}: right at the point, wrong beside it; whoever differentiates this gradient again gets"
            " a wrong second derivative"
        )
        report = replace(report, notes=(*report.notes, note))
    return renamed(report, "nearby {}")


def _of_product(report: Report, names: tuple[str, ...]) -> Report:
    """Name the comparisons of a Hessian-vector product, and call it so where its contract is broken."""
    violations = []
    for broken in report.violations:
        text = str(broken)
        if broken.name in names:
            label = f"H v of {broken.name}"
            text = text.replace(f"{gradient_name(broken.name)} ", f"{label} ", 1)
            text = text.replace(f"the gradient of {broken.name}", label, 1)
        violations.append(Violation(text, broken.kind, broken.name))
    return renamed(replace(report, violations=tuple(violations)), "H v of {}")


def renamed(report: Report, pattern: str) -> Report:
    """Name all comparisons anew: ``"nearby {}"``."""
    rows = tuple(replace(row, name=pattern.format(row.name)) for row in report.comparisons)
    lines = tuple(
        replace(
            line,
            name=pattern.format(line.name),
            worst=None if line.worst is None else replace(line.worst, name=pattern.format(line.worst.name)),
        )
        for line in report.summaries
    )
    return replace(report, comparisons=rows, summaries=lines)
