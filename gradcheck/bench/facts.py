"""What did a benchmark find? Facts, to and from JSON; nothing here measures or decides."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Self

from gradcheck.errors import ArgumentError

__all__ = ["SCHEMA", "Bench", "Cost", "Curve", "Measured", "Notebook", "exponent"]

SCHEMA = 1
"""Of the JSON form; a higher one if its readers have to change."""


@dataclass(frozen=True)
class Cost:
    """What a call costs, block by block."""

    seconds: tuple[float, ...]
    """Of one call: the median of each block."""
    ratios: tuple[float, ...]
    """To the limit in the same block."""
    forwards: int | None = None
    """Evaluations, where the call is a check."""

    @property
    def second(self) -> float:
        """The median of the blocks, in seconds."""
        return median(self.seconds)

    @property
    def ratio(self) -> float:
        """The median of the blocks' ratios to the limit."""
        return median(self.ratios)


@dataclass(frozen=True)
class Measured:
    """What a problem costs each; the fields are those of `gradcheck.bench.measure.Problem`."""

    section: str
    title: str
    limit: str
    ours: tuple[str, ...]
    peers: tuple[str, ...]
    work: dict[str, Any]
    costs: dict[str, Cost]
    yardsticks: dict[str, tuple[float, ...]]
    """Seconds of what was measured beside all problems, block by block."""

    @property
    def best_peer(self) -> str | None:
        """Who of the peers takes the least; None without peers."""
        return min(self.peers, key=lambda who: self.costs[who].ratio, default=None)

    def beside(self, who: str, other: str) -> float:
        """How many times as long as another somebody takes, by the medians of the same blocks.

        Examples
        --------
        >>> costs = {"a": Cost((2.0, 4.0), (1.0, 1.0)), "b": Cost((1.0, 2.0), (0.5, 0.5))}
        >>> Measured("", "", "a", (), (), {}, costs, {}).beside("a", "b")
        2.0
        """
        return median(
            mine / theirs for mine, theirs in zip(self.costs[who].seconds, self.costs[other].seconds, strict=True)
        )


@dataclass(frozen=True)
class Curve:
    """A loss, step by step."""

    steps: tuple[int, ...]
    losses: tuple[float, ...]


@dataclass(frozen=True)
class Notebook:
    """What there is to show of a notebook beside times."""

    name: str
    says: str
    """What it is, in a sentence."""
    compared: str
    """What the curves have in common, in a sentence."""
    written: Curve
    """By the code as it was written."""
    port: Curve
    """By the corrected port, from the same start."""
    printed: Curve
    """What the notebook shows; empty where it shows none."""
    reproduced: float
    """The largest relative difference of the two curves."""
    profile: dict[str, float] = field(default_factory=dict)
    """Which part of a step's time each kernel takes."""


@dataclass(frozen=True)
class Bench:
    """All that a run of ``gradcheck bench`` found."""

    version: str
    date: str
    full: bool
    machine: dict[str, Any]
    missing: tuple[str, ...]
    """Peers that are not installed."""
    measured: tuple[Measured, ...]
    notebooks: tuple[Notebook, ...]
    seconds: float
    """That all of it took, waiting for cores included."""

    def section(self, name: str) -> list[Measured]:
        """Return what was measured for a section of the report."""
        return [each for each in self.measured if each.section == name]

    def to_json(self) -> str:
        """Return the facts as JSON: these fields under their names, and ``schema``."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the facts in the JSON form of `to_json`.

        Raises
        ------
        ArgumentError
            If the text is something else; the message says what.

        Examples
        --------
        >>> Bench.from_json("{}")
        Traceback (most recent call last):
        gradcheck.errors.ArgumentError: is no report of gradcheck bench: it has no "schema"
        """
        try:
            found = json.loads(text)
        except ValueError as error:
            raise ArgumentError(f"is no JSON: {error}") from None
        if not isinstance(found, dict) or "schema" not in found:
            raise ArgumentError('is no report of gradcheck bench: it has no "schema"')
        if (schema := found.pop("schema")) != SCHEMA:
            raise ArgumentError(f"has schema {schema}, expected {SCHEMA}: run gradcheck bench again to make a new one")
        try:
            measured = tuple(_measured(each) for each in found.pop("measured"))
            notebooks = tuple(_notebook(each) for each in found.pop("notebooks"))
            return cls(**{**found, "missing": tuple(found["missing"])}, measured=measured, notebooks=notebooks)
        except (KeyError, TypeError) as error:
            raise ArgumentError(f"is no whole report of gradcheck bench: {error}") from None

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Return the facts in a file.

        Raises
        ------
        ArgumentError
            If it has something else; the message names the file.
        OSError
            If it cannot be read.
        """
        try:
            return cls.from_json(Path(path).read_text(encoding="utf-8"))
        except ArgumentError as error:
            raise ArgumentError(f"{os.fspath(path)} {error}") from None


def _measured(found: dict[str, Any]) -> Measured:
    costs = {
        who: Cost(tuple(cost["seconds"]), tuple(cost["ratios"]), cost["forwards"])
        for who, cost in found["costs"].items()
    }
    lists = {name: tuple(found[name]) for name in ("ours", "peers")}
    yardsticks = {name: tuple(seconds) for name, seconds in found["yardsticks"].items()}
    return Measured(**{**found, **lists, "costs": costs, "yardsticks": yardsticks})


def _notebook(found: dict[str, Any]) -> Notebook:
    curves = {
        name: Curve(tuple(found[name]["steps"]), tuple(found[name]["losses"]))
        for name in ("written", "port", "printed")
    }
    return Notebook(**{**found, **curves})


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float | None:
    """Return the exponent p that fits ``seconds = c * size**p`` best; None of a single size.

    Examples
    --------
    >>> round(exponent([1, 10, 100], [3.0, 300.0, 30000.0]), 12)
    2.0
    >>> exponent([5], [1.0]) is None
    True
    """
    if len(set(sizes)) < 2:
        return None
    x, y = [math.log(size) for size in sizes], [math.log(taken) for taken in seconds]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return slope / sum((a - mean_x) ** 2 for a in x)
