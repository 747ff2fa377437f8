"""Does ``--gradcheck-modules`` make an item of each layer, with pytest's usual choosing, failing and errors?"""

from __future__ import annotations

import pytest


@pytest.fixture
def layers(project):
    """Return the project without its tests: only layers are collected."""
    (project.path / "test_layers.py").unlink()
    return project


def test_one_item_for_each_layer_named_after_it(layers):
    result = layers.runpytest("--gradcheck-modules=layers", "-v")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "gradcheck::layers::relu_backward PASSED*",
            "gradcheck::layers::sigmoid_backward FAILED*",
            "MISMATCH  sigmoid_backward: * entries of z differ*",
            "  reproduce   pytest --gradcheck-modules=layers -k sigmoid_backward --gradcheck-seed=0",
        ]
    )


def test_failure_shows_the_report_and_no_source(layers):
    output = str(layers.runpytest("--gradcheck-modules=layers").stdout)
    assert "_pytest_modules.py" not in output
    assert "failure_of" not in output


def test_items_work_in_workers(layers):
    layers.runpytest("--gradcheck-modules=layers", "-n2").assert_outcomes(passed=1, failed=1)


def test_they_stand_beside_written_tests_and_obey_k(project):
    project.runpytest("--gradcheck-modules=layers").assert_outcomes(passed=2, failed=2)
    chosen = project.runpytest("--gradcheck-modules=layers", "-k", "relu_backward")
    chosen.assert_outcomes(passed=1, deselected=3)


def test_several_targets_and_a_file(layers):
    layers.makepyfile(more="def cube(x): return x**3\ndef cube_prime(x): return 3 * x**2")
    result = layers.runpytest("--gradcheck-modules=more.py", "--gradcheck-modules=layers:relu")
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("target", "message"),
    [("nowhere", "*--gradcheck-modules=nowhere: no module named 'nowhere'*"), ("empty", "*no layer found in empty*")],
)
def test_target_that_is_none_is_a_collection_error_in_one_line(layers, target, message):
    layers.makepyfile(empty="x = 1")
    result = layers.runpytest(f"--gradcheck-modules={target}")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([message])
    assert "Traceback" not in str(result.stdout)


def test_what_the_case_says_beats_the_command_line(layers):
    layers.makepyfile(
        own="""
        import numpy as np
        from gradcheck import Case

        def gradcheck_cases():
            return [Case.vjp("sine", np.sin, lambda g, x: 2 * g * np.cos(x), np.arange(3.0), mode="fast", seed=5)]
        """
    )
    result = layers.runpytest("--gradcheck-modules=own", "--gradcheck-mode=full", "--gradcheck-report=o.json")
    result.assert_outcomes(failed=1)
    assert '"mode": "fast"' in (layers.path / "o.json").read_text(encoding="utf-8")
    assert '"seed": 5' in (layers.path / "o.json").read_text(encoding="utf-8")
