"""How does a report read as a web page? One self-contained HTML file."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import gradcheck
from gradcheck.errors import MissingDependencyError
from gradcheck.report.facts import Report
from gradcheck.report.lines import lines, singles
from gradcheck.report.text import sentence

__all__ = ["render", "require_jinja2", "write"]

_ROWS = 100
"""Entries shown of one check; the JSON form has all that were kept."""


def write(report: Report, path: str | os.PathLike[str]) -> None:
    """Write a report as one HTML page.

    Parameters
    ----------
    report : Report
        Of one check or of several.
    path : str or path-like
        Where to write, in UTF-8; a file that is there is replaced. The folder must exist.

    Raises
    ------
    MissingDependencyError
        If jinja2 is not installed; nothing is written then.
    OSError
        If the file cannot be written.
    """
    page = render(report)
    Path(path).write_text(page, encoding="utf-8")


def render(report: Report) -> str:
    """Return a report as one HTML page.

    Parameters
    ----------
    report : Report
        Of one check or of several.

    Returns
    -------
    str
        A whole document that loads nothing from elsewhere and runs no script; light or dark as the reader's
        system asks. Every text from the report is escaped.

    Raises
    ------
    MissingDependencyError
        If jinja2 is not installed.

    Examples
    --------
    >>> from gradcheck.report import Report, Verdict
    >>> "&lt;lambda&gt;" in render(Report("<lambda>", Verdict.MATCH))
    True
    """
    require_jinja2()
    import jinja2  # an extra: only those who want a page need it

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["digits"] = lambda value: f"{value:.12e}"
    environment.filters["short"] = lambda value: f"{value:.1e}"
    source = resources.files("gradcheck.report").joinpath("page.html.jinja").read_text(encoding="utf-8")
    checks = sorted(singles(report), key=lambda single: -single.verdict.severity)
    return environment.from_string(source).render(
        report=report,
        sentence=sentence,
        lines=lines(report),
        checks=checks,
        most=_ROWS,
        infinity=float("inf"),
        version=gradcheck.__version__,
    )


def require_jinja2() -> None:
    """Make sure that a page can be rendered, before the work that is to fill it.

    Raises
    ------
    MissingDependencyError
        If jinja2 is not installed; the message names the extra that brings it.
    """
    try:
        import jinja2  # noqa: F401  # an extra: only those who want a page need it
    except ImportError as error:
        raise MissingDependencyError(
            'an HTML report needs jinja2, which is not installed: pip install "gradcheck[report]"'
        ) from error
