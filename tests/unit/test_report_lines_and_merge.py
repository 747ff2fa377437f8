"""Are several reports summed up right, and does the table of gradients miss none of them?"""

from __future__ import annotations

import pickle

import pytest

from gradcheck.report import Comparison, Report, Verdict
from gradcheck.report.lines import lines, singles
from gradcheck.report.merge import merge


def test_merge_takes_the_worst_verdict_and_the_sums(example_reports):
    whole = merge("layers", example_reports.values(), notes=["about all"])
    assert whole.verdict is Verdict.CONTRACT
    assert whole.forward_calls == sum(report.forward_calls for report in example_reports.values())
    assert whole.detection_limit == float("inf")
    assert whole.notes == ("about all",)
    assert [report.name for report in whole.reports] == [report.name for report in example_reports.values()]


def test_merge_lists_the_comparisons_worst_first_under_the_checks_name(example_reports):
    rows = merge("layers", example_reports.values()).comparisons
    assert rows[0].entry == "sigmoid_backward.Z[0, 0]"
    ranks = [(-row.verdict.severity, -row.excess) for row in rows]
    assert ranks == sorted(ranks)


def test_merge_of_nothing_does_not_pass():
    whole = merge("empty", [])
    assert not whole.ok
    assert "no check was run" in whole.notes


def test_merge_keeps_a_thousand_comparisons_at_most():
    rows = tuple(Comparison("W", (i,), 1.0, 2.0, 0.0, 1e-6, 1.0, Verdict.MISMATCH) for i in range(700))
    report = Report("f", Verdict.MISMATCH, comparisons=rows)
    assert len(merge("all", [report, report]).comparisons) == 1000


def test_merged_report_can_be_pickled(example_reports):
    whole = merge("layers", example_reports.values())
    back = pickle.loads(pickle.dumps(whole))
    assert str(back) == str(whole)
    assert [broken.kind for broken in back.violations] == ["shape", "mutation"]


def test_lines_are_worst_first_one_a_gradient(example_reports):
    found = lines(merge("layers", example_reports.values()))
    assert [(line.verdict.value, line.gradient) for line in found] == [
        ("contract", ""),
        ("mismatch", "Z"),
        ("mismatch", "b"),
        ("inconclusive", "x"),
        ("kink", "Z"),
        ("match", "W"),
        ("match", "Z"),
    ]


@pytest.mark.parametrize("verdict", [Verdict.CONTRACT, Verdict.INCONCLUSIVE])
def test_a_check_that_failed_without_a_gradient_is_in_the_table(verdict):
    (line,) = lines(Report("f", verdict, forward_calls=3))
    assert (line.check, line.verdict, line.forwards) == ("f", verdict, 3)


def test_singles_come_out_of_any_depth(example_reports):
    inner = merge("a", [example_reports["match"]])
    outer = merge("b", [inner, example_reports["kink"]])
    assert [report.name for report in singles(outer)] == ["tanh_backward", "relu_backward"]
