"""How does the table read? As Markdown, and in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    "hidden accused",
    "hidden missed",
    "errors",
    "forwards",
    "forwards, median",
    "forwards, right",
    "seconds",
)

IN_THE_README = (
    "checker",
    "rows told apart",
    "right accused",
    "accused at kinks",
    "right undecided",
    "wrong missed",
    "wrong undecided",
    "errors",
    "forwards, median",
    "forwards, right",
    "seconds",
)


def rows(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return the cells of the table, a row a checker."""
    return [
        (
            f"{tool['name']} ({tool['version']})",
            f"{tool['rows told apart']:,}",
            f"{tool['right']['passed']:,}",
            f"{tool['right']['accused']:,}",
            f"{tool['right']['accused at kinks']:,}",
            f"{tool['right']['undecided']:,}",
            f"{tool['wrong']['caught']:,}",
            f"{tool['wrong']['missed']:,}",
            f"{tool['wrong']['undecided']:,}",
            f"{tool['hidden']['accused']:,}",
            f"{tool['hidden']['missed']:,}",
            f"{sum(tool[kind]['error'] for kind in ('right', 'wrong', 'hidden')):,}",
            f"{tool['forwards']['total']:,}",
            f"{tool['forwards']['median']:,g}",
            f"{tool['forwards']['median of right']:,g}",
            f"{tool['seconds']:.1f}",
        )
        for tool in found["tools"]
    ]


def table(found: Mapping[str, Any], columns: Sequence[str] = COLUMNS) -> list[str]:
    """Return the lines of the table in Markdown, or of some of its columns."""
    which = [COLUMNS.index(column) for column in columns]
    lines = ["| " + " | ".join(columns) + " |", "| --- |" + " ---: |" * (len(columns) - 1)]
    return lines + ["| " + " | ".join(cells[k] for k in which) + " |" for cells in rows(found)]


def in_words(found: Mapping[str, Any]) -> str:
    """Say what was asked, in one sentence."""
    count = found["problems"]
    return (
        f"{found['rows']:,} rows of `tests/numerics/table` with {count['smooth']:,} right gradients where f is smooth, "
        f"{count['kink']:,} legal subgradients at kinks and {count['wrong']:,} wrong gradients; and {count['hidden']:,} rows where "
        f"f has no derivative or its values hide it, with {count['wrong, hidden']:,} wrong ones"
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
        *table(found),
        "",
        f"Rows told apart, of {found['rows']:,}: the right gradient passed and every wrong one was caught; a checker that accuses",
        "whatever it is shown has caught nothing. Accused: right, and called wrong. Undecided: the checker says that it cannot",
        "say; where f has no derivative or its values hide it (hidden) that is the best answer, and the columns are apart. Errors:",
        "exceptions that are not the checker's way of saying that a gradient is wrong. Forwards: calls of f, in all, in the median,",
        "and in the median of right gradients. Seconds: of the processor, those in f and its pullback too. All checkers were asked",
        "in turn, problem by problem, in one process, with their defaults.",
        "",
        *(
            line
            for tool in found["tools"]
            if tool["not run"]
            for line in (f"Not run by {tool['name']}: {tool['not run']:,}.", "")
        ),
        "## Rows told apart, by topic",
        "",
        "| topic | rows | " + " | ".join(tool["name"] for tool in found["tools"]) + " |",
        "| --- |" + " ---: |" * (1 + len(found["tools"])),
        *(
            f"| {topic.replace('_', ' ')} | {count} | "
            + " | ".join(str(tool["by topic"].get(topic, 0)) for tool in found["tools"])
            + " |"
            for topic, count in found["topics"].items()
        ),
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
    shown = Table(title=in_words(found).replace("`", ""), title_justify="left", box=None, pad_edge=False)
    for k, column in enumerate(COLUMNS):
        shown.add_column(column, justify="right" if k else "left", no_wrap=not k)
    for cells in rows(found):
        shown.add_row(*cells)
    return shown
