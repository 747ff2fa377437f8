"""Does the benchmark against other checkers count what it sees? Planted checkers, and each real one on easy problems."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import benchmarks.detection.tools as checkers
from benchmarks.detection import __main__ as command
from benchmarks.detection import render
from benchmarks.detection.ask import ask, ask_all
from benchmarks.detection.problem import NotRunError, Problem, problems
from benchmarks.detection.tally import summary
from benchmarks.detection.tools import SOURCES, Answer, Tool, gather
from tests.numerics.table.row import Row

X = np.array([0.3, -1.2, 0.7])
SINE = Row("sine", np.sin, lambda g, x: g * np.cos(x), (X,), "easy", wrong={"sine": lambda g, x: g * np.sin(x)})
RELU = Row(
    "relu-at-0",
    lambda x: np.maximum(x, 0.0),
    lambda g, x: g * (x > 0),
    (np.array([0.0, 1.0]),),
    "a legal subgradient",
    expect="kink",
    wrong={"two": lambda g, x: 2.0 * g},
)
HIDDEN = Row(
    "hidden",
    lambda x: x + 1e30,
    lambda g, x: g.copy(),
    (X,),
    "nobody can know",
    expect="inconclusive",
    wrong={"minus": lambda g, x: -g},
)
ROWS = [SINE, RELU, HIDDEN]
QUESTIONS = problems(ROWS, {"sine": "waves"})
WRONG = ["sine-sine", "sine-sign", "sine-one-percent", "relu-at-0-two"]


def planted(name, check):
    return Tool(name, "1.0", f"{name}(f)", check, "planted")


def always(answer):
    return planted(f"always {answer}", lambda problem: answer)


def found(*tools, missing=()):
    return summary(tools, QUESTIONS, ask_all(tools, QUESTIONS), missing)


def test_problems_are_the_right_pullbacks_and_the_wrong_twins():
    assert [(p.id, p.kind) for p in QUESTIONS if p.right] == [
        ("sine", "smooth"),
        ("relu-at-0", "kink"),
        ("hidden", "hidden"),
    ]
    assert [p.id for p in QUESTIONS if not p.right] == [*WRONG, "hidden-minus"]
    assert found()["problems"] == {"smooth": 1, "kink": 1, "hidden": 1, "wrong": 4, "wrong, hidden": 1}
    assert found()["rows"] == 2
    assert found()["topics"] == {"waves": 1, "": 1}


def test_catches_a_checker_that_always_passes():
    (tool,) = found(always(Answer.PASSED))["tools"]
    assert tool["right"] == {"passed": 2, "accused": 0, "accused at kinks": 0, "undecided": 0, "error": 0}
    assert tool["wrong"] == {"caught": 0, "missed": 4, "undecided": 0, "error": 0}
    assert tool["hidden"] == {"accused": 0, "missed": 1, "error": 0}
    assert tool["names"]["missed"] == WRONG
    assert tool["names"]["hidden: missed"] == ["hidden-minus"]
    assert tool["rows told apart"] == 0


def test_catches_a_checker_that_always_fails():
    """It catches every wrong gradient, and yet tells no row's right one from them."""
    (tool,) = found(always(Answer.FAILED))["tools"]
    assert tool["right"] == {"passed": 0, "accused": 1, "accused at kinks": 1, "undecided": 0, "error": 0}
    assert tool["wrong"] == {"caught": 4, "missed": 0, "undecided": 0, "error": 0}
    assert tool["hidden"] == {"accused": 1, "missed": 0, "error": 0}
    assert tool["names"]["right, accused"] == ["sine"]
    assert tool["names"]["right, accused at kinks"] == ["relu-at-0"]
    assert tool["names"]["hidden: right, accused"] == ["hidden"]
    assert tool["rows told apart"] == 0


def test_undecided_is_neither_caught_nor_missed():
    (tool,) = found(always(Answer.INCONCLUSIVE))["tools"]
    assert tool["right"] == {"passed": 0, "accused": 0, "accused at kinks": 0, "undecided": 2, "error": 0}
    assert tool["wrong"] == {"caught": 0, "missed": 0, "undecided": 4, "error": 0}
    assert tool["hidden"] == {"accused": 0, "missed": 0, "error": 0}
    assert tool["names"]["wrong, undecided"] == WRONG
    assert tool["rows told apart"] == 0


def test_rows_told_apart_are_those_with_every_answer_right():
    knows = planted("knows", lambda problem: Answer.PASSED if problem.right else Answer.FAILED)
    but_for_one = planted("one", lambda p: Answer.PASSED if p.right or p.id == "sine-sign" else Answer.FAILED)
    tools = found(knows, but_for_one)["tools"]
    assert [tool["rows told apart"] for tool in tools] == [2, 1]
    assert [tool["by topic"] for tool in tools] == [{"waves": 1, "": 1}, {"": 1}]


def test_other_exceptions_are_no_accusation():
    def broken(problem):
        raise ZeroDivisionError("by nothing\nat all")

    (tool,) = found(planted("broken", broken))["tools"]
    assert (tool["right"]["error"], tool["wrong"]["error"]) == (2, 4)
    assert tool["hidden"]["error"] == 2
    assert tool["wrong"]["caught"] == tool["right"]["accused"] == 0
    assert tool["errors"]["sine-sign"] == "ZeroDivisionError: by nothing"


def test_what_a_checker_cannot_be_asked_is_listed_and_costs_nothing():
    def refuses(problem):
        if problem.row == "sine":
            raise NotRunError("no sines")
        return Answer.PASSED

    (tool,) = found(planted("refuses", refuses))["tools"]
    assert tool["not run"] == 4
    assert tool["not run because"]["sine"] == "no sines"
    assert tool["right"]["passed"] == 1


def test_evaluations_are_counted():
    def thrice(problem):
        for _ in range(3):
            problem.f(*problem.inputs)
        problem.vjp(np.ones(3), *problem.inputs)
        return Answer.PASSED

    asked = ask(planted("thrice", thrice), QUESTIONS[0])
    assert (asked.forwards, asked.backwards) == (3, 1)
    (tool,) = found(planted("thrice", thrice))["tools"]
    assert tool["forwards"] == {"total": 3 * len(QUESTIONS), "median": 3, "median of right": 3}


def test_checkers_cannot_change_the_inputs_of_the_next():
    def spoils(problem):
        problem.inputs[0][:] = np.nan
        return Answer.PASSED

    ask(planted("spoils", spoils), QUESTIONS[0])
    assert np.array_equal(X, [0.3, -1.2, 0.7])


def test_markdown_and_json_agree():
    def refuses(problem):
        raise NotRunError("not this")

    def breaks(problem):
        raise ValueError("broken")

    by_mistake = (planted("never asked", refuses), planted("always broken", breaks))
    tools = (always(Answer.PASSED), always(Answer.FAILED), always(Answer.INCONCLUSIVE), *by_mistake)
    facts = json.loads(json.dumps(found(*tools, missing=["torch"])))
    text = render.markdown(facts)
    lines = [line for line in text.splitlines() if re.match(r"\| \w+ \w+ \(1\.0\)", line)]
    for line, tool in zip(lines, facts["tools"], strict=True):
        cells = dict(zip(render.COLUMNS, (cell.strip() for cell in line.strip("|").split("|")), strict=True))
        assert cells["checker"] == f"{tool['name']} (1.0)"
        numbers = {
            "rows told apart": tool["rows told apart"],
            "right passed": tool["right"]["passed"],
            "right accused": tool["right"]["accused"],
            "accused at kinks": tool["right"]["accused at kinks"],
            "right undecided": tool["right"]["undecided"],
            "wrong caught": tool["wrong"]["caught"],
            "wrong missed": tool["wrong"]["missed"],
            "wrong undecided": tool["wrong"]["undecided"],
            "hidden accused": tool["hidden"]["accused"],
            "hidden missed": tool["hidden"]["missed"],
            "errors": sum(tool[kind]["error"] for kind in ("right", "wrong", "hidden")),
            "forwards": tool["forwards"]["total"],
        }
        assert {column: int(cells[column]) for column in numbers} == numbers
        for what, names in tool["names"].items():
            assert (f"- {what} ({len(names)}): " + ", ".join(f"`{name}`" for name in names) in text) == bool(names)
    assert len(lines) == 5
    assert "Not run by never asked: 8." in text.splitlines()
    assert "| waves | 1 | 0 | 0 | 0 | 0 | 0 |" in text.splitlines()
    assert "- torch is not installed: left out" in text.splitlines()


def test_missing_peers_are_said_and_the_others_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(checkers, "SOURCES", {"no_such_package": "torch_gradcheck", "numpy": "usual_loop"})
    monkeypatch.setattr(command, "ROWS", ROWS)
    assert command.main(["--output", str(tmp_path / "new")]) == 0
    printed = capsys.readouterr().out
    assert "no_such_package is not installed: left out" in printed
    assert re.search(r"usual loop \(CS231n\) +\d", printed)
    facts = json.loads((tmp_path / "new" / "detection.json").read_text(encoding="utf-8"))
    assert [tool["name"] for tool in facts["tools"]] == ["usual loop"]
    assert facts["left out"] == ["no_such_package"]
    assert (tmp_path / "new" / "detection.md").read_text(encoding="utf-8") == render.markdown(facts)


def test_only_those_asked_for_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        checkers, "SOURCES", {"no_such_package": "torch_gradcheck", "gradcheck": "ours", "numpy": "usual_loop"}
    )
    assert [tool.name for tool in gather(only=["gradcheck, fast", "Usual"])[0]] == ["gradcheck, fast", "usual loop"]
    with pytest.raises(SystemExit, match="2"):
        command.main(["--only", "nobody", "--output", str(tmp_path)])
    assert "no checker's name begins with nobody" in capsys.readouterr().err


def test_catches_an_installed_peer_that_does_not_load(tmp_path, monkeypatch):
    """A peer that breaks is no peer that is missing."""
    (tmp_path / "peer_that_breaks.py").write_text("import something_it_needs\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="something_it_needs"):
        gather({"peer_that_breaks": "ours"})


# ------------------------------------------------------------------ the real ones, as far as they are installed


def two_outputs_vjp(g, x, y):
    return 2 * x * g[0] + y * g[1], x * g[1]


EASY = [
    SINE,
    Row("scalar", lambda x: np.sum(x**2), lambda g, x: 2 * g * x, (X,), "a scalar loss"),
    Row("two-outputs", lambda x, y: (x**2, x * y), two_outputs_vjp, (X, 1 + X**2), "a tuple"),
    Row(
        "picked",
        lambda x, which: x[which] ** 2,
        lambda g, x, which: np.bincount(which, 2 * x[which] * g, len(x)),
        (X, np.array([2, 0])),
        "integers are constants",
    ),
]


@pytest.mark.parametrize("package", SOURCES)
def test_each_checker_tells_easy_rows_apart(package):
    pytest.importorskip(package)
    tools, _ = gather({package: SOURCES[package]})
    questions = problems(EASY)
    state = np.random.get_state()[1].copy()  # noqa: NPY002  # one of them draws from it
    facts = summary(tools, questions, list(ask_all(tools, questions)))
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    for tool in facts["tools"]:
        assert tool["errors"] == tool["not run because"] == {}, tool["name"]
        assert tool["right"]["passed"] == len(EASY), (tool["name"], tool["names"])
        # jax's float32 is too coarse for an error of 1 %
        missed = [name for name in tool["names"]["missed"] if not ("float32" in tool["name"] and "one-percent" in name)]
        assert missed == [], tool["name"]
        assert tool["forwards"]["total"] >= 2 * len(questions)
        assert tool["backwards"]["total"] >= len(questions)


def test_complex_inputs_are_said_not_to_run():
    problem = Problem("", "square", "square", np.square, lambda g, x: 2 * x * g, (X * 1j,), True, "match")
    (loop,) = gather({"numpy": "usual_loop"})[0]
    asked = ask(loop, problem)
    assert (asked.answer, asked.detail) == (Answer.NOT_RUN, "complex inputs")


def test_readme_shows_this_table():
    """Numbers are those of the last run; its columns and checkers are the benchmark's."""
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
    section = readme.split("## How it compares")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    assert lines[:2] == render.table(found(), render.IN_THE_README)
    cells = [
        dict(zip(render.IN_THE_README, map(str.strip, line.strip("|").split("|")), strict=True)) for line in lines[2:]
    ]
    packages = ["gradcheck", "gradcheck", "torch", "torch", "jax", "jax", "autograd", "scipy", "usual"]
    assert [cell["checker"].split()[0].strip(",") for cell in cells] == packages
    for own in cells[:2]:
        assert [own[column] for column in ("right accused", "accused at kinks", "wrong missed")] == ["0", "0", "0"]
