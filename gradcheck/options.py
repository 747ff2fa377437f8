"""What did the user ask for? The keyword arguments that all checks share, validated."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from gradcheck.errors import ArgumentError
from gradcheck.workers import require_workers

Mode = Literal["auto", "full", "fast"]
Method = Literal["central", "complex-step"]


def _now() -> float:
    return time.perf_counter()


@dataclass(frozen=True)
class Options:
    """The keyword arguments that all checks share, validated."""

    mode: Mode = "auto"
    rtol: float | None = None
    seed: int = 0
    budget: int | None = None
    allow_kinks: bool = True
    contract: bool = True
    method: Method = "central"
    time_limit: float | None = None
    workers: Any = field(default=None, compare=False)
    pattern: Mapping[str, Any] | None = field(default=None, compare=False)
    started: float = field(default_factory=_now, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Reject what cannot be meant."""
        if not isinstance(self.mode, str) or self.mode not in ("auto", "full", "fast"):
            raise ArgumentError(f"mode was {self.mode!r}; expected 'auto', 'full' or 'fast'")
        if not isinstance(self.method, str) or self.method not in ("central", "complex-step"):
            raise ArgumentError(f"method was {self.method!r}; expected 'central' or 'complex-step'")
        if self.rtol is not None and not (isinstance(self.rtol, (int, float, np.floating)) and 0 < self.rtol < 1):
            raise ArgumentError(f"rtol was {self.rtol!r}; expected a number between 0 and 1, or None for the default")
        if isinstance(self.seed, bool) or not isinstance(self.seed, (int, np.integer)) or self.seed < 0:
            raise ArgumentError(f"seed was {self.seed!r}; expected a whole number, 0 or more")
        whole = isinstance(self.budget, (int, np.integer)) and not isinstance(self.budget, bool)
        if self.budget is not None and not (whole and self.budget >= 1):
            raise ArgumentError(f"budget was {self.budget!r}; expected a number of forward evaluations, 1 or more")
        seconds = self.time_limit
        real = isinstance(seconds, (int, float, np.integer, np.floating)) and not isinstance(seconds, bool)
        if seconds is not None and not (real and 0 < seconds < math.inf):
            raise ArgumentError(f"time_limit was {seconds!r}; expected a number of seconds, more than 0")
        require_workers(self.workers)
        if self.pattern is not None and not isinstance(self.pattern, Mapping):
            raise ArgumentError(
                f"pattern was {type(self.pattern).__name__}; expected a dict of matrices, by the names of what is"
                " differentiated: {'x': matrix}"
            )

    @property
    def deadline(self) -> float:
        """The reading of `time.perf_counter` at which the time is over; inf if there is no limit."""
        return math.inf if self.time_limit is None else self.started + float(self.time_limit)

    def written(self) -> str:
        """Return the options that matter for running the check again, as they would be typed."""
        parts = [f"seed={self.seed}"]
        if self.mode != "auto":
            parts.append(f"mode={self.mode!r}")
        if self.rtol is not None:
            parts.append(f"rtol={self.rtol!r}")
        if self.method != "central":
            parts.append(f"method={self.method!r}")
        parts += ["pattern=pattern"] if self.pattern else []
        parts += [f"{name}=False" for name in ("allow_kinks", "contract") if not getattr(self, name)]
        return ", ".join(parts)
