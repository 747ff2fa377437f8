"""gradcheck's judging of single entries, seen from outside: what it costs, counts, and says of each entry."""

import math

import numpy as np
import pytest

from gradcheck import Verdict, check_grad, check_vjp, full
from gradcheck.blocks import BLOCK
from gradcheck.tolerance import allowed

X = np.random.default_rng(1).normal(size=(6, 5))


def sine(g, x):
    return g * np.cos(x)


def test_a_right_gradient_costs_two_forwards_an_entry():
    report = check_vjp(np.sin, sine, X)
    assert report.verdict is Verdict.MATCH
    assert report.forward_calls <= 2 * X.size + 60
    assert report.backward_calls <= 5


def test_entries_without_effect_are_bounded_together():
    """One ladder along a random direction for all of them, not one for each."""
    x = np.random.default_rng(0).normal(size=400)

    def f(x):
        return np.sin(x[:4])

    def vjp(g, x):
        gradient = np.zeros_like(x)
        gradient[:4] = g * np.cos(x[:4])
        return gradient

    report = check_vjp(f, vjp, x, mode="full")
    assert report.verdict is Verdict.MATCH, str(report)
    assert report.forward_calls <= 2 * x.size + 300
    assert report.summaries[0].judged == x.size


@pytest.mark.parametrize("error", [1e-3, -1.0, 1e3])
def test_a_wrong_entry_among_those_without_effect_is_found(error):
    x = np.random.default_rng(0).normal(size=40)

    def vjp(g, x):
        gradient = np.zeros_like(x)
        gradient[:4] = g * np.cos(x[:4])
        gradient[17] = error
        return gradient

    report = check_vjp(lambda x: np.sin(x[:4]), vjp, x, mode="full")
    assert [c.index for c in report.comparisons if c.verdict is Verdict.MISMATCH] == [(17,)], str(report)


@pytest.mark.parametrize("missing", [3, 17])
def test_a_zero_where_f_does_react_is_found(missing):
    x = np.random.default_rng(0).normal(size=20)

    def vjp(g, x):
        return g * np.cos(x) * (np.arange(20) != missing)

    report = check_vjp(np.sin, vjp, x)
    assert [c.index for c in report.comparisons if c.verdict is Verdict.MISMATCH] == [(missing,)]


def test_a_zero_that_hides_below_noise_is_not_passed():
    """The loss is 1e6, its gradient 1e-12: nothing in its last bits tells that from zero, or from its opposite."""
    report = check_grad(lambda w: 1e6 + 1e-12 * np.sum(w), lambda w: np.full(w.shape, -1e-6), np.ones(3))
    assert not report.ok, str(report)


def test_counts_of_the_summaries_add_up():
    def vjp(g, x, y):
        return g * y, g * x * np.where(np.arange(5) == 2, 2.0, 1.0)

    report = check_vjp(lambda x, y: x * y, vjp, X, X + 1)
    first, second = report.summaries
    assert (first.name, first.shape, first.entries, first.judged, first.failed) == ("x", (6, 5), 30, 30, 0)
    assert (second.name, second.judged, second.failed) == ("y", 30, 6)
    assert (first.verdict, second.verdict) == (Verdict.MATCH, Verdict.MISMATCH)
    assert second.worst is not None
    assert second.worst.verdict is Verdict.MISMATCH
    assert second.worst.index[1] == 2
    assert first.forward_calls + second.forward_calls <= report.forward_calls
    assert report.verdict is Verdict.MISMATCH


def test_each_comparison_follows_the_one_rule():
    report = check_vjp(np.sin, lambda g, x: sine(g, x) * 1.01, X)
    for c in report.comparisons:
        assert c.allowed >= allowed(c.analytic, c.numerical, c.error_bar, 1e-6) * (1 - 1e-12)
        assert (c.error > c.allowed) == (c.verdict is Verdict.MISMATCH)
        assert c.excess == pytest.approx(c.error / c.allowed)
        assert c.step > 0
        assert math.isfinite(c.error_bar)


def test_verdict_of_the_report_is_the_worst():
    """A kink, an edge of the domain and an error in one array: the error decides."""

    def f(x):
        with np.errstate(invalid="ignore"):
            return np.array([abs(x[0]), np.sqrt(x[1]), np.sin(x[2])])

    def slopes(x, last):
        return np.array([0.5, 0.0, last])

    x = np.array([0.0, 0.0, 1.0])
    wrong = check_vjp(f, lambda g, x: g * slopes(x, 1.0), x)
    right = check_vjp(f, lambda g, x: g * slopes(x, np.cos(1.0)), x)
    kink = check_vjp(lambda x: f(np.where(np.arange(3) == 1, 1.0, x)), lambda g, x: g * slopes(x, np.cos(1.0)), x)
    assert [c.verdict for c in wrong.comparisons] == [Verdict.MISMATCH, Verdict.INCONCLUSIVE, Verdict.KINK]
    assert (wrong.verdict, right.verdict, kink.verdict) == (Verdict.MISMATCH, Verdict.INCONCLUSIVE, Verdict.KINK)


def test_at_most_a_thousand_failures_are_listed_and_all_are_counted():
    x = np.random.default_rng(0).normal(size=1100)
    report = check_vjp(lambda x: 3 * x, lambda g, x: 2 * g, x)
    assert len([c for c in report.comparisons if c.verdict is Verdict.MISMATCH]) == 1000
    assert report.summaries[0].failed == 1100


def test_nothing_known_has_an_infinite_detection_limit():
    report = check_vjp(np.sin, lambda g, x: g[:2], X)
    assert report.detection_limit == math.inf
    assert 0 < check_vjp(np.sin, sine, X).detection_limit < 1e-5


@pytest.mark.parametrize("size", [3, 10, 12, BLOCK + 1, 3 * BLOCK])
def test_worst_of_many_are_those_that_a_sort_puts_first(size):
    rng = np.random.default_rng(0)
    for values in (rng.random(size), np.zeros(size), rng.integers(0, 3, size).astype(float)):
        assert full._highest(values, 10) == np.argsort(-values, kind="stable")[:10].tolist()
