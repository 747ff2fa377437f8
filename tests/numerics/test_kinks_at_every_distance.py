"""Which slopes are legal on a kink, beside it at every distance, at jumps and at the edge of the domain?

Scans along what the rows of the table fix: the share of the two slopes, the distance, the claim.
"""

import numpy as np
import pytest

from gradcheck import Verdict, check_grad, check_vjp
from tests.numerics.table import beside_kinks, shared_kinks, undecidable
from tests.numerics.table.kinks import KINKS

kinks = pytest.mark.parametrize("kink", [pytest.param(kink, id=kink.id) for kink in KINKS])


def checked(kink, value, x, **options):
    return check_vjp(kink.f, lambda g, x: g * kink.slope(x, value), np.asarray(x, float), **options)


@kinks
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_every_slope_between_the_sides_is_legal_at_a_kink(kink, share):
    report = checked(kink, kink.value(share), [kink.at, kink.at + 0.3])
    assert report.verdict is Verdict.KINK, str(report)
    (entry,) = [c for c in report.comparisons if c.verdict is Verdict.KINK]
    assert entry.index == (0,)
    assert "one-sided slopes" in entry.reason


@kinks
@pytest.mark.parametrize("beyond", [-0.5, 1.5, 1.05, -0.05])
def test_no_slope_outside_the_sides_is_legal_at_a_kink(kink, beyond):
    report = checked(kink, kink.value(beyond), [kink.at, kink.at + 0.3])
    assert report.verdict is Verdict.MISMATCH, str(report)
    assert [c.index for c in report.comparisons if c.verdict is Verdict.MISMATCH] == [(0,)]


@kinks
def test_kink_is_seen_by_every_cotangent(kink):
    for seed in range(3):
        assert checked(kink, kink.left, [kink.at], seed=seed).verdict is Verdict.KINK
        assert checked(kink, 2 * kink.right - kink.left, [kink.at], seed=seed).verdict is Verdict.MISMATCH


DISTANCES = [10.0**-k for k in range(1, 15)]
NEAR = [kink for kink in KINKS if kink.id in ("relu", "abs", "hinge", "sum-of-smooth-and-kink", "steep")]
near = pytest.mark.parametrize("kink", [pytest.param(kink, id=kink.id) for kink in NEAR])


@near
@pytest.mark.parametrize("side", [-1.0, 1.0], ids=["left", "right"])
@pytest.mark.parametrize("convention", ["left", "right"])
def test_slope_beside_a_kink_is_right_at_any_distance(kink, side, convention):
    for distance in DISTANCES:
        x = kink.at + side * distance
        report = checked(kink, getattr(kink, convention), [x, kink.at + 0.5])
        assert report.ok, f"at distance {distance:g}\n{report}"


@near
@pytest.mark.parametrize("side", [-1.0, 1.0], ids=["left", "right"])
def test_slope_of_the_other_side_is_wrong_where_the_sides_can_be_told_apart(kink, side):
    """Rounding hides the side at 1e-14 beside 1, not before: 1e-10 is millions of last bits away."""
    for distance in DISTANCES[:10]:
        x = kink.at + side * distance
        other = kink.left if side > 0 else kink.right

        def slope(x, other=other):
            return np.where(np.arange(2) == 0, other, kink.slope(x, 0.0))

        report = check_vjp(kink.f, lambda g, x, slope=slope: g * slope(x), np.array([x, kink.at + 0.5]))
        assert not report.ok, f"at distance {distance:g}\n{report}"


@near
@pytest.mark.parametrize("side", [-1.0, 1.0], ids=["left", "right"])
def test_slope_outside_both_is_wrong_at_any_distance(kink, side):
    value = kink.right + 0.5 * (kink.right - kink.left)
    for distance in DISTANCES:
        x = np.array([kink.at + side * distance])
        report = check_vjp(kink.f, lambda g, x: g * np.full(1, value), x)
        assert report.verdict is Verdict.MISMATCH, f"at distance {distance:g}\n{report}"


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in beside_kinks.SMOOTH])
def test_shifted_slope_is_wrong_where_only_the_formula_has_a_kink(row):
    (x,) = row.inputs
    for index in range(len(x)):
        shift = np.where(np.arange(len(x)) == index, 0.2, 0.0)
        wrong = check_vjp(row.f, lambda g, x, shift=shift: row.vjp(g, x) + g * shift, x)
        assert [c.index for c in wrong.comparisons if c.verdict is Verdict.MISMATCH] == [(index,)], str(wrong)


# ------------------------------------------------------------------ jumps, infinite slopes, edges

JUMP, EDGE = "jumps at the point", "edge of the domain"
WORDS = {
    "sign-plus-x": JUMP,
    "floor-on-a-step": JUMP,
    "pieces-apart": JUMP,
    "step-on-a-parabola": JUMP,
    "remainder-on-its-jump": JUMP,
    "root-of-abs": "slope of f is infinite",
    "root-at-0": EDGE,
    "root-to-the-left": EDGE,
    "arcsin-at-1": EDGE,
    "arccosh-at-1": EDGE,
    "power-1.5-at-0": EDGE,
}


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in undecidable.ROWS])
@pytest.mark.parametrize("claim", [0.0, 1.0, -3.0])
@pytest.mark.filterwarnings("ignore:invalid value", "ignore:divide by zero")
def test_where_no_derivative_exists_the_report_says_why_whatever_is_claimed(row, claim):
    report = check_vjp(row.f, lambda g, x: g * np.full(x.shape, claim), *row.inputs)
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)
    assert WORDS.get(row.id, "") in str(report)


@pytest.mark.parametrize("distance", [1e-1, 1e-3, 1e-6, 1e-9])
def test_beside_a_jump_the_slope_is_known(distance):
    def f(x):
        return np.where(x > 0, 1.0, 0.0) + np.sin(x)

    x = np.array([distance, -distance])
    assert check_vjp(f, lambda g, x: g * np.cos(x), x).verdict is Verdict.MATCH
    assert not check_vjp(f, lambda g, x: g * 1.1 * np.cos(x), x).ok


@pytest.mark.parametrize("distance", [1e-1, 1e-3, 1e-6])
@pytest.mark.filterwarnings("ignore:invalid value", "ignore:divide by zero")
def test_inside_the_edge_of_the_domain_the_slope_is_known(distance):
    x = np.array([distance])
    assert check_vjp(np.sqrt, lambda g, x: g * 0.5 / np.sqrt(x), x).verdict is Verdict.MATCH
    assert check_vjp(np.sqrt, lambda g, x: g * 0.51 / np.sqrt(x), x).verdict is Verdict.MISMATCH


def test_straight_through_estimator_of_a_staircase_does_not_pass():
    """`np.round` has slope 0: pretending that it is the identity is no derivative, and zero is no error."""
    x = np.array([0.2, 1.7])
    assert check_vjp(np.round, lambda g, x: np.zeros_like(x), x).verdict is not Verdict.MISMATCH
    assert not check_vjp(np.round, lambda g, x: g * 1.0, x).ok


@pytest.mark.parametrize("x", [5e-324, 1e-310, 2.3e-308, 1e-300, 1e300])
def test_inputs_at_the_ends_of_the_float_range_do_not_crash(x):
    report = check_vjp(lambda x: 2 * x, lambda g, x: 2 * g, np.array([x, 1.0]))
    assert report.verdict not in (Verdict.MISMATCH, Verdict.CONTRACT), str(report)
    assert check_vjp(np.sqrt, lambda g, x: g * 0.0, np.array([x])).verdict is not Verdict.CONTRACT


# ------------------------------------------------------------------ kinks that entries share


@pytest.mark.parametrize("share", [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5)])
def test_ties_may_give_all_to_either_or_split(share):
    x = shared_kinks.TIED
    assert check_vjp(shared_kinks.pool, shared_kinks.pool_vjp(*share), x).verdict is Verdict.KINK
    tied = check_vjp(np.maximum, shared_kinks.maximum_vjp(*share), x[:3], x[[0, 2, 2]])
    assert tied.verdict is Verdict.KINK


@pytest.mark.parametrize("share", [(1.0, 1.0), (0.0, 0.0)], ids=["both-get-all", "neither-gets-any"])
def test_ties_may_not_double_or_lose_the_total(share):
    x = shared_kinks.TIED
    assert not check_vjp(shared_kinks.pool, shared_kinks.pool_vjp(*share), x).ok
    assert not check_vjp(np.maximum, shared_kinks.maximum_vjp(*share), x[:3], x[[0, 2, 2]]).ok
    apart = x + np.arange(6) * 0.01
    assert check_vjp(shared_kinks.pool, shared_kinks.pool_vjp(*share), apart).verdict is Verdict.MATCH


@pytest.mark.parametrize(
    ("at_zero", "verdict"),
    [
        (0.0, Verdict.KINK),
        (1.0, Verdict.KINK),
        (0.5, Verdict.KINK),
        (-1.0, Verdict.INCONCLUSIVE),  # units of both signs: a chain of legal sides may add up to anything
        (2.0, Verdict.INCONCLUSIVE),
    ],
)
def test_layer_of_zero_pre_activations_is_a_kink(at_zero, verdict):
    """Zero biases and a zero input put every unit of a layer on its kink at once; all conventions are legal."""
    x, w, b, v = next(row for row in shared_kinks.ROWS if row.id == "layer-of-zero-pre-activations").inputs

    def loss(p):
        return np.sum(shared_kinks.network(x, p["W"], p["b"], v))

    def grad(p):
        _, dw, db, _ = shared_kinks.network_vjp(at_zero)(np.ones(len(x)), x, p["W"], p["b"], v)
        return {"W": dw, "b": db}

    assert check_grad(loss, grad, {"W": w, "b": b}).verdict is verdict


@pytest.mark.parametrize("at_zero", [-1.0, 2.0])
def test_units_that_all_bend_one_way_bound_what_is_legal(at_zero):
    """Units of one sign: no chain of legal sides adds up to more than the slopes of the two sides."""
    x, w, b, v = next(row for row in shared_kinks.ROWS if row.id == "layer-of-zero-pre-activations").inputs
    v = np.abs(v)

    def grad(p):
        _, dw, db, _ = shared_kinks.network_vjp(at_zero)(np.ones(len(x)), x, p["W"], p["b"], v)
        return {"W": dw, "b": db}

    report = check_grad(lambda p: np.sum(shared_kinks.network(x, p["W"], p["b"], v)), grad, {"W": w, "b": b})
    assert report.verdict is Verdict.MISMATCH, str(report)
