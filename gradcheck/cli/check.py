"""What does ``gradcheck check`` do? Finds the checks, runs them and prints what they found."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from gradcheck.case import Case
from gradcheck.cli.progress import progress
from gradcheck.cli.table import print_table
from gradcheck.discover import find_cases
from gradcheck.discover.run import command_target, run_case
from gradcheck.errors import ArgumentError
from gradcheck.options import Options
from gradcheck.report import Report
from gradcheck.report.lines import singles
from gradcheck.report.merge import merge
from gradcheck.report.text import headline, render

__all__ = ["check"]

_OPTIONS = ("mode", "seed", "rtol", "budget", "time_limit")


def check(arguments: argparse.Namespace) -> int:
    """Run ``gradcheck check``.

    Parameters
    ----------
    arguments : argparse.Namespace
        As the parser in `gradcheck.cli` makes it.

    Returns
    -------
    int
        0 if every check is ok, else 1.

    Raises
    ------
    ArgumentError, TargetError, MissingDependencyError, OSError
        If the command cannot be carried out; before anything is checked, wherever that can be known.
    """
    # Only what was typed: a module's own cases keep their settings otherwise.
    options = {name: getattr(arguments, name) for name in _OPTIONS if getattr(arguments, name) is not None}
    Options(**options)
    if arguments.html:
        from gradcheck.report.html import require_jinja2  # an extra, and only for this option

        require_jinja2()
        if not Path(arguments.html).absolute().parent.is_dir():
            raise ArgumentError(f"--html was {arguments.html}: its folder does not exist; make it, or name another")
    # With --json, stdout is one JSON document: what the user's code prints must not get into it.
    with contextlib.redirect_stdout(sys.stderr) if arguments.json else contextlib.nullcontext():
        report = _report(arguments.targets, options, silent=arguments.quiet)
    if arguments.html:
        report.to_html(arguments.html)
    if arguments.json:
        print(report.to_json())
    else:
        _print(report, quiet=arguments.quiet, verbose=arguments.verbose)
    sys.stdout.flush()
    return 0 if report.ok else 1


def _report(targets: list[str], options: dict[str, Any], *, silent: bool) -> Report:
    # Every target is found before the first check runs: a typing error in the last one should not cost the wait.
    cases = {target: find_cases(target, seed=options.get("seed", 0)) for target in targets}
    total = sum(len(of_target) for of_target in cases.values())
    with progress(total, silent=silent) as advance:
        reports = [merge(target, _run(target, of_target, options, advance)) for target, of_target in cases.items()]
    if len(reports) == 1:
        return reports[0]
    # Two targets may have checks of the same name: each says where it is from, as one would type it.
    named = [
        replace(report, reports=tuple(replace(one, name=f"{report.name}:{one.name}") for one in report.reports))
        for report in reports
    ]
    return merge(", ".join(cases), named)


def _run(target: str, cases: list[Case], options: dict[str, Any], advance: Callable[[str], None]) -> Iterator[Report]:
    for case in cases:
        report = run_case(case, options, command_target(target))
        advance(case.name)
        yield report


def _print(report: Report, *, quiet: bool, verbose: bool) -> None:
    if not quiet:
        print_table(report)
    for single in sorted(singles(report), key=lambda one: -one.verdict.severity):
        if verbose or not single.ok:
            print(f"{render(single)}\n")
        elif not quiet:
            # A backward that forgets a parameter is right in all it returns: say what nobody looked at.
            for note in single.notes:
                if "not checked" in note:
                    print(f"note  {single.name}: {note}\n")
    if not quiet:
        print(headline(report))
