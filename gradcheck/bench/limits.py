"""How fast is this machine? What no kernel, no step and no check can beat, measured in the same run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from gradcheck.bench.facts import Measured
from gradcheck.bench.kernels import DTYPES, NUMBERS
from gradcheck.bench.kernels import limits as limits_of_kernels
from gradcheck.bench.measure import Problem

__all__ = ["Limit", "limits", "problems", "yardsticks"]

SIDE = 1024


@dataclass(frozen=True)
class Limit:
    """One of the machine's."""

    title: str
    seconds: float
    rate: float
    """Operations or bytes in a second; calls, where there are neither."""
    unit: str

    @property
    def text(self) -> str:
        """The rate, as one would say it."""
        if self.unit == "calls":
            return f"{float(f'{self.rate:.3g}'):,.0f} a second"
        return f"{self.rate / 1e9:.3g} G{self.unit}/s"


def problems() -> list[Problem]:
    """Return the matrix product, copies of all sizes, and a call that does next to nothing."""

    def product(dtype: str) -> dict[str, Callable[[], object]]:
        A, B, out = np.ones((SIDE, SIDE), dtype), np.ones((SIDE, SIDE), dtype), np.empty((SIDE, SIDE), dtype)  # noqa: N806
        return {"limit": lambda: A.dot(B, out)}

    def copy(n: int, dtype: str) -> dict[str, Callable[[], object]]:
        return {"limit": limits_of_kernels(n, dtype)["copy"]}

    def call() -> dict[str, Callable[[], object]]:
        return {"limit": limits_of_kernels(1, "float64")["ufunc call"]}

    found = []
    for dtype in DTYPES:
        work = {"dtype": dtype, "unit": "flop", "amount": 2 * SIDE**3}
        found.append(
            Problem("limits", f"matrix product {SIDE} x {SIDE}, {dtype}", partial(product, dtype), "limit", work=work)
        )
        for n in NUMBERS:
            work = {"dtype": dtype, "unit": "B", "amount": 2 * n * np.dtype(dtype).itemsize, "numbers": n}
            title = f"copy of {n:,} numbers, {dtype}"
            found.append(Problem("limits", title, partial(copy, n, dtype), "limit", work=work))
    found.append(Problem("limits", "empty ufunc call", call, "limit", work={"unit": "calls", "amount": 1}))
    return found


def yardsticks() -> dict[str, Callable[[], object]]:
    """Return a call for each part of the machine that may become slower for itself, where others use it as well.

    What calls and loops cost, the memory, the units that multiply matrices and those that work on arrays: work of ours
    is made of these, so that it slows down no more than the one of them that slows down most.
    """
    few, many, side = min(NUMBERS), max(NUMBERS), 128
    z, out, A, product = np.ones(few), np.empty(few), np.ones((side, side)), np.empty((side, side))  # noqa: N806
    return {
        "a call": limits_of_kernels(1, "float64")["ufunc call"],
        "a copy": limits_of_kernels(many, "float64")["copy"],
        "a product": lambda: A.dot(A, product),
        "an exp": lambda: np.exp(z, out),
    }


def limits(measured: Sequence[Measured]) -> list[Limit]:
    """Return the limits among what was measured."""
    found = []
    for each in measured:
        if each.section == "limits":
            seconds = each.costs["limit"].second
            found.append(Limit(each.title, seconds, each.work["amount"] / seconds, each.work["unit"]))
    return found
