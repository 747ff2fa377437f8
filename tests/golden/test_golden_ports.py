"""Do the corrected ports reproduce the notebooks' numbers, wherever the mathematics is the same?"""
# matrices; the notebooks' numbers

import numpy as np
import pytest

from reference_impls import class_based, column_major, parity, per_sample_sgd, row_major
from reference_impls.notebooks import class_based as class_based_notebook
from reference_impls.notebooks import column_major as column_major_notebook
from reference_impls.notebooks import parity as parity_notebook
from reference_impls.notebooks import per_sample_sgd as per_sample_notebook
from reference_impls.notebooks import row_major as row_major_notebook
from reference_impls.notebooks._global_state import seeded

PRINTED_8 = 5.001e-9  # half a unit of the last of numpy's eight printed decimals


def start_from(network, **initial):
    """Write initial parameters into the network's live arrays."""
    assert set(initial) == set(network.parameters)
    for name, values in initial.items():
        network.parameters[name][...] = values
    return network


class TestParity:
    def test_delta_sigmoid(self):
        labels = parity_notebook.Y.astype(float)
        assert str(parity.delta_sigmoid(labels)) == str(parity_notebook.delta_sigmoid(parity_notebook.Y))

    def test_training(self):
        with seeded(0):
            Whidden, Woutput = parity_notebook.initial_parameters()
        network = start_from(parity.Network([2, 2, 1]), Whidden1=Whidden, Woutput=Woutput)
        X, Y = parity_notebook.X, parity_notebook.Y
        losses = network.fit(X, Y, epochs=9999, learning_rate=0.1)
        for step, printed in parity_notebook.PRINTED_LOSSES.items():
            assert losses[step] / Y.size == pytest.approx(printed, rel=1e-12, abs=0)
        # the notebook's last outputs are those before its 10,000th update
        printed = [f"[{text}]" for text in parity_notebook.PRINTED_PREDICTIONS]
        assert [str(row) for row in network.forward(X)] == printed


class TestClassBased:
    def test_relu(self):
        result = class_based.relu(class_based_notebook.DEMO_Z)
        assert result.tolist() == [list(row) for row in class_based_notebook.PRINTED_RELU]

    def test_relu_backward(self):
        result = class_based.relu_backward(class_based_notebook.DEMO_DA, class_based_notebook.DEMO_Z)
        assert result.tolist() == [list(row) for row in class_based_notebook.PRINTED_RELU_BACKWARD]

    def test_sigmoid(self):
        result = class_based.sigmoid(class_based_notebook.DEMO_Z)
        np.testing.assert_allclose(result, class_based_notebook.PRINTED_SIGMOID, rtol=0, atol=PRINTED_8)

    def test_sigmoid_backward(self):
        result = class_based.sigmoid_backward(class_based_notebook.DEMO_DA, class_based_notebook.DEMO_Z)
        printed = class_based_notebook.PRINTED_SIGMOID_BACKWARD
        np.testing.assert_allclose(result, printed, rtol=0, atol=PRINTED_8)

    def test_bce_loss(self):
        result = class_based.bce_loss(class_based_notebook.DEMO_A, class_based_notebook.DEMO_Y)
        assert result == pytest.approx(class_based_notebook.PRINTED_BCE_LOSS, rel=1e-15, abs=0)

    def test_bce_loss_backward(self):
        result = class_based.bce_loss_backward(class_based_notebook.DEMO_A, class_based_notebook.DEMO_Y)
        printed = class_based_notebook.PRINTED_BCE_LOSS_BACKWARD
        np.testing.assert_allclose(result, printed, rtol=0, atol=PRINTED_8)

    def test_training_goes_as_the_notebook_would_from_the_same_start(self):
        with seeded(4):
            model = class_based_notebook.MLP(n_inputs=3, n_hidden=4, n_outputs=1)
        network = start_from(
            class_based.Network([3, 4, 1]),
            **{
                f"{layer}.{name}": getattr(getattr(model, layer), name)
                for layer in ("layer1", "layer2")
                for name in ("W", "b")
            },
        )
        X, Y = class_based_notebook.X, class_based_notebook.Y
        expected = class_based_notebook.train(model, X, Y)
        losses = network.fit(X, Y, epochs=1000, learning_rate=0.1)
        np.testing.assert_allclose(losses, expected, rtol=1e-7)
        assert (network.mlp.predict(X) == Y).all()


class TestRowMajor:
    def test_right_gradients_learn_more_slowly_than_the_notebook_s_wrong_ones(self):
        last, wrong = [], []
        for seed in range(100):
            with seeded(seed):
                W1, b1, W2, b2 = row_major_notebook.initial_parameters()
            network = start_from(row_major.Network([3, 4, 1]), W1=W1, b1=b1, W2=W2, b2=b2)
            losses = network.fit(row_major_notebook.X, row_major_notebook.y, epochs=100, learning_rate=0.03)
            last.append(losses[-1])
            notebook, _ = row_major_notebook.train(seed)
            assert losses[0] == pytest.approx(notebook[0], rel=1e-12)
            wrong.append(notebook[-1])
        assert np.median(last) == pytest.approx(0.57, abs=0.1)
        assert np.quantile(last, 0.1) == pytest.approx(0.20, abs=0.05)
        assert 0.9 <= np.quantile(last, 0.9) <= 1.7
        assert np.median(last) > np.median(wrong)
        assert np.quantile(last, 0.9) > np.quantile(wrong, 0.9)

    def test_gradients_are_the_notebook_s_where_those_are_right(self):
        with seeded(3):
            W1, b1, W2, b2 = row_major_notebook.initial_parameters()
        X, y = row_major_notebook.X, row_major_notebook.y
        z_1, a_1, _, a_2 = row_major_notebook.forward(X, W1, b1, W2, b2)
        # with the loss factor 1 the notebook's da_2 is right, and so is all that follows but the biases
        notebook = row_major_notebook.backward(X, y, z_1, a_1, a_2, W2, L=1.0)
        network = start_from(row_major.Network([3, 4, 1]), W1=W1, b1=b1, W2=W2, b2=b2)
        gradients = network.gradients(X, y)
        np.testing.assert_allclose(gradients["W1"], notebook["dW1"], rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(gradients["W2"], notebook["dW2"], rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(gradients["b1"], notebook["dz_1"].sum(0, keepdims=True), rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(gradients["b2"], notebook["db2"].sum(0, keepdims=True), rtol=1e-12, atol=1e-15)
        assert notebook["db2"].shape == (4, 1)
        assert notebook["db1"].shape == (4,)


class TestPerSample:
    @pytest.mark.parametrize("seed", range(3))
    def test_training_goes_as_the_notebook_would_from_the_same_start(self, seed):
        with seeded(seed):
            W1, W2, b1, b2 = per_sample_notebook.initial_parameters()
        network = start_from(per_sample_sgd.Network([2, 3, 1]), W1=W1, b1=b1, W2=W2, b2=b2)
        expected, (W1, W2, b1, b2) = per_sample_notebook.train(seed)
        network.fit(per_sample_notebook.x_train, per_sample_notebook.y_train, epochs=500, learning_rate=0.1)
        for name, values in {"W1": W1, "W2": W2, "b1": b1, "b2": b2}.items():
            np.testing.assert_allclose(network.parameters[name], values, rtol=1e-9, atol=1e-12)
        predictions = network.forward(per_sample_notebook.x_train)
        assert predictions.shape == (4, 1, 1)
        np.testing.assert_allclose(predictions.ravel(), expected, rtol=1e-9)


class TestColumnMajor:
    @pytest.fixture
    def first(self):
        """Return the notebook's first network, as a port."""
        W, b = column_major_notebook.initialize_parameters(column_major_notebook.FIRST_SHAPE, seed=1)
        return start_from(
            column_major.Network(column_major_notebook.FIRST_SHAPE),
            W1=W["1"],
            b1=b["1"],
            W2=W["2"],
            b2=b["2"],
        )

    def test_dz(self, first):
        X, Y = np.array([[0.0, 1.0]]), np.array([[1, 0]])
        YHat, Z, _ = column_major.forward(X, first.W, first.b)
        np.testing.assert_allclose(YHat, column_major_notebook.PRINTED_FIRST_YHAT, rtol=0, atol=PRINTED_8)
        for layer, dz in column_major.backward(Y, Z, first.W).items():
            printed = column_major_notebook.PRINTED_FIRST_DZ[layer]
            np.testing.assert_allclose(dz, printed, rtol=0, atol=PRINTED_8)

    def test_costs_before_and_after_one_update(self, first):
        X, Y = np.array([[0, 1]]), np.array([[1, 0]])
        assert first.loss(X, Y) == pytest.approx(column_major_notebook.PRINTED_FIRST_COST, rel=1e-15)
        first.step(X, Y, learning_rate=1)
        assert first.loss(X, Y) == pytest.approx(column_major_notebook.PRINTED_SECOND_COST, rel=1e-15)

    @pytest.mark.parametrize("task", column_major_notebook.TASKS)
    def test_training(self, task):
        run = column_major_notebook.TASKS[task]
        X, Y = np.array(run["X"]), np.array(run["Y"])
        W, b = column_major_notebook.initialize_parameters(run["shape"], seed=run["seed"])
        network = start_from(column_major.Network(run["shape"]), W1=W["1"], b1=b["1"], W2=W["2"], b2=b["2"])
        losses = network.fit(X, Y, epochs=run["epochs"], learning_rate=1)
        printed = column_major_notebook.PRINTED_COSTS[task]
        costs = [*losses[:: run["epochs"] // 10], losses[-1]]
        # The notebook's cost takes log(1 - YHat), rounded at 1e-16: relative to a cost of 1e-5, 1e-11.
        assert costs == pytest.approx(printed, rel=5e-14, abs=5e-16)
        assert (np.round(network.forward(X)) == Y).all()
