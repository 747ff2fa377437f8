"""Does the ``gradchecker`` fixture pass right gradients, fail wrong ones readably, and repeat itself?"""

from __future__ import annotations

import re

import pytest


def test_right_passes_and_wrong_fails_with_the_whole_message(project):
    result = project.runpytest()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "E * gradcheck.errors.GradientMismatchError: MISMATCH  sigmoid_backward: 4 of 4 entries of z differ*",
            "E * entry * analytic * numerical * allowed * error bar * step",
            "E * reproduce * gradcheck.check_vjp(*) * or * pytest test_layers.py::test_sigmoid --gradcheck-seed=0",
        ]
    )


def test_traceback_shows_the_test_and_nothing_of_gradcheck(project):
    output = str(project.runpytest().stdout)
    assert "gradchecker.vjp(sigmoid, sigmoid_backward, Z)" in output
    assert "raise_on_failure" not in output
    assert "_pytest_fixture.py" not in output


def test_every_check_is_on_the_fixture(project):
    project.makepyfile(
        """
        import numpy as np
        import gradcheck

        class Scale:
            def __init__(self):
                self.w = np.array([2.0, -1.0])

            def forward(self, x):
                self.x = x
                return x * self.w

            def backward(self, dout):
                self.dw = (dout * self.x).sum(axis=0)
                return dout * self.w

        def test_all(gradchecker):
            x = np.array([0.5, 2.0])
            reports = [
                gradchecker.vjp(np.sin, lambda g, x: g * np.cos(x), x),
                gradchecker.jvp(np.sin, lambda tangents, x: tangents[0] * np.cos(x), x),
                gradchecker.grad(lambda p: (p**2).sum(), lambda p: 2 * p, x),
                gradchecker.layer(Scale(), np.array([[0.5, 1.5], [-1.0, 2.0]])),
            ]
            assert all(isinstance(report, gradcheck.Report) and report.ok for report in reports)
        """
    )
    result = project.runpytest("test_every_check_is_on_the_fixture.py")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["4 checks of 5 gradients: 4 match; * forward calls"])


@pytest.mark.parametrize(
    ("check", "error"),
    [
        ("gradchecker.vjp(np.sin, lambda g, x: 2 * g * np.cos(x), x)", "GradientMismatchError: MISMATCH"),
        ("gradchecker.jvp(np.sin, lambda t, x: 2 * t[0] * np.cos(x), x)", "GradientMismatchError: MISMATCH"),
        ("gradchecker.grad(lambda p: (p**2).sum(), lambda p: p, x)", "GradientMismatchError: MISMATCH"),
        ("gradchecker.vjp(np.sin, lambda g, x: g[:1], x)", "ContractError: CONTRACT"),
        ("gradchecker.vjp(lambda x: x * np.nan, lambda g, x: g, x)", "InconclusiveError: INCONCLUSIVE"),
    ],
)
def test_each_failure_is_raised_by_its_name(project, check, error):
    project.makepyfile(
        test_it=f"""
        import numpy as np

        def test_it(gradchecker):
            x = np.array([0.5, 2.0])
            {check}
        """
    )
    result = project.runpytest("test_it.py")
    result.assert_outcomes(failed=1)
    assert error in str(result.stdout)


def test_exceptions_of_the_users_code_pass_through(project):
    project.makepyfile(
        test_it="""
        def f(x):
            raise ZeroDivisionError("in the user's forward")

        def test_it(gradchecker):
            gradchecker.vjp(f, lambda g, x: g, [1.0])
        """
    )
    result = project.runpytest("test_it.py")
    result.assert_outcomes(failed=1)
    assert "ZeroDivisionError: in the user's forward" in str(result.stdout)


def seeds(output):
    return re.findall(r"seed=(\d+)\)", str(output))


def test_seed_is_the_tests_own_whichever_others_run(project):
    all_of_them = seeds(project.runpytest().stdout)
    alone = seeds(project.runpytest("test_layers.py::test_sigmoid").stdout)
    again = seeds(project.runpytest("test_layers.py::test_sigmoid", "--gradcheck-seed=0").stdout)
    other = seeds(project.runpytest("test_layers.py::test_sigmoid", "--gradcheck-seed=1").stdout)
    assert all_of_them == alone == again
    assert len(alone) == 1
    assert other != alone


def test_header_shows_the_seed(project):
    project.runpytest().stdout.fnmatch_lines(["gradcheck: seed 0"])
    project.runpytest("--gradcheck-seed=42").stdout.fnmatch_lines(["gradcheck: seed 42"])


def test_checks_made_by_a_fixture_are_recorded_too(project):
    project.makepyfile(
        test_it="""
        import numpy as np
        import pytest

        @pytest.fixture
        def checked(gradchecker):
            return gradchecker.vjp(np.sin, lambda g, x: g * np.cos(x), [0.5])

        def test_it(checked):
            pass
        """
    )
    project.runpytest("test_it.py").stdout.fnmatch_lines(["1 check of 1 gradients: 1 match; *"])


def test_reset_order_and_second_derivatives_are_handed_on(project):
    project.makepyfile(
        test_more="""
        import numpy as np

        class Warmup:
            calls = 0

            def forward(self, x):
                self.calls += 1
                return x * self.calls

            def backward(self, dout):
                return dout * self.calls

        def test_reset(gradchecker):
            gradchecker.layer(Warmup(), np.ones(3), reset=lambda layer: setattr(layer, "calls", 0))

        def test_jvp(gradchecker):
            gradchecker.vjp(np.sin, lambda g, x: g * np.cos(x), np.ones(3), jvp=lambda t, x: t[0] * np.cos(x))

        def test_hvp(gradchecker):
            cubes = lambda x: np.sum(x**3), lambda x: 3 * x**2
            gradchecker.grad(*cubes, np.ones(3), order=2, hvp=lambda x, v: 3 * x * v)
        """
    )
    result = project.runpytest("test_more.py")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "E * MISMATCH  hvp: 3 of 3 entries of H v of x differ*",
            "E * reproduce * order=2, hvp=hvp, *   or   pytest test_more.py::test_hvp --gradcheck-seed=0",
        ]
    )
