"""What is given stays as it is, what cannot be differentiated is constant, and what the user's code raises comes through."""

import numpy as np
import pytest

from gradcheck import ArgumentError, Verdict, check_grad, check_jvp, check_layer, check_vjp

RNG = np.random.default_rng(2)
FLOATS = RNG.normal(size=(4, 6))
LABELS = np.array([0, 2, 1, 2])


def frozen(array):
    array = array.copy()
    array.flags.writeable = False
    return array


LAYOUTS = {
    "c-order": FLOATS.copy(),
    "fortran": np.asfortranarray(FLOATS),
    "transposed": FLOATS.T,
    "strided": FLOATS[:, ::2],
    "reversed": FLOATS[::-1, ::-1],
    "broadcast": np.broadcast_to(FLOATS[0], (3, 6)),
    "read-only": frozen(FLOATS),
    "negative-zero": np.array([-0.0, 1.0]),
    "scalar": np.array(0.7),
    "big-endian": FLOATS.astype(">f8"),
}


def state(array):
    flags = array.flags
    return (array.tobytes(), array.strides, array.dtype.str, flags.writeable, flags.c_contiguous, flags.f_contiguous)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("factor", [1.0, 1.5], ids=["right", "wrong"])
def test_arrays_are_bitwise_the_same_afterwards(layout, factor):
    x = LAYOUTS[layout]
    before = state(x)
    base = x.base.tobytes() if isinstance(x.base, np.ndarray) else b""
    report = check_vjp(np.sin, lambda g, x: factor * g * np.cos(x), x)
    assert report.verdict is (Verdict.MATCH if factor == 1.0 else Verdict.MISMATCH), str(report)
    assert state(x) == before
    if isinstance(x.base, np.ndarray):
        assert x.base.tobytes() == base
    report = check_grad(lambda p: np.sum(np.sin(p["x"])), lambda p: {"x": factor * np.cos(p["x"])}, {"x": x})
    assert report.ok is (factor == 1.0)
    assert state(x) == before


def test_vandals_change_nothing_of_the_users():
    def vandal(x):
        x[...] = 7.0
        return x.sum()

    x = FLOATS.copy()
    report = check_vjp(vandal, lambda g, x: g * np.ones_like(x), x)
    assert [violation.kind for violation in report.violations] == ["mutation"]
    assert x.tobytes() == FLOATS.tobytes()


def test_structures_are_left_alone():
    params = {"layers": [{"W": FLOATS.copy(), "act": "relu"}], "scale": 2.0, "steps": np.arange(3)}
    array = params["layers"][0]["W"]

    def grad(p):
        p["layers"].append("mine")
        p["scale"] = None
        return {"layers": [{"W": 2 * p["layers"][0]["W"]}], "scale": np.array(0.0)}

    check_grad(lambda p: np.sum(p["layers"][0]["W"] ** 2), grad, params)
    assert list(params) == ["layers", "scale", "steps"]
    assert len(params["layers"]) == 1
    assert params["layers"][0]["W"] is array
    assert params["scale"] == 2.0


def test_float_lists_and_scalars_are_taken():
    assert check_vjp(lambda x: np.asarray(x) ** 2, lambda g, x: 2 * g * x, [1.0, 2.0]).verdict is Verdict.MATCH
    assert check_vjp(lambda x: x**2, lambda g, x: 2 * g * x, 3.0).verdict is Verdict.MATCH


# ------------------------------------------------------------------ constants


def cross_entropy(Z, labels):
    shifted = Z - Z.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -logs[np.arange(len(labels)), labels]


def softmax_minus_one_hot(g, Z, labels):
    shifted = np.exp(Z - Z.max(axis=1, keepdims=True))
    p = shifted / shifted.sum(axis=1, keepdims=True)
    p[np.arange(len(labels)), labels] -= 1
    return p * g[:, None]


CONSTANT_GRADIENTS = {
    "None": lambda dZ, labels: (dZ, None),
    "zeros": lambda dZ, labels: (dZ, np.zeros(labels.shape)),
    "integer-zeros": lambda dZ, labels: (dZ, np.zeros_like(labels)),
    "absent": lambda dZ, labels: dZ,
    "absent-in-a-tuple": lambda dZ, labels: (dZ,),
    "absent-in-a-dict": lambda dZ, labels: {"Z": dZ},
    "None-in-a-dict": lambda dZ, labels: {"Z": dZ, "labels": None},
}


@pytest.mark.parametrize("form", CONSTANT_GRADIENTS)
@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint8])
def test_integer_input_is_a_constant(form, dtype):
    def vjp(g, Z, labels):
        return CONSTANT_GRADIENTS[form](softmax_minus_one_hot(g, Z, labels), labels)

    seen = []

    def f(Z, labels):
        seen.append(labels.copy())
        return cross_entropy(Z, labels)

    labels = LABELS.astype(dtype)
    report = check_vjp(f, vjp, FLOATS, labels)
    assert report.verdict is Verdict.MATCH, str(report)
    assert [summary.name for summary in report.summaries] == ["Z"]
    assert all(np.array_equal(each, LABELS) and each.dtype == dtype for each in seen)


def test_boolean_input_is_a_constant():
    mask = FLOATS > 0
    report = check_vjp(lambda x, m: x**2 * m, lambda g, x, m: (2 * x * g * m, None), FLOATS, mask)
    assert report.verdict is Verdict.MATCH
    wrong = check_vjp(lambda x, m: x**2 * m, lambda g, x, m: (2 * x * g, None), FLOATS, mask)
    assert wrong.verdict is Verdict.MISMATCH


def test_jvp_gets_zeros_for_constants():
    seen = []

    def jvp(tangents, x, k):
        seen.append(tangents[1])
        return tangents[0] * k

    report = check_jvp(lambda x, k: x * k, jvp, FLOATS, np.full(6, 3))
    assert report.verdict is Verdict.MATCH
    assert all(tangent.shape == (6,) and not tangent.any() for tangent in seen)


@pytest.mark.parametrize("check", [check_vjp, check_jvp])
@pytest.mark.parametrize("wrt", ["labels", 1, ["Z", "labels"], -1])
def test_wrt_that_asks_for_a_constant_is_an_argument_error(check, wrt):
    with pytest.raises(ArgumentError, match=r"wrt asks for 'labels', which has dtype int64.*labels\.astype\(float\)"):
        check(cross_entropy, softmax_minus_one_hot, FLOATS, LABELS, wrt=wrt)


def test_grad_wrt_that_asks_for_a_constant_is_an_argument_error():
    with pytest.raises(ArgumentError, match=r"wrt asks for 'k'.*k\.astype\(float\)"):
        check_grad(lambda p: np.sum(p["x"]), lambda p: p, {"x": FLOATS, "k": LABELS}, wrt="k")


@pytest.mark.parametrize("x", [np.arange(3), np.array([True, False]), np.zeros((0, 3)), 3])
def test_nothing_left_to_differentiate_is_an_argument_error(x):
    with pytest.raises(ArgumentError, match=r"nothing to differentiate.*'x'.*x\.astype\(float\)"):
        check_vjp(lambda x: x * 1.0, lambda g, x: g, x)


def test_layer_with_integer_input_checks_its_parameters():
    class Embedding:
        def __init__(self, fault=1.0):
            self.W = np.random.default_rng(1).normal(size=(3, 2))
            self.fault = fault

        def forward(self, ids):
            self.ids = ids
            return self.W[ids]

        def backward(self, dout):
            self.dW = np.zeros_like(self.W)
            np.add.at(self.dW, self.ids, dout)
            self.dW *= self.fault

    report = check_layer(Embedding(), LABELS)
    assert report.verdict is Verdict.MATCH, str(report)
    assert [summary.name for summary in report.summaries] == ["W"]
    assert check_layer(Embedding(0.5), LABELS).verdict is Verdict.MISMATCH


# ------------------------------------------------------------------ exceptions


class Broken(Exception):
    """The user's own."""


def raising(at, *, when=lambda x: True):
    def f(x):
        if at == "forward" and when(x):
            raise Broken("mine")
        return x**2

    def vjp(g, x):
        if at == "backward" and when(x):
            raise Broken("mine")
        return 2 * x * g

    return f, vjp


@pytest.mark.parametrize("at", ["forward", "backward"])
def test_exception_at_the_point_comes_through_with_a_note(at):
    f, vjp = raising(at)
    with pytest.raises(Broken, match="mine") as raised:
        check_vjp(f, vjp, FLOATS)
    assert raised.value.__notes__ == [f"gradcheck: raised by the {at} of vjp, with the given inputs"]


def test_exception_at_a_moved_point_names_the_perturbation():
    f, _ = raising("forward", when=lambda x: x[1, 2] != FLOATS[1, 2] and np.sum(x != FLOATS) == 1)
    with pytest.raises(Broken) as raised:
        check_vjp(lambda x: np.sum(f(x)), lambda g, x: 2 * x * g, FLOATS)
    (note,) = raised.value.__notes__
    assert note.startswith("gradcheck: raised by the forward of function, with x[1, 2] moved by ")


def test_exception_with_several_entries_moved_at_once_names_their_array():
    f, vjp = raising(
        "forward", when=lambda x: 0 < np.sum(x != FLOATS) < FLOATS.size and np.abs(x - FLOATS).max() < 1e-3
    )
    with pytest.raises(Broken) as raised:
        check_vjp(f, vjp, FLOATS)
    (note,) = raised.value.__notes__
    assert note.startswith("gradcheck: raised by the forward of vjp, with some entries of x moved")


def test_exception_of_a_jvp_and_of_a_loss_come_through():
    def fails(*args):
        raise Broken("mine")

    with pytest.raises(Broken) as raised:
        check_jvp(np.sin, fails, FLOATS)
    assert raised.value.__notes__ == ["gradcheck: raised by the jvp of fails, with the given inputs"]
    with pytest.raises(Broken) as raised:
        check_grad(fails, lambda w: w, FLOATS)
    assert raised.value.__notes__ == ["gradcheck: raised by the forward of gradient, with the given inputs"]


def test_exception_of_a_layer_comes_through_with_a_note():
    class Layer:
        def forward(self, x):
            return x

        def backward(self, dout):
            raise Broken("mine")

    with pytest.raises(Broken) as raised:
        check_layer(Layer(), FLOATS)
    assert any("gradcheck: raised by" in note and "backward" in note for note in raised.value.__notes__)


@pytest.mark.parametrize(
    "error", [ValueError("shapes do not fit"), KeyError("W"), AssertionError("x > 0"), TypeError("no")]
)
def test_any_exception_keeps_its_type_and_words(error):
    def f(x):
        raise error

    with pytest.raises(type(error)) as raised:
        check_vjp(f, lambda g, x: g, FLOATS)
    assert raised.value is error


@pytest.mark.parametrize(
    "error", [ZeroDivisionError(), OverflowError(), FloatingPointError(), ValueError("math domain error")]
)
def test_leaving_the_domain_by_an_exception_is_no_crash(error):
    """`math.log(-1e-3)` raises where numpy gives NaN: the step is dropped, as a NaN would be."""

    def f(x):
        if x[0] < 1e-3:
            raise error
        return x**2

    report = check_vjp(f, lambda g, x: 2 * x * g, np.array([1.1e-3, 2.0]))
    assert report.verdict is Verdict.MATCH, str(report)


# ------------------------------------------------------------------ arguments


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "quick"}, r"mode was 'quick'; expected 'auto', 'full' or 'fast'"),
        ({"rtol": 0.0}, r"rtol was 0.0; expected a number between 0 and 1"),
        ({"rtol": -1e-3}, r"rtol was -0.001"),
        ({"rtol": "tight"}, r"rtol was 'tight'"),
        ({"seed": -1}, r"seed was -1; expected a whole number, 0 or more"),
        ({"seed": 1.5}, r"seed was 1.5"),
        ({"seed": True}, r"seed was True"),
        ({"budget": 0}, r"budget was 0; expected a number of forward evaluations, 1 or more"),
        ({"budget": 2.5}, r"budget was 2.5"),
        (
            {"workers": 0},
            r"workers was 0; expected a number of workers \(1 or more\), a concurrent.futures.Executor or",
        ),
        ({"workers": "two"}, r"workers was 'two'; expected"),
        ({"wrt": "z"}, r"wrt names 'z', which is none of the inputs; there are 'x' \(float64\)"),
        ({"wrt": 3}, r"wrt names 3, which is none of the inputs"),
        ({"names": ["a", "b"]}, r"names has 2 entries \('a', 'b'\) for 1 inputs; give one name for each"),
        ({"names": [""]}, r"names was \('',\); expected different, non-empty strings"),
    ],
)
def test_unusable_options_are_named(options, message):
    with pytest.raises(ArgumentError, match=message):
        check_vjp(lambda x: x**2, lambda g, x: 2 * x * g, FLOATS, **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: check_vjp(3, lambda g, x: g, FLOATS), "f was int, which cannot be called"),
        (lambda: check_vjp(np.sin, None, FLOATS), "vjp was NoneType, which cannot be called"),
        (lambda: check_jvp(np.sin, "cos", FLOATS), "jvp was str, which cannot be called"),
        (lambda: check_grad(None, np.cos, FLOATS), "loss was NoneType, which cannot be called"),
        (lambda: check_grad(np.sum, 1, FLOATS), "grad was int, which cannot be called"),
        (lambda: check_vjp(np.sin, np.cos), "no inputs were given"),
        (lambda: check_grad(np.sin, np.cos, FLOATS), r"the loss returned shape \(4, 6\); expected a scalar: sum it"),
        (lambda: check_vjp(lambda x: x > 0, lambda g, x: g, FLOATS), "no floating-point output but output .bool"),
    ],
)
def test_unusable_arguments_are_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


@pytest.mark.parametrize("mode", ["full", "fast"])
@pytest.mark.parametrize("value", [-np.inf, np.nan])
def test_input_that_is_not_finite_has_no_derivative(value, mode):
    """A masked softmax is given -inf: there is nothing that could be moved."""

    def softmax(z):
        e = np.exp(z - np.max(z))
        return e / e.sum()

    report = check_vjp(softmax, lambda g, z: softmax(z) * (g - g @ softmax(z)), np.array([1.0, value, 2.0]), mode=mode)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert f"z[1] is {value}: there is no derivative by it; leave z out with wrt=" in str(report)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": np.array(["full", "fast"])}, "mode was"),
        ({"method": np.array(["central"])}, "method was"),
        ({"budget": True}, "budget was True; expected a number of forward evaluations"),
        ({"names": 3}, "names was 3; expected a sequence of strings"),
    ],
)
def test_options_of_the_wrong_kind_are_named(options, words):
    with pytest.raises(ArgumentError, match=words):
        check_vjp(np.sin, lambda g, x: g * np.cos(x), np.array([0.5]), **options)


def test_rtol_may_be_a_number_of_numpy():
    assert check_vjp(np.sin, lambda g, x: g * np.cos(x), np.array([0.5]), rtol=np.float32(1e-5)).ok


def test_options_that_change_the_verdict_are_in_the_line_that_reproduces_it():
    report = check_vjp(lambda x: np.maximum(x, 0), lambda g, x: g * (x > 0), np.zeros(1), allow_kinks=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.reproduce.endswith("seed=0, allow_kinks=False)")
