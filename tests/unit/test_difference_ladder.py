"""gradcheck.difference and gradcheck.ladder: levels, the ladder of steps, and the choice of the best level with its bar."""

import math
from itertools import pairwise

import numpy as np
import pytest

from gradcheck.difference import Differences, Level
from gradcheck.ladder import best, climb_down, steps

EPS = 2.0**-52


class Line:
    """A ray through a function of one variable."""

    def __init__(self, f, x):
        self.f, self.x = f, float(x)
        self.magnitude = abs(self.x)
        self.scale = max(1.0, self.magnitude)
        self.spacing = float(np.spacing(self.magnitude))
        self.calls = []

    def at(self, step):
        moved = self.x + step
        self.calls.append(step)
        with np.errstate(all="ignore"):
            return np.atleast_1d(np.asarray(self.f(moved), float)), moved - self.x


def differences_of(f, x, noise=None, cotangent=None):
    ray = Line(f, x)
    base = np.atleast_1d(np.asarray(f(ray.x), float))
    sigma = 0.5 * EPS * np.abs(base) if noise is None else np.full(base.shape, noise)
    return Differences(ray, base, np.ones(base.shape) if cotangent is None else np.asarray(cotangent), sigma)


def test_level_of_a_straight_line_is_exact():
    level = differences_of(lambda x: 3 * x + 1, 0.5).level(2.0**-10)
    assert (level.central, level.forward, level.backward, level.step) == (3.0, 3.0, 3.0, 2.0**-10)
    assert level.jump == 0.0


def test_level_takes_the_step_that_was_really_taken():
    """At 1e10 a step of 1e-6 is rounded to 1.9e-6 or nothing."""
    differences = differences_of(lambda x: 2 * x, 1e10)
    level = differences.level(2.5e-6)
    assert level.step == np.spacing(1e10)
    assert level.central == 2.0


def test_level_that_does_not_move_says_nothing():
    level = differences_of(lambda x: 3 * x, 1e10).level(1e-8)
    assert math.isnan(level.central)
    assert level.noise == math.inf


def test_level_of_a_kink_has_a_jump():
    level = differences_of(abs, 0.0).level(0.25)
    assert (level.forward, level.backward, level.central, level.jump) == (1.0, -1.0, 0.0, 2.0)


def test_one_side_outside_the_domain():
    level = differences_of(lambda x: math.sqrt(x) if x >= 0 else math.nan, 0.0).level(0.25)
    assert level.forward == 2.0
    assert math.isnan(level.central)
    assert math.isnan(level.backward)


def test_outputs_are_weighted():
    level = differences_of(lambda x: np.array([x, 10 * x]), 1.0, cotangent=[2.0, -1.0]).level(0.5)
    assert level.central == -8.0


def test_noise_falls_with_the_step_and_counts_moved_outputs_alone():
    differences = differences_of(lambda x: np.array([x, 1e9]), 1.0)
    coarse, fine = differences.level(0.5), differences.level(0.25)
    assert fine.noise == pytest.approx(2 * coarse.noise)
    assert coarse.noise < 1e-14  # the constant's last bit, 1e-7, is not in it
    assert differences.hidden_at(0.5) > 1e-8


def test_unmoved_until_something_moves():
    differences = differences_of(lambda x: np.floor(x), 0.5)
    differences.level(0.25)
    assert differences.unmoved
    differences.level(1.0)
    assert not differences.unmoved


@pytest.mark.parametrize("f", [lambda x: 1e16 + x, lambda x: np.where(x > 10, x - 10, 0.0)])
def test_explore_finds_outputs_that_only_wide_steps_move(f):
    differences = differences_of(f, 0.5)
    differences.level(1e-3)
    assert differences.unmoved
    assert differences.explore()
    assert not differences.unmoved
    assert not differences.explore()


@pytest.mark.parametrize(("edge", "step"), [(1.0, 0.25), (0.0, 0.25)])
def test_a_function_with_one_side_only_has_moved(edge, step):
    f = (
        (lambda x: math.sqrt(1 - x) if x <= 1 else math.nan)
        if edge
        else (lambda x: math.sqrt(x) if x >= 0 else math.nan)
    )
    differences = differences_of(f, edge)
    differences.level(step)
    assert not differences.unmoved


# ------------------------------------------------------------------ the ladder


@pytest.mark.parametrize("x", [0.0, 0.3, -2.0, 1e-8, 1e8, 1e-300])
def test_steps_go_down_by_half_decades_to_what_rounding_allows(x):
    ray = Line(lambda x: x, x)
    ladder = steps(ray, 1.0)
    assert ladder == sorted(ladder, reverse=True)
    assert 0.5 * ray.scale <= ladder[0] <= 2 * ray.scale
    assert ladder[-1] >= 4 * ray.spacing
    leaps = [a / b for a, b in pairwise(ladder) if not 1.9 < a / b < 4.1]
    assert len(leaps) <= (0 < abs(x) < 1e-3)  # from the ladder on the scale of 1 to the one on the entry's own
    assert all(math.frexp(step)[0] == 0.5 for step in ladder)
    if x == 1e-8:
        assert ladder[-1] < 1e-2 * x


def test_ladder_ends_where_noise_drowns_everything():
    differences = differences_of(math.sin, 0.5, noise=1e-3)
    differences.explore()
    levels = climb_down(differences)
    assert 4 <= len(levels) < len(steps(differences.ray, 1.0))
    assert len(climb_down(differences_of(math.sin, 0.5))) > len(levels)


# ------------------------------------------------------------------ the best level


def estimate_of(f, x, noise=None):
    differences = differences_of(f, x, noise)
    differences.explore()
    return best(climb_down(differences))


@pytest.mark.parametrize(
    ("f", "slope", "x"),
    [
        (math.sin, math.cos, 0.7),
        (math.exp, math.exp, -2.0),
        (lambda x: x**3, lambda x: 3 * x**2, 40.0),
        (lambda x: 1 / x, lambda x: -1 / x**2, 1e-3),
        (lambda x: math.sin(1e4 * x), lambda x: 1e4 * math.cos(1e4 * x), 0.3),
        (lambda x: x**2 if x > 0 else 0.0, lambda x: 2 * x, 1e-5),
    ],
)
def test_best_holds_its_bar_and_is_sharp(f, slope, x):
    estimate = estimate_of(f, x)
    assert abs(estimate.value - slope(x)) <= estimate.error_bar
    assert estimate.error_bar < 1e-7 * abs(slope(x))
    assert not estimate.kinked
    assert estimate.low == estimate.high == estimate.value


def test_bar_grows_with_the_noise():
    bars = [estimate_of(math.sin, 0.7, noise).error_bar for noise in (1e-16, 1e-12, 1e-8, 1e-4)]
    assert bars == sorted(bars)
    assert bars[-1] > 1e3 * bars[0]


def level(step, central, noise=1e-12):
    return Level(step, central, central, central, noise / step)


def test_coarse_plateau_that_finer_levels_contradict_is_not_believed():
    """Coarse levels agree on 1, all fine ones on 2: structure between them, and the fine ones are nearer the truth."""
    levels = [level(10.0**-k, 1.0) for k in range(4)] + [level(10.0**-k, 2.0) for k in range(4, 9)]
    assert best(levels).value == pytest.approx(2.0, abs=1e-3)


def test_levels_that_agree_on_nothing_say_nothing():
    values = [3.0, -7.0, 11.0, -5.0, 17.0, -23.0]
    estimate = best([level(10.0**-k, value, 1e-30) for k, value in enumerate(values)])
    truth_like = [abs(value - estimate.value) <= estimate.error_bar for value in values[-3:]]
    assert not math.isfinite(estimate.error_bar) or all(truth_like)


@pytest.mark.parametrize("levels", [[], [Level(0.1, math.nan, 1.0, math.nan, 1e-9)]])
def test_no_usable_level_is_the_edge_of_the_domain(levels):
    estimate = best(levels)
    assert estimate.error_bar == math.inf
    assert "edge of the domain" in estimate.reason
