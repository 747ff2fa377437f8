"""With which arrays can a function be called? Values and shapes guessed from the names of its parameters."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from gradcheck.adapters.calling import is_target_name
from gradcheck.layer import Array, BrokenContract, Layer, Named, is_differentiable, name_outputs

Shapes = Mapping[str, tuple[int, ...]]

SETTINGS: tuple[tuple[re.Pattern[str], Any], ...] = (
    (re.compile(r"^(axis|dim)$"), -1),
    (re.compile(r"^(eps|epsilon|delta_?eps)$", re.I), 1e-5),
    (re.compile(r"^(alpha|slope|negative_slope|leak\w*|lambd\w*|lamb|reg|l2\w*|beta_|momentum)$", re.I), 0.1),
    (re.compile(r"^(delta|threshold|margin|temperature|scale|tau)$"), 1.0),
    (re.compile(r"^(p|rate|keep_prob|drop\w*)$"), 0.5),
    (re.compile(r"^(stride|strides|groups|dilation)$"), 1),
    (re.compile(r"^(pad|padding)$"), 0),
    (re.compile(r"^(k|f|ksize|kernel_size|filter_size|pool_size|pool|size)$"), 2),
    (re.compile(r"^(training|train|is_train\w*)$"), True),
    (re.compile(r"^(activation|act|nonlinearity)$"), "relu"),
    (re.compile(r"^(seed|random_state)$"), 0),
    (re.compile(r"^(bn|ln|gn)_?params?$"), {"mode": "train"}),
    (re.compile(r"^conv_?params?$"), {"stride": 1, "pad": 1}),
    (re.compile(r"^pool_?params?$"), {"pool_height": 2, "pool_width": 2, "stride": 2}),
    (re.compile(r"^dropout_?params?$"), {"mode": "train", "p": 0.5, "seed": 0}),
)
"""Parameters that are settings, not primals, and what they are given where they have no default."""

_WEIGHT = re.compile(r"^(w|u|weights?|kernels?|filters?|theta|w_?[a-z]{0,2}\d*)$", re.I)
_BIAS = re.compile(r"^(b|bias(es)?|b_?[a-z]{0,2}\d*)$", re.I)
_SCALE = re.compile(r"^(gamma|beta)\d*$", re.I)
_STATE = re.compile(r"^(h|c|hidden|state|h_?prev\w*|c_?prev\w*|prev_?h\w*|prev_?c\w*|h_?0|c_?0|prev_state\w*)$", re.I)
_INDEX = re.compile(r"^(idx|ids?|indices|index|token\w*|word\w*|idxs)$", re.I)
_PROBABILITY = re.compile(r"^(a|al|a\d|p|q|y_?hat|y_?pred\w*|pred\w*|prob\w*|output|out|o)$", re.I)
_LOSS = re.compile(r"loss|cost|entropy|mse|mae|bce|nll|hinge|huber|error|sse|rmse|likelihood|(^|_)(ce|xent)(_|$)", re.I)

# Sizes are all different, so that a transposition shows.
_ONE = ((4, 3), (3, 4), (3,), (2, 3, 6, 6), (3, 1), (1, 3), ())
_WITH_WEIGHT: tuple[dict[str, tuple[int, ...]], ...] = (
    {"x": (4, 3), "w": (3, 2), "b": (2,), "h": (4, 2)},
    {"x": (4, 3), "w": (3, 2), "b": (1, 2), "h": (4, 2)},
    {"x": (3, 4), "w": (2, 3), "b": (2, 1), "h": (2, 4)},
    {"x": (4, 3), "w": (2, 3), "b": (2,), "h": (4, 2)},
    {"x": (4, 3), "w": (2, 3), "b": (1, 2), "h": (4, 2)},
    {"x": (3,), "w": (3, 2), "b": (2,), "h": (2,)},
    {"x": (3,), "w": (2, 3), "b": (2,), "h": (2,)},
    {"x": (3, 1), "w": (2, 3), "b": (2, 1), "h": (2, 1)},
    {"x": (4, 3), "w": (3,), "b": (), "h": (4,)},
    {"x": (4, 3), "w": (3, 1), "b": (), "h": (4, 1)},
    {"x": (4, 3), "w": (3, 1), "b": (1,), "h": (4, 1)},
    {"x": (3, 4), "w": (3, 1), "b": (), "h": (1, 4)},
    {"x": (2, 3, 5, 5), "w": (4, 3, 3, 3), "b": (4,), "h": (4,)},
    {"x": (2, 3, 5, 5), "w": (4, 3, 3, 3), "b": (4, 1), "h": (4,)},
    {"x": (2, 5, 5, 3), "w": (3, 3, 3, 4), "b": (1, 1, 1, 4), "h": (4,)},
    {"x": (5, 5), "w": (3, 3), "b": (), "h": (3,)},
    {"x": (7,), "w": (3,), "b": (), "h": (3,)},
    {"x": (4,), "w": (4,), "b": (4,), "h": (4,)},
    {"x": (), "w": (), "b": (), "h": ()},
)
_HIDDEN = 4


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings while values are only being tried: the check itself is not silenced."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def setting(name: str) -> tuple[bool, Any]:
    """Tell whether a parameter is a setting, and what to give for it."""
    return next(((True, value) for pattern, value in SETTINGS if pattern.match(name)), (False, None))


def is_loss_name(name: str) -> bool:
    """Tell whether a function is called like a loss."""
    return bool(_LOSS.search(name))


def role(name: str) -> str:
    """Sort a parameter by name: ``"w"``, ``"b"``, ``"s"`` scale, ``"h"`` state, ``"i"`` index, else ``"x"``."""
    table = (("b", _BIAS), ("h", _STATE), ("s", _SCALE), ("i", _INDEX), ("w", _WEIGHT))
    return next((kind for kind, pattern in table if pattern.match(name)), "x")


def is_recurrent(name: str) -> bool:
    """Tell a weight from hidden state to hidden state by its name: ``Wh``, ``Whh``, ``U``, but not ``Wxh``."""
    rest = name[1:].lower()
    return name in ("U", "u") or "rec" in rest or ("h" in rest and "x" not in rest and "i" not in rest)


def labels(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Draw 0/1 targets; one-hot along the classes (the side of length 3 or less) if there are several.

    Parameters
    ----------
    shape : tuple of int
        Of the targets; class indices if one-dimensional.
    rng : numpy.random.Generator
        Source.

    Returns
    -------
    ndarray of int
        In `shape`.
    """
    if len(shape) == 2 and min(shape) > 1:  # a matrix of several classes
        rows, classes = max(shape), min(shape)
        hot = np.eye(classes, dtype=int)[rng.permutation(np.arange(rows) % classes)]
        return np.asarray(hot if shape == (rows, classes) else hot.T)
    return np.asarray(rng.permutation(np.arange(int(np.prod(shape))) % 2)).reshape(shape)


def shape_ladder(names: Sequence[str], *, loss: bool = False) -> Iterator[dict[str, tuple[int, ...]]]:
    """Give combinations of shapes to try, the most usual first.

    Parameters
    ----------
    names : sequence of str
        The parameters' names.
    loss : bool
        Some of them are predictions and targets.

    Yields
    ------
    dict of str to tuple of int
        A shape for each. Row-major comes before column-major, batches before single examples.

    Examples
    --------
    >>> next(shape_ladder(["X", "W", "b"]))
    {'X': (4, 3), 'W': (3, 2), 'b': (2,)}
    """
    kinds = {name: role(name) for name in names}
    weights = [name for name in names if kinds[name] == "w"]
    if len(weights) > 1 and not loss:
        yield from _numbered(names, kinds)
    if weights and len(names) > 1:
        # A loss over weights is most often that of a single output.
        vectors = [table for table in _WITH_WEIGHT if loss and table["b"] == () and table["x"] == (4, 3)]
        for table in (*vectors, *_WITH_WEIGHT):
            kind = {name: "h" if loss and is_target_name(name) else kinds[name] for name in names}
            yield {name: table.get(kind[name], table["b" if kind[name] == "s" else "x"]) for name in names}
    if "s" in kinds.values():
        for x, s in (
            ((4, 3), (3,)),
            ((4, 3), (1, 3)),
            ((3, 4), (3, 1)),
            ((2, 3, 4, 4), (3,)),
            ((2, 3, 4, 4), (1, 3, 1, 1)),
        ):
            yield {name: s if kinds[name] in "sb" else x for name in names}
    if loss and len(names) > 1:
        first, *rest = _untargeted_first(names)
        pairs = (
            ((4, 3), (4, 3)),
            ((4, 1), (4, 1)),
            ((4,), (4,)),
            ((4, 3), (4,)),
            ((3, 4), (3, 4)),
            ((1, 4), (1, 4)),
            ((), ()),
        )
        for p, t in pairs:
            yield {first: p, **dict.fromkeys(rest, t)}
    for shape in _ONE:
        yield dict.fromkeys(names, shape)
    if len(names) == 2:  # a product of two
        for a, b in (((4, 3), (3, 2)), ((4, 3), (3,)), ((3, 4), (3, 1)), ((4, 3), (4, 1)), ((2, 3), (3, 4))):
            yield dict(zip(names, (a, b), strict=True))


def _untargeted_first(names: Sequence[str]) -> list[str]:
    return sorted(names, key=is_target_name)


def _numbered(names: Sequence[str], kinds: Mapping[str, str]) -> Iterator[dict[str, tuple[int, ...]]]:
    """Shapes for W1, b1, W2, b2, ... and for Wx, Wh, b: chains of layers and recurrent cells."""
    weights = [name for name in names if kinds[name] == "w"]
    biases = [name for name in names if kinds[name] == "b"]
    weights.sort(key=lambda name: re.sub(r"\D", "", name))
    biases.sort(key=lambda name: re.sub(r"\D", "", name))
    if any(kind == "h" for kind in kinds.values()):
        for rows in (True, False):
            shapes: dict[str, tuple[int, ...]] = {}
            for name in names:
                recurrent = is_recurrent(name)
                size = {"x": (5, 3), "h": (5, _HIDDEN), "b": (_HIDDEN,), "s": (_HIDDEN,)}.get(kinds[name])
                size = size or ((_HIDDEN if recurrent else 3), _HIDDEN)
                shapes[name] = size if rows else (size[::-1] if len(size) > 1 else (_HIDDEN, 1))
            yield shapes
    sizes = [3, *[_HIDDEN + i for i in range(len(weights) - 1)], 1]
    for last, vector, rows in (
        (2, True, True),
        (2, False, True),
        (1, True, True),
        (1, False, True),
        (2, False, False),
        (1, False, False),
    ):
        sizes[-1] = last
        shapes = dict.fromkeys((name for name in names if kinds[name] in "xhi"), (5, 3) if rows else (3, 5))
        for i, name in enumerate(weights):
            shapes[name] = (sizes[i], sizes[i + 1]) if rows else (sizes[i + 1], sizes[i])
        for i, name in enumerate(biases):
            n = sizes[min(i, len(weights) - 1) + 1]
            shapes[name] = ((n,) if vector else (1, n)) if rows else (n, 1)
        yield {name: shapes[name] for name in names if name in shapes}


def values(shapes: Shapes, *, loss: bool, seed: int, targets: Sequence[str] = ()) -> Named:
    """Draw values for the shapes.

    Parameters
    ----------
    shapes : dict of str to tuple of int
        From `shape_ladder`.
    loss : bool
        Predictions of a loss lie between 0.1 and 0.9, as probabilities do.
    seed : int
        Of the values.
    targets : sequence of str
        These are integers 0 and 1, and so constants.

    Returns
    -------
    dict of str to ndarray
        Others are normal, of both signs.
    """
    rng = np.random.default_rng(seed)
    drawn: Named = {}
    for name, shape in shapes.items():
        if name in targets or role(name) == "i":
            drawn[name] = labels(shape, rng)
        elif loss and (targets and (_PROBABILITY.match(name) or len(shapes) == len(targets) + 1)):
            drawn[name] = np.asarray(rng.uniform(0.1, 0.9, shape))
        else:
            drawn[name] = np.asarray(rng.normal(size=shape))
    return drawn


def runs(function: Callable[..., Any], inputs: Sequence[Array]) -> bool:
    """Tell whether a function returns finite floating-point numbers at these inputs, without raising."""
    try:
        with quiet():
            result = function(*(np.array(value) for value in inputs))
            result = result[0] if isinstance(result, tuple) and result and _is_messy(result) else result
            outputs = name_outputs(result)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException:  # this is the question; pytest's outcomes are none of Exception's
        return False
    return bool(outputs) and all(
        is_differentiable(value) and value.size and bool(np.isfinite(value).all()) for value in outputs.values()
    )


def _is_messy(result: tuple[Any, ...]) -> bool:
    """Tell a tuple (output, cache) from several outputs: the cache is no array of floats."""
    return not all(isinstance(value, (np.ndarray, float, np.floating)) for value in result) or isinstance(
        result[-1], (tuple, dict)
    )


def fit(make: Callable[[], Layer]) -> int:
    """Tell how well the gradients fit inputs whose shapes were guessed.

    Parameters
    ----------
    make : callable
        Adapts the layer.

    Returns
    -------
    int
        2 where every gradient has its primal's shape, 1 where it runs, 0 where it raises.
    """
    try:
        with quiet():
            layer = make()
            if layer.mode == "jvp":
                return 2
            outputs, derivative = layer({name: value.copy() for name, value in layer.primals.items()})
            if not all(np.isfinite(value).all() for value in outputs.values()):
                return 0
            gradients = derivative({name: np.ones_like(value, dtype=float) for name, value in outputs.items()})
            return 2 if all(np.shape(np.asarray(gradients.get(n))) == layer.primals[n].shape for n in layer.wrt) else 1
    except BrokenContract:
        return 1
    except Exception:  # the check itself will show it
        return 0


def fits_better(inputs: Sequence[Array], before: Sequence[Array], score: int) -> bool:
    """Tell whether inputs at which gradients have the right shapes may replace earlier ones.

    Only a guess of sizes is put right in this way, say ``(1, 2)`` for ``(2,)`` in a bias: with fewer axes
    elsewhere, a sum that is missing over the batch would be right by accident.

    Parameters
    ----------
    inputs, before : sequence of ndarray
        The new inputs, and those at which the derivative gave something (`score` 1) or raised (0).
    score : int
        From `fit`, of those before.

    Returns
    -------
    bool
        True where the first input has as many axes.
    """
    return score == 0 or inputs[0].ndim == before[0].ndim
