"""Is a complex step exact where f keeps the imaginary part, and found out where it is lost?"""

import numpy as np
import pytest

from gradcheck import ArgumentError, Verdict, check_grad, check_jvp, check_layer, check_vjp

X = np.array([[0.3, -1.2, 2.0], [0.5, 1e-8, 30.0]])
STEP = {"method": "complex-step"}

EXACT = {
    "sin": (np.sin, np.cos),
    "quantised": (lambda x: (x + 1e8) - 1e8, np.ones_like),
    "offset": (lambda x: 1e6 + np.sin(x), np.cos),
    "rational": (lambda x: x / (1 + x**2), lambda x: (1 - x**2) / (1 + x**2) ** 2),
}
exact = pytest.mark.parametrize(("f", "slope"), [pytest.param(*pair, id=name) for name, pair in EXACT.items()])


@exact
def test_right_derivative_agrees_to_twelve_digits(f, slope):
    report = check_vjp(f, lambda g, x: g * slope(x), X, rtol=1e-12, **STEP)
    assert report.verdict is Verdict.MATCH, str(report)
    assert "by complex steps: 6 entries" in report.notes


@exact
def test_error_that_no_difference_can_see_is_caught(f, slope):
    def vjp(g, x):
        return g * slope(x) * np.where(x > 1, 1 + 1e-10, 1.0)

    report = check_vjp(f, vjp, X, rtol=1e-12, **STEP)
    wrong = {c.index for c in report.comparisons if c.verdict is Verdict.MISMATCH}
    assert wrong == {(0, 2), (1, 2)}, str(report)
    assert check_vjp(f, vjp, X).ok  # to the usual six digits nothing is wrong


LOSING = {
    "real": (lambda x: np.real(x) ** 2, lambda x: 2 * x, "f returns no complex numbers"),
    "abs": (lambda x: np.abs(x), np.sign, "f returns no complex numbers"),
    "cast": (lambda x: np.tanh(x.astype(np.float64)), lambda x: 1 - np.tanh(x) ** 2, "f returns no complex numbers"),
    "float": (
        lambda x: np.array([float(v) ** 2 for v in x.flat]).reshape(x.shape),
        lambda x: 2 * x,
        "central differences",
    ),
    "abs-times-x": (lambda x: x * np.abs(x), lambda x: 2 * np.abs(x), "central differences contradict it"),
    "part-of-it": (lambda x: x + np.real(np.sin(x)), lambda x: 1 + np.cos(x), "central differences contradict it"),
}


@pytest.mark.parametrize(("f", "slope", "words"), [pytest.param(*row, id=name) for name, row in LOSING.items()])
def test_lost_imaginary_part_is_noticed_and_central_differences_decide(f, slope, words):
    right = check_vjp(f, lambda g, x: g * slope(x), X, **STEP)
    assert right.verdict is Verdict.MATCH, str(right)
    assert words in str(right), str(right)
    wrong = check_vjp(f, lambda g, x: 1.01 * g * slope(x), X, **STEP)
    assert wrong.verdict is Verdict.MISMATCH, str(wrong)


def test_what_the_complex_step_alone_would_say_is_never_believed():
    """With ``real(x)`` it says 1 where the slope is 2: a backward that says 1 too does not pass."""
    report = check_vjp(lambda x: x + np.real(x), lambda g, x: g, X, **STEP)
    assert report.verdict is Verdict.MISMATCH, str(report)


def test_kink_is_a_kink():
    at = np.array([0.0, 1.0])
    report = check_vjp(lambda x: np.maximum(x, 0) * x, lambda g, x: g * 2 * np.maximum(x, 0), at, **STEP)
    assert report.ok
    kinked = check_vjp(lambda x: np.maximum(x, 0), lambda g, x: g * (x > 0), at, **STEP)
    assert kinked.verdict is Verdict.KINK


def test_rounding_inside_f_is_no_error():
    """The derivative of what cancels inside is off by 1e-8 in any arithmetic."""

    def f(x):
        return 5e8 * x - 5e8 * np.sin(x) * x / np.sin(x) + x

    assert check_vjp(f, lambda g, x: g * 1.0, X, rtol=1e-12, **STEP).verdict is Verdict.MATCH


def test_complex_inputs_have_no_step_beside_them():
    z = X + 1j
    report = check_vjp(np.sin, lambda v, z: v * np.cos(z).conj(), z, **STEP)
    assert report.verdict is Verdict.MATCH
    assert any("inputs or outputs are complex already" in note for note in report.notes)


def test_every_check_takes_it():
    class Sine:
        def forward(self, x):
            self.x = x
            return np.sin(x)

        def backward(self, dout):
            return dout * np.cos(self.x)

    params = {"a": X}
    reports = [
        check_jvp(np.sin, lambda t, x: t[0] * np.cos(x), X, **STEP),
        check_grad(lambda p: np.sum(np.sin(p["a"])), lambda p: {"a": np.cos(p["a"])}, params, **STEP),
        check_layer(Sine(), X, **STEP),
    ]
    for report in reports:
        assert report.verdict is Verdict.MATCH, str(report)
        assert "by complex steps: 6 entries" in report.notes, str(report)
        assert "method='complex-step'" in report.reproduce


def test_unknown_method_is_named():
    with pytest.raises(ArgumentError, match=r"method was 'forward'; expected 'central' or 'complex-step'"):
        check_vjp(np.sin, lambda g, x: g * np.cos(x), X, method="forward")


PENALTY_AT = np.array([1.0, 2.0])


def penalised(x):
    return np.sum(x**2) + 1e-3 * np.sum(np.abs(x))


def test_small_part_without_its_imaginary_part_is_noticed():
    """The penalty is a thousandth of the slope: the central difference knows it to 1e-10."""
    right = check_grad(penalised, lambda x: 2 * x + 1e-3 * np.sign(x), PENALTY_AT, **STEP)
    assert right.verdict is Verdict.MATCH, str(right)
    forgotten = check_grad(penalised, lambda x: 2 * x, PENALTY_AT, **STEP)
    assert forgotten.verdict is Verdict.MISMATCH, str(forgotten)


def test_small_kink_is_a_kink():
    x = np.array([-1.0, 0.0, 2.0])
    report = check_vjp(lambda x: np.where(x > 0, x, 0.9995 * x), lambda g, x: g * np.where(x > 0, 1, 0.9995), x, **STEP)
    assert report.verdict is Verdict.KINK, str(report)
