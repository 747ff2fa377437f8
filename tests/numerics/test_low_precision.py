"""Is a float32 or float16 layer judged as one of float64 would be, and where not, is nobody accused?"""

import numpy as np
import pytest

from gradcheck import Verdict, check_grad, check_jvp, check_vjp
from tests.numerics.table import ROWS
from tests.numerics.table.row import gradients

WIDE = [
    row
    for row in ROWS
    if row.id
    in (
        "softmax",
        "log-softmax",
        "cross-entropy",
        "batch-norm",
        "norm",
        "matmul",
        "convolution",
        "variance",
        "two-outputs",
    )
]
wide = pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in WIDE])


def lowered(arrays, dtype):
    return tuple(array.astype(dtype) if array.dtype.kind == "f" else array for array in arrays)


def insisting(f):
    """Return f with its floating inputs and its output in float32: a layer that insists on it."""
    return lambda *arrays: f(*lowered(map(np.asarray, arrays), np.float32)).astype(np.float32)


def insisting_vjp(vjp):
    def low(*arrays):
        parts = [g.astype(np.float32) for g in gradients(vjp, *lowered(map(np.asarray, arrays), np.float32))]
        return tuple(parts) if len(parts) > 1 else parts[0]

    return low


@wide
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_right_pullback_written_for_float64_passes_in_low_precision(row, dtype):
    assert check_vjp(row.f, row.vjp, *lowered(row.inputs, dtype)).ok


@wide
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_wrong_pullback_is_caught_in_low_precision(row, dtype):
    for twin in row.wrong.values():
        report = check_vjp(row.f, twin, *lowered(row.inputs, dtype))
        assert report.verdict is Verdict.MISMATCH, str(report)


@wide
def test_layer_that_insists_on_float32_is_judged_all_the_same(row):
    """Differences in float32 are all there is then: less is seen, and nobody is accused for it."""
    point = lowered(row.inputs, np.float32)
    right = check_vjp(insisting(row.f), insisting_vjp(row.vjp), *point)
    assert right.verdict in (Verdict.MATCH, Verdict.INCONCLUSIVE), str(right)
    for twin in row.wrong.values():
        assert not check_vjp(insisting(row.f), insisting_vjp(twin), *point).ok


def test_backward_that_is_right_only_in_float64_is_caught():
    """A cancellation that float64 hides: (1 + x**2) - 1 is 0 in float32 where x is 1e-4."""
    x = np.array([1e-4, 2e-4, -1e-4], np.float32)
    assert check_vjp(lambda x: x**3, lambda g, x: g * 3 * x**2, x).verdict is Verdict.MATCH
    report = check_vjp(lambda x: x**3, lambda g, x: g * 3 * ((1 + x**2) - 1), x)
    assert report.verdict is Verdict.MISMATCH, str(report)
    assert "right in float64, wrong in float32" in str(report)


def test_budget_that_ends_before_the_low_precision_was_compared_leaves_nothing_right():
    x = np.array([1e-4, 2e-4, -1e-4], np.float32)

    def run(**options):
        return check_vjp(lambda x: x**3, lambda g, x: g * 3 * ((1 + x**2) - 1), x, **options)

    full = run().forward_calls
    verdicts = [run(budget=budget).verdict for budget in range(1, full)]
    assert not any(verdict.ok for verdict in verdicts)
    assert verdicts[-1] is Verdict.INCONCLUSIVE


def test_waves_as_short_as_last_bits_are_not_blamed_on_the_backward():
    """Where the cube of 60 has a last bit of 0.02, what a right backward makes of its sine is off by as much."""
    x = np.array([59.379], np.float32)

    def vjp(g, x, factor=1):
        return (g * np.cos(x**3) * 3 * x**2 * factor).astype(x.dtype)

    def f(x):
        return np.sin(x**3)

    for seed in range(5):
        assert check_vjp(f, vjp, x, seed=seed).verdict in {Verdict.MATCH, Verdict.INCONCLUSIVE}
        wrong = check_vjp(f, lambda g, x: vjp(g, x, np.float32(1.5)), x, seed=seed)
        assert wrong.verdict is Verdict.MISMATCH, str(wrong)


def test_ties_that_float32_makes_of_all_that_is_tiny_are_not_blamed_on_the_backward():
    """exp(1e-8) is 1 in float32: each of two maxima gets all of it there, and moving by last bits changes nothing."""

    def f(x):
        return np.maximum(np.exp(x), np.roll(np.exp(x), 1))

    def vjp(g, x):
        first = np.exp(x) >= np.roll(np.exp(x), 1)
        return (np.exp(x) * (g * first + np.roll(g * ~first, -1))).astype(x.dtype)

    for seed in range(5):
        x = (1e-8 * np.random.default_rng(seed).normal(size=4)).astype(np.float32)
        assert check_vjp(f, vjp, x, seed=seed).verdict is not Verdict.MISMATCH
        assert check_vjp(f, lambda g, x: -vjp(g, x), x, seed=seed).verdict is Verdict.MISMATCH


def test_what_the_forward_loses_is_not_blamed_on_the_backward():
    """A layer norm of two entries near 100: its slopes are what is left of numbers near 1, of which 4e-6 is lost."""

    def spread(x):
        return np.sqrt(x.var() + np.float32(1e-5))

    def f(x):
        return (x - x.mean()) / spread(x)

    def vjp(g, x):
        return ((g - g.mean() - f(x) * (g * f(x)).mean()) / spread(x)).astype(x.dtype)

    accused = 0
    for seed in range(40):
        x = (100 + np.random.default_rng(seed).normal(size=2)).astype(np.float32)
        accused += check_vjp(f, vjp, x, seed=seed).verdict is Verdict.MISMATCH
        wrong = check_vjp(f, lambda g, x: vjp(g, x) + np.float32(0.01), x, seed=seed)
        assert wrong.verdict is Verdict.MISMATCH, str(wrong)
    assert accused <= 1


@pytest.mark.parametrize("factor", [1.01, -1.0, 0.0])
def test_one_wrong_entry_of_a_float32_backward_is_caught(factor):
    x = np.linspace(-2, 2, 12, dtype=np.float32)
    weights = np.ones(12, np.float32)
    weights[7] = factor
    report = check_vjp(np.tanh, lambda g, x: g * (1 - np.tanh(x) ** 2) * weights, x)
    assert [c.index for c in report.comparisons if c.verdict is Verdict.MISMATCH] == [(7,)]


def test_residual_that_is_zero_in_float32_only_is_no_error():
    """A prediction that equals its target in float32 and not in float64: the gradients are 0 and 4e-7."""
    x = np.array([-7.7e-10, -2.7275145, -4.1091013, -1.0], np.float32)
    target = np.float32(np.sum(np.abs(x)))

    def loss(x, target):
        return np.square(np.sum(np.abs(x)) - target)

    def vjp(g, x, target):
        slope = g * 2 * (np.sum(np.abs(x)) - target)
        return slope * np.sign(x), -slope

    report = check_vjp(loss, vjp, x, target)
    assert report.verdict not in (Verdict.MISMATCH, Verdict.CONTRACT), str(report)
    doubled = check_vjp(loss, lambda g, x, target: tuple(2 * each for each in vjp(g, x, target)), x, target + 0.5)
    assert doubled.verdict is Verdict.MISMATCH, str(doubled)


def test_point_nearby_that_is_outside_the_domain_says_nothing():
    """The logarithms of distances to a pole, scaled: at points a little to the left of it all rounding is NaN."""

    def f(distance, scale):
        return scale * np.log(distance - np.float16(0.999))

    def vjp(g, distance, scale):
        distance = distance - np.float16(0.999)
        return g * scale / distance, (g * np.log(distance)).sum(dtype=distance.dtype)

    rng = np.random.default_rng(0)
    for seed in range(9):
        x = (1 + 2.0**-10 * rng.integers(0, 9, 24)).astype(np.float16)
        with np.errstate(all="ignore"):
            report = check_vjp(f, vjp, x, np.float16(rng.normal()), seed=seed)
        assert report.verdict is not Verdict.MISMATCH, f"seed {seed}\n{report}"


def nothing(x):
    """Return the logarithm of the sum of a softmax: 0, wherever it is taken."""
    shifted = x - x.max()
    y = shifted - np.log(np.exp(shifted).sum())
    return np.log(np.exp(y - y.max()).sum()) + y.max()


def nothing_vjp(g, x):
    p = np.exp(x - x.max())
    p /= p.sum()
    q = np.exp(np.log(p) - np.log(p).max())
    g = (g * q / q.sum()).astype(x.dtype)
    return g - p * g.sum()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_rounding_leaves_of_nothing_is_not_compared(dtype):
    wrong = []
    for seed in range(20):
        x = np.random.default_rng(seed).normal(size=(1, 3)).astype(dtype)
        right = check_vjp(nothing, nothing_vjp, x, seed=seed)
        assert right.verdict is not Verdict.MISMATCH, str(right)
        wrong.append(check_vjp(nothing, lambda g, x: nothing_vjp(g, x) + x.dtype.type(1e-2) * g, x, seed=seed))
    # f is nothing but rounding, which a few times looks like a wave
    assert not any(report.ok for report in wrong)
    assert sum(report.verdict is Verdict.MISMATCH for report in wrong) >= 15


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_pushforward_is_judged_in_float64_too(dtype):
    x = np.linspace(0.1, 1.0, 6).astype(dtype)

    def pushforward(t, x):
        return (1 - np.tanh(x) ** 2) * t[0]

    right = check_jvp(np.tanh, pushforward, x)
    assert right.ok, str(right)
    assert any("float64" in note for note in right.notes), str(right)
    wrong = check_jvp(np.tanh, lambda t, x: x.dtype.type(1.002) * pushforward(t, x), x)
    assert wrong.verdict is Verdict.MISMATCH, str(wrong)
    assert "cast" not in str(wrong), str(wrong)


def test_backward_that_rounds_to_float32_inside_is_not_accused():
    """Given float64, it still makes a float32 residual; the loss, with targets of float64, does not."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        x, target = rng.normal(size=(4, 2)).astype(np.float32), rng.normal(size=(4, 3))
        params = {"W": rng.normal(size=(2, 3)).astype(np.float32), "b": np.zeros(3, np.float32)}

        def loss(p, x=x, target=target):
            return 0.5 * np.sum((x @ p["W"] + p["b"] - target) ** 2)

        def grad(p, x=x, target=target, factor=1.0):
            residual = (factor * (x @ p["W"] + p["b"] - target)).astype(np.float32)
            return {"W": (x.T @ residual).astype(p["W"].dtype), "b": residual.sum(axis=0).astype(p["b"].dtype)}

        right = check_grad(loss, grad, params, seed=seed)
        assert right.verdict in (Verdict.MATCH, Verdict.INCONCLUSIVE), str(right)
        wrong = check_grad(loss, lambda p, grad=grad: grad(p, factor=1.01), params, seed=seed)
        assert wrong.verdict is Verdict.MISMATCH, str(wrong)
