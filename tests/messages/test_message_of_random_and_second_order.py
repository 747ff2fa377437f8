"""Do reports of random layers, second derivatives and transposes say what was looked at, and what to do?"""

import numpy as np
import pytest

from gradcheck import check_grad, check_layer, check_vjp

X = np.array([[0.5, -1.5], [1.0, 2.0]])


class Dropout:
    def __init__(self):
        self.rng = np.random.default_rng(1)

    def forward(self, x):
        self.mask = self.rng.random(x.shape) < 0.7
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask


class Redraws(Dropout):
    def backward(self, dout):
        return dout * (self.rng.random(dout.shape) < 0.7)


class Counts(Dropout):
    def __init__(self):
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        self.mask = 1.0 * self.calls
        return x * self.mask


def test_message_of_dropout_that_is_right():
    lines = str(check_layer(Dropout(), X)).splitlines()
    assert lines[0] == "MATCH  Dropout: all 4 entries of x agree"
    assert lines[2:] == [
        "  note        the random state of rng was put back before each forward: a fixed mask is checked"
    ]


def test_message_of_a_mask_that_is_drawn_again():
    lines = str(check_layer(Redraws(), X)).splitlines()
    assert lines[0].startswith("MISMATCH  Redraws: ")
    assert lines[-3:] == [
        "  note        the random state of rng was put back before each forward: a fixed mask is checked",
        "  note        the backward draws from rng too: those are other numbers than the forward drew; keep what the"
        " forward drew, and use that",
        "  reproduce   gradcheck.check_layer(Redraws(...), x, seed=0)",
    ]


def test_message_of_a_layer_that_stays_different_from_call_to_call():
    first = str(check_layer(Counts(), X)).splitlines()[0]
    start = "CONTRACT  Counts: two identical forward calls gave different results: output["
    assert first.startswith(start)
    assert first.endswith("; put back before each call what the forward changes (a counter, a generator), with reset=")
    values = first.removeprefix(start).split("; put back")[0]
    assert " first " in values
    assert ", then " in values


def test_message_of_a_wrong_hessian_vector_product():
    def loss(p):
        return np.sum(p["W"] ** 4)

    def grad(p):
        return {"W": 4 * p["W"] ** 3}

    def hvp(p, v):
        return {"W": 4 * p["W"] ** 2 * v["W"]}

    lines = str(check_grad(loss, grad, {"W": X}, order=2, hvp=hvp)).splitlines()
    assert lines[0] == "MISMATCH  grad: 1 of 4 checks failed (1 mismatch)"
    assert [" ".join(line.split()[:6]) for line in lines[2:6]] == [
        "MISMATCH hvp 4 of 4 entries",
        "MATCH grad all 4 entries of",
        "MATCH grad, a step forth all",
        "MATCH grad, a step back all",
    ]
    assert lines[7].startswith("MISMATCH  hvp: 4 of 4 entries of H v of W differ, by up to ")
    assert lines[-1] == "  reproduce   gradcheck.check_grad(loss, grad, params, order=2, hvp=hvp, seed=0)"


def test_message_of_a_gradient_that_is_right_at_the_point_only():
    text = str(check_grad(lambda x: np.sum(x**2), lambda x: 2 * X, X, order=2))
    assert text.startswith("MISMATCH  gradient: 2 of 3 checks failed (2 mismatch)")
    assert (
        "  note        x: right at the point, wrong beside it; whoever differentiates this gradient again gets a wrong"
        " second derivative"
    ) in text.splitlines()


def test_message_of_a_jvp_that_is_no_transpose():
    def jvp(tangents, x):
        return -tangents[0] * np.cos(x)

    report = check_vjp(np.sin, lambda g, x: g * np.cos(x), X, jvp=jvp)
    lines = str(report).splitlines()
    assert lines[0].startswith("MISMATCH  sin: a projection of the Jacobian differs, by ")
    row = report.comparisons[0]
    assert lines[3].startswith("  the Jacobian (projection)  ")
    assert lines[3].endswith(
        f"<J u, v> is {row.analytic:.12g} by the jvp, <u, J^T v> is {row.numerical:.12g} by the vjp,"
        f" {row.error:.2g} apart where {row.allowed:.2g} is allowed: they are not transposes of each other"
    )
    assert row.analytic == pytest.approx(-row.numerical, rel=1e-12)
    assert lines[5:] == [
        "  agrees      x",
        "  note        the vjp agrees with the differences, so the jvp is wrong",
        "  reproduce   gradcheck.check_vjp(sin, vjp, x, jvp=jvp, seed=0)",
    ]
