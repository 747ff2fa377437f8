"""gradcheck.adapters.functions: every argument order, structure of outputs and form of gradients, right and wrong."""

import functools

import numpy as np
import pytest

from gradcheck import ArgumentError, Verdict, check_jvp, check_vjp
from gradcheck.adapters.functions import adapt_function, argument_order, spread
from gradcheck.layer import BrokenContract

RNG = np.random.default_rng(8)
X, Y = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3))
P = RNG.uniform(0.1, 0.9, size=(4, 1))
LABELS = np.array([[0.0], [1.0], [1.0], [0.0]])


def relu(Z):
    return np.maximum(Z, 0.0)


def leaky_relu(Z, alpha=0.01):
    return np.where(Z > 0, Z, alpha * Z)


def bce(A, Y):
    return -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))


def bce_slope(A, Y):
    return (A - Y) / (A * (1 - A)) / A.size


def product(x, y):
    return x * y


# ------------------------------------------------------------------ argument orders


def relu_backward(dA, Z):
    return dA * (Z > 0)


def relu_backward_last(Z, dA):
    return dA * (Z > 0)


def relu_backward_cache(dA, cache):
    return dA * (cache > 0)


ORDERS = [
    (product, lambda g, x, y: (g * y, g * x), 2, "first"),
    (product, lambda dout, x, y: (dout * y, dout * x), 2, "first"),
    (product, lambda x, y, g: (g * y, g * x), 2, "last"),
    (product, lambda x, y, dout: (dout * y, dout * x), 2, "last"),
    (product, lambda x, y, grad_output: 0, 2, "last"),
    (product, lambda a, b, c: 0, 2, "first"),
    (product, lambda upstream, *inputs: 0, 2, "first"),
    (product, lambda *args: 0, 2, "first"),
    (product, lambda x, y: 0, 2, "none"),
    (product, lambda dz: 0, 2, "only"),
    (product, lambda grad, cache: 0, 2, "cache"),
    (product, lambda cache, dout: 0, 2, "cache"),
    (product, lambda dout, ctx: 0, 2, "cache"),
    (relu, relu_backward, 1, "first"),
    (relu, relu_backward_last, 1, "last"),
    (relu, relu_backward_cache, 1, "cache"),
    (relu, lambda Z: Z > 0, 1, "none"),
    (relu, lambda z: z > 0, 1, "none"),
    (relu, lambda x: x > 0, 1, "none"),
    (relu, lambda dout: dout, 1, "only"),
    (relu, lambda g: g, 1, "only"),
    (leaky_relu, lambda Z, alpha=0.01: 0, 1, "none"),
    (leaky_relu, lambda dA, Z, alpha=0.01: 0, 1, "first"),
    (leaky_relu, lambda Z, dA, alpha=0.01: 0, 1, "last"),
    (bce, bce_slope, 2, "none"),
    (np.sin, lambda g, x: g * np.cos(x), 1, "first"),
    (np.sin, np.cos, 1, "none"),
    (np.multiply, lambda g, x, y: (g * y, g * x), 2, "first"),
    # names that say two things: an input that is called like a cotangent is still the input
    (lambda g: g**2, lambda g: 2 * g, 1, "none"),
    (lambda dz: dz**2, lambda g, dz: 2 * g * dz, 1, "first"),
    (lambda delta, x: delta * x, lambda delta, x, g: 0, 2, "last"),
]


@pytest.mark.parametrize(("f", "vjp", "n", "expected"), ORDERS, ids=[f"{i}-{row[3]}" for i, row in enumerate(ORDERS)])
def test_argument_order(f, vjp, n, expected):
    assert argument_order(f, vjp, n) == expected


@pytest.mark.parametrize(
    ("vjp", "count"),
    [(lambda: 0, "takes none"), (lambda a, b, c, d: 0, "takes 4"), (lambda a, b, c, d, e=1: 0, "takes 4 to 5")],
)
def test_number_of_parameters_that_fits_no_order(vjp, count):
    words = count.replace("takes none", "takes 0")
    with pytest.raises(ArgumentError, match=rf"vjp {words} positional arguments .* for 2 inputs; expected one of"):
        argument_order(product, vjp, 2)


@pytest.mark.parametrize("factor", [1.0, 1.5], ids=["right", "wrong"])
@pytest.mark.parametrize(
    ("f", "make", "point"),
    [
        (relu, lambda k: lambda dA, Z: k * dA * (Z > 0), (X,)),
        (relu, lambda k: lambda Z, dA: k * dA * (Z > 0), (X,)),
        (relu, lambda k: lambda Z: k * (Z > 0), (X,)),
        (np.sin, lambda k: lambda x: k * np.cos(x), (X,)),
        (np.multiply, lambda k: lambda g, x, y: (k * g * y, g * x), (X, Y)),
        (product, lambda k: lambda x, y, dout: (k * dout * y, dout * x), (X, Y)),
        (product, lambda k: lambda g, *inputs: (k * g * inputs[1], g * inputs[0]), (X, Y)),
        (leaky_relu, lambda k: lambda dA, Z, alpha=0.01: dA * np.where(Z > 0, k, alpha), (X,)),
        (leaky_relu, lambda k: lambda Z, alpha=0.01: np.where(Z > 0, k, alpha), (X,)),
        (bce, lambda k: lambda A, Y: k * bce_slope(A, Y), (P, LABELS)),
        (lambda *xs: xs[0] * xs[1], lambda k: lambda g, *xs: (k * g * xs[1], g * xs[0]), (X, Y)),
        (lambda x, y: np.sum(x * y), lambda k: lambda x, y: (k * y, x), (X, Y)),
        (functools.partial(leaky_relu, alpha=0.2), lambda k: lambda g, Z: k * g * np.where(Z > 0, 1, 0.2), (X,)),
    ],
    ids=[
        "relu_backward(dA, Z)",
        "relu_backward(Z, dA)",
        "relu_derivative(Z)",
        "ufunc-derivative(x)",
        "ufunc-vjp(g, x, y)",
        "vjp(x, y, dout)",
        "vjp(g, *inputs)",
        "leaky(dA, Z, alpha=0.01)",
        "leaky_derivative(Z, alpha=0.01)",
        "bce_loss_backward(A, Y)",
        "f(*xs)",
        "loss-gradient(x, y)",
        "partial",
    ],
)
def test_each_order_judges(f, make, point, factor):
    report = check_vjp(f, make(factor), *point)
    assert report.verdict is (Verdict.MATCH if factor == 1.0 else Verdict.MISMATCH), str(report)


def test_loss_gradient_of_the_first_argument_alone_is_noted():
    report = check_vjp(bce, bce_slope, P, LABELS)
    assert [summary.name for summary in report.summaries] == ["A"]
    assert any("returned one gradient, taken as that of A; Y not checked" in note for note in report.notes)


@pytest.mark.parametrize("wrt", ["A", 0])
def test_wrt_says_which_gradient_a_loss_returns(wrt):
    assert check_vjp(bce, bce_slope, P, LABELS, wrt=wrt).ok


# ------------------------------------------------------------------ caches


def dense(X, W):
    return X @ W, (X, W)


@pytest.mark.parametrize("factor", [1.0, 0.5])
@pytest.mark.parametrize("cache_first", [False, True])
def test_forward_that_returns_a_cache(factor, cache_first):
    def backward(dout, cache):
        X, W = cache
        return dout @ W.T, factor * X.T @ dout

    swapped = (lambda cache, dout: backward(dout, cache)) if cache_first else backward
    report = check_vjp(dense, swapped, X, Y.T)
    assert report.verdict is (Verdict.MATCH if factor == 1.0 else Verdict.MISMATCH), str(report)
    assert {c.name for c in report.comparisons if c.verdict is Verdict.MISMATCH} <= {"W"}


def test_cache_behind_several_outputs():
    def f(x):
        return np.sin(x), np.cos(x), x

    def backward(dout, cache):
        return dout[0] * np.cos(cache) - dout[1] * np.sin(cache)

    assert check_vjp(f, backward, X).verdict is Verdict.MATCH


def test_cache_that_the_forward_does_not_return():
    with pytest.raises(
        ArgumentError, match=r"vjp takes a cache, but f returned ndarray; expected a tuple \(output, cache\)"
    ):
        check_vjp(relu, relu_backward_cache, X)


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_backward_that_uses_what_the_last_forward_stored(factor):
    store = {}

    def f(x):
        store["x"] = x
        return x**2

    def backward(dout):
        return factor * 2 * store["x"] * dout

    report = check_vjp(f, backward, X)
    assert report.verdict is (Verdict.MATCH if factor == 1.0 else Verdict.MISMATCH), str(report)


# ------------------------------------------------------------------ outputs and gradients in structures


@pytest.mark.parametrize("factor", [1.0, -1.0])
@pytest.mark.parametrize(
    ("f", "make"),
    [
        (lambda x: (np.sin(x), np.cos(x)), lambda k: lambda g, x: g[0] * np.cos(x) - k * g[1] * np.sin(x)),
        (lambda x: [np.sin(x), np.cos(x)], lambda k: lambda g, x: g[0] * np.cos(x) - k * g[1] * np.sin(x)),
        (
            lambda x: {"s": np.sin(x), "c": np.cos(x)},
            lambda k: lambda g, x: g["s"] * np.cos(x) - k * g["c"] * np.sin(x),
        ),
        (lambda x: (np.sin(x),), lambda k: lambda g, x: k * g[0] * np.cos(x)),
        (lambda x: (np.sum(x**2), 3 * x), lambda k: lambda g, x: 2 * x * g[0] + 3 * k * g[1]),
        (lambda x: (np.sin(x), (x > 0).astype(int)), lambda k: lambda g, x: k * g[0] * np.cos(x)),
    ],
    ids=["tuple", "list", "dict", "tuple-of-one", "scalar-and-array", "with-an-integer-output"],
)
def test_outputs_in_structures(f, make, factor):
    report = check_vjp(f, make(factor), X)
    assert report.verdict is (Verdict.MATCH if factor == 1.0 else Verdict.MISMATCH), str(report)


@pytest.mark.parametrize("kind", [tuple, list])
def test_cotangent_comes_in_the_structure_of_the_output(kind):
    seen = []

    def vjp(g, x):
        seen.append(g)
        return g[0] + g[1].sum() * np.ones_like(x)

    check_vjp(lambda x: kind((x, np.full(2, np.sum(x)))), vjp, X)
    assert type(seen[0]) is kind
    assert [part.shape for part in seen[0]] == [X.shape, (2,)]


@pytest.mark.parametrize(
    "form",
    [
        lambda dx, dy: (dx, dy),
        lambda dx, dy: [dx, dy],
        lambda dx, dy: {"x": dx, "y": dy},
        lambda dx, dy: {"y": dy, "x": dx},
        lambda dx, dy: (dx.tolist(), dy.tolist()),
    ],
    ids=["tuple", "list", "dict", "dict-in-another-order", "nested-lists"],
)
@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_gradients_in_structures(form, factor):
    report = check_vjp(product, lambda g, x, y: form(g * y, factor * g * x), X, Y)
    assert report.verdict is (Verdict.MATCH if factor == 1.0 else Verdict.MISMATCH), str(report)
    assert {c.name for c in report.comparisons if c.verdict is Verdict.MISMATCH} == ({"y"} if factor == 2.0 else set())


def test_swapped_gradients_of_equal_shape_are_a_mismatch():
    assert check_vjp(product, lambda g, x, y: (g * x, g * y), X, Y).verdict is Verdict.MISMATCH


@pytest.mark.parametrize("result", [X, (X,), [X], {"x": X}])
def test_one_gradient_may_be_wrapped(result):
    assert set(spread(result, {"x": X}, ["x"])) == {"x"}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ((1.0, None, 3.0), {"x": 1.0, "k": None, "y": 3.0}),
        ((1.0, 3.0), {"x": 1.0, "y": 3.0}),
        ((3.0,), {"y": 3.0}),
        (3.0, {"y": 3.0}),
    ],
    ids=["every-input", "floating-inputs", "wrt-alone", "bare"],
)
def test_gradients_may_leave_out_constants_and_what_is_not_asked_for(result, expected):
    primals = {"x": X, "k": np.arange(3), "y": Y}
    assert spread(result, primals, ["y"]) == expected


@pytest.mark.parametrize("count", [1, 3, 4])
def test_number_of_gradients_that_fits_nothing(count):
    words = "array" if count == 1 else "arrays"
    with pytest.raises(BrokenContract, match=rf"vjp returned {count} {words} for 2 inputs \('x', 'y'\)") as raised:
        spread((X,) * count, {"x": X, "y": Y}, ["x", "y"], "vjp")
    assert raised.value.kind == "count"


def test_cotangent_free_derivative_of_what_is_neither_loss_nor_elementwise():
    with pytest.raises(
        ArgumentError, match=r"neither a scalar loss nor elementwise: its output has shape \(4,\), 'x' has \(4, 3\)"
    ):
        check_vjp(lambda x: x.sum(axis=1), lambda x: np.ones_like(x), X)


def test_elementwise_derivative_of_the_wrong_shape():
    report = check_vjp(np.sin, lambda x: np.cos(x).ravel(), X)
    assert [violation.kind for violation in report.violations] == ["shape"]
    assert "returned shape (12,) for an input" in report.violations[0]


def test_elementwise_derivative_may_be_a_number_or_boolean():
    assert check_vjp(lambda x: 3 * x, lambda x: 3, X).verdict is Verdict.MATCH
    assert check_vjp(lambda x: 3 * x, lambda x: 4, X).verdict is Verdict.MISMATCH
    assert check_vjp(relu, lambda Z: Z > 0, X).verdict is Verdict.MATCH
    assert check_vjp(relu, lambda Z: Z < 0, X).verdict is Verdict.MISMATCH


# ------------------------------------------------------------------ the layer itself


def test_layer_carries_names_and_how_it_was_called():
    layer = adapt_function(product, relu_backward_three := (lambda g, x, y: (g * y, g * x)), (X, Y), names=["a", "b"])
    assert list(layer.primals) == ["a", "b"]
    assert layer.wrt == ("a", "b")
    assert layer.mode == "vjp"
    assert layer.cotangent
    assert layer.reentrant
    assert layer.name == "product"  # a lambda has no name to show
    assert layer.reproduce == "gradcheck.check_vjp(product, vjp, a, b)"
    assert relu_backward_three.__name__ == "<lambda>"
    assert adapt_function(relu, relu_backward, (X,)).name == "relu_backward"


def test_layer_runs_forward_and_pullback():
    outputs, pullback = adapt_function(product, lambda g, x, y: (g * y, g * x), (X, Y))({"x": X, "y": Y})
    assert np.array_equal(outputs["output"], X * Y)
    gradients = pullback({"output": np.ones_like(X)})
    assert np.array_equal(gradients["x"], Y)
    assert np.array_equal(gradients["y"], X)


def test_backward_that_relies_on_a_store_promises_no_reentrance():
    assert not adapt_function(relu, lambda dout: dout, (X,)).reentrant


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_jvp_of_several_inputs_and_outputs(factor):
    def jvp(tangents, x, y):
        dx, dy = tangents
        return dx * y + factor * x * dy, dx + dy

    report = check_jvp(lambda x, y: (x * y, x + y), jvp, X, Y)
    assert report.verdict is (Verdict.MATCH if factor == 1.0 else Verdict.MISMATCH), str(report)
    assert {c.name for c in report.comparisons if c.verdict is Verdict.MISMATCH} == ({"y"} if factor == 2.0 else set())


def test_jvp_with_a_dict_of_outputs():
    report = check_jvp(lambda x: {"s": np.sin(x)}, lambda t, x: {"s": t[0] * np.cos(x)}, X)
    assert report.verdict is Verdict.MATCH, str(report)


def test_one_gradient_of_a_loss_is_that_of_the_prediction():
    rng = np.random.default_rng(0)

    def mse(y_true, y_pred):
        return np.mean((y_pred - y_true) ** 2)

    def mse_prime(y_true, y_pred):
        return 2 * (y_pred - y_true) / y_pred.size

    report = check_vjp(mse, mse_prime, rng.normal(size=(3, 2)), rng.normal(size=(3, 2)))
    assert report.ok, str(report)
    assert [summary.name for summary in report.summaries] == ["y_pred"]
    wrong = check_vjp(
        mse, lambda y_true, y_pred: -mse_prime(y_true, y_pred), rng.normal(size=(3, 2)), rng.normal(size=(3, 2))
    )
    assert wrong.verdict == "mismatch"


def test_jvp_that_takes_a_bare_tangent_is_told_of_the_tuple():
    report = check_jvp(np.sin, lambda t, x: t * np.cos(x), np.array([0.1, 0.7, -1.2]))
    assert report.verdict == "contract"
    assert "take tangents[0]" in str(report)


def test_overflow_on_the_way_is_no_crash():
    report = check_vjp(np.exp, lambda d, x: d * np.exp(x), np.array([700.0, 709.7, -745.0]))
    assert report.verdict not in ("mismatch", "contract"), str(report)
