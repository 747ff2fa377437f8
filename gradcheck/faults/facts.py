"""What became of the faults? Facts: each fault with its outcome, and the score."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Outcome(StrEnum):
    """What became of a fault."""

    CAUGHT = "caught"
    """The check failed, as it should."""
    EQUIVALENT = "equivalent"
    """No fault: the gradient is the same, to rounding, wherever it was compared."""
    SURVIVED = "survived"
    """The gradient is another one, or nobody has looked at the line, and the check did not fail."""


@dataclass(frozen=True)
class Fault:
    """One small change of a backward pass.

    Attributes
    ----------
    file : str
        Where; it is not changed there.
    line : int
        In it.
    function : str
        The function's qualified name.
    operator : str
        The name of the operator that planted it.
    diff : str
        The lines that differ, before (``- ``) and after (``+ ``).
    source : str
        The whole file's text with the fault.
    span : tuple of int
        The first and the last line of the statement.
    """

    file: str
    line: int
    function: str
    operator: str
    diff: str
    source: str = field(repr=False)
    span: tuple[int, int] = (0, 0)

    @property
    def place(self) -> str:
        """File and line, as editors take them; from the current folder on, if the file is in it."""
        file = Path(self.file)
        return f"{file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file}:{self.line}"


@dataclass(frozen=True)
class Result:
    """What became of one fault.

    Attributes
    ----------
    fault : Fault
        Which.
    outcome : Outcome
        Whether it was caught.
    why : str
        Who caught it, or what is known of one that was not.
    """

    fault: Fault
    outcome: Outcome
    why: str


@dataclass(frozen=True)
class FaultReport:
    """What became of all the faults of a target.

    Attributes
    ----------
    target : str
        In whose backward passes they were planted.
    results : tuple of Result
        In the order of files and lines.
    """

    target: str
    results: tuple[Result, ...]

    def having(self, outcome: Outcome) -> list[Result]:
        """Return the results with an outcome."""
        return [result for result in self.results if result.outcome is outcome]

    @property
    def survivors(self) -> list[Result]:
        """The faults that nobody caught."""
        return self.having(Outcome.SURVIVED)

    @property
    def score(self) -> float:
        """How many in a hundred of the faults that are no equivalents were caught; 100 where there are none.

        Examples
        --------
        >>> FaultReport("layers", ()).score
        100.0
        """
        caught, survived = len(self.having(Outcome.CAUGHT)), len(self.survivors)
        return 100.0 * caught / (caught + survived) if caught + survived else 100.0

    def __str__(self) -> str:
        """Return the one sentence that sums it up."""
        counts = ", ".join(f"{len(self.having(outcome))} {outcome}" for outcome in Outcome)
        return f"{self.target}: {len(self.results)} faults: {counts}; score {self.score:.1f}"
