"""Does each verdict's message read as it should, to the letter?"""

from __future__ import annotations

import textwrap
from dataclasses import replace

import pytest

from gradcheck.report import Comparison, Report, Summary, Verdict
from gradcheck.report.merge import merge

MESSAGES = {
    "match": """
        MATCH  tanh_backward: all 12 entries of Z agree
          worst Z[0, 1]: error 3.1e-11, allowed 2.8e-07; an error of 1.2e-09 in one entry would have been seen; 24 forwards
        """,
    "kink": """
        KINK  relu_backward: all 4 entries of Z agree; some of Z sit on a kink, and are legal subgradients there

          entry              analytic           numerical  allowed  error bar     step
          Z[0, 1]  0.000000000000e+00  5.000000000000e-01  5.0e-01    5.0e-11  6.1e-06  on a kink: the one-sided slopes are 0 and 1
        """,
    "inconclusive": """
        INCONCLUSIVE  log_backward: cannot tell whether the gradient of x is right: f is not finite at x[0] - 1e-6

          entry            analytic  numerical  allowed  error bar     step
          x[0]   1.000000000000e+00        nan      inf    5.0e-11  6.1e-06  f is not finite at x[0] - 1e-6

          next step   nobody is accused: check at other inputs (away from poles and edges of the domain), in float64, with less noise in the forward, or with a larger rtol= or budget=
        """,
    "mismatch": """
        MISMATCH  sigmoid_backward: 12 of 12 entries of Z and 1 of 3 entries of b differ, by up to 1.1e+07 times what was allowed

          entry              analytic           numerical  allowed  error bar     step
          Z[0, 0]  5.000000000000e-01  3.500000000000e+00  2.8e-07    5.0e-11  6.1e-06
          Z[0, 1]  5.000000000000e-01  3.250000000000e+00  2.8e-07    5.0e-11  6.1e-06
          Z[0, 2]  5.000000000000e-01  3.000000000000e+00  2.8e-07    5.0e-11  6.1e-06
          Z[1, 0]  1.500000000000e+00  3.750000000000e+00  2.8e-07    5.0e-11  6.1e-06
          Z[1, 1]  1.500000000000e+00  3.500000000000e+00  2.8e-07    5.0e-11  6.1e-06
          Z[1, 2]  1.500000000000e+00  3.250000000000e+00  2.8e-07    5.0e-11  6.1e-06
          Z[2, 0]  2.500000000000e+00  4.000000000000e+00  2.8e-07    5.0e-11  6.1e-06
          Z[2, 1]  2.500000000000e+00  3.750000000000e+00  2.8e-07    5.0e-11  6.1e-06
          Z[2, 2]  2.500000000000e+00  3.500000000000e+00  2.8e-07    5.0e-11  6.1e-06
          b[1]     1.000000000000e+00  2.000000000000e+00  5.0e-01    5.0e-11  6.1e-06
          ... and 3 more

          looks like  the pre-activation z where the activation a belongs (explains 100% of the mismatch)
          agrees      W
          note        the gradient of W is the cotangent's own array
          reproduce   gradcheck.check_vjp(sigmoid, sigmoid_backward, Z, seed=3)
        """,
    "contract": """
        CONTRACT  Dense: db has shape (4, 3), b has (1, 3): the sum over the batch axis is missing (and 1 more violation)

          - db has shape (4, 3), b has (1, 3): the sum over the batch axis is missing
          - backward changed its input X

          next step   mend the contract first; the numbers say little before that
          reproduce   gradcheck.check_layer(Dense(), X, seed=0)
        """,
}


@pytest.mark.parametrize("verdict", MESSAGES)
def test_message_is_this_to_the_letter(example_reports, verdict):
    assert str(example_reports[verdict]) == textwrap.dedent(MESSAGES[verdict]).strip()


def test_every_verdict_has_its_message():
    assert set(MESSAGES) == {verdict.value for verdict in Verdict}


def test_report_of_reports_lists_every_check_and_shows_failures_in_full(example_reports):
    text = str(merge("layers", example_reports.values()))
    assert text.startswith("CONTRACT  layers: 3 of 5 checks failed (1 contract, 1 mismatch, 1 inconclusive)\n")
    listed = [line.split()[:2] for line in text.split("\n\n")[1].splitlines()]
    assert listed == [
        ["CONTRACT", "Dense"],
        ["MISMATCH", "sigmoid_backward"],
        ["INCONCLUSIVE", "log_backward"],
        ["KINK", "relu_backward"],
        ["MATCH", "tanh_backward"],
    ]
    for verdict, report in example_reports.items():
        assert (str(report) in text) is (verdict in ("contract", "mismatch", "inconclusive"))


def test_report_of_nested_reports_counts_the_single_checks(example_reports):
    inner = merge("a", [example_reports["match"], example_reports["kink"]])
    assert "all 3 checks are ok" in str(merge("all", [inner, example_reports["match"]]))
    assert "1 of 3 checks failed" in str(merge("all", [inner, example_reports["mismatch"]]))


def test_no_message_is_longer_than_forty_lines():
    rows = tuple(
        Comparison(f"W{i}", (j,), 1.0, 2.0, 1e-9, 1e-6, 1e-5, Verdict.MISMATCH) for i in range(30) for j in range(30)
    )
    lines = tuple(Summary(f"W{i}", (30,), 30, 30, 30, Verdict.MISMATCH, rows[30 * i], 60) for i in range(30))
    text = str(Report("big", Verdict.MISMATCH, lines, rows, notes=tuple(f"note {i}" for i in range(50))))
    assert len(text.splitlines()) <= 40
    assert "... and 890 more" in text
    assert "and 27 more differ" in text.splitlines()[0]


def test_every_failing_primal_is_in_the_table_however_small_its_error():
    rows = [Comparison("W", (i,), 1.0, 9.0, 1e-9, 1e-6, 1e-5, Verdict.MISMATCH) for i in range(50)]
    small = Comparison("b", (0,), 1.0, 1.1, 1e-9, 1e-6, 1e-5, Verdict.MISMATCH)
    assert "  b[0] " in str(Report("f", Verdict.MISMATCH, comparisons=(*rows, small)))


def test_more_counts_entries_that_the_report_did_not_keep(example_reports):
    report = example_reports["mismatch"]
    many = replace(report.summaries[0], shape=(500, 10), entries=5000, judged=5000, failed=5000)
    text = str(replace(report, summaries=(many,)))
    assert "5000 of 5000 entries of Z differ" in text
    assert "... and 4990 more" in text


def test_a_failed_projection_does_not_read_as_a_scalar():
    whole = Comparison("W", None, 1.0, 2.0, 1e-9, 1e-6, 1e-5, Verdict.MISMATCH)
    line = Summary("W", (100, 100), 10000, 10000, 1, Verdict.MISMATCH, whole, 2)
    text = str(Report("f", Verdict.MISMATCH, (line,), (whole,)))
    assert text.splitlines()[0] == "MISMATCH  f: a projection of W differs, by 1e+06 times what was allowed"
    assert "  W (projection)  " in text


@pytest.mark.parametrize("verdict", Verdict)
def test_a_bare_report_still_has_a_sentence(verdict):
    first = str(Report("f", verdict)).splitlines()[0]
    assert first.startswith(f"{verdict.upper()}  f: ")
    assert len(first) > len(f"{verdict.upper()}  f: ")


def test_one_wrong_entry_is_singular_and_a_scalar_is_no_entry():
    row = Comparison("w", (), 1.0, 2.0, 1e-9, 1e-6, 1e-5, Verdict.MISMATCH)
    line = Summary("w", (), 1, 1, 1, Verdict.MISMATCH, row, 2)
    assert "the gradient of w differs, by 1e+06 times" in str(Report("f", Verdict.MISMATCH, (line,), (row,)))


def test_non_finite_numbers_are_shown_as_they_are():
    row = Comparison("w", (0,), float("nan"), float("-inf"), 1e-9, 1e-6, 1e-5, Verdict.MISMATCH)
    text = str(Report("f", Verdict.MISMATCH, comparisons=(row,)))
    assert " nan " in text
    assert " -inf " in text


def test_entries_that_fail_differently_say_so():
    wrong = Comparison("w", (0,), 1.0, 2.0, 1e-9, 1e-6, 1e-5, Verdict.MISMATCH)
    hidden = Comparison("w", (1,), 1.0, 2.0, 1e9, 1e9, 1e-5, Verdict.INCONCLUSIVE, "too noisy")
    lines = str(Report("f", Verdict.MISMATCH, comparisons=(wrong, hidden))).splitlines()
    assert lines[3].endswith("  mismatch")
    assert lines[4].endswith("  inconclusive too noisy")


def test_long_notes_keep_their_lines_under_their_label():
    text = str(Report("f", Verdict.INCONCLUSIVE, notes=("ValueError: bad\nraised by f\nat x[0] + h",)))
    assert "cannot tell whether the gradients are right: ValueError: bad\n" in text
    assert "  note        ValueError: bad\n              raised by f\n              at x[0] + h\n" in text
