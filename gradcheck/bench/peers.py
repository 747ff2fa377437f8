"""Which peers are installed? Loaded on one thread each, so that what is compared is the work and not the cores."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gradcheck.errors import MissingDependencyError

__all__ = ["PEERS", "load", "missing", "one_thread", "require"]

PEERS = {"torch": "torch", "jax": "jax", "sklearn": "scikit-learn", "numba": "numba"}
"""Who is compared with where installed: the module, and the package that has it."""
NEEDED = ("threadpoolctl", "jinja2", "matplotlib")

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")


def load(name: str) -> Any:
    """Return a module on one thread and in both precisions, or None if it is not installed.

    Examples
    --------
    >>> load("math").pi
    3.14...
    >>> load("no_such_package.nn") is None
    True
    """
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        return None
    module = importlib.import_module(name)
    if name == "torch":
        module.set_num_threads(1)
    if name == "jax":
        module.config.update("jax_enable_x64", True)
    return module


def missing() -> list[str]:
    """Return the packages of `PEERS` that are not installed."""
    return [package for name, package in PEERS.items() if importlib.util.find_spec(name) is None]


def require() -> None:
    """Make sure that a benchmark can be run and written, before it takes its minutes.

    Raises
    ------
    MissingDependencyError
        If a package of the extra is not installed; the message names both.
    """
    absent = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if absent:
        raise MissingDependencyError(
            f'a benchmark needs {", ".join(absent)}, not installed here: pip install "gradcheck[bench]"'
        )


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold BLAS and OpenMP to one thread; libraries loaded later are not."""
    threadpool_limits = importlib.import_module("threadpoolctl").threadpool_limits  # an extra, without types

    with threadpool_limits(limits=1):
        yield
