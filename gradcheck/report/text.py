"""How does a report read as plain text? The failure message, worst entries first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from gradcheck.report.facts import Comparison, Report, Summary, Verdict
from gradcheck.report.lines import singles
from gradcheck.report.reasons import ALONE

__all__ = ["headline", "render", "sentence"]

_ROWS = 10
"""Entries shown of one report; a person reads the first few and then the pattern."""
_NOTES = 5
_EXPLANATIONS = 3
_LABEL = 12
"""Width of the words before a closing line ("looks like", "reproduce"), its two spaces included."""
_BY_ENTRIES = "one by one on a kink, and not together"
_BY_OUTPUTS = "on the kinks of all outputs together, and not on those of one"

_ADVICE = {
    Verdict.INCONCLUSIVE: "nobody is accused: check at other inputs (away from poles and edges of the "
    "domain), in float64, with less noise in the forward, or with a larger rtol= or budget=",
    Verdict.CONTRACT: "mend the contract first; the numbers say little before that",
}
"""The next step, for the verdicts whose report does not already show it."""


def render(report: Report) -> str:
    """Return a report as plain text.

    Parameters
    ----------
    report : Report
        Of one check, or of several (``report.reports``).

    Returns
    -------
    str
        ``VERDICT  name: sentence`` first; for a failure the worst entries as a table (at most ten, twelve
        digits each), what it looks like and how to run it again: no more than about 40 lines. Two lines, and
        the notes, for a MATCH. A report of reports has one line a check and then each failure in full. No
        colour, no line wrapped, no newline at the end.

    Examples
    --------
    >>> from gradcheck.report import Comparison, Report, Summary, Verdict
    >>> wrong = Comparison("Z", (2, 0), -0.25, -0.27, 5e-11, 2.8e-07, 6.1e-06, Verdict.MISMATCH)
    >>> line = Summary("Z", (4, 3), 12, 12, 1, Verdict.MISMATCH, wrong, 24)
    >>> again = "check_vjp(sigmoid, ...)"
    >>> print(render(Report("sigmoid", Verdict.MISMATCH, (line,), (wrong,), reproduce=again)))
    MISMATCH  sigmoid: 1 of 12 entries of Z differs, by 7.1e+04 times what was allowed
    <BLANKLINE>
      entry               analytic            numerical  allowed  error bar     step
      Z[2, 0]  -2.500000000000e-01  -2.700000000000e-01  2.8e-07    5.0e-11  6.1e-06
    <BLANKLINE>
      reproduce   check_vjp(sigmoid, ...)
    """
    if report.reports:
        return _several(report)
    blocks = [[headline(report)]]
    if report.verdict is Verdict.MATCH:
        blocks[0] += [f"  {line}" for line in _match_details(report)]
        blocks[0] += _closing_lines(report)
    else:
        if len(report.violations) > 1:
            blocks.append(_capped([f"  - {_indented(text, 4)}" for text in report.violations], _ROWS, "violations"))
        blocks.append(_rows(report))
        blocks.append(_closing_lines(report))
    return "\n\n".join("\n".join(block) for block in blocks if block)


def headline(report: Report) -> str:
    """Return the first line: ``VERDICT  name: sentence``.

    Parameters
    ----------
    report : Report
        Of one check or of several.

    Returns
    -------
    str
        One line, without a newline.

    Examples
    --------
    >>> from gradcheck.report import Report, Verdict, Violation
    >>> shape = Violation("db has shape (4, 3), b has (1, 3)", "shape", "b")
    >>> headline(Report("Dense", Verdict.CONTRACT, violations=(shape,)))
    'CONTRACT  Dense: db has shape (4, 3), b has (1, 3)'
    """
    return f"{report.verdict.upper()}  {report.name}: {sentence(report)}"


def sentence(report: Report) -> str:
    """Return what a report says, in one sentence without its verdict and name.

    Parameters
    ----------
    report : Report
        Of one check or of several.

    Returns
    -------
    str
        One line, without a full stop.

    Examples
    --------
    >>> from gradcheck.report import Report, Summary, Verdict
    >>> sentence(Report("relu", Verdict.MATCH, (Summary("z", (2, 3), 6, 6, 0, Verdict.MATCH, None, 12),)))
    'all 6 entries of z agree'
    """
    if report.reports:
        return _sentence_of_several(report)
    words = {
        Verdict.MATCH: _judged,
        Verdict.KINK: _on_kinks,
        Verdict.INCONCLUSIVE: _cannot_tell,
        Verdict.MISMATCH: _differing,
        Verdict.CONTRACT: _broken,
    }
    return words[report.verdict](report)


def _judged(report: Report) -> str:
    judged = sum(line.judged for line in report.summaries)
    entries = sum(line.entries for line in report.summaries)
    names = _listed([line.name for line in report.summaries])
    if not report.summaries:
        return "agrees"
    if entries == 1:
        return f"the gradient of {names} agrees"
    if judged == entries:
        return f"all {entries} entries of {names} agree"
    return f"the {judged} entries judged, of {entries} of {names}, agree"


def _on_kinks(report: Report) -> str:
    names = [line.name for line in report.summaries if line.verdict is Verdict.KINK]
    where = f" of {_listed(names)}" if names else ""
    return f"{_judged(report)}; some{where} sit on a kink, and are legal subgradients there"


def _cannot_tell(report: Report) -> str:
    lines = [line for line in report.summaries if line.verdict is Verdict.INCONCLUSIVE]
    names = _listed([line.name for line in lines])
    what = f"the gradient of {names} is right" if names else "the gradients are right"
    because = next((row.reason for row in _failing(report) if row.reason), "") or _first_line(report.notes)
    return f"cannot tell whether {what}{': ' if because else ''}{because}"


def _differing(report: Report) -> str:
    rows = _failing(report)
    projections = {row.name for row in rows} - {row.name for row in rows if row.index is not None}
    lines = [line for line in report.summaries if line.verdict is Verdict.MISMATCH]
    parts = [_count(line, projected=line.name in projections) for line in lines]
    if not parts:
        parts = ["the analytic and the numerical derivative"]
    plural = len(parts) > 1 or not lines or lines[0].failed > 1
    text = f"{_listed(parts)} {'differ' if plural else 'differs'}"
    worst = max((row.excess for row in _failing(report)), default=0.0)
    if worst == float("inf"):
        return text
    if worst <= 1.0:
        by_outputs = any(ALONE in row.reason for row in rows)
        return f"{text}: legal {_BY_OUTPUTS if by_outputs else _BY_ENTRIES}"
    return f"{text}, by {'up to ' if plural else ''}{worst:.2g} times what was allowed"


def _count(line: Summary, *, projected: bool) -> str:
    if line.entries == 1:
        return f"the gradient of {line.name}" if not line.shape else f"the one entry of {line.name}"
    if projected or not line.failed:
        return f"a projection of {line.name}"
    if line.judged < line.entries:
        return f"{line.failed} of the {line.judged} judged entries of {line.name} ({line.entries} in all)"
    return f"{line.failed} of {line.entries} entries of {line.name}"


def _broken(report: Report) -> str:
    if not report.violations:
        return "the backward pass broke its contract"
    more = len(report.violations) - 1
    also = f" (and {more} more violation{'s' if more > 1 else ''})" if more else ""
    return f"{_first_line(report.violations)}{also}"


def _sentence_of_several(report: Report) -> str:
    checks_run = list(singles(report))
    failed = [single for single in checks_run if not single.ok]
    total = len(checks_run)
    checks = f"{total} check{'s' if total > 1 else ''}"
    if not failed:
        return f"all {checks} are ok" if total > 1 else "its one check is ok"
    kinds = Counter(single.verdict for single in failed)
    how = ", ".join(f"{kinds[verdict]} {verdict}" for verdict in reversed(Verdict) if kinds[verdict])
    return f"{len(failed)} of {checks} failed ({how})"


def _several(report: Report) -> str:
    checks = sorted(singles(report), key=lambda single: -single.verdict.severity)
    wide = max(len(single.verdict) for single in checks)
    name = max(len(single.name) for single in checks)
    lines = [
        f"  {single.verdict.upper():{wide}}  {single.name:{name}}  {sentence(single)}".rstrip() for single in checks
    ]
    blocks = ["\n".join([headline(report), "", *lines])]
    # The notes of the single checks stand in their own reports; what is left is about the whole.
    own = {note for single in checks for note in single.notes}
    notes = [note for note in report.notes if note not in own]
    if notes:
        blocks.append("\n".join(_labelled("note", notes, _NOTES)))
    blocks += [render(single) for single in checks if not single.ok]
    return "\n\n".join(blocks)


def _match_details(report: Report) -> list[str]:
    rows = [*report.comparisons, *(line.worst for line in report.summaries if line.worst is not None)]
    facts = []
    if rows:
        worst = max(rows, key=lambda row: row.excess)
        facts.append(f"worst {worst.entry}: error {worst.error:.1e}, allowed {worst.allowed:.1e}")
    if report.detection_limit < float("inf"):
        facts.append(f"an error of {report.detection_limit:.1e} in one entry would have been seen")
    calls = f"{report.forward_calls} forward{'' if report.forward_calls == 1 else 's'}"
    return ["; ".join([*facts, calls])]


def _failing(report: Report) -> list[Comparison]:
    """Return the entries that the verdict rests on, in the order of the report: worst first."""
    if report.verdict is Verdict.KINK:
        return [row for row in report.comparisons if row.verdict is Verdict.KINK]
    return [row for row in report.comparisons if not row.verdict.ok]


def _rows(report: Report) -> list[str]:
    rows = _failing(report)
    if not rows:
        return []
    shown = _first_of_each(rows, _ROWS)
    header = ["entry", "analytic", "numerical", "allowed", "error bar", "step"]
    table = [
        [row.entry, f"{row.analytic:.12e}", f"{row.numerical:.12e}"]
        + [f"{value:.1e}" for value in (row.allowed, row.error_bar, row.step)]
        for row in shown
    ]
    mixed = len({row.verdict for row in rows}) > 1
    words = [" ".join(([row.verdict.value] if mixed else []) + ([row.reason] if row.reason else [])) for row in shown]
    # A projection of several primals, or of one, has no index: say so, or the bare name reads as a scalar.
    sizes = {line.name: line.entries for line in report.summaries}
    for cells, row in zip(table, shown, strict=True):
        if row.index is None and sizes.get(row.name, 1) > 1:
            cells[0] = f"{row.name} (projection)"
    lines = [f"{line}  {word}".rstrip() for line, word in zip(_aligned([header, *table]), ["", *words], strict=True)]
    listed = sum(line.failed for line in report.summaries) if report.verdict is Verdict.MISMATCH else 0
    more = max(len(rows), listed) - len(shown)
    return lines + ([f"  ... and {more} more"] if more > 0 else [])


def _first_of_each(rows: Sequence[Comparison], most: int) -> list[Comparison]:
    """Return the first `most` rows, but so that every primal has its worst one among them."""
    firsts = {row.name: place for place, row in reversed(list(enumerate(rows)))}
    places = sorted(firsts.values())[:most]
    places += [place for place in range(len(rows)) if place not in places][: most - len(places)]
    return [rows[place] for place in sorted(places)]


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Line up the columns: the first to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  " + "  ".join(cell.rjust(wide) if place else cell.ljust(wide) for place, (cell, wide) in enumerate(columns))
        for columns in (list(zip(row, widths, strict=True)) for row in table)
    ]


def _closing_lines(report: Report) -> list[str]:
    looks = [f"{found.text} (explains {found.fit:.0%} of the mismatch)" for found in report.explanations]
    right = [line.name for line in report.summaries if line.verdict.ok and not report.ok]
    notes = list(report.notes)
    if report.verdict is Verdict.INCONCLUSIVE and notes and sentence(report).endswith(notes[0]):
        notes = notes[1:]
    advice = _ADVICE.get(report.verdict)
    return [
        *_labelled("looks like", looks, _EXPLANATIONS),
        *_labelled("agrees", [_listed(right)] if right else [], 1),
        *_labelled("note", notes, _NOTES),
        *_labelled("next step", [advice] if advice else [], 1),
        *_labelled("reproduce", [report.reproduce] if report.reproduce and not report.ok else [], 1),
    ]


def _labelled(label: str, texts: Sequence[str], most: int) -> list[str]:
    lines = [f"  {label:<{_LABEL}}{_indented(text, _LABEL + 2)}" for text in texts]
    return _capped(lines, most, f"{label}s")


def _capped(lines: list[str], most: int, what: str) -> list[str]:
    more = len(lines) - most
    return [*lines[:most], f"  ... and {more} more {what}"] if more > 0 else lines


def _indented(text: str, width: int) -> str:
    return ("\n" + " " * width).join(text.strip().splitlines())


def _first_line(texts: Iterable[str]) -> str:
    return next((text.strip().split("\n", 1)[0] for text in texts if text.strip()), "")


def _listed(names: Sequence[str], most: int = 4) -> str:
    """Return ``"a, b and c"``; of many only the first few and how many more."""
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} more"]
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
