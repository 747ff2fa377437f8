"""Is a report in JSON plain data that any reader takes, with nothing lost?"""

from __future__ import annotations

import json

import numpy as np
import pytest

from gradcheck.report import Comparison, Report, Summary, Verdict
from gradcheck.report.merge import merge

KEYS = {
    "schema": int,
    "name": str,
    "verdict": str,
    "ok": bool,
    "mode": str,
    "seed": int,
    "detection_limit": (float, str),
    "forward_calls": int,
    "backward_calls": int,
    "seconds": float,
    "reproduce": str,
    "summaries": list,
    "comparisons": list,
    "violations": list,
    "notes": list,
    "explanations": list,
    "reports": list,
}


def strictly(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("verdict", Verdict)
def test_keys_and_types_are_those_of_the_schema(example_reports, verdict):
    found = strictly(example_reports[verdict.value].to_json())
    assert list(found) == list(KEYS)
    for key, kind in KEYS.items():
        assert isinstance(found[key], kind), key
    assert found["schema"] == 1
    assert found["verdict"] == verdict.value


def test_numbers_come_back_to_the_last_bit(example_reports):
    report = example_reports["mismatch"]
    found = strictly(report.to_json())
    for row, read in zip(report.comparisons, found["comparisons"], strict=True):
        assert read["analytic"] == row.analytic
        assert read["numerical"] == row.numerical
        assert tuple(read["index"]) == row.index


def test_numbers_that_are_not_finite_are_strings_that_float_reads(example_reports):
    (row,) = strictly(example_reports["inconclusive"].to_json())["comparisons"]
    assert row["numerical"] == "nan"
    assert float(row["allowed"]) == float("inf")


def test_violations_keep_kind_and_name(example_reports):
    first, second = strictly(example_reports["contract"].to_json())["violations"]
    assert (first["kind"], first["name"]) == ("shape", "b")
    assert second["text"] == "backward changed its input X"


def test_numpy_scalars_become_plain_numbers():
    row = Comparison("x", (np.int64(2),), np.float32(0.5), np.float64(1), 0.0, 0.0, 1.0, Verdict.MISMATCH)
    line = Summary("x", (np.int64(3),), np.int64(3), 3, 1, Verdict.MISMATCH, row, np.int64(6))
    found = strictly(Report("f", Verdict.MISMATCH, (line,), (row,), seed=np.int64(4)).to_json())
    assert found["comparisons"][0]["index"] == [2]
    assert found["comparisons"][0]["analytic"] == 0.5
    assert found["summaries"][0]["shape"] == [3]
    assert found["seed"] == 4


def test_nested_reports_are_nested(example_reports):
    found = strictly(merge("layers", example_reports.values()).to_json())
    assert [inner["verdict"] for inner in found["reports"]] == list(example_reports)
    assert "schema" not in found["reports"][0]


def test_projection_has_no_index():
    row = Comparison("x", None, 1.0, 2.0, 0.0, 0.0, 1.0, Verdict.MISMATCH)
    assert strictly(Report("f", Verdict.MISMATCH, (), (row,)).to_json())["comparisons"][0]["index"] is None
