"""Is the README true? Its file is written out, its commands run, its failures found again."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[2] / "README.md"


def shown(command: str) -> str:
    """Return what the README shows below a command."""
    found = re.search(rf"\$ {re.escape(command)}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None, f"the README does not show {command!r}"
    return found[1]


def failing(output: str) -> set[str]:
    """Return the layers in the rows of failures, without the numbers that differ between machines."""
    return set(re.findall(r"^(?:MISMATCH|CONTRACT)  (\S.*?)  +\S", output, re.MULTILINE))


def gradcheck(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gradcheck", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def example(folder: Path, name: str = "layers.py") -> None:
    text = README.read_text(encoding="utf-8")
    found = re.search(rf"<!-- {re.escape(name)} -->\n```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    (folder / name).write_text(found[1], encoding="utf-8")


def looks_like(output: str) -> list[str]:
    """Return what the failures look like."""
    return re.findall(r"^  looks like  (.*)$", output, re.MULTILINE)


def test_example_file_gives_what_the_readme_shows(tmp_path: Path) -> None:
    example(tmp_path)
    done = gradcheck(tmp_path, "check", "layers.py")
    assert done.returncode == 1, done.stderr
    assert failing(done.stdout) == failing(shown("gradcheck check layers.py")) == {"leaky_relu_backward"}
    assert looks_like(done.stdout) == looks_like(shown("gradcheck check layers.py")) != []


def test_the_first_notebooks_bug_is_named_as_the_readme_shows(tmp_path: Path) -> None:
    example(tmp_path, "sigmoid.py")
    done = gradcheck(tmp_path, "check", "sigmoid.py")
    assert done.returncode == 1, done.stderr
    shows = "z * (1 - z) in place of a * (1 - a) (a: the output) (explains 100% of the mismatch)"
    assert looks_like(done.stdout) == looks_like(shown("gradcheck check sigmoid.py")) == [shows]


def test_notebooks_give_what_the_readme_shows(tmp_path: Path) -> None:
    done = gradcheck(tmp_path, "check", "reference_impls.notebooks")
    assert done.returncode == 1, done.stderr
    named = failing(shown("gradcheck check reference_impls.notebooks"))
    assert len(named) == 8
    assert failing(done.stdout) == named


def test_five_lines_of_python_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example(tmp_path)
    text = README.read_text(encoding="utf-8")
    found = re.search(r"In five lines of Python:\n\n```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    done = subprocess.run([sys.executable, "-c", found[1]], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("mismatch z[")
