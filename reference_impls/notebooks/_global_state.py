"""How can a notebook seed numpy's global generator? Inside a block that puts the caller's state back."""
# ruff: noqa: NPY002  # the notebooks draw from numpy's global generator

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


@contextmanager
def seeded(seed: int | None) -> Iterator[None]:
    """Seed numpy's global generator for the duration of a block and put the caller's state back afterwards.

    Parameters
    ----------
    seed : int or None
        As for ``numpy.random.seed``; None leaves the generator alone: the block draws from it as any caller
        would.

    Examples
    --------
    >>> state = np.random.get_state()[1].copy()
    >>> with seeded(0):
    ...     print(round(np.random.uniform(), 4))
    0.5488
    >>> bool((np.random.get_state()[1] == state).all())
    True
    """
    if seed is None:
        yield
        return
    state = np.random.get_state()  # the notebooks draw from this generator
    np.random.seed(seed)  # as above
    try:
        yield
    finally:
        np.random.set_state(state)  # as above
