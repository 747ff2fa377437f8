"""How does a report look as a table? One line a gradient, worst first, in colour on a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gradcheck.report import Report, Verdict
from gradcheck.report.lines import lines

__all__ = ["bare_table", "print_table", "wide_console"]

_STYLES = {
    Verdict.MATCH: "green",
    Verdict.KINK: "yellow",
    Verdict.INCONCLUSIVE: "bold yellow",
    Verdict.MISMATCH: "bold red",
    Verdict.CONTRACT: "bold magenta",
}
_WIDEST = 100_000  # columns of a pipe or file: no line is folded or cut there


def wide_console() -> Console:
    """Return what prints on stdout, as wide as the terminal, and without bounds elsewhere.

    There is no colour elsewhere either (``NO_COLOR`` and ``FORCE_COLOR`` are obeyed).
    """
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDEST)


def bare_table() -> Table:
    """Return a table without lines."""
    return Table(box=None, padding=(0, 1), pad_edge=False)


def print_table(report: Report) -> None:
    """Print a report's gradients on stdout.

    Parameters
    ----------
    report : Report
        Of one check or of several.

    Notes
    -----
    On a terminal the layer's name is folded where the line is too narrow; every other column is printed whole.
    """
    console, table = wide_console(), bare_table()
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
