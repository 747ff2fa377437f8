"""Is a check without teeth told from one that has them? The same faults, under good checks and weak ones."""

from __future__ import annotations

import pytest

from gradcheck.faults import check_faults

LAYERS = """
import numpy as np

def relu(z):
    return np.maximum(z, 0)

def relu_backward(da, z):
    return da * (z > 0)

class Dense:
    def __init__(self, n_in, n_out):
        rng = np.random.default_rng(0)
        self.W, self.b = rng.normal(size=(n_in, n_out)), np.zeros(n_out)
        self.dW = self.db = None

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = _over_examples(dout)
        return dout @ self.W.T

def _over_examples(g):
    return g.sum(axis=0)
"""
CASES = """
def gradcheck_cases():
    from gradcheck import Case
    return [Case.vjp("relu_backward", relu, relu_backward, np.array({point}))]
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write the layers, and what comes after them, into the current folder."""
    monkeypatch.chdir(tmp_path)
    return lambda cases="": (tmp_path / "layers.py").write_text(LAYERS + cases, encoding="utf-8")


def test_every_fault_of_a_right_layer_is_caught_in_its_helpers_too(write):
    write()
    report = check_faults("layers.py")
    assert report.survivors == []
    assert report.score == 100
    assert {result.fault.function for result in report.results} == {"relu_backward", "Dense.backward", "_over_examples"}
    equivalents = {result.fault.diff for result in report.results if result.outcome == "equivalent"}
    assert equivalents == {"- return da * (z > 0)\n+ return da * (z >= 0)"}  # another legal value on the kink


def test_catches_a_check_that_looks_at_one_side_only(write):
    write(CASES.format(point=[0.5, 2.0]))
    survived = {result.fault.diff.split("+ ")[1] for result in check_faults("layers.py").survivors}
    assert survived == {"return da", "return da / (z > 0)"}


def test_good_points_give_the_check_its_teeth(write):
    write(CASES.format(point=[0.5, 2.0, -0.5]))
    assert check_faults("layers.py").survivors == []
