"""What does ``gradcheck faults`` do? Plants faults in backward passes and prints those that nobody caught."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gradcheck.cli.progress import progress
from gradcheck.errors import ArgumentError
from gradcheck.faults import FaultReport, Outcome, Result
from gradcheck.faults.run import prepare

__all__ = ["faults", "print_faults"]

_WIDEST = 100_000  # columns of a pipe or file: no line is folded there
_MARKS = {"-": "red", "+": "green"}


def faults(arguments: argparse.Namespace) -> int:
    """Run ``gradcheck faults``.

    Parameters
    ----------
    arguments : argparse.Namespace
        As the parser in `gradcheck.cli` makes it.

    Returns
    -------
    int
        0 if the score is at least ``--min-score``, else 1.

    Raises
    ------
    ArgumentError, TargetError, MissingDependencyError
        If the command cannot be carried out.
    """
    if not 0 <= arguments.min_score <= 100:
        raise ArgumentError(f"--min-score was {arguments.min_score:g}; expected a number from 0 to 100")
    plan = prepare(arguments.target, arguments.runner, arguments.tests, arguments.time_limit, arguments.workers)
    results = []
    with progress(len(plan.faults)) as advance:
        for result in plan.results():
            results.append(result)
            advance(result.fault.function)
    report = FaultReport(arguments.target, tuple(results))
    print_faults(report, equivalents=arguments.verbose)
    sys.stdout.flush()
    return int(report.score < arguments.min_score)


def print_faults(report: FaultReport, *, equivalents: bool = False) -> None:
    """Print the faults that nobody caught, with their diffs, and the score.

    Parameters
    ----------
    report : FaultReport
        Of `gradcheck.faults.check_faults`.
    equivalents : bool
        List those that are no faults as well.
    """
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDEST)
    shown = report.survivors + (report.having(Outcome.EQUIVALENT) if equivalents else [])
    if shown:
        table = Table(box=None, padding=(0, 1), pad_edge=False)
        for heading in ("outcome", "line", "function", "fault", "diff", "why"):
            table.add_column(heading, overflow="fold", no_wrap=heading == "outcome")
        for result in shown:
            table.add_row(*_row(result))
        console.print(table)
        console.print()
    console.print(Text(str(report)))


def _row(result: Result) -> list[Text]:
    fault = result.fault
    # Text, not str: x[0] would be taken for markup.
    diff = Text("\n").join(Text(line, style=_MARKS[line[0]]) for line in fault.diff.splitlines())
    outcome = Text(result.outcome.upper(), style="bold red" if result.outcome is Outcome.SURVIVED else "")
    return [outcome, Text(fault.place), Text(fault.function), Text(fault.operator), diff, Text(result.why)]
