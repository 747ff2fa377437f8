"""Which seeds does a run check, and how many? From the environment, the same in every worker."""

from __future__ import annotations

import os
import secrets
import zlib

SHORT = 200  # checks where nobody asked for a number: seconds
CHUNK = 25  # checks in one test: small enough to spread over workers, large enough not to count
FIXED = 20_261  # the start of the short run: what stands between a change and its landing has to be red twice

_NEW = secrets.randbelow(10**9)


def checks() -> int:
    """Return how many checks the run makes: ``GRADCHECK_SOAK_CHECKS``, or a short one."""
    return max(1, int(os.environ.get("GRADCHECK_SOAK_CHECKS", SHORT)))


def start() -> int:
    """Return the run's first seed: ``GRADCHECK_SOAK_SEED``; for the short run always the same one; else a new one.

    xdist's workers must all draw the same new one: it is made of the identifier that xdist gives to a run.
    """
    given = os.environ.get("GRADCHECK_SOAK_SEED")
    if given:
        return int(given)
    if not os.environ.get("GRADCHECK_SOAK_CHECKS"):
        return FIXED
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    return zlib.crc32(run.encode()) if run else _NEW


def chunks() -> list[int]:
    """Return the numbers of the chunks; they are the tests' names, which do not change with the start."""
    return list(range(-(-checks() // CHUNK)))


def of_chunk(number: int) -> range:
    """Return the seeds of a chunk."""
    first = start() + number * CHUNK
    return range(first, min(first + CHUNK, start() + checks()))
