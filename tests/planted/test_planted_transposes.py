"""Are vjps and jvps caught that do not belong together, and none accused that do?"""

import math
import re

import numpy as np
import pytest

from gradcheck import Verdict, check_jvp, check_vjp
from gradcheck.adapters.functions import adapt_function
from gradcheck.options import Options
from gradcheck.report import Report
from gradcheck.transposes import with_transposes

RNG = np.random.default_rng(8)
X, W = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 3))  # square: a transposed gradient has the right shape
NOTE = "<J u, v> = <u, J^T v> to rounding: vjp and jvp are each other's transposes"


def f(x, W):
    return np.tanh(x @ W)


def vjp(g, x, W):
    dz = g * (1 - np.tanh(x @ W) ** 2)
    return dz @ W.T, x.T @ dz


def jvp(tangents, x, W):
    return (1 - np.tanh(x @ W) ** 2) * (tangents[0] @ W + x @ tangents[1])


def one_entry(array, change):
    array = np.array(array)
    array.flat[4] = change(array.flat[4])
    return array


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_correct_twins_pass(dtype):
    x, weights = X.astype(dtype), W.astype(dtype)
    for report in (check_vjp(f, vjp, x, weights, jvp=jvp), check_jvp(f, jvp, x, weights, vjp=vjp)):
        assert report.verdict is Verdict.MATCH, str(report)
        assert NOTE in report.notes
        assert [line.name for line in report.summaries] == ["x", "W"]


WRONG_JVPS = {
    "sign": lambda t, x, W: -jvp(t, x, W),
    "a-millionth": lambda t, x, W: jvp(t, x, W) * (1 + 1e-6),
    "half-of-it-missing": lambda t, x, W: (1 - np.tanh(x @ W) ** 2) * (t[0] @ W),
    "transposed-weight": lambda t, x, W: (1 - np.tanh(x @ W) ** 2) * (t[0] @ W.T + x @ t[1]),
    "sign-of-one-entry": lambda t, x, W: one_entry(jvp(t, x, W), lambda value: -value),
    "not-linear-absolute": lambda t, x, W: np.abs(jvp(t, x, W)),
    "not-linear-squared": lambda t, x, W: jvp(t, x, W) * np.max(np.abs(t[0])),
    "not-linear-constant": lambda t, x, W: jvp(t, x, W) + 0.01,
    "ignores-its-tangents": lambda t, x, W: f(x, W),
    "nan": lambda t, x, W: one_entry(jvp(t, x, W), lambda value: value * np.nan),
}


@pytest.mark.parametrize("wrong", WRONG_JVPS.values(), ids=WRONG_JVPS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_catches_a_wrong_jvp_beside_a_right_vjp(wrong, dtype):
    report = check_vjp(f, vjp, X.astype(dtype), W.astype(dtype), jvp=wrong)
    assert report.verdict is Verdict.MISMATCH, str(report)
    row = report.comparisons[0]
    assert row.name == "the Jacobian"
    assert f"<J u, v> is {row.analytic:.12g} by the jvp, <u, J^T v> is {row.numerical:.12g} by the vjp" in row.reason
    assert "not transposes of each other" in row.reason
    assert "the vjp agrees with the differences, so the jvp is wrong" in report.notes
    assert all(line.verdict is Verdict.MATCH for line in report.summaries if line.name != "the Jacobian")


def test_catches_a_jvp_that_is_linear_for_small_tangents_only():
    def clips(tangents, x, W):
        return jvp([np.clip(tangent, -1.6, 1.6) for tangent in tangents], x, W)

    report = check_vjp(f, vjp, X, W, jvp=clips)
    assert report.verdict is Verdict.MISMATCH, str(report)
    assert report.comparisons[0].reason.startswith("the jvp is not linear: for -2 u it gives ")
    assert "the vjp agrees with the differences, so the jvp is wrong" in report.notes


def transposed(g, x, W):
    dx, dW = vjp(g, x, W)
    return dx, dW.T


WRONG_VJPS = {
    "transposed": transposed,
    "sign": lambda g, x, W: tuple(-d for d in vjp(g, x, W)),
    "untransposed-weight": lambda g, x, W: (g * (1 - f(x, W) ** 2) @ W, vjp(g, x, W)[1]),
    "sign-of-one-entry": lambda g, x, W: (vjp(g, x, W)[0], one_entry(vjp(g, x, W)[1], lambda value: -value)),
}


@pytest.mark.parametrize("wrong", WRONG_VJPS.values(), ids=WRONG_VJPS)
def test_catches_a_wrong_vjp_beside_a_right_jvp(wrong):
    report = check_jvp(f, jvp, X, W, vjp=wrong)
    assert report.verdict is Verdict.MISMATCH, str(report)
    assert report.comparisons[0].name == "the Jacobian"
    assert "the jvp agrees with the differences, so the vjp is wrong" in report.notes


def test_right_jvp_beside_a_wrong_vjp_is_not_called_wrong():
    report = check_vjp(f, transposed, X, W, jvp=jvp)
    assert {row.name for row in report.comparisons if row.verdict is Verdict.MISMATCH} == {"W", "the Jacobian"}
    assert "the vjp itself does not agree with the differences" in report.notes


def test_both_wrong_in_the_same_way_are_both_called_wrong():
    report = check_vjp(f, WRONG_VJPS["sign"], X, W, jvp=WRONG_JVPS["sign"])
    assert {row.name for row in report.comparisons if row.verdict is Verdict.MISMATCH} == {"x", "W"}
    assert "so the jvp is wrong as well" in report.notes


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda t, x, W: jvp(t, x, W)[0], "jvp: the tangent of output has shape (3,), output has (4, 3)"),
        (lambda t, x, W: None, "jvp: the tangent of output is None"),
        (lambda t, x, W: np.round(jvp(t, x, W)).astype(int), "jvp: the tangent of output has dtype int64"),
    ],
)
def test_catches_a_second_derivative_that_breaks_its_contract(wrong, message):
    report = check_vjp(f, vjp, X, W, jvp=wrong)
    assert report.verdict is Verdict.CONTRACT, str(report)
    assert message in str(report)


def test_catches_a_jvp_that_is_random():
    calls = [0]

    def counted(t, x, W):
        calls[0] += 1
        return jvp(t, x, W) * calls[0] ** 2

    report = check_vjp(f, vjp, X, W, jvp=counted)
    assert report.verdict is Verdict.CONTRACT
    assert "jvp: two identical backward calls gave different results" in str(report)


def test_several_outputs_losses_and_constants():
    def several(x, n):
        return np.sin(x), x.sum(), x**n

    report = check_vjp(
        several,
        lambda g, x, n: g[0] * np.cos(x) + g[1] + g[2] * n * x ** (n - 1),
        np.array([0.5, 2.0]),
        np.array([2, 3]),
        jvp=lambda t, x, n: (np.cos(x) * t[0], t[0].sum(), n * x ** (n - 1) * t[0]),
    )
    assert report.verdict is Verdict.MATCH, str(report)
    assert NOTE in report.notes
    report = check_vjp(lambda x: np.sum(x**3), lambda x: 3 * x**2, X, jvp=lambda t, x: np.sum(3 * x**2 * t[0]))
    assert NOTE in report.notes
    report = check_vjp(np.sin, lambda g, z: g * np.cos(z).conj(), X + 1j, jvp=lambda t, z: np.cos(z) * t[0])
    assert NOTE in report.notes
    report = check_vjp(np.sin, lambda g, z: g * np.cos(z).conj(), X + 1j, jvp=lambda t, z: np.cos(z).conj() * t[0])
    assert report.verdict is Verdict.MISMATCH


# ------------------------------------------------------------------ rounding is no accusation


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_vjp(g, x):
    p = softmax(x)
    return p * (g - (g * p).sum(axis=-1, keepdims=True))


def softmax_jvp(t, x):
    return softmax_vjp(t[0], x)


def in_float32(function):
    return lambda *given: function(*(np.asarray(a, np.float32) for a in given)).astype(given[-1].dtype)


TANH_IN_FLOAT32 = (
    in_float32(np.tanh),
    in_float32(lambda g, x: g * (1 - np.tanh(x) ** 2)),
    lambda t, x: in_float32(lambda u, x: u / np.cosh(x) ** 2)(t[0], x),
)
ROUNDED = {
    "saturated-softmax": (softmax, softmax_vjp, softmax_jvp, X * 100),
    "half-saturated-softmax": (softmax, softmax_vjp, softmax_jvp, X * 20),
    "two-formulas-of-tanh": (
        np.tanh,
        lambda g, x: g * (1 - np.tanh(x) ** 2),
        lambda t, x: t[0] / np.cosh(x) ** 2,
        X * 9,
    ),
    "inverse-by-two-ways": (
        np.linalg.inv,
        lambda g, A: -np.linalg.inv(A).T @ g @ np.linalg.inv(A).T,
        lambda t, A: -np.linalg.solve(A, np.linalg.solve(A.T, t[0].T).T),
        np.vander(np.linspace(0.1, 1, 5)),
    ),
    "float32-inside": (*TANH_IN_FLOAT32, X * 3),
    "float32-inside-at-zero": (*TANH_IN_FLOAT32, np.zeros((4, 5))),
    "float32-inside-saturated": (*TANH_IN_FLOAT32, np.clip(30 * np.random.default_rng(8).normal(size=(4, 5)), -40, 40)),
    "float32-inside-half-saturated": (*TANH_IN_FLOAT32, np.array([20.0, -30.0, 6.0, 40.0, 12.0])),
    "long-sums": (np.cumsum, lambda g, x: np.cumsum(g[::-1])[::-1], lambda t, x: np.cumsum(t[0]), RNG.normal(size=500)),
    "mixed-scales": (
        lambda x: x**3,
        lambda g, x: 3 * x**2 * g,
        lambda t, x: 3 * x * x * t[0],
        np.array([1e-8, 1.0, 1e8]),
    ),
    "large-offset": (lambda x: x**2 + 1e13, lambda g, x: 2 * x * g, lambda t, x: (x + x) * t[0], X),
}


@pytest.mark.parametrize("case", ROUNDED.values(), ids=ROUNDED)
@pytest.mark.parametrize("seed", range(3))
def test_rounding_is_no_accusation(case, seed):
    function, backward, forward, point = case
    report = check_vjp(function, backward, point, jvp=forward, seed=seed)
    assert report.verdict is not Verdict.MISMATCH, str(report)
    report = check_vjp(function, backward, point, jvp=lambda t, x: -forward(t, x), seed=seed)
    assert report.verdict is Verdict.MISMATCH or "too small beside the outputs" in str(report)


SATURATED = np.array([[40.0, 0.0, 1.0]])  # products of 1e-17 beside outputs of 1


def constant(x):
    return 0.0 * x + 1.0


def test_products_too_small_to_compare_are_inconclusive():
    def beside(f, backward, forward, point, **options):
        up, down = adapt_function(f, backward, [point]), adapt_function(f, forward, [point], mode="jvp")
        return with_transposes(Report("f", Verdict.MATCH), up, down, Options(**options), second="jvp")

    report = beside(softmax, softmax_vjp, lambda t, x: -softmax_jvp(t, x), SATURATED)
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)
    assert "cannot tell whether the gradients are right: <J u, v> and <u, J^T v> are too small beside the" in str(
        report
    )
    # of the same size, but the same
    report = beside(lambda x: x + 1e20, lambda g, x: g, lambda t, x: t[0], np.ones(3))
    assert report.verdict is Verdict.MATCH, str(report)


def test_zeros_that_agree_were_judged():
    report = check_vjp(constant, lambda g, x: 0.0 * x, X, jvp=lambda t, x: 0.0 * t[0])
    assert report.verdict is Verdict.MATCH, str(report)
    assert NOTE in report.notes
    report = check_vjp(constant, lambda g, x: 0.0 * x, X, jvp=lambda t, x: 1e-9 * t[0])
    assert report.verdict is Verdict.MISMATCH, str(report)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_jvp_that_the_budget_left_out_does_not_pass(sign):
    alone = check_vjp(f, vjp, X, W).forward_calls
    for budget in range(alone, alone + 4):
        report = check_vjp(f, vjp, X, W, jvp=lambda t, x, W: sign * jvp(t, x, W), budget=budget)
        assert report.forward_calls <= budget
        assert report.verdict is Verdict.INCONCLUSIVE, str(report)
        assert "cannot tell whether the gradients are right: the budget ran out before the jvp" in str(report)


# ------------------------------------------------------------------ outputs that cancel say nothing of the last bit

CANCEL = np.array([0.1, 0.2, -0.3])  # the sum is 2.8e-17
Y = np.tanh(X @ W) * (1 + 1e-15)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t, x: -t[0].sum(),
        lambda t, x: 1.5 * t[0].sum(),
        lambda t, x: t[0][:2].sum(),
        lambda t, x: np.abs(t[0].sum()),
    ],
    ids=["sign", "half-more", "an-entry-lost", "not-linear"],
)
@pytest.mark.parametrize("seed", range(3))
def test_catches_a_wrong_jvp_where_the_outputs_cancel(wrong, seed):
    report = check_vjp(np.sum, lambda g, x: g * np.ones(3), CANCEL, jvp=wrong, seed=seed)
    assert report.verdict is Verdict.MISMATCH, str(report)
    report = check_vjp(np.sum, lambda g, x: g * np.ones(3), CANCEL, jvp=lambda t, x: t[0].sum(), seed=seed)
    assert report.verdict is Verdict.MATCH, str(report)


def test_catches_a_wrong_jvp_at_a_perfect_prediction():
    def residual(x):
        return np.tanh(x @ W) - Y

    def pull(g, x):
        return (g * (1 - np.tanh(x @ W) ** 2)) @ W.T

    for factor, verdict in ((1.0, Verdict.MATCH), (2.0, Verdict.MISMATCH), (1 + 1e-6, Verdict.MISMATCH)):
        report = check_vjp(
            residual, pull, X, jvp=lambda t, x, factor=factor: factor * (1 - np.tanh(x @ W) ** 2) * (t[0] @ W)
        )
        assert report.verdict is verdict, str(report)


def test_catches_a_wrong_jvp_without_leaving_the_domain_of_f():
    def f(x):
        return np.array([math.log(x[0]) + math.log(x[1])])

    def wrong(t, x):
        return np.array([1.5 * t[0][0] / x[0] + t[0][1] / x[1]])

    point = np.array([0.1, 10.000000000000002])
    assert abs(f(point)[0]) < 1e-15
    report = check_vjp(f, lambda g, x: g / x, point, jvp=wrong)
    assert report.verdict is Verdict.MISMATCH, str(report)


def test_exception_at_a_point_moved_by_last_bits_does_not_escape():
    def exact(x):
        if not np.array_equal(x, CANCEL) and np.max(np.abs(x / CANCEL - 1)) < 1e-14:
            raise ValueError("only as given, please")
        return x**2

    report = check_vjp(
        exact, lambda g, x: 2 * x * g, CANCEL, jvp=lambda t, x: -2 * x * t[0], contract=False, budget=100_000
    )
    assert report.verdict is Verdict.MISMATCH, str(report)


# ------------------------------------------------------------------ what the user allows, and what the report says


def test_rtol_is_for_the_identity_too():
    def rough(t, x, W):
        return jvp(t, x, W) * (1 + 1e-9)

    report = check_vjp(f, vjp, X, W, jvp=rough)
    assert report.verdict is Verdict.MISMATCH, "without one, to rounding"
    assert re.search(r"by the vjp, \S+e-\d+ apart where \S+e-1\d is allowed", report.comparisons[0].reason)
    assert check_vjp(f, vjp, X, W, jvp=rough, rtol=1e-7).verdict is Verdict.MATCH
    report = check_vjp(f, vjp, X, W, jvp=lambda t, x, W: jvp(t, x, W) * (1 + 1e-3), rtol=1e-7)
    assert report.verdict is Verdict.MISMATCH, "more than that is not allowed"


def test_derivative_that_is_not_finite_is_called_so():
    report = check_vjp(f, vjp, X, W, jvp=WRONG_JVPS["nan"])
    assert report.comparisons[0].reason.endswith("; the jvp is not finite")


# ------------------------------------------------------------------ kinks


def test_different_subgradients_at_a_kink_are_noted_and_accuse_nobody():
    point = np.array([0.0, 1.0, -2.0, 0.0])

    def relu(x):
        return np.maximum(x, 0)

    report = check_vjp(relu, lambda g, x: g * (x > 0), point, jvp=lambda t, x: t[0] * (x >= 0))
    assert report.verdict is Verdict.KINK, str(report)
    assert "the vjp and the jvp take different subgradients at the kinks" in report.notes
    report = check_vjp(relu, lambda g, x: g * (x > 0), point, jvp=lambda t, x: t[0] * (x < 0))
    assert report.verdict is Verdict.MISMATCH, "at no point beside the kinks is that a transpose"


def relu(x):
    return np.maximum(x, 0)


ON_KINKS = np.array([0.0, 1.0, -2.0, 0.0])
ILLEGAL = {
    "five": lambda x: np.where(x == 0, 5.0, x > 0),
    "beyond-by-a-tenth": lambda x: np.where(x == 0, 1.1, x > 0),
    "wrong-side-of-one": lambda x: np.where((x == 0) & (np.arange(4) == 3), -0.5, x > 0),
}


@pytest.mark.parametrize("slope", ILLEGAL.values(), ids=ILLEGAL)
@pytest.mark.parametrize("mode", ["full", "fast"])
def test_catches_an_illegal_subgradient_of_the_second(slope, mode):
    def right(x):
        return 1.0 * (x > 0)

    report = check_vjp(
        relu, lambda g, x: g * right(x), ON_KINKS, jvp=lambda t, x: t[0] * slope(x), mode=mode, allow_kinks=True
    )
    assert report.verdict is Verdict.MISMATCH, str(report)
    wrong = {row.entry for row in report.comparisons if row.verdict is Verdict.MISMATCH}
    assert wrong == {f"jvp: x[{i}]" for i in np.flatnonzero((slope(ON_KINKS) < 0) | (slope(ON_KINKS) > 1))}
    assert any("different subgradients at the kinks, and those of the jvp are none" in note for note in report.notes)
    report = check_jvp(relu, lambda t, x: t[0] * right(x), ON_KINKS, vjp=lambda g, x: g * slope(x), mode=mode)
    assert {row.entry for row in report.comparisons if row.verdict is Verdict.MISMATCH} == {
        entry.replace("jvp", "vjp") for entry in wrong
    }


def test_catches_a_second_that_gives_everything_to_both_of_a_tie():
    a = np.array([1.0, -2.0, 0.5])
    report = check_vjp(
        np.maximum,
        lambda g, a, b: (g * (a >= b), g * (b > a)),
        a,
        a.copy(),
        jvp=lambda t, a, b: t[0] * (a >= b) + t[1] * (b >= a),
    )
    assert report.verdict is Verdict.MISMATCH, str(report)
    assert {line.name for line in report.summaries if line.verdict is Verdict.MISMATCH} == {"jvp: x1", "jvp: x2"}
    assert all(line.verdict is Verdict.KINK for line in report.summaries if not line.name.startswith("jvp"))


def test_legal_subgradients_are_not_accused_where_kinks_are_not_allowed():
    report = check_vjp(relu, lambda g, x: g * (x > 0), ON_KINKS, jvp=lambda t, x: t[0] * (x >= 0), allow_kinks=False)
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)
    report = check_vjp(relu, lambda g, x: g * (x > 0), ON_KINKS, jvp=lambda t, x: -t[0] * (x >= 0), allow_kinks=False)
    assert report.verdict is Verdict.MISMATCH, "at no point beside the kinks is that a transpose"


def test_forwards_of_the_judged_kinks_are_counted_and_within_the_budget():
    called = []

    def counted(x):
        called.append(x)
        return relu(x)

    def run(**options):
        called.clear()
        report = check_vjp(counted, lambda g, x: g * (x > 0), ON_KINKS, jvp=lambda t, x: t[0] * (x >= 0), **options)
        assert len(called) == report.forward_calls
        return report

    full = run()
    assert full.verdict is Verdict.KINK
    alone = check_vjp(relu, lambda g, x: g * (x > 0), ON_KINKS, budget=100_000).forward_calls
    for budget in range(alone, full.forward_calls, 17):
        report = run(budget=budget)
        assert report.forward_calls <= budget
        assert report.verdict is Verdict.INCONCLUSIVE, str(report)


def test_kinks_of_a_second_that_would_cost_too_much_are_said_to_be_unjudged():
    point = np.ones(10_001)
    point[7] = 0.0
    for slope in (lambda x: 1.0 * (x >= 0), lambda x: np.where(x == 0, 5.0, x > 0)):
        report = check_vjp(relu, lambda g, x: g * (x > 0), point, jvp=lambda t, x, slope=slope: t[0] * slope(x))
        assert report.verdict is Verdict.INCONCLUSIVE, str(report)
        assert "those of the jvp were not judged: that takes 10,001 calls of it, as check_jvp does" in str(report)


def test_point_beside_the_kinks_may_be_outside_the_domain():
    def guarded(x):
        if np.all(x != ON_KINKS) and 1e-4 < abs(x[2] + 2.0) < 1e-2:
            raise ArithmeticError("not here")
        return relu(x)

    report = check_vjp(guarded, lambda g, x: g * (x > 0), ON_KINKS, jvp=lambda t, x: t[0] * (x >= 0))
    assert report.ok, str(report)


def test_dropout_has_one_mask_for_both():
    rng = np.random.default_rng(0)
    kept = {}

    def dropout(x):
        kept["mask"] = rng.random(x.shape) < 0.5
        return x * kept["mask"]

    report = check_vjp(dropout, lambda g: g * kept["mask"], X, jvp=lambda t, x: t[0] * kept["mask"])
    assert report.verdict is Verdict.MATCH, str(report)
    assert NOTE in report.notes
