"""What is only unwise fails nothing: it is noted, once, in words that say what it is."""

import numpy as np
import pytest

from gradcheck import Verdict, check_grad, check_jvp, check_layer, check_vjp

X = np.random.default_rng(5).normal(size=(3, 4))
SHARED = "the gradient of {} shares memory with the {}: harmless here, a surprise for whoever changes one"


@pytest.mark.parametrize(
    "backward",
    [lambda dout, x: dout, lambda dout, x: dout[...], lambda dout, x: dout.T.T, lambda dout, x: dout.reshape(x.shape)],
    ids=["itself", "view", "transposed-twice", "reshaped"],
)
def test_returning_the_cotangent_itself_is_a_note(backward):
    report = check_vjp(lambda x: x + 1.0, backward, X)
    assert report.verdict is Verdict.MATCH
    assert report.violations == ()
    assert report.notes == (SHARED.format("x", "cotangent"),)


def test_a_copy_of_the_cotangent_has_no_note():
    assert check_vjp(lambda x: x + 1.0, lambda dout, x: dout.copy(), X).notes == ()


def test_residual_layer_that_returns_dout_is_a_note():
    class Bias:
        def __init__(self):
            self.b = np.ones(4)

        def forward(self, x):
            return x + self.b

        def backward(self, dout):
            self.db = dout.sum(axis=0)
            return dout

    report = check_layer(Bias(), X)
    assert report.verdict is Verdict.MATCH
    assert SHARED.format("x", "cotangent") in report.notes


def test_returning_the_tangent_itself_is_no_failure():
    assert check_jvp(lambda x: x + 1.0, lambda tangents, x: tangents[0], X).verdict is Verdict.MATCH


def test_float32_gradient_in_a_float64_layer_is_a_note():
    report = check_vjp(np.sin, lambda g, x: (g * np.cos(x)).astype(np.float32), X)
    assert report.verdict is Verdict.MATCH, str(report)
    assert "dx has dtype float32, x has float64: precision is lost" in report.notes


def test_float32_gradient_in_a_float64_layer_that_is_wrong_is_no_note():
    report = check_vjp(np.sin, lambda g, x: (1.001 * g * np.cos(x)).astype(np.float32), X)
    assert report.verdict is Verdict.MISMATCH


def test_float32_gradient_of_a_float64_loss_is_a_note():
    report = check_grad(lambda w: np.sum(w**2), lambda w: (2 * w).astype(np.float32), X)
    assert report.verdict is Verdict.MATCH, str(report)
    assert any("precision is lost" in note for note in report.notes)


def test_gradient_under_an_unknown_name_is_a_note():
    report = check_vjp(np.sin, lambda g, x: {"x": g * np.cos(x), "momentum": x}, X, names=["x"])
    assert report.verdict is Verdict.MATCH
    assert any("returned a gradient for 'momentum', which is no input: ignored" in note for note in report.notes)


class Grumpy:
    """A forward that will not have read-only arrays, as compiled code will not; it changes nothing."""

    def __init__(self):
        self.W = np.random.default_rng(0).normal(size=(4, 2))

    def forward(self, x):
        if not (x.flags.writeable and self.W.flags.writeable):
            raise ValueError("buffer source array is read-only")
        self.x = x
        return x @ self.W

    def backward(self, dout):
        if not dout.flags.writeable:
            raise ValueError("assignment destination is read-only")
        self.dW = self.x.T @ dout
        return dout @ self.W.T


def test_layer_that_refuses_read_only_arrays_gets_copies():
    report = check_layer(Grumpy(), X)
    assert report.verdict is Verdict.MATCH, str(report)


def test_layer_that_refuses_read_only_arrays_and_is_wrong_is_caught():
    class Wrong(Grumpy):
        def backward(self, dout):
            dx = super().backward(dout)
            self.dW *= 2
            return dx

    report = check_layer(Wrong(), X)
    assert report.verdict is Verdict.MISMATCH
    assert {c.name for c in report.comparisons if c.verdict is Verdict.MISMATCH} == {"W"}


@pytest.mark.parametrize("refuses", ["forward", "backward"])
def test_function_that_refuses_read_only_arrays_gets_copies(refuses):
    def f(x):
        if refuses == "forward" and not x.flags.writeable:
            raise ValueError("buffer source array is read-only")
        return x**2

    def vjp(g, x):
        if refuses == "backward" and not g.flags.writeable:
            raise ValueError("output array is read-only")
        return 2 * x * g

    assert check_vjp(f, vjp, X).verdict is Verdict.MATCH


def test_writing_to_a_copy_inside_is_nobodys_business():
    def vjp(g, x):
        x = x.copy()
        x[x < 0] = 0
        return np.where(x > 0, g, 0.0)

    assert check_vjp(lambda x: np.maximum(x, 0.0), vjp, X).verdict is Verdict.MATCH


def test_accumulating_in_another_order_is_not_nondeterminism():
    """Threads add in any order: the last bits differ between identical calls, and that is no violation."""
    calls = [0]

    def vjp(g, x):
        calls[0] += 1
        return 2 * x * g * (1 + 2e-16 * (calls[0] % 3))

    assert check_vjp(lambda x: x**2, vjp, X).verdict is Verdict.MATCH
