"""Does the command print what it found, exit with the right code, and say in one line what is wrong with its use?"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import sys

import pytest

from gradcheck.cli import main

LAYERS = """
import numpy as np

def relu(z):
    return np.maximum(z, 0)

def relu_backward(da, z):
    return da * (z > 0)
"""
WRONG = (
    LAYERS
    + """
def sigmoid(z):
    return 1 / (1 + np.exp(-z))

def sigmoid_backward(da, z):
    return da * z * (1 - z)
"""
)
COMMAND = [sys.executable, "-c", "import sys; from gradcheck.cli import main; sys.exit(main())"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Go to a folder with a right module, a wrong one, an empty one and one that cannot be imported."""
    # Names that nothing else has: modules stay in sys.modules from test to test.
    for name, text in {
        "cli_right": LAYERS,
        "cli_wrong": WRONG,
        "cli_empty": "x = 1\n",
        "cli_broken": "import not_there_at_all\n",
        "cli_noisy": f"{LAYERS}\nprint('imported')\n",
    }.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("cli_")]:
        del sys.modules[name]


def test_right_module_exits_0_with_a_table(folder, capsys):
    assert main(["check", "cli_right"]) == 0
    output = capsys.readouterr().out
    assert re.search(r"^verdict +layer +gradient +shape +error +allowed +forwards", output)
    assert re.search(r"^MATCH +relu_backward +z +\(4, 3\) +\S+ +\S+ +\d+", output, re.MULTILINE)
    assert output.endswith("MATCH  cli_right: its one check is ok\n")


@pytest.mark.parametrize("target", ["cli_wrong", "cli_wrong.py", "./cli_wrong.py", "cli_wrong.py:sigmoid_backward"])
def test_wrong_module_exits_1_worst_first_with_its_message(folder, capsys, target):
    assert main(["check", target]) == 1
    output = capsys.readouterr().out
    assert output.splitlines()[1].startswith("MISMATCH  sigmoid_backward")
    assert re.search(r"^MISMATCH  sigmoid_backward: 12 of 12 entries of z differ", output, re.MULTILINE)
    assert "  reproduce   gradcheck check " in output


def test_inconclusive_exits_1(folder):
    (folder / "cli_unknown.py").write_text("def odd(q, r, s): raise ValueError\ndef odd_backward(g, q, r, s): pass\n")
    assert main(["check", "cli_unknown"]) == 1


def test_several_targets_are_told_apart(folder, capsys):
    assert main(["check", "cli_right", "cli_wrong"]) == 1
    output = capsys.readouterr().out
    assert "cli_right:relu_backward" in output
    assert "cli_wrong:relu_backward" in output
    assert output.endswith("MISMATCH  cli_right, cli_wrong: 1 of 3 checks failed (1 mismatch)\n")


def test_json_is_all_there_is_on_stdout(folder, capsys):
    assert main(["check", "cli_noisy", "--json"]) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert (found["name"], found["verdict"], len(found["reports"])) == ("cli_noisy", "match", 1)
    assert "imported" in printed.err


def test_json_of_a_failure_exits_1(folder, capsys):
    assert main(["check", "cli_wrong", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["verdict"] == "mismatch"


def test_html_is_written(folder, capsys):
    assert main(["check", "cli_wrong", "--html", "found.html"]) == 1
    assert "sigmoid_backward" in (folder / "found.html").read_text(encoding="utf-8")


def test_quiet_prints_failures_only(folder, capsys):
    assert main(["check", "cli_right", "-q"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["check", "cli_wrong", "-q"]) == 1
    output = capsys.readouterr().out
    assert output.startswith("MISMATCH  sigmoid_backward: ")
    assert "relu" not in output


def test_verbose_prints_every_check(folder, capsys):
    assert main(["check", "cli_right", "-v"]) == 0
    assert "an error of" in capsys.readouterr().out


def test_settings_reach_the_checks(folder, capsys):
    main(["check", "cli_right", "--json", "--seed", "9", "--mode", "fast", "--rtol", "0.01"])
    (found,) = json.loads(capsys.readouterr().out)["reports"]
    assert (found["seed"], found["mode"]) == (9, "fast")
    main(["check", "cli_right", "--json", "--budget", "3", "--mode", "full"])
    assert any("budget" in note for note in json.loads(capsys.readouterr().out)["reports"][0]["notes"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere_at_all"], "no module named 'nowhere_at_all'"),
        (["nowhere.py"], "there is no file"),
        (["cli_right", "nowhere_at_all"], "no module named 'nowhere_at_all'"),
        (["cli_broken"], "not_there_at_all"),
        (["cli_empty"], "no layer found in cli_empty"),
        (["cli_right:tanh"], "cli_right.py has no 'tanh'"),
        (["cli_right", "--rtol", "7"], "rtol was 7.0; expected a number between 0 and 1"),
        (["cli_right", "--seed", "-1"], "seed was -1; expected a whole number, 0 or more"),
        (["cli_right", "--budget", "0"], "budget was 0; expected a number of forward evaluations, 1 or more"),
        (["cli_right", "--html", "no/such/folder.html"], "--html was no/such/folder.html: its folder does not exist"),
    ],
)
def test_mistakes_exit_2_with_one_line_on_stderr(folder, capsys, arguments, message):
    assert main(["check", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("gradcheck: error: ")
    assert message in printed.err
    assert len(printed.err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [[], ["check"], ["benches"], ["check", "x", "--mode", "slow"], ["check", "x", "-qv"]]
)
def test_unknown_arguments_exit_2(arguments, capsys):
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    assert "usage: gradcheck" in capsys.readouterr().err


def test_html_without_jinja2_exits_2_before_any_check(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert main(["check", "cli_right", "--html", "found.html"]) == 2
    assert 'pip install "gradcheck[report]"' in capsys.readouterr().err


def test_help_and_version_load_neither_numpy_nor_rich():
    for argument in ("--help", "--version"):
        code = (
            "import sys\nfrom gradcheck.cli import main\n"
            f"try:\n    main(['{argument}'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
            "assert not {'numpy', 'rich'} & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_piped_output_has_no_colour_and_no_line_cut(folder):
    long = "a_rather_long_name_of_a_layer_that_would_not_fit_in_eighty_columns_of_any_terminal_at_all"
    (folder / "cli_long.py").write_text(f"def {long}(x): return x**2\ndef {long}_backward(dy, x): return 2 * x * dy\n")
    environment = {**os.environ, "COLUMNS": "80"}
    environment.pop("FORCE_COLOR", None)
    ran = subprocess.run(
        [*COMMAND, "check", "cli_long"], capture_output=True, text=True, check=True, env=environment, cwd=folder
    )
    assert "\x1b" not in ran.stdout
    assert f"{long}_backward" in ran.stdout.splitlines()[1]
    assert ran.stderr == ""


def test_reader_that_leaves_early_gets_no_traceback(folder):
    (folder / "cli_many.py").write_text(
        "import numpy as np\nfrom gradcheck import Case\n"
        "def gradcheck_cases():\n"
        "    return [Case.vjp(f'sine {i}' * 99, np.sin, lambda g, x: g * np.cos(x), np.ones(1)) for i in range(400)]\n"
    )
    with subprocess.Popen(
        [*COMMAND, "check", "cli_many"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder
    ) as ran:
        ran.stdout.read(10)
        ran.stdout.close()
        assert ran.stderr.read() == b""


def on_terminal(arguments, folder):
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(
        [*COMMAND, *arguments], stdin=follower, stdout=follower, stderr=follower, cwd=folder, env=environment
    ) as ran:
        os.close(follower)
        output = b""
        while True:
            ready, _, _ = select.select([leader], [], [], 60)
            if not ready:
                break
            try:
                piece = os.read(leader, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not piece:
                break
            output += piece
    os.close(leader)
    return ran.returncode, output.decode()


def test_terminal_gets_colour_within_its_width(folder):
    code, output = on_terminal(["check", "cli_wrong"], folder)
    assert code == 1
    assert "\x1b[" in output
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output)
    table = plain.split("\r\n\r\n")[0].splitlines()
    assert any(line.startswith("MISMATCH") for line in table)
    assert max(map(len, table)) <= 80


@pytest.mark.parametrize(("seconds", "shown"), [(1.6, True), (0.0, False)])
def test_progress_bar_is_for_long_work_on_a_terminal(folder, seconds, shown):
    (folder / "cli_slow.py").write_text(
        "import time\nimport numpy as np\nfrom gradcheck import Case\n"
        f"def slow(x):\n    global wait\n    time.sleep(wait)\n    wait = 0\n    return np.sin(x)\nwait = {seconds}\n"
        "def gradcheck_cases():\n    return [Case.vjp('slow', slow, lambda g, x: g * np.cos(x), np.ones(2))]\n"
    )
    code, output = on_terminal(["check", "cli_slow"], folder)
    assert code == 0
    assert ("checking" in output) is shown
    assert "MATCH" in output


def test_what_was_not_checked_is_said_of_layers_that_are_ok(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "forgets.py").write_text(
        "import numpy as np\n"
        "class Dense:\n"
        "    def __init__(self, n_in, n_out):\n"
        "        self.W, self.b = np.random.default_rng(0).normal(size=(n_in, n_out)), np.zeros(n_out)\n"
        "    def forward(self, X):\n"
        "        self.X = X\n"
        "        return X @ self.W + self.b\n"
        "    def backward(self, dout):\n"
        "        self.db = dout.sum(axis=0)\n"
        "        return dout @ self.W.T\n"
    )
    assert main(["check", "forgets.py"]) == 0
    assert "note  Dense: W has no gradient (looked for dW" in capsys.readouterr().out
