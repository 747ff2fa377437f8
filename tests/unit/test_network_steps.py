"""Does a training step allocate nothing after the first, and compute nothing that nobody asked for?"""

import copy
import pickle
import threading
import tracemalloc

import numpy as np
import pytest

from reference_impls import class_based, column_major, kernels, parity, per_sample_sgd, row_major
from reference_impls.kernels._blocks import _SCRATCH, KEPT, scratch

PORTS = [row_major, parity, per_sample_sgd, class_based, column_major]
SIZES, EXAMPLES = [300, 200, 150], 256
SMALLEST = 150 * 200 * 8
"""Bytes of the smallest array of the problem, biases aside."""

by_port = pytest.mark.parametrize("port", PORTS, ids=lambda port: port.__name__.rpartition(".")[2])


def problem(port, sizes=SIZES, n=EXAMPLES):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(n, sizes[0])), rng.integers(0, 2, (n, sizes[-1])).astype(float)
    return (X.T.copy(), Y.T.copy()) if port is column_major else (X, Y)


def peak(call):
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@by_port
def test_no_temporaries_after_the_first_step(port):
    network = port.Network(SIZES)
    X, Y = problem(port)
    assert peak(lambda: network.step(X, Y, 1e-3)) > SMALLEST
    assert peak(lambda: network.step(X, Y, 1e-3)) < SMALLEST / 2
    network.fit(X, Y, epochs=1, learning_rate=1e-3)  # has a loss, too
    assert peak(lambda: network.fit(X, Y, epochs=3, learning_rate=1e-3)) < SMALLEST / 2


@by_port
def test_catches_a_step_that_allocates(port, monkeypatch):
    """One activation that is not written in place suffices."""
    network = port.Network(SIZES)
    X, Y = problem(port)
    network.step(X, Y, 1e-3)
    if port is per_sample_sgd:
        monkeypatch.setattr(kernels.one_by_one, "scratch", lambda shape, dtype, slot=0: np.empty(shape, dtype))
        assert peak(lambda: network.step(X, Y, 1e-3)) > SMALLEST / 2
        return
    name = "sigmoid" if port is parity else "relu"
    original = getattr(port, name)
    monkeypatch.setattr(port, name, lambda z, *, out=None: original(z))
    assert peak(lambda: network.step(X, Y, 1e-3)) > SMALLEST / 2


@by_port
def test_batches_of_another_size_are_no_trouble(port):
    network, fresh = port.Network([4, 5, 2], seed=1), port.Network([4, 5, 2], seed=1)
    for n in (3, 7, 1, 3):
        X, Y = problem(port, [4, 5, 2], n)
        network.step(X, Y, 0.1)
        copy.deepcopy(fresh).step(X, Y, 0.1)
        fresh = pickle.loads(pickle.dumps(fresh))  # without the buffers
        fresh.step(X, Y, 0.1)
    for name, values in network.parameters.items():
        np.testing.assert_array_equal(values, fresh.parameters[name])


def test_buffers_are_left_out_of_copies_and_pickles():
    network = row_major.Network(SIZES)
    network.step(*problem(row_major), 1e-3)
    without = len(pickle.dumps(row_major.Network(SIZES)))
    assert len(pickle.dumps(network)) == without
    assert copy.deepcopy(network)._buffers is None


@by_port
def test_parameters_of_another_dtype_take_a_step_too(port):
    network, plain = (port.Network([4, 5, 2], seed=1, dtype=dtype) for dtype in (np.float32, np.float64))
    X, Y = problem(port, [4, 5, 2], 6)
    for name, values in plain.parameters.items():
        network.parameters[name] = values.astype(np.float32).astype(float)
    network.step(X, Y, 0.1)
    plain.step(X, Y, 0.1)
    for name, values in network.parameters.items():
        assert values.dtype == float
        np.testing.assert_allclose(values, plain.parameters[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("port", "owner", "name"),
    [
        (row_major, row_major, "linear_input_gradient"),
        (parity, parity, "linear_input_gradient"),
        (class_based, kernels, "linear_input_gradient"),
        (column_major, kernels, "linear_columns_input_gradient"),
        (per_sample_sgd, kernels.one_by_one, "linear_input_gradient"),
    ],
)
@pytest.mark.parametrize("sizes", [[4, 1], [4, 3, 1], [4, 3, 2, 1]])
def test_nobody_computes_the_gradient_of_the_networks_input(monkeypatch, port, owner, name, sizes):
    calls = []
    original = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *args, **options: calls.append(1) or original(*args, **options))
    port.Network(sizes).step(*problem(port, sizes, 1), 0.1)
    assert len(calls) == len(sizes) - 2


def test_asked_for_it_is_there():
    layer = class_based.LinearLayer(3, 2)
    layer.forward(np.ones((4, 3)))
    assert layer.backward(np.ones((4, 2))).shape == (4, 3)
    assert row_major.linear_backward(np.ones((4, 2)), np.ones((4, 3)), np.ones((3, 2)))[0].shape == (4, 3)


def test_scratch_is_forgotten_in_the_end_and_not_while_it_is_used():
    used = scratch((3,), np.float64, 7)
    for n in range(5, 3 * KEPT):
        scratch((n,), np.float64, 7)
        assert scratch((3,), np.float64, 7) is used
    kept = len(_SCRATCH.recent) + len(_SCRATCH.before)
    assert kept <= 2 * KEPT
    other = []
    thread = threading.Thread(target=lambda: other.append(scratch((3,), np.float64, 7)))
    thread.start()
    thread.join()
    assert other[0] is not used
