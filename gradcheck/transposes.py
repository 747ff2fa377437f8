"""Are a vjp and a jvp each other's transposes? ``<J u, v> = <u, J^T v>`` holds to rounding, without any step."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from gradcheck.adjoint import NAME, Pair
from gradcheck.choose import FULL_UP_TO
from gradcheck.contract import Findings
from gradcheck.evaluate import BudgetSpent
from gradcheck.layer import BrokenContract, Layer
from gradcheck.options import Options
from gradcheck.report import Comparison, Report, Summary, Verdict, Violation
from gradcheck.run import run
from gradcheck.second_order import renamed

_KINKED = (Verdict.KINK, Verdict.INCONCLUSIVE)  # the latter where kinks are not allowed, or several meet


def with_transposes(
    report: Report, pullback: Layer, pushforward: Layer, options: Options, *, second: Literal["vjp", "jvp"]
) -> Report:
    """Add to a report whether the vjp and the jvp belong together.

    Parameters
    ----------
    report : Report
        Of the one that was compared with differences.
    pullback, pushforward : Layer
        The same function at the same point, with its vjp and its jvp.
    options : Options
        As given by the user; what the report spent of the budget is spent.
    second : {"vjp", "jvp"}
        The other one.

    Returns
    -------
    Report
        With a further comparison, a MISMATCH, where they are not transposes; CONTRACT where the other derivative broke
        its contract; INCONCLUSIVE where nothing could be told of it; a note where all is well.

    Notes
    -----
    Allowed are eight last bits of all terms, ``sum |J u| |v| + sum |u| |J^T v|``, and of the largest weighted output,
    for terms of its size may have cancelled (as in ``1 - tanh(x) ** 2``). Where that is not enough, four times what
    rounding is seen to do: the change of both products under last-bit changes of the point, and how far the product of
    a sum is from the sum of the products; never more than the square root of eps of those terms. The last bit is that
    of f as it was measured, for float32 inside makes it coarser than its dtype. An `rtol` that the user gave is allowed
    of those terms as well, for derivatives that are iterated or tabulated.

    Products that differ and are smaller than the last bits of the outputs tell nothing; the same to rounding, zeros
    among them, they agree. float32 and float16 are looked at in float64 too, where f and both derivatives allow it.

    Where the point is on kinks and they are transposes beside it, both may be right: a kink has many subgradients. The
    second is then compared with differences itself, as the first was.
    """
    first = "jvp" if second == "vjp" else "vjp"
    if report.verdict is Verdict.CONTRACT:
        return replace(report, notes=(*report.notes, f"the {second} was not looked at: mend the contract first"))
    trials = (pullback if second == "vjp" else pushforward).trial_calls
    pair = Pair(pullback, pushforward, options, (report.forward_calls + trials[0], report.backward_calls + trials[1]))
    worst, unsure = None, ""
    try:
        found = pair.examine(pushforward if second == "jvp" else pullback, thorough=options.contract)
        worst = None if found.violations else pair.worst() or pair.worst_in_double()
        if worst is not None and any(line.verdict in _KINKED for line in report.summaries):
            if pair.agree_aside():
                report = replace(report, forward_calls=pair.up.forward_calls, backward_calls=pair.up.backward_calls)
                return _on_kinks(report, pullback if second == "vjp" else pushforward, options, first, second)
        elif worst is None and not found.violations:
            if pair.judged:
                found.notes.append("<J u, v> = <u, J^T v> to rounding: vjp and jvp are each other's transposes")
            else:
                unsure = f"<J u, v> and <u, J^T v> are too small beside the outputs to tell anything of the {second}"
    except BrokenContract as broken:
        found = Findings(violations=[Violation(broken.text, broken.kind)])
    except BudgetSpent:
        found, worst = Findings(), None
        unsure = f"the budget ran out before the {second} was compared with the {first}"
    report = replace(
        report,
        notes=tuple(dict.fromkeys((*report.notes, *found.notes))),
        forward_calls=pair.up.forward_calls,
        backward_calls=pair.up.backward_calls,
    )
    if found.violations:
        more = tuple(Violation(f"{second}: {text}", text.kind, text.name) for text in found.violations)
        return replace(report, verdict=Verdict.CONTRACT, violations=(*report.violations, *more))
    if worst is not None:
        return _accused(report, worst, pair.shape, first, second)
    if unsure:
        return _unjudged(report, unsure)
    if report.verdict is Verdict.MISMATCH:
        return replace(report, notes=(*report.notes, f"so the {second} is wrong as well"))
    return report


def _unjudged(report: Report, why: str) -> Report:
    """Say that nothing can be told of the second: no reason to accuse it, and none to let it pass."""
    if not report.verdict.ok:
        return replace(report, notes=(*report.notes, why))
    return replace(report, verdict=Verdict.INCONCLUSIVE, notes=(why, *report.notes))


def _on_kinks(report: Report, layer: Layer, options: Options, first: str, second: str) -> Report:
    """Compare the second with differences too, for it takes other subgradients than the first, legal or not."""
    differ = f"the {first} and the {second} take different subgradients at the kinks"
    entries = sum(layer.primals[name].size for name in layer.wrt)
    if second == "jvp" and entries > FULL_UP_TO:  # one call for each entry
        why = f"those of the jvp were not judged: that takes {entries:,} calls of it, as check_jvp does"
        return _unjudged(report, f"{differ}, and {why}")
    left = None if options.budget is None else options.budget - report.forward_calls + layer.trial_calls[0]
    if left is not None and left < 1:
        return _unjudged(report, f"{differ}, and the budget ran out before those of the {second} were judged")
    # Its contract has been examined.
    done = run(replace(layer, notes=()), replace(options, budget=left, contract=False))
    report = replace(
        report,
        forward_calls=report.forward_calls + done.forward_calls - layer.trial_calls[0],
        backward_calls=report.backward_calls + done.backward_calls - layer.trial_calls[1],
    )
    if done.ok and all(line.judged == line.entries for line in done.summaries):
        return replace(report, notes=(*report.notes, differ))
    if done.ok:
        return _unjudged(report, f"{differ}, and the budget ran out before all those of the {second} were judged")
    done = renamed(done, f"{second}: {{}}")
    words = {Verdict.INCONCLUSIVE: f"and it cannot be told whether those of the {second} are legal"}
    note = f"{differ}, {words.get(done.verdict, f'and those of the {second} are none')}"
    return replace(
        report,
        verdict=Verdict.worst([report.verdict, done.verdict]),
        summaries=(*report.summaries, *(line for line in done.summaries if not line.verdict.ok)),
        comparisons=(*(row for row in done.comparisons if not row.verdict.ok), *report.comparisons),
        violations=(*report.violations, *(Violation(f"{second}: {v}", v.kind, v.name) for v in done.violations)),
        notes=(note, *report.notes, *done.notes),
    )


def _accused(report: Report, worst: Comparison, shape: tuple[int, int], first: str, second: str) -> Report:
    """Add a comparison that failed, and say which of the two is to blame."""
    blame = (
        f"the {first} agrees with the differences, so the {second} is wrong"
        if report.verdict.ok
        else f"the {first} itself does not agree with the differences"
    )
    line = Summary(NAME, shape, shape[0] * shape[1], 1, 1, Verdict.MISMATCH, worst, 0)
    return replace(
        report,
        verdict=Verdict.MISMATCH,
        summaries=(*report.summaries, line),
        comparisons=(worst, *report.comparisons),
        notes=(blame, *report.notes),
    )
