"""Are exactly those gradients found wrong that are wrong, and every other confirmed?"""

from importlib import import_module

import numpy as np
import pytest

import gradcheck
from gradcheck import Verdict
from reference_impls.notebooks import row_major

STYLES = ("row_major", "parity", "per_sample_sgd", "class_based", "column_major")

NOT_A_MATCH = {
    "row_major": {
        "da_2 (loss factor)": Verdict.MISMATCH,
        "db2 (not summed over the batch)": Verdict.CONTRACT,
        "db1 (sum over the wrong axis), 4 examples": Verdict.CONTRACT,
        "db1 (sum over the wrong axis), 5 examples": Verdict.CONTRACT,
    },
    "parity": {},
    "per_sample_sgd": {
        "dl_dz2 (gradient of ln, loss in log2), y=0": Verdict.MISMATCH,
        "dl_dz2 (gradient of ln, loss in log2), y=1": Verdict.MISMATCH,
    },
    "class_based": {
        "relu_backward at the notebook's point": Verdict.KINK,
        "bce_loss_backward (two output columns)": Verdict.MISMATCH,
        "bce_loss_backward (beyond the clip)": Verdict.MISMATCH,
    },
    "column_major": {"dZ1, the notebook's own check (three entries on the kink)": Verdict.KINK},
}


def cases(module):
    return list(import_module(module).gradcheck_cases())


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("style", STYLES)
def test_notebook_as_written(style, seed):
    reports = [case.run(seed=seed) for case in cases(f"reference_impls.notebooks.{style}")]
    found = {report.name: report.verdict for report in reports if report.verdict is not Verdict.MATCH}
    assert found == NOT_A_MATCH[style]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("style", STYLES)
def test_port(style, seed):
    for case in cases(f"reference_impls.{style}"):
        case.run(seed=seed).raise_on_failure()


@pytest.mark.parametrize("module", [*STYLES, *(f"notebooks.{style}" for style in STYLES)])
def test_case_names_are_unique(module):
    names = [case.name for case in cases(f"reference_impls.{module}")]
    assert len(names) == len(set(names))


def test_the_sentence_for_the_bias_that_is_not_summed():
    (case,) = (case for case in row_major.gradcheck_cases() if case.name.startswith("db2"))
    with pytest.raises(gradcheck.ContractError, match=r"\(4, 1\).*\(1, 1\).*sum over the batch axis is missing"):
        case.run().raise_on_failure()


def _with_z_for_a(da_2, z_2):
    return row_major.sigmoid_backward(da_2, a_2=z_2)


def test_the_bug_of_which_the_closing_comment_tells():
    # "in `dz_2 = (a_2 * (1 - a_2)) * da_2`, accidentally used z_2 instead of a_2"
    z_2 = np.random.default_rng(0).normal(size=(4, 1))
    report = gradcheck.check_vjp(row_major.sigmoid_v, _with_z_for_a, z_2)
    assert report.verdict is Verdict.MISMATCH
