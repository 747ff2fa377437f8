"""What does gradcheck add to pytest? A fixture, a marker, options and a summary; the work is loaded when first used.

Everyone who has the package installed loads this module at every start of pytest: it imports neither numpy nor the
checks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gradcheck import _pytest_settings
from gradcheck._pytest_recorder import Recorder

if TYPE_CHECKING:
    from gradcheck._pytest_fixture import GradChecker

_MARKER = (
    "gradcheck(rtol=None, mode='auto', seed=0, budget=None): settings for the checks that this test makes with the "
    "gradchecker fixture; stronger than the command line, weaker than the arguments of a call."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--gradcheck-*`` and ``gradcheck_*``."""
    group = parser.getgroup("gradcheck", "gradcheck: checks of hand-written backward passes")
    group.addoption(
        "--gradcheck-seed",
        type=int,
        metavar="N",
        help="base of every test's own seed, for cotangents and directions; the header shows it (default: 0)",
    )
    group.addoption(
        "--gradcheck-mode",
        choices=("auto", "full", "fast"),
        help="check every entry, or projections (default: auto, which goes by size)",
    )
    group.addoption(
        "--gradcheck-report",
        metavar="FILE",
        help="write what all checks found to FILE.html (needs jinja2) or FILE.json",
    )
    group.addoption(
        "--gradcheck-modules",
        action="append",
        default=[],
        metavar="PKG",
        help="also check every layer found in a module, package or file, one item each; may be given several times",
    )
    group.addoption(
        "--gradcheck-faults",
        action="append",
        default=[],
        metavar="TARGET",
        help="when the tests have passed, plant faults in the backward passes of a module, package or file, one at a "
        "time and never on disk, and have the same tests catch them; may be given several times",
    )
    group.addoption(
        "--gradcheck-min-score",
        type=float,
        default=100.0,
        metavar="S",
        help="with --gradcheck-faults: how many of a hundred the tests have to catch (default: 100)",
    )
    parser.addini("gradcheck_seed", "as --gradcheck-seed, which is stronger", default="")
    parser.addini("gradcheck_mode", "as --gradcheck-mode, which is stronger", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; refuse settings that cannot be meant before any test runs."""
    config.addinivalue_line("markers", _MARKER)
    _pytest_settings.validate(config)
    config.pluginmanager.register(Recorder(config), "gradcheck-recorder")
    if config.getoption("gradcheck_faults"):
        from gradcheck._pytest_faults import NAME, FaultFinder

        config.pluginmanager.register(FaultFinder(config), NAME)


def pytest_report_header(config: pytest.Config) -> str:
    """Show the seed, so that a failure can be had again."""
    return f"gradcheck: seed {_pytest_settings.base_seed(config)}"


@pytest.fixture
def gradchecker(request: pytest.FixtureRequest) -> GradChecker:
    """Check hand-written derivatives: ``.vjp``, ``.grad``, ``.jvp`` and ``.layer``, as ``gradcheck.check_*``.

    Each returns its Report if that is ok and raises if not; all are listed in the summary.
    """
    from gradcheck._pytest_fixture import GradChecker

    return GradChecker(request.node)


@pytest.hookimpl(tryfirst=True)  # before -k and -m choose, so that they choose among the new items as well
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add one item for each layer found in ``--gradcheck-modules``."""
    if config.getoption("gradcheck_modules"):
        from gradcheck import _pytest_modules

        items.extend(_pytest_modules.collect(session))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse arguments of the marker that it does not have."""
    if item.get_closest_marker("gradcheck"):
        _pytest_settings.validate_markers(item)
