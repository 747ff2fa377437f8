"""Do marker, command line and ini file reach the checks, in that order, and are mistakes named?"""

from __future__ import annotations

import pytest

SHOW = """
    import numpy as np
    import pytest

    {marker}
    def test_it(gradchecker):
        report = gradchecker.vjp(np.sin, lambda g, x: g * np.cos(x), np.arange(3.0){call})
        print("MODE", report.mode, "SEED", report.seed, "ALLOWED", report.comparisons[0].allowed > 1e-3)
"""


def shown(project, *arguments, marker="", call="", ini=""):
    project.makepyfile(test_it=SHOW.format(marker=marker, call=call))
    project.makeini(f"[pytest]\n{ini}")
    result = project.runpytest("-s", "test_it.py", *arguments)
    result.assert_outcomes(passed=1)
    (line,) = [line for line in result.outlines if "MODE" in line]
    words = line[line.index("MODE") :].split()
    return words[1], int(words[3]), words[5] == "True"


FAST_INI = "gradcheck_mode = fast"
FULL_MARK = "@pytest.mark.gradcheck(mode='full')"


@pytest.mark.parametrize(
    ("settings", "mode"),
    [
        ({}, "full"),
        ({"ini": FAST_INI}, "fast"),
        ({"ini": FAST_INI, "arguments": ["--gradcheck-mode=full"]}, "full"),
        ({"arguments": ["--gradcheck-mode=fast"]}, "fast"),
        ({"arguments": ["--gradcheck-mode=fast"], "marker": FULL_MARK}, "full"),
        ({"marker": FULL_MARK, "call": ", mode='fast'"}, "fast"),
    ],
)
def test_call_beats_marker_beats_command_line_beats_ini(project, settings, mode):
    arguments = settings.pop("arguments", [])
    assert shown(project, *arguments, **settings)[0] == mode


def test_seed_of_the_marker_and_of_the_call_is_taken_as_it_is(project):
    assert shown(project, marker="@pytest.mark.gradcheck(seed=11)")[1] == 11
    assert shown(project, marker="@pytest.mark.gradcheck(seed=11)", call=", seed=12")[1] == 12


def test_seed_of_ini_and_command_line_is_the_base_of_the_tests_own(project):
    default, ini = shown(project)[1], shown(project, ini="gradcheck_seed = 7")[1]
    assert default != ini
    assert shown(project, "--gradcheck-seed=7")[1] == ini
    assert shown(project, "--gradcheck-seed=0", ini="gradcheck_seed = 7")[1] == default


def test_rtol_of_the_marker_is_used(project):
    assert not shown(project)[2]
    assert shown(project, marker="@pytest.mark.gradcheck(rtol=0.1)")[2]


def test_closest_marker_wins_and_the_others_fill_in(project):
    project.makepyfile(
        test_it="""
        import numpy as np
        import pytest

        @pytest.mark.gradcheck(seed=1, mode="fast")
        class TestIt:
            @pytest.mark.gradcheck(seed=2)
            def test_it(self, gradchecker):
                report = gradchecker.vjp(np.sin, lambda g, x: g * np.cos(x), np.arange(3.0))
                assert (report.seed, report.mode) == (2, "fast")
        """
    )
    project.runpytest("test_it.py").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        (
            "gradcheck(atol=1)",
            "@pytest.mark.gradcheck got an unknown argument 'atol'; expected rtol, mode, seed, budget",
        ),
        ("gradcheck('fast')", "@pytest.mark.gradcheck got 'fast' without a name; expected keyword arguments: rtol, *"),
        ("gradcheck(mode='slow')", "*ArgumentError: mode was 'slow'; expected 'auto', 'full' or 'fast'"),
    ],
)
def test_mistakes_in_the_marker_fail_the_test_by_name(project, marker, message):
    project.makepyfile(test_it=SHOW.format(marker=f"@pytest.mark.{marker}", call=""))
    result = project.runpytest("test_it.py")
    assert result.ret == 1
    result.stdout.fnmatch_lines([f"*{message}"])


@pytest.mark.parametrize(
    ("arguments", "ini", "message"),
    [
        (["--gradcheck-seed=-1"], "", "*--gradcheck-seed was -1; expected a whole number, 0 or more"),
        (["--gradcheck-seed=x"], "", "*--gradcheck-seed*invalid int value*"),
        (["--gradcheck-mode=slow"], "", "*--gradcheck-mode*invalid choice*"),
        (
            ["--gradcheck-report=out.txt"],
            "",
            "*--gradcheck-report was 'out.txt'; expected a file called *.html or *.json",
        ),
        ([], "gradcheck_seed = many", "*gradcheck_seed was 'many' in the ini file; expected a whole number*"),
        ([], "gradcheck_mode = slow", "*gradcheck_mode was 'slow' in the ini file; expected auto, full, fast"),
    ],
)
def test_mistakes_in_options_end_the_run_before_any_test(project, arguments, ini, message):
    project.makeini(f"[pytest]\n{ini}")
    result = project.runpytest(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_marker_is_registered(project):
    project.runpytest("--markers").stdout.fnmatch_lines(["@pytest.mark.gradcheck(rtol=None, *"])
    project.runpytest("--strict-markers", "test_layers.py::test_relu").assert_outcomes(passed=1)
