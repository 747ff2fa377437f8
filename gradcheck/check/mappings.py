"""Is the gradient of a loss over a structure of arrays right? `check_grad`, to the second order if wished."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

from gradcheck.adapters.inputs import Wrt
from gradcheck.check.alike import also, under
from gradcheck.errors import ArgumentError
from gradcheck.options import Method, Mode, Options
from gradcheck.report import Report
from gradcheck.run import run


def check_grad(
    loss: Callable[[Any], Any],
    grad: Callable[[Any], Any],
    params: Any,
    *,
    order: Literal[1, 2] = 1,
    hvp: Callable[[Any, Any], Any] | None = None,
    mode: Mode = "auto",
    rtol: float | None = None,
    wrt: Wrt = None,
    names: Sequence[str] | None = None,
    seed: int = 0,
    budget: int | None = None,
    time_limit: float | None = None,
    workers: Any = None,
    allow_kinks: bool = True,
    contract: bool = True,
    method: Method = "central",
    reset: Callable[..., Any] | None = None,
) -> Report:
    """Check the hand-written gradient of a scalar loss against central differences.

    Parameters
    ----------
    loss : callable
        ``loss(params)`` returns a scalar.
    grad : callable
        ``grad(params)`` returns the gradient in the structure of `params`.
    params : array_like, or a (nested) dict, list, tuple or dataclass of arrays
        The point. Copied, never changed.
    order : {1, 2}
        2 checks the gradient to first order around the point as well, for those who differentiate it again: also at
        two points beside it, one step of 1 % of each entry to both sides along a random direction. A gradient that is
        right at the point only (constants computed once, a term that vanishes there) shows. Three times the cost. A
        point beside where `loss` raises or is not finite is left out, with a note; what `grad` raises is raised.
    hvp : callable, optional
        ``hvp(params, tangent)`` returns the Hessian times the tangent, both in the structure of `params`, as SciPy's
        ``hessp``. With ``order=2``: it is checked to be the derivative of `grad`, at the cost of another check whose
        forward is `grad`.
    mode, rtol, wrt, names, seed, budget, time_limit, workers, allow_kinks, contract, method, reset
        As in `check_vjp`. Arrays are named by their path: ``"layer1.W"``, ``"layers[0].b"``; `names` is for a bare
        array only.

    Returns
    -------
    Report
        With ``order=2`` a report of reports, whose comparisons are named ``"W"`` for the gradient, ``"nearby W"`` for
        the points beside, and ``"H v of W"`` for `hvp`.

    Raises
    ------
    ArgumentError
        If an argument cannot be used, or the loss is not scalar.

    Examples
    --------
    >>> import numpy as np
    >>> import gradcheck
    >>> params = {"W": np.array([[1.0, -2.0]]), "b": np.array([0.5])}
    >>> def loss(p):
    ...     return np.sum(p["W"] ** 2) + np.sum(p["b"] ** 3)
    >>> gradcheck.check_grad(loss, lambda p: {"W": 2 * p["W"], "b": 3 * p["b"] ** 2}, params).ok
    True

    Its Hessian-vector product too:

    >>> def hvp(p, v):
    ...     return {"W": 2 * v["W"], "b": 3 * p["b"] * v["b"]}  # 6, not 3
    >>> report = gradcheck.check_grad(
    ...     loss, lambda p: {"W": 2 * p["W"], "b": 3 * p["b"] ** 2}, params, order=2, hvp=hvp
    ... )
    >>> report.verdict == "mismatch", report.comparisons[0].entry
    (True, 'H v of b[0]')
    """
    from gradcheck.adapters.mappings import adapt_hvp, adapt_mapping  # adapters load when used
    from gradcheck.adapters.randomness import Randomness  # as above
    from gradcheck.second_order import run_second_order  # as above

    options = Options(mode, rtol, seed, budget, allow_kinks, contract, method, time_limit, workers)
    if isinstance(order, bool) or order not in (1, 2):
        raise ArgumentError(f"order was {order!r}; expected 1 (the gradient) or 2 (around the point, and hvp, as well)")
    if hvp is not None and order == 1:
        raise ArgumentError("hvp was given, but order=1 checks the gradient alone; give order=2")
    randomness = Randomness(loss, grad, hvp, reset=reset)

    def work() -> Report:
        layer = adapt_mapping(loss, grad, params, names=names, wrt=wrt, randomness=randomness)
        if order == 1:
            return run(layer, options)
        layer = also(layer, order=2, hvp=hvp)
        product = None
        if hvp is not None:
            product = adapt_hvp(loss, grad, hvp, params, names=names, wrt=wrt, randomness=randomness)
            product = replace(product, reproduce=layer.reproduce)
        return run_second_order(layer, product, options)

    return under(randomness, work)
