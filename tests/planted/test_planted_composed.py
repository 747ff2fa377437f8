"""Is a model of stages checked part by part, and never called right when it is wrong between them?"""

import numpy as np
import pytest

from gradcheck import Verdict, check_layer

RNG = np.random.default_rng(5)
X = RNG.normal(size=(16, 24))
TARGETS = (RNG.random((16, 3)) < 0.5) * 1.0


class Linear:
    def __init__(self, inputs, outputs, seed):
        rng = np.random.default_rng(seed)
        self.W, self.b = rng.normal(size=(inputs, outputs)) / np.sqrt(inputs), 0.1 * rng.normal(size=outputs)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, g):
        self.dW, self.db = self.x.T @ g, g.sum(axis=0)
        return g @ self.W.T


class WrongLinear(Linear):
    def backward(self, g):
        passed = super().backward(g)
        self.dW[2, 1] *= 1.1
        return passed


class ReLU:
    def forward(self, x):
        self.on = x > 0
        return x * self.on

    def backward(self, g):
        return g * self.on


class Sigmoid:
    def forward(self, x):
        self.a = 1 / (1 + np.exp(-x))
        return self.a

    def backward(self, g):
        return g * self.a * (1 - self.a)


class PassesOn(Sigmoid):
    """Right only behind a loss that gives the gradient by its input: two wrongs make a right."""

    def backward(self, g):
        return g


class Network:
    """Its stages are all there is to it."""

    first, last = Linear, Sigmoid

    def __init__(self):
        self.layers = [self.first(24, 20, 0), ReLU(), Linear(20, 3, 1), self.last()]

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, g):
        for layer in reversed(self.layers):
            g = layer.backward(g)
        return g


class WithWrongStage(Network):
    first = WrongLinear


class WithLoss(Network):
    def forward(self, x):
        self.out = super().forward(x)
        return self.out

    def loss(self, x, targets):
        a = self.forward(x)
        return -np.mean(targets * np.log(a) + (1 - targets) * np.log(1 - a))

    def backward(self, targets):
        return super().backward((self.out - targets) / (self.out * (1 - self.out)) / targets.size)


class WithFusedLoss(WithLoss):
    last = PassesOn

    def backward(self, targets):
        return Network.backward(self, (self.out - targets) / targets.size)


class WithWrongLoss(WithLoss):
    def backward(self, targets):
        return Network.backward(self, (self.out - targets) / targets.size)


class WithDecay(WithLoss):
    """The loss is also a function of a parameter: what the stages give is not all of the gradient."""

    decay = 0.1

    def loss(self, x, targets):
        return super().loss(x, targets) + 0.05 * np.sum(self.layers[0].W ** 2)

    def backward(self, targets):
        passed = super().backward(targets)
        self.layers[0].dW = self.layers[0].dW + self.decay * self.layers[0].W
        return passed


class WithForgottenDecay(WithDecay):
    decay = 0.0


class Between:
    """Linear stages, and functions written out between them."""

    def __init__(self):
        self.one, self.two, self.three = Linear(24, 20, 0), Linear(20, 20, 1), Linear(20, 3, 2)

    def forward(self, x):
        self.h = np.tanh(self.one.forward(x))
        return self.three.forward(self.two.forward(self.h))

    def backward(self, g):
        return self.one.backward(self.two.backward(self.three.backward(g)) * self.slope())

    def slope(self):
        return 1 - self.h**2


class WrongBetween(Between):
    def slope(self):
        return 1 - self.h


class Residual(Between):
    def forward(self, x):
        h = self.one.forward(x)
        return self.three.forward(self.two.forward(h) + h)

    def backward(self, g):
        g = self.three.backward(g)
        return self.one.backward(self.two.backward(g) + g)


class ForgottenResidual(Residual):
    def backward(self, g):
        return self.one.backward(self.two.backward(self.three.backward(g)))


class Doubled(Between):
    """What lies between is a factor, and at zeros it cannot be seen."""

    def __init__(self):
        super().__init__()
        self.one.W[...], self.one.b[...] = 0, 0

    def forward(self, x):
        return self.three.forward(self.two.forward(2 * self.one.forward(x)))

    def backward(self, g):
        return self.one.backward(2 * self.two.backward(self.three.backward(g)))


class ForgottenFactor(Doubled):
    def backward(self, g):
        return self.one.backward(self.two.backward(self.three.backward(g)))


class Tied(Between):
    """The first stage's weights are used again at the end."""

    def __init__(self):
        super().__init__()
        del self.three

    def forward(self, x):
        self.h = self.two.forward(self.one.forward(x))
        return self.h @ self.one.W.T

    def backward(self, g):
        passed = self.one.backward(self.two.backward(g @ self.one.W))
        self.one.dW = self.one.dW + g.T @ self.h
        return passed


class ForgottenTie(Tied):
    def backward(self, g):
        return self.one.backward(self.two.backward(g @ self.one.W))


def checked(model, **keywords):
    if isinstance(model, WithLoss):
        keywords["targets"] = TARGETS
    return check_layer(model, X, mode="full", **keywords)


def by_parts(report):
    return any(note.startswith("checked part by part") for note in report.notes)


@pytest.mark.parametrize("model", [Network, WithLoss, Between])
def test_right_model_costs_the_sum_of_its_stages(model):
    report = checked(model())
    assert report.verdict is Verdict.MATCH, str(report)
    assert by_parts(report)
    assert all(summary.judged == summary.entries for summary in report.summaries)
    assert report.forward_calls <= 400
    assert 0 < report.detection_limit < 1e-3


def test_a_network_of_6273_entries_behind_one_loss_takes_700_forwards():
    class Large(WithLoss):
        def __init__(self):
            self.layers = [Linear(64, 64, 0), ReLU(), Linear(64, 1, 1), Sigmoid()]

    x, targets = np.random.default_rng(0).normal(size=(32, 64)), np.arange(32)[:, None] % 2 * 1.0
    report = check_layer(Large(), x, targets=targets, mode="full")
    assert report.verdict is Verdict.MATCH, str(report)
    assert sum(summary.judged for summary in report.summaries) == 6273
    assert report.forward_calls <= 700


def test_primals_of_the_report_are_the_models_own():
    names = [summary.name for summary in checked(Network()).summaries]
    assert names == ["x", "layers[0].W", "layers[0].b", "layers[2].W", "layers[2].b"]
    assert [summary.name for summary in checked(Between(), wrt=["one.W", "x"]).summaries] == ["one.W", "x"]


@pytest.mark.parametrize("model", [WithFusedLoss, WithDecay, Residual, Doubled, Tied])
def test_right_model_that_is_more_than_its_stages_is_right_as_a_whole(model):
    report = checked(model())
    assert report.verdict is Verdict.MATCH, str(report)


@pytest.mark.parametrize(
    ("model", "wrong"),
    [
        (WithWrongStage, "layers[0].W"),
        (WithWrongLoss, "layers[2].b"),
        (WrongBetween, "one.b"),
        (ForgottenResidual, "one.b"),
        (ForgottenFactor, "one.b"),
        (ForgottenTie, "one.W"),
        (WithForgottenDecay, "layers[0].W"),
    ],
)
def test_wrong_model_is_accused_wherever_the_fault_lies(model, wrong):
    report = checked(model())
    assert report.verdict is Verdict.MISMATCH, str(report)
    assert wrong in {c.name for c in report.comparisons if c.verdict is Verdict.MISMATCH}


def test_the_first_wrong_part_is_named():
    report = checked(WrongBetween())
    (note,) = [note for note in report.notes if "first wrong part" in note]
    assert "from one to two" in note
    report = checked(WithWrongLoss())
    assert any("behind layers[3]" in note for note in report.notes)


def test_only_the_wrong_entry_is_accused():
    report = checked(WithWrongStage())
    assert [c.entry for c in report.comparisons if c.verdict is Verdict.MISMATCH] == ["layers[0].W[2, 1]"]


def test_the_model_is_not_changed():
    model = WithLoss()
    before = {name: array.copy() for name, array in vars(model.layers[0]).items()}
    checked(model)
    assert {name: array.tobytes() for name, array in vars(model.layers[0]).items()} == {
        name: array.tobytes() for name, array in before.items()
    }
    assert "forward" not in vars(model.layers[0])


def test_same_seed_same_report():
    one, other = (checked(Between(), seed=3) for _ in range(2))
    assert one.comparisons == other.comparisons
    assert (one.detection_limit, one.forward_calls) == (other.detection_limit, other.forward_calls)
