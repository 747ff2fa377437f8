"""Which checkers are there? Those installed, each behind one function: problem in, answer out."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping

from benchmarks.detection.tools.tool import Answer, Tool

__all__ = ["SOURCES", "Answer", "Tool", "gather"]

SOURCES = {
    "gradcheck": "ours",
    "torch": "torch_gradcheck",
    "jax": "jax_check_grads",
    "autograd": "autograd_check_grads",
    "scipy": "scipy_check_grad",
    "numpy": "usual_loop",
}
"""The package that each module of this folder needs."""


def gather(sources: Mapping[str, str] | None = None, only: Iterable[str] = ()) -> tuple[list[Tool], list[str]]:
    """Return the checkers whose names begin with one of `only` (all of them if it is empty), and what is missing.

    Packages that are not installed are named, never an error.
    """
    wanted = tuple(part.lower() for part in only)
    tools: list[Tool] = []
    missing: list[str] = []
    for package, module in (SOURCES if sources is None else sources).items():
        try:
            importlib.import_module(package)
        except ModuleNotFoundError as error:
            if error.name != package:
                raise
            missing.append(package)
            continue
        tools += importlib.import_module(f"{__name__}.{module}").tools()
    if not wanted:
        return tools, missing
    return [tool for tool in tools if tool.name.startswith(wanted)], [
        name for name in missing if name.startswith(wanted)
    ]
