"""How does the report read as a web page? One self-contained file, plots included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gradcheck.bench.contents import Section
from gradcheck.report.html import environment

__all__ = ["render"]


def render(title: str, sections: Sequence[Section], plots: Mapping[str, str]) -> str:
    """Return sections as one page that loads nothing and runs no script, light or dark as the reader's system asks.

    Parameters
    ----------
    title : str
        Its heading.
    sections : sequence of Section
        Its contents; every text of theirs is escaped.
    plots : mapping of str to str
        SVG elements by the names that the sections call them; those left out are not shown.

    Raises
    ------
    MissingDependencyError
        If jinja2 is not installed.

    Examples
    --------
    >>> "<p>1 &lt; 2</p>" in render("Costs", [Section("Kernels", ["1 < 2"])], {})
    True
    """
    template = environment("gradcheck.bench").get_template("page.html.jinja")
    return template.render(title=title, sections=sections, plots=plots)
