"""Is this hand-written derivative right? The public checks: adapt, check the contract, compare, report."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from gradcheck.adapters.inputs import Wrt
from gradcheck.contract import Findings, examine
from gradcheck.errors import ArgumentError
from gradcheck.evaluate import BudgetSpent, Evaluator, Pass, Vector
from gradcheck.judge import Judge, Tally
from gradcheck.layer import Array, BrokenContract, Layer, Named
from gradcheck.probe import signed
from gradcheck.report import Comparison, Report, Summary, Verdict, Violation
from gradcheck.tolerance import default_rtol

Mode = Literal["auto", "full", "fast"]

FULL_UP_TO = 10_000
"""``mode="auto"`` probes every entry of primals with at most so many entries in all, and projects larger ones."""
MISMATCHES_KEPT = 1000
OTHERS_KEPT = 10


@dataclass(frozen=True)
class Options:
    """The keyword arguments that all checks share, validated."""

    mode: Mode = "auto"
    rtol: float | None = None
    seed: int = 0
    budget: int | None = None
    allow_kinks: bool = True
    contract: bool = True

    def __post_init__(self) -> None:
        """Reject what cannot be meant."""
        if self.mode not in ("auto", "full", "fast"):
            raise ArgumentError(f"mode was {self.mode!r}; expected 'auto', 'full' or 'fast'")
        if self.rtol is not None and not (isinstance(self.rtol, (int, float)) and 0 < self.rtol < 1):
            raise ArgumentError(f"rtol was {self.rtol!r}; expected a number between 0 and 1, or None for the default")
        if isinstance(self.seed, bool) or not isinstance(self.seed, (int, np.integer)) or self.seed < 0:
            raise ArgumentError(f"seed was {self.seed!r}; expected a whole number, 0 or more")
        if self.budget is not None and (not isinstance(self.budget, (int, np.integer)) or self.budget < 1):
            raise ArgumentError(f"budget was {self.budget!r}; expected a number of forward evaluations, 1 or more")

    def written(self) -> str:
        """Return the options that matter for running the check again, as they would be typed."""
        parts = [f"seed={self.seed}"]
        if self.mode != "auto":
            parts.append(f"mode={self.mode!r}")
        if self.rtol is not None:
            parts.append(f"rtol={self.rtol!r}")
        return ", ".join(parts)


def check_vjp(
    f: Callable[..., Any],
    vjp: Callable[..., Any],
    *inputs: Any,
    mode: Mode = "auto",
    rtol: float | None = None,
    wrt: Wrt = None,
    names: Sequence[str] | None = None,
    seed: int = 0,
    budget: int | None = None,
    workers: Any = None,
    allow_kinks: bool = True,
    contract: bool = True,
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
    mode : {"auto", "full", "fast"}
        Every entry, or random projections that are searched where they disagree; auto probes every entry up to
        10,000 of them.
    rtol : float, optional
        Relative tolerance beside the error bar; 1e-6 for float64, 1e-4 for float32, 1e-2 for float16.
    wrt : str, int or iterable of these, optional
        The inputs to differentiate, by name or position; all floating-point ones if left out.
    names : sequence of str, optional
        Names for the inputs; else those of f's parameters.
    seed : int
        Of the random cotangents and directions. Same seed, same report.
    budget : int, optional
        Forward evaluations at most; what is left out is noted.
    workers : int, or an object with ``map`` or ``submit``
        One check runs in one thread; None or 1. (`check_module` spreads checks over workers.)
    allow_kinks : bool
        Accept a legal subgradient at a kink; else such an entry makes the check INCONCLUSIVE.
    contract : bool
        Also check determinism, accumulation and stale caches. Number, shape and dtype of the gradients and mutation
        are always checked.

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
    of steps until the error bar decides. Integers, booleans, and complex inputs have no derivative here.

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
    from gradcheck.adapters.functions import adapt_function  # noqa: PLC0415  # adapters load when used

    options = Options(mode, rtol, seed, budget, allow_kinks, contract)
    _one_worker(workers)
    return check(adapt_function(f, vjp, inputs, names=names, wrt=wrt), options)


def check_jvp(
    f: Callable[..., Any],
    jvp: Callable[..., Any],
    *inputs: Any,
    mode: Mode = "auto",
    rtol: float | None = None,
    wrt: Wrt = None,
    names: Sequence[str] | None = None,
    seed: int = 0,
    budget: int | None = None,
    workers: Any = None,
    allow_kinks: bool = True,
    contract: bool = True,
) -> Report:
    """Check a function's hand-written forward-mode derivative against central differences.

    Parameters
    ----------
    f : callable
        As in `check_vjp`.
    jvp : callable
        ``jvp(tangents, *inputs)`` returns the directional derivative in the structure and shapes of f's output;
        `tangents` is a tuple with one array for each input (zeros for constants).
    *inputs, mode, rtol, wrt, names, seed, budget, workers, allow_kinks, contract
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
    from gradcheck.adapters.functions import adapt_function  # noqa: PLC0415  # adapters load when used

    options = Options(mode, rtol, seed, budget, allow_kinks, contract)
    _one_worker(workers)
    return check(adapt_function(f, jvp, inputs, mode="jvp", names=names, wrt=wrt), options)


def check_grad(
    loss: Callable[[Any], Any],
    grad: Callable[[Any], Any],
    params: Any,
    *,
    mode: Mode = "auto",
    rtol: float | None = None,
    wrt: Wrt = None,
    names: Sequence[str] | None = None,
    seed: int = 0,
    budget: int | None = None,
    workers: Any = None,
    allow_kinks: bool = True,
    contract: bool = True,
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
    mode, rtol, wrt, names, seed, budget, workers, allow_kinks, contract
        As in `check_vjp`. Arrays are named by their path: ``"layer1.W"``, ``"layers[0].b"``; `names` is for a bare
        array only.

    Returns
    -------
    Report

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
    """
    from gradcheck.adapters.mappings import adapt_mapping  # noqa: PLC0415  # adapters load when used

    options = Options(mode, rtol, seed, budget, allow_kinks, contract)
    _one_worker(workers)
    return check(adapt_mapping(loss, grad, params, names=names, wrt=wrt), options)


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
    workers: Any = None,
    allow_kinks: bool = True,
    contract: bool = True,
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
    mode, rtol, wrt, names, seed, budget, workers, allow_kinks, contract
        As in `check_vjp`; `wrt` takes the names of parameters too (``"layer1.W"``, or ``"layer1"`` for all of its).

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
    """
    from gradcheck.adapters.objects import adapt_object  # noqa: PLC0415  # adapters load when used

    options = Options(mode, rtol, seed, budget, allow_kinks, contract)
    _one_worker(workers)
    adapted = adapt_object(
        layer, inputs, names=names, wrt=wrt, loss=loss, targets=targets, accumulates=accumulates
    )
    return check(adapted, options)


def _one_worker(workers: Any) -> None:
    if workers not in (None, 1):
        raise ArgumentError(
            f"workers was {workers!r}; a single check runs in one thread: leave it out here, and give it to check_module,"
            " which spreads checks over workers"
        )


# ---------------------------------------------------------------------- from a layer to a report


class _NotFiniteError(Exception):
    """The outputs at the given inputs are not finite; carries the place."""


def check(layer: Layer, options: Options) -> Report:
    """Check one adapted layer.

    Parameters
    ----------
    layer : Layer
        From an adapter.
    options : Options
        As given by the user.

    Returns
    -------
    Report
    """
    started = time.perf_counter()
    evaluator = Evaluator(layer, layer.primals, options.budget)
    report = _examine_and_compare(layer, options, evaluator)
    written = layer.reproduce
    if written.endswith(")"):
        written = f"{written[:-1]}, {options.written()})"
    return replace(
        report,
        notes=(*layer.notes, *report.notes),
        forward_calls=evaluator.forward_calls,
        backward_calls=evaluator.backward_calls,
        seconds=time.perf_counter() - started,
        seed=int(options.seed),
        reproduce=written,
    )


def _examine_and_compare(layer: Layer, options: Options, evaluator: Evaluator) -> Report:
    rng = np.random.default_rng(options.seed)
    cotangents: Named = {}
    tangents: Named = {}

    def vectors(outputs: Named) -> Named:
        evaluator.remember(outputs)
        _require_outputs(layer, evaluator, outputs)
        cotangents.update(_cotangents(layer, outputs, rng))
        tangents.update({name: signed_like(rng, layer.primals[name]) for name in layer.wrt})
        return cotangents if layer.mode == "vjp" else tangents

    try:
        first = evaluator.run(vectors)
        like = {name: layer.primals[name] for name in layer.wrt}
        expected = like if layer.mode == "vjp" else {name: first.outputs[name] for name in evaluator.names}
        given = cotangents if layer.mode == "vjp" else tangents
        found = examine(evaluator, given, first, expected, thorough=options.contract)
    except _NotFiniteError as place:
        note = f"{place}: nothing can be compared; give inputs at which the output is finite"
        return Report(layer.name, Verdict.INCONCLUSIVE, notes=(note,))
    except BrokenContract as broken:
        violation = Violation(broken.text, broken.kind)
        return Report(layer.name, Verdict.CONTRACT, violations=(violation,))
    except BudgetSpent:
        note = f"budget={options.budget} was spent before anything was compared; a check needs about 20 forwards"
        return Report(layer.name, Verdict.INCONCLUSIVE, notes=(note,))
    if found.violations:
        return Report(
            layer.name, Verdict.CONTRACT, violations=tuple(found.violations), notes=tuple(dict.fromkeys(found.notes))
        )
    return _compare(layer, options, evaluator, first, cotangents, found, rng)


def _require_outputs(layer: Layer, evaluator: Evaluator, outputs: Named) -> None:
    """Refuse outputs that cannot be differentiated, and say where they are not finite."""
    if not evaluator.names:
        listing = ", ".join(f"{name} ({array.dtype})" for name, array in outputs.items()) or "nothing"
        raise ArgumentError(
            f"{layer.name}: the forward returned no floating-point output but {listing}; return floats to differentiate"
        )
    if not layer.cotangent and (len(outputs) > 1 or next(iter(outputs.values())).size != 1):
        shapes = ", ".join(str(array.shape) for array in outputs.values())
        raise ArgumentError(f"{layer.name}: the loss returned shape {shapes}; expected a scalar: sum it or average it")
    for name in evaluator.names:
        bad = np.argwhere(~np.isfinite(outputs[name]))
        if len(bad):
            index = tuple(int(i) for i in bad[0])
            entry = f"{name}[{', '.join(map(str, index))}]" if index else name
            raise _NotFiniteError(f"{entry} is {float(outputs[name][index])} at the given inputs")


def signed_like(rng: np.random.Generator, array: Array) -> Array:
    """Draw signed random numbers in an array's shape and dtype; zeros for what has no derivative."""
    if array.dtype.kind != "f":
        return np.zeros(array.shape)
    return np.asarray(signed(rng, array.shape)).astype(array.dtype)


def _cotangents(layer: Layer, outputs: Named, rng: np.random.Generator) -> Named:
    if not layer.cotangent:
        return {name: np.ones(array.shape, array.dtype) for name, array in outputs.items()}
    return {name: signed_like(rng, array) for name, array in outputs.items()}


def _compare(
    layer: Layer,
    options: Options,
    evaluator: Evaluator,
    first: Pass,
    cotangents: Named,
    found: Findings,
    rng: np.random.Generator,
) -> Report:
    """Compare the numbers: the layer itself, or its float64 twin first where it is of lower precision."""
    wide = _widened(layer, evaluator, first)
    notes = list(found.notes)
    size = sum(layer.primals[name].size for name in layer.wrt)
    fast = options.mode == "fast" or (options.mode == "auto" and size > FULL_UP_TO)
    if options.mode == "auto" and fast:
        notes.append(f"{size:,} entries: judged by random projections, one each primal (mode='full' probes every entry)")
    rtol = options.rtol
    if wide is not None:
        primals = {name: _as_float64(array) for name, array in layer.primals.items()}
        spent = (evaluator.forward_calls, evaluator.backward_calls)
        double = Evaluator(layer, primals, options.budget)
        double.forward_calls, double.backward_calls = spent
        cotangents64 = {name: _as_float64(array) for name, array in cotangents.items()}
        try:
            gradient = _gradient(layer, double, cotangents64)
        except BrokenContract:
            gradient = None
        if gradient is not None and all(array.dtype == np.float64 for array in gradient.values()):
            result = _tallies(layer, options, double, wide, cotangents64, gradient, fast, rtol or default_rtol([]), rng)
            evaluator.forward_calls, evaluator.backward_calls = double.forward_calls, double.backward_calls
            tallies, left_out = result
            low = _low_gradient(layer, evaluator, cotangents, found)
            _compare_low(layer, evaluator, cotangents, low, gradient, tallies, options)
            notes.append(f"differences taken in float64, the {_coarsest(layer)} backward compared with the float64 one")
            return _report(layer, evaluator, tallies, left_out, notes, fast, options)
        evaluator.forward_calls, evaluator.backward_calls = double.forward_calls, double.backward_calls
    gradient = _low_gradient(layer, evaluator, cotangents, found)
    dtypes = [array.dtype for array in gradient.values()] + [layer.primals[name].dtype for name in layer.wrt]
    dtypes += [first.outputs[name].dtype for name in evaluator.names]
    tallies, left_out = _tallies(
        layer, options, evaluator, first, cotangents, gradient, fast, rtol or default_rtol(dtypes), rng
    )
    return _report(layer, evaluator, tallies, left_out, notes, fast, options)


def _as_float64(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _coarsest(layer: Layer) -> np.dtype[Any]:
    return min((layer.primals[name].dtype for name in layer.wrt), key=lambda dtype: dtype.itemsize)


def _widened(layer: Layer, evaluator: Evaluator, first: Pass) -> Pass | None:
    """Run a float32 or float16 layer in float64; None where it is float64 already, or will not have it."""
    if all(array.dtype.itemsize >= 8 for array in layer.primals.values() if array.dtype.kind == "f"):  # noqa: PLR2004  # bytes of a float64
        return None
    double = Evaluator(layer, {name: _as_float64(array) for name, array in layer.primals.items()})
    try:
        done = double.run()
    except Exception:  # noqa: BLE001  # whatever it raises on float64, it was not asked for float64 by the user
        done = None
    evaluator.forward_calls += double.forward_calls - layer.trial_calls[0]
    if done is None or any(
        done.outputs[name].dtype != np.float64 or not np.isfinite(done.outputs[name]).all()
        for name in first.outputs
        if first.outputs[name].dtype.kind == "f"
    ):
        return None
    return done


def _low_gradient(layer: Layer, evaluator: Evaluator, cotangents: Named, found: Findings) -> Named:
    """Return the analytic gradient at the point: the contract's own, or a jvp's columns."""
    if layer.mode == "vjp":
        return found.result
    return _gradient(layer, evaluator, cotangents)


def _gradient(layer: Layer, evaluator: Evaluator, cotangents: Named) -> Named:
    """Return the analytic gradient at the evaluator's moved point."""
    if layer.mode == "vjp":
        result = evaluator.run(cotangents).result or {}
        return {name: np.asarray(result[name]) for name in layer.wrt}
    gradient = {}
    for name in layer.wrt:
        columns = np.zeros(layer.primals[name].shape)
        for index in np.ndindex(columns.shape):
            tangents = {key: np.zeros(layer.primals[key].shape, layer.primals[key].dtype) for key in layer.wrt}
            tangents[name][index] = 1
            pushed = evaluator.run(tangents).result or {}
            columns[index] = sum(
                float(np.sum(np.asarray(pushed[key], np.float64) * cotangents[key])) for key in evaluator.names
            )
        gradient[name] = columns
    return gradient


def _tallies(
    layer: Layer,
    options: Options,
    evaluator: Evaluator,
    first: Pass,
    cotangents: Named,
    gradient: Named,
    fast: bool,
    rtol: float,
    rng: np.random.Generator,
) -> tuple[dict[str, Tally], int]:
    """Judge every primal."""
    evaluator.remember(first.outputs)
    base = evaluator.flatten(first.outputs)
    weights = evaluator.flatten(cotangents)
    judge = Judge(
        evaluator,
        base,
        _output_eps(evaluator, first.outputs),
        weights,
        {name: array.astype(np.float64) if array.dtype.itemsize < 8 else array for name, array in gradient.items()},  # noqa: PLR2004  # bytes
        lambda: _gradient(layer, evaluator, cotangents),
        rtol,
        options.allow_kinks,
        rng,
    )
    shuffled = options.budget is not None
    tallies = {}
    for name in layer.wrt:
        tallies[name] = judge.fast(name) if fast else judge.full(name, shuffled=shuffled)
    return tallies, judge.left_out


def _output_eps(evaluator: Evaluator, outputs: Named) -> Vector:
    parts = [np.full(outputs[name].size, float(np.finfo(outputs[name].dtype).eps)) for name in evaluator.names]
    return np.concatenate(parts) if parts else np.zeros(0)


def _compare_low(
    layer: Layer,
    evaluator: Evaluator,
    cotangents: Named,
    low: Named,
    high: Named,
    tallies: dict[str, Tally],
    options: Options,
) -> None:
    """Compare a low-precision backward with the float64 one that the differences confirmed; changes the tallies.

    A right backward differs by its rounding, which is measured by its change when the point moves by last bits.
    """
    spread: Named | None = None
    for name, tally in tallies.items():
        coarse, fine = low[name].astype(np.float64), high[name]
        rtol = options.rtol or default_rtol([low[name].dtype, layer.primals[name].dtype])
        limit = rtol * np.maximum(np.abs(coarse), np.abs(fine))
        if np.all(np.abs(coarse - fine) <= limit):
            continue
        if spread is None:
            spread = _low_spread(layer, evaluator, cotangents, low)
        eps = float(np.finfo(low[name].dtype).eps)
        rounding = np.minimum(8 * spread[name] + 4 * eps * spread_scale(spread[name]), math.sqrt(eps) * np.abs(fine).max(initial=0.0))
        wrong = ~(np.abs(coarse - fine) <= limit + rounding)
        failing = {c.index for c in tally.comparisons if c.verdict is Verdict.MISMATCH}
        kept = []
        for index in zip(*np.nonzero(wrong), strict=True):
            place = tuple(int(i) for i in index)
            if place in failing or len(kept) > MISMATCHES_KEPT:
                continue
            kept.append(
                Comparison(
                    name,
                    place,
                    float(coarse[place]),
                    float(fine[place]),
                    float(rounding[place]),
                    float(limit[place] + rounding[place]),
                    0.0,
                    Verdict.MISMATCH,
                    f"right in float64, wrong in {low[name].dtype}",
                )
            )
        replaced = {c.index for c in kept}
        tally.comparisons = kept + [c for c in tally.comparisons if c.index not in replaced]


def spread_scale(spread: Array) -> float:
    """Return the typical size of an array of spreads: what an entry that happened not to move may still move by."""
    return float(np.sqrt(np.mean(spread**2))) / 1e-7 if spread.size else 0.0


def _low_spread(layer: Layer, evaluator: Evaluator, cotangents: Named, low: Named) -> Named:
    """Measure the rounding of a low-precision backward by its change under last-bit changes of the point."""
    rng = np.random.default_rng(0)
    saved = {name: array.copy() for name, array in evaluator.point.items()}
    spread = {name: np.zeros(array.shape) for name, array in low.items()}
    try:
        for _ in range(4):
            for name, array in saved.items():
                if array.dtype.kind == "f":
                    eps = float(np.finfo(array.dtype).eps)
                    evaluator.point[name][...] = array * (1 + eps * rng.choice([-1, 1], array.shape))
            with np.errstate(all="ignore"):
                moved = _gradient(layer, evaluator, cotangents)
            for name, array in moved.items():
                change = np.abs(np.asarray(array, np.float64) - low[name])
                spread[name] = np.fmax(spread[name], change)
    finally:
        for name, array in saved.items():
            evaluator.point[name][...] = array
    return spread


# ---------------------------------------------------------------------- from tallies to a report


def _report(
    layer: Layer,
    evaluator: Evaluator,
    tallies: dict[str, Tally],
    left_out: int,
    notes: list[str],
    fast: bool,
    options: Options,
) -> Report:
    """Sum up."""
    summaries = tuple(_summary(name, layer.primals[name].shape, tally) for name, tally in tallies.items())
    everything = [c for tally in tallies.values() for c in tally.comparisons]
    verdict = Verdict.worst(c.verdict for c in everything)
    violations = tuple(
        Violation(f"the gradient of {c.entry} is {c.analytic}, where f is smooth: its slope is {c.numerical:.6g}", "finite", c.name)
        for c in everything
        if c.verdict is Verdict.MISMATCH and not math.isfinite(c.analytic)
    )
    if violations:
        verdict = Verdict.CONTRACT
    kinks = [c for c in everything if c.verdict is Verdict.KINK]
    if kinks:
        notes.append(f"{_count(len(kinks))} on a kink, the first {kinks[0].entry}: {kinks[0].reason.removeprefix('on a kink: ')}")
    if left_out:
        total = sum(summary.entries for summary in summaries)
        notes.append(f"budget={options.budget}: {left_out:,} of {total:,} entries were not probed")
    worst = sorted(everything, key=lambda c: (-c.verdict.severity, -c.excess))
    failing = [c for c in worst if c.verdict is Verdict.MISMATCH][:MISMATCHES_KEPT]
    others = [c for c in worst if c.verdict is not Verdict.MISMATCH][:OTHERS_KEPT]
    return Report(
        name=layer.name,
        verdict=verdict,
        summaries=summaries,
        comparisons=(*failing, *others),
        violations=violations,
        notes=tuple(dict.fromkeys(notes)),
        mode="fast" if fast else "full",
        detection_limit=_detection_limit(everything),
    )


def _count(entries: int) -> str:
    return "1 entry" if entries == 1 else f"{entries:,} entries"


def _summary(name: str, shape: tuple[int, ...], tally: Tally) -> Summary:
    verdict = Verdict.worst(c.verdict for c in tally.comparisons)
    of_worst = [c for c in tally.comparisons if c.verdict is verdict]
    return Summary(
        name=name,
        shape=shape,
        entries=math.prod(shape),
        judged=tally.judged,
        failed=sum(c.verdict is Verdict.MISMATCH for c in tally.comparisons),
        verdict=verdict,
        worst=max(of_worst, key=lambda c: c.excess, default=None),
        forward_calls=tally.forward_calls,
    )


def _detection_limit(comparisons: list[Comparison]) -> float:
    """Return the smallest error of a single entry that would have been seen, whichever entry it is in."""
    judged = [c for c in comparisons if c.verdict in (Verdict.MATCH, Verdict.KINK)]
    if not judged:
        return math.inf
    # an error must exceed what was allowed twice: once for its own part of the tolerance, once for the numerical value
    return max(2 * c.allowed if c.index is not None else 4 * c.allowed for c in judged)
