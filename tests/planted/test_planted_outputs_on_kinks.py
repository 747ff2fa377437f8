"""Does the room that one output's kink leaves hide another's wrong gradient? Each is judged by itself as well."""

import numpy as np
import pytest

from gradcheck import Verdict, check_jvp, check_vjp

ANY = pytest.mark.parametrize("seed", range(6))


def relu_of(weights, at_zero):
    """Return ``relu(weights @ x)`` and its vjp, with a share of the slope where a unit sits on its kink."""

    def vjp(g, x):
        z = weights @ x
        return (g * np.where(z > 0, 1.0, np.where(z < 0, 0.0, at_zero))) @ weights

    return (lambda x: np.maximum(weights @ x, 0.0)), vjp


def layer(seed):
    rng = np.random.default_rng(seed)
    inputs, units = rng.integers(2, 6, 2)
    return rng.normal(size=(units, inputs)), rng.random(units), np.zeros(inputs)


@ANY
@pytest.mark.parametrize("mode", ["full", "fast"])
def test_units_on_their_kinks_may_take_any_share_each(seed, mode):
    weights, at_zero, x = layer(seed)
    for share in (0 * at_zero, at_zero, at_zero**0):
        report = check_vjp(*relu_of(weights, share), x, seed=seed, mode=mode)
        assert report.verdict is Verdict.KINK, str(report)


@ANY
@pytest.mark.parametrize("mode", ["full", "fast"])
@pytest.mark.parametrize("share", [1.1, 1.5, -0.1, -0.3])
def test_a_unit_takes_no_more_than_all_and_no_less_than_nothing(seed, mode, share):
    weights, at_zero, x = layer(seed)
    at_zero[0] = share
    report = check_vjp(*relu_of(weights, at_zero), x, seed=seed, mode=mode)
    assert not report.ok, str(report)


@ANY
def test_a_unit_takes_the_same_share_of_all_its_weights(seed):
    weights, _, x = layer(seed)
    f, vjp = relu_of(weights, 1.0)
    uneven = np.ones(x.size)
    uneven[0] = 0.5
    report = check_vjp(f, lambda g, x: uneven * vjp(g, x), x, seed=seed)
    assert report.verdict is Verdict.MISMATCH, str(report)


def pooled(x):
    return np.maximum(x[:-1], x[1:])


def pooled_vjp(first, second):
    def vjp(g, x):
        off = x[:-1] - x[1:]
        out = np.zeros_like(x)
        out[:-1] += g * np.where(off > 0, 1.0, np.where(off < 0, 0.0, first))
        out[1:] += g * np.where(off < 0, 1.0, np.where(off > 0, 0.0, second))
        return out

    return vjp


TIED = [np.ones(4), np.array([2.0, 2.0, 1.0, 1.0, 1.0, 3.0])]


@ANY
@pytest.mark.parametrize("x", TIED, ids=["all", "some"])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_overlapping_windows_give_tied_entries_one_gradient_between_them(seed, x, share):
    report = check_vjp(pooled, pooled_vjp(share, 1 - share), x, seed=seed)
    assert report.verdict is Verdict.KINK, str(report)


@ANY
@pytest.mark.parametrize("x", TIED, ids=["all", "some"])
@pytest.mark.parametrize("shares", [(1.0, 1.0), (0.0, 0.0), (1.0, 0.5), (0.5, 0.2), (0.5, 0.6)])
def test_overlapping_windows_give_tied_entries_neither_more_nor_less(seed, x, shares):
    report = check_vjp(pooled, pooled_vjp(*shares), x, seed=seed)
    assert report.verdict is Verdict.MISMATCH, str(report)


def test_message_names_the_output_and_the_entries():
    text = str(check_vjp(pooled, pooled_vjp(0.5, 0.6), np.ones(4)))
    assert "a tie: moved together, x[" in text
    assert "change output[" in text
    assert "with slope 1, and their analytic values for it alone add up to 1.1" in text


@ANY
@pytest.mark.parametrize(("shares", "verdict"), [((0.5, 0.5), Verdict.KINK), ((0.5, 0.6), Verdict.MISMATCH)])
def test_a_jvp_is_held_to_the_same(seed, shares, verdict):
    rows = np.stack([pooled_vjp(*shares)(row, np.ones(4)) for row in np.eye(3)])
    assert check_jvp(pooled, lambda t, x: rows @ t[0], np.ones(4), seed=seed).verdict is verdict


def norm(x):
    return np.sqrt(np.sum(x**2))


def norm_vjp(at_zero):
    return lambda g, x: g * (x / norm(x) if np.any(x) else at_zero)


@ANY
@pytest.mark.parametrize(
    ("length", "verdict"), [(0.0, Verdict.KINK), (0.999, Verdict.KINK), (1.0, Verdict.KINK), (1.05, Verdict.MISMATCH)]
)
def test_subgradient_of_a_norm_is_as_long_as_it_may_be(seed, length, verdict):
    way = np.random.default_rng(seed).normal(size=5)
    report = check_vjp(norm, norm_vjp(length * way / norm(way)), np.zeros(5), seed=seed)
    assert report.verdict is verdict, str(report)


@ANY
@pytest.mark.parametrize(("share", "verdict"), [(0.7, Verdict.KINK), (1.3, Verdict.INCONCLUSIVE)])
def test_rectified_both_ways_hides_neither_way(seed, share, verdict):
    """``[relu(x), relu(-x)]`` of one entry: what the one takes too much lies within what the other may take."""
    weights = np.array([[1.0], [-2.0]])
    report = check_vjp(*relu_of(weights, np.array([share, 0.5])), np.zeros(1), seed=seed)
    assert report.verdict is verdict, str(report)


def test_weighted_numbers_are_moved_by_what_keeps_them_tied():
    """``max(2 a, b)``: of (1, 1) each is legal alone, and so is the sum; a of 1/2 and b of 1 keep the tie."""

    def f(a, b):
        return np.maximum(2 * a, b)

    def vjp(share_of_a, share_of_b):
        def of(g, a, b):
            tied = 2 * a == b
            return 2 * g * np.where(tied, share_of_a, 2 * a > b), g * np.where(tied, share_of_b, b > 2 * a)

        return of

    point = np.array([1.0, -2.0]), np.array([2.0, 1.0])
    assert check_vjp(f, vjp(0.5, 0.5), *point).verdict is Verdict.KINK
    report = check_vjp(f, vjp(0.5, 1.0), *point)
    assert report.verdict is Verdict.MISMATCH
    assert "moved by" in str(report)


def network(seed):
    """Draw a network with a unit that has no weights and no bias yet, of numbers of many sizes; its loss has both signs.

    Its relu takes any share of the slope at 0: all of them are legal.
    """
    rng = np.random.default_rng(seed)
    batch, inputs, units, outputs = rng.integers(1, 4, 4)
    size = 10.0 ** rng.uniform(-3, 1, 4)
    x, w = rng.normal(size=(batch, inputs)) * size[0], rng.normal(size=(inputs, units)) * size[1]
    b, v = rng.normal(size=units) * size[2], rng.normal(size=(units, outputs)) * size[3]
    x *= rng.random(x.shape) < 0.7
    dead = rng.integers(units)
    w[:, dead] = b[dead] = 0
    at_zero, weights, scalar = (
        rng.choice([0, 0.5, 1, rng.random()]),
        rng.normal(size=(batch, outputs)),
        rng.random() < 0.6,
    )

    def f(x, w, b, v):
        y = np.tanh(np.maximum(x @ w + b, 0) @ v)
        return np.sum(weights * y) if scalar else y

    def vjp(g, x, w, b, v):
        z = x @ w + b
        hidden = np.maximum(z, 0)
        g = (g * weights if scalar else g) * (1 - np.tanh(hidden @ v) ** 2)
        back = (g @ v.T) * np.where(z > 0, 1, np.where(z < 0, 0, at_zero))
        return back @ w.T, x.T @ back, back.sum(axis=0), hidden.T @ g

    return f, vjp, (x, w, b, v)


@pytest.mark.parametrize("mode", ["full", "fast"])
@pytest.mark.parametrize("seeds", [*(range(k, k + 10) for k in range(0, 60, 10)), [861]], ids=str)
def test_a_unit_without_weights_is_nobodys_fault(seeds, mode):
    for seed in seeds:
        f, vjp, point = network(seed)
        report = check_vjp(f, vjp, *point, seed=seed, mode=mode)
        assert report.verdict in (Verdict.KINK, Verdict.INCONCLUSIVE, Verdict.MATCH), str(report)


@ANY
@pytest.mark.parametrize("large", [1.0, 1e3, 1e4, 1e6])
@pytest.mark.parametrize(("share", "verdict"), [(0.5, Verdict.KINK), (1.0, Verdict.MISMATCH), (0.0, Verdict.MISMATCH)])
def test_what_is_large_elsewhere_does_not_hide_a_tie(seed, large, share, verdict):
    def vjp(g, a, b):
        return g * np.where(a == b, share, a > b), g * np.where(a == b, share, b > a)

    a, b = np.array([0.5, large]), np.array([0.5, 0.7])
    assert check_vjp(np.maximum, vjp, a, b, seed=seed).verdict is verdict
    shifted = check_vjp(
        lambda a, b: np.maximum(a, b) + large, vjp, np.array([0.5, 0.2]), np.array([0.5, 0.7]), seed=seed
    )
    assert shifted.verdict is verdict, str(shifted)


@ANY
def test_units_that_are_summed_inside_are_nobodys_fault(seed):
    """Of -relu(-x)/2 + relu(x) only 1/2 to 1 is legal; taken side by side, both units may give 3/2, or nothing."""
    inner, outer = np.array([[1.0], [-1.0]]), np.array([[2.0, 1.0], [1.0, -0.5]])
    f, vjp = relu_of(inner, 1.0)
    _, none = relu_of(inner, 0.0)
    for each in (vjp, none):
        report = check_vjp(lambda x: outer @ f(x), lambda g, x, each=each: each(outer.T @ g, x), np.zeros(1), seed=seed)
        assert report.verdict in (Verdict.KINK, Verdict.INCONCLUSIVE), str(report)


@pytest.mark.parametrize("how", ["raises", "none", "shape"])
def test_a_backward_that_refuses_zeros_for_all_but_one_output_is_not_asked_again(how):
    """Nobody has to have thought of such cotangents."""
    weights = np.array([[1.0, 2.0], [-1.0, 0.5], [0.3, 0.7]])
    f, right = relu_of(weights, 0.0)

    def vjp(g, x):
        if np.all(g):
            return right(g, x)
        if how == "raises":
            raise ValueError("zeros")
        return None if how == "none" else np.zeros(7)

    assert check_vjp(f, vjp, np.zeros(2)).verdict is Verdict.KINK


def test_outputs_without_a_derivative_keep_their_cotangents():
    def f(x):
        return pooled(x), np.argsort(x)

    def vjp(g, x):
        assert len(g) == 2
        return pooled_vjp(0.5, 0.5)(g[0], x)

    assert check_vjp(f, vjp, np.ones(4)).verdict is Verdict.KINK


@ANY
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_kink_of_one_output_hides_nothing_of_a_smooth_one(seed, share):
    def f(x):
        return np.array([max(x[0], 0.0), np.cos(x[0] + 1)])

    def vjp(factor):
        return lambda g, x: g[:1] * np.where(x > 0, 1, np.where(x < 0, 0, share)) - factor * g[1:] * np.sin(x + 1)

    assert check_vjp(f, vjp(1.0), np.zeros(1), seed=seed).verdict is Verdict.KINK
    for wrong in (0.0, 0.7, 1.3, 2.0, -1.0):
        report = check_vjp(f, vjp(wrong), np.zeros(1), seed=seed)
        assert not report.ok, str(report)


def test_a_misshapen_gradient_beside_a_huge_output_is_told_as_such():
    """Its values are looked into as well: with the cotangents of the check, and no others."""

    def f(x):
        return np.array([np.sin(x[0]), 1e17 + np.cos(x[0])])

    report = check_vjp(f, lambda g, x: (g[:1] * np.cos(x) - g[1:] * np.sin(x))[None], np.array([0.7]))
    assert report.verdict is Verdict.CONTRACT, str(report)
    assert "(1, 1)" in str(report), str(report)


def test_what_only_one_output_speaks_against_is_not_counted_as_judged():
    report = check_vjp(*relu_of(np.array([[1.0], [-2.0]]), np.array([1.3, 0.5])), np.zeros(1))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert [line.judged for line in report.summaries] == [0]
    assert "unless kinks add up inside, it is wrong" in str(report)
