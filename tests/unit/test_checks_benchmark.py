"""Does the benchmark of what checks cost count and time what it sees? Planted checkers on small problems."""

import json
import re

import numpy as np
import pytest

from benchmarks.checks import __main__ as command
from benchmarks.checks import render, tools
from benchmarks.checks.measure import exponent, measure
from benchmarks.checks.problems import entries, problems
from benchmarks.detection.tools import Answer, Tool
from gradcheck import check_vjp

SMALL = [problem for problem in problems() if entries(problem) <= 1000]


def planted(name, check):
    return Tool(name, "1.0", f"{name}(f)", check, "planted")


def thrice(problem):
    for _ in range(3):
        problem.f(*problem.inputs)
    problem.vjp(np.ones(np.shape(problem.f(*problem.inputs))), *problem.inputs)
    return Answer.PASSED


def test_problems_are_right_and_of_every_size():
    counts = [12, 1000, 10_000, 1_000_000, 196, 6208, 82_176, 265, 1057, 4225]
    assert [entries(problem) for problem in problems()] == counts
    for problem in problems():
        if entries(problem) <= 100_000:
            assert check_vjp(problem.f, problem.vjp, *problem.inputs, mode="fast").ok, problem.id


def test_evaluations_are_counted_and_dear_checkers_are_spared(monkeypatch):
    monkeypatch.setitem(tools.AFFORDED, "thrice", 100)
    facts = measure([planted("thrice", thrice)], SMALL, 2, told=lambda name: None)
    assert [each["size"] for each in facts] == ["4 x 3", "50 x 20", "8 x 16 x 4", "64 x 4"]
    assert [list(each["checkers"]) for each in facts] == [["thrice"], [], [], []]
    cost = facts[0]["checkers"]["thrice"]
    assert (cost["forwards"], cost["backwards"], cost["answer"]) == (4, 1, "passed")
    assert 0 < facts[0]["seconds"] < cost["seconds"]
    assert cost["ratio"] > 1


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_exponents_are_those_of_the_times(power):
    facts = [{"family": "f", "entries": n, "checkers": {"x": {"seconds": 3e-6 * n**power}}} for n in (10, 100, 5000)]
    assert exponent(facts, "f", "x") == pytest.approx(power)
    assert exponent(facts[:1], "f", "x") is None
    assert exponent(facts, "f", "nobody") is None


def test_table_names_who_was_wrong_and_who_was_not_asked(tmp_path, capsys, monkeypatch):
    wrong = planted("always wrong", lambda problem: Answer.FAILED)
    monkeypatch.setattr(tools, "installed", lambda: [planted("thrice", thrice), wrong])
    monkeypatch.setitem(tools.AFFORDED, "always wrong", 100)
    assert command.main(["--only", "sigmoid 5", "--rounds", "1", "--output", str(tmp_path)]) == 0
    assert command.main(["--only", "sigmoid 4", "--rounds", "1", "--output", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"\| thrice \| [\d.,]+ \(4\) \|", printed)
    assert "| always wrong | - |" in printed
    text = (tmp_path / "checks.md").read_text(encoding="utf-8")
    assert text == render.markdown(json.loads((tmp_path / "checks.json").read_text(encoding="utf-8")))
    assert "- always wrong on sigmoid 4 x 3: failed" in text
    with pytest.raises(SystemExit, match="2"):
        command.main(["--only", "nothing", "--output", str(tmp_path)])
    assert "no problem's name has 'nothing'" in capsys.readouterr().err


def test_approx_derivative_tells_right_from_wrong():
    pytest.importorskip("scipy")
    from dataclasses import replace

    right = SMALL[0]
    assert tools._approx_derivative(right) is Answer.PASSED
    assert tools._approx_derivative(replace(right, vjp=lambda g, z: 1.01 * right.vjp(g, z))) is Answer.FAILED
