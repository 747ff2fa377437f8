"""How does a report read as a web page? One self-contained HTML file."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import gradcheck
from gradcheck.errors import MissingDependencyError
from gradcheck.report.facts import Report
from gradcheck.report.lines import lines, singles
from gradcheck.report.text import sentence

if TYPE_CHECKING:
    import jinja2

__all__ = ["environment", "render", "require_jinja2", "write"]

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
    pages = environment("gradcheck.report")
    pages.filters["digits"] = lambda value: f"{value:.12e}"
    pages.filters["short"] = lambda value: f"{value:.1e}"
    checks = sorted(singles(report), key=lambda single: -single.verdict.severity)
    return pages.get_template("page.html.jinja").render(
        report=report,
        sentence=sentence,
        lines=lines(report),
        checks=checks,
        most=_ROWS,
        infinity=float("inf"),
        version=gradcheck.__version__,
    )


def environment(package: str) -> jinja2.Environment:
    """Return what fills in the templates of a package, and those of this one: ``style.css.jinja``.

    Parameters
    ----------
    package : str
        Where the templates are.

    Raises
    ------
    MissingDependencyError
        If jinja2 is not installed.
    """
    require_jinja2()
    import jinja2  # an extra: only those who want a page need it

    def source(name: str) -> str | None:
        files = (resources.files(place).joinpath(name) for place in (package, "gradcheck.report"))
        return next((file.read_text(encoding="utf-8") for file in files if file.is_file()), None)

    return jinja2.Environment(
        loader=jinja2.FunctionLoader(source),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
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
