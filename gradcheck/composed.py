"""Is a model right, part by part? The cost is then the sum over its stages, and not their product."""

from __future__ import annotations

from dataclasses import replace

from gradcheck.choose import FULL_UP_TO
from gradcheck.evaluate import Evaluator
from gradcheck.layer import Layer, Named, Part
from gradcheck.options import Options
from gradcheck.report import Comparison, Report, Summary, Verdict
from gradcheck.run import run
from gradcheck.tally import OTHERS_KEPT

_WORTH_IT = 500  # entries: fewer cost less as a whole than to take the model apart


def run_composed(layer: Layer, options: Options) -> Report:
    """Check a layer part by part where it is a large model whose parts are visible; as a whole otherwise.

    Parameters
    ----------
    layer : Layer
        With `Layer.parts`.
    options : Options
        As given by the user.

    Returns
    -------
    Report
        Of the model's own primals. If a part is not ok, the model is checked as a whole, and accused as such.

    Notes
    -----
    The contract is the model's own. Its gradient was seen to be what its parts give, one behind the other, with the
    cotangents that they have in the model (`gradcheck.adapters.composed`): it is right if they are.
    """
    size = sum(layer.primals[name].size for name in layer.wrt)
    projected = options.mode == "fast" or (options.mode == "auto" and size > FULL_UP_TO)
    if (
        layer.parts is None
        or size < _WORTH_IT
        or projected
        or options.budget is not None
        or options.time_limit is not None
        or options.pattern
    ):
        return run(layer, options)

    doubtful: list[tuple[Part, Report]] = []

    def by_parts(evaluator: Evaluator, cotangents: Named, gradient: Named) -> Report | None:
        parts = layer.parts(cotangents, gradient) if layer.parts is not None else []
        reports: list[Report] = []
        for part in reversed(parts):
            found = run(part.layer, replace(options, mode="full", contract=False))
            evaluator.forward_calls += found.forward_calls
            evaluator.backward_calls += found.backward_calls
            if not found.ok:
                doubtful.append((part, found))
                return Report(layer.name, Verdict.INCONCLUSIVE)
            reports.insert(0, found)
        return _of_parts(layer, parts, reports) if parts else None

    report = run(layer, options, instead=by_parts)
    for part, found in doubtful:
        whole = _whole(layer, options, part, found)
        return replace(
            whole,
            forward_calls=whole.forward_calls + report.forward_calls,
            backward_calls=whole.backward_calls + report.backward_calls,
            seconds=whole.seconds + report.seconds,
            reproduce=report.reproduce,
        )
    return report


def _whole(layer: Layer, options: Options, part: Part, found: Report) -> Report:
    """Check a model as a whole of which one part is not ok: two wrongs may make a right, as a loss's and a sigmoid's.

    Projections are enough to accuse it, and the part says more of what is wrong than thousands of entries that it makes
    wrong.
    """
    again = replace(options, contract=False)
    if found.verdict is Verdict.MISMATCH:
        report = run(layer, replace(again, mode="fast"))
        if report.verdict is Verdict.MISMATCH:
            worst = found.comparisons[0]
            note = (
                f"the first wrong part, from the loss backwards, is {part.layer.name}: its gradient by {worst.entry} is"
                f" {worst.analytic:.6g}, the numerical one {worst.numerical:.6g}; of what that makes wrong in the parts"
                " before it only some entries are listed"
            )
            return replace(report, notes=(note, *report.notes))
    return run(layer, again)


def _of_parts(layer: Layer, parts: list[Part], reports: list[Report]) -> Report:
    """Make one report of those of a model's parts, all of them ok."""
    summaries: dict[str, Summary] = {}
    rows: list[Comparison] = []
    for part, report in zip(parts, reports, strict=True):
        for summary in report.summaries:
            if summary.name in part.names:
                label = part.names[summary.name]
                worst = summary.worst and _renamed(summary.worst, part)
                summaries[label] = replace(summary, name=label, worst=worst)
        rows += [_renamed(row, part) for row in report.comparisons]
    names = ", ".join(part.layer.name for part in parts)
    told = [f"{part.layer.name}: {note}" for part, report in zip(parts, reports, strict=True) for note in report.notes]
    return Report(
        layer.name,
        Verdict.worst(report.verdict for report in reports),
        tuple(summaries[name] for name in layer.wrt),
        tuple(sorted(rows, key=lambda row: (-row.verdict.severity, -row.excess))[:OTHERS_KEPT]),
        notes=(f"checked part by part, each with what the model gives it: {names}", *told),
        mode="full",
        detection_limit=max(report.detection_limit for report in reports),
    )


def _renamed(row: Comparison, part: Part) -> Comparison:
    """Name a part's entry as the model does; what the model has no name for, after the part."""
    return replace(row, name=part.names.get(row.name, f"{part.layer.name}.{row.name}"))
