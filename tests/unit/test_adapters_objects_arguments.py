"""What the object adapter refuses, notes and keeps: messages, copies, sharing of memory."""

import threading

import numpy as np
import pytest

from gradcheck import Verdict, check_layer
from gradcheck.adapters.graph import copy_object
from gradcheck.adapters.objects import adapt_object
from gradcheck.errors import ArgumentError
from gradcheck.layer import BrokenContract

X = np.random.default_rng(0).normal(size=(4, 3))
W, B = np.random.default_rng(1).normal(size=(3, 2)), np.array([0.5, -1.0])


class Dense:
    def __init__(self):
        self.W, self.b = np.random.default_rng(1).normal(size=(3, 2)), np.zeros(2)

    def forward(self, X):
        self.X = X
        return X @ self.W + self.b

    def backward(self, dout):
        self.dW, self.db = self.X.T @ dout, dout.sum(0)
        return dout @ self.W.T


class Forgets(Dense):
    def backward(self, dout):
        self.db = dout.sum(0)
        return dout @ self.W.T


class LeavesUnset(Forgets):
    def __init__(self):
        super().__init__()
        self.dW = None


class Accumulates(Dense):
    def __init__(self):
        super().__init__()
        self.dW, self.db = np.zeros((3, 2)), np.zeros(2)

    def backward(self, dout):
        self.dW += self.X.T @ dout
        self.db += dout.sum(0)
        return dout @ self.W.T


class WithZeroGrad(Accumulates):
    def zero_grad(self):
        self.dW[...] = 0
        self.db[...] = 0


class Model(Dense):
    def backward(self, y_true):
        return None


class Product:
    def forward(self, x, y):
        self.x, self.y = x, y
        return x * y

    def backward(self, dout):
        return dout * self.y


class Nothing(Product):
    def backward(self, dout):
        return None


class Vector:
    def forward(self, x):
        self.x = x
        return x**2

    def backward(self):
        return 2 * self.x


class Raises(Dense):
    def forward(self, X):
        raise ValueError("boom")


class RaisesBackward(Dense):
    def backward(self, dout):
        raise KeyError("boom")


class Locked(Dense):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


class HoldsModule(Dense):
    def __init__(self):
        super().__init__()
        self.xp = np


def run(layer, primals=None):
    outputs, derivative = layer(primals or layer.primals)
    return outputs, derivative({name: np.ones_like(value) for name, value in outputs.items()})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: adapt_object(Dense, [X]), "Dense is a class; make an object of it first"),
        (lambda: adapt_object(object(), [X]), "layer: object has no forward method"),
        (lambda: adapt_object(Locked(), [X]), "Locked cannot be copied"),
        (lambda: adapt_object(Dense(), [X, X]), "Dense.forward takes 1"),
        (lambda: adapt_object(Product(), [X]), "Product.forward takes 2"),
        (lambda: adapt_object(Model(), [X]), "targets was not given: Model.backward"),
        (lambda: adapt_object(Model(), [X], targets=X), "loss was not given, and Model has no loss method"),
        (lambda: adapt_object(Model(), [X], loss=max), "targets was not given: loss= is called as"),
        (lambda: adapt_object(Dense(), [X], loss=max, targets=X), "takes an upstream gradient, not targets"),
        (lambda: adapt_object(Nothing(), [X, X]), "Nothing.backward returned nothing for its inputs"),
        (lambda: adapt_object(Vector(), [X]), "returned an array of shape (4, 3) where a scalar is needed"),
        (lambda: adapt_object(Dense(), [X], wrt="layer1"), "wrt names 'layer1', which is none of the inputs"),
        (lambda: adapt_object(Product(), [X, X > 0], wrt="y"), "dtype bool: integer and boolean inputs are constants"),
        (lambda: adapt_object(Product(), [X > 0, X > 0]), "nothing to differentiate"),
        (lambda: adapt_object(Dense(), [X], names=["a", "b"]), "names has 2 entries"),
    ],
)  # fmt: skip
def test_refuses_with_a_message_that_names_the_argument(make, message):
    with pytest.raises(ArgumentError) as caught:
        make()
    assert message in str(caught.value)


@pytest.mark.parametrize(("layer", "error"), [(Raises(), ValueError), (RaisesBackward(), KeyError)])
def test_exception_of_the_trial_call_says_where_it_came_from(layer, error):
    with pytest.raises(error) as caught:
        adapt_object(layer, [X])
    assert any("in a trial call with the given inputs" in note for note in caught.value.__notes__)


def test_one_gradient_for_two_inputs_breaks_the_contract():
    layer = adapt_object(Product(), [X, X])
    with pytest.raises(BrokenContract, match=r"Product.backward returned 1 array for 2 inputs \('x', 'y'\)"):
        run(layer)


def forgets_bias(weights="W", bias="b", *, frozen="", at=0):
    """Make a layer that trains its weights, and whose bias the forward adds and the backward forgets."""

    class ForgetsBias:
        def __init__(self):
            setattr(self, weights, [W] if at else W)
            setattr(self, bias, [B] if at else B)
            if frozen:
                setattr(self, frozen, frozen == "frozen")

        def forward(self, X):
            self.X = X
            own, added = (getattr(self, name)[0] if at else getattr(self, name) for name in (weights, bias))
            return X @ own + added

        def backward(self, dout):
            own, gradient = getattr(self, weights), self.X.T @ dout
            setattr(self, f"d{weights}", [gradient] if at else gradient)
            return dout @ (own[0] if at else own).T

    return ForgetsBias()


@pytest.mark.parametrize(
    ("names", "at"), [(("W", "b"), 0), (("W1", "b1"), 0), (("weight_ih", "bias_ih"), 0), (("weights", "biases"), 1)]
)
def test_catches_a_bias_that_is_forgotten_beside_weights_that_are_not(names, at):
    report = check_layer(forgets_bias(*names, at=at), X)
    assert report.verdict is Verdict.CONTRACT, str(report)
    assert [broken.kind for broken in report.violations] == ["count"]
    name = f"{names[1]}[0]" if at else names[1]
    assert str(report.violations[0]).startswith(f"d{name} is missing")
    assert str(report.violations[0]).endswith(f"or leave {name} out with wrt=")


@pytest.mark.parametrize(
    "layer",
    [
        forgets_bias("W", "running_mean"),
        forgets_bias("W", "b2"),
        forgets_bias("b", "W"),
        forgets_bias(frozen="frozen"),
        forgets_bias(frozen="trainable"),
        forgets_bias(frozen="requires_grad"),
    ],
    ids=["a buffer", "another layer's", "the weights are fixed", "frozen", "not trainable", "no gradient required"],
)
def test_what_need_not_be_trained_is_noted_and_fails_nothing(layer):
    report = check_layer(layer, X)
    assert report.ok, str(report)
    assert any("has no gradient" in note for note in report.notes)


def test_a_forgotten_bias_can_be_left_out():
    report = check_layer(forgets_bias(), X, wrt=("X", "W"))
    assert report.verdict is Verdict.MATCH


def test_forgotten_gradient_is_noted():
    layer = adapt_object(Forgets(), [X])
    assert layer.wrt == ("X", "b")
    assert layer.notes[0].startswith("W has no gradient (looked for dW, d_W, grad_W")


def test_gradient_attribute_left_unset_is_claimed_and_missing():
    layer = adapt_object(LeavesUnset(), [X])
    assert layer.wrt == ("X", "W", "b")
    assert run(layer)[1]["W"] is None


def test_object_is_never_changed():
    dense = WithZeroGrad()
    before = {name: np.copy(value) for name, value in vars(dense).items()}
    layer = adapt_object(dense, [X])
    moved = {name: value + 1 for name, value in layer.primals.items()}
    run(layer, moved)
    assert set(vars(dense)) == set(before)
    assert all(np.array_equal(vars(dense)[name], value) for name, value in before.items())


def test_layer_sees_the_very_arrays_it_is_given():
    layer = adapt_object(Dense(), [X])
    run(layer)
    assert layer.call.model.W is layer.primals["W"]
    assert layer.call.model.X is layer.primals["X"]


@pytest.mark.parametrize(
    ("make", "options", "factor"),
    [(Accumulates, {}, 2), (Accumulates, {"accumulates": True}, 1), (WithZeroGrad, {}, 1), (Dense, {}, 1)],
)
def test_accumulation_shows_unless_declared(make, options, factor):
    layer = adapt_object(make(), [X], **options)
    first = run(layer)[1]["W"]
    second = run(layer)[1]["W"]
    np.testing.assert_allclose(second, factor * first)


def test_fresh_layer_has_no_state_of_earlier_calls():
    layer = adapt_object(Accumulates(), [X])
    first = run(layer)[1]["W"]
    np.testing.assert_array_equal(run(layer.fresh())[1]["W"], first)


def test_float32_layer_can_be_evaluated_in_float64():
    dense = Dense()
    dense.W, dense.b = dense.W.astype(np.float32), dense.b.astype(np.float32)
    layer = adapt_object(dense, [X.astype(np.float32)])
    assert {str(value.dtype) for value in layer.primals.values()} == {"float32"}
    wide = {name: value.astype(np.float64) for name, value in layer.primals.items()}
    outputs, gradients = run(layer, wide)
    assert outputs["output"].dtype == gradients["W"].dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_views_of_one_vector_stay_views_in_another_dtype(dtype):
    class Flat(Dense):
        def __init__(self):
            self.theta = np.arange(8.0)
            self.W, self.b = self.theta[:6].reshape(3, 2), self.theta[6:]

        def forward(self, X):
            self.X = X
            return X @ self.theta[:6].reshape(3, 2) + self.theta[6:]

    layer = adapt_object(Flat(), [X])
    moved = {name: (value * 3).astype(dtype) for name, value in layer.primals.items()}
    outputs, _ = run(layer, moved)
    np.testing.assert_array_equal(outputs["output"], moved["X"] @ moved["W"] + moved["b"])
    assert outputs["output"].dtype == dtype


def test_copy_keeps_aliases_views_and_modules():
    dense = HoldsModule()
    dense.params = {"W": dense.W}
    dense.row = dense.W[1]
    dense.turned = dense.W.T
    twin = copy_object(dense)
    assert twin.params["W"] is twin.W is not dense.W
    assert np.shares_memory(twin.row, twin.W)
    assert not np.shares_memory(twin.W, dense.W)
    twin.W[1] = 7
    assert (twin.row == 7).all()
    assert (twin.turned[:, 1] == 7).all()
    assert twin.xp is np


@pytest.mark.parametrize(
    ("wrt", "chosen"), [("W", ("W",)), (0, ("X",)), (["X", "b"], ("X", "b")), (None, ("X", "W", "b"))]
)
def test_wrt_takes_inputs_and_parameters(wrt, chosen):
    assert adapt_object(Dense(), [X], wrt=wrt).wrt == chosen


def test_wrt_takes_the_beginning_of_a_name():
    class Pair:
        def __init__(self):
            self.layers = [Dense(), Dense()]

        def forward(self, x):
            return self.layers[0].forward(x) + self.layers[1].forward(x)

        def backward(self, dout):
            return self.layers[0].backward(dout) + self.layers[1].backward(dout)

    assert adapt_object(Pair(), [X], wrt="layers[1]").wrt == ("layers[1].W", "layers[1].b")


def test_parameter_and_input_of_one_name_are_told_apart():
    class Clash:
        def __init__(self):
            self.b = np.ones(3)

        def forward(self, b):
            return b * self.b

        def backward(self, dout):
            self.db = dout.sum(0)
            return dout * self.b

    assert adapt_object(Clash(), [X]).wrt == ("b", "self.b")


def test_adapter_counts_its_own_calls():
    calls = []

    class Counting(Dense):
        def forward(self, X):
            calls.append("forward")
            return super().forward(X)

        def backward(self, dout):
            calls.append("backward")
            return super().backward(dout)

    layer = adapt_object(Counting(), [X])
    assert layer.trial_calls == (calls.count("forward"), calls.count("backward"))
