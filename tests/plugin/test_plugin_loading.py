"""Does the plugin cost those nothing who do not use it?"""

from __future__ import annotations

import subprocess
import sys


def loaded_by(statement):
    names = subprocess.run(
        [sys.executable, "-c", f"import sys\n{statement}\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(names.stdout.split())


def test_loading_the_plugin_loads_neither_numpy_nor_the_checks():
    loaded = loaded_by("import gradcheck.pytest_plugin")
    assert "gradcheck.pytest_plugin" in loaded
    assert not loaded & {"numpy", "rich", "jinja2", "gradcheck.check", "gradcheck.report", "gradcheck.layer"}


def test_a_run_without_checks_loads_none_of_it(project, monkeypatch):
    project.makepyfile(
        test_it="""
        import sys

        def test_it():
            assert "gradcheck.pytest_plugin" in sys.modules
            assert not {"numpy", "gradcheck.check", "gradcheck.report"} & set(sys.modules)
        """
    )
    monkeypatch.setenv("PYTEST_PLUGINS", "gradcheck.pytest_plugin")
    project.runpytest_subprocess("test_it.py").assert_outcomes(passed=1)


def test_plugin_is_found_by_its_entry_point(project, monkeypatch):
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    monkeypatch.delenv("PYTEST_PLUGINS")
    result = project.runpytest_subprocess()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["plugins: *gradcheck-*"])


def test_plugin_works_without_xdist(project, monkeypatch):
    monkeypatch.setenv("PYTEST_PLUGINS", "gradcheck.pytest_plugin")
    result = project.runpytest("--gradcheck-report=found.json")
    result.assert_outcomes(passed=1, failed=1)
    assert (project.path / "found.json").exists()
