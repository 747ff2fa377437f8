"""When do two numbers agree? The one comparison rule, per entry, whatever the array's size."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

RTOL = {"float16": 1e-2, "float32": 1e-4, "float64": 1e-6}
"""Default relative tolerance by dtype: well above the rounding of a right backward, well below any bug."""

MEANINGFUL = 0.1
"""An error bar up to this part of the compared value still tells a right gradient from a wrong one."""


def default_rtol(dtypes: Any) -> float:
    """Return the default relative tolerance of the coarsest of some dtypes.

    Examples
    --------
    >>> import numpy as np
    >>> default_rtol([np.float64, np.float32]), default_rtol([np.complex64])
    (0.0001, 0.0001)
    """
    return max((_rtol(dtype) for dtype in map(np.dtype, dtypes) if dtype.kind in "fc"), default=RTOL["float64"])


@cache
def _rtol(dtype: np.dtype[Any]) -> float:
    return RTOL.get(np.finfo(dtype).dtype.name, RTOL["float64"])


def allowed(analytic: float, numerical: float, error_bar: float, rtol: float) -> float:
    """Return the difference that is accepted: ``rtol * max(|analytic|, |numerical|) + error_bar``.

    Examples
    --------
    >>> allowed(2.0, -4.0, 0.5, 0.25)
    1.5
    """
    return rtol * max(abs(analytic), abs(numerical)) + error_bar


def agree(analytic: float, numerical: float, error_bar: float, rtol: float) -> bool:
    """Tell whether two numbers differ by no more than is `allowed`; never where one of them is not finite.

    Examples
    --------
    >>> agree(1.0, 1.1, 0.0, 0.1), agree(1.0, 1.2, 0.0, 0.1), agree(float("nan"), 0.0, 1.0, 0.1)
    (True, False, False)
    """
    finite = math.isfinite(analytic) and math.isfinite(numerical)
    return finite and abs(analytic - numerical) <= allowed(analytic, numerical, error_bar, rtol)


def meaningful(analytic: float, numerical: float, error_bar: float, scale: float, rtol: float) -> bool:
    """Tell whether an agreement within `error_bar` says anything.

    Parameters
    ----------
    analytic, numerical, error_bar : float
        The comparison.
    scale : float
        The largest magnitude in the array that the entry belongs to. An error below `rtol` times that is none beside
        the others.
    rtol : float
        Relative tolerance.

    Examples
    --------
    >>> meaningful(1.0, 1.0, 1e-3, 1.0, 1e-6), meaningful(1e-9, 0.0, 1e-3, 1.0, 1e-6)
    (True, False)
    >>> meaningful(1e-9, 0.0, 1e-8, 1.0, 1e-6)
    True
    """
    return error_bar <= MEANINGFUL * max(abs(analytic), abs(numerical)) or error_bar <= rtol * scale
