"""Is every bug of the catalogue caught and named, and its right twin confirmed?"""

from dataclasses import replace

import numpy as np
import pytest

from gradcheck import Verdict
from reference_impls.known_bugs import BUGS, told
from reference_impls.known_bugs._bug import Bug

ACCUSED = [bug for bug in BUGS if not Verdict(bug.verdict).ok]
BY_NAME = {bug.name: bug for bug in BUGS}


def run(bug, *, right=False):
    with np.errstate(all="ignore"):
        return bug.case(right=right).run()


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_each_line_is_as_expected(bug):
    right, wrong = run(bug, right=True), run(bug)
    assert right.ok, str(right)
    assert wrong.verdict == bug.verdict, str(wrong)
    assert told(wrong)[0] == bug.explanation, str(wrong)
    assert bug.says in told(wrong)[1], str(wrong)
    assert bug.as_expected(right, wrong)


def test_there_are_enough_and_each_has_a_name():
    assert len(ACCUSED) >= 60
    assert len(BY_NAME) == len(BUGS)
    assert all(bug.origin and bug.layer for bug in BUGS)


def test_at_least_nine_of_ten_are_named():
    # what is told is what is expected: see above
    named = [bug for bug in ACCUSED if bug.explanation]
    assert len(named) >= 0.9 * len(ACCUSED)


@pytest.mark.parametrize("notebook", ["000", "001", "002", "003", "004"])
def test_each_notebook_has_its_bug(notebook):
    assert any(f"notebook {notebook}" in bug.origin for bug in BUGS)


def test_legal_conventions_are_in_it_and_accuse_nobody():
    legal = [bug for bug in BUGS if Verdict(bug.verdict).ok]
    assert len(legal) >= 2
    assert not any(run(bug).explanations for bug in legal)


@pytest.mark.parametrize("change", [{"verdict": "contract"}, {"explanation": "sign"}, {"says": "something else"}])
def test_catches_a_line_that_is_not_as_expected(change):
    bug = replace(BY_NAME["z for a in sigmoid"], **change)
    assert not bug.as_expected(run(bug, right=True), run(bug))


def test_catches_a_right_twin_that_is_not_right():
    bug = BY_NAME["z for a in sigmoid"]
    assert not bug.as_expected(run(bug), run(bug))


@pytest.mark.parametrize("line", ["da * b", "a"])
def test_catches_a_line_that_is_not_in_the_layer_once(line):
    bug = replace(BY_NAME["z for a in sigmoid"], right=line)
    with pytest.raises(ValueError, match=r"z for a in sigmoid: .* times in sigmoid_backward"):
        bug.twin()


def test_the_wrong_twin_leaves_the_right_one_alone():
    bug = BY_NAME["wrong stage of a model"]
    assert isinstance(bug, Bug)
    run(bug)
    assert run(bug, right=True).ok
