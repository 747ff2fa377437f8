"""gradcheck.tolerance: one comparison rule, relative beside the error bar, without an absolute part."""

import math

import numpy as np
import pytest

from gradcheck.tolerance import MEANINGFUL, agree, allowed, default_rtol, meaningful


@pytest.mark.parametrize(
    ("dtypes", "rtol"),
    [
        ([], 1e-6),
        ([np.float64], 1e-6),
        ([np.float32], 1e-4),
        ([np.float16], 1e-2),
        ([np.float64, "float32"], 1e-4),
        (["float16", np.float64, np.float32], 1e-2),
        ([np.dtype(">f4")], 1e-4),
        ([np.longdouble], 1e-6),
    ],
)
def test_default_rtol_is_that_of_the_coarsest(dtypes, rtol):
    assert default_rtol(dtypes) == rtol


@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1.0, 1e12, 1e300])
def test_rule_is_the_same_at_every_scale(scale):
    assert agree(scale, scale * (1 + 0.9e-6), 0.0, 1e-6)
    assert not agree(scale, scale * (1 + 1.1e-6), 0.0, 1e-6)
    assert not agree(scale, 0.0, 0.0, 1e-6)
    assert not agree(0.0, scale, 0.0, 1e-6)
    assert not agree(scale, -scale, 0.0, 1e-6)


def test_rule_is_symmetric():
    rng = np.random.default_rng(0)
    for a, b, bar in rng.normal(size=(100, 3)):
        assert agree(a, b, abs(bar), 0.1) == agree(b, a, abs(bar), 0.1)
        assert allowed(a, b, abs(bar), 0.1) == allowed(b, a, abs(bar), 0.1)


def test_bar_is_added():
    assert allowed(2.0, -4.0, 0.5, 0.25) == 1.5
    assert agree(1.0, 1.4, 0.4, 0.0) or agree(1.0, 1.4, 0.4 + 1e-15, 0.0)
    assert not agree(1.0, 1.5, 0.4, 0.0)


def test_exact_agreement_needs_no_tolerance():
    assert agree(0.0, 0.0, 0.0, 1e-6)
    assert agree(-0.0, 0.0, 0.0, 1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("other", [1.0, 0.0, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("bar", [0.0, 10.0])
def test_what_is_not_finite_agrees_with_nothing(bad, other, bar):
    assert not agree(bad, other, bar, 1e-6)
    assert not agree(other, bad, bar, 1e-6)


def test_meaningful_is_a_part_of_the_value_or_nothing_beside_the_array():
    assert meaningful(1.0, 1.0, 0.99 * MEANINGFUL, 1.0, 1e-6)
    assert not meaningful(1.0, 1.0, 1.01 * MEANINGFUL, 1.0, 1e-6)
    assert meaningful(0.0, 0.0, 1e-6, 1.0, 1e-6)
    assert not meaningful(0.0, 0.0, 1e-6, 0.5, 1e-6)
    assert not meaningful(1.0, 1.0, math.inf, 1.0, 1e-6)
    assert meaningful(0.0, 0.0, 0.0, 0.0, 1e-6)
