"""What does ``gradcheck bench`` do? Measures, writes the report and says what became slower."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from gradcheck.bench import html, markdown
from gradcheck.bench.compare import Comparison, compare
from gradcheck.bench.document import changes, sections, summary
from gradcheck.bench.facts import Bench
from gradcheck.bench.plots import plots
from gradcheck.bench.run import prepare
from gradcheck.cli.progress import progress
from gradcheck.cli.table import bare_table, wide_console
from gradcheck.errors import ArgumentError

__all__ = ["bench"]

_TITLE = "Benchmark of gradcheck"


def bench(arguments: argparse.Namespace) -> int:
    """Run ``gradcheck bench``.

    Parameters
    ----------
    arguments : argparse.Namespace
        As the parser in `gradcheck.cli` makes it.

    Returns
    -------
    int
        0, or 1 if something became slower than ``--compare`` says it was.

    Raises
    ------
    ArgumentError, MissingDependencyError, OSError
        If the command cannot be carried out; before anything is measured, wherever that can be known.
    """
    old = Bench.read(arguments.compare) if arguments.compare else None
    folder = Path(arguments.output)
    if folder.exists() and not folder.is_dir():
        raise ArgumentError(f"--output was {folder}: that is a file; name a folder, which is made if need be")
    run = prepare(full=arguments.full, only=arguments.only)
    folder.mkdir(parents=True, exist_ok=True)
    with progress(run.total, doing="measuring") as advance:
        found = run.measure(advance)
    comparison = None
    if old is not None:
        comparison = compare(old, found, any_machine=arguments.any_machine)
        if suspects := list(dict.fromkeys(change.title for change in comparison.slower)):
            with progress(run.blocks * len(suspects), doing="measuring again what seems slower") as advance:
                found = run.measure_again(suspects, advance)
            comparison = compare(old, found, any_machine=arguments.any_machine)
    _write(found, comparison, folder)
    _print(found, comparison, folder)
    return int(comparison is not None and bool(comparison.slower))


def _write(found: Bench, comparison: Comparison | None, folder: Path) -> None:
    contents = sections(found, comparison)
    (folder / "report.json").write_text(found.to_json(), encoding="utf-8")
    (folder / "report.md").write_text(markdown.render(_TITLE, contents), encoding="utf-8")
    (folder / "report.html").write_text(html.render(_TITLE, contents, plots(found)), encoding="utf-8")


def _print(found: Bench, comparison: Comparison | None, folder: Path) -> None:
    console = wide_console()
    for section in (summary(found), None if comparison is None else changes(comparison)):
        if section is not None:
            for table in section.tables:
                console.print(Text(table.caption))
                console.print(_table(table.headings, table.rows, table.words))
                console.print()
            for paragraph in section.paragraphs:
                console.print(Text(paragraph))
    if found.missing:
        console.print(Text(f"not installed, and left out: {', '.join(found.missing)}"))
    console.print(Text(f"written in {found.seconds:.0f} s: {folder / 'report.md'}, report.html, report.json"))
    sys.stdout.flush()


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]], words: int) -> Table:
    table = bare_table()
    for k, heading in enumerate(headings):
        table.add_column(heading, overflow="fold", justify="left" if k < words else "right")
    for row in rows:
        table.add_row(*(Text(cell, style="bold red" if row[0] == "SLOWER" else "") for cell in row))
    return table
