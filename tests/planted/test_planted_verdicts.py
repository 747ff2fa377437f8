"""Each verdict, for each of the four checks: a planted case that produces it, with the sentence that helps."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from gradcheck import (
    GradientMismatchError,
    InconclusiveError,
    Verdict,
    check_grad,
    check_jvp,
    check_layer,
    check_vjp,
)

X = np.array([[0.3, -1.2, 2.0], [-0.7, 0.1, 1.5]])
AT_KINK = np.array([-1.0, 0.0, 2.0])
LARGE = np.array([1e3, 2e3])


class Elementwise:
    """A layer of one function, with its derivative."""

    def __init__(self, f, slope):
        self.f, self.slope = f, slope

    def forward(self, x):
        self.x = x
        return self.f(x)

    def backward(self, dout):
        return dout * self.slope(self.x)


def by_vjp(f, slope, x, **options):
    return check_vjp(f, lambda g, x: g * slope(x), x, **options)


def by_grad(f, slope, x, **options):
    return check_grad(lambda x: np.sum(f(x)), slope, x, **options)


def by_jvp(f, slope, x, **options):
    return check_jvp(f, lambda t, x: slope(x) * t[0], x, **options)


def by_layer(f, slope, x, **options):
    return check_layer(Elementwise(f, slope), x, **options)


CHECKS = {"vjp": by_vjp, "grad": by_grad, "jvp": by_jvp, "layer": by_layer}


def relu(x):
    return np.maximum(x, 0.0)


def stand_for(value: float) -> Callable[..., Any]:
    """Return the derivative of relu that is `value` at 0."""
    return lambda x: np.where(x == 0, value, (x > 0) * 1.0)


def hashed(x):
    """Return noise in [-0.5, 0.5) that knows nothing of its neighbours: the bits of x, stirred."""
    bits = np.ascontiguousarray(x, np.float64).view(np.uint64)
    for shift in (33, 29, 32):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(0x9E3779B97F4A7C15)
    return (bits >> np.uint64(11)).astype(np.float64) / 2.0**53 - 0.5


def noisy(x):
    """Sine, measured by an instrument with noise of 2 %: its derivative is not known to a tenth."""
    return np.sin(x) + 0.02 * hashed(x)


def invalid_below(x):
    with np.errstate(invalid="ignore"):
        return np.sqrt(x)


class Planted(NamedTuple):
    """One function with a derivative, and the verdict and words that checking it must give."""

    id: str
    f: Callable[..., Any]
    slope: Callable[..., Any]
    x: np.ndarray
    verdict: Verdict
    message: str


CASES = [
    Planted("match-smooth", np.sin, np.cos, X, Verdict.MATCH, "all 6 entries of x agree"),
    Planted(
        "match-odd-function-has-no-kink",
        lambda x: x * np.abs(x),
        lambda x: 2 * np.abs(x),
        AT_KINK,
        Verdict.MATCH,
        "agree",
    ),
    Planted("kink-right-slope", relu, stand_for(1.0), AT_KINK, Verdict.KINK, "x[1]: one-sided slopes"),
    Planted("kink-left-slope", relu, stand_for(0.0), AT_KINK, Verdict.KINK, "x[1]: one-sided slopes"),
    Planted("kink-in-between", relu, stand_for(0.4), AT_KINK, Verdict.KINK, "x[1]: one-sided slopes"),
    Planted("kink-of-abs", np.abs, np.sign, AT_KINK, Verdict.KINK, "x[1]: one-sided slopes"),
    Planted(
        "mismatch-outside-a-kink",
        relu,
        stand_for(1.5),
        AT_KINK,
        Verdict.MISMATCH,
        "outside the one-sided slopes of a kink",
    ),
    Planted("mismatch-sign", np.sin, lambda x: -np.cos(x), X, Verdict.MISMATCH, "6 of 6 entries of x differ"),
    Planted(
        "mismatch-one-entry",
        np.sin,
        lambda x: np.cos(x) * np.where(x == 2.0, 1.001, 1.0),
        X,
        Verdict.MISMATCH,
        "1 of 6 entries of x differs",
    ),
    Planted("inconclusive-noise", noisy, np.cos, np.array([0.3, -0.7]), Verdict.INCONCLUSIVE, "known to"),
    Planted(
        "inconclusive-edge-of-the-domain",
        invalid_below,
        lambda x: np.where(x > 0, 0.5 / np.sqrt(np.where(x > 0, x, 1.0)), 0.0),
        np.array([0.0, 4.0]),
        Verdict.INCONCLUSIVE,
        "edge of the domain",
    ),
    Planted(
        "inconclusive-jump",
        lambda x: (x >= 0) * 1.0 + x,
        np.ones_like,
        AT_KINK,
        Verdict.INCONCLUSIVE,
        "f jumps at the point",
    ),
    Planted(
        "inconclusive-infinite-slope",
        lambda x: np.sqrt(np.abs(x)),
        lambda x: np.where(x == 0, 0.0, 0.5 * np.sign(x) / np.sqrt(np.where(x == 0, 1.0, np.abs(x)))),
        AT_KINK,
        Verdict.INCONCLUSIVE,
        "the slope of f is infinite at the point",
    ),
]


@pytest.mark.parametrize("kind", CHECKS)
@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_planted_case_gets_its_verdict(case, kind):
    report = CHECKS[kind](case.f, case.slope, case.x)
    assert report.verdict is case.verdict, str(report)
    assert report.ok is (case.verdict in (Verdict.MATCH, Verdict.KINK))
    assert case.message in str(report)
    expected = {Verdict.MISMATCH: GradientMismatchError, Verdict.INCONCLUSIVE: InconclusiveError}.get(case.verdict)
    if expected is None:
        assert report.raise_on_failure() is report
    else:
        with pytest.raises(expected):
            report.raise_on_failure()


@pytest.mark.parametrize("kind", CHECKS)
def test_accused_entry_is_the_wrong_one(kind):
    report = CHECKS[kind](np.sin, lambda x: np.cos(x) * np.where(x == 2.0, 1.001, 1.0), X)
    (wrong,) = [c for c in report.comparisons if c.verdict is Verdict.MISMATCH]
    assert wrong.entry == "x[0, 2]"
    assert report.comparisons[0] is wrong
    assert wrong.analytic / wrong.numerical == pytest.approx(1.001, abs=1e-7)
    assert wrong.allowed < 2e-6
    assert wrong.excess > 100


@pytest.mark.parametrize("kind", CHECKS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_output_that_is_not_finite_is_inconclusive_with_its_place(kind, bad):
    def spoilt(x):
        return np.where(x == 2.0, bad, np.sin(x))

    report = CHECKS[kind](spoilt, np.cos, X)
    assert report.verdict is Verdict.INCONCLUSIVE
    place = "output is" if kind == "grad" else "output[0, 2] is"
    assert f"{place} {bad} at the given inputs: nothing can be compared" in str(report)
    assert report.comparisons == ()
    assert CHECKS[kind](np.sin, np.cos, X).verdict is Verdict.MATCH


@pytest.mark.parametrize("kind", CHECKS)
def test_kinks_can_be_refused(kind):
    report = CHECKS[kind](relu, stand_for(0.0), AT_KINK, allow_kinks=False)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "allow_kinks=False" in str(report)
    off_the_kink = CHECKS[kind](relu, stand_for(0.0), AT_KINK + 0.25, allow_kinks=False)
    assert off_the_kink.verdict is Verdict.MATCH


@pytest.mark.parametrize("kind", CHECKS)
@pytest.mark.parametrize("budget", [1, 2, 3])
def test_budget_too_small_for_anything_is_inconclusive(kind, budget):
    report = CHECKS[kind](np.sin, np.cos, X, budget=budget)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "budget" in str(report)
    assert report.comparisons == ()


MIXING = np.random.default_rng(0).normal(size=(20, 20))


@pytest.mark.parametrize(
    "check",
    [
        lambda x, budget: by_grad(np.sin, np.cos, x, budget=budget),
        lambda x, budget: check_vjp(lambda x: x @ MIXING, lambda g, x: g @ MIXING.T, x.reshape(10, 20), budget=budget),
    ],
    ids=["one-by-one", "in-groups"],
)
@pytest.mark.parametrize("budget", [30, 36])
def test_budget_that_ends_early_is_kept_and_told(check, budget):
    report = check(np.linspace(0.1, 1.0, 200), budget)
    assert report.forward_calls <= budget
    judged = report.summaries[0].judged
    assert 0 < judged < 200
    (note,) = [note for note in report.notes if "budget" in note]
    assert f"{200 - judged} of 200 entries were not probed" in note


def test_budget_that_does_not_even_give_the_columns_of_a_jvp_is_inconclusive():
    report = by_jvp(np.sin, np.cos, np.linspace(0.1, 1.0, 200), budget=100)
    assert report.forward_calls <= 100
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "budget" in str(report)


@pytest.mark.parametrize("kind", CHECKS)
def test_budget_that_suffices_changes_nothing(kind):
    free, bound = (CHECKS[kind](np.sin, np.cos, X, budget=budget) for budget in (None, 10_000))
    assert bound.verdict is free.verdict is Verdict.MATCH
    assert bound.summaries[0].judged == free.summaries[0].judged == 6


@pytest.mark.parametrize("mode", ["auto", "full", "fast"])
@pytest.mark.parametrize("factor", [1.001, -1.0, 0.0, 2.0])
def test_one_wrong_entry_is_found_in_every_mode(mode, factor):
    x = np.random.default_rng(0).normal(size=(10, 15))

    def slope(x):
        gradient = np.cos(x)
        gradient[7, 13] *= factor
        return gradient

    report = by_vjp(np.sin, slope, x, mode=mode)
    assert [c.entry for c in report.comparisons if c.verdict is Verdict.MISMATCH] == ["x[7, 13]"]
    assert by_vjp(np.sin, np.cos, x, mode=mode).verdict is Verdict.MATCH


def test_one_wrong_entry_among_100_000_is_found():
    """A tolerance that grew with the array's size would hide it."""
    x = np.random.default_rng(0).normal(size=100_000)

    def wrong(g, x):
        gradient = 2 * g
        gradient[77_777] *= 1.01
        return gradient

    for mode in ("auto", "fast"):
        report = check_vjp(lambda x: 2 * x, wrong, x, mode=mode)
        assert [c.entry for c in report.comparisons if c.verdict is Verdict.MISMATCH] == ["x[77777]"]
        assert check_vjp(lambda x: 2 * x, lambda g, x: 2 * g, x, mode=mode).verdict is Verdict.MATCH


def test_loose_rtol_accepts_and_strict_one_does_not():
    def nearly(x):
        return np.cos(x) * 1.0001

    assert by_vjp(np.sin, nearly, X).verdict is Verdict.MISMATCH
    assert by_vjp(np.sin, nearly, X, rtol=1e-3).verdict is Verdict.MATCH


def test_small_gradients_are_not_hidden_by_a_fixed_tolerance():
    """Every entry is 1e-7: an absolute tolerance of 1e-6 would accept anything."""
    report = by_vjp(lambda x: 1e-7 * x, lambda x: np.full(x.shape, -1e-7), X)
    assert report.verdict is Verdict.MISMATCH
    assert by_vjp(lambda x: 1e-7 * x, lambda x: np.full(x.shape, 1e-7), X).verdict is Verdict.MATCH


def test_tie_of_a_maximum_with_an_illegal_total():
    """At a tie "both get everything" and "neither gets anything" lie inside each entry's own interval, and are wrong."""
    a, b = np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.5, 4.0])

    def split(share_a, share_b):
        def vjp(g, a, b):
            tie = a == b
            return g * np.where(tie, share_a, a > b), g * np.where(tie, share_b, b > a)

        return vjp

    for legal in ((1.0, 0.0), (0.0, 1.0), (0.5, 0.5)):
        assert check_vjp(np.maximum, split(*legal), a, b).verdict is Verdict.KINK
    for illegal in ((1.0, 1.0), (0.0, 0.0)):
        assert not check_vjp(np.maximum, split(*illegal), a, b).ok


@pytest.mark.parametrize("slope", [1.0, -1.0, 1e6])
def test_nothing_judged_is_not_ok(slope):
    """Vacuity: where the output's last bit is worth 1e14, no slope can be told from another, and none may pass."""
    report = by_vjp(lambda x: x + 1e30, lambda x: np.full(x.shape, slope), np.array([0.5]))
    assert not report.ok
    assert slope != 1.0 or report.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    "f", [lambda x: np.sin(x) + 1e15 - 1e15, lambda x: np.sin(x) + 0.5 * hashed(x)], ids=["quantum-1/8", "noise-1/2"]
)
def test_noise_as_large_as_the_function_accuses_nobody(f):
    """Steps beyond the function's own scale see only that it is bounded: no evidence against a slope at the point."""
    assert by_vjp(f, np.cos, np.array([0.3, -1.2])).verdict is Verdict.INCONCLUSIVE
