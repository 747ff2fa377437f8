"""Does the backward pass keep its contract? Asked before any number is compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.blocks import BLOCK, blocks
from gradcheck.evaluate import BudgetSpent, Evaluator, Pass
from gradcheck.layer import Array, BrokenContract, Layer, Named
from gradcheck.parts import as_double, complex_where, eps_of, is_inexact, number, same
from gradcheck.report import Violation

_LINEAR = 1e-3  # of the largest output: what squares and signs of a tangent do is far more
_UNDERFLOW = 1e3  # of the smallest normal numbers: sums of so many may underflow on the way


@dataclass
class Findings:
    """What the contract's checks found.

    Attributes
    ----------
    violations : list of Violation
        Broken clauses.
    notes : list of str
        What is only unwise.
    result : dict of str to ndarray
        The derivative at the point as arrays; empty where the contract is broken.
    misshapen : dict of str to ndarray
        Those whose shape is wrong, as they came.
    """

    violations: list[Violation] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    result: Named = field(default_factory=dict)
    misshapen: Named = field(default_factory=dict)

    def violate(self, kind: str, name: str, text: str) -> None:
        """Add a broken clause."""
        self.violations.append(Violation(text, kind, name))


def examine(evaluator: Evaluator, vectors: Named, first: Pass, expected: Named, *, thorough: bool = True) -> Findings:
    """Check one derivative's contract.

    Parameters
    ----------
    evaluator : Evaluator
        At the point itself.
    vectors : dict of str to ndarray
        The cotangents (or tangents) that `first` was run with.
    first : Pass
        A forward and backward at the point.
    expected : dict of str to ndarray
        Arrays whose names, shapes and dtypes the derivative's result must have: the primals to differentiate for a
        vjp, the outputs for a jvp.
    thorough : bool
        Also check determinism, accumulation and stale caches, by further calls (``contract=True``).

    Returns
    -------
    Findings
    """
    found = Findings()
    for what in first.changed:
        name, by = what.rsplit(" by ", maxsplit=1)
        found.violate("mutation", name, f"{name} was changed in place by {by}: work on a copy")
    for name, array in _written_all_the_same(evaluator).items():
        text = f"{name} was changed in place, though it was lent read-only (its writeable flag was set): work on a copy"
        found.violate("mutation", name, text)
        evaluator.given[name][...] = array
    returned = list(first.result or {})
    arrays = _arrays(first.result or {}, expected, found, evaluator.layer)
    first.result = None  # the user's own arrays: from here on they would only take up memory
    for name in list(arrays):
        found.result[name] = np.array(arrays.pop(name))
    if found.violations or not thorough:
        return found
    word = "cotangent" if evaluator.layer.mode == "vjp" else "tangent"
    found.notes += [
        f"the gradient of {name} shares memory with the {word}: harmless here, a surprise for whoever changes one"
        for name in first.aliases
        if name in expected
    ]
    found.notes += [
        f"{evaluator.layer.name} returned a gradient for {name!r}, which is no input: ignored"
        for name in returned
        if name not in evaluator.given and evaluator.layer.mode == "vjp"
    ]
    _repeat(evaluator, vectors, first, expected, found)
    if not found.violations and not evaluator.layer.reentrant:
        _second_forward(evaluator, vectors, expected, found)
    return found


def examine_multiple(evaluator: Evaluator, tangents: Named, expected: Named, found: Findings) -> None:
    """Push -2 times the tangents forward; adds to the findings where a jvp does not give -2 times what it gave.

    Columns alone, for which a tangent is 1 in one entry, show no square and no ``abs(t)``. All arithmetic that is
    linear gives the same to the last bit, whatever cancels, but for what underflows. A vjp needs no such question:
    it is compared with differences for a random cotangent, and `claims.rests` asks it where f stands still.

    Parameters
    ----------
    evaluator : Evaluator
        At the point itself.
    tangents : dict of str to ndarray
        Those that gave ``found.result``.
    expected : dict of str to ndarray
        The outputs.
    found : Findings
        So far.
    """
    others = {name: np.asarray(-2 * array) for name, array in tangents.items()}
    pushed = _quiet(evaluator.run(others).result or {}, expected, evaluator.layer)
    for name, array in found.result.items():
        if name not in pushed or pushed[name].shape != array.shape:
            continue
        with np.errstate(all="ignore"):
            wanted = np.asarray(-2 * array)
            gap = np.abs(as_double(pushed[name]) - as_double(wanted))
            some = _LINEAR * np.abs(as_double(wanted)).max(initial=0.0) + _UNDERFLOW * float(np.finfo(array.dtype).tiny)
        if not np.isfinite(gap).all() or gap.max(initial=0.0) <= some:
            continue
        where = tuple(int(i) for i in np.unravel_index(np.argmax(gap), gap.shape))
        values = _values(name, where, wanted, {name: pushed[name]}, "should be", "is")
        text = f"the jvp is not linear in its tangent: for -2 times the tangent {values}"
        found.violate("linearity", name, f"{text}; a derivative takes no square, sign or absolute value of it")
        return


def _written_all_the_same(evaluator: Evaluator) -> Named:
    """Return the primals that are no longer what they were, as they were: a view's flag can be set back by anyone."""
    given = evaluator.layer.primals
    return {name: array for name, array in given.items() if not same(array, evaluator.given[name])}


def _arrays(result: Mapping[str, Any], expected: Named, found: Findings, layer: Layer) -> Named:
    """Turn raw results into arrays, and say which are not what they should be."""
    arrays: Named = {}
    for name, like in expected.items():
        label = _gradient_name(name) if layer.mode == "vjp" else f"the tangent of {name}"
        value = result.get(name)
        if value is None:
            missing = "is missing" if name not in result else "is None"
            remedy = f"return its gradient, zeros if it has none, or leave {name} out with wrt="
            found.violate("count", name, f"{label} {missing}, {name} has shape {like.shape}: {remedy}")
            continue
        try:
            array = np.asarray(value)
        except (TypeError, ValueError) as error:
            found.violate("dtype", name, f"{label} is no array: {error}")
            continue
        if array.dtype.kind == "c" != like.dtype.kind:
            part = "take its real part" if layer.mode == "vjp" else "the output is real, and so is its tangent"
            found.violate("dtype", name, f"{label} has dtype {array.dtype}, {name} has {like.dtype}: {part}")
        elif not is_inexact(array):
            cut = ", integers cut its fraction off" if array.dtype.kind in "iu" else ""
            text = f"{label} has dtype {array.dtype}, {name} has {like.dtype}: a gradient is floating-point{cut}"
            found.violate("dtype", name, text)
        elif array.shape != like.shape:
            advice = shape_advice(array.shape, like.shape)
            if layer.mode == "jvp" and array.shape == (1, *like.shape):
                advice = "jvp gets a tuple with one tangent for each input; take tangents[0]"
            found.misshapen[name] = array
            found.violate("shape", name, f"{label} has shape {array.shape}, {name} has {like.shape}: {advice}")
        else:
            if eps_of(array.dtype) > eps_of(like.dtype):
                found.notes.append(f"{label} has dtype {array.dtype}, {name} has {like.dtype}: precision is lost")
            arrays[name] = complex_where(like, array)
    return arrays


def _gradient_name(name: str) -> str:
    """Return ``"db"`` for ``"b"``, ``"layer1.db"`` for ``"layer1.b"``."""
    head, dot, tail = name.rpartition(".")
    return f"{head}{dot}d{tail}"


def shape_advice(got: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Say in a few words how a gradient of one shape comes to have another.

    Examples
    --------
    >>> shape_advice((4, 3), (1, 3))
    'the sum over the batch axis is missing'
    >>> shape_advice((3, 2), (2, 3))
    'it is transposed'
    """
    aligned = (1,) * (len(got) - len(wanted)) + wanted
    if len(aligned) == len(got):
        axes = [i for i, (g, w) in enumerate(zip(got, aligned, strict=True)) if g != w]
        if axes and all(aligned[i] == 1 for i in axes):
            if axes == [0]:
                return "the sum over the batch axis is missing"
            return f"the sum over axis {axes[0] if len(axes) == 1 else tuple(axes)} is missing"
    squeezed = tuple(n for n in wanted if n != 1)
    if tuple(n for n in got if n != 1) == squeezed:
        return "as many entries in another shape (keepdims=True, or reshape)"
    if len(got) > 1 and got == wanted[::-1]:
        return "it is transposed"
    if len(got) == len(wanted) and sorted(got) == sorted(wanted):
        return "its axes are permuted"
    if got == ():
        return "it was summed over everything"
    lost = len(got) < len(wanted) or (
        len(got) == len(wanted) and any(g == 1 < w for g, w in zip(got, wanted, strict=True))
    )
    if lost and all(n == 1 or n in wanted for n in got):
        return "it was summed over an axis too many"
    return "a gradient has the shape of what it is the gradient of (was it summed over the wrong axis?)"


def _repeat(evaluator: Evaluator, vectors: Named, first: Pass, expected: Named, found: Findings) -> None:
    """Call forward and backward once more in the same way: the same must come out.

    A layer that promises to rely on no cache runs a forward with other inputs in between.
    """
    layer = evaluator.layer
    outputs, raw = _after_another_forward(evaluator, vectors, first) if layer.reentrant else ({}, {})
    between = bool(outputs)
    if not between:
        second = evaluator.run(vectors)
        outputs, raw = second.outputs, second.result or {}
    again = _quiet(raw, expected, layer, found.result)
    for name, array in first.outputs.items():
        where = _differs(array, outputs.get(name))
        if where is not None:
            values = _values(name, where, array, outputs)
            remedy = "put back before each call what the forward changes (a counter, a generator), with reset="
            text = f"two identical forward calls gave different results: {values}; {remedy}"
            found.violate("determinism", name, text)
            return
    differing = {name: where for name, array in found.result.items() if (where := _differs(array, again.get(name)))}
    third, fourth = (
        _quiet(evaluator.run(vectors).result or {}, expected, layer) if differing else {} for _ in range(2)
    )
    for name, where in differing.items():
        array = found.result[name]
        label = _gradient_name(name)
        if between and all(_differs(array, plain.get(name)) is None for plain in (third, fourth)):
            text = "after a forward with other inputs the backward of the earlier call gave something else: "
            remedy = "it relies on what the last forward stored, though it is given its inputs again"
            found.violate(
                "stale",
                name,
                f"{text}{_values(label, where, array, {label: again.get(name)}, 'should be', 'is')}; {remedy}",
            )
        elif _accumulates(array, again.get(name), third.get(name)):
            text = (
                f"{label} grows by the same amount with every backward call: it is accumulated (+=); "
                "assign it, reset it before each backward (zero_grad), or declare it with accumulates=True"
            )
            found.violate("accumulation", name, text)
        else:
            values = _values(label, where, array, {label: again.get(name)})
            found.violate("determinism", name, f"two identical backward calls gave different results: {values}")


def _second_forward(evaluator: Evaluator, vectors: Named, expected: Named, found: Findings) -> None:
    """Run forward and backward elsewhere on a used object and on a fresh one: what the object cached must not show."""
    layer = evaluator.layer
    if layer.fresh is None:
        return
    elsewhere = {name: np.empty_like(array) for name, array in evaluator.given.items()}
    _move_nearby(evaluator.given, elsewhere)
    stale = _at(evaluator, elsewhere, vectors, expected, layer)
    for name, array in _at(evaluator, elsewhere, vectors, expected, layer.fresh()).items():
        where = _differs(array, stale.get(name))
        if where is not None:
            text = "after a second forward the backward does not belong to it: "
            remedy = "it uses what an earlier forward cached (stale)"
            label = _gradient_name(name)
            values = _values(label, where, array, {label: stale.get(name)}, "should be", "is")
            found.violate("stale", name, f"{text}{values}; {remedy}")


def _after_another_forward(evaluator: Evaluator, vectors: Named, first: Pass) -> tuple[Named, Mapping[str, Any]]:
    """Return the outputs at the point, and what their derivative gives after a forward elsewhere."""
    layer = evaluator.layer
    if evaluator.budget is not None and evaluator.forward_calls + 2 > evaluator.budget:
        raise BudgetSpent
    evaluator.forward_calls += 2
    evaluator.backward_calls += 1
    try:
        with np.errstate(all="ignore"):
            outputs, derivative = layer({name: evaluator.lend(array) for name, array in layer.primals.items()})
            outputs = {name: _kept(array, first.outputs.get(name)) for name, array in outputs.items()}
            _move_nearby(layer.primals, evaluator.given)
            layer({name: evaluator.lend(array) for name, array in evaluator.given.items()})
            raw = derivative({name: evaluator.lend(array) for name, array in vectors.items()})
    except Exception:  # the user did not ask for the neighbouring point: nothing can be said there, and nothing is
        return {}, {}
    finally:
        for name, array in layer.primals.items():
            evaluator.given[name][...] = array
    return outputs, raw


def _at(evaluator: Evaluator, primals: Named, vectors: Named, expected: Named, layer: Layer) -> Named:
    """Run forward and backward at another point, through an evaluator of its own so that views stay read-only."""
    other = Evaluator(layer, primals, evaluator.budget, evaluator.deadline)
    other._copies = evaluator._copies  # the same class: what was learnt about this layer
    other.take_calls(evaluator)
    try:
        with np.errstate(all="ignore"):
            return _quiet(other.run(vectors).result or {}, expected, layer)
    except BudgetSpent:
        raise
    except Exception:  # as above
        return {}
    finally:
        evaluator.take_calls(other)


def _kept(array: Array, before: Array | None) -> Array:
    """Return an array that the user's code may use again: the one from before, if that holds the same, or a copy."""
    alike = before is not None and before.shape == array.shape and before.dtype == array.dtype
    return before if before is not None and alike and same(array, before) else np.array(array)


def _move_nearby(point: Named, moved: Named) -> None:
    """Turn arrays into another point, near enough to be in the domain, far enough to be told apart."""
    rng = np.random.default_rng(0)
    for name, array in point.items():
        if not is_inexact(array):
            moved[name][...] = array
            continue
        drawn = rng.uniform(-0.02, 0.02, min(array.size, BLOCK))
        drawn += np.copysign(0.01, drawn) + 1
        there, here = moved[name].ravel(order="K"), array.ravel(order="K")  # views: copies of arrays have no gaps
        for block in blocks(array.size):
            factor = drawn[: block.stop - block.start]
            there[block] = here[block] * factor
            if not here[block].all():
                np.copyto(there[block], np.abs(factor - 1), where=here[block] == 0)


def _quiet(raw: Mapping[str, Any], expected: Named, layer: Layer, before: Named | None = None) -> Named:
    arrays = _arrays(raw, expected, Findings(), layer)
    return {name: _kept(array, (before or {}).get(name)) for name, array in arrays.items()}


def _differs(one: Array, other: Array | None) -> tuple[int, ...] | None:
    """Return the entry where two results differ most, or None where they agree up to reordered rounding."""
    if other is None or one.shape != other.shape:
        return None
    if one is other or np.array_equal(one, other):
        return None
    if not is_inexact(one):
        same = one == other
        worst = None if np.all(same) else int(np.argmin(same))
    else:
        with np.errstate(all="ignore"):
            gap = np.abs(as_double(one) - as_double(other))
        gap = np.where(np.isnan(one) & np.isnan(other) | (one == other), 0.0, gap)
        gap = np.where(np.isnan(gap), np.inf, gap)
        finite = np.abs(one[np.isfinite(one)])
        limit = eps_of(one.dtype) ** (2 / 3) * (float(finite.max()) if finite.size else 1.0)
        worst = int(np.argmax(gap)) if gap.size and gap.max() > limit else None
    return None if worst is None else tuple(int(i) for i in np.unravel_index(worst, one.shape))


def _accumulates(one: Array, two: Array | None, three: Array | None) -> bool:
    if two is None or three is None:
        return False
    first, second = two - one, three - two
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return False
    return bool(np.any(first != 0)) and bool(
        np.allclose(first, second, rtol=1e-3, atol=1e-3 * float(np.abs(first).max()))
    )


def _values(
    name: str, where: tuple[int, ...], one: Array, others: Mapping[str, Any], a: str = "first", b: str = "then"
) -> str:
    other = others[name]
    index = f"[{', '.join(map(str, where))}]" if where else ""
    return f"{name}{index} {a} {number(one[where]):.12g}, {b} {number(other[where]):.12g}"


__all__ = ["BrokenContract", "Findings", "examine", "shape_advice"]
