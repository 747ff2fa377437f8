"""How does the report read as Markdown? Its sections in order, without the plots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradcheck.bench.contents import Section, Table

__all__ = ["render"]


def render(title: str, sections: Sequence[Section]) -> str:
    """Return sections as one page.

    Parameters
    ----------
    title : str
        Its first heading.
    sections : sequence of Section
        Its contents.

    Examples
    --------
    >>> print(render("Costs", [Section("Kernels", ["Fast."], [Table("Times", ("who", "ratio"), [("a", "1.0")])])]))
    # Costs
    <BLANKLINE>
    ## Kernels
    <BLANKLINE>
    Fast.
    <BLANKLINE>
    **Times**
    <BLANKLINE>
    | who | ratio |
    | --- | ---: |
    | a | 1.0 |
    <BLANKLINE>
    """
    return "\n".join([f"# {title}", "", *_lines(sections, 2)])


def _lines(sections: Sequence[Section], depth: int) -> Iterator[str]:
    for section in sections:
        yield from (f"{'#' * depth} {section.title}", "")
        for paragraph in section.paragraphs:
            yield from (paragraph, "")
        for table in section.tables:
            yield from (f"**{table.caption}**", "", *_table(table), "")
        yield from _lines(section.parts, depth + 1)


def _table(table: Table) -> Iterator[str]:
    numbers = len(table.headings) - table.words
    yield _row(table.headings)
    yield "|" + " --- |" * table.words + " ---: |" * numbers
    yield from map(_row, table.rows)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
