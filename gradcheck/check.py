"""Is this hand-written derivative right? The public checks: what the user has goes in, a report comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from gradcheck.adapters.inputs import Wrt, label_of
from gradcheck.errors import ArgumentError
from gradcheck.layer import Layer
from gradcheck.options import Method, Mode, Options
from gradcheck.report import Report
from gradcheck.run import run

if TYPE_CHECKING:
    from gradcheck.adapters.randomness import Randomness


def check_vjp(
    f: Callable[..., Any],
    vjp: Callable[..., Any],
    *inputs: Any,
    jvp: Callable[..., Any] | None = None,
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
    """Check a function's hand-written backward pass against central differences.

    Parameters
    ----------
    f : callable
        ``f(*inputs)`` returns an array, or a tuple, list or dict of arrays; of any shapes.
    vjp : callable
        ``vjp(cotangent, *inputs)`` returns one gradient for each input, each in its input's shape; a bare array for
        one input. The cotangent has the structure and shapes of f's output. Also understood, by their signature:
        ``vjp(*inputs, cotangent)``; a loss gradient ``gradient(*inputs)`` where f is scalar; an elementwise
        derivative ``derivative(x)``; ``backward(cotangent, cache)`` where f returns ``(output, cache)``; and
        ``backward(cotangent)`` that uses what the last forward stored.
    *inputs : array_like
        The point. Copied, never changed. Integer and boolean inputs are constants. float32 inputs mean a float32
        check.
    jvp : callable, optional
        ``jvp(tangents, *inputs)``, as in `check_jvp`. Then ``<J u, v> = <u, J^T v>`` is tested as well, to rounding
        (or to `rtol`, if given), for a few random u and v, and that the jvp is linear: with a right vjp, that is a
        check of the jvp. Where the two take different subgradients at kinks, the jvp is compared with differences
        too, one call for each entry, for up to 10,000 of them. INCONCLUSIVE where nothing could be told of the jvp.
    mode : {"auto", "full", "fast"}
        Every entry, or random projections that are searched where they disagree. Auto probes every entry up to 10,000
        of them, and of more where about a thousand forwards do because many share one; a note says what it chose.
    rtol : float, optional
        Relative tolerance beside the error bar; 1e-6 for float64, 1e-4 for float32, 1e-2 for float16.
    wrt : str, int or iterable of these, optional
        The inputs to differentiate, by name or position; all floating-point ones if left out.
    names : sequence of str, optional
        Names for the inputs; else those of f's parameters.
    seed : int
        Of the random cotangents and directions. Same seed, same report.
    budget : int, optional
        Forward evaluations at most, of all that is checked; what is left out is noted.
    time_limit : float, optional
        Seconds at most, up to the end of the evaluation that is running then; what is left out is noted. What a check
        reaches within it depends on the machine.
    workers : int, or an object with ``submit`` or ``map``, optional
        Who evaluates f, for every entry's first look: so many threads or processes; a `concurrent.futures.Executor`,
        that of mpi4py.futures too; or a ``dask.distributed.Client``. The report is the same, bit for bit (see Notes).
    allow_kinks : bool
        Accept a legal subgradient at a kink; else such an entry makes the check INCONCLUSIVE.
    contract : bool
        Also check determinism, accumulation and stale caches. Number, shape and dtype of the gradients and mutation
        are always checked.
    method : {"central", "complex-step"}
        How single entries are differentiated. ``"complex-step"`` adds ``Im f(x + ih) / h``, exact to rounding where f
        is analytic and computes with complex numbers, so that an `rtol` down to 1e-13 can be asked for. It is taken
        where the central difference confirms it, never alone: where the imaginary part is lost on the way (``abs``,
        ``max``, a cast to real) the central difference decides, and a note says so. Projections do not use it.
    reset : callable, optional
        ``reset()`` is called before each forward, to put back what f changes and gradcheck does not find itself: a
        counter, a generator made on the way. Generators that f holds, closes over or refers to by name need none (see
        Notes).

    Returns
    -------
    Report
        With `Report.verdict`; nothing is raised for a wrong gradient (`Report.raise_on_failure`).

    Raises
    ------
    ArgumentError
        If an argument cannot be used.
    Exception
        Whatever f or vjp raise, with a note that says which call raised it.

    Notes
    -----
    One central difference an entry, weighted with a random cotangent; entries that disagree are measured with a ladder
    of steps until the error bar decides. Integers and booleans are constants.

    Complex numbers are pairs of real ones: with a real loss L behind the outputs, the cotangent of y is
    ``dL/dRe(y) + i dL/dIm(y)`` and the gradient of z is ``dL/dRe(z) + i dL/dIm(z)``, so that ``dL = Re(conj(g) dz)``
    and ``-g`` points downhill. It is PyTorch's convention; JAX's and HIPS autograd's is the conjugate. For a
    holomorphic f it makes the pullback ``v * conj(f'(z))``. Each part of an entry is compared by itself
    (`Comparison.part`).

    Random numbers: the state of every `numpy.random.Generator`, ``RandomState`` or `random.Random` that f draws from
    (``np.random.rand`` too) is put back before each forward, and given back at the end, so that dropout is checked
    under a fixed mask. The backward goes on from where the forward left off: a mask that it draws anew is another one,
    and a MISMATCH. A loss gradient that takes no cotangent starts where the loss does.

    Workers are sent f and its inputs once, then which entries to move, and send back difference quotients. What agrees
    at its first look is settled by that; everything else is evaluated in the calling process, and so is what a worker
    loses. Of a number of workers, threads are taken where two of them evaluate f faster than one does (NumPy lets them,
    in large operations), processes where they do not and can be sent f: it must be importable there, and a script
    guarded by ``if __name__ == "__main__"``. Where f draws random numbers, or `reset` is given, threads are not used;
    else it must bear being called from several. No thread is started for half a second of evaluations, no process for
    two; and nobody works where `budget` or `time_limit` is given, where the method is ``"complex-step"``, or for
    projections. A note says what workers could not do.

    Examples
    --------
    >>> import numpy as np
    >>> import gradcheck
    >>> def sigmoid(z):
    ...     return 1 / (1 + np.exp(-z))
    >>> def sigmoid_backward(da, z):
    ...     return da * z * (1 - z)  # z where a = sigmoid(z) belongs
    >>> report = gradcheck.check_vjp(sigmoid, sigmoid_backward, np.array([[0.3, -1.2]]))
    >>> report.verdict == "mismatch", report.comparisons[0].name
    (True, 'z')
    """
    from gradcheck.adapters.functions import adapt_function  # adapters load when used
    from gradcheck.adapters.randomness import Randomness  # as above
    from gradcheck.transposes import with_transposes  # as above

    options = Options(mode, rtol, seed, budget, allow_kinks, contract, method, time_limit, workers)
    randomness = Randomness(f, vjp, jvp, reset=reset)

    def work() -> Report:
        layer = adapt_function(f, vjp, inputs, names=names, wrt=wrt, randomness=randomness)
        if jvp is None:
            return run(layer, options)
        layer = _also(layer, jvp=jvp)
        other = adapt_function(f, jvp, inputs, mode="jvp", names=names, wrt=layer.wrt, randomness=randomness)
        return with_transposes(run(layer, options), layer, other, options, second="jvp")

    return _under(randomness, work)


def check_jvp(
    f: Callable[..., Any],
    jvp: Callable[..., Any],
    *inputs: Any,
    vjp: Callable[..., Any] | None = None,
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
    """Check a function's hand-written forward-mode derivative against central differences.

    Parameters
    ----------
    f : callable
        As in `check_vjp`.
    jvp : callable
        ``jvp(tangents, *inputs)`` returns the directional derivative in the structure and shapes of f's output;
        `tangents` is a tuple with one array for each input (zeros for constants).
    vjp : callable, optional
        As in `check_vjp`. Then ``<J u, v> = <u, J^T v>`` is tested as well, as there, with the roles exchanged.
    *inputs, mode, rtol, wrt, names, seed, budget, time_limit, workers, allow_kinks, contract, method, reset
        As in `check_vjp`. Every entry costs one call of `jvp` as well.

    Returns
    -------
    Report
        Entries are those of the inputs; outputs are weighted with a random cotangent, so that an error in any one of
        them shows.

    Raises
    ------
    ArgumentError
        If an argument cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> import gradcheck
    >>> gradcheck.check_jvp(np.sin, lambda tangents, x: np.cos(x) * tangents[0], np.array([0.1, 2.0])).ok
    True
    """
    from gradcheck.adapters.functions import adapt_function  # adapters load when used
    from gradcheck.adapters.randomness import Randomness  # as above
    from gradcheck.transposes import with_transposes  # as above

    options = Options(mode, rtol, seed, budget, allow_kinks, contract, method, time_limit, workers)
    randomness = Randomness(f, jvp, vjp, reset=reset)

    def work() -> Report:
        layer = adapt_function(f, jvp, inputs, mode="jvp", names=names, wrt=wrt, randomness=randomness)
        if vjp is None:
            return run(layer, options)
        other = adapt_function(f, vjp, inputs, names=names, wrt=wrt, randomness=randomness)
        layer = replace(_also(layer, vjp=vjp), wrt=other.wrt)
        return with_transposes(run(layer, options), other, layer, options, second="vjp")

    return _under(randomness, work)


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
        layer = _also(layer, order=2, hvp=hvp)
        product = None
        if hvp is not None:
            product = adapt_hvp(loss, grad, hvp, params, names=names, wrt=wrt, randomness=randomness)
            product = replace(product, reproduce=layer.reproduce)
        return run_second_order(layer, product, options)

    return _under(randomness, work)


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
    mode, rtol, wrt, names, seed, budget, time_limit, workers, allow_kinks, contract, method, reset
        As in `check_vjp`; `wrt` takes the names of parameters too (``"layer1.W"``, or ``"layer1"`` for all of its).
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

    options = Options(mode, rtol, seed, budget, allow_kinks, contract, method, time_limit, workers)
    randomness = Randomness(layer, loss, reset=reset, layer=layer)

    def check_stage(stage: Any, given: Sequence[Any], left: int | None) -> Report:
        return check_layer(stage, *given, seed=seed, budget=left, allow_kinks=allow_kinks)

    def work() -> Report:
        keywords = {"names": names, "wrt": wrt, "loss": loss, "targets": targets, "accumulates": accumulates}
        report = run_composed(adapt_object(layer, inputs, **keywords, randomness=randomness), options)
        return with_stages(report, layer, inputs, budget, check_stage)

    return _under(randomness, work)


def _also(layer: Layer, **given: Any) -> Layer:
    """Return a layer whose `reproduce` has further arguments, as they would be typed; those left out are None."""
    values = {key: (label_of(value) or key) if callable(value) else repr(value) for key, value in given.items()}
    written = [f"{key}={values[key]}" for key, value in given.items() if value is not None]
    return replace(layer, reproduce=f"{', '.join([layer.reproduce.removesuffix(')'), *written])})")


def _under(randomness: Randomness, work: Callable[[], Report]) -> Report:
    """Work with the random state put back before each forward, and given back at the end."""
    with randomness:
        report = work()
    return replace(report, notes=(*report.notes, *randomness.notes(report.verdict)))
