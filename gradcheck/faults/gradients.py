"""Are two gradients the same? Compared to rounding, at a case's own point and at many around it."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.case import Case
from gradcheck.faults.layers import layers_of
from gradcheck.layer import Array, Layer, Named, is_differentiable

__all__ = ["Gradient", "Gradients", "gradients", "same", "vectors_for"]

_SCALES = (0.0, *(10.0**power for power in (-3, -1, 0, 1, 3) for _ in range(8)))
"""How far the points are from the case's own, each in another direction: near ones share its branches, and far ones are
where exponentials overflow and activations saturate."""
_ROUNDING = 64  # units in the last place; as many as a sum of that many terms in another order may cost

Gradient = dict[str, Array] | str
"""By name; or what was raised in its place."""


@dataclass(frozen=True, eq=False)
class Gradients:
    """The gradients of one case: at its own point, and at the others."""

    here: list[Gradient]
    around: list[Gradient]


def gradients(case: Case) -> Gradients:
    """Evaluate a case's gradient at its own point and at many around it, the same at every call.

    Parameters
    ----------
    case : Case
        Whose layers to differentiate.

    Returns
    -------
    Gradients
        Of each layer.
    """
    here: list[Gradient] = []
    around: list[Gradient] = []
    with layers_of(case) as layers, np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for layer in layers:
            rng = np.random.default_rng(zlib.crc32(case.name.encode()))
            for scale in _SCALES:
                (around if scale else here).append(_gradient(layer, _moved(layer, scale, rng), rng))
    return Gradients(here, around)


def _moved(layer: Layer, scale: float, rng: np.random.Generator) -> Named:
    return {
        name: array + (scale * _normal(array, rng)).astype(array.dtype)
        if scale and name in layer.wrt and is_differentiable(array)
        else array.copy()
        for name, array in layer.primals.items()
    }


def _normal(array: Array, rng: np.random.Generator) -> Array:
    real = np.asarray(rng.normal(size=array.shape))
    return real + 1j * rng.normal(size=array.shape) if np.iscomplexobj(array) else real


def _gradient(layer: Layer, primals: Named, rng: np.random.Generator) -> Gradient:
    try:
        outputs, derivative = (layer.fresh() if layer.fresh else layer)(primals)
        vectors = vectors_for(layer, primals, outputs, rng)
        return {name: np.array(value) for name, value in derivative(vectors).items()}
    except Exception as error:  # it counts as what is returned there
        return type(error).__name__


def vectors_for(layer: Layer, primals: Named, outputs: Named, rng: np.random.Generator) -> Named:
    """Draw what a layer's derivative is called with: cotangents, or tangents; 1 for a loss that takes none."""
    like = outputs if layer.mode == "vjp" else {name: primals[name] for name in layer.wrt}
    return {
        name: _normal(array, rng).astype(array.dtype) if layer.cotangent else np.ones_like(array)
        for name, array in like.items()
        if is_differentiable(array)
    }


def same(these: Sequence[Gradient], those: Sequence[Gradient]) -> bool:
    """Tell whether gradients are the same, to rounding.

    Parameters
    ----------
    these, those : sequence of Gradient
        As `gradients` returns them.

    Examples
    --------
    >>> one = {"x": np.array([1.0, 1e3])}
    >>> same([one], [{"x": one["x"] * (1 + 1e-15)}]), same([one], [{"x": one["x"] * (1 + 1e-12)}])
    (True, False)
    """
    return len(these) == len(those) and all(map(_same, these, those))


def _same(this: Gradient, that: Gradient) -> bool:
    if isinstance(this, str) or isinstance(that, str):
        return isinstance(this, str) and this == that
    return this.keys() == that.keys() and all(_close(this[name], that[name]) for name in this)


def _close(this: Any, that: Any) -> bool:
    if this.shape != that.shape or this.dtype != that.dtype or this.dtype.kind not in "fc":
        return this.shape == that.shape and this.dtype == that.dtype and bool(np.all(this == that))
    finite = np.isfinite(this) & np.isfinite(that)
    if not np.array_equal(this[~finite], that[~finite], equal_nan=True):
        return False
    largest = max(np.abs(this[finite]).max(initial=0.0), np.abs(that[finite]).max(initial=0.0))
    # Terms that cancel leave the rounding of the largest: an entry is as exact as the array, if not as itself.
    allowed = _ROUNDING * np.finfo(this.dtype).eps * np.abs(this[finite]) + 4 * np.finfo(this.dtype).eps * largest
    return bool(np.all(np.abs(this[finite] - that[finite]) <= allowed))
