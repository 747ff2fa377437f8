"""Do the five ports keep the promises of their common interface?"""
# X and Y are matrices

import copy
import pickle

import numpy as np
import pytest

from reference_impls import class_based, column_major, parity, per_sample_sgd, row_major

PORTS = [row_major, parity, per_sample_sgd, class_based, column_major]
SIZES = ([3, 4, 1], [2, 1], [2, 3, 4, 2])


@pytest.fixture(params=PORTS, ids=lambda port: port.__name__.rpartition(".")[2])
def port(request):
    return request.param


def examples(port, sizes, n=5, seed=0):
    """Return X and Y in the port's layout."""
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(n, sizes[0])), rng.integers(0, 2, (n, sizes[-1]))
    return (X.T, Y.T) if port is column_major else (X, Y)


def numerical_gradient(network, X, Y, h=1e-6):
    result = {}
    for name, values in network.parameters.items():
        result[name] = np.zeros_like(values)
        for index in np.ndindex(values.shape):
            kept = values[index]
            values[index] = kept + h
            up = network.loss(X, Y)
            values[index] = kept - h
            result[name][index] = (up - network.loss(X, Y)) / (2 * h)
            values[index] = kept
    return result


@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("sizes", SIZES)
def test_gradients_are_those_of_the_loss(port, sizes, n):
    network = port.Network(sizes, seed=3)
    for values in network.parameters.values():
        values[...] = np.random.default_rng(4).normal(size=values.shape)
    X, Y = examples(port, sizes, n)
    gradients, numerical = network.gradients(X, Y), numerical_gradient(network, X, Y)
    assert list(gradients) == list(network.parameters)
    for name, gradient in gradients.items():
        assert gradient.shape == network.parameters[name].shape
        np.testing.assert_allclose(gradient, numerical[name], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("sizes", SIZES)
def test_shapes(port, sizes):
    X, Y = examples(port, sizes)
    network = port.Network(sizes)
    assert network.forward(X).shape == Y.shape
    assert np.ndim(network.loss(X, Y)) == 0
    assert network.layer_sizes == tuple(sizes)


def test_float32_stays_float32(port):
    network = port.Network([3, 4, 2], dtype=np.float32)
    X, Y = examples(port, [3, 4, 2])
    losses = network.fit(X, Y, epochs=2, learning_rate=np.float64(0.1))
    everything = [
        *network.parameters.values(),
        *network.gradients(X, Y).values(),
        network.forward(X),
        network.loss(X, Y),
        *losses,
    ]
    assert {values.dtype for values in everything} == {np.dtype(np.float32)}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_no_warning_and_no_nan_at_any_scale(port, scale, dtype):
    network = port.Network([3, 4, 2], dtype=dtype)
    X, Y = examples(port, [3, 4, 2])
    results = [
        network.forward(X * scale),
        network.loss(X * scale, Y),
        *network.gradients(X * scale, Y).values(),
    ]
    assert all(np.isfinite(values).all() for values in results)


def test_seed_decides(port):
    one, same, other, from_generator = (
        port.Network([3, 4, 1], seed=seed) for seed in (0, 0, 1, np.random.default_rng(0))
    )
    first = next(iter(one.parameters))
    assert (one.parameters[first] == same.parameters[first]).all()
    assert (one.parameters[first] == from_generator.parameters[first]).all()
    assert (one.parameters[first] != other.parameters[first]).any()


def test_parameters_are_live(port):
    network = port.Network([3, 4, 1], seed=5)
    X, Y = examples(port, [3, 4, 1])
    before = network.loss(X, Y)
    kept = {name: values.copy() for name, values in network.parameters.items()}
    for name in kept:
        network.parameters[name] += 0.5
    assert network.loss(X, Y) != before
    network.parameters.update(kept)  # put in the arrays' place, not only written into them
    assert network.loss(X, Y) == before
    network.step(X, Y, 0.1)
    assert any((kept[name] is values) and network.loss(X, Y) != before for name, values in network.parameters.items())


@pytest.mark.parametrize("port", [port for port in PORTS if port is not per_sample_sgd])
def test_full_batch_step_is_one_step_down_the_gradient(port):
    network = port.Network([3, 4, 2], seed=1)
    X, Y = examples(port, [3, 4, 2])
    gradients = network.gradients(X, Y)
    before = {name: values.copy() for name, values in network.parameters.items()}
    network.step(X, Y, learning_rate=0.1)
    for name, values in network.parameters.items():
        step = 0.1 * gradients[name]
        # the rate may have been multiplied with the cotangent, whose products with the inputs may cancel
        atol = 4 * np.finfo(float).eps * max(np.abs(before[name]).max(), np.abs(step).max())
        np.testing.assert_allclose(values, before[name] - step, rtol=1e-14, atol=atol)


def test_per_sample_step_updates_after_each_example_in_order():
    network, by_hand = (per_sample_sgd.Network([3, 4, 1], seed=1) for _ in range(2))
    X, Y = examples(per_sample_sgd, [3, 4, 1])
    network.step(X, Y, learning_rate=0.1)
    for i in range(len(X)):
        gradients = by_hand.gradients(X[i : i + 1], Y[i : i + 1])
        for name, gradient in gradients.items():
            by_hand.parameters[name] -= 0.1 * gradient
    for name, values in network.parameters.items():
        np.testing.assert_array_equal(values, by_hand.parameters[name])


def test_per_sample_layouts_are_the_same_network():
    network = per_sample_sgd.Network([3, 4, 1], seed=1)
    X, Y = examples(per_sample_sgd, [3, 4, 1])
    stack = X[:, np.newaxis]
    assert network.loss(X, Y) == network.loss(stack, Y[:, 0]) == network.loss(stack, Y[:, np.newaxis])
    assert network.forward(X).shape == (5, 1)
    assert network.forward(stack).shape == (5, 1, 1)


def test_fit_returns_the_loss_before_each_step(port):
    network, stepped = (port.Network([3, 4, 1], seed=2) for _ in range(2))
    X, Y = examples(port, [3, 4, 1])
    losses = network.fit(X, Y, epochs=4, learning_rate=0.05)
    for loss in losses:
        assert loss == pytest.approx(stepped.loss(X, Y), rel=1e-14)
        stepped.step(X, Y, 0.05)
    assert len(losses) == 4
    assert network.fit(X, Y, epochs=0, learning_rate=0.05) == []


def test_inputs_and_parameters_are_left_alone(port):
    network = port.Network([3, 4, 1])
    X, Y = examples(port, [3, 4, 1])
    X.setflags(write=False)
    Y.setflags(write=False)
    before = copy.deepcopy(network.parameters)
    network.forward(X)
    network.loss(X, Y)
    network.gradients(X, Y)
    for name, values in network.parameters.items():
        np.testing.assert_array_equal(values, before[name])
    network.fit(X, Y, epochs=2, learning_rate=0.1)


def test_gradients_survive_later_calls(port):
    network = port.Network([3, 4, 1])
    X, Y = examples(port, [3, 4, 1])
    gradients = network.gradients(X, Y)
    kept = copy.deepcopy(gradients)
    network.gradients(2 * X, Y)
    network.step(X, Y, 0.1)
    for name, values in gradients.items():
        np.testing.assert_array_equal(values, kept[name])


def test_at_other_parameters_leaves_the_network_alone(port):
    network = port.Network([3, 4, 1])
    X, Y = examples(port, [3, 4, 1])
    before = network.loss(X, Y)
    other = network.at({name: values + 1 for name, values in network.parameters.items()})
    assert other.loss(X, Y) != before
    assert network.loss(X, Y) == before
    name, values = next(iter(network.parameters.items()))
    with pytest.raises(ValueError, match="expected among"):
        network.at({"nonsense": values})
    with pytest.raises(ValueError, match="has shape"):
        network.at({name: values[:-1]})


def test_copies_and_pickles_are_independent(port):
    network = port.Network([3, 4, 1])
    X, Y = examples(port, [3, 4, 1])
    before = network.loss(X, Y)
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert twin.loss(X, Y) == before
        twin.fit(X, Y, epochs=3, learning_rate=0.1)
        assert twin.loss(X, Y) != before
        assert network.loss(X, Y) == before


@pytest.mark.parametrize("sizes", [[], [3], [3, 0, 1], [3, -1], [2.5, 1], 3, "31", None])
def test_bad_layer_sizes(port, sizes):
    with pytest.raises(ValueError, match=r"layer_sizes=.*two positive integers"):
        port.Network(sizes)


@pytest.mark.parametrize("dtype", [int, complex, object, "nonsense"])
def test_bad_dtype(port, dtype):
    with pytest.raises(ValueError, match=r"dtype=.*floating"):
        port.Network([2, 1], dtype=dtype)


@pytest.mark.parametrize("seed", [-1, "three", 0.5])
def test_bad_seed(port, seed):
    with pytest.raises(ValueError, match=r"seed=.*non-negative"):
        port.Network([2, 1], seed=seed)


@pytest.mark.parametrize("rate", [np.nan, np.inf, "fast", None])
def test_bad_learning_rate(port, rate):
    X, Y = examples(port, [2, 1])
    with pytest.raises(ValueError, match=r"learning_rate=.*finite"):
        port.Network([2, 1]).step(X, Y, rate)


@pytest.mark.parametrize("epochs", [-1, 2.5, "ten"])
def test_bad_epochs(port, epochs):
    X, Y = examples(port, [2, 1])
    with pytest.raises(ValueError, match=r"epochs=.*integer from 0"):
        port.Network([2, 1]).fit(X, Y, epochs=epochs, learning_rate=0.1)


def test_bad_examples(port):
    network = port.Network([3, 4, 2])
    X, Y = examples(port, [3, 4, 2])
    for bad in (
        X.T,
        X[0],
        X.astype(complex),
        np.full(X.shape, "a"),
        X[:0] if port is not column_major else X[:, :0],
    ):
        with pytest.raises(ValueError, match=r"^X has"):
            network.loss(bad, Y)
    for bad in (Y.T, Y[0], Y[..., np.newaxis, np.newaxis], Y[:1], Y[:, :1], Y.astype(str)):
        with pytest.raises(ValueError, match=r"^Y has"):
            network.loss(X, bad)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_class_based_clip(dtype):
    A = np.array([0.0, 1e-12, 0.3, 1 - 1e-12, 1.0], dtype)
    for label in (0, 1):
        Y = np.full(5, label)
        gradient = class_based.bce_loss_backward(A, Y)
        assert gradient.dtype == dtype
        assert np.isfinite(class_based.bce_loss(A, Y))
        assert (gradient[[0, 1, 3, 4]] == 0).all()
        assert gradient[2] != 0


@pytest.mark.parametrize("z", [-800.0, -40.0, -1.0, 0.0, 1.0, 40.0, 800.0])
@pytest.mark.parametrize("y", [0, 1])
def test_saturated_derivatives_keep_their_digits(z, y):
    logits = np.array([[z]])
    expected = 1 / (1 + np.exp(-z)) if y == 0 and z < 700 and z > -700 else None
    derivative = row_major.sigmoid_bce_loss_backward(logits, np.array([[y]])).item()
    if expected is not None:
        assert derivative == pytest.approx(expected, rel=1e-14)
    mirrored = row_major.sigmoid_bce_loss_backward(-logits, np.array([[1 - y]])).item()
    assert derivative == -mirrored
    assert derivative <= 0 if y else derivative >= 0
