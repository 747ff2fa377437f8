"""gradcheck.case and the options that all checks share."""

import time

import numpy as np
import pytest

from gradcheck import ArgumentError, Case, Verdict, check_grad, check_jvp, check_layer, check_vjp

X = np.linspace(0.1, 1.0, 6)


class Doubling:
    def forward(self, x):
        return 2 * x

    def backward(self, dout):
        return 2 * dout


CASES = {
    "vjp": (lambda **o: Case.vjp("a", np.sin, lambda g, x: g * np.cos(x), X, **o), check_vjp),
    "grad": (lambda **o: Case.grad("a", lambda w: np.sum(w**2), lambda w: 2 * w, X, **o), check_grad),
    "jvp": (lambda **o: Case.jvp("a", np.sin, lambda t, x: t[0] * np.cos(x), X, **o), check_jvp),
    "layer": (lambda **o: Case.layer("a", Doubling(), X, **o), check_layer),
}


@pytest.mark.parametrize("kind", CASES)
def test_case_runs_later_and_names_the_report(kind):
    make, check = CASES[kind]
    case = make(seed=5)
    assert case.check is check
    assert case.options == {"seed": 5}
    report = case.run()
    assert report.verdict is Verdict.MATCH, str(report)
    assert report.name == "a"
    assert report.seed == 5


@pytest.mark.parametrize("kind", CASES)
def test_overrides_are_stronger_than_the_cases_own_options(kind):
    case = CASES[kind][0](seed=5, mode="fast")
    report = case.run(seed=6)
    assert (report.seed, report.mode) == (6, "fast")
    assert case.options == {"seed": 5, "mode": "fast"}


def test_case_reports_a_wrong_gradient():
    assert Case.vjp("wrong", np.sin, lambda g, x: g * np.sin(x), X).run().verdict is Verdict.MISMATCH


@pytest.mark.parametrize("kind", CASES)
def test_options_are_validated_by_every_check(kind):
    for options in ({"mode": "thorough"}, {"rtol": 2.0}, {"seed": -3}, {"budget": 0}, {"workers": 0}):
        with pytest.raises(ArgumentError, match=rf"^{next(iter(options))} was "):
            CASES[kind][0]().run(**options)


@pytest.mark.parametrize("kind", CASES)
def test_options_that_matter_are_in_the_replay_line(kind):
    report = CASES[kind][0]().run(seed=4, mode="full", rtol=1e-5)
    assert report.reproduce.startswith(f"gradcheck.check_{kind}(")
    assert report.reproduce.endswith("seed=4, mode='full', rtol=1e-05)")


@pytest.mark.parametrize(("size", "mode"), [(100, "full"), (2_000, "full"), (10_001, "fast")])
def test_auto_mode_projects_what_shares_no_evaluation(size, mode):
    x = np.random.default_rng(0).normal(size=size)
    report = check_vjp(lambda x: np.sum(x**2), lambda g, x: 2 * g * x, x, contract=False)
    assert report.mode == mode
    assert report.verdict is Verdict.MATCH
    assert report.summaries[0].judged == size
    assert any("too few of which can share an evaluation" in note for note in report.notes) == (mode == "fast")


def test_auto_mode_probes_every_entry_where_few_forwards_do():
    x = np.random.default_rng(0).normal(size=10_001)
    report = check_vjp(lambda x: 2 * x, lambda g, x: 2 * g, x)
    assert (report.mode, report.verdict) == ("full", Verdict.MATCH)
    assert report.notes == ("10,001 entries: each was probed, since about 2 forwards do for all of them",)
    assert report.forward_calls < 60


def test_auto_mode_chooses_the_same_with_every_seed_and_whatever_it_looked_at():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(30, 150)), rng.normal(size=(150, 120))
    dense = lambda x, w: x @ w  # noqa: E731  # beside its pullback
    pull = lambda g, x, w: (g @ w.T, x.T @ g)  # noqa: E731
    for seed in range(3):
        chosen, asked = (check_vjp(dense, pull, x, w, seed=seed, mode=mode) for mode in ("auto", "full"))
        assert chosen.mode == "full"
        assert chosen.comparisons == asked.comparisons


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by a second with each forward of `sine`, and hardly otherwise."""
    now = [0.0]

    def read():
        now[0] += 1e-6
        return now[0]

    def sine(x):
        now[0] += 1.0
        return np.cumsum(np.sin(x))

    monkeypatch.setattr(time, "perf_counter", read)
    return sine


def pull_of_sine(g, x):
    return np.cumsum(g[::-1])[::-1] * np.cos(x)


def test_time_limit_leaves_out_what_it_does_not_reach_and_says_so(clock):
    x = np.random.default_rng(0).normal(size=300)
    report = check_vjp(clock, pull_of_sine, x, mode="full", time_limit=100)
    left = [note for note in report.notes if note.startswith("the time was over: ")]
    assert left
    assert left[0].endswith(" of 300 entries were not probed")
    assert 0 < report.summaries[0].judged < 300
    assert report.forward_calls == 100
    assert check_vjp(clock, pull_of_sine, x[:5], mode="full", time_limit=1000).verdict is Verdict.MATCH


def test_time_limit_that_is_over_too_soon_judges_nothing(clock):
    for seconds, note in (
        (1e-9, "time_limit=1e-09 was over before the check was done; leave it out, or give it more"),
        (1, "the time was over: 6 of 6 entries were not probed"),
    ):
        report = check_vjp(clock, pull_of_sine, X, time_limit=seconds)
        assert report.verdict is Verdict.INCONCLUSIVE
        assert note in report.notes


def test_time_limit_makes_auto_mode_project_what_would_take_too_long(clock):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(30, 150)), rng.normal(size=(150, 120))

    def dense(x, w):
        clock(X)
        return x @ w

    for seconds, mode in ((10_000, "full"), (400, "fast")):
        report = check_vjp(dense, lambda g, x, w: (g @ w.T, x.T @ g), x, w, time_limit=seconds)
        assert (report.mode, report.verdict) == (mode, Verdict.MATCH), str(report)
    assert "would take too much of time_limit=400" in report.notes[0]


@pytest.mark.parametrize("seconds", [0, -1, True, "soon", np.nan, np.inf])
def test_time_limit_that_is_none_is_refused(seconds):
    with pytest.raises(ArgumentError, match=r"time_limit was .*; expected a number of seconds, more than 0"):
        check_vjp(np.sin, lambda g, x: g * np.cos(x), np.ones(3), time_limit=seconds)


@pytest.mark.parametrize("mode", ["full", "fast"])
def test_every_primal_is_judged_for_itself(mode):
    """A large W must not drown a small b."""
    W, b = np.random.default_rng(0).normal(size=(40, 50)) * 1e3, np.zeros(50)
    right = lambda g, W, b: (g * 2 * W, g.sum(axis=0) * 1e-6)  # noqa: E731  # beside its twin
    wrong = lambda g, W, b: (g * 2 * W, g.sum(axis=0) * 2e-6)  # noqa: E731
    f = lambda W, b: W**2 + 1e-6 * b  # noqa: E731
    report = check_vjp(f, wrong, W, b, mode=mode)
    assert not report.ok
    assert not any(c.name == "W" and c.verdict is Verdict.MISMATCH for c in report.comparisons)
    assert check_vjp(f, right, W, b, mode=mode).verdict in (Verdict.MATCH, Verdict.INCONCLUSIVE)
