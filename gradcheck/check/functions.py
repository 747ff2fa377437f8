"""Is the hand-written derivative of a function right? `check_vjp` and `check_jvp`, each beside the other if wished."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from gradcheck.adapters.inputs import Wrt
from gradcheck.check.alike import also, under
from gradcheck.options import Method, Mode, Options
from gradcheck.report import Report
from gradcheck.run import run


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
    pattern: Mapping[str, Any] | None = None,
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
    pattern : dict of str to matrix, optional
        Where the Jacobian of an input can be other than zero: ``{"x": matrix}``, dense or of ``scipy.sparse``, with a
        row for each number that f returns (floating-point outputs, flattened) and a column for each entry of the input.
        Columns with no row in common share evaluations. It is verified: where f does not keep to it, a note says which
        entry reaches what, and the check is as without it (see Notes).
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

    A `pattern` is used where every entry is probed, not for projections and complex steps. To see that no entry reaches
    an output beyond it takes about ``log2(k) + 2`` evaluations for each group of k entries that share theirs; one that
    declares too much is merely slower. Without one, which entries reach different outputs is found by probing: for less
    where they do by rows, columns or windows, for an evaluation of each entry elsewhere.

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

    options = Options(mode, rtol, seed, budget, allow_kinks, contract, method, time_limit, workers, pattern)
    randomness = Randomness(f, vjp, jvp, reset=reset)

    def work() -> Report:
        layer = adapt_function(f, vjp, inputs, names=names, wrt=wrt, randomness=randomness)
        if jvp is None:
            return run(layer, options)
        layer = also(layer, jvp=jvp)
        other = adapt_function(f, jvp, inputs, mode="jvp", names=names, wrt=layer.wrt, randomness=randomness)
        return with_transposes(run(layer, options), layer, other, options, second="jvp")

    return under(randomness, work)


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
    pattern: Mapping[str, Any] | None = None,
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
    *inputs, mode, rtol, wrt, names, seed, budget, time_limit, workers, allow_kinks, contract, method, pattern, reset
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

    options = Options(mode, rtol, seed, budget, allow_kinks, contract, method, time_limit, workers, pattern)
    randomness = Randomness(f, jvp, vjp, reset=reset)

    def work() -> Report:
        layer = adapt_function(f, jvp, inputs, mode="jvp", names=names, wrt=wrt, randomness=randomness)
        if vjp is None:
            return run(layer, options)
        other = adapt_function(f, vjp, inputs, names=names, wrt=wrt, randomness=randomness)
        layer = replace(also(layer, vjp=vjp), wrt=other.wrt)
        return with_transposes(run(layer, options), other, layer, options, second="vjp")

    return under(randomness, work)
