"""gradcheck.adapters.mappings: losses over nested structures, with their gradient in the same structure."""

from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest

from gradcheck import ArgumentError, Verdict, check_grad
from gradcheck.adapters.mappings import adapt_mapping

RNG = np.random.default_rng(9)
W, B, X = RNG.normal(size=(3, 2)), RNG.normal(size=2), RNG.normal(size=(4, 3))


class Pair(NamedTuple):
    W: Any
    b: Any


@dataclass
class Params:
    W: Any
    b: Any
    activation: str = "tanh"


@dataclass(frozen=True)
class Frozen:
    W: Any
    b: Any
    size: int = field(init=False, default=3)


@dataclass
class Model:
    layers: list
    scale: float = 1.0


def loss_of(get: Callable[[Any], tuple[Any, Any]]) -> Callable[[Any], Any]:
    def loss(params):
        W, b = get(params)
        return np.sum(np.tanh(X @ W + b) ** 2)

    return loss


def gradient_of(get, put, factor=1.0):
    def grad(params):
        W, b = get(params)
        a = np.tanh(X @ W + b)
        dz = 2 * a * (1 - a**2)
        return put(X.T @ dz, factor * dz.sum(axis=0))

    return grad


STRUCTURES = {
    "dict": ({"W": W, "b": B}, lambda p: (p["W"], p["b"]), lambda dW, db: {"W": dW, "b": db}, ("W", "b")),
    "dict-in-another-order": (
        {"b": B, "W": W},
        lambda p: (p["W"], p["b"]),
        lambda dW, db: {"W": dW, "b": db},
        ("b", "W"),
    ),
    "ordered-dict": (OrderedDict(W=W, b=B), lambda p: (p["W"], p["b"]), lambda dW, db: {"W": dW, "b": db}, ("W", "b")),
    "integer-keys": ({1: W, 2: B}, lambda p: (p[1], p[2]), lambda dW, db: {1: dW, 2: db}, ("[1]", "[2]")),
    "nested-dict": (
        {"1": {"W": W}, "2": {"b": B}},
        lambda p: (p["1"]["W"], p["2"]["b"]),
        lambda dW, db: {"1": {"W": dW}, "2": {"b": db}},
        ("1.W", "2.b"),
    ),
    "list": ([W, B], lambda p: (p[0], p[1]), lambda dW, db: [dW, db], ("params[0]", "params[1]")),
    "tuple": ((W, B), lambda p: (p[0], p[1]), lambda dW, db: (dW, db), ("params[0]", "params[1]")),
    "gradient-list-for-a-tuple": ((W, B), lambda p: (p[0], p[1]), lambda dW, db: [dW, db], ("params[0]", "params[1]")),
    "named-tuple": (Pair(W, B), lambda p: (p.W, p.b), Pair, ("W", "b")),
    "dataclass": (Params(W, B), lambda p: (p.W, p.b), Params, ("W", "b")),
    "frozen-dataclass": (Frozen(W, B), lambda p: (p.W, p.b), Frozen, ("W", "b")),
    "gradient-dict-for-a-dataclass": (
        Params(W, B),
        lambda p: (p.W, p.b),
        lambda dW, db: {"W": dW, "b": db},
        ("W", "b"),
    ),
    "deep": (
        Model([{"W": W}, (B, "unused")]),
        lambda p: (p.layers[0]["W"], p.layers[1][0]),
        lambda dW, db: Model([{"W": dW}, (db, None)], 0.0),
        ("layers[0].W", "layers[1][0]"),
    ),
}
each = pytest.mark.parametrize("name", STRUCTURES)


@each
def test_right_gradient_in_the_structure_passes(name):
    params, get, put, paths = STRUCTURES[name]
    report = check_grad(loss_of(get), gradient_of(get, put), params, wrt=list(paths))
    assert report.verdict is Verdict.MATCH, str(report)
    assert tuple(summary.name for summary in report.summaries) == paths


@each
def test_wrong_gradient_in_the_structure_is_named(name):
    params, get, put, paths = STRUCTURES[name]
    report = check_grad(loss_of(get), gradient_of(get, put, 0.5), params, wrt=list(paths))
    assert report.verdict is Verdict.MISMATCH, str(report)
    accused = {c.name for c in report.comparisons if c.verdict is Verdict.MISMATCH}
    assert accused == {path for path in paths if path.endswith(("b", "[2]")) or path in ("params[1]", "layers[1][0]")}


@each
def test_users_structure_type_is_what_the_loss_sees(name):
    params, get, put, _ = STRUCTURES[name]
    seen = []

    def loss(p):
        seen.append(p)
        return loss_of(get)(p)

    check_grad(loss, gradient_of(get, put), params)
    assert {type(p) for p in seen} == {type(params)}


def test_leaves_that_are_no_numbers_are_handed_through():
    params = {"W": W, "name": "first", "none": None, "f": np.tanh, "flag": True}

    def loss(p):
        assert p["name"] == "first"
        assert p["none"] is None
        assert p["f"] is np.tanh
        return np.sum(p["f"](p["W"]))

    report = check_grad(loss, lambda p: {"W": 1 / np.cosh(p["W"]) ** 2}, params)
    assert report.verdict is Verdict.MATCH, str(report)


@pytest.mark.parametrize("factor", [1.0, 3.0])
@pytest.mark.parametrize(
    ("params", "scale"),
    [
        ({"W": W, "scale": 2.0}, float),
        ({"W": W, "scale": np.float64(2.0)}, np.float64),
        ({"W": W, "scale": np.array(2.0)}, np.array),
    ],
    ids=["float", "numpy-scalar", "0-d-array"],
)
def test_scalar_parameters_are_differentiated(params, scale, factor):
    report = check_grad(
        lambda p: np.sum(p["scale"] * p["W"] ** 2),
        lambda p: {"W": 2 * p["scale"] * p["W"], "scale": factor * np.sum(p["W"] ** 2)},
        params,
    )
    assert report.verdict is (Verdict.MATCH if factor == 1.0 else Verdict.MISMATCH), str(report)
    assert {c.name for c in report.comparisons if c.verdict is Verdict.MISMATCH} == (
        {"scale"} if factor == 3.0 else set()
    )


@pytest.mark.parametrize("params", [W, W.tolist(), 2.0, np.float64(2.0)])
def test_bare_arrays_and_numbers(params):
    assert check_grad(lambda w: np.sum(np.asarray(w) ** 2), lambda w: 2 * w, params).verdict is Verdict.MATCH
    assert check_grad(lambda w: np.sum(np.asarray(w) ** 2), lambda w: 3 * w, params).verdict is Verdict.MISMATCH


def test_bare_array_is_named_after_the_parameter_of_the_loss():
    assert adapt_mapping(lambda theta: theta.sum(), lambda theta: theta, W).wrt == ("theta",)
    assert adapt_mapping(lambda theta: theta.sum(), lambda theta: theta, W, names=["w"]).wrt == ("w",)
    assert adapt_mapping(lambda theta: theta.sum(), lambda theta: theta, W, names="w").wrt == ("w",)


def test_integer_leaves_are_constants():
    params = {"W": W, "labels": np.array([0, 1, 1])}
    for labels in ({}, {"labels": None}, {"labels": np.zeros(3)}):
        report = check_grad(lambda p: np.sum(p["W"] ** 2), lambda p, extra=labels: {"W": 2 * p["W"], **extra}, params)
        assert report.verdict is Verdict.MATCH, str(report)
        assert [summary.name for summary in report.summaries] == ["W"]


@pytest.mark.parametrize(
    ("gradient", "missing"),
    [
        (lambda p: {"W": 2 * p["W"]}, "'b'"),
        (lambda p: {}, "'W', 'b'"),
        (lambda p: {"dW": 2 * p["W"], "db": 2 * p["b"]}, "'W', 'b'"),
        (lambda p: 2 * p["W"], "'W', 'b'"),
        (lambda p: None, "'W', 'b'"),
    ],
    ids=["one", "all", "other-names", "bare-array", "None"],
)
def test_missing_gradients_are_a_contract_violation(gradient, missing):
    report = check_grad(lambda p: np.sum(p["W"] ** 2) + np.sum(p["b"] ** 2), gradient, {"W": W, "b": B})
    assert report.verdict is Verdict.CONTRACT
    assert [violation.kind for violation in report.violations] == ["count"]
    assert f"returned no gradient for {missing}: return it in the structure of params" in report.violations[0]


def test_missing_gradients_that_are_not_asked_for_are_fine():
    report = check_grad(
        lambda p: np.sum(p["W"] ** 2) + np.sum(p["b"]), lambda p: {"W": 2 * p["W"]}, {"W": W, "b": B}, wrt="W"
    )
    assert report.verdict is Verdict.MATCH


def test_shorter_list_of_gradients_is_a_contract_violation():
    report = check_grad(lambda p: np.sum(p[0]) + np.sum(p[1]), lambda p: [np.ones_like(p[0])], [W, B])
    assert "returned no gradient for 'p[1]'" in report.violations[0]


def test_extra_gradients_are_no_failure():
    report = check_grad(lambda p: np.sum(p["W"] ** 2), lambda p: {"W": 2 * p["W"], "loss": 1.0}, {"W": W})
    assert report.verdict is Verdict.MATCH


def test_default_dict_is_rebuilt():
    params = defaultdict(dict, layer={"W": W})
    report = check_grad(lambda p: np.sum(p["layer"]["W"] ** 2), lambda p: {"layer": {"W": 2 * p["layer"]["W"]}}, params)
    assert report.verdict is Verdict.MATCH, str(report)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: check_grad(np.sum, np.ones_like, {}), r"params holds no arrays"),
        (lambda: check_grad(np.sum, np.ones_like, {"name": "W"}), r"params holds no arrays"),
        (lambda: check_grad(np.sum, np.ones_like, []), r"params holds no arrays"),
        (lambda: check_grad(np.sum, np.ones_like, "W"), r"nothing to differentiate"),
        (lambda: check_grad(np.sum, np.ones_like, None), r"params"),
        (
            lambda: check_grad(np.sum, np.ones_like, {"W": np.array([None, 1.0])}),
            r"params 'W' became an array of Python objects",
        ),
        (
            lambda: check_grad(np.sum, np.ones_like, {"W": W}, names=["W"]),
            r"names was given, but params is a structure",
        ),
        (
            lambda: check_grad(np.sum, np.ones_like, W, names=["a", "b"]),
            r"names has 2 entries \('a', 'b'\) for one array",
        ),
        (lambda: check_grad(np.sum, np.ones_like, {"W": np.arange(3)}), r"nothing to differentiate"),
        (
            lambda: check_grad(lambda p: p["W"], lambda p: p, {"W": W}),
            r"the loss returned shape \(3, 2\); expected a scalar",
        ),
        (lambda: check_grad(lambda p: (1.0, 2.0), lambda p: p, {"W": W}), r"expected a scalar"),
    ],
)
def test_unusable_params_are_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_loss_of_one_element_is_scalar_enough(shape):
    report = check_grad(lambda w: np.sum(w**2).reshape(shape), lambda w: 2 * w, W)
    assert report.verdict is Verdict.MATCH


def test_reproduce_names_the_functions():
    def cost(params):
        return np.sum(params["W"] ** 2)

    def backward(params):
        return {"W": 2 * params["W"]}

    assert (
        check_grad(cost, backward, {"W": W}, seed=3).reproduce == "gradcheck.check_grad(cost, backward, params, seed=3)"
    )
