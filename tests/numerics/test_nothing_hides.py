"""Does a plainly wrong gradient hide behind what excuses a right one? Offsets, casts, saturation and zeros."""

import gc
import weakref

import numpy as np
import pytest

from gradcheck import Verdict, check_grad, check_vjp
from gradcheck.point import Point

X = np.random.default_rng(0).normal(size=3)
MISMATCH = Verdict.MISMATCH


def cast(x):
    return x.astype(np.float32).astype(x.dtype)


@pytest.mark.parametrize("offset", [1e11, 1e12, 1e13])
def test_zero_gradient_beside_an_offset_in_fast_mode(offset):
    """No output reacts to the step of a projection, and an error bar of 0 would be what does not."""
    for seed in range(5):
        right = check_grad(lambda x: x.sum() + offset, np.ones_like, X, mode="fast", seed=seed)
        wrong = check_grad(lambda x: x.sum() + offset, lambda x: 0 * x, X, mode="fast", seed=seed)
        assert right.verdict is not MISMATCH, str(right)
        assert wrong.verdict is MISMATCH, str(wrong)


def test_forgotten_output_beside_an_offset_in_fast_mode():
    for seed in range(5):
        report = check_vjp(lambda x: (np.sin(x), x + 1e13), lambda g, x: g[0] * np.cos(x), X, mode="fast", seed=seed)
        assert report.verdict is MISMATCH, str(report)


@pytest.mark.parametrize("mode", ["full", "fast"])
def test_zero_gradient_of_what_casts_to_float32(mode):
    """The finest steps all lie on one tread, where 0 agrees; the first one has seen f climb."""
    verdicts = []
    for seed in range(40):
        x = np.random.default_rng(seed).normal(size=1)
        right = check_vjp(lambda x: np.tanh(cast(x)), lambda g, x: g * (1 - np.tanh(x) ** 2), x, mode=mode, seed=seed)
        wrong = check_vjp(lambda x: np.tanh(cast(x)), lambda g, x: 0 * g, x, mode=mode, seed=seed)
        assert right.verdict is Verdict.MATCH, str(right)
        assert not wrong.ok, str(wrong)
        verdicts.append(wrong.verdict)
    assert verdicts.count(MISMATCH) > 30


@pytest.mark.parametrize("mode", ["full", "fast"])
@pytest.mark.parametrize("added", [True, False])
def test_forgotten_part_that_casts_to_float32(mode, added):
    """Over the shortest steps f does what is claimed, like a wave: the part that was forgotten stands still there."""

    def f(x):
        parts = np.sin(x), np.tanh(cast(x))
        return parts[0] + parts[1] if added else parts

    def forgets(g, x):
        return (g if added else g[0]) * np.cos(x)

    def vjp(g, x):
        return forgets(g, x) + (g if added else g[1]) * (1 - np.tanh(x) ** 2)

    for seed in range(20):
        x = np.random.default_rng(seed).normal(size=1 + seed % 4)
        right = check_vjp(f, vjp, x, mode=mode, seed=seed)
        assert right.verdict is not MISMATCH, str(right)
        wrong = check_vjp(f, forgets, x, mode=mode, seed=seed)
        assert wrong.verdict is MISMATCH, str(wrong)


def half(x):
    return x.astype(np.float16).astype(x.dtype)


@pytest.mark.parametrize("mode", ["full", "fast"])
@pytest.mark.parametrize("size", [1, 10])
def test_staircases_whose_treads_rounding_may_have_made(mode, size):
    """0 is the slope on a tread, another the one across them: neither is accused, and 0 does not pass as right."""
    for seed in range(8):
        x = np.random.default_rng(seed).normal(size=size)
        for f in (lambda x: np.tanh(half(x)), lambda x: np.tanh(half(x)).sum(), lambda x: np.tanh(np.round(x, 3))):
            right = check_vjp(f, lambda g, x: g * (1 - np.tanh(x) ** 2), x, mode=mode, seed=seed)
            assert right.verdict is not MISMATCH, str(right)
            zero = check_vjp(f, lambda g, x: 0 * x, x, mode=mode, seed=seed)
            assert zero.verdict is not Verdict.MATCH, str(zero)
            twice = check_vjp(f, lambda g, x: 2 * g * (1 - np.tanh(x) ** 2), x, mode=mode, seed=seed)
            assert not twice.ok, str(twice)
        meant = check_vjp(np.round, lambda g, x: 0 * g, x, mode=mode, seed=seed)
        assert meant.verdict is Verdict.MATCH, str(meant)
        fine = check_vjp(lambda x: np.round(x, 3), lambda g, x: 0 * g, x, mode=mode, seed=seed)
        assert fine.verdict is not MISMATCH, str(fine)


@pytest.mark.parametrize("mode", ["full", "fast"])
@pytest.mark.parametrize("size", [2, 100])
def test_zero_of_a_staircase_beside_a_gradient_that_is_not(size, mode):
    """One entry goes through float16, and the others do not: the scale of the gradient is that of those."""

    def f(x):
        return np.sum(half(x[:1]) ** 2) + np.sin(x[1:]).sum()

    for first in (0.5, 1.3, 12.3, 100.0):
        x = np.linspace(0.7, 1.0, size)
        x[0] = first
        zero = check_vjp(f, lambda g, x: g * np.where(np.arange(size) > 0, np.cos(x), 0), x, mode=mode)
        assert zero.verdict is Verdict.INCONCLUSIVE, str(zero)


@pytest.mark.parametrize("size", [1e-2, 1e-3, 1e-4])
@pytest.mark.parametrize("at", [0.01, 0.3, 1.0, 30.0])
def test_zero_gradient_of_a_staircase_is_not_accused(at, size):
    for seed in range(4):
        x = at * np.random.default_rng(seed).normal(size=3)
        zero = check_vjp(lambda x: np.round(x / size) * size, lambda g, x: 0 * g, x, seed=seed)
        assert zero.verdict is not MISMATCH, str(zero)


@pytest.mark.parametrize("rows", [2, 3, 4])
@pytest.mark.parametrize("columns", [1, 2, 3])
def test_ties_of_sums(rows, columns):
    """Of tied rows one alone decides where it goes up: where all go down, only all others together do."""

    def f(x):
        return np.max(x.sum(axis=1))

    for seed in range(4):
        x = np.full((rows, columns), 0.25)
        share = check_vjp(f, lambda g, x: g * np.ones_like(x) / rows, x, seed=seed)
        assert share.verdict is Verdict.KINK, str(share)
        for wrong in (1.0, 0.0):
            report = check_vjp(f, lambda g, x, wrong=wrong: g * wrong * np.ones_like(x), x, seed=seed)
            assert report.verdict is MISMATCH, str(report)


def test_zero_gradient_of_an_exponential():
    """It is steeper farther away than anything: that does not mean that something was subtracted here."""
    assert check_vjp(np.exp, lambda g, x: 0 * g, np.array([20.0, 21.0, 25.0])).verdict is MISMATCH


def test_large_outputs_that_never_react():
    def f(x):
        return np.sin(x), np.array([1e16, 1e17])

    assert check_vjp(f, lambda g, x: g[0] * np.cos(x), X).verdict is Verdict.MATCH
    assert check_vjp(f, lambda g, x: 1.1 * g[0] * np.cos(x), X).verdict is MISMATCH


@pytest.mark.parametrize("masked", [lambda g, x: np.clip(g, -5, 5), lambda g, x: np.where(x > 0, g, g**2)])
def test_gradient_that_is_not_linear_in_the_cotangent(masked):
    """No multiple of the cotangent, as a rest of rounding; but no power of two times it either."""
    x = np.array([-3.0, -2.0, -1.5, 1.0, 2.0, -0.7])
    for seed in range(3):
        assert check_vjp(lambda x: np.maximum(x, 0), masked, x, seed=seed).verdict is MISMATCH


def test_gradient_that_overflows_for_more_of_the_cotangent():
    x = np.array([-3.0, -2.0, 1.0])
    report = check_vjp(lambda x: np.maximum(x, 0), lambda g, x: g * 1e308, x)
    assert report.verdict is MISMATCH


# ---------------------------------------------------------------------- in low precision only


def in_float32(factor):
    """Return what makes a backward wrong in low precision only."""
    return lambda g: g if g.dtype == np.float64 else (g * g.dtype.type(factor)).astype(g.dtype)


@pytest.mark.parametrize("offset", [1e3, 1e4, 1e5])
def test_offset_inside_a_float32_layer(offset):
    """What the forward loses of its digits, a right backward loses too; a wrong one is off by more."""
    wrong = in_float32(1.5)

    def f(x):
        return np.sin(x + x.dtype.type(offset))

    def vjp(g, x):
        return (g * np.cos(x + x.dtype.type(offset))).astype(x.dtype)

    for seed in range(10):
        x = np.random.default_rng(seed).normal(size=3).astype(np.float32)
        assert check_vjp(f, vjp, x, seed=seed).verdict is not MISMATCH
        assert check_vjp(f, lambda g, x: wrong(vjp(g, x)), x, seed=seed).verdict is MISMATCH


@pytest.mark.parametrize(
    "x",
    [
        np.array([1e-5, 2e-5, 1e-5], np.float16),
        np.array([1e-4, 1e-4, 10.0], np.float16),
        np.array([1e-40], np.float32),
    ],
)
def test_tiny_inputs_of_low_precision(x):
    """They have no ordinary values that the dtype can hold the way there to."""
    wrong = in_float32(1.5)
    assert check_vjp(lambda x: 1 * x, lambda g, x: g, x).ok
    assert check_vjp(lambda x: 1 * x, lambda g, x: wrong(g), x).verdict is MISMATCH


def test_complex_layer_that_is_wrong_in_low_precision():
    """Its entries are moved part by part."""
    wrong = in_complex64(1.5)
    x = np.array([1 + 1j, 2 - 1j], np.complex64) * np.float32(1e-8)
    assert check_vjp(lambda x: x + 1, lambda g, x: g, x).ok
    assert check_vjp(lambda x: x + 1, lambda g, x: wrong(g), x).verdict is MISMATCH


def in_complex64(factor):
    """Return what makes a complex backward wrong in low precision only."""
    return lambda g: g if g.dtype == np.complex128 else (g * g.dtype.type(factor)).astype(g.dtype)


def mean_of_exp(x):  # (exp(x) - 1) / x integrated, by its series: as exact in float32
    return x + x * x / 4 + x**3 / 18


def mean_of_exp_vjp(g, x):
    return (g * (np.exp(x) - 1) / x).astype(x.dtype)


@pytest.mark.parametrize("other", [5.0, 1e6])
def test_output_that_has_nothing_to_do_with_an_entry(other):
    """``exp(1e-8) - 1`` is 0 in float32, and a large output of another input does not hide that."""
    x, w = np.array([1e-8], np.float32), np.array([other], np.float32)
    alone = check_vjp(mean_of_exp, mean_of_exp_vjp, x)
    beside = check_vjp(lambda x, w: (mean_of_exp(x), 3 * w), lambda g, x, w: (mean_of_exp_vjp(g[0], x), 3 * g[1]), x, w)
    assert alone.verdict is MISMATCH
    assert not beside.ok, str(beside)


# ---------------------------------------------------------------------- what a check leaves behind


def test_check_leaves_no_cycle_behind(monkeypatch):
    """It would hold the user's arrays until the collector runs."""
    points = []
    begin = Point.__init__

    def remember(self, *arguments, **options):
        begin(self, *arguments, **options)
        points.append(weakref.ref(self))

    monkeypatch.setattr(Point, "__init__", remember)
    gc.disable()
    try:
        assert check_vjp(np.sin, lambda g, x: 2 * g * np.cos(x), X).verdict is MISMATCH
        assert points
        assert not any(point() for point in points)
    finally:
        gc.enable()


def test_factor_of_all_entries_where_they_add_up_to_little_along_the_direction_of_a_projection():
    x, weights = np.random.default_rng(3).uniform(0.5, 1, size=(2, 100))
    seen = []

    def linear(weights):
        def f(x):
            seen.append(x.copy())
            return weights @ x

        return f

    assert check_grad(linear(weights), lambda x: weights, x, mode="fast").verdict is Verdict.MATCH
    along = seen[-1] - x
    along /= np.linalg.norm(along)
    slanted = weights - (1 - 1e-6) * (weights @ along) * along
    assert check_grad(linear(slanted), lambda x: slanted, x, mode="fast").verdict is Verdict.MATCH
    report = check_grad(linear(slanted), lambda x: 1.01 * slanted, x, mode="fast")
    assert report.verdict is MISMATCH, str(report)


@pytest.mark.parametrize("mode", ["full", "fast"])
def test_what_is_wrong_at_0_only_beside_a_kink_of_another_term(mode):
    """The slope of a sinc at 0 is 0; several kinks meet there, and none of them is a sinc's."""

    def sinc_vjp(x, at_zero):
        return np.where(x == 0, at_zero, (np.cos(np.pi * x) - np.sinc(x)) / np.where(x == 0, 1, x))

    def f(x, y):
        return np.sum(np.sinc(x)) + np.sum(np.abs(y))

    x, y = np.array([0.0, 1.3, 2.0]), np.array([0.0, 2.0])
    for seed in range(3):
        right = check_vjp(f, lambda g, x, y: (g * sinc_vjp(x, 0.0), g * np.sign(y)), x, y, mode=mode, seed=seed)
        wrong = check_vjp(f, lambda g, x, y: (g * sinc_vjp(x, 1.0), g * np.sign(y)), x, y, mode=mode, seed=seed)
        assert right.ok, str(right)
        assert wrong.verdict is MISMATCH, str(wrong)


def test_a_staircase_hides_no_entry_that_does_nothing():
    def f(x, y):
        return np.round(x[0]) + np.sin(x[1]) + 0 * y

    for claim in (0.5, 1e-3):
        report = check_vjp(
            f, lambda g, x, y, claim=claim: (g * np.array([0, np.cos(x[1])]), g * claim), np.array([0.3, 0.4]), 0.2
        )
        assert report.verdict is MISMATCH, str(report)


def test_a_loop_over_the_input_is_not_sent_to_the_end_of_numbers():
    def f(x):
        angle = float(x[0])
        while angle > np.pi:
            angle -= 2 * np.pi
        return np.array([0 * angle])

    assert check_vjp(f, lambda g, x: 3 * g, np.array([0.5])).verdict is MISMATCH


BENDS = {  # each with its slope, and the one of the kink that it rounds off
    "softplus": (lambda r: np.logaddexp(0, r), lambda r: 1 / (1 + np.exp(-r)), lambda r: r > 0),
    "huber": (lambda r: np.where(abs(r) < 1, 0.5 * r * r, abs(r) - 0.5), lambda r: np.clip(r, -1, 1), np.sign),
    "log-cosh": (lambda r: np.logaddexp(r, -r), np.tanh, np.sign),
}


@pytest.mark.parametrize("mode", ["full", "fast"])
@pytest.mark.parametrize("offset", [1e5, 1e7, 1e9])
@pytest.mark.parametrize("bend", BENDS)
def test_a_bend_that_is_narrow_beside_the_number_is_no_kink(bend, offset, mode):
    f, slope, sides = BENDS[bend]
    for seed in range(6):
        x = offset + np.random.default_rng(seed).uniform(-0.6, 0.6, 3)
        right = check_vjp(lambda x: f(x - offset), lambda g, x: g * slope(x - offset), x, seed=seed, mode=mode)
        assert right.verdict is Verdict.MATCH, str(right)
        step = check_vjp(lambda x: f(x - offset), lambda g, x: g * sides(x - offset), x, seed=seed, mode=mode)
        assert step.verdict is MISMATCH, str(step)


@pytest.mark.parametrize("large", [1e6, 1e10, 1e13])
@pytest.mark.parametrize("size", [5, 500])
def test_a_large_output_hides_no_other_from_a_projection(large, size):
    """Whole, the gradient agrees to eight digits of its largest entry: all the others may be wrong, or one."""
    sizes, one, others = np.ones(size), np.ones(size), np.full(size, 1.1)
    sizes[-1], one[0], others[-1] = large, 1.1, 1.0
    for seed in range(5):
        x = np.random.default_rng(seed).uniform(-1, 1, size)
        for factor, verdict in ((1.0, Verdict.MATCH), (one, MISMATCH), (others, MISMATCH)):
            report = check_vjp(
                lambda x: sizes * np.sin(x),
                lambda g, x, factor=factor: factor * g * sizes * np.cos(x),
                x,
                mode="fast",
                seed=seed,
            )
            assert report.verdict is verdict, str(report)


@pytest.mark.parametrize(("size", "weight"), [(3, 1e-4), (3, 1e-5), (3, 1e-6), (100, 1e-4), (100, 1e-5)])
def test_a_zero_beside_entries_millions_of_times_larger_does_not_pass_a_projection(size, weight):
    for seed in range(8):
        rng = np.random.default_rng(seed)
        weights, x = 100 * rng.uniform(0.5, 1, size), rng.uniform(-1, 1, size)
        weights[1] = weight
        for forgotten, verdicts in ((1.0, {Verdict.MATCH}), (0.0, {MISMATCH, Verdict.INCONCLUSIVE})):
            kept = np.where(np.arange(size) == 1, forgotten, 1.0)
            report = check_vjp(
                lambda x, weights=weights: np.array(weights @ np.tanh(x)),
                lambda g, x, weights=weights, kept=kept: g * kept * weights / np.cosh(x) ** 2,
                x,
                mode="fast",
                seed=seed,
            )
            assert report.verdict in verdicts, str(report)


@pytest.mark.parametrize("mode", ["full", "fast"])
def test_a_kink_that_noise_hardly_shows_is_none(mode):
    """Beside an output of 1e12 a bar is larger than the entry, and would have both slopes of a kink within it."""
    x = np.random.default_rng(0).normal(size=6)
    for seed in range(10):
        for factor in (0.0, 0.5, 1.3):
            kept = np.where(np.arange(6) == 0, factor, 1.0)
            report = check_vjp(
                lambda x: (1e12 + np.abs(x).sum(), 2 * np.abs(x)),
                lambda g, x, kept=kept: kept * (g[0] + 2 * g[1]) * np.sign(x),
                x,
                seed=seed,
                mode=mode,
            )
            assert not report.ok, str(report)
