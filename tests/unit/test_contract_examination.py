"""gradcheck.contract: what is a violation, what only a note, and how many calls finding out may cost."""

import numpy as np
import pytest

from gradcheck.contract import examine
from gradcheck.evaluate import Evaluator
from gradcheck.layer import Layer

X = np.linspace(0.5, 2.0, 4)
ONES = {"output": np.ones(4)}


def examined(forward, backward, *, thorough=True, reentrant=True, fresh=None, point=X):
    def call(primals):
        return {"output": forward(primals["x"])}, lambda g: {"x": backward(g["output"], primals["x"])}

    layer = Layer("layer", call, {"x": point}, ("x",), reentrant=reentrant, fresh=fresh)
    evaluator = Evaluator(layer, layer.primals)
    first = evaluator.run(ONES)
    return examine(evaluator, ONES, first, {"x": point}, thorough=thorough), evaluator


def test_a_clean_layer_has_no_findings():
    found, evaluator = examined(lambda x: x**2, lambda g, x: 2 * x * g)
    assert found.violations == []
    assert found.notes == []
    assert np.array_equal(found.result["x"], 2 * X)
    assert evaluator.forward_calls <= 6


@pytest.mark.parametrize(
    ("backward", "kind"),
    [
        (lambda g, x: None, "count"),
        (lambda g, x: g[:2], "shape"),
        (lambda g, x: g.astype(int), "dtype"),
        (lambda g, x: "gradient", "dtype"),
    ],
)
def test_arrays_that_are_not_what_they_should_be(backward, kind):
    found, _ = examined(lambda x: x**2, backward)
    assert [(violation.kind, violation.name) for violation in found.violations] == [(kind, "x")]
    assert "x" not in found.result


def test_broken_arrays_cost_no_further_calls():
    _, evaluator = examined(lambda x: x**2, lambda g, x: g[:2])
    assert evaluator.forward_calls == 1


def test_result_is_a_copy_of_what_the_layer_may_write_into_later():
    buffer = np.zeros(4)

    def backward(g, x):
        np.multiply(2 * x, g, out=buffer)
        return buffer

    found, _ = examined(lambda x: x**2, backward)
    buffer[:] = 0
    assert np.array_equal(found.result["x"], 2 * X)


def test_a_buffer_that_is_used_again_is_no_accumulation():
    buffer = np.zeros(4)

    def backward(g, x):
        np.multiply(2 * x, g, out=buffer)
        return buffer

    assert examined(lambda x: x**2, backward)[0].violations == []


@pytest.mark.parametrize("growth", [1.0, 1e-2, 1e3])
def test_accumulation_of_any_size_is_told_from_chance(growth):
    total = np.zeros(4)

    def backward(g, x):
        total[:] += growth * x * g
        return total.copy()

    found, _ = examined(lambda x: x**2, backward)
    assert [violation.kind for violation in found.violations] == ["accumulation"]


def test_gradients_that_change_otherwise_are_nondeterminism():
    calls = [0]

    def backward(g, x):
        calls[0] += 1
        return x * g * calls[0] ** 2

    found, _ = examined(lambda x: x**2, backward)
    assert [violation.kind for violation in found.violations] == ["determinism"]
    assert "dx[3] first 2, then 8" in found.violations[0]


@pytest.mark.parametrize("bits", [1, 4])
def test_last_bits_may_differ(bits):
    calls = [0]

    def backward(g, x):
        calls[0] += 1
        return 2 * x * g * (1 + bits * 2.2e-16 * (calls[0] % 2))

    assert examined(lambda x: x**2, backward)[0].violations == []


def test_nan_that_stays_nan_is_deterministic():
    assert examined(lambda x: x**2, lambda g, x: np.where(x > 1, np.nan, g))[0].violations == []


def test_nan_that_comes_and_goes_is_not():
    calls = [0]

    def backward(g, x):
        calls[0] += 1
        return np.where((x > 1) & (calls[0] % 2 == 0), np.nan, g * x)

    assert [violation.kind for violation in examined(lambda x: x**2, backward)[0].violations] == ["determinism"]


def test_stale_cache_shows_though_the_derivative_is_right_at_the_point():
    kept = []

    def forward(x):
        kept[:] = [x]
        return x**2

    found, _ = examined(forward, lambda g, x: 2 * kept[0] * g)
    assert [violation.kind for violation in found.violations] == ["stale"]


def test_a_layer_that_promises_no_reentrance_may_keep_its_last_input():
    kept = []

    def forward(x):
        kept[:] = [x]
        return x**2

    assert examined(forward, lambda g, x: 2 * kept[0] * g, reentrant=False)[0].violations == []


def test_neighbouring_point_outside_the_domain_is_no_violation():
    def forward(x):
        if np.any(x != X):
            raise ZeroDivisionError
        return x**2

    assert examined(forward, lambda g, x: 2 * x * g)[0].violations == []


def test_not_thorough_makes_no_further_calls():
    found, evaluator = examined(lambda x: x**2, lambda g, x: 2 * x * g, thorough=False)
    assert found.violations == []
    assert (evaluator.forward_calls, evaluator.backward_calls) == (1, 1)


def test_lower_precision_is_a_note():
    found, _ = examined(lambda x: x**2, lambda g, x: (2 * x * g).astype(np.float32))
    assert found.violations == []
    assert found.notes == ["dx has dtype float32, x has float64: precision is lost"]


def test_higher_precision_is_nothing():
    found, _ = examined(lambda x: x**2, lambda g, x: 2 * x.astype(np.float64) * g, point=X.astype(np.float32))
    assert found.violations == []
    assert found.notes == []
