"""gradcheck.noise: noise of a known size is measured to within a factor, and is never taken to be less than rounding."""

import numpy as np
import pytest

from gradcheck.noise import floor, measure

EPS = 2.0**-52


def measured(f, x, u=None):
    x = np.asarray(x, float)
    u = np.where(x == 0, 1.0, np.abs(x)) if u is None else u
    base = f(x)
    return measure(lambda t: f(x + t * u), base, np.full(base.shape, EPS)), base


def hashed(x):
    """Return noise in [-0.5, 0.5) that knows nothing of its neighbours: the bits of x, stirred."""
    bits = np.ascontiguousarray(x, np.float64).view(np.uint64)
    for shift in (33, 29, 32):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(0x9E3779B97F4A7C15)
    return (bits >> np.uint64(11)).astype(np.float64) / 2.0**53 - 0.5


def test_floor_is_half_a_last_bit():
    assert np.array_equal(floor(np.array([-2.0, 0.0, 1.0]), np.full(3, EPS)), [EPS, 0.0, EPS / 2])


POINTS = np.random.default_rng(0).normal(size=40)


@pytest.mark.parametrize("size", [1e-12, 1e-9, 1e-6, 1e-3])
def test_known_noise_is_found(size):
    sigma, _ = measured(lambda x: np.sin(x) + size * hashed(x), POINTS)
    truth = size * 12**-0.5
    assert 0.5 * truth < np.median(sigma) < 2 * truth
    assert np.mean(sigma > 0.1 * truth) > 0.8  # seven points make a rough estimate
    assert np.all(sigma < 10 * truth)


@pytest.mark.parametrize(
    "f", [np.sin, np.exp, np.tanh, lambda x: x**3, lambda x: 1 / (1 + np.exp(-x)), lambda x: 3 * x]
)
def test_exact_functions_have_the_noise_of_rounding(f):
    sigma, base = measured(f, POINTS)
    assert np.all(sigma >= 0.5 * EPS * np.abs(base))
    assert np.all(sigma <= 20 * EPS * np.maximum(np.abs(base), np.abs(f(POINTS * 1.001))))


@pytest.mark.parametrize("offset", [1e4, 1e6, 1e8, 1e10])
def test_quantum_of_an_inner_offset_is_found(offset):
    sigma, _ = measured(lambda x: (np.sin(x) + offset) - offset, POINTS)
    quantum = np.spacing(offset)
    assert np.all(sigma >= 0.2 * quantum)
    assert np.all(sigma <= 5 * quantum)


def test_float32_inside_is_found():
    sigma, base = measured(lambda x: np.sin(x).astype(np.float32).astype(float), POINTS)
    quantum = np.spacing(np.abs(base).astype(np.float32)).astype(float)
    assert np.all(sigma >= 0.1 * quantum)
    assert np.median(sigma / quantum) < 2


@pytest.mark.parametrize(("dtype", "most"), [(np.float32, 0.02), (np.float16, 0.05)])
def test_treads_are_found_whatever_the_points(dtype, most):
    """Equal steps over a staircase may all be as high: then nothing varies, and it looks exact."""
    missed = 0
    for x in np.random.default_rng(2).normal(size=(500, 1)):
        sigma, _ = measured(lambda x: np.tanh(x.astype(dtype).astype(float)), x)
        tread = np.finfo(dtype).eps / 2 * np.abs(x) * (1 - np.tanh(x) ** 2)
        missed += bool(sigma[0] < 0.01 * tread[0])
        assert sigma[0] < 20 * tread[0]
    assert missed <= most * 500


def test_a_dead_zone_beside_the_point_is_no_staircase():
    """It stands still, and climbs from a kink on: the first step is shorter than the others, or there is none."""
    for distance in np.geomspace(1e-11, 0.2, 60):
        for f in (lambda x, a=distance: 1 + np.maximum(x - 1 - a, 0), lambda x, a=distance: np.fmax(x, 1 + a)):
            sigma, _ = measured(f, np.ones(1))
            assert sigma[0] <= 4 * EPS + 1e-3 * distance, distance


def test_what_is_flat_and_bends_is_no_staircase():
    for power in (2, 4, 6):
        sigma, _ = measured(lambda x, power=power: 1 + x**power, np.zeros(3))
        assert np.all(sigma < 10 * EPS)


def test_curvature_is_not_taken_for_noise():
    sigma, _ = measured(lambda x: np.sin(30 * x), POINTS)
    assert np.median(sigma) < 1e-14


def test_a_kink_at_the_point_is_not_taken_for_noise():
    """All samples lie on one side."""
    sigma, _ = measured(lambda x: np.abs(x) + 1.0, np.zeros(3), np.array([0.731, -1.17, 0.613]))
    assert np.all(sigma < 10 * EPS)


def test_constant_has_the_noise_of_its_last_bit():
    sigma, _ = measured(lambda x: np.full(x.shape, 7.0), POINTS)
    assert np.array_equal(sigma, np.full(POINTS.shape, 3.5 * EPS))


def test_each_output_has_its_own_noise():
    def f(x):
        return np.array([np.sin(x[0]), np.sin(x[1]) + 1e-5 * hashed(x[1:])[0]])

    sigma, _ = measured(f, [0.3, 0.4])
    assert sigma[0] < 1e-14
    assert 1e-7 < sigma[1] < 1e-4


def test_leaving_the_domain_leaves_the_rest_usable():
    sigma, _ = measured(lambda x: np.where(np.abs(x) < 1.0001 * np.abs(POINTS), np.sin(x), np.nan), POINTS)
    assert np.isfinite(sigma).all()
    assert np.all(sigma < 1e-13)


def test_sampling_stops_once_all_outputs_are_measured():
    calls = []

    def along(t):
        calls.append(t)
        return np.sin(POINTS[:1] + t)

    measure(along, np.sin(POINTS[:1]), np.full(1, EPS))
    assert len(calls) <= 18
