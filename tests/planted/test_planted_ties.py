"""Are entries that share a kink judged together, whatever their signs, and where no direction is smooth?"""

import numpy as np
import pytest

from gradcheck import Verdict, check_grad, check_vjp

AT_ZERO = np.zeros(3)


def norm(x):
    return np.sqrt(np.sum(x**2))


def norm_vjp(at_zero):
    return lambda g, x: g * (x / norm(x) if np.any(x) else np.full(x.shape, at_zero))


@pytest.mark.parametrize("claim", [0.0, 0.3, 0.57])
def test_norm_at_zero_takes_any_vector_of_length_up_to_one(claim):
    assert check_vjp(norm, norm_vjp(claim), AT_ZERO).verdict is Verdict.KINK


@pytest.mark.parametrize("claim", [0.8, 1.0, 2.0, -1.0])
def test_norm_at_zero_takes_no_longer_one(claim):
    report = check_vjp(norm, norm_vjp(claim), AT_ZERO)
    assert report.verdict is Verdict.MISMATCH, str(report)


def test_message_says_that_the_entries_are_illegal_together():
    text = str(check_vjp(norm, norm_vjp(1.0), AT_ZERO))
    assert "legal one by one on a kink, and not together" in text
    assert "a kink: moved together, x[0] and x[1] change f with slopes" in text


LARGEST = np.array([-2.0, 1.0, 2.0])


def largest_magnitude(x):
    return np.max(np.abs(x))


@pytest.mark.parametrize(("first", "last"), [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5), (0.25, 0.75)])
def test_tied_magnitudes_of_opposite_sign_share_one_slope(first, last):
    share = np.array([first, 0.0, last])
    assert check_vjp(largest_magnitude, lambda g, x: g * np.sign(x) * share, LARGEST).verdict is Verdict.KINK


@pytest.mark.parametrize(("first", "last"), [(1.0, 1.0), (0.0, 0.0), (0.5, 1.0)])
def test_tied_magnitudes_of_opposite_sign_neither_double_nor_lose_it(first, last):
    share = np.array([first, 0.0, last])
    report = check_vjp(largest_magnitude, lambda g, x: g * np.sign(x) * share, LARGEST)
    assert report.verdict is Verdict.MISMATCH, str(report)
    assert {c.index for c in report.comparisons if c.verdict is Verdict.MISMATCH} == {(0,), (2,)}


@pytest.mark.parametrize("claim", [(1.0, 1.0), (1.0, -1.0), (0.9, 0.9)])
def test_hypot_of_two_inputs_at_zero_is_one_kink_of_both(claim):
    def vjp(g, a, b):
        at_zero = (a == 0) & (b == 0)
        length = np.where(at_zero, 1.0, np.hypot(a, b))
        return g * np.where(at_zero, claim[0], a / length), g * np.where(at_zero, claim[1], b / length)

    point = np.array([0.0, 3.0]), np.array([0.0, 4.0])
    assert check_vjp(np.hypot, vjp, *point).verdict is Verdict.MISMATCH
    claim = tuple(0.5 * each for each in claim)
    assert check_vjp(np.hypot, vjp, *point).verdict is Verdict.KINK


def test_kinks_that_bend_both_ways_bound_nothing_and_accuse_nobody():
    """``10 relu(x + y) - relu(x - y)`` at 0: with relu'(0) = 1 the claim along (1, -1) lies beyond both slopes."""
    weights = np.array([[1.0, 1.0], [1.0, -1.0]])
    for scale in (1.0, 3.0, 10.0):
        outer = np.array([scale, -1.0])

        def f(x, outer=outer):
            return outer @ np.maximum(weights @ x, 0.0)

        for at_zero in (0.0, 0.5, 1.0):

            def vjp(g, x, outer=outer, at_zero=at_zero):
                z = weights @ x
                return g * weights.T @ (outer * np.where(z == 0, at_zero, z > 0))

            for seed in range(5):
                report = check_vjp(f, vjp, np.zeros(2), seed=seed)
                assert report.verdict is not Verdict.MISMATCH, str(report)


DATA = np.array([1.0, -0.5])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("at_zero", [0.0, 0.5, 1.0])
def test_relus_that_share_a_zero_weight_take_their_sides_each_for_itself(seed, at_zero):
    """Of the weighted sum 0 may be no subgradient; each relu's own slope 0 at 0 is legal all the same."""

    def vjp(g, w):
        return np.array([np.sum(g * np.where(DATA * w == 0, at_zero, DATA * w > 0) * DATA)])

    report = check_vjp(lambda w: np.maximum(DATA * w, 0.0), vjp, np.zeros(1), seed=seed)
    assert report.verdict is Verdict.KINK, str(report)


@pytest.mark.parametrize("claim", [3.0, -3.0])
@pytest.mark.parametrize("seed", range(6))
def test_relus_that_share_a_zero_weight_take_no_slope_beyond_their_sides(seed, claim):
    def vjp(g, w):
        return np.array([claim * np.sum(np.abs(g * DATA))])

    report = check_vjp(lambda w: np.maximum(DATA * w, 0.0), vjp, np.zeros(1), seed=seed)
    assert report.verdict is Verdict.MISMATCH, str(report)


@pytest.mark.parametrize("at_zero", [0.0, 1.0])
def test_relus_summed_to_a_loss_hide_their_sides_and_nobody_is_accused(at_zero):
    outer = np.array([1.0, -1.0])

    def grad(w):
        return np.array([np.sum(outer * np.where(DATA * w == 0, at_zero, DATA * w > 0) * DATA)])

    report = check_grad(lambda w: np.sum(outer * np.maximum(DATA * w, 0.0)), grad, np.zeros(1))
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)


def test_matrix_that_turns_indefinite_has_left_its_domain():
    def f(a):
        return np.linalg.cholesky(0.5 * (a + a.T))

    a = np.eye(3) + 0.1
    assert check_vjp(f, lambda g, a: 2.0 * g, a).verdict is Verdict.MISMATCH


def test_kink_of_another_output_does_not_hide_a_wrong_entry():
    x = np.array([[1.0, 1.0 + 1e-9, 0.0], [5.0, 5.0 - 1e-7, 4.0]])

    def vjp(g, x):
        dx = np.zeros_like(x)
        dx[np.arange(2), x.argmax(axis=1)] = g
        dx[1, 0] *= -1
        return dx

    for seed in range(4):
        assert check_vjp(lambda x: x.max(axis=1), vjp, x, seed=seed).verdict is Verdict.MISMATCH


@pytest.mark.parametrize("n", [3, 40, 100])
def test_ties_are_found_among_many(n):
    """Everything is tied with one other entry: of 2 n entries on kinks n pairs have to be found."""
    a = np.zeros(n)
    both = check_vjp(np.maximum, lambda g, a, b: (g * (a >= b), g * (b >= a)), a, a.copy())
    assert both.verdict is Verdict.MISMATCH, str(both)
    first = check_vjp(np.maximum, lambda g, a, b: (g * (a >= b), g * (b > a)), a, a.copy())
    assert first.verdict is Verdict.KINK, str(first)


@pytest.mark.parametrize("n", [3, 20, 50])
def test_one_wrong_tie_among_right_ones_accuses_its_two_entries_only(n):
    """Summed to a loss, all entries reach the same output: partners are found by how they change each other's effect."""

    def vjp(g, a, b):
        first = np.where(a == b, 0.5, a > b)
        second = 1 - first
        first[1] = second[1] = 1.0
        return g * first, g * second

    a = np.arange(n) * 1.0
    report = check_vjp(lambda a, b: np.sum(np.maximum(a, b)), vjp, a, a.copy())
    wrong = {(c.name, c.index) for c in report.comparisons if c.verdict is Verdict.MISMATCH}
    assert wrong == {("a", (1,)), ("b", (1,))}, str(report)


def test_what_is_too_many_to_move_together_is_said():
    a = np.zeros(300)

    def vjp(g, a, b):
        return g * np.where(a == b, 0.5, a > b), g * np.where(a == b, 0.5, b > a)

    report = check_vjp(lambda a, b: np.sum(np.maximum(a, b)), vjp, a, a.copy())
    assert report.verdict is Verdict.KINK
    assert any("600 entries on kinks are too many to move together" in note for note in report.notes), str(report)


def test_entry_that_reaches_nothing_alone_may_be_the_chosen_one_of_a_tie():
    """Of three in the middle each leaves the median where it is; a stable sort gives one of them all of the slope."""

    def chosen(x):
        return (np.arange(len(x)) == np.argsort(x, kind="stable")[len(x) // 2]) * 1.0

    for seed in range(8):
        report = check_grad(np.median, chosen, np.array([1.0, 2.0, 2.0, 2.0, 3.0]), seed=seed)
        assert report.verdict is Verdict.KINK, str(report)


def shares_of_pools(at_ties):
    def vjp(g, x):
        windows = x.reshape(2, 2, 3, 2).transpose(0, 2, 1, 3).reshape(2, 3, 4)
        tied = windows == windows.max(axis=-1, keepdims=True)
        shares = {"all": tied, "equal": tied / tied.sum(axis=-1, keepdims=True), "none": tied & False}[at_ties]
        return (shares * g[..., None]).reshape(2, 3, 2, 2).transpose(0, 2, 1, 3).reshape(4, 6)

    return vjp


@pytest.mark.parametrize("offset", [0.0, 1e6, 1e7, 1e9, 1e11])
def test_ties_beside_an_offset_are_judged_over_longer_steps_or_not_at_all(offset):
    accused = 0
    for seed in range(10):
        x = np.random.default_rng(seed).integers(0, 2, (4, 6)).astype(float) + 1

        def f(x):
            return x.reshape(2, 2, 3, 2).max(axis=(1, 3)) + offset

        right = check_vjp(f, shares_of_pools("equal"), x, seed=seed)
        assert right.verdict in (Verdict.KINK, Verdict.INCONCLUSIVE), str(right)
        for at_ties in ("all", "none"):
            wrong = check_vjp(f, shares_of_pools(at_ties), x, seed=seed)
            assert not wrong.ok, str(wrong)
            accused += wrong.verdict is Verdict.MISMATCH
    assert accused == 20 or offset > 1e9
