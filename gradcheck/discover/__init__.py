"""Which layers does a module hold, and what do their checks say? Found by convention, or listed."""

from gradcheck.discover.run import check_module, iter_reports
from gradcheck.discover.search import find_cases

__all__ = ["check_module", "find_cases", "iter_reports"]
