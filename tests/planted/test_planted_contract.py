"""Each clause of the contract of a function pair, broken once, beside the correct twin that keeps it."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from gradcheck import ContractError, Verdict, check_grad, check_jvp, check_vjp
from gradcheck.contract import shape_advice

RNG = np.random.default_rng(7)
X, W, B = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 2)), RNG.normal(size=(1, 2))
SQUARE = RNG.normal(size=(3, 3))
IMAGES, CHANNELS = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(1, 3, 1))


def affine(X, W, b):
    return X @ W + b


def affine_vjp(g, X, W, b):
    return g @ W.T, X.T @ g, g.sum(axis=0, keepdims=True)


def replaced(position: int, change: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return `affine_vjp` with one of its gradients changed."""

    def affine_vjp_changed(g, X, W, b):
        gradients = list(affine_vjp(g, X, W, b))
        gradients[position] = change(gradients[position])
        return tuple(gradients)

    return affine_vjp_changed


class Planted(NamedTuple):
    """A derivative that breaks one clause, its correct twin, and what the report must say."""

    id: str
    check: Callable[..., Any]
    f: Callable[..., Any]
    wrong: Callable[..., Any]
    right: Callable[..., Any]
    point: tuple[Any, ...]
    kind: str
    name: str
    message: str
    wrong_f: Callable[..., Any] | None = None


def vjp_case(id, wrong, kind, name, message, *, f=affine, right=affine_vjp, point=(X, W, B), wrong_f=None):
    return Planted(id, check_vjp, f, wrong, right, point, kind, name, message, wrong_f)


# ------------------------------------------------------------------ count and shape

COUNT = [
    vjp_case(
        "vjp-one-gradient-for-three-inputs",
        lambda g, X, W, b: X.T @ g,
        "count",
        "",
        "returned 1 array for 3 inputs ('X', 'W', 'b')",
    ),
    vjp_case(
        "vjp-four-gradients-for-three-inputs",
        lambda g, X, W, b: (*affine_vjp(g, X, W, b), g),
        "count",
        "",
        "returned 4 arrays for 3 inputs ('X', 'W', 'b')",
    ),
    vjp_case("vjp-gradient-is-None", replaced(1, lambda d: None), "count", "W", "dW is None, W has shape (3, 2)"),
    vjp_case(
        "vjp-dict-lacks-a-key",
        lambda g, X, W, b: {"X": g @ W.T, "W": X.T @ g},
        "count",
        "b",
        "db is missing, b has shape (1, 2)",
        right=lambda g, X, W, b: dict(zip(("X", "W", "b"), affine_vjp(g, X, W, b), strict=True)),
    ),
    Planted(
        "grad-leaf-is-missing",
        check_grad,
        lambda p: np.sum(p["W"] ** 2) + np.sum(p["b"] ** 3),
        lambda p: {"W": 2 * p["W"]},
        lambda p: {"W": 2 * p["W"], "b": 3 * p["b"] ** 2},
        ({"W": W, "b": B},),
        "count",
        "",
        "returned no gradient for 'b': return it in the structure of params ('W', 'b')",
    ),
    Planted(
        "jvp-one-tangent-for-two-outputs",
        check_jvp,
        lambda x: (np.sin(x), np.cos(x)),
        lambda t, x: (np.cos(x) * t[0],),
        lambda t, x: (np.cos(x) * t[0], -np.sin(x) * t[0]),
        (X,),
        "count",
        "",
        "jvp returned 1 array for 2 outputs",
    ),
    Planted(
        "jvp-bare-array-for-two-outputs",
        check_jvp,
        lambda x: (np.sin(x), np.cos(x)),
        lambda t, x: np.cos(x) * t[0],
        lambda t, x: (np.cos(x) * t[0], -np.sin(x) * t[0]),
        (X,),
        "count",
        "",
        "jvp returned 1 array for 2 outputs",
    ),
]

SHAPE = [
    vjp_case(
        "vjp-bias-not-summed-over-the-batch",
        replaced(2, lambda d: np.repeat(d, 4, axis=0) / 4),
        "shape",
        "b",
        "db has shape (4, 2), b has (1, 2): the sum over the batch axis is missing",
    ),
    vjp_case(
        "vjp-flat-bias-not-summed-over-the-batch",
        lambda g, X, b: (g, g),
        "shape",
        "b",
        "db has shape (4, 3), b has (3,): the sum over the batch axis is missing",
        f=lambda X, b: X + b,
        right=lambda g, X, b: (g, g.sum(axis=0)),
        point=(X, X[0]),
    ),
    vjp_case(
        "vjp-column-not-summed-over-axis-1",
        lambda g, X, c: (g * c, g * X),
        "shape",
        "c",
        "dc has shape (4, 3), c has (4, 1): the sum over axis 1 is missing",
        f=lambda X, c: X * c,
        right=lambda g, X, c: (g * c, (g * X).sum(axis=1, keepdims=True)),
        point=(X, X[:, :1]),
    ),
    vjp_case(
        "vjp-channels-not-summed-over-two-axes",
        lambda g, X, c: (g * c, g * X),
        "shape",
        "c",
        "dc has shape (2, 3, 4), c has (1, 3, 1): the sum over axis (0, 2) is missing",
        f=lambda X, c: X * c,
        right=lambda g, X, c: (g * c, (g * X).sum(axis=(0, 2), keepdims=True)),
        point=(IMAGES, CHANNELS),
    ),
    vjp_case(
        "vjp-keepdims-forgotten",
        replaced(2, lambda d: d[0]),
        "shape",
        "b",
        "db has shape (2,), b has (1, 2): as many entries in another shape (keepdims=True, or reshape)",
    ),
    vjp_case(
        "vjp-weights-transposed",
        replaced(1, np.transpose),
        "shape",
        "W",
        "dW has shape (2, 3), W has (3, 2): it is transposed",
    ),
    vjp_case(
        "vjp-axes-permuted",
        lambda g, x: (2 * x * g).transpose(1, 0, 2),
        "shape",
        "x",
        "dx has shape (3, 2, 4), x has (2, 3, 4): its axes are permuted",
        f=lambda x: x**2,
        right=lambda g, x: 2 * x * g,
        point=(IMAGES,),
    ),
    vjp_case(
        "vjp-summed-over-everything",
        replaced(1, np.sum),
        "shape",
        "W",
        "dW has shape (), W has (3, 2): it was summed over everything",
    ),
    vjp_case(
        "vjp-input-summed-over-the-batch-too",
        replaced(0, lambda d: d.sum(axis=0)),
        "shape",
        "X",
        "dX has shape (3,), X has (4, 3): it was summed over an axis too many",
    ),
    vjp_case(
        "vjp-bias-summed-over-the-wrong-axis",
        lambda g, X, W, b: (g @ W.T, X.T @ g, g.sum(axis=1)),
        "shape",
        "b",
        "db has shape (4,), b has (1, 2): a gradient has the shape of what it is the gradient of "
        "(was it summed over the wrong axis?)",
    ),
    Planted(
        "grad-transposed-in-a-nested-dict",
        check_grad,
        lambda p: np.sum(p["layer1"]["W"] ** 2),
        lambda p: {"layer1": {"W": 2 * p["layer1"]["W"].T}},
        lambda p: {"layer1": {"W": 2 * p["layer1"]["W"]}},
        ({"layer1": {"W": W}},),
        "shape",
        "layer1.W",
        "layer1.dW has shape (2, 3), layer1.W has (3, 2): it is transposed",
    ),
    Planted(
        "jvp-tangent-of-the-input's-shape",
        check_jvp,
        lambda x: np.sum(x**2, axis=1),
        lambda t, x: 2 * x * t[0],
        lambda t, x: np.sum(2 * x * t[0], axis=1),
        (X,),
        "shape",
        "output",
        "the tangent of output has shape (4, 3), output has (4,)",
    ),
]

# ------------------------------------------------------------------ dtype and finiteness


def guarded(g, x):
    """The gradient of x log x where x > 0, by a logarithm that is not guarded."""
    with np.errstate(all="ignore"):
        return np.where(x > 0, 1 + np.log(x), np.nan) * g


DTYPE = [
    vjp_case(
        "vjp-integer-gradient",
        replaced(1, lambda d: d.astype(np.int64)),
        "dtype",
        "W",
        "dW has dtype int64, W has float64: a gradient is floating-point, integers cut its fraction off",
    ),
    vjp_case(
        "vjp-boolean-gradient",
        lambda g, x: x > 0,
        "dtype",
        "x",
        "dx has dtype bool, x has float64: a gradient is floating-point",
        f=lambda x: np.maximum(x, 0.0),
        right=lambda g, x: (x > 0) * g,
        point=(X,),
    ),
    vjp_case(
        "vjp-gradient-is-text",
        replaced(1, lambda d: "dW"),
        "dtype",
        "W",
        "dW has dtype <U2, W has float64: a gradient is floating-point",
    ),
    vjp_case("vjp-gradient-is-ragged", replaced(1, lambda d: [[1.0], [2.0, 3.0]]), "dtype", "W", "dW is no array"),
    vjp_case(
        "vjp-gradient-is-complex",
        replaced(1, lambda d: d + 0j),
        "dtype",
        "W",
        "dW has dtype complex128, W has float64",
    ),
    Planted(
        "grad-integer-gradient",
        check_grad,
        lambda w: np.sum(w**2),
        lambda w: (2 * w).astype(int),
        lambda w: 2 * w,
        (W,),
        "dtype",
        "w",
        "dw has dtype int64, w has float64",
    ),
    Planted(
        "jvp-integer-tangent",
        check_jvp,
        np.sin,
        lambda t, x: (np.cos(x) * t[0]).astype(int),
        lambda t, x: np.cos(x) * t[0],
        (X,),
        "dtype",
        "output",
        "the tangent of output has dtype int64, output has float64",
    ),
]

FINITE = [
    vjp_case(
        "vjp-nan-where-f-is-smooth",
        lambda g, x: np.where(np.arange(3) == 1, np.nan, 2 * x * g),
        "finite",
        "x",
        "the gradient of x[0, 1] is nan, where f is smooth",
        f=lambda x: x**2,
        right=lambda g, x: 2 * x * g,
        point=(X,),
    ),
    vjp_case(
        "vjp-inf-where-f-is-smooth",
        lambda g, x: np.where(np.arange(3) == 2, np.inf, 2 * x * g),
        "finite",
        "x",
        "the gradient of x[0, 2] is inf, where f is smooth",
        f=lambda x: x**2,
        right=lambda g, x: 2 * x * g,
        point=(X,),
    ),
    vjp_case(
        # sigmoid'(z) = exp(-z) / (1 + exp(-z))**2 as written: inf / inf for z = -800
        "vjp-overflow-in-a-saturated-sigmoid",
        lambda g, z: g * (np.exp(-z) / (1 + np.exp(-z)) ** 2),
        "finite",
        "z",
        "the gradient of z[1] is nan, where f is smooth",
        f=lambda z: np.where(z > 0, 1 / (1 + np.exp(-np.abs(z))), np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z)))),
        right=lambda g, z: g * np.exp(-np.abs(z)) / (1 + np.exp(-np.abs(z))) ** 2,
        point=(np.array([0.5, -800.0]),),
    ),
    Planted(
        "grad-nan-where-the-loss-is-smooth",
        check_grad,
        lambda w: np.sum(w**2),
        lambda w: 2 * w * np.where(np.arange(2) == 0, 1, np.nan),
        lambda w: 2 * w,
        (W,),
        "finite",
        "w",
        "the gradient of w[0, 1] is nan, where f is smooth",
    ),
    Planted(
        "jvp-nan-where-f-is-smooth",
        check_jvp,
        np.sin,
        lambda t, x: np.cos(x) * np.where(x == X[2, 1], np.nan, t[0]),
        lambda t, x: np.cos(x) * t[0],
        (X,),
        "finite",
        "",
        "is nan, where f is smooth",
    ),
]

# ------------------------------------------------------------------ mutation


def in_place_relu(x):
    x[x < 0] = 0
    return x * 1.0


def doubles_cotangent(g, x):
    g *= 2
    return g * x


def negates_tangent(t, x):
    np.negative(t[0], out=t[0])
    return -2 * x * t[0]


def normalises_input(g, x):
    gradient = 2 * x * g
    x -= x.mean()
    return gradient


def decays(p):
    p["W"] *= 0.5
    return np.sum(p["W"] ** 2)


def descends(p):
    gradient = 2 * p["W"]
    p["W"] -= 0.1 * gradient
    return {"W": gradient}


MUTATION = [
    vjp_case(
        "vjp-forward-changes-its-input",
        lambda g, x: (x > 0) * g,
        "mutation",
        "x",
        "x was changed in place by the forward: work on a copy",
        f=lambda x: np.maximum(x, 0.0),
        wrong_f=in_place_relu,
        right=lambda g, x: (x > 0) * g,
        point=(X,),
    ),
    vjp_case(
        "vjp-backward-changes-its-input",
        normalises_input,
        "mutation",
        "x",
        "x was changed in place by the backward: work on a copy",
        f=lambda x: x**2,
        right=lambda g, x: 2 * x * g,
        point=(X,),
    ),
    vjp_case(
        "vjp-backward-changes-the-cotangent",
        doubles_cotangent,
        "mutation",
        "cotangent of output",
        "the cotangent of output was changed in place by the backward: work on a copy",
        f=lambda x: x**2,
        right=lambda g, x: 2 * g * x,
        point=(X,),
    ),
    Planted(
        "grad-loss-changes-a-parameter",
        check_grad,
        lambda p: np.sum(p["W"] ** 2),
        lambda p: {"W": 2 * p["W"]},
        lambda p: {"W": 2 * p["W"]},
        ({"W": W},),
        "mutation",
        "W",
        "W was changed in place by the forward: work on a copy",
        decays,
    ),
    Planted(
        "grad-gradient-changes-a-parameter",
        check_grad,
        lambda p: np.sum(p["W"] ** 2),
        descends,
        lambda p: {"W": 2 * p["W"]},
        ({"W": W},),
        "mutation",
        "W",
        "W was changed in place by the backward: work on a copy",
    ),
    Planted(
        "jvp-changes-the-tangent",
        check_jvp,
        lambda x: x**2,
        negates_tangent,
        lambda t, x: 2 * x * t[0],
        (X,),
        "mutation",
        "tangent of x",
        "the tangent of x was changed in place by the backward: work on a copy",
    ),
]

# ------------------------------------------------------------------ determinism and caches


def noisy_forward() -> Callable[..., Any]:
    calls = itertools.count()
    return lambda x: x**2 * (np.random.default_rng(next(calls)).random(x.shape) < 0.5)


def noisy_backward() -> Callable[..., Any]:
    rng = np.random.default_rng(0)
    return lambda g, x: 2 * x * g * (rng.random(x.shape) < 0.5)


def mask(x):
    return np.random.default_rng(0).random(x.shape) < 0.5


class Cache:
    """A function pair that remembers; `backward` is given its input again and looks at the memory all the same."""

    def forward(self, x):
        self.x = x
        return x**2

    def backward(self, g, x):
        return 2 * self.x * g

    def forward_mode(self, t, x):
        return 2 * self.x * t[0]

    def loss(self, x):
        self.x = x
        return np.sum(x**2)

    def gradient(self, x):
        return 2 * self.x


class Total:
    """Adds up its gradients in a buffer that nobody resets."""

    def __init__(self):
        self.total = 0.0

    def backward(self, g, x):
        self.total = self.total + 2 * x * g
        return self.total

    def gradient(self, x):
        self.total = self.total + 2 * x
        return self.total


SQUARED = {"f": lambda x: x**2, "right": lambda g, x: 2 * x * g, "point": (X,)}
STATE = [
    vjp_case(
        "vjp-dropout-without-a-seed",
        lambda g, x: 2 * x * g * mask(x),
        "determinism",
        "output",
        "two identical forward calls gave different results: output[",
        f=lambda x: x**2 * mask(x),
        wrong_f=noisy_forward(),
        right=lambda g, x: 2 * x * g * mask(x),
        point=(X,),
    ),
    vjp_case(
        "vjp-backward-draws-its-own-mask",
        noisy_backward(),
        "determinism",
        "x",
        "two identical backward calls gave different results: dx[",
        **SQUARED,
    ),
    vjp_case(
        "vjp-accumulates",
        Total().backward,
        "accumulation",
        "x",
        "dx grows by the same amount with every backward call: it is accumulated (+=); assign it, reset it",
        **SQUARED,
    ),
    Planted(
        "vjp-stale-cache",
        check_vjp,
        lambda x: x**2,
        (stale := Cache()).backward,
        lambda g, x: 2 * x * g,
        (X,),
        "stale",
        "x",
        "it relies on what the last forward stored, though it is given its inputs again",
        stale.forward,
    ),
    Planted(
        "grad-stale-cache",
        check_grad,
        lambda x: np.sum(x**2),
        (stale_loss := Cache()).gradient,
        lambda x: 2 * x,
        (X,),
        "stale",
        "x",
        "after a forward with other inputs the backward of the earlier call gave something else: dx[",
        stale_loss.loss,
    ),
    Planted(
        "grad-accumulates",
        check_grad,
        lambda x: np.sum(x**2),
        Total().gradient,
        lambda x: 2 * x,
        (X,),
        "accumulation",
        "x",
        "dx grows by the same amount with every backward call",
    ),
    Planted(
        "jvp-stale-cache",
        check_jvp,
        lambda x: x**2,
        (stale_tangent := Cache()).forward_mode,
        lambda t, x: 2 * x * t[0],
        (X,),
        "stale",
        "output",
        "it relies on what the last forward stored",
        stale_tangent.forward,
    ),
    Planted(
        "jvp-is-random",
        check_jvp,
        np.sin,
        lambda t, x, rng=np.random.default_rng(0): np.cos(x) * t[0] * rng.random(),  # noqa: B008  # shared on purpose
        lambda t, x: np.cos(x) * t[0],
        (X,),
        "determinism",
        "output",
        "calls gave different results",
    ),
]

ALL = [*COUNT, *SHAPE, *DTYPE, *FINITE, *MUTATION, *STATE]
each = pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in ALL])


@each
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")  # the planted fault's own
def test_catches_the_planted_fault(case):
    report = case.check(case.wrong_f or case.f, case.wrong, *case.point)
    assert report.verdict is Verdict.CONTRACT, str(report)
    assert not report.ok
    assert {violation.kind for violation in report.violations} == {case.kind}
    if case.name:
        assert {violation.name.removeprefix("the ") for violation in report.violations} == {case.name}
    assert any(case.message in violation for violation in report.violations), report.violations
    assert case.message in str(report)
    with pytest.raises(ContractError) as raised:
        report.raise_on_failure()
    assert str(raised.value) == str(report)


@each
def test_correct_twin_passes(case):
    report = case.check(case.f, case.right, *case.point)
    assert report.ok, str(report)
    assert report.violations == ()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_float32_backward_that_is_not_finite_is_caught_though_its_float64_twin_is_right(bad):
    def vjp(g, x):
        return np.where((x == 2) & (x.dtype == np.float32), x.dtype.type(bad), 2 * x * g)

    x = np.array([0.5, 2.0], np.float32)
    report = check_vjp(lambda x: x**2, vjp, x)
    assert report.verdict is Verdict.CONTRACT, str(report)
    assert [violation.kind for violation in report.violations] == ["finite"]
    assert f"the gradient of x[1] is {bad}" in report.violations[0]
    assert check_vjp(lambda x: x**2, lambda g, x: 2 * x * g, x).verdict is Verdict.MATCH


def test_every_kind_is_planted():
    assert {case.kind for case in ALL} == {
        "count",
        "shape",
        "dtype",
        "finite",
        "mutation",
        "determinism",
        "stale",
        "accumulation",
    }


def test_without_contract_a_stale_cache_is_not_looked_for():
    cache = Cache()
    report = check_vjp(cache.forward, cache.backward, X, contract=False)
    assert report.verdict is Verdict.MATCH


@pytest.mark.parametrize(
    ("wrong", "kind"), [(lambda g, x: g[0], "shape"), (lambda g, x: (g, g), "count"), (doubles_cotangent, "mutation")]
)
def test_without_contract_shapes_counts_and_mutation_are_still_judged(wrong, kind):
    report = check_vjp(lambda x: x**2, wrong, X, contract=False)
    assert [violation.kind for violation in report.violations] == [kind]


def test_all_broken_shapes_are_listed_at_once():
    report = check_vjp(affine, lambda g, X, W, b: (g, g, g), X, W, B)
    assert [violation.name for violation in report.violations] == ["X", "W", "b"]


def test_contract_is_checked_before_numbers():
    """A wrong shape and a wrong number: only the shape is reported, for the numbers say little before that."""
    report = check_vjp(affine, replaced(1, lambda d: 3 * d.T), X, W, B)
    assert report.verdict is Verdict.CONTRACT
    assert report.comparisons == ()


@pytest.mark.parametrize(
    ("got", "wanted", "advice"),
    [
        ((5, 3), (1, 3), "the sum over the batch axis is missing"),
        ((5, 3), (3,), "the sum over the batch axis is missing"),
        ((5, 3), (5, 1), "the sum over axis 1 is missing"),
        ((5, 3), (1, 1), "the sum over axis (0, 1) is missing"),
        ((2, 5, 3), (3,), "the sum over axis (0, 1) is missing"),
        ((3,), (1, 3), "as many entries in another shape (keepdims=True, or reshape)"),
        ((3, 1), (1, 3), "as many entries in another shape (keepdims=True, or reshape)"),
        ((1, 1), (), "as many entries in another shape (keepdims=True, or reshape)"),
        ((3, 2), (2, 3), "it is transposed"),
        ((4, 3, 2), (2, 3, 4), "it is transposed"),
        ((3, 2, 4), (2, 3, 4), "its axes are permuted"),
        ((), (2, 3), "it was summed over everything"),
        ((3,), (5, 3), "it was summed over an axis too many"),
        ((1, 3), (5, 3), "it was summed over an axis too many"),
        ((5,), (1, 4), "a gradient has the shape of what it is the gradient of (was it summed over the wrong axis?)"),
        ((7, 7), (5, 3), "a gradient has the shape of what it is the gradient of (was it summed over the wrong axis?)"),
    ],
)
def test_shape_advice(got, wanted, advice):
    assert shape_advice(got, wanted) == advice


@pytest.mark.parametrize("scribbler", ["forward", "backward"])
def test_input_that_is_made_writeable_and_written_to_is_a_mutation(scribbler):
    def scribble(x):
        x.flags.writeable = True
        x[0] = 7.0

    def f(x):
        y = 2.0 * x
        if scribbler == "forward":
            scribble(x)
        return y

    def vjp(g, x):
        if scribbler == "backward":
            scribble(x)
        return 2.0 * g

    x = np.array([0.5, 1.5])
    report = check_vjp(f, vjp, x)
    assert report.verdict is Verdict.CONTRACT
    assert [violation.kind for violation in report.violations] == ["mutation"], str(report)
    assert "x was changed in place, though it was lent read-only" in str(report)
    assert np.array_equal(x, [0.5, 1.5])


NOT_LINEAR = {
    "square": (np.sin, lambda t, x: t[0] ** 2 * np.cos(x)),
    "absolute value": (np.sin, lambda t, x: np.abs(t[0]) * np.cos(x)),
    "its positive part": (np.sin, lambda t, x: np.maximum(t[0], 0) * np.cos(x)),
    "constant added": (np.sin, lambda t, x: np.where(t[0] == 0, 0, t[0] * np.cos(x) + (t[0] - 1))),
}


@pytest.mark.parametrize("mode", ["full", "fast"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("what", NOT_LINEAR)
def test_jvp_that_is_right_for_columns_alone_is_not_linear(what, dtype, mode):
    f, jvp = NOT_LINEAR[what]
    report = check_jvp(f, jvp, X.astype(dtype), mode=mode)
    assert [violation.kind for violation in report.violations] == ["linearity"], str(report)
    assert "the jvp is not linear in its tangent" in str(report)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_linear_jvps_stay_so_up_to_their_rounding(dtype):
    def low(x):
        return np.tanh(x.astype(np.float32)).astype(x.dtype)

    def low_jvp(t, x):
        return (t[0].astype(np.float32) * (1 - np.tanh(x.astype(np.float32)) ** 2)).astype(x.dtype)

    for seed in range(20):
        x = 3 * np.random.default_rng(seed).normal(size=(3, 4)).astype(dtype)
        assert check_jvp(low, low_jvp, x, seed=seed).verdict is not Verdict.CONTRACT
