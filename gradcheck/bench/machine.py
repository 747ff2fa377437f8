"""What was it measured on? The processor, the libraries, and how many threads these have."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from gradcheck.bench.peers import PEERS

__all__ = ["machine"]


def machine() -> dict[str, Any]:
    """Return what times depend on; called where BLAS has the threads that it is measured with.

    Examples
    --------
    >>> sorted(machine())
    ['blas', 'cores', 'processor', 'python', 'system', 'threads', 'versions']
    """
    import numpy as np  # BLAS is loaded with it

    info = importlib.import_module("threadpoolctl").threadpool_info  # an extra, without types

    pools = [pool for pool in info() if pool["user_api"] == "blas"]
    pools = [pool for pool in pools if "numpy" in pool["filepath"]] or pools  # SciPy may have one of its own
    blas = [" ".join(filter(None, (pool["internal_api"], pool["version"], pool.get("architecture")))) for pool in pools]
    versions = {"numpy": np.__version__}
    for package in PEERS.values():
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "blas": ", ".join(blas) or "unknown",
        "threads": max((pool["num_threads"] for pool in pools), default=1),
        "versions": versions,
    }


def _processor() -> str:
    """Return its name: on Linux not what `platform` says, which is the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
