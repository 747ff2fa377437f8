"""gradcheck.kink: smooth, kinked, jumping or infinite, from the ladder of one-sided slopes alone."""

import math

import pytest

from gradcheck.difference import Level
from gradcheck.kink import beside, judge, persists

STEPS = [2.0**-k for k in range(0, 40, 2)]


def ladder(forward, backward, noise=1e-16):
    """Return levels from one-sided slopes as functions of the step."""
    return [Level(h, 0.5 * (forward(h) + backward(h)), forward(h), backward(h), noise / h) for h in STEPS]


@pytest.mark.parametrize(("right", "left"), [(1.0, 0.0), (1.0, -1.0), (0.0, 3.0), (1e6, 0.0), (1e-6, 0.0), (2.0, 1.99)])
def test_one_sided_slopes_that_stay_apart_are_a_kink(right, left):
    estimate = judge(ladder(lambda h: right, lambda h: left))
    assert estimate.kinked
    assert estimate.low == pytest.approx(min(left, right), abs=1e-7 * abs(right - left))
    assert estimate.high == pytest.approx(max(left, right), abs=1e-7 * abs(right - left))
    assert estimate.value == pytest.approx(0.5 * (left + right))


@pytest.mark.parametrize("curvature", [1.0, -30.0, 1e-3])
def test_kink_between_curved_sides(curvature):
    estimate = judge(ladder(lambda h: 1 + curvature * h, lambda h: -curvature * h))
    assert estimate.kinked
    assert abs(estimate.low) <= estimate.error_bar + 1e-6
    assert abs(estimate.high - 1.0) <= estimate.error_bar + 1e-6


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_slopes_that_come_together_are_smooth(power):
    estimate = judge(ladder(lambda h: 2 + h**power, lambda h: 2 - h**power))
    assert not estimate.kinked
    assert estimate.value == pytest.approx(2.0, abs=1e-6)


def test_jump_has_no_derivative():
    estimate = judge(ladder(lambda h: 1 / h, lambda h: 1.0))
    assert estimate.error_bar == math.inf
    assert estimate.reason == "f jumps at the point"


def test_root_has_an_infinite_slope():
    estimate = judge(ladder(lambda h: h**-0.5, lambda h: -(h**-0.5)))
    assert estimate.error_bar == math.inf
    assert estimate.reason == "the slope of f is infinite at the point"


@pytest.mark.parametrize("distance", [0.3, 1e-3, 1e-6])
def test_kink_at_a_distance_is_left_out(distance):
    """Forward steps beyond the distance cross it; below, both sides have slope 1."""
    estimate = judge(ladder(lambda h: 1.0 if h < distance else distance / h, lambda h: 1.0))
    assert not estimate.kinked
    assert abs(estimate.value - 1.0) <= estimate.error_bar + 1e-12
    assert estimate.error_bar < 1e-3


def test_kink_beyond_the_noise_is_offered_beside_the_point():
    levels = ladder(lambda h: 1.0 if h < 1e-7 else 1 - (h - 1e-7) / h, lambda h: 1.0, noise=1e-8)
    interval = beside(levels)
    assert interval is not None
    assert interval.kinked
    assert interval.low < 0.1
    assert interval.high > 0.9


def test_smooth_ladder_has_no_kink_beside_it():
    assert beside(ladder(lambda h: 1 + h, lambda h: 1 - h)) is None


def test_difference_below_the_noise_is_no_evidence():
    coarse, fine = (Level(h, 1.0, 1.0 + 1e-9, 1.0, 1e-8) for h in (0.1, 0.01))
    assert not persists(coarse, fine)
    coarse, fine = (Level(h, 1.0, 2.0, 1.0, 1e-8) for h in (0.1, 0.01))
    assert persists(coarse, fine)


def test_noise_measured_too_small_is_widened_until_levels_are_lawful():
    """Scatter of 1e-6 / h in the slopes, said to be 1e-12 / h: no kink, and a bar that covers the scatter."""
    signs = {h: (-1) ** k for k, h in enumerate(STEPS)}
    levels = ladder(lambda h: 1 + 1e-6 * signs[h] / h, lambda h: 1 - 0.5e-6 * signs[h] / h, noise=1e-12)
    estimate = judge(levels)
    assert not (math.isfinite(estimate.error_bar) and abs(estimate.value - 1.0) > estimate.error_bar)


def test_nothing_finite_is_the_edge_of_the_domain():
    estimate = judge(ladder(lambda h: 1.0, lambda h: math.nan))
    assert estimate.error_bar == math.inf
    assert "edge of the domain" in estimate.reason
