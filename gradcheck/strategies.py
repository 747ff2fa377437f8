"""Which points is a layer to be tried at? Hypothesis strategies for shapes and for arrays that find faults.

Shapes, kinds and seeds are drawn by Hypothesis, the numbers from the seed: drawing is quick whatever the size, and a
failing example still shrinks to something that can be checked by hand, in the end to ones in a 1 by 1 array.
"""

from __future__ import annotations

import math
import operator
import zlib
from collections.abc import Callable, Iterable
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt
from hypothesis import note
from hypothesis import strategies as st

from gradcheck.errors import ArgumentError

__all__ = ["KINDS", "ORDINARY", "PROBABILITIES", "arrays", "labels", "layer_shapes", "sample", "seeds"]

Array = npt.NDArray[Any]
Shape = tuple[int, ...]

ORDINARY = ("ones", "integers", "normal")
"""Kinds of values of size 1, the easiest to check by hand first."""
KINDS = (*ORDINARY, "zeros", "some zeros", "saturated", "tiny", "huge", "mixed")
"""All kinds of signed values, in the order in which failing examples shrink: towards the first."""
PROBABILITIES = ("half", "probabilities", "near 0 and 1")
"""Kinds of values that lie strictly between 0 and 1."""

MAX_SEED = 2**16 - 1


def _signs(rng: np.random.Generator, shape: Shape) -> Array:
    return rng.choice([-1.0, 1.0], shape)


def _mixed(rng: np.random.Generator, shape: Shape, tiny: float, huge: float) -> Array:
    return _signs(rng, shape) * 10 ** rng.uniform(np.log10(tiny), np.log10(huge), shape)


def _near_edges(rng: np.random.Generator, shape: Shape, eps: float) -> Array:
    distance = 10 ** rng.uniform(np.log10(max(4 * eps, 1e-8)), -1, shape)
    return np.where(rng.random(shape) < 0.5, distance, 1 - distance)  # a fair coin


Draw = Callable[[np.random.Generator, Shape, "np.finfo[Any]"], Array]
_DRAW: dict[str, Draw] = {
    "ones": lambda rng, shape, _: np.ones(shape),
    "integers": lambda rng, shape, _: rng.integers(-3, 4, shape).astype(float),
    "normal": lambda rng, shape, _: rng.normal(size=shape),
    "zeros": lambda rng, shape, _: np.zeros(shape),
    "some zeros": lambda rng, shape, _: rng.normal(size=shape) * rng.integers(0, 2, shape),
    "saturated": lambda rng, shape, _: _signs(rng, shape) * rng.uniform(15, 60, shape),
    "tiny": lambda rng, shape, info: rng.normal(size=shape) * _tiny(info),
    "huge": lambda rng, shape, info: rng.normal(size=shape) * _huge(info),
    "mixed": lambda rng, shape, info: _mixed(rng, shape, _tiny(info), _huge(info)),
    "half": lambda rng, shape, _: np.full(shape, 0.5),
    "probabilities": lambda rng, shape, _: rng.uniform(0.05, 0.95, shape),
    "near 0 and 1": lambda rng, shape, info: _near_edges(rng, shape, float(info.eps)),
}


def _tiny(info: np.finfo[Any]) -> float:
    return max(1e-8, 4 * float(info.tiny))  # float16 has no 1e-8


def _huge(info: np.finfo[Any]) -> float:
    return min(1e8, math.sqrt(float(info.max)))  # float16 has no 1e8


def sample(
    shape: SupportsIndex | Iterable[SupportsIndex],
    kind: str = "normal",
    seed: int = 0,
    dtype: npt.DTypeLike = np.float64,
) -> Array:
    """Return the array that a kind and a seed stand for: the same one every time.

    Parameters
    ----------
    shape : int or iterable of int
        Of the array.
    kind : str, optional
        One of `KINDS` (signed values) or `PROBABILITIES` (strictly between 0 and 1):

        =================  ==============================================================
        "ones"             1 everywhere
        "integers"         whole numbers from -3 to 3, zeros among them
        "normal"           normally distributed, of size 1
        "zeros"            exact zeros: on the kink of every ReLU
        "some zeros"       normally distributed, about half of them exact zeros
        "saturated"        15 to 60 in magnitude: a sigmoid runs out of digits
        "tiny"             normally distributed, of size 1e-8 (2.4e-4 in float16)
        "huge"             normally distributed, of size 1e8 (256 in float16)
        "mixed"            every magnitude from tiny to huge side by side
        "half"             0.5 everywhere
        "probabilities"    0.05 to 0.95
        "near 0 and 1"     1e-8 (a few last bits in float32 and float16) to 0.1 from either
        =================  ==============================================================
    seed : int, optional
        0 or more. Different kinds draw different numbers from the same seed.
    dtype : dtype, optional
        A floating one.

    Returns
    -------
    ndarray
        Finite.

    Raises
    ------
    ArgumentError
        If the shape, the kind, the seed or the dtype is not one of those.

    Examples
    --------
    >>> sample((1, 4), "integers", seed=1)
    array([[...]])
    >>> sample((2,), "gaussian")
    Traceback (most recent call last):
    ...
    gradcheck.errors.ArgumentError: kind was 'gaussian'; expected one of 'ones', 'integers', 'normal', ...
    """
    _require_kinds("kind", [kind])
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ArgumentError(f"seed was {seed!r}; expected a whole number, 0 or more")
    info = np.finfo(_as_floating(dtype))
    rng = np.random.default_rng([int(seed), zlib.crc32(kind.encode())])
    return np.asarray(_DRAW[kind](rng, _as_shape(shape), info), info.dtype)


def seeds() -> st.SearchStrategy[int]:
    """Return a strategy for seeds, 0 to 65,535, shrinking towards 0.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(seeds(), lambda seed: seed >= 10)
    10
    """
    return st.integers(0, MAX_SEED)


def layer_shapes(
    *, min_widths: int = 2, max_widths: int = 2, max_batch: int = 8, max_width: int = 6
) -> st.SearchStrategy[Shape]:
    """Return a strategy for a batch size with the widths of one layer, or of several.

    Parameters
    ----------
    min_widths, max_widths : int, optional
        How many widths follow the batch size: 2 for a layer (in and out), 1 for an elementwise function, more for a
        network.
    max_batch, max_width : int, optional
        The largest of each; the smallest is 1.

    Returns
    -------
    SearchStrategy
        Of tuples of int such as ``(batch, features_in, features_out)``, shrinking towards ``(1, 1, 1)``.

    Raises
    ------
    ArgumentError
        If a number is less than 1, or the smaller one larger than the larger.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(layer_shapes(), lambda shape: shape[0] > 1)
    (2, 1, 1)
    """
    given = {"min_widths": min_widths, "max_widths": max_widths, "max_batch": max_batch, "max_width": max_width}
    for name, number in given.items():
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 1:
            raise ArgumentError(f"{name} was {number!r}; expected a whole number, 1 or more")
    if min_widths > max_widths:
        raise ArgumentError(f"min_widths was {min_widths}; expected at most max_widths, which was {max_widths}")
    widths = st.lists(st.integers(1, int(max_width)), min_size=int(min_widths), max_size=int(max_widths))
    return _layer_shapes(st.integers(1, int(max_batch)), widths)


@st.composite  # and not `builds`: failing examples then print the tuple, not how it was put together
def _layer_shapes(draw: st.DrawFn, batch: st.SearchStrategy[int], widths: st.SearchStrategy[list[int]]) -> Shape:
    return (draw(batch), *draw(widths))


def arrays(
    shape: SupportsIndex | Iterable[SupportsIndex] | st.SearchStrategy[Any],
    *,
    kinds: Iterable[str] = KINDS,
    dtype: npt.DTypeLike = np.float64,
) -> st.SearchStrategy[Array]:
    """Return a strategy for floating-point arrays at which wrong derivatives show.

    Parameters
    ----------
    shape : int, iterable of int, or strategy for these
        Of the arrays.
    kinds : iterable of str, optional
        Of `KINDS` or `PROBABILITIES`, as `sample` explains them; failing examples shrink towards the first.
    dtype : dtype, optional
        A floating one.

    Returns
    -------
    SearchStrategy
        Of finite arrays, every one of them equal to ``sample(shape, kind, seed, dtype)`` for some kind and seed, which
        a failing example prints.

    Raises
    ------
    ArgumentError
        If the shape, a kind or the dtype is not one of those, or there are no kinds.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> import gradcheck
    >>> @settings(max_examples=10, deadline=None, database=None)
    ... @given(arrays((2, 3), kinds=ORDINARY))
    ... def test_sin_backward(x):
    ...     gradcheck.check_vjp(np.sin, lambda g, x: g * np.cos(x), x).raise_on_failure()
    >>> test_sin_backward()
    """
    chosen = list(kinds) if not isinstance(kinds, str) else [kinds]
    if not chosen:
        raise ArgumentError("kinds was empty; expected at least one of gradcheck.strategies.KINDS")
    _require_kinds("kinds", chosen)
    floating = _as_floating(dtype)
    shapes = shape if isinstance(shape, st.SearchStrategy) else st.just(_as_shape(shape))
    return _arrays(shapes, st.sampled_from(chosen), floating)


@st.composite
def _arrays(
    draw: st.DrawFn, shapes: st.SearchStrategy[Any], kinds: st.SearchStrategy[str], dtype: np.dtype[Any]
) -> Array:
    shape, kind, seed = draw(shapes), draw(kinds), draw(seeds())
    precision = "" if dtype == np.float64 else f", dtype={dtype.name!r}"
    note(f"drawn: gradcheck.strategies.sample({shape}, {kind!r}, seed={seed}{precision})")  # a repr is cut at 8 digits
    return sample(shape, kind, seed, dtype)


def labels(
    shape: SupportsIndex | Iterable[SupportsIndex] | st.SearchStrategy[Any],
) -> st.SearchStrategy[Array]:
    """Return a strategy for arrays of labels, integers 0 and 1.

    Parameters
    ----------
    shape : int, iterable of int, or strategy for these
        Of the arrays.

    Returns
    -------
    SearchStrategy
        Of integer arrays, which a check takes for constants; shrinking towards zeros.

    Raises
    ------
    ArgumentError
        If the shape is not one.

    Examples
    --------
    >>> from hypothesis import find
    >>> find(labels((1, 2)), lambda y: y.sum() == 1).tolist() in ([[0, 1]], [[1, 0]])
    True
    """
    shapes = shape if isinstance(shape, st.SearchStrategy) else st.just(_as_shape(shape))
    return st.builds(_labels, shapes, seeds())


def _labels(shape: Any, seed: int) -> Array:
    wanted = _as_shape(shape)
    if seed == 0:  # what failing examples shrink to
        return np.zeros(wanted, int)
    return np.random.default_rng(seed).integers(0, 2, wanted)


def _as_shape(shape: Any) -> Shape:
    try:
        sizes = tuple(map(operator.index, shape)) if isinstance(shape, Iterable) else (operator.index(shape),)
    except TypeError:
        sizes = (-1,)
    if min(sizes, default=0) < 0:
        raise ArgumentError(f"shape was {shape!r}; expected whole numbers from 0, e.g. (4, 3)")
    return sizes


def _as_floating(dtype: npt.DTypeLike) -> np.dtype[Any]:
    try:
        result = np.dtype(dtype)
    except TypeError as error:
        raise ArgumentError(f"dtype was {dtype!r}; expected a floating dtype such as numpy.float64") from error
    if result.kind != "f":
        raise ArgumentError(f"dtype was {result}; expected a floating dtype such as numpy.float64")
    return result


def _require_kinds(argument: str, kinds: Iterable[Any]) -> None:
    for kind in kinds:
        if kind not in _DRAW:
            raise ArgumentError(f"{argument} was {kind!r}; expected one of {', '.join(map(repr, _DRAW))}")
