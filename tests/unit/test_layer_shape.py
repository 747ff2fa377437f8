"""gradcheck.layer: what has a derivative, how outputs are named, what a layer carries."""

import pickle

import numpy as np
import pytest

from gradcheck.layer import BrokenContract, Layer, is_differentiable, name_outputs


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", np.longdouble, ">f8"])
def test_floats_are_differentiable(dtype):
    assert is_differentiable(np.zeros(2, dtype))


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint16", "bool", object, "U3", "datetime64[s]"])
def test_everything_else_is_constant(dtype):
    assert not is_differentiable(np.zeros(2, dtype))


X, Y = np.ones((2, 3)), np.zeros(4)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (X, {"output": X}),
        (1.5, {"output": np.array(1.5)}),
        ([1.0, 2.0], {"output": np.array([1.0, 2.0])}),
        ([[1.0], [2.0]], {"output": np.array([[1.0], [2.0]])}),
        ((X, Y), {"output[0]": X, "output[1]": Y}),
        ([X, Y], {"output[0]": X, "output[1]": Y}),
        ((X,), {"output[0]": X}),
        ((1.0, 2.0), {"output[0]": np.array(1.0), "output[1]": np.array(2.0)}),
        ({"y": X, "z": 1.0}, {"y": X, "z": np.array(1.0)}),
        ({1: X}, {"1": X}),
        ((), {}),
    ],
)
def test_name_outputs(result, expected):
    named = name_outputs(result)
    assert list(named) == list(expected)
    for name, value in expected.items():
        assert isinstance(named[name], np.ndarray)
        assert np.array_equal(named[name], value)
        assert named[name].shape == value.shape


def test_layer_is_called_like_a_function():
    layer = Layer(
        "double", lambda primals: ({"output": 2 * primals["x"]}, lambda g: {"x": 2 * g["output"]}), {"x": X}, ("x",)
    )
    outputs, pullback = layer({"x": X})
    assert np.array_equal(outputs["output"], 2 * X)
    assert np.array_equal(pullback({"output": X})["x"], 2 * X)
    assert (layer.mode, layer.cotangent, layer.reentrant, layer.fresh, layer.notes) == ("vjp", True, True, None, ())


def test_broken_contract_carries_kind_and_text_and_survives_pickling():
    back = pickle.loads(pickle.dumps(BrokenContract("count", "one too few")))
    assert (back.kind, back.text) == ("count", "one too few")
