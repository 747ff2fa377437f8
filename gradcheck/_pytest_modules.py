"""Which items does ``--gradcheck-modules`` add? One for each layer found, without a test written."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gradcheck._pytest_fixture import failure_of
from gradcheck._pytest_recorder import record
from gradcheck._pytest_settings import base_seed, reproduce, settings
from gradcheck.case import Case
from gradcheck.discover import find_cases
from gradcheck.errors import CheckFailedError, TargetError

__all__ = ["LayerItem", "LayerModule", "collect"]


def collect(session: pytest.Session) -> Iterator[pytest.Item]:
    """Yield the items of every target on the command line.

    Parameters
    ----------
    session : pytest.Session
        Which also gets pytest's own report for each target, errors included.

    Yields
    ------
    LayerItem
    """
    for target in session.config.getoption("gradcheck_modules"):
        module = LayerModule.from_parent(session, name=target, nodeid=f"gradcheck::{target}")
        yield from session.genitems(module)


class LayerModule(pytest.Collector):
    """A target whose layers are items."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield one item for each check that the target stands for."""
        for case in find_cases(self.name, seed=base_seed(self.config)):
            yield LayerItem.from_parent(self, name=case.name, case=case, target=self.name)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> Any:  # type: ignore[override]  # as Collector
        """Say in one line what is wrong with the target."""
        if isinstance(excinfo.value, TargetError):
            return f"--gradcheck-modules={self.name}: {excinfo.value}"
        return super().repr_failure(excinfo)


class LayerItem(pytest.Item):
    """One check.

    Parameters
    ----------
    case : Case
        What to run.
    target : str
        Where it was found, as given on the command line.
    **rest
        As `pytest.Item`.
    """

    def __init__(self, *, case: Case, target: str, **rest: Any) -> None:
        super().__init__(**rest)
        self.case = case
        self.target = target

    def runtest(self) -> None:
        """Run the check; what the module's own case says is stronger than the command line."""
        __tracebackhide__ = True
        # As in a call of the fixture: what is written with the check wins over the settings of the run.
        options = {name: value for name, value in settings(self).items() if name not in self.case.options}
        report = self.case.run(**options)
        report = replace(report, reproduce=reproduce(self, self._selected()))
        record(self, report)
        failure = failure_of(report)
        if failure is not None:
            raise failure

    def _selected(self) -> str:
        # pytest takes no node id that is no file: -k finds it by the words of its name.
        words = [word for word in re.findall(r"[\w.]+", self.name) if word not in ("and", "or", "not")]
        chosen = shlex.quote(" and ".join(dict.fromkeys(words)))
        return f"{shlex.quote(f'--gradcheck-modules={self.target}')} -k {chosen}"

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show the report alone: there is no test whose source could be shown."""
        if isinstance(excinfo.value, CheckFailedError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """Return the item's place, for verbose output."""
        return self.path, None, self.nodeid
