"""Does a fault cost no more than itself, are the user's files left alone, and is equivalence proved?"""

from __future__ import annotations

import os

import numpy as np
import pytest

from gradcheck import Case
from gradcheck.cli import main
from gradcheck.errors import ArgumentError, GradcheckError, TargetError
from gradcheck.faults import Outcome, check_faults
from gradcheck.faults.gradients import gradients, same
from gradcheck.faults.pool import Process, each
from gradcheck.faults.watch import watch
from gradcheck.faults.worker import Broken, Job, Lost
from tests.doubling import LAYERS, WEAK


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty current folder, with the layers in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "layers.py").write_text(LAYERS, encoding="utf-8")
    # without the plugin that takes longest to load
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:hypothesispytest\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def process():
    """A worker process."""
    process = Process()
    yield process
    process.close()


def files(folder):
    """Every file below a folder, with its bytes and its time of change."""
    return {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.rglob("*") if file.is_file()}


def outcomes(report):
    """Outcome and reason of every fault, by the line that it makes."""
    return {result.fault.diff.split("+ ")[-1]: (result.outcome, result.why) for result in report.results}


def test_a_crash_and_an_endless_loop_cost_their_job_alone(process):
    assert process.do(Job("os:abort")) == Lost("the interpreter ended with signal 6")
    assert process.do(Job("os:_exit", (0,))) == Lost("the interpreter ended with code 0")
    assert process.do(Job("time:sleep", (60,)), 0.5) == Lost("not done after 0.5 seconds")
    assert process.do(Job("operator:add", (1, 2)), 60) == 3
    assert process.do(Job("os:kill", (os.getpid(), 0)), 60) is None


def test_what_a_job_should_not_raise_is_no_answer(process):
    assert process.do(Job("operator:truediv", (1, 0))) == Broken("ZeroDivisionError: division by zero")
    assert process.do(Job("sys:exit", (3,))) == Broken("SystemExit: 3")
    unpicklable = process.do(Job("types:ModuleType", ("m",)))
    assert isinstance(unpicklable, Broken)
    assert "cannot pickle" in unpicklable.why


def test_jobs_print_and_read_nothing(process, capfd):
    assert process.do(Job("builtins:print", ("hello",))) is None
    assert process.do(Job("builtins:input")) == Broken("EOFError: EOF when reading a line")
    assert capfd.readouterr() == ("", "")


def test_results_come_in_order_from_several_processes():
    pids = list(each(range(6), lambda process, number: (number, process.do(Job("os:getppid"))), 2))
    assert [number for number, _ in pids] == list(range(6))
    assert len({pid for _, pid in pids}) == 2


LOOP = """
def doubled(x):
    return 2 * x

def doubled_backward(g, x):
    n, total = 0, 0 * g
    while n != 2:
        total += g
        n += 1
    return total
"""
CRASH = """
import os

def doubled(x):
    return 2 * x

def doubled_backward(g, x):
    if x is None:
        os.abort()
    return 2 * g
"""


def test_a_planted_endless_loop_is_caught_by_the_time_limit(folder):
    (folder / "loop.py").write_text(LOOP, encoding="utf-8")
    report = check_faults("loop.py", time_limit=4, workers=2)
    assert outcomes(report)["n -= 1"] == (Outcome.CAUGHT, "not done after 4 seconds")
    assert report.results[-1].fault.diff == "- return total\n+ return x"  # the run goes on


def test_a_crash_of_the_interpreter_is_caught(folder):
    (folder / "crash.py").write_text(CRASH, encoding="utf-8")
    found = outcomes(check_faults("crash.py"))
    assert found["if x is not None:"] == (Outcome.CAUGHT, "the interpreter ended with signal 6")
    assert found["return 2"][0] is Outcome.CAUGHT
    assert found["pass"] == (Outcome.SURVIVED, "no case runs this line")


def test_files_are_not_touched(folder):
    (folder / "test_layers.py").write_text(WEAK, encoding="utf-8")
    before = files(folder)
    assert check_faults("layers.py").score == 100
    check_faults("layers.py", runner="pytest", tests=["test_layers.py"])
    assert files(folder) == before


EQUIVALENT = """
import numpy as np

def cube(x):
    return x**3

def cube_backward(g, x):
    n = len(g)
    return np.where(x > 200, 3.0 * (x * x), 3.0 * x**2) * g * (n / len(x))
"""


def test_a_file_is_read_in_the_encoding_that_it_names(folder):
    text = "# coding: latin-1\r\n" + LAYERS.replace("\n", "\r\n").replace("return 2 * g", 'return "\xe9" and 2 * g')
    (folder / "layers.py").write_bytes(text.encode("latin-1"))
    report = check_faults("layers.py")
    assert '- return "\xe9" and 2 * g\n+ return "\xe9" and 2 / g' in [each.fault.diff for each in report.results]
    assert report.score == 100


def test_equivalence_is_proved_at_points_that_the_check_does_not_look_at(folder):
    (folder / "cube.py").write_text(EQUIVALENT, encoding="utf-8")
    found = outcomes(check_faults("cube.py"))
    same_for_any_x = "return np.where(x > 201, 3.0 * (x * x), 3.0 * x**2) * g * (n / len(x))"
    wrong_far_away = "return np.where(x > 200, 6.0 * (x * x), 3.0 * x**2) * g * (n / len(x))"
    assert found["n = len(x)"] == (Outcome.EQUIVALENT, "the same gradient in cube_backward")
    assert found[same_for_any_x][0] is Outcome.EQUIVALENT
    assert found[wrong_far_away] == (Outcome.SURVIVED, "another gradient in cube_backward")


def test_gradients_are_the_same_to_rounding_only():
    one = {"x": np.array([1.0, 1e3, np.nan, np.inf])}
    assert same([one], [{"x": one["x"] * (1 + 1e-15)}])
    assert not same([one], [{"x": one["x"] * (1 + 1e-12)}])
    assert not same([one], [{"x": np.array([1.0, 1e3, np.nan, 1.0])}])
    assert not same([one], [{"x": one["x"].astype(np.float32)}])
    assert not same([one], [{"y": one["x"]}])
    assert not same([one], ["ValueError"])
    assert same(["ValueError"], ["ValueError"])
    assert not same([one], [one, one])


def test_gradients_are_taken_at_the_same_points_every_time():
    case = Case.vjp("square", np.square, lambda g, x: 2 * x * g, np.array([1.0, 2.0]))
    first, again = gradients(case), gradients(case)
    assert len(first.here), len(first.around) == (1, 40)
    assert same(first.around, again.around)
    assert same(first.here, again.here)
    assert len({float(gradient["x"][0]) for gradient in first.around}) == 40


def test_survivors_of_a_weak_test_are_shown_with_their_diff(folder, capsys):
    (folder / "test_weak.py").write_text(WEAK, encoding="utf-8")
    command = ["faults", "layers.py", "--runner", "pytest", "--tests", "test_weak.py"]
    assert main([*command, "--min-score", "21"]) == 1
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    row = "SURVIVED layers.py:8 double_backward drop a factor - return 2 * g another gradient in double_backward"
    assert row in shown
    assert shown[shown.index(row) + 1] == "+ return g"
    assert shown[-1] == "layers.py: 5 faults: 1 caught, 0 equivalent, 4 survived; score 20.0"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["layers.py"], 0, "0 survived; score 100.0"),
        (["missing.py"], 2, "error: target 'missing.py': there is no file"),
        (["layers.py", "--min-score", "101"], 2, "--min-score was 101; expected a number from 0 to 100"),
        (["layers.py", "--time-limit", "0"], 2, "time_limit was 0.0; expected a number of seconds, more than 0"),
        (["layers.py", "--workers", "0"], 2, "workers was 0; expected a number of processes, 1 or more"),
        (["layers.py", "--tests", "test_weak.py"], 2, "tests were given, but the runner is 'check'"),
        (["layers.py", "--runner", "pytest", "--tests", "no.py"], 2, "planted: usage error; see pytest no.py"),
    ],
)
def test_exit_codes(folder, capsys, arguments, code, message):
    assert main(["faults", *arguments]) == code
    assert message in "".join(capsys.readouterr())


WATCHED = {
    "helpers.py": "def apply(kernel, x):\n    return scaled(kernel(x))\n\ndef scaled(x):\n    return 1 * x\n",
    "layer.py": """
def shared(x):
    return 3 * x

def cube(x):
    return shared(x) * x * x / 3

def cube_backward(g, x):
    return apply(slope, x) * g * shared(1) / 3

def slope(x):
    return [3 * part for part in [x * x]][0]
""",
}


def test_a_backward_pass_is_what_the_forward_does_not_enter_with_helpers_that_are_called_back(tmp_path):
    names = {}
    for file, source in WATCHED.items():
        exec(compile(source, str(tmp_path / file), "exec"), names)
    case = Case.vjp("cube", names["cube"], names["cube_backward"], np.array([1.0, 2.0]))
    trace = watch(case, {str(tmp_path / file) for file in WATCHED})
    layer = str(tmp_path / "layer.py")
    assert dict(trace.backward) == {(layer, "cube_backward"): {8, 9}, (layer, "slope"): {11, 12}}
    assert ("g", "x") in trace.alike[layer, "cube_backward"]


def test_a_check_that_fails_already_says_nothing_about_faults(folder):
    (folder / "wrong.py").write_text(LAYERS.replace("2 * g", "3 * g"), encoding="utf-8")
    with pytest.raises(TargetError, match=r"check of double_backward fails before any fault is planted \(MISM"):
        check_faults("wrong.py")


def test_arguments_are_refused_before_anything_runs():
    with pytest.raises(ArgumentError, match="runner was 'unittest'; expected 'check' or 'pytest'"):
        check_faults("layers.py", runner="unittest")


def test_results_are_given_as_soon_as_they_are_there(folder):
    seen = []
    report = check_faults("layers.py", on_result=seen.append)
    assert tuple(seen) == report.results
    assert str(report).startswith(f"layers.py: {len(seen)} faults: {len(seen)} caught, 0 equivalent")
    assert issubclass(TargetError, GradcheckError)
