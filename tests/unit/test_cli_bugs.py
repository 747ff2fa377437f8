"""What does ``gradcheck bugs`` print, and when is its exit code 1?"""

from dataclasses import replace

import pytest

from gradcheck.cli import main
from reference_impls import known_bugs

SOME = ("z for a in sigmoid", "relu'(0) = 1", "stale cache")


@pytest.fixture
def some_bugs(monkeypatch):
    """The catalogue with a few bugs alone."""
    kept = tuple(bug for bug in known_bugs.BUGS if bug.name in SOME)
    monkeypatch.setattr(known_bugs, "BUGS", kept)
    return kept


def lines(output):
    return {line[:30].strip(): line for line in output.splitlines()}


def test_table_says_what_was_caught_and_what_it_looks_like(some_bugs, capsys):
    assert main(["bugs"]) == 0
    shown = lines(capsys.readouterr().out)
    row = " ".join(next(line for name, line in shown.items() if name.startswith("z for a")).split())
    assert row.startswith("z for a in sigmoid sigmoid yes MISMATCH z * (1 - z) in place of a * (1 - a)")
    assert "legal   KINK" in next(line for name, line in shown.items() if name.startswith("relu'(0)"))
    assert "CONTRACT" in next(line for name, line in shown.items() if name.startswith("stale cache"))
    assert "2 bugs, 2 of them named; 1 legal conventions" in "\n".join(shown.values())


@pytest.mark.parametrize("change", [{"verdict": "match"}, {"explanation": "sign"}, {"says": "another sentence"}])
def test_catches_a_line_that_is_not_as_expected(some_bugs, change, monkeypatch, capsys):
    monkeypatch.setattr(known_bugs, "BUGS", (replace(some_bugs[0], **change), *some_bugs[1:]))
    assert main(["bugs"]) == 1
    output = capsys.readouterr().out
    assert "NOT AS EXPECTED" in output
    assert "1 of 3 lines are not as expected" in output


def test_catches_a_right_twin_that_is_wrong(some_bugs, monkeypatch, capsys):
    bug = replace(some_bugs[0], code=known_bugs.activations.tanh_backward, right="da * (1 - a**2)", wrong="da")
    monkeypatch.setattr(known_bugs, "BUGS", (bug,))
    assert main(["bugs"]) == 1
    assert "the right twin is not ok (mismatch)" in capsys.readouterr().out
