"""Which peers are installed? Loaded on one thread each, so that what is compared is the work and not the cores."""

from __future__ import annotations

import importlib
import importlib.util
import os
from contextlib import contextmanager
from types import ModuleType

from threadpoolctl import threadpool_limits

os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")


def load(name: str) -> ModuleType | None:
    """Return a module on one thread and in both precisions, or None if it is not installed."""
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        return None
    module = importlib.import_module(name)
    if name == "torch":
        module.set_num_threads(1)
    if name == "jax":
        module.config.update("jax_enable_x64", True)
    return module


@contextmanager
def one_thread():
    """Hold BLAS and OpenMP to one thread; libraries loaded later are not."""
    with threadpool_limits(limits=1):
        yield
