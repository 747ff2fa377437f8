"""``python -m benchmarks.checks [--output DIR] [--only TEXT] [--rounds N]``: the table, printed and written."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask every checker that is installed; write checks.md and checks.json."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checks", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(".benchmarks"), metavar="DIR", help="default: %(default)s")
    parser.add_argument("--only", default="", metavar="TEXT", help="problems whose name has it, e.g. dense")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(arguments)
    for library in ("OMP", "OPENBLAS", "MKL"):  # before NumPy is loaded: work is compared, not cores
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    import numpy as np

    from benchmarks.checks import render
    from benchmarks.checks.measure import measure
    from benchmarks.checks.problems import problems
    from benchmarks.checks.tools import installed

    questions = [problem for problem in problems() if given.only in problem.id]
    if not questions:
        parser.error(f"no problem's name has {given.only!r}")
    tools = installed()
    facts = measure(tools, questions, given.rounds, lambda name: print(name, file=sys.stderr, flush=True))
    found = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "rounds": given.rounds,
        "checkers": {tool.name: tool.call for tool in tools},
        "problems": facts,
    }
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "checks.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (given.output / "checks.md").write_text(render.markdown(found), encoding="utf-8")
    print("\n".join(render.table(facts, list(found["checkers"]))))
    print(f"written: {given.output / 'checks.md'}, {given.output / 'checks.json'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
