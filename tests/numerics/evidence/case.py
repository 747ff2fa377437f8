"""What is a case: a right gradient that was accused once, or a wrong one that passed, and what must be said of both."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck import Verdict

MISMATCH, MATCH, KINK, UNDECIDED = Verdict.MISMATCH, Verdict.MATCH, Verdict.KINK, Verdict.INCONCLUSIVE


def tanh32(x):
    return np.tanh(x.astype(np.float32)).astype(np.float64)


def tanh_slope(x):
    return 1 - np.tanh(x) ** 2


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def log_softmax(x):
    shifted = x - x.max()
    return shifted - np.log(np.exp(shifted).sum())


@dataclass(frozen=True, eq=False)
class Case:
    """A right gradient at a point, what may be said of it, and wrong ones with what must be."""

    id: str
    f: Callable[..., Any]
    vjp: Callable[..., Any]
    inputs: tuple[Any, ...]
    why: str
    verdicts: set[Verdict]
    wrong: dict[Callable[[Any], Any], set[Verdict]] = field(default_factory=dict)
    seed: int = 0
    mode: str = "full"


def far_off(g):
    return g + 1.0
