"""Is a gradient right around its point too? Is a Hessian-vector product its derivative? One report of both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gradcheck.adapters.mappings import as_pushforward, gradient_name
from gradcheck.layer import Layer
from gradcheck.options import Options
from gradcheck.parts import parts
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
    if at_point.verdict in (Verdict.CONTRACT, Verdict.MISMATCH):
        notes.append("the second order was not looked at: mend the gradient first")
    else:
        for sign, side in ((1.0, "forth"), (-1.0, "back")):
            done = _beside(gradient, sign, _left(options, reports))
            if done is None:
                notes.append(f"not checked a step {side}: the loss has no finite value there")
            else:
                reports.append(_nearby(replace(done, name=f"{gradient.name}, a step {side}"), at_point))
        if len(reports) == 1:
            reports.append(Report(f"{gradient.name}, a step away", Verdict.INCONCLUSIVE, notes=tuple(notes)))
        verdict = Verdict.worst(report.verdict for report in reports)
        if product is not None and verdict in (Verdict.CONTRACT, Verdict.MISMATCH):
            # What is not the derivative of a wrong gradient may be that of the right one.
            notes.append(f"{product.name} was not checked: mend the gradient first, whose derivative it is to be")
        elif product is not None:
            # The gradient of a loss has a symmetric Jacobian, for which one pullback gives every entry.
            layer = product if verdict.ok else as_pushforward(product)
            reports.append(_of_product(run(layer, _left(options, reports)), product.wrt))
    rows = sorted(
        (row for report in reports for row in report.comparisons), key=lambda row: (-row.verdict.severity, -row.excess)
    )
    whole = merge(gradient.name, reports, notes=notes)
    return replace(whole, comparisons=tuple(rows[:_KEPT]), reproduce=at_point.reproduce)


def _left(options: Options, reports: list[Report]) -> Options:
    """Return the options with what is left of the budget."""
    if options.budget is None:
        return options
    return replace(options, budget=max(1, options.budget - sum(report.forward_calls for report in reports)))


def _beside(gradient: Layer, sign: float, options: Options) -> Report | None:
    """Check the gradient a step beside its point; None where the loss left its domain."""
    rng = np.random.default_rng([options.seed, 2])
    moved = {name: array.copy(order="K") for name, array in gradient.primals.items()}
    for name in gradient.wrt:
        numbers = parts(moved[name])
        size = np.abs(numbers.astype(np.float64))
        typical = float(np.median(size[size > 0])) if np.any(size > 0) else 1.0
        step = rng.uniform(0.5 * _STEP, 1.5 * _STEP, size.shape) * rng.choice([-1.0, 1.0], size.shape)
        numbers[...] = numbers + sign * step * np.where(size > 0, size, typical)
    try:
        with np.errstate(all="ignore"):
            report = run(replace(gradient, primals=moved), options)
    except (ArithmeticError, ValueError, np.linalg.LinAlgError):  # the user did not ask for this point
        return None
    unjudged = report.verdict is Verdict.INCONCLUSIVE and not report.summaries and options.budget is None
    return None if unjudged else report


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
    return _renamed(report, "nearby {}")


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
    return _renamed(replace(report, violations=tuple(violations)), "H v of {}")


def _renamed(report: Report, pattern: str) -> Report:
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
