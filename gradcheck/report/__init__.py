"""The facts a check found, and their rendering; nothing here decides anything."""

from gradcheck.report.facts import Comparison, Explanation, Report, Summary, Verdict, Violation

__all__ = ["Comparison", "Explanation", "Report", "Summary", "Verdict", "Violation"]
