"""Does the error bar hold? Thousands of random (function, point) pairs against derivatives in closed form.

The engine is driven below its verdicts: noise, ladder, judgement of kinks, as for an entry that disagreed.
"""

import math

import numpy as np
import pytest

from gradcheck import kink, noise
from gradcheck.adapters.functions import adapt_function
from gradcheck.difference import Differences
from gradcheck.evaluate import Evaluator
from gradcheck.ladder import best, climb_down
from gradcheck.probe import EntryRay, ProjectionRay

EPS = np.finfo(np.float64).eps
erf = np.vectorize(math.erf, otypes=[float])


def sigmoid(z):
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def sigmoid_slope(z):
    e = np.exp(-np.abs(z))
    return e / (1 + e) ** 2


def anywhere(rng):
    return rng.normal() * 10 ** rng.uniform(-8, 8)


def ordinary(rng):
    return rng.normal() * 10 ** rng.uniform(-2, 1)


def positive(rng):
    return abs(ordinary(rng)) + 1e-6


def moderate(rng):
    return rng.uniform(-6, 6)


FUNCTIONS = {
    "sin": (np.sin, np.cos, ordinary),
    "exp": (np.exp, np.exp, moderate),
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2, moderate),
    "sigmoid": (sigmoid, sigmoid_slope, lambda rng: rng.uniform(-20, 20)),
    "softplus": (lambda x: np.logaddexp(0, x), sigmoid, moderate),
    "log": (np.log, lambda x: 1 / x, positive),
    "sqrt": (np.sqrt, lambda x: 0.5 / np.sqrt(x), positive),
    "inverse": (lambda x: 1 / x, lambda x: -1 / x**2, positive),
    "square": (lambda x: x**2, lambda x: 2 * x, anywhere),
    "cube": (lambda x: x**3, lambda x: 3 * x**2, anywhere),
    "quintic": (lambda x: x**5 - 3 * x**2, lambda x: 5 * x**4 - 6 * x, ordinary),
    "arctan": (np.arctan, lambda x: 1 / (1 + x**2), ordinary),
    "gelu": (
        lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2))),
        lambda x: 0.5 * (1 + erf(x / math.sqrt(2))) + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi),
        lambda rng: rng.uniform(-3, 3),
    ),
    "sin-1e3": (lambda x: np.sin(1e3 * x), lambda x: 1e3 * np.cos(1e3 * x), ordinary),
    "sin-1e5": (lambda x: np.sin(1e5 * x), lambda x: 1e5 * np.cos(1e5 * x), ordinary),
    "offset-1e6": (lambda x: 1e6 + x**2, lambda x: 2 * x, ordinary),
    "offset-1e10": (lambda x: 1e10 + np.sin(x), np.cos, ordinary),
    "quantised": (lambda x: (np.sin(x) + 1e6) - 1e6, np.cos, ordinary),
    "float32-inside": (lambda x: np.tanh(x.astype(np.float32)).astype(float), lambda x: 1 / np.cosh(x) ** 2, moderate),
    "bump": (lambda x: np.exp(-(x**2)), lambda x: -2 * x * np.exp(-(x**2)), lambda rng: rng.uniform(-3, 3)),
    "power-2.5": (lambda x: x**2.5, lambda x: 2.5 * x**1.5, positive),
    "x|x|": (lambda x: x * np.abs(x), lambda x: 2 * np.abs(x), ordinary),
    "relu-beside-its-kink": (
        lambda x: np.maximum(x, 0),
        lambda x: (x > 0) * 1.0,
        lambda rng: rng.choice([-1, 1]) * 10 ** rng.uniform(-9, 0),
    ),
    "two-scales": (lambda x: x + 1e-3 * np.sin(300 * x), lambda x: 1 + 0.3 * np.cos(300 * x), ordinary),
}
PAIRS = 90


def measured(f, x):
    """Return the engine's estimate of f'(x), as for an entry that did not agree at first sight."""
    layer = adapt_function(f, lambda g, x: g, (np.array([x]),), names=["x"])
    evaluator = Evaluator(layer, layer.primals)
    outputs = evaluator.run().outputs
    evaluator.remember(outputs)
    base = evaluator.flatten(outputs)
    along = ProjectionRay(evaluator, {"x": np.array([abs(x) or 1.0])})
    sigma = noise.measure(lambda t: along.at(t)[0], base, np.full(1, EPS))
    differences = Differences(EntryRay(evaluator, "x", (0,)), base, np.ones(1), sigma)
    differences.explore()
    return kink.judge(climb_down(differences))


@pytest.fixture(scope="module")
def estimates():
    """Return name -> (true derivatives, estimates), drawn once for all tests of this module."""
    drawn = {}
    with np.errstate(all="ignore"):
        for number, (name, (f, slope, draw)) in enumerate(FUNCTIONS.items()):
            rng = np.random.default_rng([number, 2026])
            points = [float(draw(rng)) for _ in range(PAIRS)]
            truths = [float(slope(np.array(x))) for x in points]
            drawn[name] = (truths, [measured(f, x) for x in points], points)
    return drawn


def spoken(estimates):
    """Yield (name, point, truth, estimate) where the engine said anything."""
    for name, (truths, found, points) in estimates.items():
        for truth, estimate, point in zip(truths, found, points, strict=True):
            if math.isfinite(estimate.error_bar):
                yield name, point, truth, estimate


def missed(estimates, *, shrink=1.0):
    """Return the share of truths outside their bars, were these `shrink` times as wide, and those that are."""
    total, outside = 0, []
    for name, point, truth, estimate in spoken(estimates):
        total += 1
        half = shrink * estimate.error_bar + 0.5 * (estimate.high - estimate.low)
        if abs(truth - estimate.value) > half + 4 * EPS * abs(truth):  # the closed form rounds as well
            outside.append((name, point, truth, estimate.value, half))
    assert total >= 2000
    return len(outside) / total, outside


def test_truth_lies_within_the_bar(estimates):
    share, outside = missed(estimates)
    assert share <= 0.001, outside


@pytest.mark.parametrize("shrink", [0.1, 0.01])
def test_catches_bars_that_are_too_narrow(estimates, shrink):
    """A planted fault: the same points, with bars shrunk, break the promise."""
    share, _ = missed(estimates, shrink=shrink)
    assert share > 0.001


def test_engine_speaks_nearly_always(estimates):
    """Bars that are infinite hold as well: they must be the exception."""
    silent = [name for name, (_, found, _) in estimates.items() for e in found if not math.isfinite(e.error_bar)]
    assert len(silent) <= 0.01 * PAIRS * len(FUNCTIONS), silent


def width(estimates, *, stretch=1.0):
    """Return how many times wider than the true error a bar is, at the median."""
    ratios = [
        stretch * estimate.error_bar / max(abs(truth - estimate.value), 4 * EPS * abs(truth), 1e-300)
        for _, _, truth, estimate in spoken(estimates)
        if not estimate.kinked
    ]
    return np.median(ratios)


def test_bars_are_no_wider_than_they_need_be(estimates):
    bars = [estimate.error_bar / max(abs(truth), 1e-300) for _, _, truth, estimate in spoken(estimates)]
    errors = [abs(truth - estimate.value) / max(abs(truth), 1e-300) for _, _, truth, estimate in spoken(estimates)]
    assert np.median(bars) <= 100 * np.median(errors)
    assert np.median(bars) < 1e-7
    assert width(estimates) <= 100


def test_catches_bars_that_are_too_wide(estimates):
    """A planted fault: bars of a thousand times the width hold even better, and say nothing."""
    assert width(estimates, stretch=1000) > 100


@pytest.mark.parametrize(
    "name", [name for name in FUNCTIONS if name not in ("offset-1e10", "float32-inside", "quantised")]
)
def test_bars_are_small_where_f_is_exact(estimates, name):
    truths, found, _ = estimates[name]
    relative = [e.error_bar / max(abs(t), 1e-300) for t, e in zip(truths, found, strict=True)]
    assert np.median(relative) < 1e-5


def test_smooth_points_are_not_taken_for_kinks(estimates):
    kinked = [(name, point) for name, point, _, estimate in spoken(estimates) if estimate.kinked]
    near = [(name, point) for name, point in kinked if name == "relu-beside-its-kink"]
    assert len(kinked) - len(near) <= 0.001 * PAIRS * len(FUNCTIONS), kinked


def hashed(x):
    """Return noise in [-0.5, 0.5) that knows nothing of its neighbours: the bits of x, stirred."""
    bits = np.ascontiguousarray(x, np.float64).view(np.uint64)
    for shift in (33, 29, 32):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(0x9E3779B97F4A7C15)
    return (bits >> np.uint64(11)).astype(np.float64) / 2.0**53 - 0.5


@pytest.mark.parametrize("size", [1e-11, 1e-7, 1e-4])
def test_bar_covers_noise_that_is_really_there(size):
    """Noise of a known size on a known function: the bar holds, and is not far wider than the noise asks for."""
    rng = np.random.default_rng(0)
    bars, outside = [], 0
    for _ in range(100):
        x = rng.normal()
        estimate = measured(lambda x: np.sin(x) + size * hashed(x), x)
        outside += abs(estimate.value - math.cos(x)) > estimate.error_bar
        bars.append(estimate.error_bar)
    assert outside <= 1
    assert np.median(bars) < 100 * size ** (2 / 3)  # the best central difference leaves noise ** (2/3)


def test_a_derivative_without_levels_is_no_derivative():
    assert not math.isfinite(best([]).error_bar)
    assert best([]).reason
