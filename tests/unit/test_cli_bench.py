"""Does ``gradcheck bench`` write its three files, flag a kernel that was slowed down, and say in a line what it needs?"""

import json
import sys
from functools import partial

import pytest

from gradcheck.bench import run as bench_run
from gradcheck.bench.facts import Bench
from gradcheck.bench.measure import Meter, Problem, Settings
from gradcheck.cli import main

BRIEF = Settings(blocks=5, rounds=3, turn=1e-3, patience=1.0)


@pytest.fixture
def small(monkeypatch):
    """One problem, on a clock that only its calls move; returns a dict to slow the kernel down with."""
    work, now = {"mine": 2e-4}, [0.0]

    def busy(seconds):
        now[0] += seconds

    problem = Problem(
        "kernels",
        "waiting, 10,000 numbers, float64",
        lambda: {"copy": lambda: busy(1e-4), "kernel": lambda: busy(work["mine"]), "one line": lambda: busy(3e-4)},
        "copy",
        ("kernel",),
        (),
        {"kernel": "waiting", "size": "10,000 numbers", "dtype": "float64", "operations": 10_000, "bytes": 160_000},
    )
    yardsticks = {"a loop": lambda: busy(1e-4)}
    peak = Problem(
        "limits",
        "peak",
        lambda: {"limit": lambda: busy(1e-4)},
        "limit",
        work={"unit": "flop", "amount": 1, "dtype": "float64"},
    )
    monkeypatch.setattr(bench_run.kernels, "problems", lambda: [problem])
    monkeypatch.setattr(bench_run.limits, "problems", lambda: [peak])
    monkeypatch.setattr(bench_run.limits, "yardsticks", lambda: yardsticks)
    monkeypatch.setattr(bench_run, "QUICK", BRIEF)
    monkeypatch.setattr(bench_run, "Meter", partial(Meter, clock=lambda: now[0]))
    return work


def test_three_files_are_written_and_named(small, tmp_path, capsys):
    folder = tmp_path / "made" / "new"
    assert main(["bench", "--only", "kernels: waiting", "--output", str(folder)]) == 0
    assert sorted(file.name for file in folder.iterdir()) == ["report.html", "report.json", "report.md"]
    found = Bench.read(folder / "report.json")
    assert [each.title for each in found.measured] == ["peak", "waiting, 10,000 numbers, float64"]
    assert found.measured[1].costs["kernel"].ratio == pytest.approx(2)
    assert "| waiting | float64 |" in (folder / "report.md").read_text(encoding="utf-8")
    assert "<svg" in (folder / "report.html").read_text(encoding="utf-8")
    assert f"{folder / 'report.md'}, report.html, report.json" in capsys.readouterr().out


def test_a_slowed_down_kernel_is_flagged_and_its_equal_is_not(small, tmp_path, capsys):
    command = ["bench", "--only", "kernels: waiting", "--output"]
    old, new = tmp_path / "old", tmp_path / "new"
    assert main([*command, str(old)]) == 0
    assert main([*command, str(new), "--compare", str(old / "report.json")]) == 0
    assert "Of 1 costs 0 became slower" in capsys.readouterr().out
    small["mine"] *= 1.5
    assert main([*command, str(new), "--compare", str(old / "report.json")]) == 1
    printed = capsys.readouterr().out
    assert "SLOWER  kernels: waiting, 10,000 numbers, float64  kernel" in printed
    assert "Of 1 costs 1 became slower" in printed
    assert "SLOWER" in (new / "report.md").read_text(encoding="utf-8")
    # what seemed slower was measured again
    assert len(Bench.read(new / "report.json").measured[1].costs["kernel"].seconds) == 2 * BRIEF.blocks


def test_another_machine_is_not_judged_unless_asked(small, tmp_path, capsys):
    command = ["bench", "--only", "kernels: waiting", "--output", str(tmp_path)]
    assert main(command) == 0
    facts = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    facts["machine"]["blas"] = "another"
    (tmp_path / "old.json").write_text(json.dumps(facts), encoding="utf-8")
    small["mine"] *= 2
    command += ["--compare", str(tmp_path / "old.json")]
    assert main(command) == 0
    assert "Measured elsewhere: blas: another then" in capsys.readouterr().out
    assert main([*command, "--any-machine"]) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--only", "banana"], 'nothing to measure has "banana" in its name'),
        (["--compare", "not_there.json"], "not_there.json"),
        (["--output", "old.json"], "--output was old.json: that is a file; name a folder"),
        (["--compare", "old.json"], 'old.json is no report of gradcheck bench: it has no "schema"'),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_measured(arguments, says, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.json").write_text("{}", encoding="utf-8")
    assert main(["bench", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("gradcheck: error: ")
    assert says in error
    assert error.count("\n") == 1
    assert not (tmp_path / "benchmark").exists()


def test_without_the_extra_it_names_the_extra(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    find = bench_run.require.__globals__["importlib"].util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *rest: None if name == "matplotlib" else find(name, *rest)
    )
    assert main(["bench"]) == 2
    expected = 'gradcheck: error: a benchmark needs matplotlib, not installed here: pip install "gradcheck[bench]"\n'
    assert capsys.readouterr().err == expected
    assert "matplotlib.pyplot" not in sys.modules
