"""Which modules does a target name? Dotted names, files, folders, packages, and ``module:name``."""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from gradcheck.errors import TargetError

SKIP_MARK = "__gradcheck_skip__"
"""A package whose ``__init__`` sets this to True is checked only when it is named."""


@dataclass(frozen=True, eq=False)
class Target:
    """What a target names.

    Attributes
    ----------
    name : str
        As the user wrote it.
    module : module
        Imported.
    member : str
        The part behind the colon; empty for all of it.
    """

    name: str
    module: ModuleType
    member: str = ""


@contextmanager
def search_path(folder: str) -> Iterator[None]:
    """Put a folder first on ``sys.path`` for the while."""
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        if folder in sys.path:
            sys.path.remove(folder)


def load(target: Any) -> Target:
    """Find and import what a target names.

    Parameters
    ----------
    target : module, str or path-like
        An imported module, ``"package.module"``, ``"file.py"``, a folder that is a package, or one of the
        strings with ``":name"`` behind it.

    Returns
    -------
    Target
        With the module imported; the current folder is looked in as well.

    Raises
    ------
    TargetError
        If there is no such thing, or importing it raises (which is chained).
    """
    if isinstance(target, ModuleType):
        return Target(target.__name__, target)
    if not isinstance(target, (str, os.PathLike)):
        raise TargetError(
            f"target was {type(target).__name__}; expected a module, a module's name, a path, or 'module:name'"
        )
    text = os.fspath(target)
    text = text if isinstance(text, str) else os.fsdecode(text)
    place, member = text, ""
    if ":" in text and not Path(text).exists():
        place, _, member = text.rpartition(":")
    if not place.strip():
        raise TargetError(f"target was {text!r}; expected a module's name or a path before the colon")
    if place.endswith(".py") or os.sep in place or "/" in place:
        return Target(text, _load_path(Path(place), text), member)
    return _load_dotted(place, member, text)


def _load_dotted(place: str, member: str, text: str) -> Target:
    with search_path(str(Path.cwd())):
        importlib.invalidate_caches()
        try:
            return Target(text, _import(place), member)
        except ModuleNotFoundError as missing:
            known = missing.name is not None and (place == missing.name or place.startswith(f"{missing.name}."))
            if not known:
                raise TargetError(_broken(place, missing)) from missing
            parent, _, last = place.rpartition(".")
            # "package.module.function" without a colon is understood as well.
            if parent and not member:
                try:
                    module = _import(parent)
                except (ModuleNotFoundError, TargetError):
                    module = None
                if module is not None and hasattr(module, last):
                    return Target(text, module, last)
            hint = f"; for the file, write {place}.py" if Path(f"{place}.py").exists() else ""
            raise TargetError(
                f"no module named {missing.name!r} (target {text!r}): looked in {Path.cwd()} and on sys.path{hint}"
            ) from missing


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # pytest's skips and exits are none of Exception's
        raise TargetError(_broken(name, error)) from error


def _broken(name: str, error: BaseException) -> str:
    raised = f"{type(error).__name__}: {error}"
    return f"importing {name} raised {raised}; make it importable (guard scripts with __main__)"


def _load_path(path: Path, text: str) -> ModuleType:
    path = path.resolve()
    if path.is_dir():
        if not (path / "__init__.py").exists():
            raise TargetError(f"target {text!r}: the folder {path} is no package (it has no __init__.py); name a file")
        path = path / "__init__.py"
    if not path.exists():
        raise TargetError(f"target {text!r}: there is no file {path}")
    if path.suffix != ".py":
        raise TargetError(f"target {text!r}: {path.name} is no Python file (.py)")
    parts = [] if path.name == "__init__.py" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").exists():
        parts.insert(0, folder.name)
        folder = folder.parent
    with search_path(str(folder)):
        importlib.invalidate_caches()
        if len(parts) > 1 or path.name == "__init__.py":
            name = ".".join(parts)
            try:
                module = _import(name)
            except ModuleNotFoundError as missing:
                raise TargetError(_broken(name, missing)) from missing
            found = Path(getattr(module, "__file__", None) or "").resolve()
            if found != path:
                raise TargetError(f"target {text!r}: the name {name} leads to {found}; run from another folder")
            return module
        return _load_file(path)


def _load_file(path: Path) -> ModuleType:
    # A name of its own: the file may be called like an installed package, and is read anew at every call.
    name = f"{path.stem}_{zlib.crc32(str(path).encode()):08x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"{path} cannot be imported: Python has no loader for it")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (KeyboardInterrupt, GeneratorExit):
        del sys.modules[name]
        raise
    except BaseException as error:  # as above
        del sys.modules[name]
        raise TargetError(_broken(str(path), error)) from error
    return module


def modules_of(module: ModuleType) -> Iterator[tuple[str, ModuleType | TargetError]]:
    """Give a module and, for a package, everything in it that is not marked to be skipped.

    Parameters
    ----------
    module : module
        A module or package.

    Yields
    ------
    str, module or TargetError
        The module's name; the error where a part of a package cannot be imported.
    """
    yield module.__name__, module
    for info in sorted(pkgutil.iter_modules(getattr(module, "__path__", ())), key=lambda info: info.name):
        name = f"{module.__name__}.{info.name}"
        if info.name in ("__main__", "conftest"):
            continue
        try:
            inner = _import(name)
        except ModuleNotFoundError as missing:
            yield name, TargetError(_broken(name, missing))
            continue
        except TargetError as error:
            yield name, error
            continue
        if not getattr(inner, SKIP_MARK, False):
            yield from modules_of(inner)
