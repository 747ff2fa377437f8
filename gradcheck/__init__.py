"""gradcheck tells whether a hand-written backward pass is right, what is wrong with it if not, and how sure it is.

Names are loaded when first used: ``import gradcheck`` costs nothing to those who only have it installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradcheck.case import Case
    from gradcheck.check import check_grad, check_jvp, check_layer, check_vjp
    from gradcheck.discover import check_module
    from gradcheck.errors import (
        ArgumentError,
        CheckFailedError,
        ContractError,
        GradcheckError,
        GradientMismatchError,
        InconclusiveError,
        MissingDependencyError,
        TargetError,
    )
    from gradcheck.faults import check_faults
    from gradcheck.report import Comparison, Explanation, Report, Summary, Verdict, Violation

__version__ = "0.1.0"

_HOMES = {
    "gradcheck.case": ("Case",),
    "gradcheck.check": ("check_grad", "check_jvp", "check_layer", "check_vjp"),
    "gradcheck.discover": ("check_module",),
    "gradcheck.errors": (
        "ArgumentError",
        "CheckFailedError",
        "ContractError",
        "GradcheckError",
        "GradientMismatchError",
        "InconclusiveError",
        "MissingDependencyError",
        "TargetError",
    ),
    "gradcheck.faults": ("check_faults",),
    "gradcheck.report": ("Comparison", "Explanation", "Report", "Summary", "Verdict", "Violation"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "ArgumentError",
    "Case",
    "CheckFailedError",
    "Comparison",
    "ContractError",
    "Explanation",
    "GradcheckError",
    "GradientMismatchError",
    "InconclusiveError",
    "MissingDependencyError",
    "Report",
    "Summary",
    "TargetError",
    "Verdict",
    "Violation",
    "check_faults",
    "check_grad",
    "check_jvp",
    "check_layer",
    "check_module",
    "check_vjp",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'gradcheck' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
