"""What did the user type? The ``gradcheck`` command: its arguments, its errors and its exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import gradcheck
from gradcheck.errors import ArgumentError, MissingDependencyError, TargetError

__all__ = ["main"]

_EXIT_CODES = """\
exit codes:
  0  every gradient is right (verdict match or kink)
  1  a gradient failed, or could not be judged
  2  the command, a target or an import failed: one line on stderr says why
"""
_USAGE_ERROR = 2
_INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments, without the program's name; ``sys.argv[1:]`` if left out.

    Returns
    -------
    int
        The exit code: 0 every gradient is right, 1 one failed or could not be judged, 2 the command, a target or an
        import failed.

    Raises
    ------
    SystemExit
        From argparse: code 0 for ``--help`` and ``--version``, 2 for arguments that it does not know.
    """
    arguments = _parser().parse_args(argv)
    # `python file.py` looks in the current folder; a console script does not, and its user expects it to.
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        return _run(arguments)
    except (ArgumentError, TargetError, MissingDependencyError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            return _closed_pipe()
        print(f"gradcheck: error: {error}", file=sys.stderr)
        return _USAGE_ERROR
    except KeyboardInterrupt:
        print("gradcheck: interrupted", file=sys.stderr)
        return _INTERRUPTED


def _run(arguments: argparse.Namespace) -> int:
    # rich and numpy load here: --help and --version stay quick
    if arguments.command == "bugs":
        from gradcheck.cli.bugs import bugs

        return bugs()
    if arguments.command == "faults":
        from gradcheck.cli.faults import faults

        return faults(arguments)
    if arguments.command == "bench":
        from gradcheck.cli.bench import bench

        return bench(arguments)
    from gradcheck.cli.check import check

    return check(arguments)


def _closed_pipe() -> int:
    """Leave quietly where the reader (``head``, a pager) has gone, and keep Python from flushing into the pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gradcheck",
        description="Tell whether hand-written backward passes are right.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"gradcheck {gradcheck.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_check(commands)
    commands.add_parser(
        "bugs",
        help="check the catalogue of known bugs: is each caught, and named?",
        description="Check the catalogue of known bugs (reference_impls.known_bugs), each beside its right twin.",
        epilog="exit codes:\n  0  every line is as expected\n  1  one is not\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_faults(commands)
    _add_bench(commands)
    return parser


def _add_bench(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    bench = commands.add_parser(
        "bench",
        help="measure kernels, training steps and checks beside what they cannot beat, and write a report",
        description="Measure the kernels and training steps of reference_impls, and what checks cost, beside the limits"
        " of this machine and the peers that are installed: torch, jax, scikit-learn, numba. Writes report.md,"
        ' report.html and report.json. Needs pip install "gradcheck[bench]".',
        epilog="example:\n  gradcheck bench --output new --compare old/report.json\n\n"
        "exit codes:\n  0  the report is written, and nothing became slower\n  1  something became slower than in"
        " --compare\n  2  the command failed: one line on stderr says why\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    bench.add_argument(
        "--output", default="benchmark", metavar="DIR", help="where to write, made if need be (default: %(default)s)"
    )
    bench.add_argument("--full", action="store_true", help="more rounds and larger checks: some ten minutes")
    bench.add_argument(
        "--only", default="", metavar="TEXT", help='of what has it in its name: "kernels: sigmoid", "4-3-1"'
    )
    bench.add_argument("--compare", metavar="OLD.json", help="say what became slower since an earlier report")
    bench.add_argument(
        "--any-machine", action="store_true", help="compare also with what was measured on another machine"
    )


def _add_faults(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    faults = commands.add_parser(
        "faults",
        help="plant faults in backward passes: does the check catch them?",
        description="Plant faults in the backward passes of a target, one at a time and never on disk, and list those"
        " that are not caught.",
        epilog="example:\n  gradcheck faults layers.py --runner pytest --tests tests/test_layers.py\n\n"
        "exit codes:\n  0  the score is at least --min-score\n  1  it is not\n"
        "  2  the command failed, or something fails before any fault is planted\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    faults.add_argument("target", metavar="TARGET", help="package, package.module, file.py, or one of them:name")
    faults.add_argument(
        "--min-score", type=float, default=100.0, metavar="S", help="faults to be caught of a hundred (default: 100)"
    )
    faults.add_argument(
        "--runner", choices=("check", "pytest"), default="check", help="who has to catch them (default: check)"
    )
    faults.add_argument("--tests", nargs="+", default=(), metavar="PATH", help="tests to run, with --runner pytest")
    faults.add_argument(
        "--time-limit", type=float, default=60.0, metavar="SECONDS", help="for each fault (default: 60)"
    )
    faults.add_argument("--workers", type=int, metavar="N", help="processes (default: as many as there are cores)")
    faults.add_argument("-v", "--verbose", action="store_true", help="list what turned out to be no fault as well")


def _add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    check = commands.add_parser(
        "check",
        help="check every layer that can be found in modules, packages or files",
        description="Check every layer that can be found in modules, packages or files.",
        epilog="example:\n  gradcheck check layers.py mypackage.losses layers.py:Dense\n\n" + _EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument(
        "targets", nargs="+", metavar="TARGET", help="package, package.module, file.py, or one of them:name"
    )
    numbers = check.add_argument_group("how to check")
    numbers.add_argument(
        "--mode", choices=("auto", "full", "fast"), help="every entry, or projections; auto goes by cost"
    )
    numbers.add_argument("--seed", type=int, metavar="N", help="of random inputs, cotangents and directions")
    numbers.add_argument("--rtol", type=float, metavar="X", help="relative tolerance beside the numeric error bar")
    numbers.add_argument("--budget", type=int, metavar="N", help="forward evaluations at most, for each check")
    numbers.add_argument("--time-limit", type=float, metavar="S", help="seconds at most, for each check")
    output = check.add_argument_group("what to print")
    output.add_argument("--json", action="store_true", help="print the report as JSON, and nothing else, on stdout")
    output.add_argument("--html", metavar="FILE", help="also write the report as one web page (needs jinja2)")
    loud = output.add_mutually_exclusive_group()
    loud.add_argument("-q", "--quiet", action="store_true", help="only the messages of failed checks")
    loud.add_argument("-v", "--verbose", action="store_true", help="the full text of every check, failed or not")
