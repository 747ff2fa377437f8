"""Does what the checks found reach the summary and the report file, from xdist's workers too?"""

from __future__ import annotations

import json

import pytest

ONE_PROCESS, TWO_WORKERS = ["-n0"], ["-n2"]
BOTH = {
    ("test_layers.py::test_relu: relu_backward", "match"),
    ("test_layers.py::test_sigmoid: sigmoid_backward", "mismatch"),
}


@pytest.mark.parametrize("processes", [ONE_PROCESS, TWO_WORKERS])
def test_summary_lists_failures_and_totals(project, processes):
    result = project.runpytest(*processes)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*= gradcheck =*",
            "MISMATCH  test_layers.py::test_sigmoid: sigmoid_backward: 4 of 4 entries of z differ*",
            "2 checks of 2 gradients: 1 match, 1 mismatch; * forward calls",
        ]
    )
    assert "MATCH  test_layers.py::test_relu" not in str(result.stdout)


def test_verbose_summary_lists_every_check(project):
    result = project.runpytest("-v")
    result.stdout.fnmatch_lines(["MATCH  test_layers.py::test_relu: relu_backward: all 4 entries of z agree"])


@pytest.mark.parametrize("processes", [ONE_PROCESS, TWO_WORKERS])
def test_json_file_holds_every_check(project, processes):
    project.runpytest("--gradcheck-report=out/found.json", *processes)
    found = json.loads((project.path / "out" / "found.json").read_text(encoding="utf-8"))
    assert found["verdict"] == "mismatch"
    assert {(one["name"], one["verdict"]) for one in found["reports"]} == BOTH


def test_html_file_holds_every_check(project):
    result = project.runpytest("--gradcheck-report=found.html")
    result.stdout.fnmatch_lines(["report written to found.html"])
    page = (project.path / "found.html").read_text(encoding="utf-8")
    assert all(name in page for name, _ in BOTH)


def test_report_of_a_run_without_checks_does_not_pass(project):
    project.makepyfile(test_it="def test_it(): pass")
    project.runpytest("--gradcheck-report=found.json", "test_it.py").assert_outcomes(passed=1)
    found = json.loads((project.path / "found.json").read_text(encoding="utf-8"))
    assert not found["ok"]
    assert found["notes"] == ["no check was run"]


def test_run_without_checks_says_nothing(project):
    project.makepyfile(test_it="def test_it(): pass")
    assert "= gradcheck =" not in str(project.runpytest("test_it.py").stdout)


def test_html_without_jinja2_says_so_before_any_test(project):
    project.makeconftest("import sys\nsys.modules['jinja2'] = None")
    result = project.runpytest("--gradcheck-report=found.html")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(['*--gradcheck-report: *jinja2*pip install "gradcheck[[]report]"*'])


def test_junit_files_stay_as_they_were(project):
    project.runpytest("--junitxml=junit.xml")
    assert "gradcheck_reports" not in (project.path / "junit.xml").read_text(encoding="utf-8")
