"""gradcheck.evaluate: calls are counted, arrays are lent read-only, changes are seen, exceptions are annotated."""

import numpy as np
import pytest

from gradcheck.evaluate import BudgetSpent, Evaluator
from gradcheck.layer import Layer

X = np.arange(6.0).reshape(2, 3)
ONES = {"output": np.ones((2, 3))}


def layer_of(forward, backward=lambda g, x: g, **facts):
    def call(primals):
        outputs = {"output": forward(primals["x"])}
        return outputs, lambda cotangents: {"x": backward(cotangents["output"], primals["x"])}

    return Layer("layer", call, {"x": X.copy()}, ("x",), **facts)


def evaluator_of(*args, budget=None, **facts):
    layer = layer_of(*args, **facts)
    return Evaluator(layer, layer.primals, budget)


def test_arrays_are_lent_read_only():
    flags = []

    def forward(x):
        flags.append(x.flags.writeable)
        return x * 2

    def backward(g, x):
        flags.append(g.flags.writeable)
        return g

    evaluator = evaluator_of(forward, backward)
    assert evaluator.run(ONES).changed == ()
    assert flags == [False, False]
    assert evaluator.point["x"].flags.writeable


def test_point_is_an_own_copy():
    layer = layer_of(lambda x: x)
    evaluator = Evaluator(layer, layer.primals)
    evaluator.point["x"][0, 0] = 99.0
    assert layer.primals["x"][0, 0] == 0.0


def test_moved_point_is_what_the_user_sees():
    evaluator = evaluator_of(lambda x: x * 1.0)
    evaluator.point["x"][1, 2] = -7.0
    assert evaluator.run().outputs["output"][1, 2] == -7.0


def test_outputs_are_copies():
    buffer = np.zeros((2, 3))

    def forward(x):
        np.copyto(buffer, x)
        return buffer

    evaluator = evaluator_of(forward)
    first = evaluator.run().outputs["output"]
    evaluator.point["x"] += 1
    evaluator.run()
    assert np.array_equal(first, X)


def test_forward_that_writes_gets_copies_and_is_seen():
    def forward(x):
        x *= 2
        return x

    evaluator = evaluator_of(forward)
    done = evaluator.run(ONES)
    assert done.changed == ("x by the forward",)
    assert np.array_equal(evaluator.point["x"], X)


def test_backward_that_writes_is_seen():
    def writes_input(g, x):
        x += 1
        return g

    def writes_cotangent(g, x):
        g += 1
        return g

    assert evaluator_of(lambda x: x * 1.0, writes_input).run(ONES).changed == ("x by the backward",)
    (change,) = evaluator_of(lambda x: x * 1.0, writes_cotangent).run(ONES).changed
    assert "cotangent of output by the backward" in change


def test_nan_in_a_cotangent_or_input_is_no_change():
    evaluator = evaluator_of(lambda x: np.require(x, requirements="W") * 1.0)
    evaluator.point["x"][0, 0] = np.nan
    assert evaluator.run({"output": np.full((2, 3), np.nan)}).changed == ()


@pytest.mark.parametrize(
    "backward", [lambda g, x: g, lambda g, x: g[:], lambda g, x: g.T.T, lambda g, x: g.reshape(2, 3)]
)
def test_returning_the_cotangent_is_seen(backward):
    assert evaluator_of(lambda x: x, backward).run(ONES).aliases == ("x",)


def test_returning_something_new_is_no_alias():
    assert evaluator_of(lambda x: x, lambda g, x: g * 1).run(ONES).aliases == ()


def test_calls_are_counted_and_start_at_what_the_adapter_spent():
    evaluator = evaluator_of(lambda x: x, trial_calls=(3, 2))
    evaluator.run()
    evaluator.run(ONES)
    assert (evaluator.forward_calls, evaluator.backward_calls) == (5, 3)


def test_budget_stops_before_the_call():
    calls = []
    evaluator = evaluator_of(lambda x: calls.append(1) or x, budget=2)
    evaluator.run()
    evaluator.run()
    with pytest.raises(BudgetSpent):
        evaluator.run()
    assert len(calls) == 2


def test_vectors_may_depend_on_the_outputs():
    evaluator = evaluator_of(lambda x: x * 3, lambda g, x: g)
    done = evaluator.run(lambda outputs: {"output": outputs["output"] + 1})
    assert np.array_equal(done.result["x"], 3 * X + 1)


@pytest.mark.parametrize("error", [ValueError("wrong shape"), KeyError("W"), RuntimeError("no")])
def test_exceptions_say_which_call_and_which_perturbation(error):
    def fails(*_):
        raise error

    with pytest.raises(type(error)) as raised:
        evaluator_of(fails).run(moved="x[0, 1] moved by +1e-06")
    assert raised.value is error
    assert error.__notes__ == ["gradcheck: raised by the forward of layer, with x[0, 1] moved by +1e-06"]
    del error.__notes__
    with pytest.raises(type(error)):
        evaluator_of(lambda x: x, fails).run(ONES)
    assert error.__notes__ == ["gradcheck: raised by the backward of layer, with the given inputs"]


# ------------------------------------------------------------------ flattened outputs


def test_outputs_become_one_float64_vector_of_what_is_differentiable():
    layer = Layer(
        "layer", lambda p: ({"a": p["x"].astype(np.float32), "k": np.arange(3), "b": p["x"][0]}, dict), {"x": X}, ("x",)
    )
    evaluator = Evaluator(layer, layer.primals)
    evaluator.remember(evaluator.run().outputs)
    assert evaluator.names == ("a", "b")
    vector = evaluator.outputs("")
    assert vector.dtype == np.float64
    assert np.array_equal(vector, [0, 1, 2, 3, 4, 5, 0, 1, 2])


@pytest.mark.parametrize(
    "error", [ZeroDivisionError(), OverflowError(), ValueError("math domain error"), ValueError("math range error")]
)
def test_leaving_the_domain_is_nan(error):
    fail = []

    def forward(x):
        if fail:
            raise error
        return x

    evaluator = evaluator_of(forward)
    evaluator.remember(evaluator.run().outputs)
    fail.append(True)
    assert np.isnan(evaluator.outputs("")).all()


def test_other_value_errors_are_the_users_to_see():
    evaluator = evaluator_of(lambda x: x)
    evaluator.remember(evaluator.run().outputs)
    evaluator.layer = layer_of(lambda x: np.ones(2) @ np.ones(3))
    with pytest.raises(ValueError, match="matmul"):
        evaluator.outputs("")


def test_output_that_changes_its_shape_is_nan():
    shapes = iter([(2, 3), (3, 3)])
    evaluator = evaluator_of(lambda x: np.zeros(next(shapes)))
    evaluator.remember(evaluator.run().outputs)
    vector = evaluator.outputs("")
    assert vector.shape == (6,)
    assert np.isnan(vector).all()


def test_warnings_of_numpy_at_moved_points_are_silent():
    evaluator = evaluator_of(lambda x: np.log(x - 1))
    evaluator.remember({"output": X})
    assert np.isnan(evaluator.outputs("")[0])
