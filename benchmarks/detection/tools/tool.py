"""What does a checker answer, and what is known of it?"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.detection.problem import Problem


class Answer(enum.StrEnum):
    """What a checker said of one pullback."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    """Raised something that is not its way of saying "wrong"."""
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Tool:
    """One checker, in one of its settings."""

    name: str
    version: str
    call: str
    """How it is called, as one would write it."""
    check: Callable[[Problem], Answer]
    """Answers PASSED, FAILED or INCONCLUSIVE; raises `NotRunError` if it cannot be asked, anything else is an ERROR."""
    note: str = ""
