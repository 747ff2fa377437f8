"""What is a report made of? Sections of paragraphs and tables, and figures as one says them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["NONE", "Section", "Table", "duration", "ratio"]

NONE = "-"


@dataclass
class Table:
    """Rows of text under headings; the first column names, all others are numbers unless said."""

    caption: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    words: int = 1
    """How many columns at the left are words."""

    def __post_init__(self) -> None:
        """Leave out the columns in which nobody has anything."""
        kept = [k for k in range(len(self.headings)) if any(row[k] != NONE for row in self.rows)]
        self.headings = tuple(self.headings[k] for k in kept)
        self.rows = [tuple(row[k] for k in kept) for row in self.rows]


@dataclass(frozen=True)
class Section:
    """A part of the report: its title, paragraphs, tables, the names of its plots, and parts of its own."""

    title: str
    paragraphs: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    plots: list[str] = field(default_factory=list)
    parts: list[Section] = field(default_factory=list)


def duration(seconds: float) -> str:
    """Return seconds in the unit that suits them.

    Examples
    --------
    >>> duration(3.2e-8), duration(0.01234), duration(150.0)
    ('32 ns', '12.3 ms', '150 s')
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{float(f'{seconds / size:.3g}'):,g} {unit}"
    return f"{float(f'{seconds * 1e9:.3g}'):g} ns"


def ratio(value: float | None) -> str:
    """Return a ratio with as many digits as one can use; a dash for None.

    Examples
    --------
    >>> ratio(1.0349), ratio(17.234), ratio(10191.99), ratio(None)
    ('1.03', '17.2', '10,200', '-')
    """
    if value is None:
        return NONE
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f}" if value < 1000 else f"{float(f'{value:.3g}'):,.0f}"
