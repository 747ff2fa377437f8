"""Each clause of the contract of an object with forward and backward, broken once, beside its correct twin."""

import copy

import numpy as np
import pytest

from gradcheck import Verdict, check_layer

RNG = np.random.default_rng(11)
X = RNG.normal(size=(5, 3))


class Dense:
    """The correct twin: every fault below overrides what it needs."""

    def __init__(self):
        rng = np.random.default_rng(3)
        self.W, self.b = rng.normal(size=(3, 2)), rng.normal(size=(1, 2))
        self.dW = self.db = self.X = None

    def forward(self, X):
        self.X = X
        return X @ self.W + self.b

    def backward(self, dout):
        self.dW = self.X.T @ dout
        self.db = dout.sum(axis=0, keepdims=True)
        return dout @ self.W.T


class Transposed(Dense):
    def backward(self, dout):
        dX = super().backward(dout)
        self.dW = self.dW.T
        return dX


class BiasNotSummed(Dense):
    def backward(self, dout):
        dX = super().backward(dout)
        self.db = dout
        return dX


class TwoGradients(Dense):
    def backward(self, dout):
        dX = super().backward(dout)
        return dX, dX, dX, dX, dX


class IntegerGradient(Dense):
    def backward(self, dout):
        dX = super().backward(dout)
        self.dW = np.round(self.dW).astype(int)
        return dX


class NotFinite(Dense):
    def backward(self, dout):
        dX = super().backward(dout)
        self.dW[1, 0] = np.nan
        return dX


class ChangesInput(Dense):
    def forward(self, X):
        X -= X.mean(axis=0)
        return super().forward(X)


class ChangesInputBehind(Dense):
    def backward(self, dout):
        dX = super().backward(dout)
        self.X *= 0.5
        return dX


class ChangesCotangent(Dense):
    def backward(self, dout):
        dX = super().backward(dout)
        dout /= len(dout)
        return dX


class DecaysInForward(Dense):
    def forward(self, X):
        out = super().forward(X)
        self.W *= 0.9
        return out


class DecaysInBackward(Dense):
    def backward(self, dout):
        dX = super().backward(dout)
        self.W *= 0.9
        return dX


class DropsAtRandom(Dense):
    """Makes a new generator at every call: nothing that could be put back is held between calls."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, X):
        self.calls += 1
        self.mask = np.random.default_rng(self.calls).random((len(X), 2)) < 0.5
        return super().forward(X) * self.mask

    def backward(self, dout):
        return super().backward(dout * self.mask)


class DropsAtRandomInBackward(Dense):
    def __init__(self):
        super().__init__()
        self.rng = np.random.default_rng(0)

    def backward(self, dout):
        return super().backward(dout * (self.rng.random(dout.shape) < 0.5))


class KeepsTheFirstInput(Dense):
    """Keeps what the first forward was given: right once, stale for ever after."""

    def forward(self, X):
        if self.X is None:
            self.X = X.copy()
        return X @ self.W + self.b


class Accumulates(Dense):
    def __init__(self):
        super().__init__()
        self.dW, self.db = np.zeros((3, 2)), np.zeros((1, 2))

    def backward(self, dout):
        self.dW += self.X.T @ dout
        self.db += dout.sum(axis=0, keepdims=True)
        return dout @ self.W.T


FAULTS = [
    (Transposed, "shape", "W", "dW has shape (2, 3), W has (3, 2): it is transposed"),
    (BiasNotSummed, "shape", "b", "db has shape (5, 2), b has (1, 2): the sum over the batch axis is missing"),
    (TwoGradients, "count", "", "Dense.backward returned 5 arrays for 1 input ('X',)"),
    (IntegerGradient, "dtype", "W", "dW has dtype int64, W has float64: a gradient is floating-point"),
    (NotFinite, "finite", "W", "the gradient of W[1, 0] is nan, where f is smooth"),
    (ChangesInput, "mutation", "X", "X was changed in place by the forward: work on a copy"),
    (ChangesInputBehind, "mutation", "X", "X was changed in place by the backward: work on a copy"),
    (
        ChangesCotangent,
        "mutation",
        "cotangent of output",
        "the cotangent of output was changed in place by the backward: work on a copy",
    ),
    (DecaysInForward, "mutation", "W", "W was changed in place by the forward: work on a copy"),
    (DecaysInBackward, "mutation", "W", "W was changed in place by the backward: work on a copy"),
    (DropsAtRandom, "determinism", "output", "two identical forward calls gave different results: output["),
    (DropsAtRandomInBackward, "determinism", None, "two identical backward calls gave different results: d"),
    (KeepsTheFirstInput, "stale", "W", "it uses what an earlier forward cached (stale)"),
    (Accumulates, "accumulation", None, "grows by the same amount with every backward call: it is accumulated (+=)"),
]


@pytest.mark.parametrize(("fault", "kind", "name", "message"), FAULTS, ids=[row[0].__name__ for row in FAULTS])
def test_catches_the_planted_fault(fault, kind, name, message):
    fault = type("Dense", (fault,), {})
    report = check_layer(fault(), X)
    assert report.verdict is Verdict.CONTRACT, str(report)
    assert {violation.kind for violation in report.violations} == {kind}
    if name is not None:
        assert {violation.name.removeprefix("the ") for violation in report.violations} == {name}
    assert any(message in violation for violation in report.violations), report.violations
    assert message in str(report)


def test_correct_twin_passes():
    report = check_layer(Dense(), X)
    assert report.verdict is Verdict.MATCH, str(report)
    assert [summary.name for summary in report.summaries] == ["X", "W", "b"]


def test_accumulation_that_is_declared_passes():
    report = check_layer(Accumulates(), X, accumulates=True)
    assert report.verdict is Verdict.MATCH, str(report)


def test_accumulation_that_can_be_reset_passes():
    class WithZeroGrad(Accumulates):
        def zero_grad(self):
            self.dW[...] = 0
            self.db[...] = 0

    report = check_layer(WithZeroGrad(), X)
    assert report.verdict is Verdict.MATCH, str(report)


def test_accumulation_that_is_wrong_besides_is_still_caught():
    class Halved(Accumulates):
        def backward(self, dout):
            self.dW += 0.5 * self.X.T @ dout
            self.db += dout.sum(axis=0, keepdims=True)
            return dout @ self.W.T

    report = check_layer(Halved(), X, accumulates=True)
    assert report.verdict is Verdict.MISMATCH
    assert {c.name for c in report.comparisons if c.verdict is Verdict.MISMATCH} == {"W"}


@pytest.mark.parametrize(
    "fault", [Dense, ChangesInput, DecaysInForward, DecaysInBackward, Accumulates, KeepsTheFirstInput]
)
def test_users_object_is_left_alone(fault):
    layer = fault()
    before = copy.deepcopy(vars(layer))
    arrays = {name: value for name, value in vars(layer).items() if isinstance(value, np.ndarray)}
    given = X.copy()
    check_layer(layer, given)
    assert np.array_equal(given, X)
    assert vars(layer).keys() == before.keys()
    for name, value in before.items():
        now = vars(layer)[name]
        if isinstance(value, np.ndarray):
            assert now is arrays[name]
            assert now.tobytes() == value.tobytes()
            assert now.flags.writeable
        else:
            assert now == value


def test_stale_cache_promises_nothing_where_the_check_is_told_not_to_look():
    """Without contract= the numbers speak alone: the first forward was at the point itself, so they are right."""
    report = check_layer(KeepsTheFirstInput(), X, contract=False)
    assert report.violations == ()
