"""How is a long array gone through? In blocks so short that what is computed on the way stays in the processor's cache.

Memory that is touched for the first time costs more than the arithmetic: for a million numbers each temporary array
takes as long as a cheap forward.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcheck.layer import Array

BLOCK = 1 << 13
"""So many numbers; for products of more, BLAS starts threads, and waits for them on a busy machine."""


def blocks(size: int) -> Iterator[slice]:
    """Return the blocks of so many numbers.

    Examples
    --------
    >>> [(block.start, block.stop) for block in blocks(BLOCK + 1)]
    [(0, 8192), (8192, 8193)]
    """
    return (slice(start, min(start + BLOCK, size)) for start in range(0, size, BLOCK))


def in_blocks(array: Array) -> Iterator[Array]:
    """Return an array's numbers, block by block."""
    flat = array.reshape(-1)
    return (flat[block] for block in blocks(flat.size))


def products(one: Array, other: Array) -> Iterator[Array]:
    """Return the products of two arrays' numbers, block by block."""
    return map(np.multiply, in_blocks(one), in_blocks(other))


def dot(one: Array, other: Array) -> float:
    """Return the sum of the products of two arrays' numbers.

    Examples
    --------
    >>> dot(np.ones((100, 100)), np.full((100, 100), 2.0))
    20000.0
    """
    return float(sum(map(np.dot, in_blocks(one), in_blocks(other))))


def largest(array: Array) -> float:
    """Return the largest magnitude in an array, NaN if it holds one; 0 for an empty one."""
    return float(np.maximum(array.max(), -array.min())) if array.size else 0.0
