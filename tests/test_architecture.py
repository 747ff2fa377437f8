"""Does the code keep to its architecture? Imports go downward, start-up stays cheap, the wheel holds what it must."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import gradcheck

ROOT = Path(gradcheck.__file__).resolve().parent.parent
ORDER = [
    "errors",
    "workers",
    "options",
    "report",
    "layer",
    "parts",
    "blocks",
    "adapters",
    "evaluate",
    "contract",
    "noise",
    "probe",
    "structure",
    "detect",
    "declared",
    "choose",
    "difference",
    "ladder",
    "kink",
    "tolerance",
    "point",
    "claims",
    "analytic",
    "widened",
    "complex_step",
    "nearby",
    "ordinary",
    "convex",
    "treads",
    "rounded",
    "flat",
    "settle",
    "ties",
    "ways",
    "joint",
    "excuse",
    "hidden_kink",
    "accuse",
    "tally",
    "sight",
    "judge",
    "shared",
    "looks",
    "full",
    "search",
    "projection",
    "project",
    "summarise",
    "precision",
    "explain",
    "misshapen",
    "compare",
    "run",
    "composed",
    "stages",
    "second_order",
    "adjoint",
    "transposes",
    "check",
    "case",
    "discover",
    "faults",
    "bench",
    "strategies",
    "_pytest_settings",
    "_pytest_recorder",
    "_pytest_fixture",
    "_pytest_modules",
    "_pytest_faults",
    "pytest_plugin",
    "cli",
    "__main__",
]
"""From the bottom to the top: each may import those before it, and no other."""
ALLOWED = {  # beside the standard library and numpy
    "bench": {"jinja2", "matplotlib", "threadpoolctl"},  # an extra; inside the functions that need it
    "cli": {"rich"},
    "report": {"jinja2"},  # in html.py, inside the function that needs it
    "strategies": {"hypothesis"},
    "_pytest_settings": {"pytest"},
    "_pytest_recorder": {"pytest"},
    "_pytest_fixture": {"pytest"},
    "_pytest_modules": {"pytest"},
    "_pytest_faults": {"pytest"},
    "faults": {"libcst", "pytest"},  # libcst in operators.py and plant.py, which load when faults are planted
    "pytest_plugin": {"pytest"},
}
FILES = sorted((ROOT / "gradcheck").rglob("*.py"))
PORTS = sorted((ROOT / "reference_impls").rglob("*.py"))


def unit_of(file: Path) -> str:
    return file.relative_to(ROOT / "gradcheck").with_suffix("").parts[0]


def imports(tree: ast.AST, *, at_load: bool = False) -> Iterator[str]:
    """Yield the dotted names that code imports; not those that only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if at_load and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from imports(node, at_load=at_load)


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def climbs(unit: str, tree: ast.AST) -> list[str]:
    """Return the imports of a unit that do not go downward."""
    ours = [name.split(".")[1] for name in imports(tree) if name.startswith("gradcheck.")]
    return [other for other in ours if other != unit and other in ORDER and ORDER.index(other) > ORDER.index(unit)]


def test_every_module_has_its_place_in_the_order():
    units = {unit_of(file) for file in FILES} - {"__init__"}
    assert units == set(ORDER), "give a new module its place in ORDER, in ARCHITECTURE.md too"


@pytest.mark.parametrize("file", [file for file in FILES if unit_of(file) != "__init__"], ids=name_of)
def test_imports_go_downward(file):
    assert climbs(unit_of(file), parsed(file)) == []


def test_catches_an_import_that_climbs():
    assert climbs("noise", ast.parse("def f():\n    from gradcheck.check import check_vjp")) == ["check"]
    assert climbs("report", ast.parse("import gradcheck.cli.table")) == ["cli"]
    assert climbs("check", ast.parse("from gradcheck import noise\nfrom gradcheck.report import Report")) == []


@pytest.mark.parametrize("file", [*FILES, *PORTS], ids=name_of)
def test_only_numpy_and_the_standard_library_below_strategies(file):
    unit = unit_of(file) if file in FILES else ""
    known = {"numpy", "gradcheck", "reference_impls"} | ALLOWED.get(unit, set()) | set(sys.stdlib_module_names)
    assert {name.split(".")[0] for name in imports(parsed(file))} <= known


@pytest.mark.parametrize("file", [file for file in FILES if unit_of(file) == "report"], ids=name_of)
def test_jinja2_is_loaded_only_when_used(file):
    assert "jinja2" not in set(imports(parsed(file), at_load=True))


@pytest.mark.parametrize("file", PORTS, ids=name_of)
def test_ports_use_only_public_names(file):
    used = [name for name in imports(parsed(file)) if name.split(".")[0] == "gradcheck"]
    assert all(name.removeprefix("gradcheck.") in gradcheck.__all__ for name in used), used


@pytest.mark.parametrize("file", [*FILES, *PORTS], ids=name_of)
def test_every_module_says_what_it_is_for(file):
    docstring = ast.get_docstring(parsed(file))
    assert docstring, f"{file} has no docstring"
    first = docstring.splitlines()[0]
    assert len(first) > 20
    assert "?" in first or first.endswith("."), first


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_no_module_outgrows_its_question(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 400, "split it by question"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_library_code_does_not_rely_on_assert(file):
    assert not [node.lineno for node in ast.walk(parsed(file)) if isinstance(node, ast.Assert)]


@pytest.mark.parametrize("name", gradcheck.__all__)
def test_public_name_exists_and_is_documented(name):
    value = getattr(gradcheck, name)
    assert value.__doc__, name
    assert name in dir(gradcheck)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'gradcheck' has no attribute 'gradient_check'"):
        gradcheck.gradient_check  # noqa: B018  # the access is what is tested


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import gradcheck", "numpy gradcheck.check gradcheck.report pytest rich jinja2 hypothesis"),
        ("import gradcheck; gradcheck.Verdict.MATCH", "numpy pytest rich jinja2 hypothesis"),
        ("import gradcheck; gradcheck.check_vjp", "pytest rich jinja2 hypothesis"),
        ("import gradcheck.faults", "libcst pytest rich jinja2 hypothesis"),
        ("import gradcheck.pytest_plugin", "numpy gradcheck.check gradcheck.report rich jinja2 hypothesis"),
        ("import gradcheck.bench.run", "matplotlib jinja2 threadpoolctl numba torch jax sklearn rich"),
        ("import gradcheck.cli", "numpy gradcheck.check gradcheck.report pytest rich jinja2 hypothesis"),
    ],
)
def test_loading_costs_only_what_is_used(statement, absent):
    code = f"import sys; {statement}; print(*set('{absent}'.split()) & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout.strip() == ""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel and return what is in it: names, and the text of its entry points."""
    builder = importlib.import_module("hatchling.builders.wheel").WheelBuilder(str(ROOT))
    (built,) = builder.build(directory=str(tmp_path_factory.mktemp("dist")), versions=["standard"])
    with zipfile.ZipFile(built) as archive:
        names = archive.namelist()
        (entries,) = [name for name in names if name.endswith(".dist-info/entry_points.txt")]
        return names, archive.read(entries).decode()


def test_wheel_holds_both_packages_whole_and_nothing_else(wheel):
    names, _ = wheel
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"gradcheck", "reference_impls"}
    kept = {".py", ".typed", ".jinja"}
    for package in ("gradcheck", "reference_impls"):
        here = {
            str(file.relative_to(ROOT))
            for file in (ROOT / package).rglob("*")
            if file.is_file() and file.suffix in kept
        }
        # py.typed has no suffix to pathlib: its whole name is one
        here.add(f"{package}/py.typed")
        assert here <= set(names)


def test_wheel_has_the_command_and_the_plugin(wheel):
    _, entries = wheel
    assert "gradcheck = gradcheck.cli:main" in entries
    assert "gradcheck = gradcheck.pytest_plugin" in entries
