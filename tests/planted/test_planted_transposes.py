"""Are vjps and jvps caught that do not belong together, and none accused that do?"""

import numpy as np
import pytest

from gradcheck import Verdict, check_jvp, check_vjp

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


def test_products_too_small_to_compare_are_said_to_be():
    report = check_vjp(softmax, softmax_vjp, np.array([[900.0, 0.0, 1.0]]), jvp=softmax_jvp)
    assert any("too small beside the outputs to tell anything of the jvp" in note for note in report.notes)


def test_different_subgradients_at_a_kink_are_noted_and_accuse_nobody():
    point = np.array([0.0, 1.0, -2.0, 0.0])

    def relu(x):
        return np.maximum(x, 0)

    report = check_vjp(relu, lambda g, x: g * (x > 0), point, jvp=lambda t, x: t[0] * (x >= 0))
    assert report.verdict is Verdict.KINK, str(report)
    assert "the vjp and the jvp take different subgradients at the kinks" in report.notes
    report = check_vjp(relu, lambda g, x: g * (x > 0), point, jvp=lambda t, x: t[0] * (x < 0))
    assert report.verdict is Verdict.MISMATCH, "at no point beside the kinks is that a transpose"


def test_dropout_has_one_mask_for_both():
    rng = np.random.default_rng(0)
    kept = {}

    def dropout(x):
        kept["mask"] = rng.random(x.shape) < 0.5
        return x * kept["mask"]

    report = check_vjp(dropout, lambda g: g * kept["mask"], X, jvp=lambda t, x: t[0] * kept["mask"])
    assert report.verdict is Verdict.MATCH, str(report)
    assert NOTE in report.notes
