"""Does ``--gradcheck-faults`` have the tests of the run judge faults, and fail a run whose tests are weak?"""

from __future__ import annotations

import pytest

from tests.doubling import LAYERS, WEAK

STRONG = """
import numpy as np
from layers import double, double_backward

def test_double(gradchecker):
    gradchecker.vjp(double, double_backward, np.array([0.5, -1.5]))
"""


@pytest.fixture
def run(pytester):
    """Run a test file with the layers beside it, without the plugin that takes longest to load."""
    pytester.makepyfile(layers=LAYERS)
    pytester.makeini("[pytest]\naddopts = -p no:hypothesispytest\n")

    def run(tests, *options):
        pytester.makepyfile(test_layers=tests)
        return pytester.runpytest_subprocess("--import-mode=prepend", *options)

    return run


def test_strong_tests_catch_all_and_do_not_plant_faults_themselves(run, pytester):
    pytester.makeini("[pytest]\naddopts = -p no:hypothesispytest --gradcheck-faults=layers.py\n")
    done = run(STRONG)
    done.stdout.fnmatch_lines(["*gradcheck faults*", "layers.py: 5 faults: 5 caught, * 0 survived; score 100.0"])
    assert done.ret == 0


def test_catches_weak_tests_and_shows_what_survived(run):
    done = run(WEAK, "--gradcheck-faults=layers.py", "--gradcheck-min-score=21")
    done.stdout.fnmatch_lines(
        [
            "SURVIVED  layers.py:7: double_backward: drop a factor (another gradient in double_backward)",
            "  - return 2 * g",
            "  + return g",
            "layers.py: 5 faults: 1 caught, 0 equivalent, 4 survived; score 20.0",
        ]
    )
    assert done.ret == 1


def test_tests_that_fail_judge_nothing(run):
    done = run(WEAK.replace("(3,)", "(4,)"), "--gradcheck-faults=layers.py")
    done.stdout.no_fnmatch_line("*gradcheck faults*")
    assert done.ret == 1


def test_a_target_that_is_not_there_is_an_error(run):
    done = run(WEAK, "--gradcheck-faults=missing.py")
    done.stdout.fnmatch_lines(["--gradcheck-faults: *there is no file*missing.py"])
    assert done.ret == 4


def test_faults_reach_layers_that_stand_in_the_test_file(run):
    own = STRONG.replace("from layers import double, double_backward\n", LAYERS.replace("import numpy as np", ""))
    done = run(own, "--gradcheck-faults=test_layers.py")
    done.stdout.fnmatch_lines(["test_layers.py: 5 faults: 5 caught, * 0 survived; score 100.0"])
    assert done.ret == 0
