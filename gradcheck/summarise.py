"""How is it summed up? From tallies of comparisons to a report."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace

from gradcheck.layer import Array, Layer
from gradcheck.parts import PARTS
from gradcheck.report import Report, Summary, Verdict, Violation
from gradcheck.tally import OTHERS_KEPT, Tally
from gradcheck.tolerance import agree

MISMATCHES_KEPT = 1000
CONVENTION = (
    "it is the conjugate: a complex gradient is dL/dRe + i dL/dIm here, as in PyTorch; JAX and autograd return its"
    " conjugate"
)


def summarise(layer: Layer, tallies: Mapping[str, Tally], notes: list[str], *, mode: str, ended: str = "") -> Report:
    """Sum up what was found for each primal.

    Parameters
    ----------
    layer : Layer
        What was checked.
    tallies : dict of str to Tally
        By primal.
    notes : list of str
        What is to be said besides.
    mode : str
        ``"full"`` or ``"fast"``.
    ended : str
        Which of the user's limits ended the check, where entries were left out.
    """
    notes = [*notes, *(note for tally in tallies.values() for note in tally.notes)]
    tallies = {name: _of_entries(layer.primals[name], tally) for name, tally in tallies.items()}
    summaries = tuple(_summary(name, layer.primals[name].shape, tally) for name, tally in tallies.items())
    everything = [c for tally in tallies.values() for c in tally.comparisons]
    verdict = Verdict.worst(c.verdict for c in everything)
    violations = tuple(
        Violation(
            f"the gradient of {c.entry} is {c.analytic}, {c.reason}",
            "finite",
            c.name,
        )
        for c in everything
        if c.verdict is Verdict.MISMATCH and not math.isfinite(c.analytic)
    )
    if violations:
        verdict = Verdict.CONTRACT
    wrong = [c for c in everything if c.verdict is Verdict.MISMATCH]
    if wrong and all(c.part == "imag" and agree(-c.analytic, c.numerical, c.allowed, 0.0) for c in wrong):
        notes.append(CONVENTION)
    kinks = [c for c in everything if c.verdict is Verdict.KINK]
    if kinks:
        notes.append(
            f"{_count(len(kinks))} on a kink, the first {kinks[0].entry}: {kinks[0].reason.removeprefix('on a kink: ')}"
        )
    left_out = sum(tally.left_out for tally in tallies.values())
    if left_out:
        total = sum(summary.entries for summary in summaries)
        notes.append(f"{ended}: {left_out:,} of {total:,} entries were not probed")
    worst = sorted(everything, key=lambda c: (-c.verdict.severity, -c.excess))
    failing = [c for c in worst if c.verdict is Verdict.MISMATCH][:MISMATCHES_KEPT]
    others = [c for c in worst if c.verdict is not Verdict.MISMATCH][:OTHERS_KEPT]
    return Report(
        name=layer.name,
        verdict=verdict,
        summaries=summaries,
        comparisons=(*failing, *others),
        violations=violations,
        notes=tuple(dict.fromkeys(notes)),
        mode=mode,
        detection_limit=_detection_limit(tallies.values()),
    )


def _of_entries(primal: Array, tally: Tally) -> Tally:
    """Return the tally of a complex primal's entries, of which both parts were judged like entries of their own."""
    if primal.dtype.kind != "c":
        return tally
    comparisons = [
        c if c.index is None else replace(c, index=c.index[:-1], part=PARTS[c.index[-1]]) for c in tally.comparisons
    ]
    return Tally(comparisons, tally.judged // 2, tally.forward_calls, -(-tally.left_out // 2), tally.limit)


def _count(entries: int) -> str:
    return "1 entry" if entries == 1 else f"{entries:,} entries"


def _summary(name: str, shape: tuple[int, ...], tally: Tally) -> Summary:
    verdict = Verdict.worst(c.verdict for c in tally.comparisons)
    of_worst = [c for c in tally.comparisons if c.verdict is verdict]
    return Summary(
        name=name,
        shape=shape,
        entries=math.prod(shape),
        judged=tally.judged,
        failed=len({c.index for c in tally.comparisons if c.verdict is Verdict.MISMATCH}),
        verdict=verdict,
        worst=max(of_worst, key=lambda c: c.excess, default=None),
        forward_calls=tally.forward_calls,
    )


def _detection_limit(tallies: Collection[Tally]) -> float:
    """Return the smallest error of a single entry that would have been seen, whichever entry it is in."""
    seen = [tally.limit for tally in tallies if tally.limit]
    return max((*seen, *(c.limit for tally in tallies for c in tally.comparisons if c.verdict.ok)), default=math.inf)
