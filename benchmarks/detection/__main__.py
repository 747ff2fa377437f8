"""``python -m benchmarks.detection [--output DIR] [--only NAME]``: the table, printed and written."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.detection import render
from benchmarks.detection.ask import ask_all
from benchmarks.detection.problem import problems
from benchmarks.detection.tally import summary
from benchmarks.detection.tools import gather
from tests.numerics.table import ROWS, TOPICS

_WIDTH = 180  # of the table in a file or a pipe


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every checker that is installed over every problem; write detection.md and detection.json."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(".benchmarks"), metavar="DIR", help="default: %(default)s")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="checkers whose name begins so, e.g. torch; may be repeated",
    )
    given = parser.parse_args(arguments)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    tools, missing = gather(only=given.only)
    if not tools and not missing:
        parser.error(f"no checker's name begins with {' or '.join(given.only)}")
    topics = {row.id: topic for topic in TOPICS for row in import_module(f"tests.numerics.table.{topic}").ROWS}
    questions = problems(ROWS, topics)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("checks", total=len(questions) * len(tools))
        answers = []
        for asked in ask_all(tools, questions):
            answers.append(asked)
            progress.update(task, advance=1, description=asked.problem)
    found = summary(tools, questions, answers, missing)
    for sentence in render.left_out(found):
        console.print(sentence)
    console.print(render.terminal(found))
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "detection.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (given.output / "detection.md").write_text(render.markdown(found), encoding="utf-8")
    console.print(f"written: {given.output / 'detection.md'}, {given.output / 'detection.json'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
