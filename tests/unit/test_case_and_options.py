"""gradcheck.case and the options that all checks share."""

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


@pytest.mark.parametrize(("size", "mode"), [(100, "full"), (10_000, "full"), (10_001, "fast")])
def test_auto_mode_projects_large_arrays(size, mode):
    x = np.random.default_rng(0).normal(size=size)
    report = check_vjp(lambda x: 2 * x, lambda g, x: 2 * g, x, contract=False)
    assert report.mode == mode
    assert report.verdict is Verdict.MATCH
    assert report.summaries[0].judged == size


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
