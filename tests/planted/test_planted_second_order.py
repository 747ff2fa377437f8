"""Are gradients caught that are right at one point only, and Hessian-vector products that are not their derivative?"""

import re

import numpy as np
import pytest

from gradcheck import Case, Verdict, check_grad

RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 2))
PARAMS = {"W": RNG.normal(size=(3, 2)), "b": RNG.normal(size=2)}


def loss(p):
    return np.sum((np.tanh(X @ p["W"] + p["b"]) - Y) ** 2)


def grad(p):
    a = np.tanh(X @ p["W"] + p["b"])
    dz = 2 * (a - Y) * (1 - a**2)
    return {"W": X.T @ dz, "b": dz.sum(axis=0)}


def hvp(p, v):
    a = np.tanh(X @ p["W"] + p["b"])
    z = X @ v["W"] + v["b"]
    dz = (2 * (1 - a**2) ** 2 - 4 * a * (a - Y) * (1 - a**2)) * z
    return {"W": X.T @ dz, "b": dz.sum(axis=0)}


def wrong_names(report):
    return {row.name for row in report.comparisons if row.verdict is Verdict.MISMATCH}


def test_correct_twins_pass():
    report = check_grad(loss, grad, PARAMS, order=2)
    assert report.verdict is Verdict.MATCH, str(report)
    assert [line.name for one in report.reports for line in one.summaries] == ["W", "b", *["nearby W", "nearby b"] * 2]
    report = check_grad(loss, grad, PARAMS, order=2, hvp=hvp)
    assert report.verdict is Verdict.MATCH, str(report)
    assert [line.name for line in report.reports[-1].summaries] == ["H v of W", "H v of b"]
    assert all(line.judged == line.entries for one in report.reports for line in one.summaries)


# ------------------------------------------------------------------ gradients that are right at the point only


ONCE = grad(PARAMS)


def computed_once(p):
    return {name: array.copy() for name, array in ONCE.items()}


def with_a_term_that_vanishes_here(p):
    right = grad(p)
    return {"W": right["W"] + 0.1 * (p["W"] - PARAMS["W"]), "b": right["b"]}


def with_a_square_that_vanishes_here(p):
    right = grad(p)
    return {"W": right["W"], "b": right["b"] + (p["b"] - PARAMS["b"]) ** 2}


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        (computed_once, {"nearby W", "nearby b"}),
        (with_a_term_that_vanishes_here, {"nearby W"}),
        (with_a_square_that_vanishes_here, {"nearby b"}),
    ],
)
@pytest.mark.parametrize("mode", ["full", "fast"])
def test_catches_a_gradient_that_is_right_at_the_point_only(wrong, names, mode):
    assert check_grad(loss, wrong, PARAMS).verdict is Verdict.MATCH  # which is why order=2 is there
    report = check_grad(loss, wrong, PARAMS, order=2, mode=mode)
    assert report.verdict is Verdict.MISMATCH, str(report)
    assert wrong_names(report) == names
    said = ", ".join(name.removeprefix("nearby ") for name in sorted(names))
    assert f"{said}: right at the point, wrong beside it" in str(report)
    assert [one.verdict for one in report.reports] == [Verdict.MATCH, Verdict.MISMATCH, Verdict.MISMATCH]


def test_gradient_that_is_right_at_the_point_only_is_not_blamed_on_the_hvp():
    report = check_grad(loss, computed_once, PARAMS, order=2, hvp=hvp)
    assert wrong_names(report) == {"nearby W", "nearby b"}
    assert "hvp was not checked: mend the gradient first, whose derivative it is to be" in report.notes
    report = check_grad(
        loss, computed_once, PARAMS, order=2, hvp=lambda p, v: {name: 0 * array for name, array in v.items()}
    )
    assert report.verdict is Verdict.MISMATCH, "an hvp that agrees with the wrong gradient must not make it right"


def test_gradient_that_is_wrong_at_the_point_is_neither_hidden_by_nor_blamed_on_the_hvp():
    def doubled(p):
        return {"W": 2 * grad(p)["W"], "b": grad(p)["b"]}

    def its_derivative(p, v):
        return {"W": 2 * hvp(p, v)["W"], "b": hvp(p, v)["b"]}

    for product in (hvp, its_derivative, None):
        report = check_grad(loss, doubled, PARAMS, order=2, hvp=product)
        assert report.verdict is Verdict.MISMATCH
        assert wrong_names(report) == {"W"}
        assert "the second order was not looked at: mend the gradient first" in report.notes


def test_broken_contract_of_the_gradient_comes_first():
    report = check_grad(loss, lambda p: {"W": grad(p)["W"].T, "b": grad(p)["b"]}, PARAMS, order=2, hvp=hvp)
    assert report.verdict is Verdict.CONTRACT
    assert "dW has shape (2, 3), W has (3, 2)" in str(report)


# ------------------------------------------------------------------ Hessian-vector products


def product(change):
    """Return `hvp` with its result changed by a function of (name, right, p, v)."""

    def wrong_hvp(p, v):
        return {name: change(name, right, p, v) for name, right in hvp(p, v).items()}

    return wrong_hvp


def gauss_newton(p, v):
    a = np.tanh(X @ p["W"] + p["b"])
    dz = 2 * (1 - a**2) ** 2 * (X @ v["W"] + v["b"])
    return {"W": X.T @ dz, "b": dz.sum(axis=0)}


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        (product(lambda name, right, p, v: -right), {"H v of W", "H v of b"}),
        (product(lambda name, right, p, v: right / 2 if name == "b" else right), {"H v of b"}),
        (product(lambda name, right, p, v: right + 0.01 * v[name] if name == "W" else right), {"H v of W"}),
        (lambda p, v: {"W": hvp(p, {**v, "b": 0 * v["b"]})["W"], "b": hvp(p, v)["b"]}, {"H v of W"}),
        (gauss_newton, {"H v of W", "H v of b"}),
        (lambda p, v: grad(p), {"H v of W", "H v of b"}),
        (lambda p, v: v, {"H v of W", "H v of b"}),
    ],
    ids=[
        "sign",
        "half-a-block",
        "too-much-damping",
        "a-cross-term-missing",
        "gauss-newton",
        "the-gradient",
        "identity",
    ],
)
@pytest.mark.parametrize("mode", ["full", "fast"])
def test_catches_a_wrong_hessian_vector_product(wrong, names, mode):
    report = check_grad(loss, grad, PARAMS, order=2, hvp=wrong, mode=mode)
    assert report.verdict is Verdict.MISMATCH, str(report)
    assert wrong_names(report) == names
    assert [one.verdict for one in report.reports[:-1]] == [Verdict.MATCH] * 3


def test_catches_one_wrong_entry_of_a_hessian_vector_product():
    def wrong(p, v):
        result = hvp(p, v)
        result["W"][2, 1] *= 1.001
        return result

    report = check_grad(loss, grad, PARAMS, order=2, hvp=wrong)
    assert [row.entry for row in report.comparisons if row.verdict is Verdict.MISMATCH] == ["H v of W[2, 1]"]


@pytest.mark.parametrize(
    ("wrong", "kind", "message"),
    [
        (lambda p, v: {"W": hvp(p, v)["W"].T, "b": v["b"]}, "shape", "H v of W has shape (2, 3), W has (3, 2)"),
        (lambda p, v: {"W": hvp(p, v)["W"]}, "count", "returned no product for 'b'"),
        (lambda p, v: {"W": hvp(p, v)["W"], "b": None}, "count", "H v of b is None, b has shape (2,)"),
        (lambda p, v: hvp(p, v) | {"b": hvp(p, v)["b"] * np.nan}, "finite", "H v of b[0] is nan, where"),
    ],
    ids=["transposed", "lacks-a-key", "None", "nan"],
)
def test_catches_a_product_that_breaks_its_contract(wrong, kind, message):
    report = check_grad(loss, grad, PARAMS, order=2, hvp=wrong)
    assert report.verdict is Verdict.CONTRACT, str(report)
    assert {broken.kind for broken in report.violations} == {kind}
    assert message in str(report)


def test_catches_a_product_that_is_wrong_in_float32():
    low = {name: array.astype(np.float32) for name, array in PARAMS.items()}
    data, targets = X.astype(np.float32), Y.astype(np.float32)

    def low_loss(p):
        return np.sum((np.tanh(data @ p["W"] + p["b"]) - targets) ** 2)

    def low_grad(p):
        a = np.tanh(data @ p["W"] + p["b"])
        dz = 2 * (a - targets) * (1 - a**2)
        return {"W": data.T @ dz, "b": dz.sum(axis=0)}

    def low_hvp(p, v, factor=2):
        a = np.tanh(data @ p["W"] + p["b"])
        dz = (factor * (1 - a**2) ** 2 - 4 * a * (a - targets) * (1 - a**2)) * (data @ v["W"] + v["b"])
        return {"W": data.T @ dz, "b": dz.sum(axis=0)}

    report = check_grad(low_loss, low_grad, low, order=2, hvp=low_hvp)
    assert report.verdict is Verdict.MATCH, str(report)
    report = check_grad(low_loss, low_grad, low, order=2, hvp=lambda p, v: low_hvp(p, v, 2.2))
    assert wrong_names(report) == {"H v of W", "H v of b"}


# ------------------------------------------------------------------ what is right must pass


def test_kinks_crossed_on_the_way_are_no_accusation():
    A, target = RNG.normal(size=(8, 3)), RNG.normal(size=8)

    def kinked(x):
        return np.sum((np.maximum(A @ x, 0) - target) ** 2)

    def gradient(x):
        return 2 * A.T @ ((np.maximum(A @ x, 0) - target) * (A @ x > 0))

    def curvature(x, v):
        return 2 * A.T @ ((A @ v) * (A @ x > 0))

    for scale in (1.0, 1e-2, 1e-8):
        report = check_grad(kinked, gradient, scale * np.array([1.0, -0.5, 2.0]), order=2, hvp=curvature)
        assert report.ok, str(report)


def test_parameters_that_are_constants_have_no_tangent():
    seen = []

    def power(p):
        return np.sum(p["x"] ** p["n"])

    def gradient(p):
        return {"x": p["n"] * p["x"] ** (p["n"] - 1)}

    def curvature(p, v):
        seen.append(v["n"])
        return {"x": p["n"] * (p["n"] - 1) * p["x"] ** (p["n"] - 2) * v["x"]}

    report = check_grad(power, gradient, {"x": np.array([1.5, -2.0]), "n": np.array([3, 4])}, order=2, hvp=curvature)
    assert report.verdict is Verdict.MATCH, str(report)
    assert all(not np.any(tangent) for tangent in seen)


def test_wrt_restricts_the_tangent():
    def block(p, v):
        assert not np.any(v["b"])
        return {"W": hvp(p, v)["W"]}

    report = check_grad(loss, lambda p: {"W": grad(p)["W"]}, PARAMS, order=2, hvp=block, wrt="W")
    assert report.verdict is Verdict.MATCH, str(report)


def test_edge_of_the_domain_is_not_stepped_over():
    report = check_grad(lambda x: -np.sum(np.log(1.003 - x)), lambda x: 1 / (1.003 - x), np.array([1.0]), order=2)
    assert report.verdict is Verdict.MATCH, str(report)
    assert any(note.startswith("not checked a step ") for note in report.notes)
    assert len(report.reports) == 2


def test_point_with_no_domain_beside_it_is_inconclusive():
    def spike(x):
        return np.sum(x**2) if np.all(np.abs(x - 1) < 1e-3) else np.nan

    report = check_grad(spike, lambda x: 2 * x, np.ones(2), order=2)
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)


def test_dropout_in_the_loss_is_checked_under_one_mask_at_every_point():
    rng = np.random.default_rng(0)

    def dropped(x):
        return np.sum((x * (rng.random(x.shape) < 0.5)) ** 3)

    def gradient(x):
        return 3 * x**2 * (rng.random(x.shape) < 0.5)

    def curvature(x, v):
        return 6 * x * v * (rng.random(x.shape) < 0.5)

    x = np.arange(1.0, 9.0)
    report = check_grad(dropped, gradient, x, order=2, hvp=curvature)
    assert report.verdict is Verdict.MATCH, str(report)
    assert any("a fixed mask is checked" in note for note in report.notes)


def test_case_hands_the_arguments_on():
    case = Case.grad("the loss", loss, grad, PARAMS, order=2, hvp=gauss_newton)
    report = case.run(seed=1)
    assert report.name == "the loss"
    assert report.verdict is Verdict.MISMATCH


# ------------------------------------------------------------------ the points beside: whose exception, whose budget


def squares(p):
    return np.sum(p**2)


def test_gradient_that_raises_beside_the_point_is_not_silenced():
    def cached(p):
        if p[0] != 0.5:
            raise ValueError("my own bug: the cache does not fit")
        return 2 * p

    with pytest.raises(ValueError, match="my own bug") as caught:
        check_grad(squares, cached, np.array([0.5, 1.0]), order=2)
    said = "\n".join(caught.value.__notes__)
    assert "raised by the backward of cached, with other inputs than the given ones" in said
    assert "a step forth of the given one, where order=2 checks too, and where the loss is finite" in said


def table_of_squares(p):
    table = np.arange(5.0) ** 2
    i = int(np.floor(p[0]))
    return table[i] + (p[0] - i) * (table[i + 1] - table[i])


class Refused(Exception):
    pass


def positive(p):
    if p[0] >= 4.0:
        raise Refused
    return 7 * p[0]


@pytest.mark.parametrize(
    ("edged", "said"), [(table_of_squares, "IndexError: index 5 is out of"), (positive, "Refused")]
)
def test_loss_that_raises_beside_the_point_has_left_its_domain_and_is_quoted(edged, said):
    report = check_grad(edged, lambda p: np.array([7.0]), np.array([3.99]), order=2)
    assert report.verdict is Verdict.MATCH, str(report)
    assert len(report.reports) == 2
    (note,) = [note for note in report.notes if note.startswith("not checked a step ")]
    assert f": the loss raised {said}" in note
    assert not note.endswith(":")


def test_loss_that_is_complex_beside_the_point_has_left_its_domain():
    def root(p):
        return np.emath.sqrt(p - 0.995).sum()

    report = check_grad(root, lambda p: 0.5 / np.sqrt(p - 0.995), np.array([1.0]), order=2)
    assert len(report.reports) == 2
    assert any("the loss is complex" in note for note in report.notes), report.notes


@pytest.mark.parametrize("budget", [1, 5, 12, 13, 25, 26, 40])
def test_budget_is_for_all_of_it(budget):
    called = []

    def counted(p):
        called.append(p)
        return squares(p)

    report = check_grad(counted, lambda p: 2 * p, np.array([0.5, 1.0]), order=2, hvp=lambda p, v: 2 * v, budget=budget)
    assert len(called) <= report.forward_calls <= budget
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)
    assert len(report.reports) == 4, "what was not looked at is not left out in silence"
    assert set(re.findall(r"budget=(\d+)", str(report))) <= {str(budget)}


def test_budget_counts_the_points_outside_the_domain():
    called = []

    def log(p):
        called.append(p)
        return -np.sum(np.log(1.003 - p)) if np.all(p < 1.003) else np.nan

    report = check_grad(log, lambda p: 1 / (1.003 - p), np.array([1.0]), order=2, budget=400)
    assert report.verdict is Verdict.MATCH, str(report)
    assert len(report.reports) == 2
    assert len(called) == report.forward_calls
