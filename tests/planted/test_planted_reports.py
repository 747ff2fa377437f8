"""A report survives pickling, raises the right exception, and is the same for the same seed."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest

from gradcheck import (
    CheckFailedError,
    ContractError,
    GradcheckError,
    GradientMismatchError,
    InconclusiveError,
    Report,
    Verdict,
    check_grad,
    check_jvp,
    check_layer,
    check_vjp,
)

X = np.random.default_rng(4).normal(size=(3, 4))


class Square:
    def __init__(self, fault=1.0):
        self.w, self.fault = np.array([1.0, -2.0, 0.5, 3.0]), fault

    def forward(self, x):
        self.x = x
        return self.w * x**2

    def backward(self, dout):
        self.dw = self.fault * np.sum(dout * self.x**2, axis=0)
        return 2 * dout * self.w * self.x


def relu(x):
    return np.maximum(x, 0.0)


MAKERS = {
    "match": lambda **o: check_vjp(np.sin, lambda g, x: g * np.cos(x), X, **o),
    "match-fast": lambda **o: check_vjp(np.sin, lambda g, x: g * np.cos(x), X, mode="fast", **o),
    "match-float32": lambda **o: check_vjp(np.sin, lambda g, x: g * np.cos(x), X.astype(np.float32), **o),
    "kink": lambda **o: check_vjp(relu, lambda g, x: g * (x > 0), np.array([0.0, 1.0, -2.0]), **o),
    "inconclusive": lambda **o: check_vjp(np.sqrt, lambda g, x: g * 0.0, np.array([0.0]), **o),
    "inconclusive-noise": lambda **o: check_vjp(
        lambda x: np.sin(x) + 1e14 - 1e14, lambda g, x: g * np.cos(x), np.array([0.3, -0.7]), **o
    ),
    "mismatch": lambda **o: check_vjp(np.sin, lambda g, x: g * np.cos(x) * (x < 1), X + 0.5, **o),
    "mismatch-fast": lambda **o: check_vjp(np.sin, lambda g, x: g * np.cos(x) * (x < 1), X + 0.5, mode="fast", **o),
    "mismatch-budget": lambda **o: check_grad(lambda x: np.sum(x**2), lambda x: x, X, budget=40, **o),
    "mismatch-jvp": lambda **o: check_jvp(np.sin, lambda t, x: -t[0] * np.cos(x), X, **o),
    "mismatch-layer": lambda **o: check_layer(Square(1.1), X, **o),
    "contract": lambda **o: check_vjp(np.sin, lambda g, x: (g * np.cos(x)).T, X, **o),
}
ERRORS = {"mismatch": GradientMismatchError, "contract": ContractError, "inconclusive": InconclusiveError}


def everything(report: Report) -> dict:
    """Return all that a report holds but its wall time, down to the last bit of each float."""
    return {
        f.name: repr(getattr(report, f.name))
        for f in dataclasses.fields(report)
        if f.name not in ("seconds", "reports")
    }


@pytest.mark.parametrize("name", MAKERS)
def test_planted_maker_gives_its_verdict(name):
    assert MAKERS[name]().verdict == name.split("-")[0]


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("seed", [0, 17])
def test_same_seed_gives_the_same_report_bit_for_bit(name, seed):
    first, second = MAKERS[name](seed=seed), MAKERS[name](seed=seed)
    assert everything(first) == everything(second)
    assert first.seed == seed
    assert f"seed={seed}" in first.reproduce


def test_another_seed_draws_other_cotangents():
    first, second = MAKERS["mismatch"](seed=0), MAKERS["mismatch"](seed=1)
    assert abs(first.comparisons[0].numerical) != abs(second.comparisons[0].numerical)


def test_global_generator_is_neither_used_nor_moved():
    np.random.seed(5)  # noqa: NPY002  # the very state under test
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = everything(MAKERS["mismatch"]())
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.random.seed(6)  # noqa: NPY002
    assert everything(MAKERS["mismatch"]()) == first


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize(
    "through", [lambda r: pickle.loads(pickle.dumps(r)), copy.deepcopy], ids=["pickle", "deepcopy"]
)
def test_report_survives(name, through):
    report = MAKERS[name]()
    back = through(report)
    assert everything(back) == everything(report)
    assert back.seconds == report.seconds
    assert str(back) == str(report)
    assert back.verdict is report.verdict
    assert [(v.kind, v.name) for v in back.violations] == [(v.kind, v.name) for v in report.violations]


@pytest.mark.parametrize("name", MAKERS)
def test_raises_the_class_of_its_verdict(name):
    report = MAKERS[name]()
    assert bool(report) is report.ok is (report.verdict in (Verdict.MATCH, Verdict.KINK))
    error = ERRORS.get(report.verdict.value)
    if error is None:
        assert report.raise_on_failure() is report
        return
    with pytest.raises(error) as raised:
        report.raise_on_failure()
    assert isinstance(raised.value, AssertionError)
    assert isinstance(raised.value, GradcheckError)
    assert type(raised.value) is error
    assert str(raised.value) == str(report)
    assert raised.value.report is report


@pytest.mark.parametrize("name", [name for name in MAKERS if name.split("-")[0] in ERRORS])
def test_exception_survives_pickling_between_workers(name):
    try:
        MAKERS[name]().raise_on_failure()
    except CheckFailedError as error:
        back = pickle.loads(pickle.dumps(error))
        assert type(back) is type(error)
        assert str(back) == str(error)
        assert everything(back.report) == everything(error.report)
    else:
        pytest.fail("the planted fault passed")


@pytest.mark.parametrize("mode", ["full", "fast"])
def test_calls_are_counted(mode):
    """What the report says was spent is what the user's functions saw."""
    spent = {"forward": 0, "backward": 0}

    def f(x):
        spent["forward"] += 1
        return np.sin(x)

    def vjp(g, x):
        spent["backward"] += 1
        return g * np.cos(x) * (x < 1)

    report = check_vjp(f, vjp, X + 0.5, mode=mode)
    assert (report.forward_calls, report.backward_calls) == (spent["forward"], spent["backward"])


def test_calls_of_a_float32_check_are_counted():
    calls = [0]

    def f(x):
        calls[0] += 1
        return np.sin(x)

    report = check_vjp(f, lambda g, x: g * np.cos(x), X.astype(np.float32))
    assert report.forward_calls == calls[0]


def test_comparisons_come_worst_first_and_name_every_failure():
    x = np.linspace(0.1, 3.0, 50)
    factor = np.where(np.arange(50) % 2 == 0, 1 + np.arange(50) * 1e-3, 1.0)
    report = check_vjp(np.sin, lambda g, x: g * np.cos(x) * factor, x)
    failing = [c for c in report.comparisons if c.verdict is Verdict.MISMATCH]
    assert {c.index for c in failing} == {(i,) for i in range(2, 50, 2)}
    assert [c.excess for c in failing] == sorted((c.excess for c in failing), reverse=True)
    severities = [c.verdict.severity for c in report.comparisons]
    assert severities == sorted(severities, reverse=True)
    assert report.summaries[0].failed == 24


def test_detection_limit_is_kept():
    """An error of twice the limit in any entry is seen, for the limit that the passing report stated."""
    limit = MAKERS["match"]().detection_limit
    assert 0 < limit < 1e-4
    for index in np.ndindex(X.shape):
        shift = np.zeros(X.shape)
        shift[index] = 2 * limit
        report = check_vjp(np.sin, lambda g, x, shift=shift: g * np.cos(x) + shift, X)
        assert [c.index for c in report.comparisons if c.verdict is Verdict.MISMATCH] == [index]
