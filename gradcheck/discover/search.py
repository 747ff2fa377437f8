"""Which checks does a target stand for? The module's own cases, or what it looks like."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from gradcheck.adapters.calling import BACKWARD, FORWARD
from gradcheck.case import Case
from gradcheck.discover.classes import class_case, is_base
from gradcheck.discover.functions import Cannot, function_case, loss_and_gradient
from gradcheck.discover.guess import is_loss_name
from gradcheck.discover.pairs import Pair, find_pairs, looks_like_layer, own_classes, own_functions
from gradcheck.discover.targets import Target, load, modules_of, search_path
from gradcheck.errors import TargetError
from gradcheck.report import Report, Verdict

CASES = "gradcheck_cases"
"""The function by which a module lists its own checks."""


@dataclass(frozen=True)
class GivenUp:
    """A check that says why there is none."""

    name: str
    note: str

    def __call__(self, **options: Any) -> Report:
        """Return the INCONCLUSIVE report."""
        return Report(self.name, Verdict.INCONCLUSIVE, notes=(self.note,), seed=int(options.get("seed", 0)))


def find_cases(target: Any, *, pattern: str | None = None, seed: int = 0) -> list[Case]:
    r"""List the checks that a target stands for; nothing is checked yet, though functions are tried.

    Parameters
    ----------
    target : module, str or path-like
        As in `gradcheck.check_module`.
    pattern : str, optional
        Only cases whose name contains it, or matches it as a shell pattern.
    seed : int
        Of guessed inputs.

    Returns
    -------
    list of Case
        Names are unique: ``"relu_backward"`` in a single module, ``"module.relu_backward"`` (less the
        target's own name) in a package. For a layer that cannot be called, a case whose report is
        INCONCLUSIVE and says why.

    Raises
    ------
    TargetError
        If the target cannot be found or imported, if ``gradcheck_cases`` is not usable, or if there is no
        layer.

    Examples
    --------
    >>> import types
    >>> module = types.ModuleType("layers")
    >>> exec("def cube(x): return x**3\ndef cube_prime(x): return 3 * x**2", vars(module))
    >>> [case.name for case in find_cases(module)]
    ['cube_prime']
    """
    with search_path(str(Path.cwd())):
        found = load(target)
        cases = _member_cases(found, seed) if found.member else _all_cases(found, seed)
    if pattern is not None:
        kept = [case for case in cases if pattern in case.name or fnmatchcase(case.name, pattern)]
        if not kept:
            raise TargetError(
                f"no check in {found.name} is called like {pattern!r}; there are "
                f"{', '.join(case.name for case in cases)}"
            )
        cases = kept
    return _unique(cases)


def name_of_target(target: Any) -> str:
    """Return how a target is called in a report."""
    return target.__name__ if isinstance(target, ModuleType) else str(os.fspath(target))


def _all_cases(found: Target, seed: int) -> list[Case]:
    cases = []
    root = found.module.__name__
    for name, module in modules_of(found.module):
        prefix = name.removeprefix(root).lstrip(".")
        if isinstance(module, TargetError):
            cases.append(Case(prefix, GivenUp(prefix, str(module)), ()))
            continue
        inner = _module_cases(module, seed)
        cases += [replace(case, name=f"{prefix}.{case.name}" if prefix else case.name) for case in inner]
    if not cases:
        raise TargetError(
            f"no layer found in {found.name}: looked for {CASES}(), for functions called like the derivative of "
            "another (relu with relu_backward, tanh with tanh_prime, forward with backward), and for classes with "
            f"a forward ({', '.join(FORWARD[:3])}, ...) and a backward ({', '.join(BACKWARD[:3])}, ...), each "
            "defined in the module itself"
        )
    return cases


def _module_cases(module: ModuleType, seed: int) -> list[Case]:
    if callable(getattr(module, CASES, None)):
        return _own_cases(module)
    functions, classes = own_functions(module), own_classes(module)
    cases = [_pair_case(pair, module, seed) for pair in find_pairs(functions)]
    paired = {id(function) for pair in find_pairs(functions) for function in (pair.forward, pair.derivative)}
    for name, function in functions.items():
        if is_loss_name(name) and id(function) not in paired:
            # perhaps it returns its gradient beside the loss; most do not, and are no layer then
            with suppress(Cannot):
                cases.append(function_case(name, loss_and_gradient(name, function), seed=seed))
    layers = [cls for cls in classes.values() if looks_like_layer(cls)]
    for name, cls in classes.items():
        if looks_like_layer(cls):
            case = _guess(name, partial(class_case, name, cls, functions, layers, seed=seed), module)
            if isinstance(case.check, GivenUp) and is_base(cls, list(classes.values())):
                continue
            cases.append(case)
    return cases


def _guess(name: str, make: Callable[[], Case], module: ModuleType) -> Case:
    try:
        return make()
    except Cannot as why:
        note = (
            f"{why}. Say how it is to be called: define {CASES}() in {_where(module)}, returning e.g. "
            f"[gradcheck.Case.vjp({name!r}, forward, backward, *inputs)] or [gradcheck.Case.layer({name!r}, layer, "
            "*inputs)]"
        )
        return Case(name, GivenUp(name, note), ())


def _where(module: ModuleType) -> str:
    """Say where a module's code is to be changed: a file read by its path has no name of its own."""
    path = getattr(module, "__file__", None)
    return Path(path).name if path and "." not in module.__name__ else module.__name__


def _own_cases(module: ModuleType) -> list[Case]:
    listing = getattr(module, CASES)
    try:
        returned = listing()
        cases = list(returned) if isinstance(returned, Iterable) else None
    except Exception as error:
        raise TargetError(f"{module.__name__}.{CASES}() raised {type(error).__name__}: {error}") from error
    if cases is None:
        raise TargetError(
            f"{module.__name__}.{CASES}() returned {type(returned).__name__}; expected a list of gradcheck.Case"
        )
    for case in cases:
        if not isinstance(case, Case):
            raise TargetError(
                f"{module.__name__}.{CASES}() gave {case!r} ({type(case).__name__}); expected gradcheck.Case objects"
            )
    return cases


def _member_cases(found: Target, seed: int) -> list[Case]:
    """Find what stands behind the colon: a case by name, a function or its derivative, a class."""
    module, member = found.module, found.member
    if callable(getattr(module, CASES, None)):
        cases = _own_cases(module)
        named = [case for case in cases if case.name == member or fnmatchcase(case.name, member)]
        if named:
            return named
        about = [case for case in cases if _is_about(case, getattr(module, member, None))]
        if about:
            return about
    value: Any = module
    for part in member.split("."):
        value = getattr(value, part, None)
    if value is None and "." in member:
        # as a report calls a case of a package's module: "class_based.Network 3-4-1"
        named = [case for case in _all_cases(replace(found, member=""), seed) if case.name == member]
        if named:
            return named
    if value is None:
        public = [name for name in vars(module) if not name.startswith("_") and callable(getattr(module, name))]
        raise TargetError(
            f"{_where(module)} has no {member!r}; it has {', '.join(sorted(public)) or 'nothing to call'}"
        )
    functions = {name: item for name, item in vars(module).items() if callable(item) and not isinstance(item, type)}
    if isinstance(value, ModuleType):
        return _all_cases(Target(found.name, value), seed)
    if isinstance(value, type):
        layers = [cls for cls in own_classes(module).values() if looks_like_layer(cls)]
        return [_guess(member, partial(class_case, member, value, functions, layers, seed=seed), module)]
    pairs = [pair for pair in find_pairs(functions) if pair.derivative is value]
    pairs = pairs or [pair for pair in find_pairs(functions) if pair.forward is value]
    if pairs:
        return [_pair_case(pair, module, seed) for pair in pairs]
    if is_loss_name(member) and callable_function(value):
        with suppress(Cannot):
            return [function_case(member, loss_and_gradient(member, value), seed=seed)]
    if looks_like_layer(type(value)) and not callable_function(value):
        raise TargetError(
            f"{member} is an object, made already: its inputs cannot be told from {found.name}; list it in "
            f"{CASES}() as gradcheck.Case.layer({member!r}, {member}, *inputs)"
        )
    raise TargetError(
        f"{member} in {_where(module)} is no layer: no function is called like its derivative ({member}_backward, "
        f"{member}_grad, {member}_prime, ...), and it is no derivative of another"
    )


def _pair_case(pair: Pair, module: ModuleType, seed: int) -> Case:
    return _guess(pair.name, partial(function_case, pair.name, pair, seed=seed), module)


def callable_function(value: Any) -> bool:
    """Tell a function from an object that happens to be callable."""
    return hasattr(value, "__code__") or isinstance(value, (np.ufunc, np.vectorize))


def _is_about(case: Case, value: Any) -> bool:
    if value is None:
        return False
    return any(arg is value or (isinstance(value, type) and isinstance(arg, value)) for arg in case.args)


def _unique(cases: list[Case]) -> list[Case]:
    """Tell apart the names that occur more than once, by numbers."""
    seen: dict[str, int] = {}
    taken = {case.name for case in cases}
    result = []
    for case in cases:
        seen[case.name] = seen.get(case.name, 0) + 1
        name = case.name
        number = seen[case.name]
        while number > 1 and (name := f"{case.name} ({number})") in taken:
            number += 1
        taken.add(name)
        result.append(replace(case, name=name))
    return result
