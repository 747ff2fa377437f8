"""Is ``<J u, v> = <u, J^T v>`` compared for what it is worth: counted, to rounding, and to no more than that?"""

import numpy as np
import pytest

from gradcheck import ArgumentError, Verdict, check_jvp, check_vjp
from gradcheck.adapters.functions import adapt_function
from gradcheck.options import Options
from gradcheck.report import Report
from gradcheck.transposes import with_transposes

X = np.random.default_rng(4).normal(size=(3, 2))


def vjp(g, x):
    return g * np.cos(x)


def jvp(tangents, x):
    return tangents[0] * np.cos(x)


def compared(f, backward, forward, point, **options):
    """Return the report of the identity alone."""
    up, down = adapt_function(f, backward, [point]), adapt_function(f, forward, [point], mode="jvp")
    return with_transposes(Report("alone", Verdict.MATCH), up, down, Options(**options), second="jvp")


def test_forwards_are_counted():
    calls = [0]

    def counted(x):
        calls[0] += 1
        return np.sin(x)

    report = check_vjp(counted, vjp, X, jvp=jvp)
    assert report.forward_calls == calls[0]
    calls[0] = 0
    report = check_jvp(counted, jvp, X, vjp=vjp)
    assert report.forward_calls == calls[0]
    calls[0] = 0
    report = check_jvp(lambda x: np.sum(counted(x)), lambda t, x: np.sum(jvp(t, x)), X, vjp=np.cos)
    assert report.forward_calls == calls[0]


def test_costs_few_forwards_where_all_is_well():
    assert compared(np.sin, vjp, jvp, X, contract=False).forward_calls <= 10


@pytest.mark.parametrize("size", [1e-3, 1e-6, 1e-9, 1e-11])
def test_sees_errors_down_to_rounding(size):
    report = compared(np.sin, vjp, lambda t, x: jvp(t, x) * (1 + size), X)
    assert report.verdict is Verdict.MISMATCH
    row = report.comparisons[0]
    assert row.allowed < 1e-13
    assert row.error == pytest.approx(size * abs(row.numerical), rel=1e-2)
    assert report.summaries[0].shape == (6, 6)


def test_one_wrong_entry_among_many_is_seen():
    point = np.random.default_rng(0).normal(size=2000)

    def wrong(t, x):
        result = jvp(t, x)
        result[1234] *= 1.001
        return result

    assert compared(np.sin, vjp, jvp, point).verdict is Verdict.MATCH
    assert compared(np.sin, vjp, wrong, point).verdict is Verdict.MISMATCH


def test_budget_that_is_spent_is_said():
    full = check_vjp(np.sin, vjp, X, jvp=jvp)
    alone = check_vjp(np.sin, vjp, X)
    report = check_vjp(np.sin, vjp, X, jvp=lambda t, x: -jvp(t, x), budget=alone.forward_calls + 1)
    assert report.forward_calls <= alone.forward_calls + 1 < full.forward_calls
    assert "the budget ran out before the jvp was compared with the vjp" in report.notes


def test_point_is_left_where_it_was():
    up, down = adapt_function(np.sin, vjp, [X]), adapt_function(np.sin, jvp, [X], mode="jvp")
    with_transposes(Report("alone", Verdict.KINK), up, down, Options(), second="jvp")
    assert np.array_equal(up.primals["x"], X)
    assert np.array_equal(down.primals["x"], X)


def test_contract_of_the_first_comes_first():
    report = check_vjp(np.sin, lambda g, x: g[0], X, jvp=jvp)
    assert report.verdict is Verdict.CONTRACT
    assert "the jvp was not looked at: mend the contract first" in report.notes


def test_reproduces_with_its_argument():
    assert check_vjp(np.sin, vjp, X, jvp=jvp, seed=2).reproduce == "gradcheck.check_vjp(sin, vjp, x, jvp=jvp, seed=2)"
    assert check_jvp(np.sin, jvp, X, vjp=vjp).reproduce == "gradcheck.check_jvp(sin, jvp, x, vjp=vjp, seed=0)"


@pytest.mark.parametrize("check", [check_vjp, check_jvp])
def test_unusable_second_derivative_is_named(check):
    first, second = (vjp, "jvp") if check is check_vjp else (jvp, "vjp")
    with pytest.raises(ArgumentError, match=f"{second} was int, which cannot be called; give a function"):
        check(np.sin, first, X, **{second: 3})


def test_same_seed_same_report():
    texts = {str(check_vjp(np.sin, vjp, X, jvp=lambda t, x: -jvp(t, x), seed=7)) for _ in range(3)}
    assert len(texts) == 1
