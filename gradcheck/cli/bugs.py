"""What does ``gradcheck bugs`` do? Checks the catalogue of known bugs and prints which are caught, and named."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
from rich.text import Text

from gradcheck.cli.progress import progress
from gradcheck.cli.table import bare_table, wide_console
from gradcheck.report import Report, Verdict

if TYPE_CHECKING:
    from reference_impls.known_bugs import Bug

__all__ = ["bugs"]


def bugs() -> int:
    """Run ``gradcheck bugs``.

    Returns
    -------
    int
        0 if every line is as expected, else 1.
    """
    from reference_impls.known_bugs import BUGS  # the catalogue is no part of the checker

    console, table = wide_console(), bare_table()
    for heading in ("bug", "layer", "caught", "verdict", "explanation"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("caught", "verdict"))
    table.add_column("forwards", no_wrap=True, justify="right")
    unexpected = accused = named = 0
    with progress(len(BUGS)) as advance, np.errstate(all="ignore"):
        for bug in BUGS:
            right, wrong = bug.case(right=True).run(), bug.case().run()
            advance(bug.name)
            good = bug.as_expected(right, wrong)
            unexpected += not good
            accused += not Verdict(bug.verdict).ok
            named += bool(bug.explanation) and good
            table.add_row(*_row(bug, right, wrong, good=good))
    console.print(table)
    legal = len(BUGS) - accused
    print(f"\n{accused} bugs, {named} of them named; {legal} legal conventions beside them, accused of nothing")
    if unexpected:
        print(f"{unexpected} of {len(BUGS)} lines are not as expected")
    sys.stdout.flush()
    return int(unexpected > 0)


def _row(bug: Bug, right: Report, wrong: Report, *, good: bool) -> list[Text]:
    from reference_impls.known_bugs import told  # as above

    caught = ("legal" if Verdict(bug.verdict).ok else "no") if wrong.ok else "yes"
    text = told(wrong)[1]
    if not good:
        wanted = " ".join(filter(None, (bug.verdict, bug.explanation, bug.says)))
        text = f"NOT AS EXPECTED ({wanted}): {text}"
        if not right.ok:
            text = f"the right twin is not ok ({right.verdict}); {text}"
    cells = [bug.name, bug.layer, caught, wrong.verdict.upper(), text, str(wrong.forward_calls)]
    style = "" if good else "bold red"
    # Text, not str: names such as "W[0]" would be taken for markup.
    return [Text(cell, style=style) for cell in cells]
