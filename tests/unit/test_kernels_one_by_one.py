"""Is going through blocks of examples the same as updating after every one, in NumPy, in loops and compiled?"""

import copy
from itertools import pairwise

import numpy as np
import pytest

from reference_impls import kernels, per_sample_sgd
from reference_impls.kernels.one_by_one import (
    EXAMPLES,
    FEW_OUTPUTS,
    _logit_gradients,
    descend_one_by_one,
    loop_pass,
    numpy_pass,
)

# OpenBLAS may compute on what it finds beside small float32 matrices, and NumPy then warns of results that nobody sees.
pytestmark = pytest.mark.filterwarnings("ignore:invalid value encountered in (dot|matmul)")

WIDTHS = [(5, 1), (6, 4, 1), (3, 7, 5, 2), (30, 20, 12)]


def problem(widths, n=11, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=shape).astype(dtype) for shape in pairwise(widths)]
    biases = [rng.normal(size=(1, width)).astype(dtype) for width in widths[1:]]
    return rng.normal(size=(n, widths[0])).astype(dtype), rng.random((n, widths[-1])).astype(dtype), weights, biases


def by_hand(X, Y, weights, biases, rate):
    """Update after each example, from the port's own gradients."""
    names = [f"{name}{i}" for i in range(1, len(weights) + 1) for name in "Wb"]
    parameters = dict(zip(names, (part for pair in zip(weights, biases, strict=True) for part in pair), strict=True))
    for x, y in zip(X, Y, strict=True):
        passed = per_sample_sgd.forward(x[np.newaxis], parameters)
        for name, gradient in per_sample_sgd.backprop(passed, y[np.newaxis], parameters).items():
            parameters[name] -= rate * gradient


def distance(one, other):
    """How far parameters are apart, relative to the largest."""
    return max(
        np.abs(a - b).max() / np.abs(b).max() for a, b in zip([*one[0], *one[1]], [*other[0], *other[1]], strict=True)
    )


def after(descend, task, *args, **options):
    X, Y, *parameters = copy.deepcopy(task)
    descend(X, Y, *parameters, *args, **options)
    return parameters


@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 1e-13), (np.float32, 5e-5)])
@pytest.mark.parametrize("examples", [1, 2, 4, 11, 64])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
def test_blocks_are_updating_after_each(widths, examples, dtype, bound):
    task = problem(widths, dtype=dtype)
    expected = after(by_hand, task, 0.1)
    assert distance(after(descend_one_by_one, task, 0.1, examples=examples), expected) < bound
    assert distance(after(descend_one_by_one, task, 0.1, one_pass=loop_pass, examples=examples), expected) < bound


def test_a_block_of_one_is_exact():
    task = problem((6, 4, 1))
    expected = after(by_hand, task, 0.1)
    assert distance(after(descend_one_by_one, task, 0.1, examples=1), expected) == 0
    assert distance(after(descend_one_by_one, task, 0.1), expected) == 0  # the default, for so few weights


def test_catches_a_pass_that_forgets_the_past():
    """Without the sums it is a step on the whole block, which is far from the same."""

    def forgetful(weights, biases, inputs, cotangents, Y, rate):
        numpy_pass(weights, biases, inputs, cotangents, Y, rate * 0)

    task = problem((6, 4, 1))
    assert distance(after(descend_one_by_one, task, 0.1, one_pass=forgetful), after(by_hand, task, 0.1)) > 1e-3


def test_the_order_matters():
    X, Y, *parameters = problem((6, 4, 1))
    assert (
        distance(after(by_hand, (X, Y, *parameters), 0.1), after(by_hand, (X[::-1], Y[::-1], *parameters), 0.1)) > 1e-4
    )
    there, back = (after(descend_one_by_one, (X[::s], Y[::s], *parameters), 0.1, examples=11) for s in (1, -1))
    assert distance(there, back) > 1e-4


def test_many_examples_and_weights_in_several_blocks():
    task = problem((700, 200, 1), n=2 * EXAMPLES + 5)  # the first weights are more than a block of elements
    assert task[2][0].size > kernels._blocks.BLOCK
    assert distance(after(descend_one_by_one, task, 0.01), after(by_hand, task, 0.01)) < 1e-12


def test_nothing_happens_without_examples_or_rate():
    task = problem((6, 4, 1))
    assert distance(after(descend_one_by_one, task, 0.0), task[2:]) == 0
    X, Y, *parameters = task
    assert distance(after(descend_one_by_one, (X[:0], Y[:0], *parameters), 0.1), parameters) == 0


def test_a_nan_spoils_what_comes_after_it():
    X, Y, *parameters = problem((6, 4, 1), n=3)
    X[1, 2] = np.nan
    for one_pass in (numpy_pass, loop_pass):
        weights, _ = after(descend_one_by_one, (X, Y, *parameters), 0.1, one_pass=one_pass)
        assert np.isnan(weights[-1]).all()


def test_any_layout_and_dtype_of_the_parameters():
    X, Y, weights, biases = problem((30, 20, 3))
    expected = after(by_hand, (X, Y, weights, biases), 0.1)
    laid = [np.asfortranarray(weights[0]), np.repeat(weights[1], 2, axis=1)[:, ::2]]
    for examples in (4, 64):
        found = after(descend_one_by_one, (X[:, ::-1][:, ::-1], Y, laid, biases), 0.1, examples=examples)
        assert distance(found, expected) < 1e-13
    low = (X.astype(np.float32), Y.astype(np.float32), weights, biases)
    assert distance(after(descend_one_by_one, low, 0.1), expected) < 1e-5


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_compiled(dtype):
    pytest.importorskip("numba")
    task = problem((30, 20, 3), n=70, dtype=dtype)
    compiled = after(descend_one_by_one, task, 0.1, one_pass=kernels.compiled_pass())
    assert distance(compiled, after(by_hand, task, 0.1)) < (1e-12 if dtype is np.float64 else 5e-4)


def test_network_compiled():
    pytest.importorskip("numba")
    plain, compiled = per_sample_sgd.Network([6, 4, 1], seed=1), per_sample_sgd.Network([6, 4, 1], seed=1).compile()
    X, Y, *_ = problem((6, 4, 1))
    X.setflags(write=False)
    expected = plain.fit(X, Y, epochs=3, learning_rate=0.1)
    np.testing.assert_allclose(compiled.fit(X, Y, epochs=3, learning_rate=0.1), expected, rtol=1e-12)
    copy.deepcopy(compiled).step(X, Y, 0.1)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_few_logits_are_many_to_the_last_bit(dtype):
    rng = np.random.default_rng(0)
    z = np.concatenate([[0.0, -0.0, np.inf, -np.inf, np.nan, 800, -800], 9 * rng.normal(size=500)]).astype(dtype)
    y = np.where(rng.random(len(z)) < 0.5, rng.random(len(z)), rng.integers(0, 2, len(z))).astype(dtype)
    expected = kernels.bce_with_logits_backward(z, y)
    for i in range(len(z) - 1):
        few = z[np.newaxis, i : i + 2].copy()
        assert few.size <= FEW_OUTPUTS
        _logit_gradients(few, y[np.newaxis, i : i + 2])
        np.testing.assert_array_equal(few[0], expected[i : i + 2])
