"""Is it a right pullback of a wrong cotangent? Ignored, applied twice, shifted, without an outer factor."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from gradcheck.evaluate import BudgetSpent
from gradcheck.explain.evidence import Evidence, Guess, sigmoid
from gradcheck.explain.factors import plain
from gradcheck.explain.order import shifted
from gradcheck.explain.repeats import REPEATED
from gradcheck.layer import Array, Named

_ENOUGH = 3  # directions on which a prediction is tested
_SLICES = 12  # along axes of so few the contributions of single slices are looked at
_SAME = 1e-9
_CLOSE = 1e-5  # weights so near a half or a whole number are it


def homogeneity(e: Evidence) -> Iterator[Guess]:
    """Suspect that the cotangent is ignored, or applied twice: seen by doubling it, and by leaving it out."""
    if not e.cotangents or not np.any(np.abs(e.numerical[e.known]) > e.bars[e.known]):
        return
    doubled = _pulled(e, {name: 2 * array for name, array in e.cotangents.items()})
    if doubled is None:
        return
    size = _SAME * float(np.max(np.abs(e.analytic)))
    for power, name, text in (
        (0, "cotangent ignored", "the cotangent is ignored: the gradient is the same whatever comes from above"),
        (2, "cotangent twice", "the cotangent is applied twice: the gradient grows with its square"),
    ):
        if np.all(np.abs(doubled - 2**power * e.analytic) <= size) and size:
            yield Guess(name, text, e.analytic, proof=10.0)
            return
    nothing, own = _pulled(e, {name: 0 * array for name, array in e.cotangents.items()}), e.values[e.name]
    if nothing is None or not np.any(nothing) or own.shape != e.shape:
        return
    ratio = float(np.sum(nothing * own) / max(float(np.sum(own * own)), 1e-300))
    text = f"a term {plain(ratio)} * {e.name} too many, which does not depend on the cotangent: weight decay?"
    if np.allclose(nothing, ratio * own, rtol=1e-9, atol=0):
        yield Guess("term", text, e.numerical + ratio * own, fitted=1)


def other_cotangent(e: Evidence) -> Iterator[Guess]:
    """Suspect that the gradient is that of another cotangent: rearranged, or without a factor of the output."""
    sketch = e.sketched(_ENOUGH) if e.cotangents else None
    if sketch is None:
        return
    _, slopes = sketch
    for name, text, weights in _weights(e):
        flat = e.measure.evaluator.flatten(weights)
        if np.isfinite(flat).all():
            yield e.along(name, text, slopes @ flat, odds=1.5)


def _weights(e: Evidence) -> Iterator[tuple[str, str, Named]]:
    """Yield what may have been taken for the cotangent."""
    given = e.cotangents
    yield "cotangent ignored", "the cotangent is ignored: ones stand in its place", _each(given, np.ones_like)
    yield "cotangent twice", "the cotangent is applied twice", _each(given, lambda v: v * v)
    yield "cotangent", "the sign of the cotangent alone is used", _each(given, np.sign)
    names = list(given)
    for one in names if len(names) > 1 else ():
        without = {name: 0 * v if name == one else v for name, v in given.items()}
        yield "output left out", f"the cotangent of {one} is left out", without
    for one in names if len(names) > 2 else ():
        alone = {name: v if name == one else 0 * v for name, v in given.items()}
        yield "output left out", f"only the cotangent of {one} is used", alone
    if len(names) == 2 and given[names[0]].shape == given[names[1]].shape:
        both = dict(zip(names, reversed(given.values()), strict=True))
        yield "exchanged", "the cotangents of the two outputs are exchanged", both
    if e.output is None or e.cotangent is None:
        return
    (name,), v, y = names, e.cotangent, e.output
    for text, factor in _output_factors(y):
        yield "outer factor", text, {name: v * factor}
    if y.ndim == 2 and y.shape[0] == y.shape[1]:
        yield "cotangent moved", "the cotangent is used transposed", {name: v.T}
    for axis in range(y.ndim):
        if y.shape[axis] < 2:
            continue
        along = f"along axis {axis}"
        yield "cotangent moved", f"the cotangent is used flipped {along}", {name: np.flip(v, axis)}
        for by in (1, -1):
            text = f"the cotangent is used shifted by one {along}: an index, a padding or a stride is off by one"
            yield "cotangent moved", text, {name: shifted(v, by, axis)}
            yield "cotangent moved", text, {name: np.roll(v, by, axis)}
        total, mean = v.sum(axis, keepdims=True), v.mean(axis, keepdims=True)
        for what, values in (
            (f"the cotangent is summed {along} before it is used", total),
            (f"the cotangent is averaged {along} before it is used", mean),
            (f"the mean of the cotangent {along} is taken off it", v - mean),
        ):
            yield "cotangent", what, {name: np.broadcast_to(values, v.shape)}


def _output_factors(y: Array) -> Iterator[tuple[str, Array]]:
    """Yield what a wrong factor of an activation at the end does to the cotangent, as far as the output tells it.

    Without the factor of a ReLU, what is wrong lies where nothing passes: that is seen in the gradient itself.
    """
    with np.errstate(all="ignore"):
        for name, right, factor, z in (
            ("sigmoid", "a * (1 - a)", y * (1 - y), np.log(y / (1 - y))),
            ("tanh", "(1 - a**2)", 1 - y**2, np.arctanh(y)),
            ("exp", "a", y, np.log(y)),
        ):
            yield f"the factor {right} of the {name} at the end is missing (a: the output)", 1 / factor
            for wrong, values in (
                ("z * (1 - z)", z * (1 - z)),
                ("(1 - z**2)", 1 - z**2),
                ("a", y),
                ("z", z),
                ("(1 - a)", 1 - y),
                ("a * (1 - a)", y * (1 - y)),
                ("(1 - a**2)", 1 - y**2),
                ("sigmoid(a) * (1 - sigmoid(a))", sigmoid(y) * (1 - sigmoid(y))),
                ("(1 - tanh(a)**2)", 1 - np.tanh(y) ** 2),
                (f"({right})**2", factor**2),
            ):
                if wrong != right:
                    legend = f"(a: the output, z: before the {name})"
                    yield f"{wrong} in place of {right} in the {name} at the end {legend}", values / factor


def slices(e: Evidence) -> Iterator[Guess]:
    """Suspect that what comes through some slices of the output is missing, or has another weight."""
    if e.output is None or e.output.size < 2 or not e.cotangents:
        return
    for axis, length in enumerate(e.output.shape):
        if not 2 <= length <= _SLICES:
            continue
        count = length + _ENOUGH
        sketch = e.sketched(count)
        if sketch is None:
            return
        along, slopes = sketch
        weighted = (slopes * e.measure.weights).reshape(count, *e.output.shape)
        parts = np.moveaxis(weighted, axis + 1, 1).reshape(count, length, -1).sum(axis=2)
        size = np.max(np.abs(parts), axis=0)
        if not np.all(size):
            continue
        solution, _, rank, _ = np.linalg.lstsq(parts / size, along, rcond=1e-9)
        if rank < length:
            continue
        weights = solution / size
        halves = np.round(2 * weights) / 2
        off = np.flatnonzero(halves != 1)
        number = float(halves[off[0]]) if off.size else 1.0
        if np.any(np.abs(weights - halves) > _CLOSE) or not off.size or np.any(halves[off] != number):
            continue
        names = [
            f"{e.output_name}[{', '.join(':' if a != axis else str(i) for a in range(e.output.ndim))}]" for i in off
        ]
        text = f"what comes through {_listed(names)} has {plain(number)} times its weight"
        if not number:
            text = f"what comes through {_listed(names)} is left out"
        if not number and len(off) == length - 1:
            (kept,) = np.flatnonzero(halves == 1)
            text = f"only what comes through slice {kept} along axis {axis} of the output is in it: a sum is missing"
        yield e.along(*(_overwritten(e, off, axis) or ("part left out", text)), parts @ halves, odds=3)


def _overwritten(e: Evidence, left_out: Array, axis: int) -> tuple[str, str] | None:
    """Return what it is called where just those slices are left out whose index in some primal comes once more."""
    for name, index in e.values.items():
        if index.dtype.kind in "iu" and index.ndim == 1 and axis == 0:
            again = [i for i, value in enumerate(index) if value in index[i + 1 :]]
            if again == left_out.tolist():
                return "repeats", REPEATED.format(name)
    return None


def _listed(names: list[str]) -> str:
    return " and ".join(names) if len(names) < 3 else f"{names[0]} and {len(names) - 1} others"


def not_transposed(e: Evidence) -> Iterator[Guess]:
    """Suspect that the backward applies the forward's own linear map to the cotangent, not its transpose."""
    v = e.cotangent
    if not e.cotangents or v is None or v.size != e.analytic.size or v.dtype.kind != "f" or v.size < 2:
        return
    pushed = e.measure.slope({e.name: v.astype(np.float64).reshape(e.shape)})
    if np.isfinite(pushed).all():
        text = (
            "the cotangent goes through the layer as the input does, not the other way: a transpose, a flip, a reversed"
            " sum or an inverse permutation is missing"
        )
        yield Guess("not transposed", text, pushed.reshape(e.shape), odds=2)


def independent(e: Evidence) -> Iterator[Guess]:
    """Suspect that slices along an axis shared with the output are treated as if they did not depend on each other."""
    if e.output is None or not e.cotangents or e.output.size < 2 or not np.isfinite(e.analytic).all():
        return
    weights = e.measure.weights
    axes = [(a, b) for a in range(e.analytic.ndim) for b in range(e.output.ndim) if e.shape[a] == e.output.shape[b]]
    for axis, other in axes:
        length = e.shape[axis]
        if not 2 <= length <= _SLICES:
            continue
        said, found, right = [], [], []
        for k in range(_ENOUGH - 1):
            whole, slope = e.measure.sketch(e.name, k)
            total = 0.0
            for i in range(length):
                moved = np.zeros(e.shape)
                place = (slice(None),) * axis + (i,)
                moved[place] = whole[place]
                own = (e.measure.slope({e.name: moved}) * weights).reshape(e.output.shape)
                total += float(np.take(own, i, other).sum())
            said.append(total)
            found.append(float(np.sum(e.analytic * whole)))
            right.append(float(slope @ weights))
        text = (
            f"steps along axis {axis} of {e.name} are treated as if the output of each depended on its own input alone:"
            " the path from one to the next (recurrent, mean, normalisation) is missing"
        )
        yield Guess("independent", text, np.array(said), np.array(found), np.array(found) - np.array(right), odds=1.5)


def _each(given: Named, change: Callable[[Array], Array]) -> Named:
    return {name: change(array) for name, array in given.items()}


def _pulled(e: Evidence, cotangents: Named) -> Array | None:
    """Call the backward with another cotangent; None where it raises."""
    if e.measure.pull is None:
        return None
    try:
        with np.errstate(all="ignore"):
            found = e.measure.pull(cotangents)[e.name]
    except BudgetSpent:
        raise
    except Exception:  # the check has seen it work with its own cotangent: another one is our own idea
        return None
    return found if np.isfinite(found).all() else None
