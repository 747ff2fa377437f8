"""gradcheck.adapters.inputs: names, copies and choice of the primals, and the errors for what cannot be one."""

import functools

import numpy as np
import pytest

from gradcheck.adapters.inputs import as_primal, choose_wrt, name_inputs, positional_parameters
from gradcheck.errors import ArgumentError

X, K = np.ones((2, 3)), np.arange(3)


class Method:
    def f(self, a, b=1):
        return a


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: x, (["x"], 1, False)),
        (lambda x, y=1, *rest, z=2: x, (["x", "y"], 1, True)),
        (lambda x, /, y: x, (["x", "y"], 2, False)),
        (lambda *args: args, ([], 0, True)),
        (lambda **options: options, ([], 0, False)),
        (Method().f, (["a", "b"], 1, False)),
        (functools.partial(lambda a, b, c: a, 1), (["b", "c"], 2, False)),
    ],
    ids=["plain", "defaults-and-rest", "positional-only", "args", "kwargs", "method", "partial"],
)
def test_positional_parameters(function, expected):
    assert positional_parameters(function) == expected


def test_positional_parameters_of_what_has_no_signature():
    class Opaque:
        __signature__ = "none"

        def __call__(self):
            return None

    assert positional_parameters(Opaque()) is None


# ------------------------------------------------------------------ arrays


@pytest.mark.parametrize("value", [[1.0, 2.0], (1.0, 2.0), 3.0, np.float32(2), X, X.T, True, range(3)])
def test_as_primal_takes_what_numpy_takes(value):
    array = as_primal(value, "x")
    assert np.array_equal(array, np.asarray(value))
    assert array.dtype == np.asarray(value).dtype


@pytest.mark.parametrize("array", [X, np.asfortranarray(X), X[:, ::2], X.T])
def test_as_primal_copies_and_keeps_the_order(array):
    copy = as_primal(array, "x")
    assert not np.may_share_memory(copy, array)
    assert copy.flags.writeable
    assert copy.flags.f_contiguous == array.copy(order="K").flags.f_contiguous


def test_as_primal_drops_subclasses():
    assert type(as_primal(np.ma.masked_array([1.0, 2.0], [0, 1]), "x")) is np.ndarray


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": 1}, r"x became an array of Python objects \(from dict\); give numbers of one shape"),
        (None, r"x became an array of Python objects \(from NoneType\)"),
        (np.array([1, "a", None], dtype=object), r"x became an array of Python objects \(from ndarray\)"),
        ([[1.0], [2.0, 3.0]], r"x was list, which numpy cannot turn into an array"),
        (lambda: 0, r"x became an array of Python objects \(from function\)"),
    ],
    ids=["dict", "None", "objects", "ragged", "function"],
)
def test_as_primal_names_what_it_cannot_take(value, message):
    with pytest.raises(ArgumentError, match=message):
        as_primal(value, "x")


# ------------------------------------------------------------------ names


def test_names_come_from_the_function():
    assert list(name_inputs(lambda X, W, b: X, [X, X, X], None)) == ["X", "W", "b"]
    assert list(name_inputs(lambda g, X, W: X, [X, X], None, skip=1)) == ["X", "W"]


def test_names_that_are_given_win():
    assert list(name_inputs(lambda a, b: a, [X, X], ["p", "q"])) == ["p", "q"]
    assert list(name_inputs(lambda a: a, [X], "p")) == ["p"]


def test_names_without_a_signature():
    assert list(name_inputs(None, [X], None)) == ["x"]
    assert list(name_inputs(None, [X, X], None)) == ["x0", "x1"]
    assert list(name_inputs(lambda *args: args, [X, X], None)) == ["x0", "x1"]
    assert list(name_inputs(lambda a, *args: a, [X, X, X], None)) == ["a", "x1", "x2"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a"], r"names has 1 entries \('a',\) for 2 inputs; give one name for each"),
        (["a", "b", "c"], r"names has 3 entries"),
        (["a", "a"], r"names was \('a', 'a'\); expected different, non-empty strings"),
        (["a", ""], r"expected different, non-empty strings"),
        (["a", 1], r"expected different, non-empty strings"),
    ],
)
def test_names_that_cannot_be_used(names, message):
    with pytest.raises(ArgumentError, match=message):
        name_inputs(None, [X, X], names)


def test_bad_input_is_named_in_the_message():
    with pytest.raises(ArgumentError, match=r"input 'W' became an array of Python objects"):
        name_inputs(lambda x, W: x, [X, [None, 1.0]], None)


# ------------------------------------------------------------------ wrt

PRIMALS = {
    "x": X,
    "k": K,
    "layer1.W": X,
    "layer1.b": X[0],
    "layer10.W": X,
    "layers[0].W": X,
    "layer1.ids": K,
    "empty": X[:0],
}
FLOATING = ("x", "layer1.W", "layer1.b", "layer10.W", "layers[0].W")


@pytest.mark.parametrize(
    ("wrt", "expected"),
    [
        (None, FLOATING),
        ("x", ("x",)),
        (0, ("x",)),
        (np.int64(0), ("x",)),
        (-3, ("layers[0].W",)),
        (["layer1.b", "x"], ("layer1.b", "x")),
        ("layer1", ("layer1.W", "layer1.b")),
        ("layers", ("layers[0].W",)),
        ("layers[0]", ("layers[0].W",)),
        (["layer1", "layer1.W"], ("layer1.W", "layer1.b")),
        (("x", 0), ("x",)),
        ({"x": 1}, ("x",)),
    ],
)
def test_choose_wrt(wrt, expected):
    assert choose_wrt(PRIMALS, wrt) == expected


@pytest.mark.parametrize(
    ("wrt", "message"),
    [
        ("y", r"wrt names 'y', which is none of the inputs; there are 'x' \(float64\), 'k' \(int64\)"),
        ("layer", r"wrt names 'layer', which is none"),
        (8, r"wrt names 8"),
        (-9, r"wrt names -9"),
        (["x", True], r"wrt names True"),
        ("k", r"wrt asks for 'k', which has dtype int64: .*pass k\.astype\(float\)"),
        (["x", 1], r"wrt asks for 'k'"),
        ("layer1.ids", r"wrt asks for 'layer1\.ids'"),
        ("empty", r"wrt='empty' leaves nothing to differentiate"),
        ([], r"wrt=\[\] leaves nothing to differentiate"),
    ],
)
def test_wrt_that_cannot_be_used(wrt, message):
    with pytest.raises(ArgumentError, match=message):
        choose_wrt(PRIMALS, wrt)


def test_nothing_to_differentiate():
    with pytest.raises(ArgumentError, match=r"nothing to differentiate.*'k' \(int64\); pass floating-point values"):
        choose_wrt({"k": K}, None)
    with pytest.raises(ArgumentError, match=r"the inputs are none"):
        choose_wrt({}, None)
