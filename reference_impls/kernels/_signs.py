"""How are signs moved without a slow loop? As bits: copysign takes as long as an exp, an and next to nothing."""

from __future__ import annotations

import numpy as np

from reference_impls.kernels._blocks import Array

__all__ = ["MANY", "negative_magnitude", "signed"]

MANY = 2**10
"""Numbers from which on it pays to look at their bits."""
_BITS = {np.dtype(f): u for f, u in ((np.float16, np.uint16), (np.float32, np.uint32), (np.float64, np.uint64))}
_SIGN = {u: np.array(-0.0, f).view(u)[()] for f, u in _BITS.items()}


def negative_magnitude(z: Array, out: Array) -> None:
    """Put ``-abs(z)`` into `out`, which may be `z`.

    Examples
    --------
    >>> out = np.empty(2000)
    >>> negative_magnitude(np.linspace(-1, 1, 2000), out)
    >>> float(out[0]), float(out[-1])
    (-1.0, -1.0)
    """
    bits = _bits(z, out)
    if bits is None:
        np.absolute(z, out)
        np.negative(out, out)
    else:
        np.bitwise_or(z.view(bits), _SIGN[bits], out.view(bits))


def signed(magnitude: Array | float, z: Array, out: Array) -> None:
    """Put a magnitude, not negative itself, with the sign of `z` into `out`, which may be `z` but not the magnitude.

    Examples
    --------
    >>> out = np.empty(2000)
    >>> signed(0.5, np.linspace(-1, 1, 2000), out)
    >>> float(out[0]), float(out[-1])
    (-0.5, 0.5)
    """
    bits = _bits(z, out)
    if bits is None:
        np.copysign(magnitude, z, out)
    else:
        result = out.view(bits)
        np.bitwise_and(z.view(bits), _SIGN[bits], result)
        np.bitwise_or(result, np.asarray(magnitude, z.dtype).view(bits), result)


def _bits(z: Array, out: Array) -> type[np.unsignedinteger] | None:
    """Return the type of the numbers' bits, or None where they are not looked at."""
    return _BITS.get(z.dtype) if out.size >= MANY and z.dtype == out.dtype else None
