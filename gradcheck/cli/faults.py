"""What does ``gradcheck faults`` do? Plants faults in backward passes and prints those that nobody caught."""

from __future__ import annotations

import argparse
import sys

from rich.text import Text

from gradcheck.cli.progress import progress
from gradcheck.cli.table import bare_table, wide_console
from gradcheck.errors import ArgumentError
from gradcheck.faults import FaultReport, Outcome, Result
from gradcheck.faults.run import prepare

__all__ = ["faults", "print_faults"]

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
    with progress(len(plan.faults)) as advance:
        report = plan.report(lambda result: advance(result.fault.function))
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
    console = wide_console()
    shown = report.survivors + (report.having(Outcome.EQUIVALENT) if equivalents else [])
    if shown:
        table = bare_table()
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
