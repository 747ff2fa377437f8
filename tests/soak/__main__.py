"""What does the soak find at one seed, or at many? ``python -m tests.soak SEED`` prints a seed's reports in full."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence

from gradcheck.report import Report
from tests.soak.outcome import Outcome, Tally, soak, soak_all


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code, 1 if the engine was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("seed", type=int, help="of the first case")
    parser.add_argument(
        "--checks", type=int, default=1, help="how many seeds, from this one on (only faults are printed)"
    )
    parser.add_argument("--digest", action="store_true", help="print one hash a report: same seed, same report")
    asked = parser.parse_args(arguments)
    if asked.digest:
        for seed in range(asked.seed, asked.seed + asked.checks):
            print(seed, *digests(soak(seed)))
        return 0
    if asked.checks == 1:
        outcome = soak(asked.seed)
        print(described(outcome))
        return 1 if outcome.faults else 0
    tally = Tally()
    for seed in range(asked.seed, asked.seed + asked.checks):
        found = soak_all([seed])
        for _, fault in found.faults:
            print(f"seed {seed}: {fault}", flush=True)
        tally.merge(found)
    print("\n".join(("", *tally.complaints(), *tally.summary())))
    return 1 if tally.complaints() else 0


def described(outcome: Outcome) -> str:
    """Return everything about one case as text."""
    case = outcome.case
    lines = [f"seed {case.seed}: {case.title}", ""]
    lines += [f"input {place} {array.dtype} {array.shape}: {array.tolist()}" for place, array in enumerate(case.inputs)]
    lines += ["", "right", str(outcome.right)]
    if outcome.wrong is not None:
        lines += ["", f"with {outcome.corruption}", str(outcome.wrong)]
    lines += [f"\nFAULT: {fault}" for fault in outcome.faults]
    return "\n".join(lines)


def digests(outcome: Outcome) -> list[str]:
    """Return a hash of each report of a case, without its times."""
    return [digest(report) for report in (outcome.right, outcome.wrong) if report is not None]


def digest(report: Report) -> str:
    """Return a hash of all that a report says, bit for bit, but its time."""
    facts = json.loads(report.to_json())
    del facts["seconds"]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main())
