"""Which settings hold for a test's checks? Those of the call, then of the marker, the command line and the ini file."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import pytest

from gradcheck.errors import MissingDependencyError

__all__ = ["base_seed", "reproduce", "seed_of_test", "settings", "validate", "validate_markers"]

_MARKER_ARGUMENTS = ("rtol", "mode", "seed", "budget")
_MODES = ("auto", "full", "fast")
_REPORTS = (".html", ".json")


def validate(config: pytest.Config) -> None:
    """Refuse options and ini values that cannot be meant, before any test runs.

    Raises
    ------
    pytest.UsageError
        Naming the option, what it was and what was expected.
    """
    mode = config.getini("gradcheck_mode")
    if mode and mode not in _MODES:
        raise pytest.UsageError(f"gradcheck_mode was {mode!r} in the ini file; expected {', '.join(_MODES)}")
    seed = str(config.getini("gradcheck_seed"))
    if seed and not seed.isdecimal():
        raise pytest.UsageError(f"gradcheck_seed was {seed!r} in the ini file; expected a whole number, 0 or more")
    if base_seed(config) < 0:
        raise pytest.UsageError(f"--gradcheck-seed was {base_seed(config)}; expected a whole number, 0 or more")
    report = config.getoption("gradcheck_report")
    if report is None:
        return
    if Path(report).suffix.lower() not in _REPORTS:
        raise pytest.UsageError(f"--gradcheck-report was {report!r}; expected a file called *.html or *.json")
    if Path(report).suffix.lower() == ".html":
        from gradcheck.report.html import require_jinja2  # loads jinja2, which only this option needs

        try:
            require_jinja2()
        except MissingDependencyError as error:
            raise pytest.UsageError(f"--gradcheck-report: {error}") from error


def validate_markers(item: pytest.Item) -> None:
    """Fail a test whose ``gradcheck`` marker has arguments that it does not know.

    Raises
    ------
    pytest.fail.Exception
        Naming the argument.
    """
    for marker in item.iter_markers("gradcheck"):
        if marker.args:
            pytest.fail(
                f"@pytest.mark.gradcheck got {marker.args[0]!r} without a name; expected keyword arguments: "
                f"{', '.join(_MARKER_ARGUMENTS)}",
                pytrace=False,
            )
        for name in marker.kwargs:
            if name not in _MARKER_ARGUMENTS:
                pytest.fail(
                    f"@pytest.mark.gradcheck got an unknown argument {name!r}; expected {', '.join(_MARKER_ARGUMENTS)}",
                    pytrace=False,
                )


def settings(item: pytest.Item) -> dict[str, Any]:
    """Return the keyword arguments for a test's checks, as far as they are not given in the call.

    Parameters
    ----------
    item : pytest.Item
        The test.

    Returns
    -------
    dict
        Of the closest marker that has it, else of the command line, else of the ini file; ``"seed"`` always. A seed in
        a marker is taken as it is; the others are the base of the test's own (`seed_of_test`).
    """
    found: dict[str, Any] = {"seed": seed_of_test(base_seed(item.config), item.nodeid)}
    mode = item.config.getoption("gradcheck_mode") or item.config.getini("gradcheck_mode")
    if mode:
        found["mode"] = mode
    closest_last = reversed(list(item.iter_markers("gradcheck")))
    for marker in closest_last:
        found.update(marker.kwargs)
    return found


def base_seed(config: pytest.Config) -> int:
    """Return the seed of the run: the command line's, else the ini file's, else 0."""
    typed = config.getoption("gradcheck_seed")
    return int(config.getini("gradcheck_seed") or 0) if typed is None else int(typed)


def seed_of_test(base: int, nodeid: str) -> int:
    """Return a test's own seed, the same whichever other tests run, in whatever order and process.

    Parameters
    ----------
    base : int
        The seed of the run.
    nodeid : str
        The test.

    Returns
    -------
    int
        0 to 2**32 - 1.

    Examples
    --------
    >>> seed_of_test(0, "test_layers.py::test_relu")
    3896399700
    """
    return zlib.crc32(nodeid.encode(), base % 2**32)


def reproduce(item: pytest.Item, command: str) -> str:
    """Return the command that runs a test's checks again with the same seeds."""
    return f"pytest {command} --gradcheck-seed={base_seed(item.config)}"
