"""What does a training step cost? One ``Network.step`` of each port, at several batch sizes.

The ports compute the same gradients (the tests say so); what differs is layout and style.
"""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest

PORTS = ("row_major", "parity", "per_sample_sgd", "class_based", "column_major")
SIZES = {"3-4-1": (3, 4, 1), "32-64-10": (32, 64, 10)}


def problem(port, sizes, batch):
    """Return inputs and targets in the port's own layout."""
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(batch, sizes[0])), rng.integers(0, 2, size=(batch, sizes[-1])).astype(float)
    return (inputs.T.copy(), targets.T.copy()) if port == "column_major" else (inputs, targets)


@pytest.mark.parametrize("batch", [1, 32, 512])
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("port", PORTS)
def test_step(benchmark, port, sizes, batch):
    network = import_module(f"reference_impls.{port}").Network(SIZES[sizes], seed=0)
    X, Y = problem(port, SIZES[sizes], batch)
    benchmark.group = f"{sizes}, batch of {batch}"
    # A rate so small that the network stays where it is: every round does the same work.
    benchmark(network.step, X, Y, 1e-12)
    assert np.isfinite(network.loss(X, Y))
