"""Does a check have teeth? Faults are planted in backward passes, and the check has to catch them."""

from gradcheck.faults.facts import Fault, FaultReport, Outcome, Result
from gradcheck.faults.run import check_faults

__all__ = ["Fault", "FaultReport", "Outcome", "Result", "check_faults"]
