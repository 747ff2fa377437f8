"""How does the table read? As Markdown, and in the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

COLUMNS = (
    "checker",
    "rows told apart",
    "right passed",
    "right accused",
    "accused at kinks",
    "right undecided",
    "wrong caught",
    "wrong missed",
    "wrong undecided",
    "errors",
    "not run",
    "forwards",
    "median",
    "seconds",
)


def rows(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the cells of the table, a row a checker."""
    return [
        (
            f"{tool['name']} ({tool['version']})",
            f"{tool['rows']:,}",
            f"{tool['right']['passed']:,}",
            f"{tool['right']['false alarms where f is smooth']:,}",
            f"{tool['right']['false alarms at kinks']:,}",
            f"{tool['right']['inconclusive']:,}",
            f"{tool['wrong']['caught']:,}",
            f"{tool['wrong']['missed']:,}",
            f"{tool['wrong']['inconclusive']:,}",
            f"{tool['right']['error']:,} + {tool['wrong']['error']:,}",
            f"{tool['not run']:,}",
            f"{tool['forwards']['total']:,}",
            f"{tool['forwards']['median']:,g}",
            f"{tool['seconds']:.1f}",
        )
        for tool in found["tools"]
    ]


def in_words(found: Mapping[str, Any]) -> str:
    """Say what was asked, in one sentence."""
    count = found["problems"]
    return (
        f"{count['smooth'] + count['kink']:,} right gradients ({count['smooth']:,} where f is smooth, {count['kink']:,} "
        f"legal subgradients at kinks) and {count['wrong']:,} wrong ones, of the rows in `tests/numerics/table`"
    )


def left_out(found: Mapping[str, Any]) -> list[str]:
    """Say what is missing, a sentence each."""
    return [f"{package} is not installed: left out" for package in found["left out"]]


def markdown(found: Mapping[str, Any]) -> str:
    """Return the page: what was asked, the table, how each checker was called, and what each got wrong, by name."""
    lines = [
        "# What each checker misses, and whom it accuses",
        "",
        f"{in_words(found)}. Python {found['python']}, NumPy {found['numpy']}, {found['machine']}.",
        "",
        *(f"- {sentence}" for sentence in left_out(found)),
        *([""] if found["left out"] else []),
        "| " + " | ".join(COLUMNS) + " |",
        "| --- |" + " ---: |" * (len(COLUMNS) - 1),
        *("| " + " | ".join(cells) + " |" for cells in rows(found)),
        "",
        f"Rows told apart, of {found['rows']:,}: the right gradient passed and every wrong one was caught; a checker that accuses",
        "whatever it is shown has caught nothing. Accused: called wrong, where f is smooth, and at kinks. Undecided: said to be",
        "so. Errors, of right + wrong gradients: exceptions that are not the checker's way of saying that it is wrong. Forwards:",
        "calls of f, in all and in the median. All checkers were asked in turn, problem by problem, in one process.",
        "",
        "## How each was called",
        "",
    ]
    lines += [f"- **{tool['name']}** {tool['version']}: `{tool['call']}`; {tool['note']}" for tool in found["tools"]]
    lines += ["", "## What each got wrong", ""]
    for tool in found["tools"]:
        lines += [f"### {tool['name']}", ""]
        lists = {what: names for what, names in tool["names"].items() if names}
        lines += [f"- {what} ({len(names):,}): {_listed(names)}" for what, names in lists.items()]
        for what, said in (("errors", tool["errors"]), ("not run", tool["not run because"])):
            if said:
                lines.append(f"- {what} ({len(said):,}):")
                lines += [f"  - `{name}`: {detail}" for name, detail in said.items()]
        if not lists and not tool["errors"] and not tool["not run because"]:
            lines.append("Nothing.")
        lines.append("")
    return "\n".join(lines)


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def terminal(found: Mapping[str, Any]) -> Table:
    """Return the same table for the terminal."""
    table = Table(title=in_words(found).replace("`", ""), title_justify="left", box=None, pad_edge=False)
    for k, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if k else "left", no_wrap=not k)
    for cells in rows(found):
        table.add_row(*cells)
    return table
