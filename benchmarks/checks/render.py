"""How does the table read? Ratios to one forward and one backward, with the forwards behind them; in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.checks.measure import exponent

_ROUND = 100  # ratios from here on are shown without a decimal


def table(facts: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """Return the lines of a table, a row a checker and a column a problem: ratio (forwards).

    A dash where it was not asked, since that would take minutes.
    """
    lines = ["| checker | " + " | ".join(f"{each['family']} {each['size']}" for each in facts) + " |"]
    lines.append("| --- |" + " ---: |" * len(facts))
    units = ["one forward and backward", *(_seconds(each["seconds"]) for each in facts)]
    lines.append("| " + " | ".join(units) + " |")
    return lines + ["| " + " | ".join([name, *(_cell(each, name) for each in facts)]) + " |" for name in names]


def exponents(facts: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """Return the lines of the table of exponents, a column a family."""
    families = list(dict.fromkeys(each["family"] for each in facts))
    lines = ["| checker | " + " | ".join(families) + " |", "| --- |" + " ---: |" * len(families)]
    for name in names:
        grows = [exponent(facts, family, name) for family in families]
        lines.append("| " + " | ".join([name, *("-" if each is None else f"{each:.2f}" for each in grows)]) + " |")
    return lines


def markdown(found: Mapping[str, Any]) -> str:
    """Return the page: the ratios, how costs grow, and how each checker was called."""
    facts, names = found["problems"], list(found["checkers"])
    wrong = [
        f"- {name} on {each['family']} {each['size']}: {cost['answer']}"
        for each in facts
        for name, cost in each["checkers"].items()
        if cost["answer"] != "passed"
    ]
    return "\n".join(
        [
            "# What a check costs",
            "",
            f"Times of one forward and one backward, with forwards in brackets: medians of {found['rounds']} rounds in which all were",
            f"asked in turn, in one process on one thread. Python {found['python']}, NumPy {found['numpy']}, {found['machine']}. A dash:",
            "not asked, since it would take minutes.",
            "",
            *table(facts, names),
            "",
            "## Cost against size",
            "",
            "The exponent of processor time against the number of entries.",
            "",
            *exponents(facts, names),
            "",
            "## How each was called",
            "",
            *(f"- **{name}**: `{call}`" for name, call in found["checkers"].items()),
            "",
            "## Right gradients that did not pass",
            "",
            *(wrong or ["None."]),
            "",
        ]
    )


def _cell(each: Mapping[str, Any], name: str) -> str:
    cost = each["checkers"].get(name)
    return f"{_ratio(cost['ratio'])} ({cost['forwards']:,})" if cost else "-"


def _ratio(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio < _ROUND else f"{float(f'{ratio:.3g}'):,.0f}"


def _seconds(seconds: float) -> str:
    return f"{seconds * 1e6:,.0f} us"
