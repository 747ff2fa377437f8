"""Are the gradients of an object's inputs and parameters right? `check_layer`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradcheck.adapters.inputs import Wrt
from gradcheck.check.alike import under
from gradcheck.options import Method, Mode, Options
from gradcheck.report import Report


def check_layer(
    layer: Any,
    *inputs: Any,
    loss: Callable[[Any, Any], Any] | None = None,
    targets: Any = None,
    accumulates: bool = False,
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
    pattern: Mapping[str, Any] | None = None,
    reset: Callable[..., Any] | None = None,
) -> Report:
    """Check an object with ``forward`` and ``backward``: the gradients of its inputs and of its parameters.

    Parameters
    ----------
    layer : object
        Copied, never changed. ``forward(*inputs)`` returns the output, ``backward(cotangent)`` the gradients of the
        inputs, and leaves those of the parameters in attributes (``W``/``dW``, ``weight``/``weight_grad``,
        ``params``/``grads`` dicts, nested layers, ...; see `gradcheck.adapters.objects`). A model that owns its loss
        is understood as well: ``loss(X, Y)`` with ``gradients(X, Y)``, or ``backward(targets)``.
    *inputs : array_like
        What forward takes.
    loss : callable, optional
        ``loss(prediction, targets)``, for a model whose ``backward`` takes targets and whose loss lives elsewhere.
    targets : array_like, optional
        For `loss` and ``backward``.
    accumulates : bool
        The layer adds to its gradients with every backward, by design.
    mode, rtol, wrt, names, seed, budget, time_limit, workers, allow_kinks, contract, method, pattern, reset
        As in `check_vjp`; `wrt` takes the names of parameters too (``"layer1.W"``, or ``"layer1"`` for all of its).
        So does `pattern` (``{"layer1.W": matrix}``), with which a model is not taken apart.
        ``reset(layer)``, whose parameter has no default, gets the copy that is checked; ``reset()`` and the layer's
        own methods will do too. Generators that the layer holds, and whole numbers in attributes called ``seed``, need
        none.

    Returns
    -------
    Report

    Raises
    ------
    ArgumentError
        If an argument cannot be used, or how to call the layer cannot be worked out.

    Examples
    --------
    >>> import numpy as np
    >>> import gradcheck
    >>> class Scale:
    ...     def __init__(self):
    ...         self.w, self.dw = np.array([2.0, -1.0]), None
    ...
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x * self.w
    ...
    ...     def backward(self, dout):
    ...         self.dw = (dout * self.x).sum(axis=0)
    ...         return dout * self.w
    >>> report = gradcheck.check_layer(Scale(), np.array([[0.5, 1.5], [-1.0, 2.0]]))
    >>> report.ok, [summary.name for summary in report.summaries]
    (True, ['x', 'w'])

    Dropout is checked under a fixed mask: the generator is put back before each forward.

    >>> class Dropout:
    ...     def __init__(self, p, seed):
    ...         self.p, self.rng = p, np.random.default_rng(seed)
    ...
    ...     def forward(self, x):
    ...         self.mask = (self.rng.random(x.shape) >= self.p) / (1 - self.p)
    ...         return x * self.mask
    ...
    ...     def backward(self, dout):
    ...         return dout * self.mask
    >>> report = gradcheck.check_layer(Dropout(0.5, seed=1), np.array([[0.5, 1.5], [-1.0, 2.0]]))
    >>> report.ok, report.notes
    (True, ('the random state of rng was put back before each forward: a fixed mask is checked',))
    """
    from gradcheck.adapters.objects import adapt_object  # adapters load when used
    from gradcheck.adapters.randomness import Randomness  # as above
    from gradcheck.composed import run_composed  # as above
    from gradcheck.stages import with_stages  # as above

    options = Options(mode, rtol, seed, budget, allow_kinks, contract, method, time_limit, workers, pattern)
    randomness = Randomness(layer, loss, reset=reset, layer=layer)

    def check_stage(stage: Any, given: Sequence[Any], left: int | None) -> Report:
        return check_layer(stage, *given, seed=seed, budget=left, allow_kinks=allow_kinks)

    def work() -> Report:
        keywords = {"names": names, "wrt": wrt, "loss": loss, "targets": targets, "accumulates": accumulates}
        report = run_composed(adapt_object(layer, inputs, **keywords, randomness=randomness), options)
        return with_stages(report, layer, inputs, budget, check_stage)

    return under(randomness, work)
