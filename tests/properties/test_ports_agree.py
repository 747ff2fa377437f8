"""Do the five layouts compute the same thing from the same parameters and examples?"""
# X, Y and W are matrices

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from reference_impls import class_based, column_major, parity, per_sample_sgd, row_major

EPS = np.finfo(float).eps

widths = st.integers(1, 6)
# Exact values beside drawn ones: zeros put pre-activations on the kink, 1e8 saturates, 1e-8 all but vanishes.
values = st.one_of(
    st.floats(-3, 3).map(lambda value: round(value, 3)),
    st.sampled_from([0.0, 1.0, -1.0, 1e-8, -1e-8, 1e8, -1e8]),
)


def arrays(draw, shape):
    size = int(np.prod(shape))
    return np.array(draw(st.lists(values, min_size=size, max_size=size)), float).reshape(shape)


@st.composite
def problems(draw):
    """Draw a row-major network with its examples: layer sizes, parameters by name, X and labels Y."""
    sizes = draw(st.lists(widths, min_size=2, max_size=4))
    n = draw(st.integers(1, 8))
    parameters = {}
    for layer in range(1, len(sizes)):
        parameters[f"W{layer}"] = arrays(draw, (sizes[layer - 1], sizes[layer]))
        parameters[f"b{layer}"] = arrays(draw, (1, sizes[layer]))
    X = arrays(draw, (n, sizes[0]))
    labels = draw(st.lists(st.integers(0, 1), min_size=n * sizes[-1], max_size=n * sizes[-1]))
    return sizes, parameters, X, np.array(labels).reshape(n, sizes[-1])


def network(port, sizes, parameters):
    result = port.Network(sizes)
    assert set(result.parameters) == set(parameters)
    for name, array in parameters.items():
        result.parameters[name][...] = array
    return result


def rounding(sizes, parameters, X, Y):
    """Bound how far two correct implementations can be apart that add up in different orders.

    Each pre-activation is a sum: its error is a few EPS of the sum of its terms' magnitudes, plus what the
    activations bring along. Where that reaches across a kink, or makes the prediction uncertain, nothing
    follows from a disagreement, and the example is discarded.

    Returns
    -------
    outputs, loss : ndarray, float
        Bounds of the outputs (absolute) and of the loss, summed.
    gradients : dict of str to ndarray
        Of the gradients of the summed loss.
    """
    layers = range(1, len(sizes))
    a, error = X, np.zeros_like(X)
    activations, errors, masks = [], [], []
    for layer in layers:
        W, b = parameters[f"W{layer}"], parameters[f"b{layer}"]
        z = a @ W + b
        magnitude = np.abs(a) @ np.abs(W) + np.abs(b)
        activations.append(a)
        errors.append(error)
        error = 16 * EPS * magnitude + error @ np.abs(W)
        if layer < len(sizes) - 1:
            assume(((np.abs(z) > error) | (error == 0)).all())
            masks.append(z > 0)
            a, error = np.maximum(z, 0), np.where(z > 0, error, 0)
    assume(error.max() < 1e-3)
    relative = 64 * EPS + 4 * error
    outputs = relative
    probability = np.where(Y == 1, -z, z)  # of the wrong answer, as a logit
    slope = 1 / (1 + np.exp(-np.clip(probability, -700, 700)))
    loss = float(np.sum(relative * np.abs(np.logaddexp(0, probability)) + 4 * error * slope)) + 1e-300
    dz, wrong = slope, relative.max()
    gradients = {}
    for layer in reversed(layers):
        uncertain = (np.abs(activations[layer - 1]) * wrong + errors[layer - 1]).T @ dz
        gradients[f"W{layer}"] = uncertain + 1e-300
        gradients[f"b{layer}"] = wrong * dz.sum(axis=0, keepdims=True) + 1e-300
        if layer > 1:
            dz = dz @ np.abs(parameters[f"W{layer}"]).T * masks[layer - 2]
    return outputs, loss, gradients


def assert_within(actual, expected, bound):
    assert np.shape(actual) == np.shape(expected)
    error = np.abs(np.asarray(actual) - expected)
    assert (error <= bound).all(), f"{actual} against {expected}, a difference of {error} where {bound} is allowed"


agreement = settings(suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow], deadline=None)


@agreement
@given(problems())
def test_column_major_is_row_major_transposed(problem):
    sizes, parameters, X, Y = problem
    outputs, loss, gradients = rounding(sizes, parameters, X, Y)
    rows = network(row_major, sizes, parameters)
    columns = network(column_major, sizes, {name: values.T for name, values in parameters.items()})
    n = len(X)
    assert_within(columns.forward(X.T).T, rows.forward(X), outputs)
    assert_within(n * columns.loss(X.T, Y.T), rows.loss(X, Y), loss)
    expected = rows.gradients(X, Y)
    for name, gradient in columns.gradients(X.T, Y.T).items():
        assert_within(n * gradient.T, expected[name], gradients[name])


@agreement
@given(problems())
def test_class_based_is_row_major_up_to_the_mean(problem):
    sizes, parameters, X, Y = problem
    outputs, loss, gradients = rounding(sizes, parameters, X, Y)
    rows = network(row_major, sizes, parameters)
    names = {name: f"layer{name[1:]}.{name[0]}" for name in parameters}
    layers = network(
        class_based,
        sizes,
        {names[name]: values if name[0] == "W" else values[0] for name, values in parameters.items()},
    )
    assert_within(layers.forward(X), rows.forward(X), outputs)
    assert_within(Y.size * layers.loss(X, Y), rows.loss(X, Y), loss)
    expected, found = rows.gradients(X, Y), layers.gradients(X, Y)
    for name, key in names.items():
        assert_within(Y.size * np.atleast_2d(found[key]), expected[name], gradients[name])


@agreement
@given(problems())
def test_sum_of_the_samples_gradients_is_the_batch_gradient(problem):
    sizes, parameters, X, Y = problem
    outputs, loss, gradients = rounding(sizes, parameters, X, Y)
    rows = network(row_major, sizes, parameters)
    samples = network(per_sample_sgd, sizes, parameters)
    assert_within(samples.forward(X), rows.forward(X), outputs)
    assert_within(samples.loss(X, Y), rows.loss(X, Y), loss)
    expected, together = rows.gradients(X, Y), samples.gradients(X, Y)
    one_by_one = [samples.gradients(X[i : i + 1], Y[i : i + 1]) for i in range(len(X))]
    for name, gradient in expected.items():
        assert_within(together[name], gradient, gradients[name])
        assert_within(sum(single[name] for single in one_by_one), gradient, gradients[name])


def parity_rounding(weights, X, Y):
    """Bound the rounding of `parity` as `rounding` does; sigmoids have no kink, so nothing is discarded.

    Returns
    -------
    loss : float
        Bound of the summed loss.
    gradients : list of ndarray
        Of the gradients by layer.
    """
    a, error = X, np.zeros_like(X)
    inputs, input_errors, slopes, slope_errors = [], [], [], []
    for W in weights:
        inputs.append(a)
        input_errors.append(error)
        z, error = a @ W, 16 * EPS * (np.abs(a) @ np.abs(W)) + error @ np.abs(W)
        a = parity.sigmoid(z)
        slopes.append(parity.delta_sigmoid(z))
        slope_errors.append(np.minimum(error, 0.25) + 8 * EPS * slopes[-1])
        output, output_error = z, error
        error = np.minimum(error, 1.0) + 8 * EPS * a
    d = np.abs(output - Y)
    d_error = output_error + 4 * EPS * (np.abs(output) + 1)
    loss = float(np.sum(d * d_error + d_error**2 + 64 * EPS * d**2))
    gradients = []
    for layer in reversed(range(len(weights))):
        x, W = np.abs(inputs[layer]), np.abs(weights[layer])
        both = d + d_error
        gradients.insert(0, (x * 64 * EPS + input_errors[layer]).T @ both + x.T @ d_error)
        if layer > 0:
            up, up_error = d @ W.T, both @ W.T * 16 * EPS + d_error @ W.T
            d = up * slopes[layer - 1]
            d_error = up_error * slopes[layer - 1] + (up + up_error) * slope_errors[layer - 1]
    return loss, gradients


@agreement
@given(problems())
def test_parity_is_the_sum_over_single_examples(problem):
    sizes, parameters, X, Y = problem
    weights = [values for name, values in parameters.items() if name[0] == "W"]
    names = [*(f"Whidden{layer}" for layer in range(1, len(weights))), "Woutput"]
    batch = network(parity, sizes, dict(zip(names, weights, strict=True)))
    singles = [(X[i : i + 1], Y[i : i + 1]) for i in range(len(X))]
    parts = [batch.gradients(x, y) for x, y in singles]
    loss, bounds = parity_rounding(weights, X, Y)
    assert_within(sum(batch.loss(x, y) for x, y in singles), batch.loss(X, Y), loss)
    gradients = batch.gradients(X, Y)
    for name, bound in zip(names, bounds, strict=True):
        assert_within(sum(part[name] for part in parts), gradients[name], bound)


@agreement
@given(problems())
def test_order_of_the_examples_does_not_matter(problem):
    sizes, parameters, X, Y = problem
    _, loss, gradients = rounding(sizes, parameters, X, Y)
    rows = network(row_major, sizes, parameters)
    assert_within(rows.loss(X[::-1], Y[::-1]), rows.loss(X, Y), loss)
    expected = rows.gradients(X, Y)
    for name, gradient in rows.gradients(X[::-1], Y[::-1]).items():
        assert_within(gradient, expected[name], gradients[name])


@pytest.mark.parametrize(
    ("port", "function", "agreement_test"),
    [
        (column_major, "parameter_gradients", test_column_major_is_row_major_transposed),
        (class_based, "sigmoid_bce_loss_backward", test_class_based_is_row_major_up_to_the_mean),
        (per_sample_sgd, "linear_backward", test_sum_of_the_samples_gradients_is_the_batch_gradient),
        (row_major, "linear_backward", test_order_of_the_examples_does_not_matter),
        (parity, "linear_backward", test_parity_is_the_sum_over_single_examples),
    ],
    ids=["column_major", "class_based", "per_sample_sgd", "row_major", "parity"],
)
def test_a_planted_disagreement_is_seen(monkeypatch, port, function, agreement_test):
    original = getattr(port, function)

    def slightly_off_for_the_first_example(*args, **options):
        """Change what the first row of the first argument does, by a hundred-thousandth."""
        first = args[0]
        if isinstance(first, dict):  # column-major: layers by name, examples in columns
            weights = {key: np.where(np.arange(dz.shape[1]) == 0, 1.00001, 1.0) for key, dz in first.items()}
            return original({key: dz * weights[key] for key, dz in first.items()}, *args[1:], **options)
        weight = np.where(np.arange(len(first)) == 0, 1.00001, 1.0)
        return original(first * weight.reshape(-1, *[1] * (first.ndim - 1)), *args[1:], **options)

    monkeypatch.setattr(port, function, slightly_off_for_the_first_example)
    # not shrunk, not remembered: it is meant to fail
    once = settings(agreement, phases=[Phase.generate], database=None)
    with pytest.raises(AssertionError, match="is allowed"):
        once(given(problems())(agreement_test.hypothesis.inner_test))()
