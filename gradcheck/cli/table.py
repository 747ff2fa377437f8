"""How does a report look as a table? One line a gradient, worst first, in colour on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gradcheck.report import Report, Verdict
from gradcheck.report.lines import lines

__all__ = ["print_table"]

_STYLES = {
    Verdict.MATCH: "green",
    Verdict.KINK: "yellow",
    Verdict.INCONCLUSIVE: "bold yellow",
    Verdict.MISMATCH: "bold red",
    Verdict.CONTRACT: "bold magenta",
}
_WIDEST = 100_000
"""Columns of a pipe or file: none, so that no line is folded or cut there."""


def print_table(report: Report) -> None:
    """Print a report's gradients on stdout.

    Parameters
    ----------
    report : Report
        Of one check or of several.

    Notes
    -----
    On a terminal the layer's name is folded where the line is too narrow; every other column is printed whole.
    Elsewhere no line is folded or cut, and there is no colour (``NO_COLOR`` and ``FORCE_COLOR`` are obeyed).
    """
    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDEST)
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column("verdict", no_wrap=True)
    table.add_column("layer", overflow="fold")
    table.add_column("gradient", overflow="fold")
    table.add_column("shape", no_wrap=True)
    for heading in ("error", "allowed", "forwards"):
        table.add_column(heading, no_wrap=True, justify="right")
    for line in lines(report):
        # Text, not str: names such as "W[0]" would be taken for markup.
        table.add_row(
            Text(line.verdict.upper(), style=_STYLES[line.verdict]),
            Text(line.check),
            Text(line.gradient),
            Text(line.shape),
            Text(line.error),
            Text(line.allowed),
            Text(str(line.forwards)),
        )
    console.print(table)
    console.print()
