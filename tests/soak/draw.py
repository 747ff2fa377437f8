"""Which case belongs to a seed? Layers, shapes, values, dtype and the way of checking, all from one integer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.soak.layers import ZOO, Layer
from tests.soak.layers.layer import Array
from tests.soak.network import Network
from tests.soak.values import ORDINARY, Source, draw_kind, draw_values, laid_out

LARGEST = 60  # entries of all inputs together: what makes a check slow
MODERATE = 1e2  # ordinary numbers stay ordinary on their way through the network
LOST = 1e-3  # of its largest entry: a gradient that rounding changes by more has lost its digits, and is not right
NEARBY = 16  # points around one
ASIDE = 1e-9  # how far beside a kink its sides are looked at
ATTEMPTS = 200


@dataclass(frozen=True, eq=False)
class Case:
    """A right network at a point, and how it is to be checked.

    Attributes
    ----------
    seed : int
        What it was drawn from; the check's own seed as well.
    title : str
        For the reader.
    network : Network
        Right.
    inputs : tuple of ndarray
        x, then the parameters.
    form : str
        ``"vjp"``, ``"jvp"``, ``"grad"`` or ``"layer"``: the public check that is used.
    mode : str
        ``"full"`` or ``"fast"``.
    ordinary : bool
        Whether nearly every right gradient can be decided at such values.
    """

    seed: int
    title: str
    network: Network
    inputs: tuple[Array, ...]
    form: str
    mode: str
    ordinary: bool

    @property
    def floats(self) -> list[int]:
        """The places of the inputs that have gradients, in order."""
        return [place for place, array in enumerate(self.inputs) if array.dtype.kind == "f"]


def draw(seed: int, zoo: Mapping[str, Layer] = ZOO) -> Case:
    """Return the case of a seed: always the same one.

    Parameters
    ----------
    seed : int
        0 or more.
    zoo : dict of str to Layer
        The layers to draw from.
    """
    with np.errstate(all="ignore"):
        for attempt in range(ATTEMPTS):
            try:
                case = _attempt(np.random.default_rng([seed, attempt]), seed, zoo)
                if case is not None and _fit(case) and _is_right(case):
                    return case
            except np.linalg.LinAlgError:
                continue  # no inverse, or no longer positive definite, at what was drawn
    raise RuntimeError(f"seed {seed}: no case in {ATTEMPTS} attempts: do the layers suit any values?")


def _attempt(rng: np.random.Generator, seed: int, zoo: Mapping[str, Layer]) -> Case | None:
    dtype = np.dtype(str(rng.choice(["float64", "float32", "float16"], p=[0.8, 0.14, 0.06])))
    kind = draw_kind(rng, dtype)
    source = Source(rng, kind, dtype)
    depth = 1 if rng.random() < 0.6 else int(rng.integers(2, 5))
    everyone = [layer for layer in zoo.values() if np.dtype(layer.lowest).itemsize <= dtype.itemsize]
    first = everyone[int(rng.integers(len(everyone)))]
    drawn = draw_values(rng, kind, first.shape(rng), first.kinks)
    x = first.into(np.asarray(drawn, dtype=dtype)).astype(dtype)
    layers, parameters, counts = [], [], []
    out, layer = x, first
    while True:
        own = layer.parameters(source, out)
        layers.append(layer)
        counts.append(len(own))
        parameters += own
        out = layer.f(out, *own)
        if len(layers) == depth or isinstance(out, tuple):
            break
        out = np.asarray(out)
        following = [other for other in everyone if other.accepts(out) and out.size <= LARGEST]
        if not following or not np.all(np.isfinite(out)):
            return None
        layer = following[int(rng.integers(len(following)))]
    network = Network(layers, counts, end=str(rng.choice(["", "weighted sum", "sum"], p=[0.7, 0.25, 0.05])))
    inputs = tuple(laid_out(rng, np.asarray(array)) for array in (x, *parameters))
    form = _form(rng, network, inputs, several=isinstance(out, tuple))
    if form == "grad" and not network.end:
        network.end = "weighted sum"
    mode = "fast" if rng.random() < 0.15 else "full"
    title = " > ".join([*(layer.name for layer in layers), *([network.end] if network.end else [])])
    floats = [array for array in inputs if array.dtype.kind == "f"]
    passed = network.intermediate(*inputs)
    ordinary = (
        kind in ORDINARY
        and network.end != "sum"  # the sum of a softmax has no slope but that of rounding
        and all(layer.plain for layer in layers)
        and all(np.abs(array).max(initial=0) <= MODERATE for array in (*floats, *passed))
    )
    title = f"{title}, {x.shape}, {kind}, {dtype.name}, check_{form}, {mode}"
    return Case(seed, title, network, inputs, form, mode, ordinary)


def _form(rng: np.random.Generator, network: Network, inputs: tuple[Array, ...], *, several: bool) -> str:
    forms = ["vjp", "vjp", "grad"]
    if network.has_jvp:
        forms += ["jvp"]
    if len(inputs) > 1 and not several:
        forms += ["layer"]
    return str(rng.choice(forms))


def _fit(case: Case) -> bool:
    """Tell whether the network can be called right here: its own forward and backward are finite, in its own dtype."""
    sizes = [case.inputs[place].size for place in case.floats]
    if not 0 < sum(sizes) <= LARGEST:
        return False
    parts = _parts(case.network(*case.inputs))
    gradients = _gradients(case, [np.full_like(part, 2) for part in parts], list(case.inputs))
    return all(np.all(np.isfinite(array)) for array in (*parts, *gradients))


def _is_right(case: Case) -> bool:
    """Tell whether the network's gradient is right, though each of its layers is.

    Rounding may leave nothing of it: sin of 1e20 is noise, and so is its slope. And where two layers in a row are on a
    kink, each takes a side of its own, and the product may be of neither: relu, by its right slope, of an abs.
    """
    if case.inputs[0].dtype != np.float64:
        eps = float(np.finfo(case.inputs[0].dtype).eps)
        return _is_among(
            case, lambda rng, array: array * (1 + eps * rng.choice([-1, 1], array.shape)), slack=0.5 * eps**0.5
        )
    if _kinked_layers(case) > 1 and not _is_among(case, _moved_aside, slack=1e-3):
        return False
    return case.ordinary or _keeps_its_digits(case)


def _moved_aside(rng: np.random.Generator, array: Array) -> Array:
    size = np.where(array == 0, np.abs(array).max(initial=0.0) or 1.0, np.abs(array))
    return array + ASIDE * size * rng.uniform(0.1, 1, array.shape) * rng.choice([-1, 1], array.shape)


def _kinked_layers(case: Case) -> int:
    """Return how many of the network's layers have different pullbacks on different sides of what goes into them."""
    count = 0
    for layer, inputs in case.network.stages(*case.inputs):
        rng = np.random.default_rng(0)
        out = layer.f(*inputs)
        ones = tuple(np.full_like(part, 2) for part in _parts(out))
        cotangent = ones if isinstance(out, tuple) else ones[0]
        at, *around = (
            layer.vjp(
                cotangent,
                *(_moved_aside(rng, array) if moved and array.dtype.kind == "f" else array for array in inputs),
            )
            for moved in [False] + [True] * NEARBY
        )
        largest = max(np.abs(g).max(initial=0) for g in at if g is not None)
        count += any(
            np.abs(g - there).max(initial=0) > 1e-3 * largest
            for each in around
            for g, there in zip(at, each, strict=True)
            if g is not None
        )
    return count


def _keeps_its_digits(case: Case) -> bool:
    """Tell whether the gradient is what long double makes of it; where that cannot be told, it is believed."""
    ones = [np.full_like(part, 2) for part in _parts(case.network(*case.inputs))]
    try:
        exact = _gradients(case, _in(np.longdouble, ones), _in(np.longdouble, case.inputs))
    except TypeError:
        return True  # linear algebra knows no long double
    rounded = _gradients(case, ones, list(case.inputs))
    largest = max(np.abs(array).max(initial=0) for array in exact)
    return all(np.abs(a - b).max(initial=0) <= LOST * largest for a, b in zip(exact, rounded, strict=True))


def _is_among(case: Case, move: Callable[[np.random.Generator, Array], Array], slack: float) -> bool:
    """Tell whether each entry of a gradient lies among the exact ones of points nearby, but for a part of the largest.

    In low precision, at a tie that only rounding makes, either side's value does.
    """
    rng = np.random.default_rng(0)
    ones = [np.full_like(part, 2) for part in _parts(case.network(*case.inputs))]
    given, wide = _gradients(case, ones, list(case.inputs)), _in(np.float64, ones)
    points = [_in(np.float64, case.inputs)]
    for _ in range(NEARBY):
        points.append([move(rng, array) if array.dtype.kind == "f" else array for array in points[0]])
    at, *others = (_gradients(case, wide, point) for point in points)
    exact = [at, *others] if case.inputs[0].dtype != np.float64 else others
    slack *= max(np.abs(array).max(initial=0) for array in at)
    return all(
        np.all((g >= np.min(each, axis=0) - slack) & (g <= np.max(each, axis=0) + slack))
        for g, each in zip(given, zip(*exact, strict=True), strict=True)
    )


def _in(dtype: Any, arrays: Iterable[Array]) -> list[Array]:
    return [array.astype(dtype) if array.dtype.kind == "f" else array for array in arrays]


def _parts(out: Any) -> list[Array]:
    return [np.asarray(part) for part in (out if isinstance(out, tuple) else (out,))]


def _gradients(case: Case, cotangents: list[Array], inputs: list[Array]) -> list[Array]:
    several = isinstance(case.network(*inputs), tuple)
    gradients = case.network.vjp(tuple(cotangents) if several else cotangents[0], *inputs)
    return [np.asarray(g) for g in gradients if g is not None]
